//! The configuration together with the environment: one answer to each question, and which way of authenticating was chosen.

use azure_core::http::Url;
use pulumi_provider::{Env, Secret};

use super::arm::Cloud;
use super::config::{AzureConfig, auxiliary, endpoint};

/// The audience that Entra expects of other providers' tokens.
const OIDC_AUDIENCE: &str = "api://AzureADTokenExchange";

/// What is known before anybody is asked.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) cloud: Cloud,
    /// Whether the cloud was named, and is not just the default.
    pub(super) cloud_named: bool,
    pub(super) subscription: Option<String>,
    pub(super) tenant: Option<String>,
    /// Further tenants, whose tokens Resource Manager gets as well.
    pub(super) auxiliary: Vec<String>,
    pub(super) client: Option<String>,
    pub(super) method: Chosen,
}

/// The one way of authenticating.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Chosen {
    Default,
    Certificate {
        path: String,
    },
    Secret(Secret<String>),
    OidcToken(Secret<String>),
    OidcFile {
        path: String,
    },
    OidcRequest {
        url: String,
        token: Secret<String>,
        audience: String,
    },
    ManagedIdentity,
    Cli,
}

impl Chosen {
    /// The way for people, with the setting it came from.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Default => "the default chain (azure.useDefaultAzureCredential)",
            Self::Certificate { .. } => "a client certificate (azure.clientCertificatePath)",
            Self::Secret(_) => "a client secret (azure.clientSecret)",
            Self::OidcToken(_) => "an OIDC token (azure.oidcToken)",
            Self::OidcFile { .. } => "an OIDC token from a file (azure.oidcTokenFilePath)",
            Self::OidcRequest { .. } => "an OIDC token on request (azure.oidcRequestUrl)",
            Self::ManagedIdentity => "the managed identity (azure.useMsi)",
            Self::Cli => "the Azure CLI, as nothing else is configured",
        }
    }
}

impl Settings {
    /// Reads them. A contradiction is the problem with one setting, told with its name.
    pub(super) fn read(config: &AzureConfig, env: &dyn Env) -> Result<Self, String> {
        let url = |value: Option<&String>, name: &str| match value {
            Some(text) => endpoint(text).map(Some),
            None => env
                .get(name)
                .map(|text| endpoint(&text).map_err(|problem| format!("{name} {problem}")))
                .transpose(),
        };
        let named = first(
            config.environment.as_ref(),
            env,
            &["ARM_ENVIRONMENT", "AZURE_ENVIRONMENT"],
        );
        let cloud = Cloud::named(named.as_deref().unwrap_or("public")).ok_or_else(|| {
            format!(
                "azure.environment must be public, usgovernment or china, got {:?}",
                named.clone().unwrap_or_default()
            )
        })?;
        let endpoints = config.endpoints.as_ref();
        let arm: Option<Url> = url(
            endpoints.and_then(|e| e.resource_manager.as_ref()),
            "ARM_ENDPOINT",
        )?;
        let authority: Option<Url> = url(
            endpoints.and_then(|e| e.authority.as_ref()),
            "AZURE_AUTHORITY_HOST",
        )?;
        let method = choose(config, env)?;
        let auxiliary = auxiliary_tenants(config, env)?;
        if !auxiliary.is_empty() && method == Chosen::ManagedIdentity {
            return Err(
                "azure.auxiliaryTenantIds cannot be used with a managed identity, which belongs to one tenant only"
                    .to_owned(),
            );
        }
        Ok(Self {
            cloud: cloud.at(arm, authority),
            cloud_named: named.is_some(),
            subscription: first(
                config.subscription_id.as_ref(),
                env,
                &["ARM_SUBSCRIPTION_ID", "AZURE_SUBSCRIPTION_ID"],
            ),
            tenant: first(
                config.tenant_id.as_ref(),
                env,
                &["ARM_TENANT_ID", "AZURE_TENANT_ID"],
            ),
            client: first(
                config.client_id.as_ref(),
                env,
                &["ARM_CLIENT_ID", "AZURE_CLIENT_ID"],
            ),
            auxiliary,
            method,
        })
    }
}

/// A setting: from the configuration, else from the first variable that is set.
fn first(value: Option<&String>, env: &dyn Env, names: &[&str]) -> Option<String> {
    value
        .filter(|v| !v.is_empty())
        .cloned()
        .or_else(|| names.iter().find_map(|name| env.get(name)))
}

