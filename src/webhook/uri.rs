//! Where a hook's requests go.
//!
//! Parsed when a hook is registered; a value of this type can be requested as it is. It makes no DNS look-up: the
//! guard asks again at every connection.

use std::fmt;

use url::Url;

use crate::webhook::allow::AllowList;
use crate::webhook::guard::{Refused, check_host};

/// An http or https URI with a host and without user information.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HookUri {
    given: Box<str>,
    /// Unless it is the same.
    target: Option<Box<str>>,
}

impl HookUri {
    /// Refuses what the URI itself shows to be malformed or forbidden.
    pub fn parse(text: &str, allow: &AllowList) -> Result<Self, Refused> {
        let url = parse(text)?;
        check_host(&url.host().ok_or(Refused::NoHost)?, allow)?;
        Ok(Self::of(text, url))
    }

    /// For a URI whose host is judged later: one from the store, whose allowance may have been withdrawn since (its
    /// deliveries then say so), or one that came with an event.
    pub fn parse_unguarded(text: &str) -> Result<Self, Refused> {
        let url = parse(text)?;
        Ok(Self::of(text, url))
    }

    /// As the client wrote it.
    pub fn as_given(&self) -> &str {
        &self.given
    }

    /// As it is requested: international names in ASCII, unsafe characters encoded, no fragment.
    pub fn target(&self) -> &str {
        self.target.as_deref().unwrap_or(&self.given)
    }

    /// Host and, unless it is the scheme's own, port.
    pub fn authority(&self) -> &str {
        self.origin().split_once("//").map_or("", |(_, authority)| authority)
    }

    /// Scheme and authority: whom a connection leads to.
    pub fn origin(&self) -> &str {
        let target = self.target();
        let host = target.find("//").map_or(0, |slashes| slashes + 2);
        let end = target[host..].find(['/', '?']).map_or(target.len(), |length| host + length);
        &target[..end]
    }

    fn of(given: &str, mut url: Url) -> Self {
        url.set_fragment(None);
        let target = Some(url.as_str()).filter(|target| *target != given).map(Into::into);
        Self { given: given.into(), target }
    }
}

impl fmt::Display for HookUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

/// Stricter than a browser: what a URL parser repairs silently (blanks, line ends, backslashes, missing slashes) is
/// refused, since every other reader of the text may repair it differently.
fn parse(text: &str) -> Result<Url, Refused> {
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(Refused::Malformed("it contains blanks, control characters or backslashes".to_owned()));
    }
    let (scheme, rest) = text.split_once(':').ok_or_else(|| Refused::Malformed("it has no scheme".to_owned()))?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Refused::Scheme(scheme.to_owned()));
    }
    let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if authority.contains('@') {
        return Err(Refused::UserInfo);
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err(Refused::NoHost);
    }
    Url::parse(text).map_err(|error| Refused::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::HookUri;
    use crate::webhook::allow::AllowList;

    #[track_caller]
    fn check(text: &str, target: &str) {
        let uri = HookUri::parse(text, &AllowList::none()).unwrap();
        assert_eq!((uri.as_given(), uri.target()), (text, target));
        let of_client: awc::http::Uri = target.parse().unwrap();
        assert_eq!(uri.authority(), of_client.authority().unwrap().as_str());
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        assert_eq!(HookUri::parse(text, &AllowList::none()).unwrap_err().to_string(), expected, "{text}");
    }

    #[test]
    fn the_clients_text_is_kept_and_the_target_is_fit_to_send() {
        check("http://example.com", "http://example.com/");
        check("HTTPS://Example.COM:443/Path?b=1#part", "https://example.com/Path?b=1");
        check("http://example.com:8080/%7Euser", "http://example.com:8080/%7Euser");
        check("https://bücher.example/ä?ö=ü", "https://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC");
        check("https://example.com./x@y", "https://example.com./x@y");
        check("http://8.8.8.8/", "http://8.8.8.8/");
        check("http://[2606:4700::1111]:81/", "http://[2606:4700::1111]:81/");
    }

    #[test]
    fn a_uri_that_cannot_be_requested_is_refused_with_its_reason() {
        check_refused("ftp://example.com/", "scheme \"ftp\" is neither http nor https");
        check_refused("javascript:alert(1)", "scheme \"javascript\" is neither http nor https");
        check_refused("example.com/hook", "the URI is malformed: it has no scheme");
        check_refused("", "the URI is malformed: it has no scheme");
        check_refused("http://user:pw@example.com/", "the URI carries user information");
        check_refused("http://@example.com/", "the URI carries user information");
        check_refused("http://127.0.0.1@example.com/", "the URI carries user information");
        for no_host in
            ["http://", "http:///path", "http:example.com", "http:/example.com", "http://:80/", "https://?a=b"]
        {
            check_refused(no_host, "the URI names no host");
        }
        let repaired = "the URI is malformed: it contains blanks, control characters or backslashes";
        for text in [
            " http://example.com",
            "http://exa\nmple.com",
            "http:\\\\example.com",
            "http://example.com/a b",
            "http://e\u{a0}e/",
        ] {
            check_refused(text, repaired);
        }
        check_refused("http://example.com:99999/", "the URI is malformed: invalid port number");
        check_refused("http://256.1.1.1/", "the URI is malformed: invalid IPv4 address");
        check_refused("http://[::1/", "the URI is malformed: invalid IPv6 address");
        check_refused("http://a..b/", "\"a..b\" is not a valid host name");
        check_refused("http://a{b}c/", "\"a{b}c\" is not a valid host name");
    }

    #[test]
    fn inner_hosts_are_refused_unless_listed() {
        check_refused("http://127.1:9000/", "address 127.0.0.1 is loopback");
        check_refused("http://2130706433", "address 127.0.0.1 is loopback");
        check_refused("http://0x7f000001/", "address 127.0.0.1 is loopback");
        check_refused("http://%31%32%37.0.0.1/", "address 127.0.0.1 is loopback");
        check_refused("http://0/", "address 0.0.0.0 is unspecified");
        check_refused("http://[::1]/", "address ::1 is loopback");
        check_refused("http://LocalHost.:80/", "host localhost is loopback");
        check_refused("http://169.254.169.254/latest/meta-data", "address 169.254.169.254 is a cloud metadata service");

        let allow = AllowList::parse(&["127.0.0.0/8".to_owned(), "localhost".to_owned()]).unwrap();
        assert!(HookUri::parse("http://127.1:9000/", &allow).is_ok());
        assert!(HookUri::parse("http://localhost:9000/", &allow).is_ok());
        assert!(HookUri::parse("http://a.localhost:9000/", &allow).is_err());
        assert!(HookUri::parse_unguarded("http://10.0.0.1/").is_ok());
    }

    proptest! {
        #[test]
        fn every_accepted_uri_is_one_that_the_client_can_send(host in "[a-z0-9_.~{}\"!$&'()*+,;=%-]{1,20}", rest in "[/?][ -~ä]{0,20}") {
            if let Ok(uri) = HookUri::parse(&format!("http://{host}{rest}"), &AllowList::none()) {
                let sent: awc::http::Uri = uri.target().parse().unwrap();
                assert_eq!(sent.scheme_str(), Some("http"));
                assert!(sent.host().is_some_and(|host| !host.is_empty()));
                assert!(sent.authority().is_some_and(|authority| !authority.as_str().contains('@')));
            }
        }
    }
}
