//! A client's binding: what it may say, and the patterns that it becomes.

use std::fmt::Display;
use std::sync::Arc;

use super::keys::ScopeWords;
use super::rights::is_allowed;
use super::topic::{FOR_ADMINISTRATORS, FOR_EVERYONE, JOINT, LASTING, MONTHLY, keeping};
use crate::auth::directory::{Directory, Rank};
use crate::ids::AccountId;
use crate::kazoo::bindings::{Binding, binding, notification};
use crate::kazoo::notifications;
use crate::kazoo::table::{OBJECT_ACTIONS, OBJECT_TYPES, Row, row};
use crate::routing::pattern::{Pattern, Word};
use crate::routing::subscriptions::{Scope, Topic};

/// The call events that a client may ask for, in the order in which `*` asks for them.
pub const CALL_EVENTS: [&str; 9] = [
    "CHANNEL_CREATE",
    "CHANNEL_ANSWER",
    "CHANNEL_DESTROY",
    "CHANNEL_HOLD",
    "CHANNEL_UNHOLD",
    "CHANNEL_BRIDGE",
    "PARK_PARKED",
    "PARK_RETRIEVED",
    "PARK_ABANDONED",
];

/// The longest routing key that AMQP can carry; no longer binding can mean anything.
pub const BINDING_BYTES_MAX: usize = 255;

/// Who subscribes, and to whose events; see [`super::rights`].
#[derive(Debug, Clone)]
pub struct Subscriber {
    pub scope: Scope,
    pub rank: Rank,
    pub words: ScopeWords,
}

/// What one binding of a client means. The session and the Registry share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub scope: Scope,
    /// As the client wrote it, byte for byte.
    pub subscribed_key: Arc<str>,
    /// No event matches two of them.
    pub topics: Box<[Topic]>,
    /// What the queue of live events has to be bound to.
    pub needs: Box<[Binding]>,
    /// Its events go to administrators only; who ceases to be one loses it.
    pub for_administrators: bool,
}

impl Subscription {
    /// Whether the account of the session's token may have its events still.
    pub fn is_allowed(&self, directory: &Directory, caller: AccountId) -> bool {
        is_allowed(directory, caller, self.scope, self.for_administrators)
    }
}

/// Texts that clients of Kazoo show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBinding {
    #[error("event {0} not supported")]
    UnsupportedEvent(String),
    #[error("invalid format for {module} subscription : {words}")]
    InvalidFormat { module: &'static str, words: String },
    #[error("ConferenceId required")]
    ConferenceIdRequired,
    #[error("no realm is known for the account")]
    UnknownRealm,
    #[error("binding has {0} bytes, more than the {BINDING_BYTES_MAX} that a routing key can have")]
    TooLong(usize),
    #[error("no available subscriptions to requested binding")]
    NotAvailable,
}

/// An error as it is told; where several bindings were asked for, it names its own.
pub fn of_binding(several: bool, binding: &str, error: &impl Display) -> String {
    if several { format!("{binding}: {error}") } else { error.to_string() }
}

impl Subscriber {
    pub fn new(directory: &Directory, caller: AccountId, scope: Scope, now_ms: u64) -> Self {
        Self { scope, rank: directory.rank(caller), words: ScopeWords::new(scope, directory, now_ms) }
    }

    /// Those of several bindings that hold, and what is wrong with the others. Where there are several, the errors name
    /// theirs.
    pub fn subscriptions(&self, bindings: &[String]) -> (Vec<Subscription>, Vec<String>) {
        let (mut held, mut errors) = (Vec::new(), Vec::new());
        for text in bindings {
            match self.subscription(text) {
                Ok(subscription) => held.push(subscription),
                Err(error) => errors.push(of_binding(bindings.len() > 1, text, &error)),
            }
        }
        (held, errors)
    }

