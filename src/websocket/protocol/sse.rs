//! Server-Sent Events: what goes over a stream in the place of a socket's frames. Each `data` is the frame itself.
//!
//! Events of the account have no name of their own, so that `onmessage` of a browser's EventSource gets them. `id` is the
//! position in the account's history; a browser gives the last one back by itself when it comes again.

use bytes::{BufMut, BytesMut};
use serde::Deserialize;
use serde_json::{Value, json};

use super::event::{Gap, Position, position};
use super::request::Resume;
use crate::ids::AccountId;

/// Why a client that came back gets a gap.
const NOT_KEPT: &str = "not_kept";

/// What is said on one stream.
#[derive(Debug, Clone)]
pub struct Script {
    pub account: AccountId,
    pub resume: Resume,
    /// After how long a client should come back.
    pub retry_ms: u64,
}

/// Where the client was, as it gives it back. What is no position of ours leads nowhere, and so to a gap: an error would
/// keep a browser away for ever.
pub fn resume(last_event_id: &str) -> Resume {
    let position = last_event_id.rsplit_once(':').and_then(|(epoch, offset)| Some((epoch, offset.parse().ok()?)));
    match position {
        Some((epoch, offset)) => Resume::After { epoch: epoch.to_owned(), offset },
        None if last_event_id.is_empty() => Resume::Now,
        None => Resume::After { epoch: last_event_id.to_owned(), offset: 0 },
    }
}

impl Script {
    /// To be written before all else; it also has the head of the answer go out.
    pub fn begin(&self, out: &mut BytesMut) {
        out.put_slice(format!("retry: {}\n\n", self.retry_ms).as_bytes());
    }

    /// A comment, which clients pass over.
    pub fn ping(&self, out: &mut BytesMut) {
        out.put_slice(b":\n\n");
    }

    /// What a socket would have been closed with.
    pub fn close(&self, code: u16, reason: &str, out: &mut BytesMut) {
        let frame = json!({ "action": "close", "data": { "code": code, "reason": reason } }).to_string();
        write(Some("error"), None, &frame, out);
    }

    /// A frame of a socket.
    pub fn frame(&self, frame: &str, out: &mut BytesMut) {
        if let Some(position) = position(frame) {
            return write(None, Some(position), frame, out);
        }
        let Ok(said) = serde_json::from_str::<Said>(frame) else { return write(None, None, frame, out) };
        match (said.action, said.status) {
            ("reply", Some("success")) => self.subscribed(frame, &said.data, out),
            ("reply", _) => write(Some("error"), None, frame, out),
            ("gap", _) => write(Some("gap"), said.data.position(), frame, out),
            _ => write(None, None, frame, out),
        }
    }

    /// A client that missed events which follow stays where it was until it has them.
    fn subscribed(&self, frame: &str, data: &Standing<'_>, out: &mut BytesMut) {
        let position = data.position().filter(|_| data.recovered != Some(true));
        write(Some("subscribed"), position, frame, out);
        if let (Some(Position { epoch, offset }), Resume::After { .. }) = (position, &self.resume) {
            let bindings: Vec<&str> = data.subscribed.iter().filter_map(Value::as_str).collect();
            let gap = Gap { reason: NOT_KEPT, account_id: self.account, bindings: &bindings, epoch, offset };
            write(Some("gap"), position, &gap.frame(), out);
        }
    }
}

/// As much of a frame as decides how it goes out.
#[derive(Deserialize)]
struct Said<'a> {
    action: &'a str,
    status: Option<&'a str>,
    #[serde(borrow, default)]
    data: Standing<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Standing<'a> {
    subscribed: Vec<Value>,
    epoch: Option<&'a str>,
    offset: Option<u64>,
    recovered: Option<bool>,
}

impl<'a> Standing<'a> {
    fn position(&self) -> Option<Position<'a>> {
        Some(Position { epoch: self.epoch?, offset: self.offset? })
    }
}

