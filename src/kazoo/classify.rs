//! Which kind an event is. Goes by what the event says of itself, never by the routing key: publishers over HTTP may
//! leave that out, and a binding may be wider than the kind.

use crate::kazoo::head::Head;
use crate::kazoo::kind::Kind;
use crate::kazoo::notifications;
use crate::kazoo::table::{self, KindRule, OBJECT_TYPES, OFFNET};

/// `None`: nothing that this server knows.
pub fn classify(head: &Head) -> Option<Kind> {
    let (category, name) = (head.event_category.as_deref()?, head.event_name.as_deref()?);
    if category == notifications::EVENT_CATEGORY {
        return notifications::by_name(name).map(Kind::Notification);
    }
    Some(match table::row(category, name)?.kind {
        KindRule::Always(kind) => kind,
        KindRule::Document(action) => document(action, head),
        KindRule::Offnet(kind) if is_offnet(head) => kind,
        KindRule::Offnet(_) => Kind::OtherMessage,
    })
}

/// A leg that the switch made to talk to itself: `include_internal_legs: false` skips it.
pub fn is_internal_leg(head: &Head) -> bool {
    head.channel_is_loopback || head.channel_name.as_deref().is_some_and(is_loopback_name)
}

/// Whether a channel of this name joins the switch to itself.
pub fn is_loopback_name(channel_name: &str) -> bool {
    channel_name.starts_with("loopback/")
}

fn document(action: &'static str, head: &Head) -> Kind {
    let listed = OBJECT_TYPES.into_iter().find(|listed| head.doc_type.as_deref() == Some(listed));
    listed.map_or(Kind::OtherChange, |object_type| Kind::Object { action, object_type })
}

