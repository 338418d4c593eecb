//! The PTD admin policy, and comparing IAM policy documents by meaning.
//!
//! The document is what existing PTD accounts carry, byte for byte, so that a policy made earlier is recognised and a
//! permissions boundary means the same on both. [`same_policy`] serves every kind of policy: managed policies, bucket
//! policies, key policies.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// The name of the admin policy in every account.
pub const ADMIN_POLICY_NAME: &str = "PositTeamDedicatedAdmin";

/// The description PTD gives the admin policy.
pub const ADMIN_POLICY_DESCRIPTION: &str =
    "Admin policy for Posit Team Dedicated - created by bootstrap";

/// Actions without any limit.
const WILDCARD_ACTIONS: &str = "
    acm:ListCertificates bedrock:* cloudwatch:Get* cloudwatch:List* cloudwatch:Describe*
    compute-optimizer:Get* ds:DescribeDirectories ec2:Describe* ec2:RunInstances
    ec2:CreateSecurityGroup ec2:AuthorizeSecurityGroupIngress ec2:AuthorizeSecurityGroupEgress
    ec2:DescribeSecurityGroups ec2:GetSecurityGroupsForVpc ecr:GetAuthorizationToken
    eks:ListClusters eks:DescribeAddonVersions elasticloadbalancing:Describe*
    elasticfilesystem:Describe* events:ListRules fsx:Describe* iam:ListAttachedRolePolicies
    iam:ListEntitiesForPolicy iam:ListInstanceProfiles iam:ListInstanceProfilesForRole
    iam:ListOpenIDConnectProviderTags iam:ListOpenIDConnectProviders iam:ListPolicies
    iam:ListPoliciesGrantingServiceAccess iam:ListPolicyVersions iam:ListRolePolicies
    iam:ListRoles iam:GetRole kms:ListAliases logs:List* logs:Describe*
    organizations:DescribeEffectivePolicy pricing:GetProducts rds:Describe*
    resource-explorer-2:ListIndexes resource-explorer-2:Search route53:List* route53:Get*
    secretsmanager:ListSecrets shield:Describe* shield:Get* sqs:ListQueues ssm:Describe*
    ssm:Get* ssm:List* ssm:StartSession ssm:SendCommand ssmmessages:Create* ssmmessages:Open*
    ec2messages:* sts:GetCallerIdentity sts:DecodeAuthorizationMessage tag:GetResources
    tag:*tag*
";

/// Actions limited to the own account.
const ACCOUNT_LIMITED_ACTIONS: &str = "
    acm:DescribeCertificate acm:DeleteCertificate cloudwatch:PutMetricData ec2:* ecr:* ecs:*
    eks:AccessKubernetesApi eks:Describe* eks:List* eks:*tag* eks:Delete* eks:Create*
    eks:Update* eks:*AccessPolicy elasticloadbalancing:* elasticfilesystem:Create*
    elasticfilesystem:*tag* events:ListTagsForResource events:*Rule events:*Targets
    events:*tag* events:PutRule firehose:PutRecord* fsx:* kms:CreateAlias kms:DeleteAlias
    kms:DescribeKey logs:CreateLog* logs:DeleteLogGroup logs:Put* logs:*tag* rds:Create*
    rds:Delete* rds:Modify* rds:*tag* route53:Change* route53:CreateHostedZone
    route53:UpdateHostedZoneComment shield:CreateProtection shield:DeleteProtection ssm:Put*
    ssm:Update* ssm:TerminateSession wafv2:GetWebACL* wafv2:AssociateWebACL
    wafv2:DisassociateWebACL waf-regional:GetWebACL*
";

/// Actions limited to the own account and to resources tagged as managed.
const ACCOUNT_AND_TAG_LIMITED_ACTIONS: &str = "
    acm:*tags* elasticfilesystem:* kms:CreateGrant kms:DisableKey kms:Encrypt
    kms:GenerateDataKey* kms:ListAliases kms:PutKeyPolicy kms:*tag* kms:*KeyDeletion
    kms:Decrypt secretsmanager:*tag* secretsmanager:* sqs:*Queue* sqs:*Message*
";

/// Actions that create, limited to requests that tag as managed.
const TAG_WRITE_LIMITED_ACTIONS: &str = "
    acm:RequestCertificate kms:CreateKey secretsmanager:CreateSecret sqs:CreateQueue
";

/// EC2 actions on which the account condition does not work.
const EC2_OWN_ACTIONS: &str = "
    ec2:CopyImage ec2:CopySnapshot ec2:CreateVolume ec2:CreateVpcEndpoint
