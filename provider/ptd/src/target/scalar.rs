//! What a YAML scalar means: the rules of the Go library the reference reads its files with (goyaml v3),
//! a mixture of YAML 1.1 and 1.2.

/// A scalar after resolution. The text as written stays with the node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Resolved {
    /// `~`, `null` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above the signed range.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// A date or a date with time.
    Timestamp,
    /// Text.
    Text,
}

impl Resolved {
    /// The YAML type name.
    fn tag(self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Uint(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Timestamp => "!!timestamp",
            Self::Text => "!!str",
        }
    }
}

/// Resolves the scalar `text`. `plain` says that it carries no quotes and is no block scalar, `tag` is its explicit
/// tag in short form. The error says which type the tag asks for and which one the text has.
pub(crate) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Resolved, String> {
    match tag {
        None => Ok(if plain {
            untagged(text, true)
        } else {
            Resolved::Text
        }),
        Some(tag @ ("!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp")) => {
            let found = untagged(text, tag == "!!timestamp");
            match (tag, found) {
                #[allow(clippy::cast_precision_loss)] // what the reference does
                ("!!float", Resolved::Int(value)) => Ok(Resolved::Float(value as f64)),
                (tag, found) if found.tag() == tag => Ok(found),
                (tag, found) => Err(format!("`{text}` is tagged {tag} but is {}", found.tag())),
            }
        }
        // `!!str`, and tags that mean nothing here.
        Some(_) => Ok(Resolved::Text),
    }
}

fn untagged(text: &str, timestamps: bool) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => decimal(text).map_or(Resolved::Text, Resolved::Float),
        b'+' | b'-' | b'0'..=b'9' => {
            if timestamps && is_timestamp(text) {
                return Resolved::Timestamp;
            }
            let digits = text.replace('_', "");
            integer(&digits)
                .or_else(|| decimal(&digits).map(Resolved::Float))
                .unwrap_or(Resolved::Text)
        }
        _ => Resolved::Text,
    }
}

/// A whole number with an optional sign and an optional base: `0x`, `0o`, `0b`, or a bare leading zero for octal.
fn integer(text: &str) -> Option<Resolved> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // from_str_radix would take a second sign.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        let value = i64::try_from(-i128::from(magnitude)).ok()?;
        return Some(Resolved::Int(value));
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Resolved::Int(value)),
        // A plus sign is not taken above the signed range.
        Err(_) if text.starts_with('+') => None,
        Err(_) => Some(Resolved::Uint(magnitude)),
    }
}

fn decimal(text: &str) -> Option<f64> {
    let plausible = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let value: f64 = plausible.then(|| text.parse().ok()).flatten()?;
    value.is_finite().then_some(value)
}

/// Whether `text` is `2025-1-2`, alone or followed by a time.
fn is_timestamp(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some((&text[at..=at], &text[at + 1..]))),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let number = |part: &str, digits: std::ops::RangeInclusive<usize>, max: u32| {
        digits.contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse::<u32>().is_ok_and(|value| value <= max)
    };
    let [year, month, day] = parts[..] else {
        return false;
    };
    if !(number(year, 4..=4, 9999)
        && number(month, 1..=2, 12)
        && number(day, 1..=2, 31)
        && !month.trim_matches('0').is_empty()
        && !day.trim_matches('0').is_empty())
    {
        return false;
    }
    let Some((separator, time)) = time else {
        return true;
    };
    let clock = if separator == " " {
        time
    } else if let Some(clock) = time.strip_suffix('Z') {
        clock
    } else {
        // An offset such as +02:00.
        let Some((clock, offset)) = time
            .len()
            .checked_sub(6)
            .and_then(|at| time.split_at_checked(at))
        else {
            return false;
        };
        let offset_is_one = matches!(offset.as_bytes(), [b'+' | b'-', _, _, b':', _, _])
            && number(&offset[1..3], 2..=2, 24)
            && number(&offset[4..6], 2..=2, 60);
        if !offset_is_one {
            return false;
        }
        clock
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts[..] else {
        return false;
    };
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    number(hour, 1..=2, 23)
        && number(minute, 1..=2, 59)
        && number(second, 1..=2, 59)
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
}

