//! What the inner runs of one run of the outer CLI came to, for people and for other programs.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use futures::future::BoxFuture;
use pulumi_automation::Operation;
use pulumi_provider::{Context, Error};
use serde::{Deserialize, Serialize};

use super::aside;
use super::run_folder::RunFolder;
use crate::Ptd;

/// How much of an error's text goes into a table; the report has all of it.
const SHOWN: usize = 120;

/// How an inner run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RunResult {
    /// All is as the program says.
    Succeeded,
    /// It ended with an error.
    Failed,
    /// It was interrupted.
    Cancelled,
}

/// One inner run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InnerRun {
    /// The name of the resource.
    name: String,
    /// Its URN.
    urn: String,
    /// The full name of the inner stack.
    stack: String,
    /// `up` or `destroy`.
    operation: String,
    /// RFC 3339.
    started: String,
    /// RFC 3339.
    ended: String,
    seconds: f64,
    result: RunResult,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How many resources it created, updated, replaced and so on, by operation.
    changes: BTreeMap<String, f64>,
}

/// The inner runs of one run of the outer CLI.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The same for all that belongs to one run.
    run: String,
    pub(crate) runs: Vec<InnerRun>,
}

/// RFC 3339, in UTC.
pub(super) fn text(time: SystemTime) -> String {
    // Times of this century always have a text.
    DateTime::from(time)
        .fmt(Format::DateTime)
        .unwrap_or_default()
}

impl InnerRun {
    /// The record of a run that has just ended.
    pub(super) fn new(
        cx: &Context<Ptd>,
        stack: &str,
        operation: Operation,
        took: Duration,
        changes: BTreeMap<String, f64>,
        reason: Option<String>,
    ) -> Self {
        let now = SystemTime::now();
        let result = if reason.is_none() {
            RunResult::Succeeded
        } else if cx.alive().is_err() {
            RunResult::Cancelled
        } else {
            RunResult::Failed
        };
        Self {
            name: cx.name().to_owned(),
            urn: cx.urn().to_owned(),
            stack: stack.to_owned(),
            operation: match operation {
                Operation::Destroy => "destroy".to_owned(),
                _ => "up".to_owned(),
            },
            started: text(now - took),
            ended: text(now),
            seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
            result,
            reason,
            changes,
        }
    }

    /// Whether it is that of the resource of this name.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        self.name == name
    }

    /// The row of a table: result, changes, duration and reason.
    pub(crate) fn row(&self) -> [String; 4] {
        let result = match self.result {
            RunResult::Succeeded => "succeeded",
            RunResult::Failed => "failed",
            RunResult::Cancelled => "cancelled",
        };
        let changes: Vec<String> = self
            .changes
            .iter()
            .map(|(operation, count)| format!("{operation} {count}"))
            .collect();
        let reason = self.reason.as_deref().unwrap_or_default();
        let first = reason.lines().next().unwrap_or_default();
        let mut short: String = first.chars().take(SHOWN).collect();
        if short.len() < reason.len() {
            short.push('…');
        }
        [
            result.to_owned(),
            changes.join(", "),
            format!("{:.1} s", self.seconds),
            short,
        ]
    }
}

impl Report {
    /// What has run in the run of this engine.
    pub(crate) fn of(engine: &str) -> Self {
        let found = RunFolder::of(engine).and_then(|folder| read(&folder.report()));
        found.unwrap_or_default()
    }

    /// A table for people.
    fn table(&self) -> String {
        let rows = self.runs.iter().map(|run| {
            let [result, changes, took, reason] = run.row();
            let name = format!("{} {}", run.operation, run.name);
            [name, result, changes, took, reason]
        });
        table(["run", "result", "changes", "time", "reason"], rows)
    }
}

tokio::task_local! {
    /// Whether the work at hand has a record already.
    static NOTED: Cell<bool>;
}

