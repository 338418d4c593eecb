//! `site_<name>/site.yaml`: what a site's generated resource is overridden with.

use std::collections::BTreeMap;

use serde_json::Value;

use super::decode::{Cx, Decoded};
use super::locate::{Contents, Located, names_in, read};
use super::problem::{Problem, Report, nearest};
use super::yaml::Document;

/// The overrides of each site that has a `site.yaml`.
pub(crate) fn read_all<'s>(
    located: &Located,
    sites: &(impl Iterator<Item = &'s String> + Clone),
    report: &mut Report,
) -> BTreeMap<String, Value> {
    let mut overrides = BTreeMap::new();
    for site in sites.clone() {
        let (path, file) = located.file(&format!("site_{site}/site.yaml"));
        if site.contains(['/', '\\', '\0']) {
            let message =
                format!("site {site:?} can have no such file: its name is no directory's");
            report
                .warnings
                .push(Problem::of_file(file.relative, message));
            continue;
        }
        let bytes = match read(&path) {
            Contents::Bytes(bytes) => bytes,
            Contents::Missing => continue,
            Contents::Unusable(why) => {
                report.problems.push(Problem::of_file(file.full, why));
                continue;
            }
        };
        let document = match Document::parse(&bytes) {
            Ok(document) => document,
            Err(error) => {
                let mut problem = Problem::of_file(file.full, error.message);
                (problem.line, problem.column) = (error.line, error.column);
                report.problems.push(problem);
                continue;
            }
        };
        let Some(root) = document.root() else {
            continue;
        };
        let mut cx = Cx::new(&document, file, report);
        match cx.json(root) {
            Decoded::Value(Value::Object(mut fields)) => match fields.remove("spec") {
                Some(Value::Object(spec)) => {
                    overrides.insert(site.clone(), Value::Object(spec));
                }
                Some(Value::Null) => {}
                Some(_) => {
                    cx.at("spec", |cx| {
                        cx.warn(Some(root), "expected a map; ignored");
                    });
                }
                None => cx.warn(Some(root), "there is no `spec`, so nothing is merged"),
            },
            Decoded::Value(_) => cx.error(Some(root), "expected a map"),
            Decoded::Null | Decoded::Failed => {}
        }
    }
    for directory in names_in(&located.directory) {
        let Some(site) = directory.strip_prefix("site_") else {
            continue;
        };
        if !sites.clone().any(|known| known == site) {
            let message = match nearest(site, sites.clone().map(String::as_str)) {
                Some(meant) => format!("there is no site `{site}`; did you mean `{meant}`?"),
                None => format!("there is no site `{site}`"),
            };
            let file = format!("{}/{directory}", located.relative);
            report.warnings.push(Problem::of_file(file, message));
        }
    }
    overrides
}