    pub fn subscription(&self, text: &str) -> Result<Subscription, BadBinding> {
        if text.len() > BINDING_BYTES_MAX {
            return Err(BadBinding::TooLong(text.len()));
        }
        let mut words = text.split('.');
        let module = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let meaning = match module {
            "call" => self.call(&words),
            "object" => self.object(&words),
            "fax" => self.fax(&words),
            "conference" => self.conference(&words),
            "presence" => self.presence(&words),
            "notifications" => self.notifications(&words),
            // What older clients took from the bus: `doc_edited.*.user.*`.
            action if OBJECT_ACTIONS.contains(&action) => match words.as_slice() {
                ["*", object_type, "*"] => self.object(&[action, object_type]),
                _ => Err(invalid("object", &words)),
            },
            _ => Err(BadBinding::NotAvailable),
        }?;
        Ok(Subscription {
            scope: self.scope,
            subscribed_key: text.into(),
            topics: meaning.topics.into(),
            needs: meaning.needs.into(),
            for_administrators: meaning.for_administrators,
        })
    }

    fn call(&self, words: &[&str]) -> Result<Meaning, BadBinding> {
        let [event, call_id] = words else { return Err(invalid("call", words)) };
        let mut meaning = Meaning::default();
        let chosen = CALL_EVENTS.into_iter().filter(|one| *event == "*" || event == one);
        if call_id.is_empty() {
            return Err(invalid("call", words));
        }
        for event in chosen {
            let key = format!("call.{}.{event}.{call_id}", self.words.account);
            meaning.add(["call", event], &[call_id], key).need("call_event", event, None);
        }
        meaning.or_unsupported(event)
    }

    fn object(&self, words: &[&str]) -> Result<Meaning, BadBinding> {
        let [action, object_type] = words else { return Err(invalid("object", words)) };
        let actions = || OBJECT_ACTIONS.into_iter().filter(|one| *action == "*" || action == one);
        let types = || OBJECT_TYPES.into_iter().filter(|one| *object_type == "*" || object_type == one);
        if actions().next().is_none() || types().next().is_none() {
            return Err(BadBinding::UnsupportedEvent(match (*action, *object_type) {
                ("*", other) | (other, "*") => other.to_owned(),
                (action, object_type) => format!("{action}.{object_type}"),
            }));
        }
        let mut meaning = Meaning::default();
        for (kept, database) in [(LASTING, &self.words.database), (MONTHLY, &self.words.month_database)] {
            if types().any(|one| keeping(one) == kept) {
                meaning.add(["object", kept], &[action, object_type], format!("{action}.{database}.{object_type}.*"));
            }
        }
        for (action, object_type) in actions().flat_map(|action| types().map(move |one| (action, one))) {
            meaning.need("configuration", action, Some(object_type));
        }
        Ok(meaning)
    }

    fn fax(&self, words: &[&str]) -> Result<Meaning, BadBinding> {
        match words {
            ["object", action] => {
                if *action == "*" || OBJECT_ACTIONS.contains(action) {
                    self.object(&[action, "fax"])
                } else {
                    Err(BadBinding::UnsupportedEvent((*action).to_owned()))
                }
            }
            ["status", fax_id] if !fax_id.is_empty() => {
                let mut meaning = Meaning::default();
                let key = format!("fax.status.{}.{fax_id}", self.words.account);
                meaning.add(["fax", "status"], &[fax_id], key).need("fax", "status", None);
                Ok(meaning)
            }
            _ => Err(invalid("fax", words)),
        }
    }

    fn conference(&self, words: &[&str]) -> Result<Meaning, BadBinding> {
        let mut meaning = Meaning::default();
        match words {
            ["command", conference_id] => {
                let conference_id = one_conference(conference_id)?;
                let key = format!("conference.command.{conference_id}");
                meaning.add(["conference", "command"], &[conference_id], key).need("conference", "command", None);
            }
            ["event", conference_id, call_id] => {
                self.conference_event(["*", conference_id, call_id], &mut meaning)?;
            }
            // What newer clients say.
            ["event", event, conference_id, call_id] if !event.is_empty() => {
                self.conference_event([event, conference_id, call_id], &mut meaning)?;
            }
            _ => return Err(invalid("conference", words)),
        }
        // Commands as well need the events, which tell whose a conference is.
        meaning.need("conference", "event", None);
        Ok(meaning)
    }

