//! `sites.<name>.spec`, the same for both clouds.

use super::decode::section;
use super::read::{flag, flag_on, plain_text, sections, text, texts};

section! {
    /// The fields of a site in the file. Handed out as part of [`super::TargetSite`].
    pub(crate) struct SiteSpec {
        /// Domain of the site. Absent when the file names none.
        pub(crate) domain: Option<String> = text,
        /// Accepted, and read by nothing.
        pub(crate) domain_type: Option<String> = text,
        /// Route 53 zone that exists, to be used instead of a new one.
        pub(crate) zone_id: Option<String> = text,
        /// Certificate that exists; then none is made.
        pub(crate) certificate_arn: Option<String> = text,
        /// Whether traefik-forward-auth guards the site. Default false.
        pub(crate) use_traefik_forward_auth: bool = flag,
        /// Whether the zone is private. Default false.
        pub(crate) private_zone: bool = flag,
        /// VPCs the private zone is associated with.
        pub(crate) vpc_associations: Vec<String> = texts,
        /// Whether the provisioned VPC is among these. Default true.
        pub(crate) auto_associate_provisioned_vpc: bool = flag_on,
        /// Whether the certificate is validated by DNS. Default true.
        pub(crate) certificate_validation_enabled: bool = flag_on,
        /// TLS secrets of the site, instead of the wildcard one. Azure only.
        pub(crate) tls_secrets: Vec<SiteTlsSecret> = sections,
    }
}

section! {
    /// A TLS secret of a site.
    pub struct SiteTlsSecret {
        /// Hosts it is for.
        pub hosts: Vec<String> = texts,
        /// Name of the Kubernetes secret. Empty when absent.
        pub secret_name: String = plain_text,
    }
}