fn is_offnet(head: &Head) -> bool {
    head.route_type.as_deref().is_some_and(|route| route.eq_ignore_ascii_case(OFFNET))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{classify, is_internal_leg};
    use crate::kazoo::head::Head;
    use crate::kazoo::kind::{Kind, Parking};
    use crate::kazoo::notifications;
    use crate::kazoo::routing::routing;
    use crate::kazoo::table::{OBJECT_ACTIONS, OBJECT_TYPES, ROWS};

    const ACCOUNT: &str = "4b2f8c1d9e0a7f36b5c4d3e2f1a09b87";
    const DATABASE: &str = "account%2F4b%2F2f%2F8c1d9e0a7f36b5c4d3e2f1a09b87";

    fn head(category: &str, name: &str) -> Head {
        let database = DATABASE.replace("%2F", "%2f");
        let body = format!(
            r#"{{"Event-Category":"{category}","Event-Name":"{name}","Call-ID":"a.b@c","Account-ID":"{ACCOUNT}",
                "Database":"{database}-202601","Type":"user","ID":"id.1","Presence-ID":"101@pbx.example.com",
                "Conference-ID":"conf","Event":"add-member","Job-ID":"job.1","Message-ID":"msg 1","Route-Type":"Offnet",
                "Action":"hangup"}}"#
        );
        Head::parse(&body).unwrap()
    }

    #[track_caller]
    fn check(category: &str, name: &str, kind: Kind, exchange: &str, routing_key: &str) {
        let head = head(category, name);
        assert_eq!(classify(&head), Some(kind));
        assert_eq!(routing(&head), Some((exchange, routing_key.to_owned())));
    }

    #[test]
    fn every_row_has_its_kind_and_routing_key() {
        let calls = [
            ("CHANNEL_CREATE", Kind::ChannelCreate),
            ("CHANNEL_ANSWER", Kind::ChannelAnswer),
            ("CHANNEL_BRIDGE", Kind::ChannelBridge),
            ("CHANNEL_DESTROY", Kind::ChannelDestroy),
            ("CHANNEL_DISCONNECTED", Kind::ChannelDestroy),
            ("CHANNEL_HOLD", Kind::ChannelHold),
            ("CHANNEL_UNHOLD", Kind::ChannelUnhold),
            ("PARK_PARKED", Kind::Parking(Parking::Parked)),
            ("PARK_RETRIEVED", Kind::Parking(Parking::Retrieved)),
            ("PARK_ABANDONED", Kind::Parking(Parking::Abandoned)),
        ];
        for (name, kind) in calls {
            check("call_event", name, kind, "callevt", &format!("call.{name}.a%2Eb%40c"));
        }
        for action in OBJECT_ACTIONS {
            let kind = Kind::Object { action, object_type: "user" };
            let key = format!("{action}.{DATABASE}-202601.user.id%2E1");
            check("configuration", action, kind, "configuration", &key);
        }
        for name in ["db_created", "db_edited", "db_deleted"] {
            let key = format!("{name}.{DATABASE}-202601.user.id%2E1");
            check("configuration", name, Kind::OtherChange, "configuration", &key);
        }
        check("sms", "inbound", Kind::Sms, "im", "sms.inbound.offnet.msg+1");
        check("mms", "inbound", Kind::Mms, "im", "mms.inbound.offnet.msg+1");
        check("sms", "outbound", Kind::OtherMessage, "im", "sms.outbound.offnet.msg+1");
        check("mms", "outbound", Kind::OtherMessage, "im", "mms.outbound.offnet.msg+1");
        check("fax", "status", Kind::FaxStatus, "faxes", &format!("fax.status.{ACCOUNT}.job%2E1"));
        let key = format!("conference.event.add-member.{ACCOUNT}.conf.a%2Eb%40c");
        check("conference", "event", Kind::ConferenceEvent, "conference", &key);
        let key = "conference.command.conf";
        check("conference", "command", Kind::ConferenceCommand, "conference", key);
        let key = "dialog.pbx%2Eexample%2Ecom.a%2Eb%40c";
        check("presence", "dialog_update", Kind::PresenceDialog, "presence", key);
        let key = "update.pbx%2Eexample%2Ecom.a%2Eb%40c";
        check("presence", "update", Kind::PresenceUpdate, "presence", key);
        let key = "mwi_updates.pbx%2Eexample%2Ecom.101";
        check("presence", "mwi_update", Kind::PresenceMwi, "presence", key);
        let key = "metaflow.action.a%2Eb%40c.hangup";
        check("metaflow", "action", Kind::MetaflowAction, "metaflow", key);
        check("metaflow", "flow", Kind::MetaflowFlow, "metaflow", "metaflow.flow.a%2Eb%40c");
    }

    #[test]
    fn every_notification_has_its_kind_and_routing_key() {
        for row in &notifications::ROWS {
            let kind = Kind::Notification(row);
            check("notification", row.name, kind, "notifications", &row.routing_key());
            assert_eq!(kind.hook_id(), Some("notifications"));
        }
    }

    #[test]
    fn unknown_messages_are_none() {
        for (category, name) in [("notification", "skel"), ("call_event", "DTMF"), ("fax", "query"), ("", "")] {
            let head = head(category, name);
            assert_eq!((classify(&head), routing(&head)), (None, None));
        }
        assert_eq!(classify(&Head::default()), None);
    }

    #[test]
    fn only_listed_document_types_are_objects() {
        for object_type in OBJECT_TYPES {
            let head = Head { doc_type: Some(object_type.into()), ..head("configuration", "doc_edited") };
            assert_eq!(classify(&head), Some(Kind::Object { action: "doc_edited", object_type }));
        }
        for doc_type in [None, Some("cdr"), Some("User"), Some("*")] {
            let head = Head { doc_type: doc_type.map(Into::into), ..head("configuration", "doc_edited") };
            assert_eq!(classify(&head), Some(Kind::OtherChange));
        }
    }

    #[test]
    fn messages_that_stay_inside_fire_no_hook() {
        for route in [None, Some("onnet"), Some("")] {
            let head = Head { route_type: route.map(Into::into), ..head("sms", "inbound") };
            assert_eq!(classify(&head), Some(Kind::OtherMessage));
            assert_eq!(Kind::OtherMessage.hook_id(), None);
        }
    }

    #[test]
    fn hook_ids_are_those_of_the_catalogue() {
        let ids: HashSet<_> =
            ROWS.iter().filter_map(|row| classify(&head(row.category, row.name)).unwrap().hook_id()).collect();
        let expected = [
            "channel_create",
            "channel_answer",
            "channel_bridge",
            "channel_destroy",
            "parking",
            "object",
            "sms",
            "mms",
        ];
        assert_eq!(ids, HashSet::from(expected));
    }

    #[test]
    fn internal_legs_show_in_the_name_or_the_flag() {
        for (body, expected) in [
            (r#"{"Channel-Name":"loopback/101-a"}"#, true),
            (r#"{"Channel-Name":"sofia/sipinterface_1/101"}"#, false),
            (r#"{"Channel-Name":"sofia/loopback/101","Channel-Is-Loopback":"false"}"#, false),
            (r#"{"Channel-Name":"sofia/101","Channel-Is-Loopback":true}"#, true),
            ("{}", false),
        ] {
            assert_eq!(is_internal_leg(&Head::parse(body).unwrap()), expected, "{body}");
        }
    }
}
