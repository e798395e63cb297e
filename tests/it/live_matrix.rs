//! Nobody sees what is not theirs: every kind of binding, for every account, under every token, against the events of
//! every account and of none. What is expected stands here as a table, written from the rule and not from the server.

use std::collections::BTreeMap;

use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::bus::Bus;
use crate::support::kazoo::{message, with};
use crate::support::publisher::Message;
use crate::support::rabbit::Rabbit;
use crate::support::ws_client::WsClient;

/// Whose events there are. `own` is below `parent`, `child` below it, `sibling` beside it; `unknown` is an account that is
/// registered nowhere; `root` is above all.
const NAMES: [&str; 6] = ["own", "child", "parent", "sibling", "unknown", "root"];

/// Whose events are asked for.
const TARGETS: [&str; 6] = ["own", "child", "parent", "sibling", "unknown", "*"];

/// Who asks. The plain token is that of `own`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    Plain,
    Parents,
    Administrators,
}

const CALLS: [&str; 9] = [
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

/// A binding, whose events it is for by what it says (empty: everybody's), and which of them.
type Row = (&'static str, &'static str, &'static [&'static str]);

const ROWS: [Row; 41] = [
    ("call.CHANNEL_CREATE.*", "", &["CHANNEL_CREATE"]),
    ("call.CHANNEL_ANSWER.*", "", &["CHANNEL_ANSWER"]),
    ("call.CHANNEL_DESTROY.*", "", &["CHANNEL_DESTROY"]),
    ("call.CHANNEL_HOLD.*", "", &["CHANNEL_HOLD"]),
    ("call.CHANNEL_UNHOLD.*", "", &["CHANNEL_UNHOLD"]),
    ("call.CHANNEL_BRIDGE.*", "", &["CHANNEL_BRIDGE"]),
    ("call.PARK_PARKED.*", "", &["PARK_PARKED"]),
    ("call.PARK_RETRIEVED.*", "", &["PARK_RETRIEVED"]),
    ("call.PARK_ABANDONED.*", "", &["PARK_ABANDONED"]),
    ("call.*.*", "", &CALLS),
    ("call.*.call-own", "own", &CALLS),
    ("call.CHANNEL_CREATE.call-sibling", "sibling", &["CHANNEL_CREATE"]),
    ("object.doc_created.user", "", &["new user"]),
    ("object.doc_edited.fax", "", &["edited fax"]),
    ("object.*.mailbox_message", "", &["deleted message"]),
    ("object.*.*", "", &["new user", "edited fax", "deleted message"]),
    ("doc_created.*.user.*", "", &["new user"]),
    ("doc_edited.*.fax.*", "", &["edited fax"]),
    ("doc_deleted.*.*.*", "", &["deleted message"]),
    ("fax.status.*", "", &["fax"]),
    ("fax.status.fax-own", "own", &["fax"]),
    ("fax.object.doc_edited", "", &["edited fax"]),
    ("fax.object.*", "", &["edited fax"]),
    ("conference.event.hall.*", "", &["in the hall"]),
    ("conference.event.add-member.hall.*", "", &["in the hall"]),
    ("conference.event.del-member.hall.*", "", &[]),
    ("conference.event.room-own.*", "own", &["in the room"]),
    ("conference.event.*.room-sibling.*", "sibling", &["in the room"]),
    ("conference.command.room-own", "own", &["command"]),
    ("conference.command.room-child", "child", &["command"]),
    ("conference.command.room-parent", "parent", &["command"]),
    ("conference.command.room-sibling", "sibling", &["command"]),
    ("conference.command.room-unknown", "unknown", &["command"]),
    // Nothing was heard of that conference, so that it is nobody's.
    ("conference.command.room-nobody", "nobody", &["command"]),
    ("presence.dialog.*", "", &["dialog"]),
    ("presence.update.call-own", "own", &["update"]),
    ("presence.mwi_updates.101", "", &["waiting"]),
    ("notifications.topup", "", &["topup"]),
    ("notifications.*", "", &["topup", "system_alert", "webhook_disabled"]),
    ("notifications.system_alert", "", &["system_alert"]),
    ("notifications.webhook_disabled", "", &["webhook_disabled"]),
];