";

/// Role actions, allowed with the permissions boundary only.
const ROLE_ACTIONS: &str = "
    iam:CreateRole iam:DeleteRole iam:AttachRolePolicy iam:DetachRolePolicy
    iam:DeleteRolePolicy
";

/// IAM actions on PTD names.
const IAM_ACTIONS: &str = "
    iam:AddClientIDToOpenIDConnectProvider iam:AddRoleToInstanceProfile
    iam:CreateInstanceProfile iam:CreateOpenIDConnectProvider iam:CreatePolicy
    iam:CreatePolicyVersion iam:CreateSAMLProvider iam:CreateServiceLinkedRole
    iam:DeleteInstanceProfile iam:DeleteOpenIDConnectProvider iam:DeletePolicy
    iam:DeletePolicyVersion iam:DeleteSAMLProvider iam:GetInstanceProfile
    iam:GetOpenIDConnectProvider iam:GetPolicy iam:GetPolicyVersion iam:GetRolePolicy
    iam:PassRole iam:PutRolePolicy iam:RemoveClientIDFromOpenIDConnectProvider
    iam:RemoveRoleFromInstanceProfile iam:Tag* iam:Untag* iam:UpdateAssumeRolePolicy
    iam:UpdateOpenIDConnectProviderThumbprint iam:UpdateRole iam:UpdateRoleDescription
    iam:UpdateSAMLProvider
";

/// S3 actions on PTD buckets.
const S3_ACTIONS: &str = "
    s3:CreateBucket s3:ListBucket* s3:Get* s3:Put* s3:Delete*
";

/// The ARN of the admin policy, which is the permissions boundary of PTD roles as well.
#[must_use]
pub fn admin_policy_arn(partition: &str, account: &str) -> String {
    format!("arn:{partition}:iam::{account}:policy/{ADMIN_POLICY_NAME}")
}

/// The admin policy document for one account, as compact JSON.
#[must_use]
pub fn admin_policy_document(partition: &str, account: &str) -> String {
    let own = admin_policy_arn(partition, account);
    let iam: Vec<String> = [
        "role/*.posit.team",
        "policy/*.posit.team",
        "role/aws-service-role/*",
        "policy/aws-service-role/*",
        "instance-profile/*.posit.team",
        "saml-provider/*.posit.team",
        "oidc-provider/*",
    ]
    .iter()
    .map(|resource| format!("arn:{partition}:iam::*:{resource}"))
    .collect();
    let buckets: Vec<String> = ["posit-*", "posit-*/*", "ptd-*", "ptd-*/*"]
        .iter()
        .map(|resource| format!("arn:{partition}:s3:::{resource}"))
        .collect();
    let any = [String::from("*")];

    let document = json!({
        "Version": "2012-10-17",
        "Statement": [
            statement("Allow", WILDCARD_ACTIONS, Some("WildcardActions"), &any, None),
            statement(
                "Allow",
                ACCOUNT_LIMITED_ACTIONS,
                Some("ResourceConditionLimitingActions"),
                &any,
                Some(json!({"StringLike": {"aws:ResourceAccount": [account]}})),
            ),
            statement(
                "Allow",
                ACCOUNT_AND_TAG_LIMITED_ACTIONS,
                Some("ResourceAccountAndTagConditionLimitingActions"),
                &any,
                Some(json!({"StringLike": {
                    "aws:ResourceAccount": [account],
                    "aws:ResourceTag/posit.team/managed-by": "*",
                }})),
            ),
            statement(
                "Allow",
                TAG_WRITE_LIMITED_ACTIONS,
                Some("ResourceAccountAndTagWriteConditionLimitingActions"),
                &any,
                Some(json!({
                    "ForAnyValue:StringEquals": {"aws:TagKeys": ["posit.team/managed-by"]},
                    "StringLike": {"aws:ResourceAccount": [account]},
                })),
            ),
            statement(
                "Allow",
                EC2_OWN_ACTIONS,
                Some("Ec2NonResourceConditionActions"),
                &[format!("arn:{partition}:ec2:*:{account}:*")],
                None,
            ),
            statement(
                "Allow",
                "route53:AssociateVPCWithHostedZone",
                Some("Route53NonResourceConditionActions"),
                &[format!("arn:{partition}:route53:::*")],
                None,
            ),
            statement("Deny", "iam:CreatePolicyVersion", None, std::slice::from_ref(&own), None),
            statement(
                "Allow",
                ROLE_ACTIONS,
                None,
                &iam,
                Some(json!({"StringEquals": {"iam:PermissionsBoundary": [own]}})),
            ),
            statement("Allow", IAM_ACTIONS, None, &iam, None),
            statement(
                "Allow",
                S3_ACTIONS,
                None,
                &buckets,
                Some(json!({"StringEquals": {"s3:ResourceAccount": [account]}})),
            ),
            statement("Allow", "ecr:*", None, &[format!("arn:{partition}:ecr:*:*:repository/*")], None),
        ],
    });
    document.to_string()
}

