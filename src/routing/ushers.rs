//! The last step of an event to its sessions: into their mailboxes, on their own threads.
//!
//! To put a frame into the mailboxes of many sessions of another thread means as many wakes of that thread, and memory
//! and counters that two processors take turns with. So each thread is sent one errand for each event, which does it
//! there. While no other waits, it lets the sessions write before it goes on to the next ones: what of theirs it touched
//! is then still in the processor's caches. In a burst they rather write what came of several events at once. A thread
//! runs its errands in their order, and what is for few sessions goes to them at once while there is none under way: so a
//! session gets everything in the order in which the Registry sent it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytestring::ByteString;
use tokio::task::yield_now;

use crate::websocket::messages::{Contact, SessionId};
use crate::websocket::outbox::Sent;
use crate::websocket::worker::Worker;

/// For so few an errand does not pay.
pub const FEW: usize = 4;
/// After so many an errand lets them write, unless another waits.
const SESSIONS_AT_ONCE: usize = 64;

/// The way to one session.
#[derive(Clone)]
pub struct Way {
    pub session: SessionId,
    pub contact: Arc<Contact>,
    usher: Option<usize>,
}

/// Sessions of one thread.
pub struct Party {
    usher: Option<usize>,
    ways: Arc<[Way]>,
}

#[derive(Default)]
pub struct Ushers {
    /// One for each thread that was ever heard of: there is no end of threads but that of the server, or a panic.
    ushers: Vec<Usher>,
    gone: Arc<Mutex<Vec<SessionId>>>,
}

struct Usher {
    worker: Worker,
    /// Those that are not done.
    errands: Arc<AtomicUsize>,
}

/// Counts an errand for as long as it lives.
struct UnderWay(Arc<AtomicUsize>);

impl Ushers {
    pub fn way(&mut self, session: SessionId, contact: Contact) -> Way {
        let usher = contact.outbox.worker().map(|worker| {
            self.ushers.iter().position(|usher| usher.worker == *worker).unwrap_or_else(|| {
                self.ushers.push(Usher { worker: worker.clone(), errands: Arc::default() });
                self.ushers.len() - 1
            })
        });
        Way { session, contact: Arc::new(contact), usher }
    }

    /// Who is served by the same thread.
    pub fn parties(ways: impl Iterator<Item = Way>) -> Vec<Party> {
        let mut by_usher: Vec<(Option<usize>, Vec<Way>)> = Vec::new();
        for way in ways {
            match by_usher.iter_mut().find(|(usher, _)| *usher == way.usher) {
                Some((_, ways)) => ways.push(way),
                None => by_usher.push((way.usher, vec![way])),
            }
        }
        by_usher.into_iter().map(|(usher, ways)| Party { usher, ways: ways.into() }).collect()
    }

    /// To one session. What became of it is known only where nothing was under way to its thread.
    pub fn send(&self, way: &Way, frame: &ByteString) -> Sent {
        match way.usher.map(|usher| &self.ushers[usher]) {
            Some(usher) if !usher.is_idle() => {
                let (way, frame, gone) = (way.clone(), frame.clone(), Arc::clone(&self.gone));
                usher.send(async move { deliver(std::slice::from_ref(&way), &frame, &gone) })
            }
            _ => way.contact.outbox.try_send(frame),
        }
    }

    /// Answers to how many.
    pub fn send_to_all(&self, party: &Party, frame: &ByteString) -> usize {
        match party.usher.map(|usher| &self.ushers[usher]) {
            Some(usher) => {
                let errands = Arc::clone(&usher.errands);
                let (ways, frame, gone) = (Arc::clone(&party.ways), frame.clone(), Arc::clone(&self.gone));
                usher.send(async move {
                    for ways in ways.chunks(SESSIONS_AT_ONCE) {
                        deliver(ways, &frame, &gone);
                        if errands.load(Ordering::Relaxed) == 1 {
                            yield_now().await;
                        }
                    }
                });
            }
            None => deliver(&party.ways, frame, &self.gone),
        }
        party.ways.len()
    }