    fn conference_event(&self, words: [&str; 3], meaning: &mut Meaning) -> Result<(), BadBinding> {
        let [event, conference_id, call_id] = words;
        let conference_id = one_conference(conference_id)?;
        if call_id.is_empty() {
            return Err(invalid("conference", &words));
        }
        let key = format!("conference.event.{event}.{}.{conference_id}.{call_id}", self.words.account);
        meaning.add(["conference", "event"], &[event, conference_id, call_id], key);
        Ok(())
    }

    fn presence(&self, words: &[&str]) -> Result<Meaning, BadBinding> {
        let name = match words.first() {
            Some(&"dialog") => "dialog_update",
            Some(&"update") => "update",
            Some(&"mwi_updates") => "mwi_update",
            Some(other) if !other.is_empty() => return Err(BadBinding::UnsupportedEvent((*other).to_owned())),
            _ => return Err(invalid("presence", words)),
        };
        let [event, id] = words else { return Err(invalid("presence", words)) };
        if id.is_empty() {
            return Err(invalid("presence", words));
        }
        let realm = self.words.realm.as_deref().ok_or(BadBinding::UnknownRealm)?;
        let mut meaning = Meaning::default();
        meaning.add(["presence", event], &[id], format!("{event}.{realm}.{id}")).need("presence", name, None);
        Ok(meaning)
    }

    fn notifications(&self, words: &[&str]) -> Result<Meaning, BadBinding> {
        let [name] = words else { return Err(invalid("notifications", words)) };
        let mut meaning = Meaning::default();
        let key = format!("notifications.{}.{name}", self.words.account);
        let chosen = notifications::ROWS.iter().filter(|row| *name == "*" || *name == row.name);
        let chosen = chosen.filter(|row| self.rank == Rank::Administrator || !row.admin_only());
        for (audience, admin_only) in [(FOR_EVERYONE, false), (FOR_ADMINISTRATORS, true)] {
            let mut rows = chosen.clone().filter(|row| row.admin_only() == admin_only).peekable();
            if rows.peek().is_some() {
                meaning.add(["notifications", audience], &[name], key.clone());
                meaning.needs.extend(rows.map(notification));
                meaning.for_administrators |= admin_only;
            }
        }
        meaning.or_unsupported(name)
    }
}

#[derive(Debug, Default)]
struct Meaning {
    topics: Vec<Topic>,
    needs: Vec<Binding>,
    for_administrators: bool,
}

impl Meaning {
    /// An id is one word, whatever is in it; only a whole `*` or `#` is a wildcard.
    fn add(&mut self, head: [&str; 2], rest: &[&str], subscription_key: String) -> &mut Self {
        let [module, event] = head;
        let head = Word::Exactly(format!("{module}{JOINT}{event}").into());
        let rest = rest.iter().map(|word| match *word {
            "*" => Word::One,
            "#" => Word::Any,
            exact => Word::Exactly(exact.into()),
        });
        let pattern = Pattern::of_words([head].into_iter().chain(rest));
        self.topics.push(Topic { pattern, subscription_key: subscription_key.into() });
        self
    }

    fn need(&mut self, category: &str, name: &str, doc_type: Option<&'static str>) {
        let known: Option<&'static Row> = row(category, name);
        self.needs.extend(known.map(|row| binding(row, doc_type)));
    }

    fn or_unsupported(self, event: &str) -> Result<Self, BadBinding> {
        if self.topics.is_empty() { Err(BadBinding::UnsupportedEvent(event.to_owned())) } else { Ok(self) }
    }
}

fn one_conference(id: &str) -> Result<&str, BadBinding> {
    if matches!(id, "" | "*" | "#") { Err(BadBinding::ConferenceIdRequired) } else { Ok(id) }
}

fn invalid(module: &'static str, words: &[&str]) -> BadBinding {
    BadBinding::InvalidFormat { module, words: words.join(", ") }
}