/// One statement with its keys in the order existing documents have.
fn statement(
    effect: &str,
    actions: &str,
    sid: Option<&str>,
    resources: &[String],
    condition: Option<Value>,
) -> Value {
    let mut statement = Map::new();
    statement.insert("Effect".to_owned(), effect.into());
    statement.insert(
        "Action".to_owned(),
        actions.split_whitespace().collect::<Vec<_>>().into(),
    );
    if let Some(sid) = sid {
        statement.insert("Sid".to_owned(), sid.into());
    }
    statement.insert("Resource".to_owned(), resources.into());
    if let Some(condition) = condition {
        statement.insert("Condition".to_owned(), condition);
    }
    Value::Object(statement)
}

/// A policy document that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It is no JSON.
    #[error("the policy document is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// It is JSON, but no object.
    #[error("the policy document is not a JSON object")]
    NotAnObject,
    /// Its percent-encoding does not give text.
    #[error("the policy document is not UTF-8 after percent-decoding")]
    NotText,
}

/// The text of a document as IAM returns it, which is percent-encoded; other text is returned as it is.
///
/// A `+` stays a `+`: IAM does not encode blanks that way.
pub fn decode_document(document: &str) -> Result<String, PolicyError> {
    // JSON begins with a brace, possibly after blanks; encoded JSON cannot.
    if document.trim_start().starts_with('{') {
        return Ok(document.to_owned());
    }
    let decoded = percent_decode_str(document)
        .decode_utf8()
        .map_err(|_| PolicyError::NotText)?;
    Ok(decoded.into_owned())
}

/// Whether two policy documents mean the same, whatever their layout, key order, list order and encoding.
pub fn same_policy(one: &str, other: &str) -> Result<bool, PolicyError> {
    Ok(canonical_policy(one)? == canonical_policy(other)?)
}

/// A policy document in a form in which equal meaning is equal JSON.
pub fn canonical_policy(document: &str) -> Result<Value, PolicyError> {
    let value: Value = serde_json::from_str(&decode_document(document)?)?;
    let Value::Object(mut policy) = value else {
        return Err(PolicyError::NotAnObject);
    };
    policy
        .entry("Version")
        .or_insert_with(|| "2008-10-17".into());
    if let Some(statements) = policy.get_mut("Statement") {
        let taken = std::mem::take(statements);
        let canonical = many(taken).into_iter().map(canonical_statement).collect();
        *statements = Value::Array(sorted(canonical));
    }
    Ok(sort_keys(Value::Object(policy)))
}

/// One statement of a policy in the form of [`canonical_policy`], to compare single statements by.
#[must_use]
pub fn canonical_statement(statement: Value) -> Value {
    let Value::Object(statement) = statement else {
        return statement;
    };
    let canonical = statement
        .into_iter()
        .map(|(key, value)| {
            let value = match key.as_str() {
                // Action names are matched without case.
                "Action" | "NotAction" => set(value, |text| text.to_ascii_lowercase()),
                "Resource" | "NotResource" => set(value, |text| text),
                "Principal" | "NotPrincipal" => canonical_principal(value),
                "Condition" => canonical_condition(value),
                _ => value,
            };
            (key, value)
        })
        .collect();
    sort_keys(Value::Object(canonical))
}

fn canonical_principal(principal: Value) -> Value {
    match principal {
        Value::String(everybody) => json!({"AWS": [everybody]}),
        Value::Object(kinds) => kinds
            .into_iter()
            .map(|(kind, names)| (kind, set(names, principal_name)))
            .collect(),
        other => other,
    }
}

/// AWS stores an account id as the ARN of the account's root.
fn principal_name(name: String) -> String {
    let parts: Vec<&str> = name.split(':').collect();
    match parts[..] {
        ["arn", _, "iam", "", account, "root"] => account.to_owned(),
        _ => name,
    }
}

