//! What a call event tells of its live call. Pure; `routing::channels` puts it together.

use crate::kazoo::fields::{Field, Seen};
use crate::kazoo::head::Head;
use crate::kazoo::kind::{Kind, Parking};
use crate::kazoo::members::{Member, Places};

/// Longer texts are no names and numbers; they are left out.
const TEXT_BYTES_MAX: usize = 512;

/// Where a detail stands in an event.
enum Place {
    Top(Member),
    Variable(&'static str),
}

/// The details that are kept, and what the API calls them.
const DETAILS: [(Place, &str); 13] = [
    (Place::Top(Member::CallDirection), "direction"),
    (Place::Top(Member::From), "from"),
    (Place::Top(Member::To), "to"),
    (Place::Top(Member::Request), "request"),
    (Place::Top(Member::CallerIdName), "caller_id_name"),
    (Place::Top(Member::CallerIdNumber), "caller_id_number"),
    (Place::Top(Member::CalleeIdName), "callee_id_name"),
    (Place::Top(Member::CalleeIdNumber), "callee_id_number"),
    (Place::Variable("Authorizing-ID"), "authorizing_id"),
    (Place::Variable("Authorizing-Type"), "authorizing_type"),
    (Place::Variable("Owner-ID"), "owner_id"),
    (Place::Variable("Presence-ID"), "presence_id"),
    (Place::Variable("Username"), "username"),
];

/// What happened to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Created,
    Answered,
    Bridged,
    Held,
    Unheld,
    Parked,
    /// Nothing that changes it; but it is there.
    Seen,
    Ended,
}

impl Change {
    /// `None`: not an event of a call's life. (A call's presence, say, is published behind its end, too.)
    pub fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::ChannelCreate => Self::Created,
            Kind::ChannelAnswer => Self::Answered,
            Kind::ChannelBridge => Self::Bridged,
            Kind::ChannelHold => Self::Held,
            Kind::ChannelUnhold => Self::Unheld,
            Kind::Parking(Parking::Parked) => Self::Parked,
            Kind::Parking(_) => Self::Seen,
            Kind::ChannelDestroy => Self::Ended,
            _ => return None,
        })
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Details([Option<Box<str>>; DETAILS.len()]);

impl Details {
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        DETAILS.iter().zip(&self.0).filter_map(|((_, name), text)| Some((*name, text.as_deref()?)))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, text)| text)
    }

    /// What is newer counts; what it does not say stays.
    pub fn update(&mut self, newer: Self) {
        for (present, newer) in self.0.iter_mut().zip(newer.0) {
            if newer.is_some() {
                *present = newer;
            }
        }
    }
}

/// One event's account of its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub change: Change,
    pub other_leg: Option<Box<str>>,
    pub details: Details,
}

impl Sighting {
    /// From the event of this text, with its members at these places.
    pub fn read(change: Change, event: &str, places: &Places) -> Self {
        // Of a call that is over nothing is kept.
        if change == Change::Ended {
            return Self { change, other_leg: None, details: Details::default() };
        }
        if !places.are_complete() {
            let (plain, places) = Head::unescaped(event);
            return Self::read(change, &plain, &places);
        }
        let member = |member| places.read(member, event);
        let text_of = |name| member(name).and_then(|value| text(value.seen()));
        let variables = member(Member::CustomChannelVars);
        let variables = variables.as_ref().map(Field::seen);
        let details = DETAILS.each_ref().map(|(place, _)| match place {
            Place::Top(name) => text_of(*name),
            Place::Variable(name) => variables.and_then(|variables| text(variables.member(name)?)),
        });
        Self { change, other_leg: text_of(Member::OtherLegCallId), details: Details(details) }
    }
}

fn text(value: Seen<'_>) -> Option<Box<str>> {
    let Seen::Text(text) = value else { return None };
    (!text.is_empty() && text.len() <= TEXT_BYTES_MAX).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Change, DETAILS, Head, Place, Sighting};

    fn read(change: Change, event: &str) -> Sighting {
        let (_, places) = Head::read(event).unwrap();
        Sighting::read(change, event, &places)
    }

    #[test]
    fn every_detail_is_read_from_its_place() {
        let mut body = json!({ "Other-Leg-Call-ID": "other", "Custom-Channel-Vars": {} });
        for (place, name) in DETAILS {
            match place {
                Place::Top(key) => body[key.name()] = name.into(),
                Place::Variable(key) => body["Custom-Channel-Vars"][key] = name.into(),
            }
        }
        let sighting = read(Change::Bridged, &body.to_string());
        assert_eq!(sighting.other_leg.as_deref(), Some("other"));
        assert_eq!(sighting.details.iter().collect::<Vec<_>>(), DETAILS.map(|(_, name)| (name, name)));
    }

    #[test]
    fn names_may_be_written_with_escapes() {
        let event = r#"{"Fr\u006fm":"a","To":"b","Custom-Channel-V\u0061rs":{"Owner-ID":"c"}}"#;
        let details = read(Change::Seen, event).details;
        assert_eq!(details.iter().collect::<Vec<_>>(), [("from", "a"), ("to", "b"), ("owner_id", "c")]);
        assert_eq!(read(Change::Ended, event).details.iter().count(), 0);
    }

    #[test]
    fn what_is_no_short_text_is_left_out() {
        let body = json!({ "From": 1, "To": "", "Request": "x".repeat(513), "Caller-ID-Name": "x".repeat(512),
            "Other-Leg-Call-ID": null, "Custom-Channel-Vars": [] });
        let sighting = read(Change::Seen, &body.to_string());
        assert_eq!(sighting.other_leg, None);
        assert_eq!(sighting.details.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["caller_id_name"]);
    }

    #[test]
    fn newer_details_win_and_missing_ones_stay() {
        let mut details = read(Change::Seen, r#"{"From":"a","To":"b"}"#).details;
        details.update(read(Change::Seen, r#"{"To":"c","Request":"d"}"#).details);
        assert_eq!(details.iter().collect::<Vec<_>>(), [("from", "a"), ("to", "c"), ("request", "d")]);
        assert_eq!((details.get("to"), details.get("username")), (Some("c"), None));
    }
}
