//! Whose an event is: the account rules of every kind. An account is never guessed; what the event leaves open is
//! returned as the question that the registry can answer (whose call, whose realm, whose conference).

use std::borrow::Cow;

use crate::ids::AccountId;
use crate::kazoo::database::{ACCOUNTS, account_of_database};
use crate::kazoo::head::Head;
use crate::kazoo::kind::Kind;
use crate::kazoo::segment::decode_segment;
use crate::kazoo::table::{self, OwnerRule, UNDEFINED};

/// Whose an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Account(AccountId),
    /// Whoever the call with this id is known to belong to.
    Call(Box<str>),
    /// Whoever has this realm, lower case.
    Realm(Box<str>),
    /// Whoever the conference with this id is known to belong to.
    Conference(Box<str>),
    Nobody(Ownerless),
}

/// Why an event is nobody's; [`Ownerless::as_str`] is the label under which it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ownerless {
    MissingAccount,
    MalformedAccount,
    NoAccountDatabase,
    MissingRealm,
    MissingConference,
}

impl Ownerless {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingAccount => "missing account",
            Self::MalformedAccount => "malformed account",
            Self::NoAccountDatabase => "no account database",
            Self::MissingRealm => "missing realm",
            Self::MissingConference => "missing conference",
        }
    }
}

/// `routing_key` is only looked at for a presence event that does not say whose presence it is.
pub fn owner(kind: Kind, head: &Head, routing_key: &str) -> Owner {
    match rule(kind, head) {
        OwnerRule::Call => owner_of_call(head),
        OwnerRule::Database => owner_of_change(head),
        OwnerRule::Account => account(account_of_notice(kind, head)),
        OwnerRule::AccountOrCall => account(head.account_id.as_deref().or(head.channel_account_id.as_deref())),
        OwnerRule::Conference => match &head.conference_id {
            Some(id) => Owner::Conference(id.clone()),
            None => Owner::Nobody(Ownerless::MissingConference),
        },
        OwnerRule::Realm => owner_of_presence(head, routing_key),
    }
}

/// Every account that the event names, each once: a publisher over HTTP has to reach all of them.
pub fn named_accounts(head: &Head) -> Vec<AccountId> {
    let database = head.database.as_deref();
    let candidates = [
        head.account_id.as_deref().and_then(parse),
        head.channel_account_id.as_deref().and_then(parse),
        head.hook_account_id.as_deref().and_then(parse),
        database.and_then(account_of_database),
        database.filter(|name| *name == ACCOUNTS).and(head.doc_id.as_deref()).and_then(parse),
    ];
    let mut named = Vec::new();
    for account in candidates.into_iter().flatten() {
        if !named.contains(&account) {
            named.push(account);
        }
    }
    named
}

fn rule(kind: Kind, head: &Head) -> OwnerRule {
    if let Kind::Notification(_) = kind {
        return OwnerRule::Account;
    }
    let names = head.event_category.as_deref().zip(head.event_name.as_deref());
    // A head that was not classified owns nothing more than the account it names.
    names.and_then(|(category, name)| table::row(category, name)).map_or(OwnerRule::Account, |row| row.owner)
}

fn owner_of_call(head: &Head) -> Owner {
    match (&head.channel_account_id, &head.call_id) {
        (None, Some(call_id)) => Owner::Call(call_id.clone()),
        (named, _) => account(named.as_deref()),
    }
}

fn owner_of_change(head: &Head) -> Owner {
    match head.database.as_deref() {
        Some(ACCOUNTS) => account(head.doc_id.as_deref()),
        Some(name) => account_of_database(name).map_or(Owner::Nobody(Ownerless::NoAccountDatabase), Owner::Account),
        None => Owner::Nobody(Ownerless::NoAccountDatabase),
    }
}