fn for_administrators(kind: &str) -> bool {
    matches!(kind, "system_alert" | "webhook_disabled")
}

/// What the subscription is refused with, if it is.
fn refusal(token: Token, target: &str, binding: &str) -> Option<String> {
    let reached: &[&str] = match token {
        Token::Plain => &["own", "child"],
        Token::Parents => &["own", "child", "parent", "sibling"],
        Token::Administrators => &["own", "child", "parent", "sibling", "*"],
    };
    if !reached.contains(&target) {
        let kind = if target == "*" { "wildcard account" } else { "account" };
        return Some(format!("unauthorized {kind} id"));
    }
    let name = binding.strip_prefix("notifications.").filter(|name| for_administrators(name))?;
    (token != Token::Administrators).then(|| format!("event {name} not supported"))
}

/// The events that the subscription gets, each once, as `{whose}/{which}`.
fn expected(token: Token, target: &str, (binding, whose, kinds): Row) -> BTreeMap<String, usize> {
    if refusal(token, target, binding).is_some() {
        return BTreeMap::new();
    }
    let in_scope = |name: &&str| target == "*" || target == *name;
    let meant = |name: &&str| whose.is_empty() || whose == *name;
    let mut expected = BTreeMap::new();
    for name in NAMES.into_iter().chain(["nobody"]).filter(in_scope).filter(meant) {
        for kind in kinds.iter().filter(|kind| token == Token::Administrators || !for_administrators(kind)) {
            if is_published(name, kind) {
                expected.insert(format!("{name}/{kind}"), 1);
            }
        }
    }
    expected
}

/// Of what belongs to nobody only the commands of conferences go to those who see everything. Nobody's alarms are the
/// root's; an account that is not registered has no realm.
fn is_published(name: &str, kind: &str) -> bool {
    match name {
        "nobody" => kind == "command",
        "root" => for_administrators(kind),
        "unknown" => !matches!(kind, "dialog" | "update" | "waiting"),
        _ => true,
    }
}

struct Tree {
    accounts: BTreeMap<&'static str, AccountId>,
}

impl Tree {
    async fn plant(bus: &Bus) -> Self {
        let parent = bus.app.create_account("parent", None).await;
        let own = bus.app.create_account("own", Some(parent)).await;
        let child = bus.app.create_account("child", Some(own)).await;
        let sibling = bus.app.create_account("sibling", Some(parent)).await;
        let ids = [own, child, parent, sibling, AccountId::random(), bus.app.system_account];
        Self { accounts: NAMES.into_iter().zip(ids).collect() }
    }

    /// As a client names it.
    fn named(&self, target: &str) -> String {
        self.accounts.get(target).map_or_else(|| target.to_owned(), AccountId::to_string)
    }

    fn owner_of(&self, token: Token) -> AccountId {
        self.accounts[match token {
            Token::Plain => "own",
            Token::Parents => "parent",
            Token::Administrators => "root",
        }]
    }
}

