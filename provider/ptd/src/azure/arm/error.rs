//! What Azure says when it does not do as asked.

use std::fmt;

use azure_core::http::headers::{HeaderName, Headers};
use pulumi_provider::{Error, RemoteError};
use serde_json::Value;

/// How much of an answer that is no JSON is shown.
const EXCERPT: usize = 200;

/// How deep errors within errors are followed.
const MAX_DEPTH: usize = 6;

/// Why a request, or the wait for what it started, ended without success.
#[derive(Clone)]
pub enum ArmError {
    /// The service refused or could not be reached.
    Service(Box<Refusal>),
    /// This side ended it: the run was cancelled, its time was up, or nothing could be sent at all.
    Ended(Box<Error>),
}

/// One answer that is not the one hoped for.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// What was attempted, such as `PUT key vault`.
    pub operation: String,
    /// On what, by its id.
    pub subject: String,
    /// The HTTP status; none when no answer came.
    pub status: Option<u16>,
    /// The service's code.
    pub code: Option<String>,
    /// The innermost code, as in Key Vault's `ForbiddenByRbac`.
    pub inner_code: Option<String>,
    /// A code beside the code, in Azure Kubernetes Service's errors.
    pub subcode: Option<String>,
    /// The property or resource that is the matter.
    pub target: Option<String>,
    /// The service's message, with those of nested errors.
    pub message: String,
    /// Names of policies that forbid it.
    pub policies: Vec<String>,
    /// The service's id of the request.
    pub request_id: Option<String>,
    /// The id by which support finds all that belongs together.
    pub correlation_id: Option<String>,
    /// What to do next, where the caller knows better than the code tells.
    pub hint: Option<String>,
    /// Whether the connection failed before any answer.
    pub unanswered: bool,
    /// Whether the answer has no code and a body that is no JSON, as those of proxies are.
    pub foreign: bool,
}

/// What to do where the answer cannot be Azure's.
pub(super) const PROXY: &str = "A proxy may have answered in Azure's place: run this again";

impl ArmError {
    /// The service's answer, where there is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Service(refusal) => Some(refusal),
            Self::Ended(_) => None,
        }
    }

    /// The service's code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.refusal()?.code.as_deref()
    }

    /// Whether the service's code, or the one within it, is one of these.
    #[must_use]
    pub fn is_code(&self, codes: &[&str]) -> bool {
        self.refusal().is_some_and(|refusal| refusal.is_code(codes))
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.refusal()?.status
    }

    /// Whether the thing is not there, as opposed to the subscription.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.refusal().is_some_and(Refusal::is_gone)
    }

    /// Whether the thing is not there as Azure itself says it: a page of a proxy's says nothing about it.
    #[must_use]
    pub fn is_surely_gone(&self) -> bool {
        self.is_gone() && self.refusal().is_some_and(|refusal| !refusal.foreign)
    }

    /// Replaces the next step that is shown.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Service(refusal) = &mut self {
            refusal.hint = Some(hint.into());
        }
        self
    }
}

