//! Bursts from the broker that are longer than any queue of a socket.

use actix_web::web;
use serde_json::json;

use crate::support::bus::Bus;
use crate::support::eventually;
use crate::support::publisher::Message;
use crate::support::raw_socket::{RawSocket, TEXT};
use crate::support::reader::Reader;

const CREATES: &str = "call.CHANNEL_CREATE.*";
const EVENTS: usize = 4_000;
/// So many that the threads of the sockets have ten times the work of the Registry.
const READERS: usize = 40;
/// Far less than the burst, and more than the Registry may be ahead.
const QUEUE_FRAMES: usize = 400;
const PREFETCH: u16 = 50;
const BATCH: usize = 1_000;

#[actix_web::test]
async fn a_burst_cuts_off_nobody_but_who_stopped_reading() {
    let mut bus = Bus::with(|config| {
        config.websockets.queue_frames_max = QUEUE_FRAMES;
        config.amqp.live_prefetch = PREFETCH;
    })
    .await;
    let account = bus.app.create_account("own", None).await;
    let (token, account) = (bus.app.token_for(account), account.to_string());
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let (server, token, account) = (bus.app.socket_address, token.clone(), account.clone());
        let subscribe = move || Reader::subscribe(server, &token, &account, CREATES, EVENTS);
        readers.push(web::block(subscribe).await.unwrap());
    }
    let mut stalled = RawSocket::open(bus.app.socket_address).await;
    let data = json!({ "account_id": account, "binding": CREATES });
    let request = json!({ "action": "subscribe", "auth_token": token, "data": data });
    stalled.send(TEXT, request.to_string().as_bytes()).await;
    stalled.next().await.unwrap();

    let ids: Vec<String> = (0..EVENTS).map(|number| format!("call-{number}")).collect();
    let messages: Vec<Message> = ids
        .iter()
        .map(|id| {
            let event = json!({ "Event-Category": "call_event", "Event-Name": "CHANNEL_CREATE", "Call-ID": id,
                "Msg-ID": id, "App-Name": "it", "App-Version": "1", "Custom-Channel-Vars": { "Account-ID": account } });
            Message::json("callevt", &format!("call.CHANNEL_CREATE.{id}"), &event)
        })
        .collect();
    for batch in messages.chunks(BATCH) {
        assert_eq!(bus.publisher.publish_all(batch).await.unwrap(), Vec::<usize>::new());
    }
    for reader in readers {
        let came = web::block(|| reader.call_ids()).await.unwrap();
        assert!(came == ids, "{} events came, or in another order", came.len());
    }
    eventually("the end of the one that did not read", async || {
        bus.app.metric("hookswitch_websocket_ends_total{reason=\"queue_full\"}").await == 1.0
    })
    .await;
    stalled.expect_end().await;
}
