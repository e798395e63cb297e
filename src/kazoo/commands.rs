//! Commands on a live call: from what a client asks for to the message that Kazoo's metaflow application takes.
//!
//! Called by the API and by websockets, which differ only in where the fields lie. Whether the call is the client's to
//! command was asked before.

use serde_json::{Value, json};

use crate::ids::EventId;
use crate::kazoo::Object;
use crate::kazoo::segment::encode_segment;
use crate::kazoo::table::METAFLOW;
use crate::validation::Faults;

/// The action that stands for a flow.
pub const FLOW: &str = "metaflow";

/// What Kazoo's other side accepts.
pub const ACTIONS: [&str; 15] = [
    "audio_level",
    "break",
    "callflow",
    "hangup",
    "hold",
    "intercept",
    "move",
    "park",
    "play",
    "record_call",
    "resume",
    "say",
    "transfer",
    "tts",
    "unpark",
];

const TRANSFER_TYPES: [&str; 2] = ["blind", "attended"];

/// Flows within flows. Kazoo's own are a menu deep.
const FLOW_LEVELS_MAX: usize = 16;

/// An AMQP routing key holds no more.
const ROUTING_KEY_BYTES_MAX: usize = 255;

/// Whether the call has a party on its other leg; only then it can be transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bridge {
    Bridged,
    Unbridged,
}

/// A command that is well made.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Flow(Object),
    Action { action: &'static str, data: Object },
}

/// As it goes to the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandMessage {
    pub exchange: &'static str,
    pub routing_key: String,
    pub body: Value,
}

impl Command {
    /// `PUT …/channels/{CALL_ID}`. `action` beside `data` makes `data` itself the flow; else it lies in `data.data`.
    pub fn of_put(action: Option<&Value>, mut data: Object) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let flow = match action {
            Some(action) => {
                is_flow(action, &mut faults);
                Some(Value::Object(data))
            }
            None => {
                match data.get("action") {
                    None | Some(Value::Null) => faults.required("action"),
                    Some(action) => is_flow(action, &mut faults),
                }
                data.shift_remove("data")
            }
        };
        faults.into_result()?;
        Self::flow(flow.unwrap_or_default())
    }

    /// `POST …/channels/{CALL_ID}`. `action` may stand beside `data`, too.
    pub fn of_post(action: Option<&Value>, data: Object, bridge: Bridge) -> Result<Self, Faults> {
        let action = action.or_else(|| data.get("action")).cloned().unwrap_or_default();
        Self::action(&action, data, bridge)
    }

    /// `data` of a websocket's `command`: `module` makes it a flow, `action` an action.
    pub fn of_socket(mut data: Object, bridge: Bridge) -> Result<Self, Faults> {
        for envelope in ["account_id", "call_id"] {
            data.shift_remove(envelope);
        }
        match (data.contains_key("module"), data.get("action").cloned()) {
            (true, None) => Self::flow(Value::Object(data)),
            (_, Some(action)) if action == FLOW => Self::flow(data.shift_remove("data").unwrap_or_default()),
            (_, Some(action)) => Self::action(&action, data, bridge),
            (false, None) => {
                let mut faults = Faults::new();
                faults.required("module");
                faults.required("action");
                Err(faults)
            }
        }
    }

    fn flow(flow: Value) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        match flow {
            Value::Object(flow) => {
                check_flow("", &flow, FLOW_LEVELS_MAX, &mut faults);
                faults.into_result()?;
                return Ok(Self::Flow(flow));
            }
            Value::Null => faults.required("data"),
            other => faults.wrong_type("data", "object", &other),
        }
        Err(faults)
    }

    /// The fields of an action lie beside it, or in a `data` of their own.
    fn action(action: &Value, mut data: Object, bridge: Bridge) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let known = match action {
            Value::Null => {
                faults.required("action");
                None
            }
            Value::String(name) => ACTIONS.into_iter().find(|known| known == name).or_else(|| {
                faults.not_in("action", &ACTIONS, action);
                None
            }),
            other => {
                faults.wrong_type("action", "string", other);
                None
            }
        };
        let Some(action) = known else { return Err(faults) };
        data.shift_remove("action");
        if let Some(Value::Object(inner)) = data.get_mut("data") {
            data = std::mem::take(inner);
        }
        let mut fields = Reader { given: data, taken: Object::new(), faults };
        match action {
            "hangup" | "break" => {}
            "transfer" => fields.transfer(bridge),
            "callflow" => fields.callflow(),
            "intercept" => fields.intercept(),
            _ => fields.taken = std::mem::take(&mut fields.given),
        }
        fields.faults.into_result()?;
        Ok(Self::Action { action, data: fields.taken })
    }

    /// What the client is told when the message is at the broker.
    pub fn accepted(&self) -> String {
        match self {
            Self::Flow(_) => "metaflow sent".into(),
            Self::Action { action, .. } => format!("{action} initiated"),
        }
    }

    /// The message to the side that handles the call. A fault where the call's id leaves no room in the routing key.
    pub fn into_message(self, call_id: &str, node: &str) -> Result<CommandMessage, Faults> {
        let call = encode_segment(call_id);
        let (routing_key, name) = match &self {
            Self::Flow(_) => (format!("metaflow.flow.{call}"), "flow"),
            Self::Action { action, .. } => (format!("metaflow.action.{call}.{action}"), "action"),
        };
        if routing_key.len() > ROUTING_KEY_BYTES_MAX {
            let mut faults = Faults::new();
            faults.add("call_id", "maxLength", "The call's id is too long for a command", Some(call_id.into()), None);
            return Err(faults);
        }
        let mut body = json!({
            "App-Name": "hookswitch",
            "App-Version": env!("CARGO_PKG_VERSION"),
            "Event-Category": METAFLOW,
            "Event-Name": name,
            "Msg-ID": EventId::random(),
            "Node": node,
            "Call-ID": call_id,
        });
        match self {
            Self::Flow(flow) => body["Flow"] = flow.into(),
            Self::Action { action, data } => {
                body["Action"] = action.into();
                body["Data"] = data.into();
            }
        }
        Ok(CommandMessage { exchange: METAFLOW, routing_key, body })
    }
}