impl Refusal {
    /// Reads an answer.
    #[must_use]
    pub fn read(
        operation: &str,
        subject: &str,
        status: u16,
        headers: &Headers,
        body: &[u8],
    ) -> Self {
        let header = |name: &'static str| {
            headers
                .get_optional_str(&HeaderName::from_static(name))
                .map(str::to_owned)
        };
        let mut refusal = Self {
            operation: operation.to_owned(),
            subject: subject.to_owned(),
            status: Some(status),
            request_id: header("x-ms-request-id"),
            correlation_id: header("x-ms-correlation-request-id"),
            ..Self::default()
        };
        let json = serde_json::from_slice::<Value>(body);
        refusal.foreign = json.is_err() && !body.trim_ascii().is_empty();
        match json {
            Ok(object @ Value::Object(_)) => refusal.read_object(&object),
            _ => refusal.message = excerpt(status, body),
        }
        if refusal.code.is_none() {
            refusal.code = header("x-ms-error-code");
        }
        refusal.foreign &= refusal.code.is_none();
        if refusal.message.is_empty() && refusal.code.is_none() {
            refusal.message = excerpt(status, body);
        }
        refusal
    }

    /// Reads the outcome of an operation that failed, which is in a body of status 200.
    #[must_use]
    pub fn of_operation(operation: &str, subject: &str, headers: &Headers, body: &Value) -> Self {
        let mut refusal = Self::read(operation, subject, 200, headers, b"{}");
        refusal.status = None;
        refusal.message.clear();
        refusal.code = None;
        refusal.read_object(body);
        if refusal.message.is_empty() {
            let state = body
                .get("status")
                .and_then(Value::as_str)
                .unwrap_or("Failed");
            refusal.message = format!("the operation ended as {state} without saying why");
        }
        refusal
    }

    /// Reads either envelope: the error within `error`, or flat.
    fn read_object(&mut self, body: &Value) {
        let node = match body.get("error").or_else(|| body.get("odata.error")) {
            Some(Value::String(code)) => {
                self.code = Some(code.clone());
                if let Some(text) = body.get("error_description").and_then(Value::as_str) {
                    text.trim().clone_into(&mut self.message);
                }
                return;
            }
            Some(node) if node.is_object() => node,
            _ => body,
        };
        let text = |name: &str| node.get(name).and_then(Value::as_str).map(str::to_owned);
        self.code = text("code").filter(|code| !code.is_empty());
        self.subcode = text("subcode").filter(|code| !code.is_empty());
        self.target = text("target").filter(|target| !target.is_empty());
        let mut told = Vec::new();
        self.gather(node, &mut told, 0);
        self.message = told.join("; ");
        self.inner_code = innermost(node.get("innererror").or_else(|| node.get("innerError")));
    }

    /// Collects messages and policies, of this error and of those within it.
    fn gather(&mut self, node: &Value, told: &mut Vec<String>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let own = match node.get("message") {
            Some(Value::String(text)) => text.trim().to_owned(),
            // The form of OData.
            Some(Value::Object(text)) => text
                .get("value")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            _ => String::new(),
        };
        // Some messages are errors as JSON.
        let nested = serde_json::from_str::<Value>(&own)
            .ok()
            .filter(Value::is_object)
            .map(|value| match value.get("error") {
                Some(error) if error.is_object() => error.clone(),
                _ => value,
            })
            .filter(|value| value.get("message").is_some() || value.get("code").is_some());
        if let Some(nested) = nested {
            self.gather(&nested, told, depth + 1);
        } else if !own.is_empty() {
            let code = node.get("code").and_then(Value::as_str);
            let line = match code {
                Some(code) if depth > 0 && !code.is_empty() => format!("{code}: {own}"),
                _ => own,
            };
            if !told.iter().any(|earlier| earlier.contains(&line)) {
                told.push(line);
            }
        }
        for entry in list(node, "additionalInfo") {
            let Some(info) = entry.get("info") else {
                continue;
            };
            let name = |keys: &[&str]| {
                keys.iter()
                    .find_map(|key| info.get(key).and_then(Value::as_str))
                    .map(str::to_owned)
            };
            let policy = name(&["policyDefinitionDisplayName", "policyDefinitionName"]);
            let assignment = name(&[
                "policyAssignmentDisplayName",
                "policyAssignmentName",
                "policyAssignmentId",
            ]);
            if let Some(line) = match (policy, assignment) {
                (Some(policy), Some(at)) => Some(format!("{policy} (assignment {at})")),
                (Some(one), None) | (None, Some(one)) => Some(one),
                (None, None) => None,
            } && !self.policies.contains(&line)
            {
                self.policies.push(line);
            }
        }
        for detail in list(node, "details") {
            self.gather(detail, told, depth + 1);
        }
    }

    /// A request that got no answer.
    #[must_use]
    pub fn unanswered(operation: &str, subject: &str, cause: &azure_core::Error) -> Self {
        let mut message = cause.to_string();
        let mut source = std::error::Error::source(cause);
        while let Some(inner) = source {
            let text = inner.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = inner.source();
        }
        Self {
            operation: operation.to_owned(),
            subject: subject.to_owned(),
            message,
            unanswered: true,
            hint: Some(
                "Check the network, the proxy variables (HTTPS_PROXY, NO_PROXY), the endpoints and the certificate authorities \
                 (REQUESTS_CA_BUNDLE, SSL_CERT_FILE)"
                    .to_owned(),
            ),
            ..Self::default()
        }
    }

    /// Whether the code, or the one within it, is one of these.
    #[must_use]
    pub fn is_code(&self, codes: &[&str]) -> bool {
        [&self.code, &self.inner_code, &self.subcode]
            .into_iter()
            .flatten()
            .any(|own| codes.iter().any(|code| own.eq_ignore_ascii_case(code)))
    }

    /// Whether the thing is not there. A subscription that is not found is none of it: the tenant may be the wrong one.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.status == Some(404)
            && !self.is_code(&[
                "SubscriptionNotFound",
                "InvalidSubscriptionId",
                "InvalidResourceType",
                "NoRegisteredProviderFound",
            ])
    }

    /// Whether something else is at work on the same thing, so that waiting helps.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        if self.status != Some(409) {
            return false;
        }
        if self.is_code(&[
            "AnotherOperationInProgress",
            "OperationPreempted",
            "StorageAccountOperationInProgress",
            "RetryableError",
            "ResourceGroupBeingDeleted",
            "ContainerBeingDeleted",
            "ObjectIsBeingDeleted",
            "ObjectIsBeingRecovered",
            "EtcdRaftTermMismatch",
        ]) {
            return true;
        }
        // The same code stands for quotas and skipped versions, which no wait mends.
        let text = self.message.to_ascii_lowercase();
        self.is_code(&["OperationNotAllowed", "Conflict", "ConflictError"])
            && (text.contains("another operation")
                || text.contains("aks-pending-operation")
                || text.contains("is in progress")
                || text.contains("in progress") && text.contains("operation"))
    }

    /// Whether the subscription has yet to register the service.
    #[must_use]
    pub fn wants_registration(&self) -> bool {
        self.status == Some(409)
            && self.is_code(&[
                "MissingSubscriptionRegistration",
                "MissingRegistrationForResourceProvider",
                "SubscriptionNotRegistered",
                "Subscription Not Registered",
            ])
    }

    /// The namespace of services that the refusal speaks of, such as `Microsoft.Network` where a cluster needs a load balancer.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let text = &self.message;
        let quoted = text
            .to_ascii_lowercase()
            .find("namespace '")
            .and_then(|at| text.get(at + "namespace '".len()..)?.split('\'').next());
        quoted
            .into_iter()
            .chain(self.target.as_deref())
            .find(|name| is_namespace(name))
    }

    /// Whether too much was asked at once.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.status == Some(429)
    }

    /// Whether the same request may well succeed in a moment.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        if self.unanswered {
            return !["invalid peer certificate", "Name or service not known"]
                .iter()
                .any(|lasting| self.message.contains(lasting));
        }
        matches!(self.status, Some(408 | 500 | 502 | 503 | 504))
    }

    fn next(&self) -> Option<String> {
        if let Some(hint) = &self.hint {
            return Some(hint.clone());
        }
        if self.wants_registration() {
            return Some(match self.namespace() {
                Some(name) => format!("Register it with `az provider register --namespace {name}`"),
                None => "Register the service with the subscription".to_owned(),
            });
        }
        let code = |codes: &[&str]| self.is_code(codes);
        let text = if code(&["InvalidAuthenticationTokenTenant"]) {
            "The subscription lives in another tenant than the credentials: set azure.tenantId to the subscription's tenant"
        } else if code(&["SubscriptionNotFound"]) {
            "Check azure.subscriptionId and azure.tenantId: the credentials do not see this subscription"
        } else if code(&["LinkedAuthorizationFailed"]) {
            "Grant the identity the named action on the linked resource"
        } else if code(&["AuthorizationFailed"]) {
            "Grant the identity the named action on the named scope; a grant takes some minutes to become effective"
        } else if code(&["RequestDisallowedByPolicy"]) {
            "Change the inputs so that the policy allows them, or ask for an exemption"
        } else if code(&["ScopeLocked", "ReadOnlyDisabledSubscription"]) {
            "An administrator has locked this: have the lock removed, then run this again"
        } else if code(&["InvalidResourceLocation", "InvalidResourceGroupLocation"]) {
            "It exists in another region: use that region, or another name"
        } else if self.status == Some(401) {
            "Sign in again, or renew the service principal's secret"
        } else if self.status == Some(429) {
            "Run this again later"
        } else if self.foreign && self.is_gone() {
            PROXY
        } else {
            return None;
        };
        Some(text.to_owned())
    }
}

