//! What a hook is sent for a call event, as a table: each field, and where it comes from.

use crate::ids::AccountId;
use crate::kazoo::classify::is_loopback_name;
use crate::kazoo::coerce::{integer, is_true};
use crate::kazoo::fields::{Field, Fields};
use crate::kazoo::kind::Kind;
use crate::kazoo::members::{Member, Places};

/// Where a field of the payload comes from.
#[derive(Clone, Copy)]
enum Source {
    Account,
    HookEvent,
    Event(Member),
    /// The member, where it is a whole number or the text of one.
    Integer(Member),
    Variable(&'static str),
    /// As the event has it, nulls within it included.
    UntouchedVariable(&'static str),
    /// Whether the variable is true, if it is there.
    Truth(&'static str),
    /// All of them but those that stay inside.
    Variables,
    ApplicationVariables,
    IsEmergency,
    IsLocal,
    LocalResource,
    IsInternal,
}

use Source::{
    Account, ApplicationVariables, Event, HookEvent, Integer, IsEmergency, IsInternal, IsLocal, LocalResource, Truth,
    UntouchedVariable, Variable, Variables,
};

type Table = [(&'static str, Source)];

const CHANNEL: &Table = &[
    ("account_id", Account),
    ("authorizing_id", Variable("Authorizing-ID")),
    ("authorizing_type", Variable("Authorizing-Type")),
    ("call_direction", Event(Member::CallDirection)),
    ("call_forwarded", Truth("Call-Forward")),
    ("call_id", Event(Member::CallId)),
    ("callee_id_name", Event(Member::CalleeIdName)),
    ("callee_id_number", Event(Member::CalleeIdNumber)),
    ("caller_id_name", Event(Member::CallerIdName)),
    ("caller_id_number", Event(Member::CallerIdNumber)),
    ("custom_channel_vars", Variables),
    ("custom_application_vars", ApplicationVariables),
    ("emergency_resource_used", IsEmergency),
    ("from", Event(Member::From)),
    ("inception", Event(Member::Inception)),
    ("local_resource_id", LocalResource),
    ("local_resource_used", IsLocal),
    ("is_internal_leg", IsInternal),
    ("other_leg_call_id", Event(Member::OtherLegCallId)),
    ("owner_id", Variable("Owner-ID")),
    ("request", Event(Member::Request)),
    ("reseller_id", Variable("Reseller-ID")),
    ("timestamp", Integer(Member::Timestamp)),
    ("to", Event(Member::To)),
];

const BRIDGE: &Table = &[
    ("original_number", UntouchedVariable("Original-Number")),
    ("other_leg_destination_number", Event(Member::OtherLegDestinationNumber)),
];

const DESTROY: &Table = &[
    ("hangup_cause", Event(Member::HangupCause)),
    ("hangup_code", Event(Member::HangupCode)),
    ("duration_seconds", Integer(Member::DurationSeconds)),
    ("ringing_seconds", Integer(Member::RingingSeconds)),
    ("billing_seconds", Integer(Member::BillingSeconds)),
];

const LAST: &Table = &[("hook_event", HookEvent)];

/// The most that a payload of a call has.
const FIELDS_MAX: usize = 30;

/// The rows behind those that all call events have.
fn further_rows(kind: Kind) -> Option<&'static Table> {
    match kind {
        Kind::ChannelCreate | Kind::ChannelAnswer => Some(&[]),
        Kind::ChannelBridge => Some(BRIDGE),
        Kind::ChannelDestroy => Some(DESTROY),
        _ => None,
    }
}

pub fn is_call(kind: Kind) -> bool {
    further_rows(kind).is_some()
}

/// A call event, of which only what is asked for is read.
pub struct Call<'a, 'p> {
    text: &'a str,
    places: &'p Places,
    /// Without nulls.
    variables: Fields<'a>,
}

impl<'a, 'p> Call<'a, 'p> {
    pub fn read(text: &'a str, places: &'p Places) -> Self {
        let mut call = Self { text, places, variables: Fields::default() };
        call.variables = call.object(Member::CustomChannelVars).unwrap_or_default();
        call
    }

    pub fn payload(&self, kind: Kind, account: AccountId, reserved: &[String]) -> Fields<'a> {
        let mut payload = Fields::with_capacity(FIELDS_MAX);
        for (name, source) in [CHANNEL, further_rows(kind).unwrap_or_default(), LAST].into_iter().flatten() {
            let value = match *source {
                Account => Some(account.to_string().into()),
                HookEvent => kind.hook_id().map(Field::from),
                Variables => {
                    let goes_out = |name: &str| !reserved.iter().any(|reserved| reserved == name);
                    Some(Field::Members(self.variables.filtered(goes_out)))
                }
                source => self.field(source),
            };
            payload.put(name, value);
        }
        payload
    }

    fn field(&self, source: Source) -> Option<Field<'a>> {
        match source {
            Event(member) => self.member(member),
            Integer(member) => self.member(member).and_then(|value| integer(value.seen())).map(Field::Number),
            Variable(name) => self.variables.get(name).cloned(),
            UntouchedVariable(name) => self.member(Member::CustomChannelVars)?.into_members()?.get(name).cloned(),
            Truth(name) => self.variables.get(name).map(|value| is_true(value.seen()).into()),
            ApplicationVariables => self.object(Member::CustomApplicationVars).map(Field::Members),
            IsEmergency => Some(self.is_true("Emergency-Resource").into()),
            IsLocal => Some(self.is_local().into()),
            LocalResource => self.variables.get("Resource-ID").filter(|_| self.is_local()).cloned(),
            IsInternal => Some(self.is_internal().into()),
            Account | HookEvent | Variables => None,
        }
    }

    fn member(&self, member: Member) -> Option<Field<'a>> {
        self.places.read(member, self.text)
    }

    fn object(&self, member: Member) -> Option<Fields<'a>> {
        let mut members = self.member(member)?.into_members()?;
        members.drop_nulls();
        Some(members)
    }

    /// Whether a variable is there, and true.
    fn is_true(&self, name: &str) -> bool {
        self.variables.get(name).is_some_and(|value| is_true(value.seen()))
    }

    fn is_local(&self) -> bool {
        !self.is_true("Global-Resource")
    }

    fn is_internal(&self) -> bool {
        self.member(Member::ChannelIsLoopback).is_some_and(|value| is_true(value.seen()))
            || self.member(Member::ChannelName).is_some_and(|name| name.as_str().is_some_and(is_loopback_name))
    }
}
