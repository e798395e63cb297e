//! A client's frame: what it asks for, in the wrapped form (`{"action", "data": {…}}`) and the older flat one.
//!
//! Who asks and under which name comes out even when the rest is wrong, because the token is checked before the shape,
//! and an error is answered under the name of its request. A field of `data` counts before one of the same name beside it.

use serde_json::Value;

use crate::kazoo::Object;

/// One text frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// A text or a number, given back as it came; made up where the client gave none.
    pub request_id: Value,
    pub auth_token: Option<String>,
    /// `name` and `metadata` label the socket.
    pub name: Option<String>,
    pub metadata: Option<Value>,
    pub request: Result<Request, BadRequest>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Subscribe {
        target: Target,
        resume: Option<Resume>,
    },
    Unsubscribe(Target),
    /// Without bindings: whatever the socket has.
    UnsubscribeAll,
    Ping,
    /// For a live call; `command` is all of `data`.
    Command {
        account_id: String,
        call_id: String,
        command: Object,
    },
}

/// Bindings as the client wrote them, and whose events they are for. There is at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub account_id: String,
    pub bindings: Vec<String>,
}

/// The client wants to miss nothing, or to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// From now on.
    Now,
    /// What came after this position, too.
    After { epoch: String, offset: u64 },
}

/// The frame asks for nothing that can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    #[error("request is not JSON: {0}")]
    NotJson(String),
    #[error("request is not a JSON object")]
    NotAnObject,
    #[error("missing required keys : {0}")]
    MissingKeys(String),
    #[error("action {0:?} is not known")]
    UnknownAction(String),
    #[error("{key} is not {expected}")]
    WrongType { key: &'static str, expected: &'static str },
}

impl Frame {
    pub fn parse(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(Value::Object(envelope)) => Self::of_envelope(envelope),
            Ok(_) => Self::bad(BadRequest::NotAnObject),
            Err(error) => Self::bad(BadRequest::NotJson(error.to_string())),
        }
    }

    fn bad(reason: BadRequest) -> Self {
        Self { request_id: made_up_id(), auth_token: None, name: None, metadata: None, request: Err(reason) }
    }

    fn of_envelope(mut envelope: Object) -> Self {
        let fields = Fields::new(&mut envelope);
        let request_id = fields.request_id();
        Self {
            auth_token: fields
                .beside("auth_token")
                .and_then(Value::as_str)
                .filter(|token| !token.is_empty())
                .map(Into::into),
            name: fields.get("name").and_then(Value::as_str).map(Into::into),
            metadata: fields.get("metadata").cloned(),
            request: request_id.as_ref().map_err(Clone::clone).and_then(|_| fields.request()),
            request_id: request_id.ok().flatten().unwrap_or_else(made_up_id),
        }
    }
}

/// The fields of both forms. `null` is as good as absent.
struct Fields<'a> {
    beside: &'a Object,
    wrapped: Result<Option<Object>, BadRequest>,
}

