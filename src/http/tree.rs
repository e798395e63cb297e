//! The accounts around an account: `/children`, `/descendants`, `/parents`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::{AccountCall, offload};
use super::error::ApiError;
use super::page::{Key, Listed, Listing, Page};
use crate::auth::account::Account;
use crate::auth::directory::{Directory, Rank};
use crate::ids::AccountId;

impl Listed for Arc<Account> {
    fn key(&self) -> Key {
        Key { created_ms: self.created_ms, id: *self.id.as_bytes() }
    }

    fn document(&self) -> Value {
        self.to_document().into()
    }

    fn summary(&self) -> Value {
        let mut summary = json!({ "id": self.id, "name": self.name, "realm": self.realm, "enabled": self.enabled });
        if let Some(parent) = self.parent {
            summary["parent"] = json!(parent);
        }
        summary
    }
}

pub async fn children(on: AccountCall) -> Result<Answer, ApiError> {
    list(on, |directory, account| directory.children(account).cloned().collect()).await
}

pub async fn descendants(on: AccountCall) -> Result<Answer, ApiError> {
    list(on, |directory, account| directory.descendants(account).into_iter().cloned().collect()).await
}

/// From the top down. What lies above the token's account is not told, unless to an administrator.
pub async fn parents(AccountCall { call, caller, account }: AccountCall) -> Result<Answer, ApiError> {
    let directory = call.state.auth.directory();
    let mut parents = Vec::new();
    if account != caller.account || caller.rank == Rank::Administrator {
        for parent in directory.ancestors(account) {
            parents.push(parent.summary());
            if parent.id == caller.account && caller.rank == Rank::Ordinary {
                break;
            }
        }
    }
    parents.reverse();
    Ok(Answer::page(Page::whole(parents)))
}

async fn list(
    AccountCall { call, account, .. }: AccountCall,
    find: fn(&Directory, AccountId) -> Vec<Arc<Account>>,
) -> Result<Answer, ApiError> {
    let listing = Listing::parse(&call.query, &call.state.config.http)?;
    let auth = Arc::clone(&call.state.auth);
    let page = offload(move || {
        let found = find(&auth.directory(), account);
        listing.page(found)
    });
    Ok(Answer::page(page.await?))
}
