//! Accounts and their API keys: where each one goes in the tree, and what becomes of one that is here already.
//!
//! Kazoo's own root comes below our system account, which stays the root; it keeps its rank. An account whose parent is
//! not here goes below the nearest one above it that is, or the system account. No account of Kazoo's reaches one here
//! that it did not reach there: Kazoo goes by the list in each document, also where two of them contradict each other.

use std::collections::HashSet;
use std::sync::Arc;

use super::report::{Report, Taken, Topic};
use super::{Existing, Import, REPEATED, differs};
use crate::auth::account::{Account, Proposal, Subject};
use crate::auth::api_key::{ApiKey, ApiKeyRecord};
use crate::auth::directory::{Directory, Rank};
use crate::event::now_ms;
use crate::ids::AccountId;
use crate::kazoo::dump::Document;
use crate::kazoo::dump::account::DumpedAccount;
use crate::store::{StoreError, Write};
use crate::validation::Faults;

/// The accounts of all files, each once.
#[derive(Default)]
pub struct DumpedAccounts {
    accounts: Vec<DumpedAccount>,
    ids: HashSet<AccountId>,
}

impl DumpedAccounts {
    pub fn add(&mut self, document: Document, report: &mut Report) {
        let id = document.id.clone();
        match DumpedAccount::read(document) {
            Err(error) => report.left_out(Topic::Account, id, error),
            Ok(account) if self.ids.insert(account.id) => self.accounts.push(account),
            Ok(_) => report.left_out(Topic::Account, id, REPEATED),
        }
    }
}

/// Where an account belongs.
struct Place {
    parent: AccountId,
    note: Option<String>,
}

impl Place {
    /// `ids` are those of all accounts in the dump.
    fn find(dumped: &DumpedAccount, directory: &Directory, ids: &HashSet<AccountId>) -> Self {
        let root = directory.root();
        let Some(tree) = &dumped.tree else {
            let note = "it does not say whom it is below, and goes below the system account";
            return Self { parent: root, note: Some(note.to_owned()) };
        };
        let Some(named) = tree.last() else {
            return Self { parent: root, note: None };
        };
        let above: Vec<AccountId> = tree.iter().filter_map(|id| AccountId::parse(id).ok()).collect();
        let is_stranger = |account: &Arc<Account>| ids.contains(&account.id) && !above.contains(&account.id);
        let is_fit = |id: &AccountId| {
            *id != dumped.id && directory.get(*id).is_some() && !directory.ancestors(*id).any(is_stranger)
        };
        let parent = above.iter().rev().copied().find(is_fit).unwrap_or(root);
        let note = (parent.to_string() != *named).then(|| {
            let is_here = AccountId::parse(named).is_ok_and(|named| directory.get(named).is_some());
            let reason = if is_here { "is below others than it" } else { "is not here" };
            format!("its parent {named:?} {reason}, and it goes below {parent}")
        });
        Self { parent, note }
    }
}