/// Does work that ends in an inner run. What fails before there is one is recorded as well.
pub(super) async fn noted<T>(
    cx: &Context<Ptd>,
    stack: &str,
    operation: Operation,
    work: BoxFuture<'_, Result<T, Error>>,
) -> Result<T, Error> {
    let begun = Instant::now();
    let work = async {
        let result = work.await;
        (result, NOTED.with(Cell::get))
    };
    let (result, noted) = NOTED.scope(Cell::new(false), work).await;
    if let (Err(error), false) = (&result, noted) {
        let reason = Some(error.to_string());
        let none = BTreeMap::new();
        note(
            cx,
            InnerRun::new(cx, stack, operation, begun.elapsed(), none, reason),
        )
        .await;
    }
    result
}

/// Adds a record to the report of this run, and to the file that the provider's configuration names. A report that cannot be
/// written is no reason to fail.
pub(super) async fn note(cx: &Context<Ptd>, record: InnerRun) {
    // Outside of such work nobody asks.
    let _ = NOTED.try_with(|noted| noted.set(true));
    let engine = cx.engine_address();
    let wanted = cx.provider().config.stacks.run_report.clone();
    let write = move || {
        let Some(folder) = engine.and_then(|engine| super::run::folder(&engine)) else {
            // Nothing says what belongs together: each process has a report of its own.
            let Some(wanted) = wanted else { return Ok(()) };
            let run = std::process::id().to_string();
            return add(Path::new(&wanted), &run, record).map(drop);
        };
        let report = add(&folder.report(), &folder.name(), record)?;
        match wanted {
            Some(wanted) => replace(Path::new(&wanted), &report),
            None => Ok(()),
        }
    };
    if let Err(error) = aside(write).await {
        cx.warn(format!("the report of this run cannot be written: {error}"))
            .await;
    }
}

fn read(path: &Path) -> io::Result<Report> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// Adds a record to a report, or begins a new one where the file is another run's.
fn add(path: &Path, run: &str, record: InnerRun) -> io::Result<Report> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let lock = super::run_folder::open(Path::new(&lock))?;
    lock.lock()?;
    let mut report = read(path)
        .ok()
        .filter(|report| report.run == run)
        .unwrap_or_default();
    run.clone_into(&mut report.run);
    report.runs.push(record);
    replace(path, &report)?;
    Ok(report)
}

/// Writes a report at once: nobody sees half of it.
fn replace(path: &Path, report: &Report) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    std::fs::create_dir_all(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(report)?)?;
    file.persist(path).map_err(|error| error.error).map(drop)
}

/// Columns as wide as what is in them.
pub(crate) fn table<const N: usize>(
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut all = vec![heads.map(str::to_owned)];
    all.extend(rows);
    let widths: Vec<usize> = (0..N)
        .map(|column| {
            let cells = all.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        })
        .collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// With this argument, the plugin prints the report in a file as a table.
pub const REPORT: &str = "report";

/// The table of the report in a file.
///
/// # Errors
///
/// When there is no report in that file.
pub fn report_table(path: &Path) -> io::Result<String> {
    let place =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    Ok(read(path).map_err(place)?.table())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, reason: Option<&str>) -> InnerRun {
        serde_json::from_value(serde_json::json!({
            "name": name, "urn": format!("urn:{name}"), "stack": "organization/p/s", "operation": "up",
            "started": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:02Z", "seconds": 2.0,
            "result": if reason.is_some() { "failed" } else { "succeeded" }, "reason": reason, "changes": {"create": 2.0},
        }))
        .unwrap()
    }

    #[test]
    fn a_report_is_of_one_run() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("report.json");
        add(&path, "one", record("a", None)).unwrap();
        add(&path, "one", record("b", None)).unwrap();
        assert_eq!(read(&path).unwrap().runs.len(), 2);
        add(&path, "two", record("c", Some("it broke\nbadly"))).unwrap();
        let table = report_table(&path).unwrap();
        assert_eq!(
            table,
            "run   result  changes   time   reason\nup c  failed  create 2  2.0 s  it broke…"
        );
        assert!(report_table(&place.path().join("none")).is_err());
    }
}
