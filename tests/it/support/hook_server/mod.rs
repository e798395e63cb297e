//! `HookServer`: a real HTTP receiver that records every request and answers as it is told.
//!
//! It has a thread and a runtime of its own, so that it goes on whatever the test does, and waits in real time: it is not
//! for tests with paused time.

mod answer;
mod connection;

pub use answer::{Answer, Manner};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::PATIENCE;

/// One request, as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When its last byte was there.
    pub at: Instant,
    /// Counts the connections of the server from 0: requests with the same number came over the same one.
    pub connection: u64,
}

impl Received {
    /// The first header of that name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether it is the same request again: sent to the same place for the same event, by the same hook, with the same
    /// body.
    pub fn repeats(&self, other: &Self) -> bool {
        let identity = |request: &Self| {
            ["x-hook-id", "x-event-id", "x-account-id"].map(|name| request.header(name).map(str::to_owned))
        };
        (&self.method, &self.target, &self.body, identity(self))
            == (&other.method, &other.target, &other.body, identity(other))
    }

    /// The pairs of the query, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        pairs(self.target.split_once('?').map_or("", |(_, query)| query).as_bytes())
    }

    /// The pairs of a form-data body, decoded.
    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&self.body)
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}

/// How many there are now, and the most that there were at once.
#[derive(Debug, Default)]
struct Gauge {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    /// Counts one more until the guard is dropped.
    fn enter(&self) -> Counted<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        Counted(&self.now)
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

type AnswerBy = Box<dyn FnMut(&Received) -> Answer + Send>;

struct Script {
    /// Given in turn before `then` is asked.
    first: VecDeque<Answer>,
    then: AnswerBy,
}

struct Shared {
    received: watch::Sender<Vec<Received>>,
    script: Mutex<Script>,
    open: Gauge,
    active: Gauge,
}

impl Shared {
    fn receive(&self, received: Received) -> Answer {
        let mut script = self.script.lock().unwrap();
        let first = script.first.pop_front();
        let answer = first.unwrap_or_else(|| (script.then)(&received));
        // Within the lock, so that requests are recorded in the order in which answers were given out.
        self.received.send_modify(|all| all.push(received));
        answer
    }
}

#[derive(Debug)]
enum Command {
    GoDown(oneshot::Sender<()>),
    ComeBack(oneshot::Sender<()>),
}

pub struct HookServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    expected: AtomicUsize,
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl HookServer {
    /// Listens on a free port of 127.0.0.1 and answers everything with 200.
    pub fn start() -> Self {
        let shared = Arc::new(Shared {
            received: watch::Sender::new(Vec::new()),
            script: Mutex::new(Script { first: VecDeque::new(), then: Box::new(|_| Answer::status(200)) }),
            open: Gauge::default(),
            active: Gauge::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (commands, orders) = mpsc::unbounded_channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(accept(listener, shared, orders));
            }
        });
        Self { address, shared, expected: AtomicUsize::new(0), commands: Some(commands), thread: Some(thread) }
    }

    /// The URL of a path, which starts with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    // ---- what it answers

    /// From now on always the same answer, which may be a status alone.
    pub fn answer_with(&self, answer: impl Into<Answer>) {
        let answer = answer.into();
        self.answer_by(move |_| answer.clone());
    }

    /// These answers to the next requests, one each; afterwards as before.
    pub fn answer_in_turn(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.script.lock().unwrap().first.extend(answers);
    }

    /// From now on what the function says.
    pub fn answer_by(&self, answer: impl FnMut(&Received) -> Answer + Send + 'static) {
        let script = Script { first: VecDeque::new(), then: Box::new(answer) };
        *self.shared.script.lock().unwrap() = script;
    }

    /// Closes every connection and refuses new ones; the port stays reserved.
    pub async fn go_down(&self) {
        self.order(Command::GoDown).await;
    }

    /// Listens again after [`Self::go_down`].
    pub async fn come_back(&self) {
        self.order(Command::ComeBack).await;
    }

    async fn order(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, wait) = oneshot::channel();
        self.commands.as_ref().unwrap().send(command(done)).unwrap();
        wait.await.unwrap();
    }

    // ---- what it saw

    /// The next request that no earlier call returned; fails the test when there is none within [`PATIENCE`].
    pub async fn expect_delivery(&self) -> Received {
        let index = self.expected.fetch_add(1, Ordering::SeqCst);
        self.eventually_received(index + 1).await.swap_remove(index)
    }

    /// All requests so far, once there are at least `count`; fails the test when there are not within [`PATIENCE`].
    pub async fn eventually_received(&self, count: usize) -> Vec<Received> {
        let mut received = self.shared.received.subscribe();
        let wait = timeout(PATIENCE, received.wait_for(|all| all.len() >= count)).await;
        match wait {
            Ok(all) => all.unwrap().clone(),
            Err(_) => panic!("{} requests within {PATIENCE:?} where {count} were expected", self.received().len()),
        }
    }

    /// All requests so far, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.borrow().clone()
    }

    /// All requests so far, which are forgotten here.
    pub fn take(&self) -> Vec<Received> {
        self.expected.store(0, Ordering::SeqCst);
        self.shared.received.send_replace(Vec::new())
    }

    pub fn open_connections(&self) -> usize {
        self.shared.open.now.load(Ordering::SeqCst)
    }

    /// The most connections that were open at once.
    pub fn open_connections_peak(&self) -> usize {
        self.shared.open.peak.load(Ordering::SeqCst)
    }

    /// The most requests that were waiting for the end of their answer at once.
    pub fn concurrent_requests_peak(&self) -> usize {
        self.shared.active.peak.load(Ordering::SeqCst)
    }
}

impl Drop for HookServer {
    fn drop(&mut self) {
        self.commands.take();
        // A panic of that thread was a failed `unwrap` of its own; it has been printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Runs until the server is dropped; connections end with it.
async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>, mut orders: mpsc::UnboundedReceiver<Command>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(TcpListener::from_std(listener).unwrap());
    // Holds the port while nobody listens on it.
    let mut reserved: Option<TcpSocket> = None;
    let mut connections = JoinSet::new();
    let mut count = 0;
    loop {
        tokio::select! {
            Ok((stream, _)) = async { listener.as_ref().unwrap().accept().await }, if listener.is_some() => {
                connections.spawn(connection::serve(stream, count, Arc::clone(&shared)));
                count += 1;
            }
            Some(_) = connections.join_next() => (),
            order = orders.recv() => match order {
                None => return,
                Some(Command::GoDown(done)) => {
                    listener = None;
                    reserved = Some(reserve(address).await);
                    connections.shutdown().await;
                    let _ = done.send(());
                }
                Some(Command::ComeBack(done)) => {
                    if let Some(socket) = reserved.take() {
                        listener = Some(socket.listen(1024).unwrap());
                    }
                    let _ = done.send(());
                }
            }
        }
    }
}

async fn reserve(address: SocketAddr) -> TcpSocket {
    let since = Instant::now();
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        match socket.bind(address) {
            Ok(()) => return socket,
            // A child process of these tests has the listener too until it becomes another program.
            Err(error) => assert!(since.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