fn list<'a>(node: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    node.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Whether it looks like `Microsoft.Network`; it becomes part of a URL.
fn is_namespace(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

fn innermost(node: Option<&Value>) -> Option<String> {
    let mut node = node?;
    let mut code = None;
    for _ in 0..MAX_DEPTH {
        if let Some(own) = node.get("code").and_then(Value::as_str) {
            code = Some(own.to_owned());
        }
        match node.get("innererror").or_else(|| node.get("innerError")) {
            Some(inner) => node = inner,
            None => break,
        }
    }
    code
}

/// What is shown of an answer that is no JSON: a gateway's page, or nothing.
fn excerpt(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.is_empty() || flat == "{}" {
        return format!("HTTP {status} without an explanation");
    }
    let short: String = flat.chars().take(EXCERPT).collect();
    let dots = if short.len() < flat.len() { "…" } else { "" };
    format!("HTTP {status}: {short}{dots}")
}

impl From<Refusal> for ArmError {
    fn from(refusal: Refusal) -> Self {
        Self::Service(Box::new(refusal))
    }
}

impl From<Error> for ArmError {
    fn from(error: Error) -> Self {
        Self::Ended(Box::new(error))
    }
}

impl From<ArmError> for Error {
    fn from(error: ArmError) -> Self {
        match error {
            ArmError::Ended(error) => *error,
            ArmError::Service(refusal) => {
                let next = refusal.next();
                let mut message = refusal.message.clone();
                let also = |text: String, message: &mut String| {
                    if !message.is_empty() {
                        message.push_str(". ");
                    }
                    message.push_str(&text);
                };
                if let Some(subcode) = &refusal.subcode {
                    also(format!("Subcode: {subcode}"), &mut message);
                }
                if let Some(inner) = &refusal.inner_code
                    && refusal.code.as_ref() != Some(inner)
                {
                    also(format!("Reason: {inner}"), &mut message);
                }
                if let Some(target) = &refusal.target {
                    also(format!("Target: {target}"), &mut message);
                }
                if !refusal.policies.is_empty() {
                    also(
                        format!("Policies: {}", refusal.policies.join(", ")),
                        &mut message,
                    );
                }
                let request_id = match (&refusal.request_id, &refusal.correlation_id) {
                    (Some(one), Some(other)) if one != other => {
                        Some(format!("{one}, correlation id {other}"))
                    }
                    (Some(one), _) | (None, Some(one)) => Some(one.clone()),
                    (None, None) => None,
                };
                RemoteError {
                    operation: refusal.operation,
                    subject: refusal.subject,
                    code: refusal.code,
                    message,
                    request_id,
                    next,
                }
                .into()
            }
        }
    }
}

impl fmt::Display for ArmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::from(self.clone()).fmt(f)
    }
}

