//! The runs beside the floor.

use super::stalled;
use super::subject::{Crowd, Keys, Measured, Subject};
use super::support::broker::Broker;
use super::table;

/// Frames a second, over all sockets, where it is paced.
pub const PACED_FRAMES_PER_SECOND: usize = 10_000;
pub const PACED_SECONDS: usize = 5;
pub const ROUNDS: usize = 3;
/// A burst that nobody who reads is cut off for.
pub const BURST_EVENTS: usize = 500;
/// From so many on, what a socket takes is more than what the first of them take.
const SOCKETS_FOR_MEMORY: usize = 1_000;

struct Scenario {
    /// As it is selected.
    what: &'static str,
    name: &'static str,
    sockets: usize,
    keys: Keys,
    /// Of each burst.
    events: usize,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario { what: "1", name: "1 socket", sockets: 1, keys: Keys::One, events: 20_000 },
    Scenario { what: "200", name: "200, one key", sockets: 200, keys: Keys::One, events: 2_000 },
    Scenario { what: "5000", name: "5000, one key", sockets: 5_000, keys: Keys::One, events: BURST_EVENTS },
    Scenario { what: "distinct", name: "5000, distinct keys", sockets: 5_000, keys: Keys::Distinct, events: 20_000 },
];

pub fn run_all(selection: &[&str]) {
    let selected = |what: &str| selection.is_empty() || selection.contains(&what);
    let broker = Broker::start();
    table::head();
    for scenario in SCENARIOS.iter().filter(|scenario| selected(scenario.what)) {
        actix::System::new().block_on(beside_floor(&broker, scenario));
    }
    if selected("stalled") {
        actix::System::new().block_on(stalled::run(&broker));
    }
}

async fn beside_floor(broker: &Broker, scenario: &Scenario) {
    let Scenario { what, name, sockets, keys, events } = *scenario;
    let crowd = Crowd { sockets, stalled: 0, keys };
    let mut ours = Subject::hookswitch(&broker.uri, crowd, &[]).await;
    let first = ours.measure(BURST_EVENTS, None).await;
    // Both are there at once, so that they can take turns, and neither gets the other's events.
    let mut floor = Subject::floor(&broker.virtual_host(what), crowd, &first.example).await;
    let first_of_floor = floor.measure(BURST_EVENTS, None).await;
    print(name, "500 events", &first, &first_of_floor);

    let frames_per_event = match keys {
        Keys::One => sockets,
        Keys::Distinct => 1,
    };
    let paced = PACED_FRAMES_PER_SECOND / frames_per_event;
    for (kind, events, per_second) in [("burst", events, None), ("paced", paced * PACED_SECONDS, Some(paced as f64))] {
        let (mut of_ours, mut of_floor) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            of_floor.push(floor.measure(events, per_second).await);
            of_ours.push(ours.measure(events, per_second).await);
        }
        print(name, kind, &Measured::middle(of_ours), &Measured::middle(of_floor));
    }
    if sockets >= SOCKETS_FOR_MEMORY {
        table::idle(sockets, ours.idle_kib, floor.idle_kib);
    }
}

fn print(name: &str, kind: &str, ours: &Measured, floor: &Measured) {
    table::row(&format!("{name}, {kind}: floor"), floor);
    table::row(&format!("{name}, {kind}: hookswitch"), ours);
    table::ratio(ours, floor);
}