/// Frames are JSON without line breaks, so that one line holds each.
fn write(name: Option<&str>, position: Option<Position<'_>>, frame: &str, out: &mut BytesMut) {
    out.reserve(frame.len() + 64);
    if let Some(Position { epoch, offset }) = position {
        out.put_slice(format!("id: {epoch}:{offset}\n").as_bytes());
    }
    if let Some(name) = name {
        out.put_slice(format!("event: {name}\n").as_bytes());
    }
    out.put_slice(b"data: ");
    out.put_slice(frame.as_bytes());
    out.put_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use serde_json::json;

    use super::{AccountId, Resume, Script, resume};
    use crate::websocket::protocol::event::{EventBody, Gap, Position};
    use crate::websocket::protocol::reply::{self, Resumed};

    fn after(epoch: &str, offset: u64) -> Resume {
        Resume::After { epoch: epoch.into(), offset }
    }

    fn written(resume: Resume, write: impl FnOnce(&Script, &mut BytesMut)) -> String {
        let script = Script { account: AccountId::from_bytes([1; 16]), resume, retry_ms: 3_000 };
        let mut out = BytesMut::new();
        write(&script, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn last_event_id_is_a_position_or_leads_nowhere() {
        for (id, expected) in [
            ("", Resume::Now),
            ("e:7", after("e", 7)),
            ("a:b:7", after("a:b", 7)),
            ("e:-1", after("e:-1", 0)),
            ("e:", after("e:", 0)),
            ("nonsense", after("nonsense", 0)),
            ("e:99999999999999999999", after("e:99999999999999999999", 0)),
        ] {
            assert_eq!(resume(id), expected, "{id}");
        }
    }

    #[test]
    fn events_have_no_name_and_their_position_as_id() {
        let position = Position { epoch: "e", offset: 9 };
        let frame = EventBody::new("n", "k", "{\"A\":\"x\\ny\"}").frame("a", "b", Some(position));
        let expected = format!("id: e:9\ndata: {frame}\n\n");
        assert_eq!(written(Resume::Now, |script, out| script.frame(&frame, out)), expected);
    }

    #[test]
    fn gap_moves_the_client_to_the_new_epoch() {
        let account_id = AccountId::from_bytes([1; 16]);
        let gap = Gap { reason: "r", account_id, bindings: &["a"], epoch: "f", offset: 0 }.frame();
        let expected = format!("id: f:0\nevent: gap\ndata: {gap}\n\n");
        assert_eq!(written(Resume::Now, |script, out| script.frame(&gap, out)), expected);
    }

    #[test]
    fn reply_tells_where_the_client_stands_unless_missed_events_follow() {
        let reply = |recovered| {
            let resumed = Resumed { epoch: "e", offset: 3, recovered };
            reply::subscribed(&json!("r"), &["a"], &[], Some(resumed))
        };
        let (lost, found) = (reply(false), reply(true));
        let written = |resume, frame: &str| written(resume, |script, out| script.frame(frame, out));
        assert_eq!(written(Resume::Now, &lost), format!("id: e:3\nevent: subscribed\ndata: {lost}\n\n"));
        assert_eq!(written(after("e", 1), &found), format!("event: subscribed\ndata: {found}\n\n"));
        let gap = written(after("d", 1), &lost);
        let data = r#"{"action":"gap","data":{"reason":"not_kept","account_id":"01010101010101010101010101010101","bindings":["a"],"epoch":"e","offset":3}}"#;
        let expected = format!("id: e:3\nevent: subscribed\ndata: {lost}\n\nid: e:3\nevent: gap\ndata: {data}\n\n");
        assert_eq!(gap, expected);
    }

    #[test]
    fn errors_and_closes_are_errors() {
        let error = reply::error(&json!("r"), &["why \"not\"".into()]);
        let expected = format!("event: error\ndata: {error}\n\n");
        assert_eq!(written(Resume::Now, |script, out| script.frame(&error, out)), expected);
        let close = written(Resume::Now, |script, out| script.close(4001, "token expired", out));
        let data = r#"{"action":"close","data":{"code":4001,"reason":"token expired"}}"#;
        assert_eq!(close, format!("event: error\ndata: {data}\n\n"));
        assert_eq!(written(Resume::Now, |script, out| script.begin(out)), "retry: 3000\n\n");
        assert_eq!(written(Resume::Now, |script, out| script.ping(out)), ":\n\n");
    }
}
