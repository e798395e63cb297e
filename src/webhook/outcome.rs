//! How an attempt ended, and what that means for its delivery.
//!
//! A type from the client to the scheduler; Kazoo's strings appear only where attempts are shown. It decides nothing
//! about time: `retry` does.

use std::time::{Duration, SystemTime};

use crate::webhook::request::Verb;

/// What is to become of a delivery after one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// Failed; worth another try, not before `after` where the receiver asked for that.
    Retry {
        after: Option<Duration>,
        reason: Reason,
    },
    /// Failed, and no further try can end otherwise.
    Refused {
        reason: Reason,
    },
    /// The receiver says that the endpoint is no more (410).
    Gone,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    BadStatus(u16),
    /// No complete answer; the text says why.
    Client(String),
}

impl Reason {
    /// The `reason` of an attempt, in Kazoo's words.
    pub fn kazoo(&self) -> &'static str {
        match self {
            Self::BadStatus(_) => "bad response code",
            Self::Client(_) => "kazoo http client error",
        }
    }

    /// The `client_error` of an attempt.
    pub fn client_error(&self) -> Option<&str> {
        match self {
            Self::BadStatus(_) => None,
            Self::Client(error) => Some(error),
        }
    }
}

/// The status codes that count as success beside 200 (and 201 for `put`), which always do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SuccessCodes(Box<[(u16, u16)]>);

/// The text is no list of status codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a status code from 200 to 599 nor a class from 2xx to 5xx")]
pub struct BadCode(pub String);

impl SuccessCodes {
    /// Codes and classes with commas between them: `2xx`, `200,204`, `2xx,304`.
    pub fn parse(text: &str) -> Result<Self, BadCode> {
        text.split(',')
            .map(str::trim)
            .map(|item| range(item).ok_or_else(|| BadCode(item.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub fn matches(&self, status: u16, verb: Verb) -> bool {
        let always = status == 200 || (status == 201 && verb == Verb::Put);
        always || self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }

    /// These and the other's: a hook's own and the system's.
    pub fn widened_by(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).copied().collect())
    }
}

/// What a complete answer means. `retry_after` is the header's value, seconds or a date.
pub fn judge(status: u16, verb: Verb, success: &SuccessCodes, retry_after: Option<&str>, now: SystemTime) -> Outcome {
    if success.matches(status, verb) {
        Outcome::Delivered
    } else if status == 410 {
        Outcome::Gone
    } else {
        Outcome::Retry { after: retry_after.and_then(|text| wait(text, now)), reason: Reason::BadStatus(status) }
    }
}

fn range(item: &str) -> Option<(u16, u16)> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match item.strip_suffix("xx") {
        Some(class) if class.len() == 1 && digits(class) => {
            class.parse::<u16>().ok().map(|class| (class * 100, class * 100 + 99))
        }
        None if item.len() == 3 && digits(item) => item.parse().ok().map(|code| (code, code)),
        _ => None,
    }
    .filter(|(first, _)| (200..600).contains(first))
}

/// A date that is past asks for no wait; a text that is neither form is as good as none.
fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit mean "very long", which the policy's cap answers.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{BadCode, Outcome, Reason, SuccessCodes, judge};
    use crate::webhook::request::Verb;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    #[track_caller]
    fn check(success: &str, status: u16, verb: Verb, delivered: bool) {
        let success = if success.is_empty() { SuccessCodes::default() } else { SuccessCodes::parse(success).unwrap() };
        assert_eq!(success.matches(status, verb), delivered, "{success:?} {status}");
    }

    #[test]
    fn success_is_200_and_201_for_put_unless_widened() {
        check("", 200, Verb::Post, true);
        check("", 201, Verb::Post, false);
        check("", 201, Verb::Put, true);
        check("", 201, Verb::Get, false);
        for status in [100, 199, 202, 204, 301, 302, 304, 400, 404, 410, 429, 500, 503, 599] {
            check("", status, Verb::Put, false);
        }
        check("2xx", 204, Verb::Post, true);
        check("2xx", 299, Verb::Get, true);
        check("2xx", 300, Verb::Get, false);
        check("204", 200, Verb::Get, true);
        check("200, 204", 204, Verb::Get, true);
        check("200,204", 202, Verb::Get, false);
        check("2xx,304", 304, Verb::Get, true);
        check("2xx,304", 303, Verb::Get, false);
    }

    #[test]
    fn success_codes_of_hook_and_system_add_up() {
        let both = SuccessCodes::parse("204").unwrap().widened_by(&SuccessCodes::parse("3xx").unwrap());
        assert!(both.matches(204, Verb::Get) && both.matches(302, Verb::Get) && !both.matches(202, Verb::Get));
    }

    #[test]
    fn anything_but_a_list_of_codes_is_refused_by_name() {
        for bad in ["", "2x", "xx", "1xx", "6xx", "0xx", "20", "2000", "199", "600", "+20", "2XX", "200;204", "all"] {
            assert_eq!(SuccessCodes::parse(bad), Err(BadCode(bad.to_owned())), "{bad}");
        }
        assert_eq!(SuccessCodes::parse("200,"), Err(BadCode(String::new())));
    }

    #[test]
    fn gone_is_final_unless_it_counts_as_success() {
        assert_eq!(judge(410, Verb::Post, &SuccessCodes::default(), Some("5"), now()), Outcome::Gone);
        assert_eq!(judge(410, Verb::Post, &SuccessCodes::parse("410").unwrap(), None, now()), Outcome::Delivered);
        assert_eq!(judge(410, Verb::Post, &SuccessCodes::parse("4xx").unwrap(), None, now()), Outcome::Delivered);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        for (text, expected) in [
            (Some("120"), Some(Duration::from_secs(120))),
            (Some(" 0 "), Some(Duration::ZERO)),
            (Some("99999999999999999999999"), Some(Duration::from_secs(u64::MAX))),
            (Some("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60))),
            (Some("Sunday, 06-Nov-94 08:49:38 GMT"), Some(Duration::from_secs(1))),
            (Some("Sun, 06 Nov 1994 08:49:36 GMT"), Some(Duration::ZERO)),
            (Some("soon"), None),
            (Some("-1"), None),
            (Some("1.5"), None),
            (Some(""), None),
            (None, None),
        ] {
            let outcome = judge(429, Verb::Post, &SuccessCodes::default(), text, now());
            assert_eq!(outcome, Outcome::Retry { after: expected, reason: Reason::BadStatus(429) }, "{text:?}");
        }
    }

    #[test]
    fn redirects_fail_like_any_other_status() {
        for status in [301, 302, 303, 307, 308] {
            let outcome = judge(status, Verb::Get, &SuccessCodes::default(), None, now());
            assert_eq!(outcome, Outcome::Retry { after: None, reason: Reason::BadStatus(status) });
        }
    }

    #[test]
    fn reasons_are_shown_in_kazoos_words() {
        let client = Reason::Client("connection refused".to_owned());
        assert_eq!((client.kazoo(), client.client_error()), ("kazoo http client error", Some("connection refused")));
        let status = Reason::BadStatus(500);
        assert_eq!((status.kazoo(), status.client_error()), ("bad response code", None));
    }
}