/// Every event of an account, in an order in which Kazoo could publish them.
fn events(name: &str, account: AccountId, realm: &str) -> Vec<Value> {
    let event = |kind: &str, category: &str, event: &str, fields: Value| {
        let id = format!("{name}/{kind}");
        with(json!({ "Event-Category": category, "Event-Name": event, "Msg-ID": id, "Marker": id }), fields)
    };
    let id = account.to_string();
    let database = format!("account%2F{}%2F{}%2F{}", &id[..2], &id[2..4], &id[4..]);
    let call = |kind: &&str| {
        // Only the first event of a call has to say whose it is.
        let vars = if *kind == "CHANNEL_ANSWER" { json!({}) } else { json!({ "Account-ID": id }) };
        event(kind, "call_event", kind, json!({ "Call-ID": format!("call-{name}"), "Custom-Channel-Vars": vars }))
    };
    let change = |kind: &str, action: &str, database: &str, doc_type: &str| {
        event(kind, "configuration", action, json!({ "Database": database, "Type": doc_type, "ID": "doc" }))
    };
    let conference = |kind: &str, id: &str, account: &str| {
        let fields = json!({ "Conference-ID": id, "Account-ID": account, "Event": "add-member", "Call-ID": "c" });
        event(kind, "conference", "event", fields)
    };
    let presence = |kind: &str, event_name: &str| {
        let fields = json!({ "Presence-ID": format!("101@{realm}"), "Call-ID": format!("call-{name}") });
        event(kind, "presence", event_name, fields)
    };
    let room = format!("room-{name}");
    let own = [
        change("new user", "doc_created", &database, "user"),
        // Any month counts, not only the one of the subscription.
        change("edited fax", "doc_edited", &format!("{database}-202001"), "fax"),
        change("deleted message", "doc_deleted", &format!("{database}-209912"), "mailbox_message"),
        event("fax", "fax", "status", json!({ "Account-ID": id, "Fax-ID": format!("fax-{name}") })),
        conference("in the hall", "hall", &id),
        conference("in the room", &room, &id),
        event("command", "conference", "command", json!({ "Conference-ID": room })),
    ];
    let of_realm =
        [presence("dialog", "dialog_update"), presence("update", "update"), presence("waiting", "mwi_update")];
    let notices = ["topup", "system_alert", "webhook_disabled"];
    let notices = notices.map(|kind| event(kind, "notification", kind, json!({ "Account-ID": id })));
    CALLS.iter().map(call).chain(own).chain(of_realm).chain(notices).collect()
}

/// Events that say nothing of an account, or nothing that can be made out, and what they are called.
fn events_of_nobody() -> Vec<Value> {
    let bad = [Value::Null, json!("0123"), json!("*"), json!("#"), json!("6C0BEA2D5B52AA838A59A2C4044001C5")];
    let mut found = Vec::new();
    for (index, account) in bad.into_iter().enumerate() {
        let vars = json!({ "Account-ID": account });
        let id = format!("nobody-{index}");
        let presence = format!("101@{id}.example.com");
        for (category, name, fields) in [
            ("call_event", "CHANNEL_CREATE", json!({ "Call-ID": id, "Custom-Channel-Vars": vars })),
            ("call_event", "PARK_PARKED", json!({ "Call-ID": id })),
            ("configuration", "doc_created", json!({ "Database": account, "Type": "user", "ID": "doc" })),
            ("configuration", "doc_edited", json!({ "Database": "faxes", "Type": "fax", "ID": id })),
            ("fax", "status", json!({ "Account-ID": account, "Fax-ID": "fax-own" })),
            ("conference", "event", json!({ "Account-ID": account, "Conference-ID": "hall", "Event": "add-member" })),
            ("presence", "dialog_update", json!({ "Presence-ID": presence, "Call-ID": "call-own" })),
            ("presence", "mwi_update", json!({ "Presence-ID": "101", "Call-ID": "call-own" })),
            ("notification", "topup", json!({ "Account-ID": account })),
        ] {
            let names =
                json!({ "Event-Category": category, "Event-Name": name, "Msg-ID": id, "Marker": "nobody/leaks" });
            found.push(with(names, fields));
        }
    }
    let command = json!({ "Event-Category": "conference", "Event-Name": "command", "Conference-ID": "room-nobody",
        "Msg-ID": "nobody/command", "Marker": "nobody/command" });
    let alarm = |name: &str| {
        json!({ "Event-Category": "notification", "Event-Name": name, "Msg-ID": format!("root/{name}"),
        "Marker": format!("root/{name}") })
    };
    found.extend([command, alarm("system_alert"), alarm("webhook_disabled")]);
    found
}

/// The last event of an account. Every socket has subscribed to that of its token's, so that it knows when all has come.
const LAST: &str = "call.PARK_ABANDONED.last";

fn last(account: AccountId) -> Value {
    json!({ "Event-Category": "call_event", "Event-Name": "PARK_ABANDONED", "Call-ID": "last", "Msg-ID": account,
        "Marker": "last", "Custom-Channel-Vars": { "Account-ID": account } })
}

