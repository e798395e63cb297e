//! The tree of accounts in memory: who exists, who is above whom, whose realm and whose API key something is.
//!
//! Built from the store at start and changed after each write to it. It never touches the disk, and it has no cycles:
//! a parent must exist and cannot be changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::auth::account::Account;
use crate::auth::api_key::{ApiKeyRecord, KeyHash};
use crate::fast::FastMap;
use crate::ids::AccountId;

/// Levels below the root. Every check of a token walks up to this far.
const DEPTH_MAX: usize = 64;

/// A change, or the stored accounts, would break the tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error("account {0} exists already")]
    Exists(AccountId),
    #[error("there is no account {0}")]
    Unknown(AccountId),
    #[error("account {id} has the parent {parent}, which does not exist")]
    UnknownParent { id: AccountId, parent: AccountId },
    #[error("the parent of account {0} cannot be changed")]
    Moved(AccountId),
    #[error("realm {realm:?} belongs to account {owner}")]
    RealmInUse { realm: String, owner: AccountId },
    #[error("account {0} has children")]
    HasChildren(AccountId),
    #[error("account {0} is more than {DEPTH_MAX} levels below the root")]
    TooDeep(AccountId),
}

/// Whether somebody may do what only those who run the system may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    Administrator,
    Ordinary,
}

#[derive(Debug, Clone)]
pub struct Directory {
    root: AccountId,
    /// Changes with every change of an account.
    generation: u64,
    accounts: FastMap<AccountId, Arc<Account>>,
    /// By lower-case realm.
    realms: HashMap<String, AccountId>,
    /// Ordered as they are listed: by name without case, then id.
    children: HashMap<AccountId, BTreeSet<(String, AccountId)>>,
    api_keys: HashMap<AccountId, ApiKeyRecord>,
    api_key_owners: HashMap<KeyHash, AccountId>,
}

impl Directory {
    /// `root` is the system account, registered or not.
    pub fn new(root: AccountId) -> Self {
        Self {
            root,
            generation: 0,
            accounts: FastMap::default(),
            realms: HashMap::new(),
            children: HashMap::new(),
            api_keys: HashMap::new(),
            api_key_owners: HashMap::new(),
        }
    }

    /// All stored accounts, in any order.
    pub fn load(root: AccountId, accounts: impl IntoIterator<Item = Account>) -> Result<Self, DirectoryError> {
        let mut directory = Self::new(root);
        for account in accounts {
            directory.check_new(&account)?;
            directory.add(account);
        }
        for account in directory.accounts.values() {
            directory.check_place(account)?;
        }
        Ok(directory)
    }

