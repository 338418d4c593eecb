//! One line of JSON for every call, with request and reply, for bug reports. Secrets are never written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prost_types::Struct;
use pulumi_proto::pulumirpc as rpc;
use serde_json::{Map, Value, json};
use tonic::Status;

use crate::redact::{map_to_json, scrub};

/// Names the file that calls are logged to.
pub const CALL_LOG_ENV: &str = "PULUMI_PROVIDER_CALL_LOG";

/// Top-level properties that the schema calls secret, by token; the provider's own configuration has the empty token.
pub(crate) type SecretNames = BTreeMap<String, BTreeSet<String>>;

/// Where calls are logged, if anywhere.
#[derive(Clone, Default)]
pub(crate) struct CallLog {
    file: Option<Arc<Mutex<File>>>,
    secret: Arc<SecretNames>,
}

/// A call that is under way.
pub(crate) struct Entry {
    method: &'static str,
    token: String,
    request: Option<Value>,
    start: Instant,
}

/// A message as redacted JSON.
pub(crate) trait Record {
    fn record(&self) -> Value;
}

impl CallLog {
    pub(crate) fn to_file(path: &str) -> std::io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self {
            file: Some(Arc::new(Mutex::new(options.open(path)?))),
            secret: Arc::default(),
        })
    }

    /// Hides these properties also where a program did not mark them: that is what Check has yet to do.
    pub(crate) fn hiding(mut self, secret: SecretNames) -> Self {
        self.secret = Arc::new(secret);
        self
    }

    fn hide(&self, token: &str, mut message: Value) -> Value {
        if let (Some(names), Some(fields)) = (self.secret.get(token), message.as_object_mut()) {
            for map in fields.values_mut().filter_map(Value::as_object_mut) {
                for (name, value) in map.iter_mut() {
                    if names.contains(name) && !value.is_null() {
                        *value = "[secret]".into();
                    }
                }
            }
        }
        message
    }

    pub(crate) fn begin(&self, method: &'static str, request: &impl Record) -> Entry {
        let request = self.file.as_ref().map(|_| request.record());
        let token = match (method, &request) {
            ("CheckConfig" | "DiffConfig" | "Configure", _) | (_, None) => String::new(),
            (_, Some(request)) => token_of(request),
        };
        Entry {
            method,
            request: request.map(|request| self.hide(&token, request)),
            token,
            start: Instant::now(),
        }
    }

    pub(crate) fn end(&self, entry: &Entry, result: Result<&impl Record, &Status>) {
        let millis = entry.start.elapsed().as_secs_f64() * 1000.0;
        let code = result.err().map(Status::code);
        tracing::debug!(method = entry.method, millis, error = ?code, "call");
        let Some(file) = &self.file else { return };
        let line = json!({
            "method": entry.method,
            "request": entry.request,
            "milliseconds": (millis * 1000.0).round() / 1000.0,
            "response": result.ok().map(|reply| self.hide(&entry.token, reply.record())),
            "code": code.map(|c| format!("{c:?}")),
            "error": result.err().map(|s| scrub(s.message())),
        });
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}") {
            tracing::warn!(%error, "the call log cannot be written");
        }
    }
}

/// The type or function that a request is about.
fn token_of(request: &Value) -> String {
    let text = |field: &str| {
        request
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    match text("tok") {
        "" => crate::server::type_of(text("urn"), text("type")).to_owned(),
        token => token.to_owned(),
    }
}

fn properties(message: Option<&Struct>) -> Value {
    let Some(message) = message else {
        return Value::Null;
    };
    match crate::wire::decode(Some(message)) {
        Ok(map) => map_to_json(&map),
        Err(error) => Value::String(error.to_string()),
    }
}

fn failures(list: &[rpc::CheckFailure]) -> Value {
    list.iter()
        .map(|f| json!({ "property": f.property, "reason": scrub(&f.reason) }))
        .collect()
}

/// Says which fields of a message are written: texts and the like as they are, property maps with secrets hidden.
macro_rules! record {
    ($($message:ident { $($field:ident),* ; $($map:ident),* $(; $failures:ident)? })*) => {$(
        impl Record for rpc::$message {
            fn record(&self) -> Value {
                let mut fields = Map::new();
                $(fields.insert(name(stringify!($field)), json!(self.$field));)*
                $(fields.insert(name(stringify!($map)), properties(self.$map.as_ref()));)*
                $(fields.insert(name(stringify!($failures)), failures(&self.$failures));)?
                fields.into()
            }
        }
    )*};
}

fn name(field: &str) -> String {
    field.trim_start_matches("r#").to_owned()
}

record! {
    ProviderHandshakeRequest { configure_with_urn, supports_views, invoke_with_preview, accepts_byte_string ; }
    ProviderHandshakeResponse { accept_secrets, accept_resources, accept_outputs ; }
    GetSchemaRequest { version, subpackage_name, subpackage_version ; }
    CheckRequest { urn, name, r#type ; olds, news }
    CheckResponse { ; inputs ; failures }
    DiffRequest { id, urn, name, r#type, ignore_changes ; olds, old_inputs, news }
    DiffResponse { replaces, diffs, changes, delete_before_replace ; }
    ConfigureRequest { ; args }
    ConfigureResponse { accept_secrets, supports_preview ; }
    InvokeRequest { tok, preview ; args }
    InvokeResponse { ; r#return ; failures }
    CreateRequest { urn, name, r#type, timeout, preview ; properties }
    CreateResponse { id ; properties }
    ReadRequest { id, urn, name, r#type, timeout ; properties, inputs }
    ReadResponse { id ; properties, inputs }
    UpdateRequest { id, urn, name, r#type, timeout, preview, ignore_changes ; olds, old_inputs, news }
    UpdateResponse { ; properties }
    DeleteRequest { id, urn, name, r#type, timeout ; properties, old_inputs }
    CallRequest { tok, project, stack, dry_run ; args }
    CallResponse { ; r#return ; failures }
    ConstructRequest { project, stack, r#type, name, parent, dry_run, parallel, dependencies, ignore_changes ; inputs }
    ConstructResponse { urn ; state }
    PluginInfo { version ; }
    PluginAttach { address ; }
}

impl Record for () {
    fn record(&self) -> Value {
        Value::Null
    }
}

impl Record for rpc::GetSchemaResponse {
    /// The schema itself is in every release; its size is what may go wrong.
    fn record(&self) -> Value {
        json!({ "bytes": self.schema.len() })
    }
}