fn auxiliary_tenants(config: &AzureConfig, env: &dyn Env) -> Result<Vec<String>, String> {
    const NAME: &str = "ARM_AUXILIARY_TENANT_IDS";
    if let Some(tenants) = &config.auxiliary_tenant_ids {
        return Ok(tenants.clone());
    }
    let Some(text) = env.get(NAME).filter(|text| !text.trim().is_empty()) else {
        return Ok(Vec::new());
    };
    let tenants: Vec<String> = serde_json::from_str(&text)
        .map_err(|_| format!("{NAME} must be a JSON list of tenants, got {text:?}"))?;
    auxiliary(&tenants).map_err(|problem| format!("{NAME} {problem}"))?;
    Ok(tenants)
}

fn secret(value: Option<&Secret<String>>, env: &dyn Env, names: &[&str]) -> Option<Secret<String>> {
    value
        .filter(|v| !v.expose().is_empty())
        .cloned()
        .or_else(|| names.iter().find_map(|name| env.get(name)).map(Secret::new))
}

fn flag(value: Option<bool>, env: &dyn Env, name: &str) -> Result<bool, String> {
    match (value, env.get(name)) {
        (Some(value), _) => Ok(value),
        (None, None) => Ok(false),
        (None, Some(text)) => {
            boolean(&text).ok_or_else(|| format!("{name} must be true or false, got {text:?}"))
        }
    }
}

/// The one way of authenticating, by rank.
fn choose(config: &AzureConfig, env: &dyn Env) -> Result<Chosen, String> {
    if flag(
        config.use_default_azure_credential,
        env,
        "ARM_USE_DEFAULT_AZURE_CREDENTIAL",
    )? {
        return Ok(Chosen::Default);
    }
    if let Some(path) = first(
        config.client_certificate_path.as_ref(),
        env,
        &[
            "ARM_CLIENT_CERTIFICATE_PATH",
            "AZURE_CLIENT_CERTIFICATE_PATH",
        ],
    ) {
        return Ok(Chosen::Certificate { path });
    }
    if let Some(secret) = secret(
        config.client_secret.as_ref(),
        env,
        &["ARM_CLIENT_SECRET", "AZURE_CLIENT_SECRET"],
    ) {
        return Ok(Chosen::Secret(secret));
    }
    let federated = env.get("AZURE_FEDERATED_TOKEN_FILE").is_some();
    if flag(config.use_oidc, env, "ARM_USE_OIDC")? || (config.use_oidc.is_none() && federated) {
        return oidc(config, env);
    }
    if flag(config.use_msi, env, "ARM_USE_MSI")? {
        return Ok(Chosen::ManagedIdentity);
    }
    Ok(Chosen::Cli)
}

