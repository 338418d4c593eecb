//! Property paths: `a.b[0]["x.y"]`.

use std::fmt;

/// One step of a [`Path`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// A property or map key.
    Key(String),
    /// A list index.
    Index(usize),
}

/// Where a property stands in a resource; prints in the engine's own notation.
///
/// ```
/// use pulumi_provider::Path;
///
/// let path = Path::root().key("tags").key("team/owner");
/// assert_eq!(path.to_string(), r#"tags["team/owner"]"#);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Path(Vec<Step>);

impl Path {
    /// The resource itself.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The path of a key below this one.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.into()));
        Self(steps)
    }

    /// The path of a list element below this one.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// The steps from the resource down.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The top-level property that the path lies in.
    #[must_use]
    pub fn top(&self) -> Option<&str> {
        match self.0.first() {
            Some(Step::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// The longest part of the path that the engine can read: it has no way to write a key that ends in a backslash.
    pub(crate) fn readable(&self) -> Self {
        let bad = |step: &Step| matches!(step, Step::Key(key) if key.ends_with('\\'));
        let end = self.0.iter().position(bad).unwrap_or(self.0.len());
        Self(self.0[..end].to_vec())
    }

    /// Reads the notation this type prints. Anything that is not in it is taken as one key.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(parse(text).unwrap_or_else(|| vec![Step::Key(text.to_owned())]))
    }
}

fn plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if plain(key) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(key)?;
                }
                Step::Key(key) => {
                    write!(f, "[\"{}\"]", key.replace('"', "\\\""))?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn parse(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let mut key = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next()? {
                    // The engine knows one escape, and takes any other backslash as it is.
                    (i, '\\') if quoted[i + 1..].starts_with('"') => {
                        chars.next();
                        key.push('"');
                    }
                    (i, '"') => break i,
                    (_, c) => key.push(c),
                }
            };
            rest = quoted[end + 1..].strip_prefix(']')?;
            steps.push(Step::Key(key));
        } else if let Some(index) = rest.strip_prefix('[') {
            let (number, tail) = index.split_once(']')?;
            steps.push(match number {
                "*" => Step::Key(number.to_owned()),
                number => Step::Index(number.parse().ok()?),
            });
            rest = tail;
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 {
                return None;
            }
            steps.push(Step::Key(name[..end].to_owned()));
            rest = &name[end..];
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses() {
        for text in [
            "a",
            "a.b[0]",
            "a[\"x.y\"].c",
            "[\"a.b/c\"]",
            "[\"a.b\"][2].d",
            "a[\"q\\\"q\"]",
        ] {
            assert_eq!(Path::parse(text).to_string(), text);
        }
    }

    #[test]
    fn backslashes_are_read_as_the_engine_reads_them() {
        for key in ["a\\b", "\\", "q\\\"q", "\\\\x"] {
            let path = Path::root().key("tags").key(key);
            if path.readable() == path {
                assert_eq!(Path::parse(&path.to_string()), path, "{key}");
            } else {
                assert_eq!(path.readable().to_string(), "tags");
            }
        }
    }

    #[test]
    fn wildcards_stand_for_one_step() {
        let any = Step::Key("*".to_owned());
        for text in ["a[*].b", "a.*.b"] {
            assert_eq!(Path::parse(text).steps()[1], any, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_one_key() {
        assert_eq!(Path::parse("a[").to_string(), "[\"a[\"]");
        assert_eq!(Path::parse("").to_string(), "");
    }
}
