//! The first document of a YAML file as a tree of nodes that know their place.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

/// Nested deeper than anything a person writes; keeps every walk over the tree within the stack.
const MAX_DEPTH: usize = 100;
/// More values than any real target has.
const MAX_NODES: usize = 500_000;

/// How many bytes may be read again after a repair.
const REPAIR_BUDGET: usize = 64 * 1024 * 1024;

/// Where a node is in its document.
pub(crate) type NodeId = usize;

/// A node of the document.
#[derive(Debug)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its explicit tag: `!!int` for the tags of YAML itself, otherwise as written.
    pub(crate) tag: Option<String>,
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
}

/// The kinds of node.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Text, and whether it stands without quotes and block markers.
    Scalar(String, bool),
    /// A list.
    List(Vec<NodeId>),
    /// A map, in file order.
    Map(Vec<(NodeId, NodeId)>),
    /// A reference to an anchored node.
    Alias(NodeId),
}

/// A parsed document.
#[derive(Debug, Default)]
pub(crate) struct Document {
    nodes: Vec<Node>,
    root: Option<NodeId>,
}

/// Text that is not YAML, or more of it than is reasonable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

impl Document {
    /// Reads the first document of `bytes`; later documents are not looked at.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, SyntaxError> {
        let mut text = decode_text(bytes)?;
        refuse_control_characters(&text)?;
        refuse_other_versions(&text)?;
        // Each attempt reads the text from its start; the budget keeps that from adding up.
        let mut budget = REPAIR_BUDGET;
        loop {
            let error = match Builder::default().document(&text) {
                Ok(document) => return Ok(document),
                Err(Failure::Meaning(error)) => return Err(error),
                Err(Failure::Scan(error)) => error,
            };
            budget = budget.saturating_sub(text.len());
            match tab_as_space(&text, &error).or_else(|| indented_quote(&text, &error)) {
                Some(repaired) if budget > 0 => text = repaired,
                _ => {
                    return Err(SyntaxError {
                        line: error.marker().line(),
                        column: error.marker().col() + 1,
                        message: format!("not valid YAML: {}", error.info()),
                    });
                }
            }
        }
    }

    /// The top node; none in an empty file.
    pub(crate) fn root(&self) -> Option<NodeId> {
        self.root
    }

    /// A node.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
}

enum Failure {
    Scan(ScanError),
    Meaning(SyntaxError),
}

#[derive(Debug, Default)]
struct Builder {
    document: Document,
    anchors: HashMap<usize, NodeId>,
    /// Collections still open, with the key that waits for its value.
    open: Vec<(NodeId, Option<NodeId>)>,
}

impl Builder {
    fn document(mut self, text: &str) -> Result<Document, Failure> {
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(Failure::Scan)?;
            if matches!(event, Event::DocumentEnd | Event::StreamEnd) {
                break;
            }
            self.event(event, &span).map_err(Failure::Meaning)?;
        }
        Ok(self.document)
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), SyntaxError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                if plain && text.starts_with(['|', '>', '%', '@', '`']) {
                    return Err(at(span, "text that starts like this needs quotes"));
                }
                if plain && text.is_empty() && tag.is_none() && self.expects_key() {
                    return Err(at(span, "an entry without a key"));
                }
                let kind = Kind::Scalar(text.into_owned(), plain);
                self.add(kind, anchor, tag.as_deref(), span)?;
            }
            Event::SequenceStart(anchor, tag) => {
                let id = self.add(Kind::List(Vec::new()), anchor, tag.as_deref(), span)?;
                self.open.push((id, None));
            }
            Event::MappingStart(anchor, tag) => {
                let id = self.add(Kind::Map(Vec::new()), anchor, tag.as_deref(), span)?;
                self.open.push((id, None));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
            }
            Event::Alias(anchor) => {
                let Some(target) = self.anchors.get(&anchor).copied() else {
                    return Err(at(span, "this alias refers to no anchor"));
                };
                self.add(Kind::Alias(target), 0, None, span)?;
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        if self.open.len() > MAX_DEPTH {
            return Err(at(
                span,
                &format!("nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        Ok(())
    }

    /// Whether the next node is the key of a map.
    fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|(collection, key)| {
            key.is_none() && matches!(self.document.nodes[*collection].kind, Kind::Map(_))
        })
    }

    fn add(
        &mut self,
        kind: Kind,
        anchor: usize,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<NodeId, SyntaxError> {
        let nodes = &mut self.document.nodes;
        let id = nodes.len();
        if id >= MAX_NODES {
            return Err(at(span, &format!("more than {MAX_NODES} values")));
        }
        nodes.push(Node {
            kind,
            tag: tag.and_then(short_tag),
            line: span.start.line(),
            column: span.start.col() + 1,
        });
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        match self.open.last_mut() {
            None => self.document.root = Some(id),
            Some((parent, key)) => match (&mut nodes[*parent].kind, key.take()) {
                (Kind::List(items), _) => items.push(id),
                (Kind::Map(entries), Some(key)) => entries.push((key, id)),
                (_, None) => *key = Some(id),
                (_, Some(_)) => {}
            },
        }
        Ok(id)
    }
}

fn at(span: &Span, message: &str) -> SyntaxError {
    SyntaxError {
        line: span.start.line(),
        column: span.start.col() + 1,
        message: message.to_owned(),
    }
}

fn short_tag(tag: &Tag) -> Option<String> {
    let full = format!("{}{}", tag.handle, tag.suffix);
    match full.strip_prefix("tag:yaml.org,2002:") {
        Some(name) => Some(format!("!!{name}")),
        // The non-specific tag says nothing.
        None if full == "!" || full.is_empty() => None,
        None => Some(full),
    }
}

/// UTF-8, or UTF-16 with a byte order mark.
fn decode_text(bytes: &[u8]) -> Result<String, SyntaxError> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().copied().map(unit).collect();
        let text = String::from_utf16(&units).ok();
        text.filter(|_| rest.is_empty()).ok_or(SyntaxError {
            line: 1,
            column: 1,
            message: "not valid UTF-16 text".into(),
        })
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, SyntaxError> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|error| {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let (line, column) = position(&good);
            SyntaxError {
                line,
                column,
                message: "not valid UTF-8 text".into(),
            }
        })
}

