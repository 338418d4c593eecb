//! What is wrong with a target's files, and where.

use std::fmt;

/// One thing wrong in one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file (or directory) concerned, as a path a reader can open.
    pub file: String,
    /// Line, counted from 1; 0 when the problem is the file itself.
    pub line: usize,
    /// Column in characters, counted from 1; 0 when the problem is the file itself.
    pub column: usize,
    /// Path inside the document, for example `spec.sites.main.spec.domain`; empty at its root.
    pub path: String,
    /// What was found and what is expected.
    pub message: String,
}

impl Problem {
    /// A problem with a file or directory as a whole.
    pub(crate) fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            path: String::new(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything wrong with a target, found in one pass. Displays one problem a line, in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadErrors {
    /// The target that was asked for.
    pub target: String,
    /// The problems; never empty.
    pub problems: Vec<Problem>,
}

impl LoadErrors {
    /// The error made of `problem` alone.
    pub(crate) fn one(target: &str, problem: Problem) -> Self {
        Self {
            target: target.to_owned(),
            problems: vec![problem],
        }
    }
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}

/// Errors and warnings gathered over all files of a target.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What makes the target unusable.
    pub(crate) problems: Vec<Problem>,
    /// What is accepted, but hardly what the author meant.
    pub(crate) warnings: Vec<Problem>,
}

/// The known name closest to `name`, if one is close enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes a name of that length, and comparing it takes long.
    if name.len() > 200 {
        return None;
    }
    // A third of the letters wrong is the most a slip of the fingers explains.
    let bound = (name.chars().count() / 3).max(1);
    let folded = fold(name);
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&folded, &fold(candidate)),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `name` as it would read in lower snake case: `accountID`, `Account-Id` and `account_id` are the same.
pub(crate) fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && after_lower {
            folded.push('_');
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
        if c == '-' {
            folded.push('_');
        } else {
            folded.extend(c.to_lowercase());
        }
    }
    folded
}

/// A list of names as prose: `a, b and c`, each in backquotes.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, head)) => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_spellings_together() {
        for spelling in [
            "account_id",
            "accountId",
            "account-id",
            "AccountID",
            "ACCOUNT_ID",
        ] {
            assert_eq!(fold(spelling), "account_id", "{spelling}");
        }
        assert_eq!(fold("db2Class"), "db2_class");
    }

    #[test]
    fn nearest_is_close_or_nothing() {
        let known = ["region", "account_id", "db_engine_version"];
        assert_eq!(nearest("regoin", known), Some("region"));
        assert_eq!(nearest("dbEngineVersoin", known), Some("db_engine_version"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn problems_display_one_a_line() {
        let errors = LoadErrors {
            target: "t".into(),
            problems: vec![
                Problem {
                    file: "a.yaml".into(),
                    line: 3,
                    column: 5,
                    path: "spec.region".into(),
                    message: "bad".into(),
                },
                Problem::of_file("b.yaml", "missing"),
            ],
        };
        assert_eq!(
            errors.to_string(),
            "a.yaml:3:5: spec.region: bad\nb.yaml: missing"
        );
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
