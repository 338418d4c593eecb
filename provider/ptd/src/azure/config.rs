//! The provider configuration for Azure.

use azure_core::http::Url;
use pulumi_provider::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arm::Cloud;
use super::names;

/// How many further tenants Resource Manager takes the tokens of.
const MAX_AUXILIARY: usize = 3;

/// Access to Azure. Everything is optional: what is absent comes from the environment variables that the Azure providers of Pulumi and
/// Terraform read (`ARM_*`), then from those of Azure's SDKs (`AZURE_*`), and the last resort is the Azure CLI.
///
/// One way of authenticating is chosen, and no other is tried when it fails: the default chain if `useDefaultAzureCredential`, else a
/// client certificate, else a client secret, else an OIDC token, else a managed identity if `useMsi`, else the Azure CLI. All but the CLI
/// need `subscriptionId` and `tenantId`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureConfig {
    /// The subscription to work in. Otherwise `ARM_SUBSCRIPTION_ID`, `AZURE_SUBSCRIPTION_ID`, or that of the Azure CLI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,

    /// The Entra tenant that the credentials belong to. A subscription of another tenant is refused before the first write. Otherwise
    /// `ARM_TENANT_ID`, `AZURE_TENANT_ID`, or that of the Azure CLI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,

    /// Up to three further tenants, whose tokens go along with the requests to Resource Manager: for resources that refer to others across
    /// tenants, such as a subnet of another subscription. The service principal must be known there. Otherwise
    /// `ARM_AUXILIARY_TENANT_IDS`, a JSON list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auxiliary_tenant_ids: Option<Vec<String>>,

    /// The region for resources that name none, such as `eastus2`. Otherwise `ARM_LOCATION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,

    /// The cloud: `public`, `usgovernment` or `china`. Otherwise `ARM_ENVIRONMENT`, `AZURE_ENVIRONMENT`, or `public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,

    /// The application (client) id of the service principal, or of a user-assigned managed identity. Otherwise `ARM_CLIENT_ID`, then
    /// `AZURE_CLIENT_ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,

    /// The service principal's secret. Otherwise `ARM_CLIENT_SECRET`, then `AZURE_CLIENT_SECRET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret<String>>,

    /// A PEM file with the service principal's certificate and its RSA key, unencrypted. Otherwise `ARM_CLIENT_CERTIFICATE_PATH`, then
    /// `AZURE_CLIENT_CERTIFICATE_PATH`. A PKCS#12 file (`.pfx`, `.p12`) becomes one by `openssl pkcs12 -in FILE -out FILE.pem -nodes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_path: Option<String>,

    /// Whether to authenticate with a token of another identity provider (workload identity federation). Otherwise `ARM_USE_OIDC`. Where
    /// `AZURE_FEDERATED_TOKEN_FILE` is set, as in AKS pods with workload identity, it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_oidc: Option<bool>,

    /// The other provider's token. Otherwise `ARM_OIDC_TOKEN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_token: Option<Secret<String>>,

    /// A file that holds the other provider's token; it is read anew each time. Otherwise `ARM_OIDC_TOKEN_FILE_PATH`, then
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_token_file_path: Option<String>,

    /// Where the other provider gives a token, as in GitHub's workflows. Otherwise `ARM_OIDC_REQUEST_URL`, then
    /// `ACTIONS_ID_TOKEN_REQUEST_URL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_request_url: Option<String>,

    /// What is shown there for a token. Otherwise `ARM_OIDC_REQUEST_TOKEN`, then `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_request_token: Option<Secret<String>>,

    /// The audience to ask for there. Otherwise `ARM_OIDC_AUDIENCE`, or `api://AzureADTokenExchange`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_audience: Option<String>,

    /// Whether to authenticate as the machine's managed identity. Otherwise `ARM_USE_MSI`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_msi: Option<bool>,

    /// Whether to try, in this order and until one works: the service principal and the workload identity of the `AZURE_*` variables, the
    /// managed identity, the Azure CLI. Otherwise `ARM_USE_DEFAULT_AZURE_CREDENTIAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_default_azure_credential: Option<bool>,

    /// Endpoints in place of the cloud's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<AzureEndpoints>,
}

