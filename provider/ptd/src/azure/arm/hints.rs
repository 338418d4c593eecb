//! How long a service asks to be left alone.

use std::time::Duration;

use azure_core::http::headers::{HeaderName, Headers};
use azure_core::time::{OffsetDateTime, parse_rfc7231};

/// The longest wait that is taken at its word: more than any service asks for, short of an accident.
pub(super) const LONGEST: Duration = Duration::from_mins(30);

/// The shortest wait that a hint in seconds or as a date gives: `0` is no invitation to ask without a pause.
const SHORT: Duration = Duration::from_secs(1);

/// The shortest wait that a hint in milliseconds gives.
const SHORTEST: Duration = Duration::from_millis(20);

/// The wait that an answer asks for, in bounds. Nothing where it asks for none, or for nonsense.
#[must_use]
pub(super) fn retry_after(headers: &Headers) -> Option<Duration> {
    hint(headers).map(|(wait, shortest)| wait.clamp(shortest, LONGEST))
}

/// Whether an answer asks for a wait that is worth the name: whoever keeps it may ask again as often as it takes.
#[must_use]
pub(super) fn asks_for_a_wait(headers: &Headers) -> bool {
    hint(headers).is_some_and(|(wait, _)| wait >= SHORT)
}

/// The wait as it was asked for, and the shortest that is taken.
fn hint(headers: &Headers) -> Option<(Duration, Duration)> {
    let text = |name: &'static str| headers.get_optional_str(&HeaderName::from_static(name));
    let millis = ["retry-after-ms", "x-ms-retry-after-ms"]
        .into_iter()
        .filter_map(text)
        .find_map(|value| value.trim().parse::<u64>().ok())
        .map(|millis| (Duration::from_millis(millis), SHORTEST));
    millis.or_else(|| {
        let value = text("retry-after")?.trim();
        let wait = match value.parse::<f64>() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Err(_) => until(value),
        };
        wait.map(|wait| (wait, SHORT))
    })
}

/// The time until an HTTP date; nothing for one that has passed long ago.
fn until(date: &str) -> Option<Duration> {
    let left = parse_rfc7231(date).ok()? - OffsetDateTime::now_utc();
    Some(Duration::try_from(left).unwrap_or_default())
}

/// A pause that grows with each attempt, from `initial` to `max`.
#[must_use]
pub(crate) fn growing(attempt: u32, initial: Duration, max: Duration) -> Duration {
    initial
        .saturating_mul(1_u32.checked_shl(attempt.min(16)).unwrap_or(u32::MAX))
        .min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> Headers {
        let mut headers = Headers::new();
        headers.insert(name, value.to_owned());
        headers
    }

    fn hint(name: &'static str, value: &str) -> Option<Duration> {
        retry_after(&headers(name, value))
    }

    #[test]
    fn a_wait_of_nothing_is_none() {
        for (name, value, asks) in [
            ("retry-after", "0", false),
            ("retry-after", "1", true),
            ("retry-after", "Fri, 01 Jan 2021 00:00:00 GMT", false),
            ("retry-after-ms", "20", false),
            ("retry-after-ms", "2000", true),
        ] {
            assert_eq!(
                asks_for_a_wait(&headers(name, value)),
                asks,
                "{name}: {value}"
            );
        }
    }

    /// Case 15.
    #[test]
    fn all_spellings_within_bounds() {
        assert_eq!(hint("retry-after", "60"), Some(Duration::from_mins(1)));
        assert_eq!(
            hint("retry-after-ms", "250"),
            Some(Duration::from_millis(250))
        );
        assert_eq!(
            hint("x-ms-retry-after-ms", "250"),
            Some(Duration::from_millis(250))
        );
        assert_eq!(hint("retry-after-ms", "0"), Some(SHORTEST));
        for soon in ["0", "0.2", "Fri, 01 Jan 2021 00:00:00 GMT"] {
            assert_eq!(
                hint("retry-after", soon),
                Some(Duration::from_secs(1)),
                "{soon}"
            );
        }
        assert_eq!(hint("retry-after", "-5"), None);
        assert_eq!(hint("retry-after", "soon"), None);
        assert_eq!(hint("retry-after", "1e300"), None);
        assert_eq!(hint("retry-after", "999999999"), Some(LONGEST));
        let future = hint("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT");
        assert_eq!(future, Some(LONGEST));
    }

    #[test]
    fn pauses_grow_to_their_limit() {
        let (first, last) = (Duration::from_millis(250), Duration::from_secs(10));
        assert_eq!(growing(0, first, last), first);
        assert_eq!(growing(2, first, last), Duration::from_secs(1));
        assert_eq!(growing(40, first, last), last);
    }
}
