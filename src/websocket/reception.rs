//! Who may open a socket: anybody without a token, and whoever brings a valid one.

use std::sync::Arc;

use super::conversation::{Reception, Refusal, Upgrade};
use super::dialog::{Dialog, Shared};
use super::login::Login;
use super::sockets::Sockets;
use crate::auth::Caller;
use crate::event::now_ms;

pub struct Desk {
    pub shared: Arc<Shared>,
}

impl Desk {
    fn let_in(&self, login: Login, sockets: &Arc<Sockets>) -> Result<Dialog, Refusal> {
        // The place itself is taken when the socket is open.
        if let Some(account) = login.account()
            && sockets.seat_of(account).is_none()
        {
            return Err(Refusal::TooMany);
        }
        Ok(Dialog::new(Arc::clone(&self.shared), login))
    }

    /// One that only listens: what it asks for comes with it.
    pub(super) fn receive_listener(
        &self,
        caller: Caller,
        request: Box<str>,
        sockets: &Arc<Sockets>,
    ) -> Result<Dialog, Refusal> {
        Ok(self.let_in(Login::of(caller), sockets)?.listening(request))
    }
}

impl Reception for Desk {
    type Conversation = Dialog;

    fn receive(&self, upgrade: &Upgrade, sockets: &Arc<Sockets>) -> Result<Dialog, Refusal> {
        let mut login = Login::default();
        if let Some(token) = &upgrade.token {
            login.show(&self.shared.auth, token, now_ms()).map_err(|_| Refusal::Token)?;
        }
        self.let_in(login, sockets)
    }
}