/// Endpoints in place of the cloud's own: of a private cloud, or for a test. Their certificates must be trusted: additional authorities go
/// into the file that `REQUESTS_CA_BUNDLE` names, or replace the system's by `SSL_CERT_FILE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureEndpoints {
    /// The URL of Azure Resource Manager. Otherwise `ARM_ENDPOINT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_manager: Option<String>,

    /// The URL of the token authority, without a tenant. Otherwise `AZURE_AUTHORITY_HOST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

impl AzureConfig {
    /// All that is wrong with the configuration, by property.
    #[must_use]
    pub fn validate(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut check = |name, result: Result<(), String>| {
            if let Err(problem) = result {
                problems.push((name, problem));
            }
        };
        for (name, value) in [
            ("subscriptionId", &self.subscription_id),
            ("clientId", &self.client_id),
        ] {
            if let Some(value) = value {
                check(name, names::guid(value));
            }
        }
        if let Some(tenant) = &self.tenant_id {
            check("tenantId", names::tenant(tenant));
        }
        if let Some(tenants) = &self.auxiliary_tenant_ids {
            check("auxiliaryTenantIds", auxiliary(tenants));
        }
        if let Some(location) = &self.location {
            check("location", names::location(location));
        }
        if let Some(cloud) = &self.environment
            && Cloud::named(cloud).is_none()
        {
            check(
                "environment",
                Err(format!(
                    "must be public, usgovernment or china, got {cloud:?}"
                )),
            );
        }
        for (name, value) in [
            ("clientCertificatePath", &self.client_certificate_path),
            ("oidcTokenFilePath", &self.oidc_token_file_path),
        ] {
            if value.as_ref().is_some_and(|path| path.trim().is_empty()) {
                check(
                    name,
                    Err("must not be blank; leave it out instead".to_owned()),
                );
            }
        }
        if let Some(url) = &self.oidc_request_url {
            check("oidcRequestUrl", endpoint(url).map(|_| ()));
        }
        if let Some(endpoints) = &self.endpoints {
            if let Some(url) = &endpoints.resource_manager {
                check("endpoints.resourceManager", endpoint(url).map(|_| ()));
            }
            if let Some(url) = &endpoints.authority {
                check("endpoints.authority", endpoint(url).map(|_| ()));
            }
        }
        problems
    }
}

/// Whether these can be further tenants.
pub(super) fn auxiliary(tenants: &[String]) -> Result<(), String> {
    if tenants.len() > MAX_AUXILIARY {
        return Err(format!(
            "must be {MAX_AUXILIARY} tenants at most, got {}",
            tenants.len()
        ));
    }
    tenants.iter().try_for_each(|tenant| names::tenant(tenant))
}

/// An endpoint's URL; tokens travel over https only.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    // The URL is not repeated where it might hold a password.
    let url = Url::parse(text).map_err(|error| format!("must be a URL: {error}"))?;
    if url.scheme() != "https" {
        return Err("must be a URL beginning with https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(config: serde_json::Value) -> Vec<&'static str> {
        let config: AzureConfig = serde_json::from_value(config).expect("decodes");
        config
            .validate()
            .into_iter()
            .map(|(path, _)| path)
            .collect()
    }

    #[test]
    fn all_problems_are_found_in_one_pass() {
        assert_eq!(problems(json!({})), [] as [&str; 0]);
        assert_eq!(
            problems(json!({
                "subscriptionId": "x",
                "clientId": "y",
                "tenantId": "a/b",
                "auxiliaryTenantIds": ["a/b"],
                "location": "East_US",
                "environment": "moon",
                "clientCertificatePath": " ",
                "endpoints": {"resourceManager": "http://localhost", "authority": "https://u:p@host"},
            })),
            [
                "subscriptionId",
                "clientId",
                "tenantId",
                "auxiliaryTenantIds",
                "location",
                "environment",
                "clientCertificatePath",
                "endpoints.resourceManager",
                "endpoints.authority",
            ]
        );
    }

    #[test]
    fn secrets_do_not_show() {
        let config: AzureConfig =
            serde_json::from_value(json!({"clientSecret": "hunter2", "oidcToken": "hunter3"}))
                .expect("decodes");
        assert!(!format!("{config:?}").contains("hunter"));
    }
}