fn refuse_control_characters(text: &str) -> Result<(), SyntaxError> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    match text.char_indices().find(|(_, c)| !allowed(*c)) {
        None => Ok(()),
        Some((index, c)) => {
            let (line, column) = position(&text[..index]);
            Err(SyntaxError {
                line,
                column,
                message: format!("control character U+{:04X} is not allowed", u32::from(c)),
            })
        }
    }
}

/// The scanner wants every line of a quoted text indented, the reference does not, and indentation there has no meaning:
/// `text` with the quoted text at the place of that error indented, if it is that error.
fn indented_quote(text: &str, error: &ScanError) -> Option<String> {
    if error.info() != "invalid indentation in quoted scalar" {
        return None;
    }
    let (start, quote) = text.char_indices().nth(error.marker().index())?;
    let indent = " ".repeat(error.marker().col() + 1);
    let mut repaired = text[..=start].to_owned();
    let mut rest = text[start..].strip_prefix(['"', '\''])?.chars();
    while let Some(c) = rest.next() {
        repaired.push(c);
        if c == quote {
            // Two single quotes stand for one.
            if quote == '\'' && rest.as_str().starts_with(quote) {
                repaired.extend(rest.next());
                continue;
            }
            repaired.push_str(rest.as_str());
            return (repaired.len() > text.len()).then_some(repaired);
        }
        if c == '\\' && quote == '"' {
            let escaped = rest.next()?;
            repaired.push(escaped);
            if escaped != '\n' {
                continue;
            }
        }
        if repaired.ends_with('\n') {
            if rest.as_str().starts_with("---") || rest.as_str().starts_with("...") {
                return None;
            }
            repaired.push_str(&indent);
        }
    }
    None
}

/// The reference knows YAML 1.1 only.
fn refuse_other_versions(text: &str) -> Result<(), SyntaxError> {
    let head = text
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(['#', '%']));
    for (index, line) in head.enumerate() {
        if let Some(version) = line.strip_prefix("%YAML ")
            && version.split_whitespace().next() != Some("1.1")
        {
            return Err(SyntaxError {
                line: index + 1,
                column: 1,
                message: format!("expected YAML 1.1, found {}", version.trim()),
            });
        }
    }
    Ok(())
}

/// The scanner refuses a tab between `:` and a word, which the reference takes: `text` with the tabs before the place
/// of that error as spaces, if it is that error.
fn tab_as_space(text: &str, error: &ScanError) -> Option<String> {
    if !error.info().starts_with("':' must be followed") {
        return None;
    }
    let (at, _) = text.char_indices().nth(error.marker().index())?;
    let before = text[..at].trim_end_matches([' ', '\t']);
    let blanks = &text[before.len()..at];
    blanks.contains('\t').then(|| {
        let spaces = " ".repeat(blanks.len());
        format!("{before}{spaces}{}", &text[at..])
    })
}

