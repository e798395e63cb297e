//! What a reader that has stopped reading costs the others.

use super::scenario::{BURST_EVENTS, PACED_FRAMES_PER_SECOND, PACED_SECONDS, ROUNDS};
use super::subject::{Crowd, Keys, Measured, Subject};
use super::support::broker::Broker;
use super::table;

const SOCKETS: usize = 1_000;
/// They fill what the kernel keeps for it, so that from then on its session waits.
const FILLING_EVENTS: usize = 200;

pub async fn run(broker: &Broker) {
    let mut all = start(broker, "all-read", 0).await;
    let mut others = start(broker, "one-stalled", 1).await;
    let paced = PACED_FRAMES_PER_SECOND / SOCKETS;
    for (kind, events, per_second) in
        [("paced", paced * PACED_SECONDS, Some(paced as f64)), ("burst", BURST_EVENTS, None)]
    {
        let (mut of_all, mut of_others) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            of_all.push(all.measure(events, per_second).await);
            of_others.push(others.measure(events, per_second).await);
        }
        let (of_all, of_others) = (Measured::middle(of_all), Measured::middle(of_others));
        table::row(&format!("{SOCKETS} readers, {kind}"), &of_all);
        table::row(&format!("{} readers and a stalled one, {kind}", SOCKETS - 1), &of_others);
        table::ratio(&of_others, &of_all);
    }
}

async fn start(broker: &Broker, virtual_host: &str, stalled: usize) -> Subject {
    let crowd = Crowd { sockets: SOCKETS - stalled, stalled, keys: Keys::One };
    // It would be cut off in the middle of the run.
    let patient = [("WEBSOCKETS__WRITE_TIMEOUT_MS", "600000")];
    let mut subject = Subject::hookswitch(&broker.virtual_host(virtual_host), crowd, &patient).await;
    subject.measure(FILLING_EVENTS, None).await;
    subject
}