fn owner_of_presence(head: &Head, routing_key: &str) -> Owner {
    let of_key = || routing_key.split('.').nth(1).filter(|word| *word != UNDEFINED).map(decode_segment);
    match head.presence_realm().map(Cow::Borrowed).or_else(of_key) {
        Some(realm) if !realm.is_empty() => Owner::Realm(realm.to_lowercase().into()),
        _ => Owner::Nobody(Ownerless::MissingRealm),
    }
}

/// A one-off hook is its own account's, whatever the notification around it says.
fn account_of_notice(kind: Kind, head: &Head) -> Option<&str> {
    let named = head.account_id.as_deref();
    if kind.is_one_off() { head.hook_account_id.as_deref().or(named) } else { named }
}

fn account(named: Option<&str>) -> Owner {
    match named {
        Some(text) => parse(text).map_or(Owner::Nobody(Ownerless::MalformedAccount), Owner::Account),
        None => Owner::Nobody(Ownerless::MissingAccount),
    }
}

fn parse(text: &str) -> Option<AccountId> {
    AccountId::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::{Owner, Ownerless, named_accounts, owner};
    use crate::ids::AccountId;
    use crate::kazoo::classify::classify;
    use crate::kazoo::head::Head;
    use crate::kazoo::notifications;

    const A: &str = "4b2f8c1d9e0a7f36b5c4d3e2f1a09b87";
    const B: &str = "00112233445566778899aabbccddeeff";

    fn id(text: &str) -> AccountId {
        AccountId::parse(text).unwrap()
    }

    fn nobody(reason: Ownerless) -> Owner {
        Owner::Nobody(reason)
    }

    #[track_caller]
    fn check(category: &str, name: &str, fields: &str, routing_key: &str, expected: Owner) {
        let fields = fields.replace("{A}", A).replace("{B}", B);
        let body = format!(r#"{{"Event-Category":"{category}","Event-Name":"{name}"{fields}}}"#);
        let head = Head::parse(&body).unwrap();
        assert_eq!(owner(classify(&head).unwrap(), &head, routing_key), expected, "{body}");
    }

    #[test]
    fn call_events_are_the_channels_or_the_known_calls() {
        for (category, name) in [("call_event", "CHANNEL_CREATE"), ("call_event", "PARK_PARKED"), ("metaflow", "flow")]
        {
            let check = |fields, expected| check(category, name, fields, "", expected);
            check(
                r#","Custom-Channel-Vars":{"Account-ID":"{A}"},"Call-ID":"c","Account-ID":"{B}""#,
                Owner::Account(id(A)),
            );
            check(r#","Call-ID":"c","Account-ID":"{B}""#, Owner::Call("c".into()));
            check(r#","Custom-Channel-Vars":{"Account-ID":""},"Call-ID":"c""#, Owner::Call("c".into()));
            // A bad account is not overruled by the call: somebody meant something by it.
            check(r#","Custom-Channel-Vars":{"Account-ID":"x"},"Call-ID":"c""#, nobody(Ownerless::MalformedAccount));
            check("", nobody(Ownerless::MissingAccount));
        }
    }

    #[test]
    fn changes_are_the_databases() {
        for name in ["doc_created", "doc_edited", "doc_deleted", "db_created", "db_edited", "db_deleted"] {
            let check = |fields, expected| check("configuration", name, fields, "", expected);
            check(r#","Database":"{A}-202601","ID":"{B}","Account-ID":"{B}""#, Owner::Account(id(A)));
            check(r#","Database":"accounts","ID":"{B}""#, Owner::Account(id(B)));
            check(r#","Database":"accounts""#, nobody(Ownerless::MissingAccount));
            check(r#","Database":"accounts","ID":"_design/x""#, nobody(Ownerless::MalformedAccount));
            check(r#","Database":"system_config","ID":"{A}""#, nobody(Ownerless::NoAccountDatabase));
            check(r#","ID":"{A}","Account-ID":"{A}""#, nobody(Ownerless::NoAccountDatabase));
        }
    }

    #[test]
    fn notices_messages_and_faxes_are_their_accounts() {
        let pairs =
            [("sms", "inbound"), ("sms", "outbound"), ("mms", "inbound"), ("mms", "outbound"), ("fax", "status")];
        let names = notifications::ROWS.iter().map(|row| ("notification", row.name));
        for (category, name) in pairs.into_iter().chain(names) {
            check(category, name, r#","Account-ID":"{A}""#, "", Owner::Account(id(A)));
            check(category, name, r#","Account-ID":"x""#, "", nobody(Ownerless::MalformedAccount));
            check(category, name, r#","Call-ID":"c""#, "", nobody(Ownerless::MissingAccount));
        }
    }

    #[test]
    fn one_off_hooks_are_their_own_accounts() {
        let fields = r#","Account-ID":"{B}","Hook":{"pvt_account_id":"{A}"}"#;
        check("notification", "webhook", fields, "", Owner::Account(id(A)));
        check("notification", "topup", fields, "", Owner::Account(id(B)));
        check("notification", "webhook", r#","Account-ID":"{B}","Hook":{}"#, "", Owner::Account(id(B)));
    }

    #[test]
    fn conferences_are_named_by_events_and_known_for_commands() {
        let ccv = r#","Custom-Channel-Vars":{"Account-ID":"{A}"}"#;
        check("conference", "event", ccv, "", Owner::Account(id(A)));
        check("conference", "event", &format!(r#"{ccv},"Account-ID":"{{B}}""#), "", Owner::Account(id(B)));
        check("conference", "event", r#","Call-ID":"c""#, "", nobody(Ownerless::MissingAccount));
        let fields = r#","Conference-ID":"k","Account-ID":"{A}""#;
        check("conference", "command", fields, "", Owner::Conference("k".into()));
        check("conference", "command", "", "", nobody(Ownerless::MissingConference));
    }

    #[test]
    fn presence_is_the_realms() {
        let realm = || Owner::Realm("pbx.example.com".into());
        for name in ["dialog_update", "update", "mwi_update"] {
            let check = |fields, routing_key, expected| check("presence", name, fields, routing_key, expected);
            check(r#","Presence-ID":"101@PBX.example.com""#, "dialog.other.x", realm());
            check("", "dialog.pbx%2Eexample%2EC%6fm.x", realm());
            check(r#","Presence-ID":"101""#, "update.pbx%2Eexample%2Ecom.x", realm());
            check("", "dialog", nobody(Ownerless::MissingRealm));
            check("", "dialog.undefined.x", nobody(Ownerless::MissingRealm));
            check(r#","Presence-ID":"101@""#, "", nobody(Ownerless::MissingRealm));
        }
        let to = r#","To":"101@PBX.example.com""#;
        check("presence", "mwi_update", to, "mwi_updates.other.x", realm());
        check("presence", "dialog_update", to, "dialog.other.x", Owner::Realm("other".into()));
        check("presence", "update", to, "", nobody(Ownerless::MissingRealm));
    }

    #[track_caller]
    fn check_named(fields: &str, expected: &[&str]) {
        let fields = fields.replace("{A}", A).replace("{B}", B);
        let head = Head::parse(&format!("{{{fields}}}")).unwrap();
        let expected: Vec<_> = expected.iter().map(|text| id(text)).collect();
        assert_eq!(named_accounts(&head), expected, "{fields}");
    }

    #[test]
    fn every_named_account_is_listed_once() {
        check_named("", &[]);
        check_named(r#""Account-ID":"{A}""#, &[A]);
        check_named(r#""Account-ID":"{A}","Custom-Channel-Vars":{"Account-ID":"{B}"}"#, &[A, B]);
        check_named(r#""Account-ID":"{A}","Hook":{"pvt_account_id":"{A}"}"#, &[A]);
        check_named(r#""Hook":{"pvt_account_id":"{B}"}"#, &[B]);
        check_named(r#""Database":"{A}-202601","ID":"{B}""#, &[A]);
        check_named(r#""Database":"accounts","ID":"{B}""#, &[B]);
        check_named(r#""Account-ID":"x""#, &[]);
    }
}
