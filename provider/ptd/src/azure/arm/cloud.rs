//! The clouds Azure is offered in: where their services are, and which hosts may see a token.

use azure_core::http::Url;

/// One cloud: its endpoints, token scopes and host names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloud {
    /// The name as configuration has it: `public`, `usgovernment` or `china`.
    pub name: &'static str,
    /// Where Azure Resource Manager is.
    pub arm: Url,
    /// Where tokens come from.
    pub authority: Url,
    /// The scope of Resource Manager's tokens.
    pub arm_scope: String,
    /// The scope of Key Vault's tokens.
    pub vault_scope: String,
    /// The host name suffix of vaults, such as `vault.azure.net`.
    pub vault_suffix: String,
    /// The host name suffix of blob endpoints, such as `blob.core.windows.net`.
    pub blob_suffix: String,
    /// What the Azure CLI calls it, such as `AzureCloud`.
    pub cli_name: &'static str,
    /// Whether Resource Manager is elsewhere than in Azure's own cloud of that name.
    pub custom: bool,
}

/// What is known of each cloud beforehand.
struct Known {
    name: &'static str,
    arm: &'static str,
    authority: &'static str,
    vault: &'static str,
    blob: &'static str,
    cli: &'static str,
}

const KNOWN: [Known; 3] = [
    Known {
        name: "public",
        arm: "https://management.azure.com",
        authority: "https://login.microsoftonline.com",
        vault: "vault.azure.net",
        blob: "blob.core.windows.net",
        cli: "AzureCloud",
    },
    Known {
        name: "usgovernment",
        arm: "https://management.usgovcloudapi.net",
        authority: "https://login.microsoftonline.us",
        vault: "vault.usgovcloudapi.net",
        blob: "blob.core.usgovcloudapi.net",
        cli: "AzureUSGovernment",
    },
    Known {
        name: "china",
        arm: "https://management.chinacloudapi.cn",
        authority: "https://login.chinacloudapi.cn",
        vault: "vault.azure.cn",
        blob: "blob.core.chinacloudapi.cn",
        cli: "AzureChinaCloud",
    },
];

impl Cloud {
    /// The cloud of that name, in any of the spellings that Azure's tools use.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let canonical = match name.to_ascii_lowercase().as_str() {
            "public" | "azurecloud" | "azurepubliccloud" => "public",
            "usgovernment" | "usgov" | "azureusgovernment" | "azureusgovernmentcloud" => {
                "usgovernment"
            }
            "china" | "azurechinacloud" => "china",
            _ => return None,
        };
        let known = KNOWN.iter().find(|known| known.name == canonical)?;
        Some(Self {
            name: known.name,
            arm: Url::parse(known.arm).ok()?,
            authority: Url::parse(known.authority).ok()?,
            arm_scope: format!("{}/.default", known.arm),
            vault_scope: format!("https://{}/.default", known.vault),
            vault_suffix: known.vault.to_owned(),
            blob_suffix: known.blob.to_owned(),
            cli_name: known.cli,
            custom: false,
        })
    }

    /// The same cloud with Resource Manager and the token authority elsewhere, as in a test or a private cloud. That the authority alone
    /// is named says nothing of the cloud: every pod with a workload identity has `AZURE_AUTHORITY_HOST`.
    #[must_use]
    pub fn at(mut self, arm: Option<Url>, authority: Option<Url>) -> Self {
        if let Some(arm) = arm {
            self.custom = arm.origin() != self.arm.origin();
            self.arm = arm;
        }
        if let Some(authority) = authority {
            self.authority = authority;
        }
        self
    }

    /// Whether Resource Manager's token may be sent there: its own host, or a region's host below it.
    #[must_use]
    pub fn trusts(&self, url: &Url) -> bool {
        let (Some(host), Some(own)) = (url.host_str(), self.arm.host_str()) else {
            return false;
        };
        let regional = host
            .strip_suffix(own)
            .is_some_and(|rest| rest.is_empty() || (rest.ends_with('.') && !self.custom));
        regional
            && url.scheme() == self.arm.scheme()
            && url.port_or_known_default() == self.arm.port_or_known_default()
            && url.username().is_empty()
            && url.password().is_none()
    }

    /// A vault's URL by its name. What the vault itself says is better, where it can be asked.
    #[must_use]
    pub fn vault_url(&self, vault: &str) -> String {
        format!("https://{vault}.{}/", self.vault_suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn clouds_have_the_names_that_tools_use() {
        for (name, arm) in [
            ("public", "management.azure.com"),
            ("AzureCloud", "management.azure.com"),
            ("usGovernment", "management.usgovcloudapi.net"),
            ("AzureUSGovernment", "management.usgovcloudapi.net"),
            ("china", "management.chinacloudapi.cn"),
        ] {
            let cloud = Cloud::named(name).expect(name);
            assert_eq!(cloud.arm.host_str(), Some(arm));
            assert_eq!(cloud.arm_scope, format!("https://{arm}/.default"));
        }
        assert!(Cloud::named("german").is_none());
    }

    #[test]
    fn tokens_stay_within_the_cloud() {
        let cloud = Cloud::named("public").expect("a cloud");
        assert!(cloud.trusts(&url("https://management.azure.com/x")));
        assert!(cloud.trusts(&url("https://EastUS2.Management.Azure.com/x")));
        for foreign in [
            "https://evilmanagement.azure.com/",
            "https://management.azure.com.example.org/",
            "https://management.usgovcloudapi.net/",
            "http://management.azure.com/",
            "https://management.azure.com:8443/",
            "https://user@management.azure.com/",
        ] {
            assert!(!cloud.trusts(&url(foreign)), "{foreign}");
        }
        let custom = cloud.at(Some(url("https://127.0.0.1:8443/")), None);
        assert!(custom.trusts(&url("https://127.0.0.1:8443/op")));
        assert!(!custom.trusts(&url("https://127.0.0.1:8444/op")));
        assert!(!custom.trusts(&url("https://management.azure.com/")));
    }

    #[test]
    fn only_another_resource_manager_makes_a_cloud_custom() {
        let public = || Cloud::named("public").expect("a cloud");
        let own = public().at(None, Some(url("https://login.microsoftonline.com/")));
        assert!(!own.custom);
        assert!(own.trusts(&url("https://eastus2.management.azure.com/op")));
        let spelt = public().at(Some(url("https://Management.Azure.com:443/")), None);
        assert!(!spelt.custom);
        assert!(spelt.trusts(&url("https://eastus2.management.azure.com/op")));
        let elsewhere = public().at(Some(url("https://management.example.org/")), None);
        assert!(elsewhere.custom);
    }
}