fn is_flow(action: &Value, faults: &mut Faults) {
    if action != FLOW {
        faults.not_in("action", &[FLOW], action);
    }
}

/// `module`, its `data`, and the flows that may follow it by key.
fn check_flow(place: &str, flow: &Object, levels: usize, faults: &mut Faults) {
    let field = |name: &str| format!("{place}{name}");
    match flow.get("module") {
        Some(Value::String(module)) if !module.is_empty() => {}
        None | Some(Value::Null) => faults.required(&field("module")),
        Some(Value::String(_)) => empty(&field("module"), faults),
        Some(other) => faults.wrong_type(&field("module"), "string", other),
    }
    if let Some(other) = flow.get("data").filter(|data| !data.is_object() && !data.is_null()) {
        faults.wrong_type(&field("data"), "object", other);
    }
    match flow.get("children") {
        None | Some(Value::Null) => {}
        Some(Value::Object(_)) if levels == 0 => {
            let message = format!("A flow must not be more than {FLOW_LEVELS_MAX} levels deep");
            faults.add(&field("children"), "maximum", &message, None, Some(FLOW_LEVELS_MAX.into()));
        }
        Some(Value::Object(children)) => {
            for (key, child) in children {
                match child {
                    Value::Object(child) => {
                        check_flow(&format!("{place}children.{key}."), child, levels - 1, faults);
                    }
                    other => faults.wrong_type(&format!("{place}children.{key}"), "object", other),
                }
            }
        }
        Some(other) => faults.wrong_type(&field("children"), "object", other),
    }
}

fn empty(field: &str, faults: &mut Faults) {
    faults.add(field, "minLength", "String must be at least 1 characters", Some("".into()), Some(1.into()));
}

/// Takes the known fields of an action over; others are left out, as Kazoo does.
struct Reader {
    given: Object,
    taken: Object,
    faults: Faults,
}

impl Reader {
    fn transfer(&mut self, bridge: Bridge) {
        if bridge == Bridge::Unbridged {
            self.faults.add("other_leg_call_id", "required", "Channel is not bridged", None, None);
        }
        self.text("target", "No target destination specified");
        // Newer clients write it like everything else.
        if let Some(newer) = self.given.shift_remove("transfer_type") {
            self.given.entry("transfer-type").or_insert(newer);
        }
        match self.given.shift_remove("transfer-type") {
            None | Some(Value::Null) => self.take("transfer-type", TRANSFER_TYPES[0].into()),
            Some(Value::String(kind)) if TRANSFER_TYPES.contains(&kind.as_str()) => {
                self.take("transfer-type", kind.into());
            }
            Some(other) => self.faults.not_in("transfer-type", &TRANSFER_TYPES, &other),
        }
        self.optional("moh", "string", Value::is_string);
    }

    fn callflow(&mut self) {
        self.text("id", "No callflow id specified");
        self.optional("captures", "string, array", |captures| match captures {
            Value::Array(captures) => captures.iter().all(Value::is_string),
            other => other.is_string(),
        });
        self.optional("collected", "string", Value::is_string);
    }

    fn intercept(&mut self) {
        self.text("target_type", "No target type specified");
        self.text("target_id", "No target id specified");
        self.optional("unbridged_only", "boolean", Value::is_boolean);
    }

    fn take(&mut self, field: &str, value: Value) {
        self.taken.insert(field.into(), value);
    }

    /// Must be there, with Kazoo's words when it is not.
    fn text(&mut self, field: &str, missing: &str) {
        match self.given.shift_remove(field) {
            Some(Value::String(text)) if !text.is_empty() => self.take(field, text.into()),
            None | Some(Value::Null) => self.faults.add(field, "required", missing, None, None),
            Some(Value::String(_)) => empty(field, &mut self.faults),
            Some(other) => self.faults.wrong_type(field, "string", &other),
        }
    }

    fn optional(&mut self, field: &str, expected: &str, fits: impl Fn(&Value) -> bool) {
        match self.given.shift_remove(field) {
            None | Some(Value::Null) => {}
            Some(value) if fits(&value) => self.take(field, value),
            Some(other) => self.faults.wrong_type(field, expected, &other),
        }
    }
}

#[cfg(test)]
mod tests;
