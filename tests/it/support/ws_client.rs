//! `WsClient`: a well-behaved client of a socket, as existing ones are: JSON out, JSON in. Whoever needs one that is not
//! takes `RawSocket`.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Request};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::PATIENCE;

pub struct WsClient {
    stream: WebSocketStream<TcpStream>,
    pub address: SocketAddr,
}

impl WsClient {
    pub async fn connect(server: SocketAddr) -> Self {
        Self::try_connect(server, "/", &[]).await.unwrap()
    }

    /// To any path and with any headers; the error is the status code of the answer.
    pub async fn try_connect(server: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{server}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        let connection = TcpStream::connect(server).await.unwrap();
        Self::shake_hands(connection, request).await
    }

    /// `None` where nobody listens.
    pub async fn connect_if_open(server: SocketAddr) -> Option<Self> {
        let connection = TcpStream::connect(server).await.ok()?;
        let request = format!("ws://{server}/").into_client_request().unwrap();
        Some(Self::shake_hands(connection, request).await.unwrap())
    }

    async fn shake_hands(connection: TcpStream, request: Request<()>) -> Result<Self, u16> {
        let address = connection.local_addr().unwrap();
        match timeout(PATIENCE, client_async(request, connection)).await.expect("the answer to the handshake") {
            Ok((stream, _)) => Ok(Self { stream, address }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    pub async fn send(&mut self, request: &Value) {
        self.send_text(&request.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// As [`Self::send`], to whom may be gone.
    pub async fn try_send(&mut self, request: &Value) -> bool {
        self.stream.send(Message::text(request.to_string())).await.is_ok()
    }

    /// The next message as JSON; fails the test when none comes within [`PATIENCE`].
    pub async fn next(&mut self) -> Value {
        let text = self.next_text().await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
    }

    pub async fn next_text(&mut self) -> String {
        match self.next_message().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("a text was expected, and {other:?} came"),
        }
    }

    /// The next message but pings and pongs; `None` at the end of the connection.
    pub async fn next_message(&mut self) -> Option<Message> {
        loop {
            match timeout(PATIENCE, self.stream.next()).await.expect("a message, or the end") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Asks, and takes the next message as the answer, as clients do.
    pub async fn ask(&mut self, request: &Value) -> Value {
        self.send(request).await;
        self.next().await
    }

    /// The reply to a subscribe request.
    pub async fn subscribe(&mut self, token: &str, account: &str, binding: &str) -> Value {
        let data = json!({ "account_id": account, "binding": binding });
        self.ask(&json!({ "action": "subscribe", "auth_token": token, "request_id": binding, "data": data })).await
    }

    /// Waits for the server's close, passing over what comes before it, and returns its code.
    pub async fn expect_close(&mut self) -> u16 {
        loop {
            match self.next_message().await {
                Some(Message::Close(Some(CloseFrame { code, .. }))) => return code.into(),
                Some(Message::Close(None)) => return 1005,
                Some(_) => {}
                None => panic!("the connection ended without a close"),
            }
        }
    }

    /// Waits until the connection has ended, however that came.
    pub async fn expect_end(&mut self) {
        while self.next_message().await.is_some() {}
    }

    pub async fn close(mut self) {
        self.stream.close(None).await.unwrap();
        self.expect_end().await;
    }
}