impl<'a> Fields<'a> {
    fn new(envelope: &'a mut Object) -> Self {
        let wrapped = match envelope.remove("data") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(data)) => Ok(Some(data)),
            Some(_) => Err(BadRequest::WrongType { key: "data", expected: "an object" }),
        };
        Self { beside: envelope, wrapped }
    }

    fn beside(&self, key: &str) -> Option<&Value> {
        self.beside.get(key).filter(|value| !value.is_null())
    }

    fn get(&self, key: &str) -> Option<&Value> {
        let wrapped = self.wrapped.as_ref().ok().and_then(Option::as_ref);
        wrapped.and_then(|data| data.get(key)).filter(|value| !value.is_null()).or_else(|| self.beside(key))
    }

    fn text(&self, key: &'static str) -> Result<Option<String>, BadRequest> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(BadRequest::WrongType { key, expected: "a string" }),
        }
    }

    fn request_id(&self) -> Result<Option<Value>, BadRequest> {
        match self.beside("request_id") {
            None => Ok(None),
            Some(id @ (Value::String(_) | Value::Number(_))) => Ok(Some(id.clone())),
            Some(_) => Err(BadRequest::WrongType { key: "request_id", expected: "a string" }),
        }
    }

    fn request(&self) -> Result<Request, BadRequest> {
        let action = match self.beside("action") {
            None => return Err(BadRequest::MissingKeys("action".into())),
            Some(Value::String(action)) => action.as_str(),
            Some(_) => return Err(BadRequest::WrongType { key: "action", expected: "a string" }),
        };
        if self.beside("auth_token").is_some_and(|token| !token.is_string()) {
            return Err(BadRequest::WrongType { key: "auth_token", expected: "a string" });
        }
        if let Err(wrong) = &self.wrapped {
            return Err(wrong.clone());
        }
        self.text("name")?;
        match action {
            "subscribe" => Ok(Request::Subscribe { resume: self.resume()?, target: self.target()? }),
            "unsubscribe" if self.names_nothing() => Ok(Request::UnsubscribeAll),
            "unsubscribe" => Ok(Request::Unsubscribe(self.target()?)),
            "ping" => Ok(Request::Ping),
            "command" => self.command(),
            unknown => Err(BadRequest::UnknownAction(unknown.chars().take(64).collect())),
        }
    }

    fn names_nothing(&self) -> bool {
        ["account_id", "binding", "bindings"].iter().all(|key| self.get(key).is_none())
    }

    fn target(&self) -> Result<Target, BadRequest> {
        let bindings = match self.bindings("binding")? {
            Some(bindings) => Some(bindings),
            None => self.bindings("bindings")?,
        };
        match (self.text("account_id")?, bindings) {
            (Some(account_id), Some(bindings)) => Ok(Target { account_id, bindings }),
            (account_id, bindings) => {
                Err(missing(&[("account_id", account_id.is_some()), ("binding", bindings.is_some())]))
            }
        }
    }

    /// Each once, in the client's order.
    fn bindings(&self, key: &'static str) -> Result<Option<Vec<String>>, BadRequest> {
        let wrong = || BadRequest::WrongType { key, expected: "a string or a list of strings" };
        let given = match self.get(key) {
            None => return Ok(None),
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => {
                let texts = several.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong));
                texts.collect::<Result<_, _>>()?
            }
            Some(_) => return Err(wrong()),
        };
        let mut seen = std::collections::HashSet::new();
        let kept: Vec<String> = given.into_iter().filter(|one| !one.is_empty() && seen.insert(one.clone())).collect();
        Ok(Some(kept).filter(|kept| !kept.is_empty()))
    }

    fn resume(&self) -> Result<Option<Resume>, BadRequest> {
        let wrong = BadRequest::WrongType { key: "resume", expected: "true or an object of epoch and offset" };
        match self.get("resume") {
            None | Some(Value::Bool(false)) => Ok(None),
            Some(Value::Bool(true)) => Ok(Some(Resume::Now)),
            Some(Value::Object(position)) => {
                let epoch = position.get("epoch").and_then(Value::as_str);
                let offset = position.get("offset").and_then(Value::as_u64);
                let after = epoch.zip(offset).map(|(epoch, offset)| Resume::After { epoch: epoch.into(), offset });
                after.map(Some).ok_or(wrong)
            }
            Some(_) => Err(wrong),
        }
    }

    fn command(&self) -> Result<Request, BadRequest> {
        let (account_id, call_id) = (self.text("account_id")?, self.text("call_id")?);
        match (account_id, call_id, &self.wrapped) {
            (Some(account_id), Some(call_id), Ok(Some(command))) => {
                Ok(Request::Command { account_id, call_id, command: command.clone() })
            }
            (account_id, call_id, wrapped) => Err(missing(&[
                ("data", matches!(wrapped, Ok(Some(_)))),
                ("account_id", account_id.is_some()),
                ("call_id", call_id.is_some()),
            ])),
        }
    }
}

fn missing(keys: &[(&str, bool)]) -> BadRequest {
    let missing: Vec<&str> = keys.iter().filter(|(_, present)| !present).map(|(key, _)| *key).collect();
    BadRequest::MissingKeys(missing.join(", "))
}

fn made_up_id() -> Value {
    Value::String(format!("{:032x}", rand::random::<u128>()))
}

#[cfg(test)]
mod tests;
