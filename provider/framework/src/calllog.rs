//! One line of JSON for every call, for bug reports.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tonic::Status;

/// Names the file that calls are logged to. Secrets are never written.
pub const CALL_LOG_ENV: &str = "PULUMI_PROVIDER_CALL_LOG";

/// Where calls are logged, if anywhere.
#[derive(Clone, Default)]
pub(crate) struct CallLog(Option<Arc<Mutex<File>>>);

pub(crate) struct Entry {
    method: &'static str,
    subject: String,
    start: Instant,
}

impl CallLog {
    pub(crate) fn to_file(path: &str) -> std::io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self(Some(Arc::new(Mutex::new(options.open(path)?)))))
    }

    pub(crate) fn begin(&self, method: &'static str, subject: &str) -> Entry {
        tracing::debug!(method, subject, "call");
        Entry { method, subject: subject.to_owned(), start: Instant::now() }
    }

    pub(crate) fn end(&self, entry: Entry, error: Option<&Status>) {
        let millis = entry.start.elapsed().as_secs_f64() * 1000.0;
        tracing::debug!(method = entry.method, subject = entry.subject, millis, error = ?error.map(Status::code), "done");
        let Some(file) = &self.0 else { return };
        let line = serde_json::json!({
            "method": entry.method,
            "subject": entry.subject,
            "milliseconds": (millis * 1000.0).round() / 1000.0,
            "code": error.map(|s| format!("{:?}", s.code())),
            "error": error.map(|s| crate::redact::scrub(s.message())),
        });
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}") {
            tracing::warn!(%error, "the call log cannot be written");
        }
    }
}