    /// Another than before when an account has come, gone or changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn root(&self) -> AccountId {
        self.root
    }

    pub fn get(&self, id: AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(&id)
    }

    /// Compares without case.
    pub fn by_realm(&self, realm: &str) -> Option<&Arc<Account>> {
        self.get(*self.realms.get(&realm.to_lowercase())?)
    }

    /// The accounts right below, by name.
    pub fn children(&self, id: AccountId) -> impl DoubleEndedIterator<Item = &Arc<Account>> {
        let children = self.children.get(&id).into_iter().flatten();
        children.filter_map(|(_, child)| self.get(*child))
    }

    /// All accounts below: each before its own descendants, siblings by name.
    pub fn descendants(&self, id: AccountId) -> Vec<&Arc<Account>> {
        let mut found = Vec::new();
        let mut to_visit: Vec<&Arc<Account>> = self.children(id).rev().collect();
        while let Some(account) = to_visit.pop() {
            found.push(account);
            to_visit.extend(self.children(account.id).rev());
        }
        found
    }

    /// The accounts above, the parent first, the root last.
    pub fn ancestors(&self, id: AccountId) -> impl Iterator<Item = &Arc<Account>> {
        let above = |account: &Arc<Account>| account.parent.and_then(|parent| self.get(parent));
        let parent = self.get(id).and_then(above);
        // One more than allowed, so that `check_place` sees a cycle as too deep and ends.
        std::iter::successors(parent, move |account| above(account)).take(DEPTH_MAX + 1)
    }

    /// The root and the accounts marked `superduper_admin`.
    pub fn is_administrator(&self, id: AccountId) -> bool {
        id == self.root || self.get(id).is_some_and(|account| account.superduper_admin)
    }

    pub fn rank(&self, id: AccountId) -> Rank {
        if self.is_administrator(id) { Rank::Administrator } else { Rank::Ordinary }
    }

    /// Whether `to` is `from` or below it.
    pub fn reaches(&self, from: AccountId, to: AccountId) -> bool {
        from == to || self.ancestors(to).any(|account| account.id == from)
    }

    pub fn insert(&mut self, account: Account) -> Result<(), DirectoryError> {
        self.check_new(&account)?;
        self.check_place(&account)?;
        self.add(account);
        Ok(())
    }

    pub fn replace(&mut self, account: Account) -> Result<(), DirectoryError> {
        let current = self.get(account.id).ok_or(DirectoryError::Unknown(account.id))?;
        if current.parent != account.parent {
            return Err(DirectoryError::Moved(account.id));
        }
        self.check_realm(&account)?;
        self.take(account.id);
        self.add(account);
        Ok(())
    }

    /// Takes the account's API key along.
    pub fn remove(&mut self, id: AccountId) -> Result<Arc<Account>, DirectoryError> {
        if self.children(id).next().is_some() {
            return Err(DirectoryError::HasChildren(id));
        }
        self.remove_api_key(id);
        self.take(id).ok_or(DirectoryError::Unknown(id))
    }

    pub fn api_key(&self, id: AccountId) -> Option<&ApiKeyRecord> {
        self.api_keys.get(&id)
    }

    pub fn api_key_owner(&self, hash: &KeyHash) -> Option<AccountId> {
        self.api_key_owners.get(hash).copied()
    }

    /// The account's only key from now on.
    pub fn put_api_key(&mut self, id: AccountId, record: ApiKeyRecord) -> Result<(), DirectoryError> {
        if self.get(id).is_none() {
            return Err(DirectoryError::Unknown(id));
        }
        self.remove_api_key(id);
        self.api_key_owners.insert(record.hash, id);
        self.api_keys.insert(id, record);
        Ok(())
    }

    pub fn remove_api_key(&mut self, id: AccountId) {
        if let Some(record) = self.api_keys.remove(&id) {
            self.api_key_owners.remove(&record.hash);
        }
    }

    fn check_new(&self, account: &Account) -> Result<(), DirectoryError> {
        if self.accounts.contains_key(&account.id) {
            return Err(DirectoryError::Exists(account.id));
        }
        self.check_realm(account)
    }

    fn check_realm(&self, account: &Account) -> Result<(), DirectoryError> {
        match self.by_realm(&account.realm) {
            Some(owner) if owner.id != account.id => {
                Err(DirectoryError::RealmInUse { realm: account.realm.clone(), owner: owner.id })
            }
            _ => Ok(()),
        }
    }

    fn check_place(&self, account: &Account) -> Result<(), DirectoryError> {
        let Some(parent) = account.parent else { return Ok(()) };
        if self.get(parent).is_none() {
            return Err(DirectoryError::UnknownParent { id: account.id, parent });
        }
        if self.ancestors(parent).count() >= DEPTH_MAX {
            return Err(DirectoryError::TooDeep(account.id));
        }
        Ok(())
    }

    fn add(&mut self, account: Account) {
        self.generation += 1;
        self.realms.insert(account.realm.to_lowercase(), account.id);
        if let Some(parent) = account.parent {
            self.children.entry(parent).or_default().insert(listing_key(&account));
        }
        self.accounts.insert(account.id, Arc::new(account));
    }

    fn take(&mut self, id: AccountId) -> Option<Arc<Account>> {
        self.generation += 1;
        let account = self.accounts.remove(&id)?;
        self.realms.remove(&account.realm.to_lowercase());
        if let Some(parent) = account.parent
            && let Some(siblings) = self.children.get_mut(&parent)
        {
            siblings.remove(&listing_key(&account));
            if siblings.is_empty() {
                self.children.remove(&parent);
            }
        }
        Some(account)
    }
}

fn listing_key(account: &Account) -> (String, AccountId) {
    (account.name.to_lowercase(), account.id)
}

#[cfg(test)]
mod tests;