/// The line and column, from 1, right after `text`.
fn position(text: &str) -> (usize, usize) {
    let line = text.matches('\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or(text).chars().count() + 1;
    (line, column)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn failure(bytes: &[u8]) -> SyntaxError {
        Document::parse(bytes).map(|_| ()).unwrap_err()
    }

    #[test]
    fn only_the_first_document_counts() {
        let document = Document::parse(b"a: 1\n---\nb: [\n").unwrap();
        let Kind::Map(entries) = &document.node(document.root().unwrap()).kind else {
            panic!("not a map")
        };
        assert_eq!(entries.len(), 1);
        assert!(
            matches!(&document.node(entries[0].0).kind, Kind::Scalar(text, true) if text == "a")
        );
    }

    #[test]
    fn nodes_know_line_and_column() {
        let document = Document::parse(b"a:\n  b: \"c\"\n").unwrap();
        let root = document.node(document.root().unwrap());
        let Kind::Map(outer) = &root.kind else {
            panic!("not a map")
        };
        let Kind::Map(inner) = &document.node(outer[0].1).kind else {
            panic!("not a map")
        };
        let value = document.node(inner[0].1);
        assert_eq!((value.line, value.column), (2, 6));
    }

    #[test]
    fn empty_files_have_no_root_worth_reading() {
        for text in ["", "\n\n", "# only a comment\n"] {
            assert!(
                Document::parse(text.as_bytes()).unwrap().root().is_none(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn broken_text_says_where() {
        assert_eq!(failure(b"a: 1\nb: \x01\n").line, 2);
        assert_eq!(
            failure(b"a: 1\nb: \xff\n"),
            SyntaxError {
                line: 2,
                column: 4,
                message: "not valid UTF-8 text".into()
            }
        );
        let error = failure(b"a: 1\nb: [1, 2\nc: 3\n");
        assert!(
            error.line >= 2 && error.message.starts_with("not valid YAML"),
            "{error:?}"
        );
        assert!(failure(b"a: *nowhere\n").message.contains("anchor"));
    }

    #[test]
    fn what_the_reference_refuses_is_refused() {
        assert!(failure(b"a: 1\n: 2\n").message.contains("without a key"));
        assert!(failure(b"a: [>x]\n").message.contains("needs quotes"));
        assert!(
            failure(b"%YAML 1.2\n---\na: 1\n")
                .message
                .contains("YAML 1.1")
        );
        assert!(Document::parse(b"%YAML 1.1\n---\na: 1\n").is_ok());
    }

    #[test]
    fn tabs_after_a_colon_are_taken_as_spaces() {
        let document = Document::parse(b"a:\tx\nb: \t y\nc: |\n  k:\tv\n").unwrap();
        let texts: Vec<_> = document
            .nodes
            .iter()
            .filter_map(|node| match &node.kind {
                Kind::Scalar(text, _) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["a", "x", "b", "y", "c", "k:\tv\n"]);
    }

    #[test]
    fn quoted_text_needs_no_indentation() {
        let text = "a:\n  b: \"x\ny\\\n \\\" z\"\n  c: 'it''s\n\nso'\n";
        let document = Document::parse(text.as_bytes()).unwrap();
        let texts: Vec<_> = document
            .nodes
            .iter()
            .filter_map(|node| match &node.kind {
                Kind::Scalar(text, false) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["x y\" z", "it's\nso"]);
        assert!(Document::parse(b"a:\n  b: \"x\n--- y\"\n").is_err());
        assert!(Document::parse(b"a:\n  b: \"x\ny\n").is_err());
    }

    #[test]
    fn byte_order_marks_are_honoured() {
        let text = "a: b\n";
        let mut le = vec![0xff, 0xfe];
        le.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        let mut utf8 = vec![0xef, 0xbb, 0xbf];
        utf8.extend(text.bytes());
        for bytes in [le, utf8] {
            let document = Document::parse(&bytes).unwrap();
            assert!(matches!(
                document.node(document.root().unwrap()).kind,
                Kind::Map(_)
            ));
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        for deep in ["[".repeat(150), "- ".repeat(5000), "{a: ".repeat(150)] {
            let error = failure(deep.as_bytes());
            assert!(error.message.contains("levels deep"), "{error:?}");
        }
        // The scanner has a bound of its own.
        assert!(Document::parse("[".repeat(100_000).as_bytes()).is_err());
        let wide = format!("[{}]", "1,".repeat(MAX_NODES + 1));
        assert!(failure(wide.as_bytes()).message.contains("values"));
    }
}