impl fmt::Debug for ArmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(refusal) => refusal.fmt(f),
            Self::Ended(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ArmError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(status: u16, body: &str) -> Refusal {
        let mut headers = Headers::new();
        headers.insert("x-ms-request-id", "r-1");
        headers.insert("x-ms-correlation-request-id", "c-1");
        Refusal::read(
            "PUT key vault",
            "/subscriptions/s",
            status,
            &headers,
            body.as_bytes(),
        )
    }

    #[test]
    fn both_envelopes_are_read() {
        let nested = read(
            400,
            r#"{"error":{"code":"BadRequest","message":"no","target":"properties.x","details":[{"code":"Inner","message":"because"}]}}"#,
        );
        assert_eq!(nested.code.as_deref(), Some("BadRequest"));
        assert_eq!(nested.message, "no; Inner: because");
        assert_eq!(nested.target.as_deref(), Some("properties.x"));
        let flat = read(
            400,
            r#"{"code":"BadRequest","message":"no","subcode":"Sub"}"#,
        );
        assert_eq!(flat.code.as_deref(), Some("BadRequest"));
        let text = ArmError::from(flat).to_string();
        assert!(
            text.contains("Subcode: Sub") && text.contains("correlation id c-1"),
            "{text}"
        );
    }

    #[test]
    fn messages_that_are_json_are_opened() {
        let failed = serde_json::json!({"status": "Failed", "error": {
            "code": "CreateVMSSAgentPoolFailed",
            "message": "{\"error\":{\"code\":\"SkuNotAvailable\",\"message\":\"no such size\"}}",
        }});
        let refusal = Refusal::of_operation("PUT", "x", &Headers::new(), &failed);
        assert_eq!(refusal.code.as_deref(), Some("CreateVMSSAgentPoolFailed"));
        assert_eq!(refusal.message, "SkuNotAvailable: no such size");
    }

    /// Case 48.
    #[test]
    fn policies_are_named() {
        let refusal = read(
            403,
            r#"{"error":{"code":"RequestDisallowedByPolicy","message":"denied","additionalInfo":[{"type":"PolicyViolation","info":
                {"policyDefinitionDisplayName":"No public vaults","policyAssignmentName":"baseline"}}]}}"#,
        );
        let text = ArmError::from(refusal).to_string();
        assert!(
            text.contains("No public vaults (assignment baseline)"),
            "{text}"
        );
    }

    /// Case 59.
    #[test]
    fn pages_and_nothing_are_told_with_their_status() {
        let page = read(502, "<html>\n<h1>Bad   Gateway</h1>");
        assert_eq!(page.message, "HTTP 502: <html> <h1>Bad Gateway</h1>");
        assert_eq!(read(503, "").message, "HTTP 503 without an explanation");
        assert_eq!(
            read(500, "[1]").request_id.as_deref(),
            Some("r-1"),
            "the id is told all the same"
        );
    }

    /// Cases 19 and 20.
    #[test]
    fn only_other_operations_are_worth_a_wait() {
        let busy = read(
            409,
            r#"{"code":"OperationNotAllowed","message":"Operation is not allowed: another operation (c - Updating) is in progress, please wait"}"#,
        );
        assert!(busy.is_busy());
        let cluster = read(
            409,
            &json!({
                "code": "OperationNotAllowed",
                "message": "Operation is not allowed because there's an in progress update managed cluster operation on the managed \
                            cluster started at 2026-01-01T00:00:00Z. See https://aka.ms/aks-pending-operation for more details",
            })
            .to_string(),
        );
        assert!(cluster.is_busy());
        let linked = read(
            409,
            r#"{"code":"Conflict","message":"Not now: see https://aka.ms/aks-pending-operation"}"#,
        );
        assert!(linked.is_busy());
        let quota = read(
            409,
            r#"{"code":"OperationNotAllowed","message":"Operation could not be completed as it results in exceeding approved quota"}"#,
        );
        assert!(!quota.is_busy());
    }

    /// Cases 28 and 29.
    #[test]
    fn a_missing_subscription_is_not_a_missing_resource() {
        assert!(read(404, r#"{"error":{"code":"ResourceNotFound"}}"#).is_gone());
        assert!(read(404, r#"{"error":{"code":"ResourceGroupNotFound"}}"#).is_gone());
        assert!(!read(404, r#"{"error":{"code":"SubscriptionNotFound"}}"#).is_gone());
        assert!(!read(403, r#"{"error":{"code":"AuthorizationFailed"}}"#).is_gone());
    }

    #[test]
    fn inner_codes_count() {
        let refusal = read(
            403,
            r#"{"error":{"code":"Forbidden","message":"no","innererror":{"code":"ForbiddenByRbac"}}}"#,
        );
        assert!(refusal.is_code(&["ForbiddenByRbac"]));
    }
}