impl Import<'_> {
    pub fn accounts(&mut self, dumped: DumpedAccounts) -> Result<(), StoreError> {
        let DumpedAccounts { mut accounts, ids } = dumped;
        // Parents before children: in Kazoo a child's list of those above is the longer one.
        accounts.sort_by_key(|account| (account.tree.as_ref().map_or(0, Vec::len), account.id));
        accounts.into_iter().try_for_each(|account| self.account(account, &ids))
    }

    fn account(&mut self, mut dumped: DumpedAccount, ids: &HashSet<AccountId>) -> Result<(), StoreError> {
        let id = dumped.id;
        if id == self.directory.root() {
            let reason = "it has the id of this server's system account, which stays as it is";
            self.report.left_out(Topic::Account, id, reason);
            return Ok(());
        }
        let api_key = dumped.api_key.take();
        let place = Place::find(&dumped, &self.directory, ids);
        match self.validate(dumped, place.parent) {
            Ok(account) => self.take_account(account, place)?,
            Err(faults) => self.report.left_out(Topic::Account, id, faults),
        }
        match api_key {
            Some(key) if self.directory.get(id).is_some() => self.api_key(id, &key),
            _ => Ok(()),
        }
    }

    /// A realm that cannot be taken costs the realm, not the account.
    fn validate(&mut self, dumped: DumpedAccount, parent: AccountId) -> Result<Account, Faults> {
        let DumpedAccount { id, created_ms, mut document, .. } = dumped;
        let current = self.directory.get(id).cloned();
        let on = match &current {
            Some(account) => Subject::Existing(account),
            None => Subject::New { parent, created_ms: created_ms.unwrap_or_else(now_ms) },
        };
        document.insert("id".into(), id.to_string().into());
        let proposal = Proposal {
            directory: &self.directory,
            subject: on,
            rank: Rank::Administrator,
            realm_suffix: &self.config.auth.realm_suffix,
        };
        match Account::validate(document.clone(), &proposal) {
            Err(faults) if faults.fields().contains(&"realm") => {
                document.shift_remove("realm");
                let account = Account::validate(document, &proposal)?;
                let note = format!("it gets the realm {:?}, since its own cannot be taken ({faults})", account.realm);
                self.report.note(Topic::Account, id, note);
                Ok(account)
            }
            result => result,
        }
    }

    fn take_account(&mut self, account: Account, place: Place) -> Result<(), StoreError> {
        let id = account.id;
        let Some(current) = self.directory.get(id).cloned() else {
            let write = Write::PutAccount { id, record: account.to_record() };
            if let Err(error) = self.directory.insert(account) {
                self.report.left_out(Topic::Account, id, error);
                return Ok(());
            }
            if let Some(note) = place.note {
                self.report.note(Topic::Account, id, note);
            }
            self.report.taken(Topic::Account, Taken::Imported);
            return self.target.put(write);
        };
        if current.parent.is_some_and(|parent| parent != place.parent) {
            let note = format!("it is here already and stays where it is; in the dump it is below {}", place.parent);
            self.report.note(Topic::Account, id, note);
        }
        if *current == account {
            self.report.taken(Topic::Account, Taken::Unchanged);
            return Ok(());
        }
        if self.existing == Existing::Keep {
            let reason = differs(&current.to_document(), &account.to_document());
            self.report.left_out(Topic::Account, id, reason);
            return Ok(());
        }
        let write = Write::PutAccount { id, record: account.to_record() };
        if let Err(error) = self.directory.replace(account) {
            self.report.left_out(Topic::Account, id, error);
            return Ok(());
        }
        self.report.taken(Topic::Account, Taken::Replaced);
        self.target.put(write)
    }

    fn api_key(&mut self, account: AccountId, text: &str) -> Result<(), StoreError> {
        // The text itself is never shown: it may be a key all the same.
        let Some(key) = ApiKey::parse(text) else {
            self.report.left_out(Topic::ApiKey, account, "it is not 64 lower-case hex digits");
            return Ok(());
        };
        let owner = self.directory.api_key_owner(&key.hash());
        let how = match self.directory.api_key(account) {
            _ if owner == Some(account) => {
                self.report.taken(Topic::ApiKey, Taken::Unchanged);
                return Ok(());
            }
            _ if owner.is_some() => {
                self.report.left_out(Topic::ApiKey, account, "another account has the same one");
                return Ok(());
            }
            Some(_) if self.existing == Existing::Keep => {
                let reason = "the account has another one here; --overwrite replaces it";
                self.report.left_out(Topic::ApiKey, account, reason);
                return Ok(());
            }
            Some(_) => Taken::Replaced,
            None => Taken::Imported,
        };
        let record = ApiKeyRecord::new(&key, now_ms());
        let write = Write::PutApiKey { account, record: record.to_record() };
        if let Err(error) = self.directory.put_api_key(account, record) {
            self.report.left_out(Topic::ApiKey, account, error);
            return Ok(());
        }
        self.report.taken(Topic::ApiKey, how);
        self.target.put(write)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::{Account, AccountId, Directory, DumpedAccount, Place};

    fn id(n: u8) -> AccountId {
        AccountId::from_bytes([n; 16])
    }

    /// 1 is the root; below it 2, which an operator made, and 3; below 2 is 4, below 3 is 5. The dump has 3 to 7.
    fn directory() -> Directory {
        let mut directory = Directory::new(id(1));
        for (n, parent) in [(1, None), (2, Some(1)), (3, Some(1)), (4, Some(2)), (5, Some(3))] {
            let account = Account {
                id: id(n),
                parent: parent.map(id),
                name: n.to_string(),
                realm: format!("{n}.example"),
                enabled: true,
                superduper_admin: false,
                created_ms: 0,
                document: Map::new(),
            };
            directory.insert(account).unwrap();
        }
        directory
    }

    #[track_caller]
    fn check(tree: Option<&[u8]>, parent: u8, note: &str) {
        let tree = tree.map(|tree| tree.iter().map(|n| id(*n).to_string()).collect());
        let dumped = DumpedAccount { id: id(7), tree, api_key: None, created_ms: None, document: Map::new() };
        let place = Place::find(&dumped, &directory(), &(3..=7).map(id).collect());
        assert_eq!(place.parent, id(parent));
        let found = place.note.unwrap_or_default();
        assert!(found.contains(note) && found.is_empty() == note.is_empty(), "{found}");
    }

    #[test]
    fn an_account_goes_below_its_parent_or_the_nearest_that_is_here() {
        check(Some(&[]), 1, "");
        check(Some(&[3, 5]), 5, "");
        check(Some(&[3, 6]), 3, "is not here");
        check(Some(&[6]), 1, "is not here");
        check(Some(&[3, 7]), 3, "is not here");
        check(None, 1, "does not say whom it is below");
        let dumped = DumpedAccount {
            id: id(7),
            tree: Some(vec![id(3).to_string(), "no id".into()]),
            api_key: None,
            created_ms: None,
            document: Map::new(),
        };
        let place = Place::find(&dumped, &directory(), &Default::default());
        assert_eq!(place.parent, id(3));
    }

    #[test]
    fn nobody_of_the_dump_gets_to_reach_more_than_before() {
        check(Some(&[6, 5]), 1, "is below others than it");
        check(Some(&[3, 6, 5]), 5, "");
        check(Some(&[4]), 4, "");
    }
}