fn oidc(config: &AzureConfig, env: &dyn Env) -> Result<Chosen, String> {
    if let Some(token) = secret(config.oidc_token.as_ref(), env, &["ARM_OIDC_TOKEN"]) {
        return Ok(Chosen::OidcToken(token));
    }
    if let Some(path) = first(
        config.oidc_token_file_path.as_ref(),
        env,
        &["ARM_OIDC_TOKEN_FILE_PATH", "AZURE_FEDERATED_TOKEN_FILE"],
    ) {
        return Ok(Chosen::OidcFile { path });
    }
    let url = first(
        config.oidc_request_url.as_ref(),
        env,
        &["ARM_OIDC_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_URL"],
    );
    let token = secret(
        config.oidc_request_token.as_ref(),
        env,
        &["ARM_OIDC_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
    );
    let (Some(url), Some(token)) = (url, token) else {
        return Err(
            "azure.useOidc needs one of oidcToken, oidcTokenFilePath, or oidcRequestUrl with oidcRequestToken"
                .to_owned(),
        );
    };
    endpoint(&url).map_err(|problem| {
        format!("the URL to ask for an OIDC token at (azure.oidcRequestUrl, ACTIONS_ID_TOKEN_REQUEST_URL) {problem}")
    })?;
    let audience = first(config.oidc_audience.as_ref(), env, &["ARM_OIDC_AUDIENCE"]);
    Ok(Chosen::OidcRequest {
        url,
        token,
        audience: audience.unwrap_or_else(|| OIDC_AUDIENCE.to_owned()),
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(config: serde_json::Value, env: &[(&str, &str)]) -> Result<Settings, String> {
        let config: AzureConfig = serde_json::from_value(config).expect("decodes");
        let env: BTreeMap<String, String> = env
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Settings::read(&config, &env)
    }

    #[test]
    fn a_pod_with_a_workload_identity_is_in_its_own_cloud() {
        let host = ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/");
        let cloud = read(serde_json::json!({}), &[host])
            .expect("settings")
            .cloud;
        assert!(!cloud.custom);
        assert_eq!(Some(cloud), Cloud::named("public"));
    }

    #[test]
    fn one_way_is_chosen_by_rank() {
        let all = &[
            ("ARM_USE_MSI", "true"),
            ("ARM_USE_OIDC", "true"),
            ("ARM_OIDC_TOKEN", "t"),
            ("ARM_CLIENT_SECRET", "s"),
            ("ARM_CLIENT_CERTIFICATE_PATH", "/c.pem"),
            ("ARM_USE_DEFAULT_AZURE_CREDENTIAL", "true"),
        ];
        let chosen = |count: usize| {
            read(serde_json::json!({}), &all[..count])
                .expect("settings")
                .method
        };
        assert_eq!(chosen(0), Chosen::Cli);
        assert_eq!(chosen(1), Chosen::ManagedIdentity);
        assert_eq!(chosen(3), Chosen::OidcToken(Secret::new("t".to_owned())));
        assert_eq!(chosen(4), Chosen::Secret(Secret::new("s".to_owned())));
        assert_eq!(
            chosen(5),
            Chosen::Certificate {
                path: "/c.pem".to_owned()
            }
        );
        assert_eq!(chosen(6), Chosen::Default);
    }

    #[test]
    fn configuration_wins_over_the_environment_and_arm_over_azure() {
        let settings = read(
            serde_json::json!({"tenantId": "config"}),
            &[
                ("ARM_TENANT_ID", "arm"),
                ("AZURE_TENANT_ID", "azure"),
                ("ARM_CLIENT_ID", "arm"),
                ("AZURE_CLIENT_ID", "azure"),
            ],
        )
        .expect("settings");
        assert_eq!(settings.tenant.as_deref(), Some("config"));
        assert_eq!(settings.client.as_deref(), Some("arm"));
    }

    #[test]
    fn a_pod_with_workload_identity_needs_no_switch() {
        let settings = read(
            serde_json::json!({}),
            &[("AZURE_FEDERATED_TOKEN_FILE", "/var/run/token")],
        )
        .expect("settings");
        assert_eq!(
            settings.method,
            Chosen::OidcFile {
                path: "/var/run/token".to_owned()
            }
        );
    }

    #[test]
    fn contradictions_are_told() {
        assert!(
            read(serde_json::json!({"useOidc": true}), &[]).is_err_and(|e| e.contains("oidcToken"))
        );
        assert!(
            read(serde_json::json!({}), &[("ARM_USE_MSI", "maybe")])
                .is_err_and(|e| e.contains("ARM_USE_MSI"))
        );
        assert!(
            read(serde_json::json!({}), &[("ARM_ENDPOINT", "http://x")])
                .is_err_and(|e| e.contains("ARM_ENDPOINT"))
        );
        let plain = serde_json::json!({"useOidc": true, "oidcRequestToken": "t"});
        let plain_url = [("ACTIONS_ID_TOKEN_REQUEST_URL", "http://x")];
        assert!(read(plain, &plain_url).is_err_and(|e| e.contains("https://")));
        let tenants = |text| [("ARM_AUXILIARY_TENANT_IDS", text)];
        for (text, told) in [
            ("a,b", "JSON list"),
            (r#"["a/b"]"#, "ARM_AUXILIARY_TENANT_IDS"),
            (r#"["a","b","c","d"]"#, "3 tenants"),
        ] {
            let found = read(serde_json::json!({}), &tenants(text));
            assert!(found.is_err_and(|e| e.contains(told)), "{text}");
        }
        let machine = serde_json::json!({"useMsi": true, "auxiliaryTenantIds": ["a.example"]});
        assert!(read(machine, &[]).is_err_and(|e| e.contains("one tenant")));
        let good = read(serde_json::json!({}), &tenants(r#"["a.example"]"#)).expect("settings");
        assert_eq!(good.auxiliary, ["a.example"]);
    }
}
