//! Routes: what one is, and which of the table a request's path means.
//!
//! Matching is pure; `front` applies what it finds, and `table` lists them all.

use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use percent_encoding::percent_decode_str;

use super::answer::Answer;
use super::call::{AccountCall, Call, TokenCall};
use super::error::ApiError;

pub type Answering = LocalBoxFuture<'static, Result<Answer, ApiError>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    Put,
    Post,
    Patch,
    Delete,
}

impl Verb {
    /// By the method of a request. HEAD is a GET whose body the server does not send.
    pub fn of_method(method: &str) -> Option<Self> {
        match method {
            "GET" | "HEAD" => Some(Self::Get),
            "PUT" => Some(Self::Put),
            "POST" => Some(Self::Post),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// By the `verb` that a POST carries; a GET cannot be had that way.
    pub fn of_tunnel(word: &str) -> Option<Self> {
        [("put", Self::Put), ("post", Self::Post), ("patch", Self::Patch), ("delete", Self::Delete)]
            .into_iter()
            .find_map(|(name, verb)| word.eq_ignore_ascii_case(name).then_some(verb))
    }
}

/// Who may use an endpoint, with the function that answers.
#[derive(Clone, Copy)]
pub enum Access {
    Open(fn(Call) -> Answering),
    /// Any valid token.
    Token(fn(TokenCall) -> Answering),
    /// A token whose account is the one in the path or above it.
    Account(fn(AccountCall) -> Answering),
    /// A token whose account is above the one in the path, or an administrator's.
    Above(fn(AccountCall) -> Answering),
    /// A system administrator's token.
    Administrator(fn(TokenCall) -> Answering),
    /// As `Account`; what is answered is no document, and goes on for as long as somebody listens.
    Stream(fn(&AccountCall, &HttpRequest) -> Result<HttpResponse, ApiError>),
}

pub struct Route {
    /// Segments in braces stand for anything: `{account}`, `{id}`.
    pub pattern: &'static str,
    pub endpoints: &'static [(Verb, Access)],
}

impl Route {
    pub fn access(&self, verb: Verb) -> Option<Access> {
        self.endpoints.iter().find(|(candidate, _)| *candidate == verb).map(|(_, access)| *access)
    }

    /// Whether a POST could turn out to mean another verb of this route.
    pub fn is_tunnelled_to(&self) -> bool {
        self.endpoints.iter().any(|(verb, _)| *verb != Verb::Get)
    }

    /// The value of an `Allow` header.
    pub fn allowed(&self) -> String {
        let mut names = Vec::new();
        for (verb, _) in self.endpoints {
            names.extend(match verb {
                Verb::Get => &["GET", "HEAD"][..],
                Verb::Put => &["PUT"],
                Verb::Post => &["POST"],
                Verb::Patch => &["PATCH"],
                Verb::Delete => &["DELETE"],
            });
        }
        names.push("OPTIONS");
        names.join(", ")
    }
}

/// A route with what stood in the path.
pub struct Match {
    pub route: &'static Route,
    pub account: String,
    pub id: String,
}

/// The first route of a table that fits. One slash at the end is tolerated.
pub fn find(table: &'static [Route], path: &str) -> Option<Match> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<String> = path.split('/').map(decode).collect::<Option<_>>()?;
    table.iter().find_map(|route| fit(route, &segments))
}

fn decode(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(String::from)
}

fn fit(route: &'static Route, segments: &[String]) -> Option<Match> {
    let pattern = route.pattern.strip_prefix('/').unwrap_or(route.pattern);
    let mut found = Match { route, account: String::new(), id: String::new() };
    let mut words = pattern.split('/');
    for segment in segments {
        match words.next()? {
            "{account}" if !segment.is_empty() => found.account.clone_from(segment),
            "{id}" if !segment.is_empty() => found.id.clone_from(segment),
            word if word == segment => {}
            _ => return None,
        }
    }
    words.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::super::table::TABLE;
    use super::{Verb, find};

    #[track_caller]
    fn check(path: &str, pattern: &str, account: &str, id: &str) {
        let found = find(TABLE, path).unwrap();
        assert_eq!((found.route.pattern, &*found.account, &*found.id), (pattern, account, id), "{path}");
    }

    #[test]
    fn words_win_over_ids_and_segments_are_decoded() {
        check("/v2/webhooks", "/v2/webhooks", "", "");
        check("/v2/webhooks/", "/v2/webhooks", "", "");
        check("/v2/accounts/a/webhooks/attempts", "/v2/accounts/{account}/webhooks/attempts", "a", "");
        check("/v2/accounts/a/webhooks/b/attempts/", "/v2/accounts/{account}/webhooks/{id}/attempts", "a", "b");
        check("/v2/accounts/a%20b/webhooks/c%2Fd", "/v2/accounts/{account}/webhooks/{id}", "a b", "c/d");
        check("/metrics", "/metrics", "", "");
    }

    #[test]
    fn other_paths_are_unknown() {
        for path in [
            "",
            "*",
            "/",
            "//",
            "/v2",
            "/V2/webhooks",
            "/v2//webhooks",
            "/v2/webhooks//",
            "/v2/accounts//webhooks",
            "/v2/accounts/a/webhooks/b/c",
            "/v2/accounts/%ff/webhooks",
            "/v2/webhooks/samples/x/y",
            "v2/webhooks",
        ] {
            assert!(find(TABLE, path).is_none(), "{path}");
        }
    }

    #[test]
    fn every_pattern_finds_itself() {
        for route in TABLE {
            let found = find(TABLE, route.pattern).unwrap();
            assert_eq!(found.route.pattern, route.pattern);
        }
    }

    #[test]
    fn tunnel_knows_changing_verbs_only() {
        for (word, verb) in [
            ("PUT", Some(Verb::Put)),
            ("delete", Some(Verb::Delete)),
            ("Patch", Some(Verb::Patch)),
            ("post", Some(Verb::Post)),
            ("GET", None),
            ("", None),
            ("brew", None),
        ] {
            assert_eq!(Verb::of_tunnel(word), verb, "{word}");
        }
    }

    #[test]
    fn allow_header_lists_the_verbs_with_head_and_options() {
        let found = find(TABLE, "/v2/accounts/a/webhooks").unwrap();
        assert_eq!(found.route.allowed(), "GET, HEAD, PUT, PATCH, OPTIONS");
    }
}