/// The bytes of a `!!binary` scalar as text, or nothing when it is not base64.
pub(crate) fn binary(text: &str) -> Option<String> {
    let input: Vec<u8> = text
        .bytes()
        .filter(|b| !matches!(b, b'\r' | b'\n'))
        .collect();
    if !input.len().is_multiple_of(4) {
        return None;
    }
    let padding = input.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(input.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for b in &input[..input.len() - padding] {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0x3fff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_resolve_as_in_the_reference() {
        let cases = [
            ("", Resolved::Null),
            ("~", Resolved::Null),
            ("null", Resolved::Null),
            ("nUll", Resolved::Text),
            ("true", Resolved::Bool(true)),
            ("FALSE", Resolved::Bool(false)),
            ("yes", Resolved::Text),
            ("12", Resolved::Int(12)),
            ("+12", Resolved::Int(12)),
            ("-7", Resolved::Int(-7)),
            ("1_000", Resolved::Int(1000)),
            ("0x3", Resolved::Int(3)),
            ("-0x10", Resolved::Int(-16)),
            ("0o17", Resolved::Int(15)),
            ("0b101", Resolved::Int(5)),
            ("010", Resolved::Int(8)),
            ("08", Resolved::Float(8.0)),
            ("0", Resolved::Int(0)),
            ("-0", Resolved::Int(0)),
            ("9223372036854775807", Resolved::Int(i64::MAX)),
            ("-9223372036854775808", Resolved::Int(i64::MIN)),
            (
                "9223372036854775808",
                Resolved::Uint(9_223_372_036_854_775_808),
            ),
            (
                "99999999999999999999",
                Resolved::Float(99_999_999_999_999_999_999.0),
            ),
            ("2.0", Resolved::Float(2.0)),
            ("2.", Resolved::Float(2.0)),
            (".5", Resolved::Float(0.5)),
            ("1e3", Resolved::Float(1000.0)),
            ("1e999", Resolved::Text),
            ("--1", Resolved::Text),
            ("0x", Resolved::Text),
            ("1.2.3", Resolved::Text),
            ("15.10", Resolved::Float(15.10)),
            ("2025-01-15", Resolved::Timestamp),
            ("2025-13-15", Resolved::Text),
            ("2025-01-15T10:00:00Z", Resolved::Timestamp),
            ("2025-01-15 10:00:00.5", Resolved::Timestamp),
            ("2025-01-15T10:00:00+02:00", Resolved::Timestamp),
            ("2025-01-15T10:00", Resolved::Text),
            ("infinity", Resolved::Text),
            (".inf", Resolved::Float(f64::INFINITY)),
            ("v1.2", Resolved::Text),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(text, true, None), Ok(expected), "{text:?}");
        }
        assert!(matches!(resolve(".nan", true, None), Ok(Resolved::Float(f)) if f.is_nan()));
    }

    #[test]
    fn quotes_and_tags_decide_first() {
        assert_eq!(resolve("true", false, None), Ok(Resolved::Text));
        assert_eq!(resolve("12", true, Some("!!str")), Ok(Resolved::Text));
        assert_eq!(resolve("12", false, Some("!!int")), Ok(Resolved::Int(12)));
        assert_eq!(
            resolve("3", true, Some("!!float")),
            Ok(Resolved::Float(3.0))
        );
        assert_eq!(resolve("x", true, Some("!custom")), Ok(Resolved::Text));
        assert_eq!(
            resolve("yes", true, Some("!!bool")),
            Err("`yes` is tagged !!bool but is !!str".into())
        );
        assert!(resolve("3.5", true, Some("!!int")).is_err());
    }

    #[test]
    fn binary_is_base64() {
        assert_eq!(binary("aGVsbG8="), Some("hello".into()));
        assert_eq!(binary("aGVs\nbG8="), Some("hello".into()));
        assert_eq!(binary("aGVsbG8"), None);
        assert_eq!(binary("????"), None);
    }
}