struct Cell {
    token: Token,
    target: &'static str,
    row: Row,
    client: WsClient,
}

impl Cell {
    /// Asks for both subscriptions, and waits for nothing.
    async fn open(bus: &Bus, tree: &Tree, (token, shown): (Token, &str), target: &'static str, row: Row) -> Self {
        let mut client = WsClient::connect(bus.app.socket_address).await;
        // The token is remembered.
        for (account, binding, shown) in
            [(tree.named(target), row.0, Some(shown)), (tree.owner_of(token).to_string(), LAST, None)]
        {
            let data = json!({ "account_id": account, "binding": binding });
            let request = json!({ "action": "subscribe", "auth_token": shown, "request_id": binding, "data": data });
            client.send(&request).await;
        }
        Self { token, target, row, client }
    }

    async fn check_replies(&mut self) {
        let binding = self.row.0;
        let reply = |id: &str, status: &str, data: Value| json!({ "action": "reply", "request_id": id, "status": status, "data": data });
        let held = |bindings: &[&str]| json!({ "subscribed": bindings, "subscriptions": bindings });
        let expected = match refusal(self.token, self.target, binding) {
            Some(text) => [reply(binding, "error", json!({ "errors": [text] })), reply(LAST, "success", held(&[LAST]))],
            None => [reply(binding, "success", held(&[binding])), reply(LAST, "success", held(&[binding, LAST]))],
        };
        for expected in expected {
            assert_eq!(self.client.next().await, expected, "{:?} for {}", self.token, self.target);
        }
    }

    async fn check_events(&mut self) {
        let (binding, mut found) = (self.row.0, BTreeMap::new());
        loop {
            let frame = self.client.next().await;
            assert_eq!(frame["action"], "event", "{frame}");
            if frame["subscribed_key"] == LAST {
                break;
            }
            assert_eq!(frame["subscribed_key"], binding, "{frame}");
            let marker = frame["data"]["marker"].as_str().unwrap();
            if marker != "last" {
                *found.entry(marker.to_owned()).or_insert(0) += 1;
            }
        }
        assert_eq!(
            found,
            expected(self.token, self.target, self.row),
            "{binding}: {:?} for {}",
            self.token,
            self.target
        );
    }
}

#[actix_web::test]
async fn every_binding_of_everybody_gets_exactly_what_is_theirs() {
    // A broker of its own: those who see everything would see the events of other tests.
    let rabbit = Rabbit::start().await;
    let mut bus = Bus::on(rabbit.uri(), |config| config.websockets.ping_interval_ms = 3_600_000).await;
    let tree = Tree::plant(&bus).await;
    let mut cells = Vec::new();
    for token in [Token::Plain, Token::Parents, Token::Administrators] {
        let shown = bus.app.token_for(tree.owner_of(token));
        for target in TARGETS {
            for row in ROWS {
                cells.push(Cell::open(&bus, &tree, (token, &shown), target, row).await);
            }
        }
    }
    for cell in &mut cells {
        cell.check_replies().await;
    }

    let mut published = Vec::new();
    for name in ["own", "child", "parent", "sibling", "unknown"] {
        let account = tree.accounts[name];
        let shown = bus.app.get(&format!("/v2/accounts/{account}")).await;
        let realm = shown.data("realm").as_str().unwrap_or("unknown.example.com");
        published.extend(events(name, account, realm));
    }
    published.extend(events_of_nobody());
    published.extend(["own", "parent", "root"].map(|name| last(tree.accounts[name])));
    let messages: Vec<Message> = published.iter().map(message).collect();
    // Somebody has subscribed to each kind, so that the broker has a binding for every one.
    assert_eq!(bus.publisher.publish_all(&messages).await.unwrap(), [0; 0]);
    for cell in &mut cells {
        cell.check_events().await;
    }
    let nobodys = r#"hookswitch_live_events_total{exchange="conference",result="unknown_conference"}"#;
    assert_eq!(bus.app.metric(nobodys).await, 1.0, "what is nobody's is counted, whoever sees it");
}
