//! What a handler answers, before it is written down.

use serde_json::Value;

use super::error::Success;
use super::page::Page;

/// Values in JSON that take about half a millisecond to write.
const LARGE_NODES: usize = 2_000;
/// Text that takes as long as a value does.
const TEXT_BYTES_PER_NODE: usize = 256;

#[derive(Debug, PartialEq)]
pub struct Answer {
    pub success: Success,
    pub content: Content,
    /// The revision of the one document that is answered.
    pub revision: Option<u64>,
    /// A token that the answer hands out, in place of the request's own.
    pub auth_token: Option<String>,
}

#[derive(Debug, PartialEq)]
pub enum Content {
    Value(Value),
    Page(Page),
    /// Goes out as it is, without an envelope.
    Text {
        content_type: &'static str,
        text: String,
    },
}

impl Answer {
    pub fn ok(value: impl Into<Value>) -> Self {
        Self::new(Success::Ok, Content::Value(value.into()))
    }

    pub fn created(value: impl Into<Value>) -> Self {
        Self::new(Success::Created, Content::Value(value.into()))
    }

    pub fn accepted(value: impl Into<Value>) -> Self {
        Self::new(Success::Accepted, Content::Value(value.into()))
    }

    pub fn page(page: Page) -> Self {
        Self::new(Success::Ok, Content::Page(page))
    }

    pub fn text(content_type: &'static str, text: String) -> Self {
        Self::new(Success::Ok, Content::Text { content_type, text })
    }

    pub fn with_revision(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    pub fn with_auth_token(mut self, token: String) -> Self {
        self.auth_token = Some(token);
        self
    }

    /// Whether writing it down takes long enough to be done elsewhere than on a worker.
    pub fn is_large(&self) -> bool {
        let mut room = LARGE_NODES;
        match &self.content {
            Content::Value(value) => !fits(value, &mut room),
            Content::Page(page) => !page.items.iter().all(|item| fits(item, &mut room)),
            Content::Text { .. } => false,
        }
    }

    fn new(success: Success, content: Content) -> Self {
        Self { success, content, revision: None, auth_token: None }
    }
}

/// Counts values until there is no room for more; a long text counts for several.
fn fits(value: &Value, room: &mut usize) -> bool {
    let size = match value {
        Value::String(text) => 1 + text.len() / TEXT_BYTES_PER_NODE,
        _ => 1,
    };
    let Some(rest) = room.checked_sub(size) else {
        return false;
    };
    *room = rest;
    match value {
        Value::Array(items) => items.iter().all(|item| fits(item, room)),
        Value::Object(fields) => fields.values().all(|field| fits(field, room)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Answer, LARGE_NODES, Page, TEXT_BYTES_PER_NODE};

    #[test]
    fn large_is_what_has_many_values_however_deep() {
        let list = |count: usize| Value::from(vec![1; count]);
        assert!(!Answer::ok(list(LARGE_NODES - 1)).is_large());
        assert!(Answer::ok(list(LARGE_NODES)).is_large());
        assert!(Answer::ok(json!({ "a": [list(LARGE_NODES / 2), list(LARGE_NODES / 2)] })).is_large());
        assert!(!Answer::page(Page::whole(vec![json!(1); LARGE_NODES])).is_large());
        assert!(Answer::page(Page::whole(vec![list(1); LARGE_NODES])).is_large());
        assert!(Answer::ok("x".repeat(LARGE_NODES * TEXT_BYTES_PER_NODE)).is_large());
    }
}
