//! What a request is answered with. Keys come in Kazoo's order.

use bytestring::ByteString;
use serde::Serialize;
use serde_json::Value;

/// Where a client that resumes stands after its `subscribe`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Resumed<'a> {
    pub epoch: &'a str,
    pub offset: u64,
    /// Whether everything since the client's position follows.
    pub recovered: bool,
}

/// At least one binding holds. `subscribed` are all of the socket's bindings by now, each once; `errors` is what was
/// wrong with the others.
pub fn subscribed<S: AsRef<str>>(
    request_id: &Value,
    subscribed: &[S],
    errors: &[String],
    resumed: Option<Resumed<'_>>,
) -> ByteString {
    #[derive(Serialize)]
    struct Data<'a> {
        subscribed: &'a [&'a str],
        subscriptions: &'a [&'a str],
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        errors: &'a [String],
        #[serde(flatten)]
        resumed: Option<Resumed<'a>>,
    }
    let all = &texts(subscribed);
    encode(request_id, Status::Success, Data { subscribed: all, subscriptions: all, errors, resumed })
}

/// `subscribed` are the bindings that the socket still has.
pub fn unsubscribed<S: AsRef<str>>(request_id: &Value, unsubscribed: &[S], subscribed: &[&str]) -> ByteString {
    #[derive(Serialize)]
    struct Data<'a> {
        unsubscribed: &'a [&'a str],
        subscribed: &'a [&'a str],
        subscriptions: &'a [&'a str],
    }
    let data = Data { unsubscribed: &texts(unsubscribed), subscribed, subscriptions: subscribed };
    encode(request_id, Status::Success, data)
}

/// To a ping (`pong`) or a command.
pub fn response(request_id: &Value, response: &str) -> ByteString {
    #[derive(Serialize)]
    struct Data<'a> {
        response: &'a str,
    }
    encode(request_id, Status::Success, Data { response })
}

/// Nothing of the request was done.
pub fn error(request_id: &Value, errors: &[String]) -> ByteString {
    #[derive(Serialize)]
    struct Data<'a> {
        errors: &'a [String],
    }
    encode(request_id, Status::Error, Data { errors })
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Error,
}

fn texts(texts: &[impl AsRef<str>]) -> Vec<&str> {
    texts.iter().map(AsRef::as_ref).collect()
}

fn encode(request_id: &Value, status: Status, data: impl Serialize) -> ByteString {
    #[derive(Serialize)]
    struct Reply<'a, D> {
        action: &'static str,
        request_id: &'a Value,
        status: Status,
        data: D,
    }
    let reply = Reply { action: "reply", request_id, status, data };
    serde_json::to_string(&reply).expect("texts and numbers are always JSON").into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Resumed, error, response, subscribed, unsubscribed};

    #[test]
    fn replies_are_what_clients_of_kazoo_expect() {
        let id = &json!("r");
        assert_eq!(
            subscribed(id, &["a.b", "\"c"], &[], None),
            r#"{"action":"reply","request_id":"r","status":"success","data":{"subscribed":["a.b","\"c"],"subscriptions":["a.b","\"c"]}}"#
        );
        assert_eq!(
            unsubscribed(id, &["a"], &[]),
            r#"{"action":"reply","request_id":"r","status":"success","data":{"unsubscribed":["a"],"subscribed":[],"subscriptions":[]}}"#
        );
        assert_eq!(
            response(&json!(7), "pong"),
            r#"{"action":"reply","request_id":7,"status":"success","data":{"response":"pong"}}"#
        );
        assert_eq!(
            error(id, &["unauthorized account id".into()]),
            r#"{"action":"reply","request_id":"r","status":"error","data":{"errors":["unauthorized account id"]}}"#
        );
    }

    #[test]
    fn errors_of_some_and_the_position_stand_beside_what_holds() {
        let resumed = Resumed { epoch: "e", offset: 3, recovered: false };
        let reply = subscribed(&json!("r"), &["a"], &["b: no".into()], Some(resumed));
        let data =
            r#"{"subscribed":["a"],"subscriptions":["a"],"errors":["b: no"],"epoch":"e","offset":3,"recovered":false}"#;
        assert!(reply.ends_with(&format!("\"data\":{data}}}")), "{reply}");
    }
}
