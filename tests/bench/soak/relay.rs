//! A way to the broker that can be cut.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub struct Relay {
    address: SocketAddr,
    path: String,
    cut: Rc<Notify>,
}

impl Relay {
    /// To the broker of this URI, `amqp://user:password@host:port/path`.
    pub async fn start(uri: &str) -> Self {
        let (_, rest) = uri.split_once('@').unwrap();
        let (broker, path) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay =
            Self { address: listener.local_addr().unwrap(), path: path.to_owned(), cut: Rc::new(Notify::new()) };
        let (broker, cut) = (broker.to_owned(), Rc::clone(&relay.cut));
        actix::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                actix::spawn(pass_on(client, broker.clone(), Rc::clone(&cut)));
            }
        });
        relay
    }

    pub fn uri(&self) -> String {
        format!("amqp://guest:guest@{}/{}", self.address, self.path)
    }

    /// Ends every connection that is open now.
    pub fn cut(&self) {
        self.cut.notify_waiters();
    }
}

async fn pass_on(mut client: TcpStream, broker: String, cut: Rc<Notify>) {
    let Ok(mut broker) = TcpStream::connect(&broker).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut broker) => (),
        () = cut.notified() => (),
    }
}