    /// Sessions that took nothing.
    pub fn take_gone(&self) -> Vec<SessionId> {
        std::mem::take(&mut self.gone.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Usher {
    fn is_idle(&self) -> bool {
        self.errands.load(Ordering::Acquire) == 0
    }

    fn send(&self, errand: impl Future<Output = ()> + Send + 'static) -> Sent {
        self.errands.fetch_add(1, Ordering::Relaxed);
        let under_way = UnderWay(Arc::clone(&self.errands));
        let spawned = self.worker.spawn(async move {
            errand.await;
            drop(under_way);
        });
        if spawned { Sent::Queued } else { Sent::Gone }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

fn deliver(ways: &[Way], frame: &ByteString, gone: &Mutex<Vec<SessionId>>) {
    for way in ways {
        if way.contact.outbox.try_send(frame) != Sent::Queued {
            gone.lock().unwrap_or_else(PoisonError::into_inner).push(way.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use actix::{Actor, Arbiter, AsyncContext, Context, Handler};

    use super::{SESSIONS_AT_ONCE, Ushers, Way};
    use crate::auth::directory::Rank;
    use crate::auth::{Caller, Registration};
    use crate::ids::AccountId;
    use crate::websocket::line::{Ending, Line, Peer};
    use crate::websocket::messages::{Contact, News, SessionId};
    use crate::websocket::outbox::{Frame, Outbox, Sent, Tell};
    use crate::websocket::roster::Entry;
    use crate::websocket::wire::Wire;

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Session {
        contact: mpsc::Sender<Contact>,
        came: mpsc::Sender<String>,
    }

    impl Actor for Session {
        type Context = Context<Self>;

        fn started(&mut self, context: &mut Self::Context) {
            context.set_mailbox_capacity(1_000);
            let wire = Wire::new(&UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap().0;
            let line = Arc::new(Line::new(wire, Peer::Converses));
            let peer = ([127, 0, 0, 1], 1).into();
            let entry = Entry::new(SessionId(0), peer, 0, Arc::clone(&line), context.address().recipient());
            let outbox = Outbox::new(context.address().recipient(), line, 1 << 20);
            let account = AccountId::from_bytes([1; 16]);
            let caller =
                Caller { account, rank: Rank::Ordinary, registration: Registration::Registered, expires_ms: u64::MAX };
            self.contact.send(Contact { outbox, entry, caller }).unwrap();
        }
    }

    impl Handler<Frame> for Session {
        type Result = ();

        fn handle(&mut self, frame: Frame, _: &mut Self::Context) {
            self.came.send(frame.0.to_string()).unwrap();
        }
    }

    impl Handler<Tell<News>> for Session {
        type Result = ();

        fn handle(&mut self, _: Tell<News>, _: &mut Self::Context) {}
    }

    fn session(ushers: &mut Ushers, arbiter: &Arbiter, number: u64) -> (Way, mpsc::Receiver<String>) {
        let ((contact, given), (came, heard)) = (mpsc::channel(), mpsc::channel());
        Session::start_in_arbiter(&arbiter.handle(), move |_| Session { contact, came });
        (ushers.way(SessionId(number), given.recv_timeout(PATIENCE).unwrap()), heard)
    }

    #[actix::test]
    async fn what_is_sent_comes_in_its_order_whichever_way_it_takes() {
        let (mut ushers, arbiters) = (Ushers::default(), [Arbiter::new(), Arbiter::new()]);
        let sessions: Vec<_> = (0..10).map(|n| session(&mut ushers, &arbiters[n as usize % 2], n)).collect();
        let parties = Ushers::parties(sessions.iter().map(|(way, _)| way.clone()));
        assert_eq!(parties.len(), 2);
        let (go_on, stopped) = mpsc::channel::<()>();
        arbiters[1].spawn_fn(move || stopped.recv().unwrap());
        let mut expected = Vec::new();
        for round in 0..100 {
            for text in [format!("all {round}"), format!("one {round}")] {
                match text.starts_with("all") {
                    true => assert_eq!(
                        parties.iter().map(|party| ushers.send_to_all(party, &text.as_str().into())).sum::<usize>(),
                        10
                    ),
                    false => sessions
                        .iter()
                        .for_each(|(way, _)| assert_eq!(ushers.send(way, &text.as_str().into()), Sent::Queued)),
                }
                expected.push(text);
            }
        }
        go_on.send(()).unwrap();
        for (_, heard) in &sessions {
            let came: Vec<String> = expected.iter().map(|_| heard.recv_timeout(PATIENCE).unwrap()).collect();
            assert_eq!(came, expected);
        }
        assert_eq!(ushers.take_gone(), []);
    }

    #[actix::test]
    async fn all_of_a_large_party_are_told_and_who_takes_nothing_is_found() {
        let (mut ushers, arbiter) = (Ushers::default(), Arbiter::new());
        let (way, heard) = session(&mut ushers, &arbiter, 7);
        let many = Ushers::parties((0..SESSIONS_AT_ONCE + 1).map(|_| way.clone()));
        let all_told = || {
            let (done, told) = mpsc::channel();
            ushers.ushers[0].worker.spawn(async move { done.send(()).unwrap() });
            told.recv_timeout(PATIENCE).unwrap();
        };
        assert_eq!(ushers.send_to_all(&many[0], &"all".into()), SESSIONS_AT_ONCE + 1);
        all_told();
        (0..SESSIONS_AT_ONCE + 1).for_each(|_| assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "all"));
        way.contact.outbox.line().cut(Ending::Lost);
        ushers.send_to_all(&many[0], &"lost".into());
        all_told();
        assert_eq!(ushers.take_gone(), [SessionId(7); SESSIONS_AT_ONCE + 1]);
        arbiter.stop();
        arbiter.join().unwrap();
        assert_eq!(ushers.send(&way, &"late".into()), Sent::Gone);
        assert!(heard.try_recv().is_err());
    }
}