fn canonical_condition(condition: Value) -> Value {
    let Value::Object(operators) = condition else {
        return condition;
    };
    operators
        .into_iter()
        .map(|(operator, keys)| {
            let keys = match keys {
                // Names of condition keys are matched without case.
                Value::Object(keys) => keys
                    .into_iter()
                    .map(|(key, values)| (key.to_ascii_lowercase(), set(values, |text| text)))
                    .collect(),
                other => other,
            };
            (operator, keys)
        })
        .collect()
}

/// One value or a list of them, as a sorted list of distinct texts. Numbers and booleans count as their text.
fn set(value: Value, normalise: impl Fn(String) -> String) -> Value {
    let texts = many(value)
        .into_iter()
        .map(|item| match item {
            Value::String(text) => Value::String(normalise(text)),
            Value::Bool(_) | Value::Number(_) => Value::String(item.to_string()),
            other => other,
        })
        .collect();
    let mut texts = sorted(texts);
    texts.dedup();
    Value::Array(texts)
}

fn many(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        single => vec![single],
    }
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_cached_key(Value::to_string);
    values
}

/// Objects keep the order they were written in; the comparison of texts in [`sorted`] needs one order.
fn sort_keys(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object
                .into_iter()
                .map(|(key, value)| (key, sort_keys(value)))
                .collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sort_keys).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::names;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_admin_policy_is_the_one_accounts_carry() {
        let document = admin_policy_document("aws", "111122223333");
        assert_eq!(document.len(), 5756);
        assert_eq!(
            hex::encode(Sha256::digest(document.as_bytes())),
            "61f24eaa68b6d5aecfd80b023b0907291c5170e85c645fd9beb1353d225e955b"
        );
        assert_eq!(names::policy_document(&document), Ok(()));
    }

    #[test]
    fn other_partitions() {
        let document = admin_policy_document("aws-us-gov", "111122223333");
        assert!(!document.contains("arn:aws:"));
        assert_eq!(names::policy_document(&document), Ok(()));
        assert_eq!(
            admin_policy_arn("aws-cn", "111122223333"),
            "arn:aws-cn:iam::111122223333:policy/PositTeamDedicatedAdmin"
        );
    }

    #[test]
    fn meaning_survives_layout_order_and_case() {
        let one = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":["b","a"],
            "Principal":{"AWS":"111122223333"},"Condition":{"Bool":{"aws:SecureTransport":false},"StringEquals":{"k":["x","y"]}}}}"#;
        let other = r#"{"Statement":[{"Resource":["a","b","a"],"Condition":{"StringEquals":{"K":["y","x"]},
            "Bool":{"aws:securetransport":["false"]}},"Principal":{"AWS":["arn:aws:iam::111122223333:root"]},
            "Action":["S3:getobject"],"Effect":"Allow"}],"Version":"2012-10-17"}"#;
        assert!(same_policy(one, other).expect("both parse"));
        assert!(
            same_policy(
                r#"{"Statement":{"Principal":"*"}}"#,
                r#"{"Statement":[{"Principal":{"AWS":"*"}}]}"#
            )
            .expect("parses")
        );
    }

    #[test]
    fn statement_order_does_not_matter() {
        let one = r#"{"Statement":[{"Sid":"a","Effect":"Allow"},{"Effect":"Deny","Sid":"b"}]}"#;
        let other = r#"{"Statement":[{"Sid":"b","Effect":"Deny"},{"Effect":"Allow","Sid":"a"}]}"#;
        assert!(same_policy(one, other).expect("both parse"));
    }

    #[test]
    fn differences_are_seen() {
        let base = r#"{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"X"}]}"#;
        for other in [
            r#"{"Statement":[{"Effect":"Deny","Action":"a:b","Resource":"X"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":["a:b","a:c"],"Resource":"X"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"x"}]}"#,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Resource":"X"}]}"#,
        ] {
            assert!(!same_policy(base, other).expect("both parse"), "{other}");
        }
    }

    #[test]
    fn encoded_documents_are_decoded_without_touching_plus() {
        let encoded = "%7B%22Statement%22%3A%5B%7B%22Sid%22%3A%22a+b%20c%22%7D%5D%7D";
        assert_eq!(
            decode_document(encoded).expect("decodes"),
            r#"{"Statement":[{"Sid":"a+b c"}]}"#
        );
        let plain = r#"{"Statement":[{"Resource":"100%25"}]}"#;
        assert_eq!(decode_document(plain).expect("stays"), plain);
        assert!(matches!(
            same_policy("{", "{}"),
            Err(PolicyError::NotJson(_))
        ));
        assert!(matches!(
            same_policy("%5B%5D", "{}"),
            Err(PolicyError::NotAnObject)
        ));
    }
}
