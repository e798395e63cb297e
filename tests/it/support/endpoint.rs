//! `Endpoint`: a receiver of call events that keeps count of what it got and how it answered, call by call.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::hook_server::{Answer, HookServer, Received};
use super::{PATIENCE, POLL_EVERY};

/// What came of one call's event.
#[derive(Debug, Clone, Default)]
struct Tally {
    event_ids: HashSet<String>,
    delivered: usize,
    failed: usize,
}

#[derive(Default)]
struct Book {
    tallies: HashMap<String, Tally>,
    answer: Option<Answer>,
}

pub struct Endpoint {
    pub name: &'static str,
    server: HookServer,
    book: Arc<Mutex<Book>>,
}

impl Endpoint {
    /// Answers everything with 200, at once. The name is for messages.
    pub fn start(name: &'static str) -> Self {
        let (server, book) = (HookServer::start(), Arc::new(Mutex::new(Book::default())));
        let of_server = Arc::clone(&book);
        server.answer_by(move |request| lock(&of_server).enter(request));
        Self { name, server, book }
    }

    /// From now on always this answer.
    pub fn answer_with(&self, answer: impl Into<Answer>) {
        lock(&self.book).answer = Some(answer.into());
    }

    pub fn url(&self) -> String {
        self.server.url("/hook")
    }

    pub async fn go_down(&self) {
        self.server.go_down().await;
    }

    pub async fn come_back(&self) {
        self.server.come_back().await;
    }

    /// The calls whose event got a 200.
    pub fn delivered(&self) -> HashSet<String> {
        self.calls(|tally| tally.delivered > 0)
    }

    /// The calls whose event was here, however it was answered.
    pub fn seen(&self) -> HashSet<String> {
        self.calls(|_| true)
    }

    /// How many different events of that call were here.
    pub fn events_of(&self, call: &str) -> usize {
        lock(&self.book).tallies.get(call).map_or(0, |tally| tally.event_ids.len())
    }

    fn calls(&self, wanted: impl Fn(&Tally) -> bool) -> HashSet<String> {
        let book = lock(&self.book);
        book.tallies.iter().filter(|(_, tally)| wanted(tally)).map(|(call, _)| call.clone()).collect()
    }

    /// Answers of 200 beyond the first of each event. Repeats of the calls in `but` are somebody else's.
    pub fn repeats(&self, but: &HashSet<String>) -> usize {
        let book = lock(&self.book);
        let counted = book.tallies.iter().filter(|(call, _)| !but.contains(*call));
        counted.map(|(_, tally)| tally.delivered.saturating_sub(1)).sum()
    }

    /// Attempts that were answered with anything but 200.
    pub fn failures(&self) -> usize {
        lock(&self.book).tallies.values().map(|tally| tally.failed).sum()
    }

    /// Waits until each of these calls has got its 200, for as long as there is progress; fails the test when there is
    /// none for [`PATIENCE`].
    pub async fn expect_delivered(&self, calls: &HashSet<String>) {
        self.expect(calls, |tally| tally.delivered > 0).await;
    }

    /// The same for any answer.
    pub async fn expect_seen(&self, calls: &HashSet<String>) {
        self.expect(calls, |_| true).await;
    }

    async fn expect(&self, calls: &HashSet<String>, wanted: impl Fn(&Tally) -> bool) {
        let (mut missing, mut since) = (usize::MAX, Instant::now());
        loop {
            let here = self.calls(&wanted);
            let now_missing = calls.difference(&here).count();
            if now_missing == 0 {
                return;
            }
            if now_missing < missing {
                (missing, since) = (now_missing, Instant::now());
            }
            let name = self.name;
            assert!(since.elapsed() < PATIENCE, "{name}: {missing} of {} events are missing", calls.len());
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// A receiver drops repeats by their id: it must be the same for each request of an event, and no other event's.
    #[track_caller]
    pub fn assert_ids_identify(&self) {
        let book = lock(&self.book);
        let mut all = HashSet::new();
        for (call, tally) in &book.tallies {
            assert_eq!(tally.event_ids.len(), 1, "{}: call {call} has several event ids", self.name);
            assert!(tally.event_ids.iter().all(|id| all.insert(id)), "{}: two calls share an event id", self.name);
        }
    }

    /// The event of each of these calls came under this id.
    #[track_caller]
    pub fn assert_ids(&self, ids: &HashMap<String, String>) {
        let book = lock(&self.book);
        for (call, id) in ids {
            assert!(book.tallies[call].event_ids.iter().eq([id]), "{}: call {call} came under another id", self.name);
        }
    }
}

impl Book {
    fn enter(&mut self, request: &Received) -> Answer {
        let answer = self.answer.clone().unwrap_or_else(|| Answer::status(200));
        let call = request.json()["call_id"].as_str().unwrap().to_owned();
        let tally = self.tallies.entry(call).or_default();
        tally.event_ids.insert(request.header("x-event-id").unwrap().to_owned());
        if answer.is_success() {
            tally.delivered += 1;
        } else {
            tally.failed += 1;
        }
        answer
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    // A failed assertion in the receiver's thread has been printed there.
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
