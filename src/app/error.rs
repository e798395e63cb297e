//! Why the server cannot start. Each text names the thing and, where there is one, the setting.

use std::io;

use crate::auth::directory::DirectoryError;
use crate::auth::keys::KeyError;
use crate::ids::AccountId;
use crate::store::{OpenError, StoreError};
use crate::webhook::allow::BadEntry;
use crate::webhook::outcome::BadCode;
use crate::webhook::resolve::ResolverError;
use crate::webhook::tls::TlsError;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the stored accounts make no tree: {0}")]
    Directory(#[from] DirectoryError),
    #[error("stored account {id} is unreadable: {cause}")]
    Account { id: AccountId, cause: serde_json::Error },
    #[error("webhooks.allow_hosts: {0}")]
    AllowHosts(#[from] BadEntry),
    #[error("webhooks.success_codes: {0}")]
    SuccessCodes(#[from] BadCode),
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot listen on {address}: {cause}")]
    Listen { address: String, cause: io::Error },
    #[error("the store could not be opened: its thread ended")]
    OpenerGone,
}
