//! What the tree answers, and which changes it refuses.

use serde_json::Map;

use crate::auth::account::Account;
use crate::auth::api_key::{ApiKey, ApiKeyRecord};
use crate::auth::directory::{DEPTH_MAX, Directory, DirectoryError};
use crate::ids::AccountId;

fn id(n: u32) -> AccountId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    AccountId::from_bytes(bytes)
}

fn account(n: u32, parent: u32) -> Account {
    Account {
        id: id(n),
        parent: (n != parent).then(|| id(parent)),
        name: format!("name {n}"),
        realm: format!("realm{n}.Example"),
        enabled: true,
        superduper_admin: false,
        created_ms: 0,
        document: Map::new(),
    }
}

/// 1 above 2 and 3; 2 above 4 and 5; 4 above 6.
fn tree() -> Directory {
    let accounts = [(6, 4), (4, 2), (5, 2), (2, 1), (3, 1), (1, 1)];
    Directory::load(id(1), accounts.map(|(n, parent)| account(n, parent))).unwrap()
}

fn ids<'a>(accounts: impl IntoIterator<Item = &'a std::sync::Arc<Account>>) -> Vec<AccountId> {
    accounts.into_iter().map(|account| account.id).collect()
}

#[test]
fn the_tree_can_be_walked_both_ways() {
    let tree = tree();
    assert_eq!(ids(tree.children(id(1))), [id(2), id(3)]);
    assert_eq!(ids(tree.descendants(id(1))), [id(2), id(4), id(6), id(5), id(3)]);
    assert_eq!(ids(tree.ancestors(id(6))), [id(4), id(2), id(1)]);
    assert_eq!(ids(tree.ancestors(id(1))), []);
    assert_eq!(ids(tree.ancestors(id(9))), []);
}

#[test]
fn an_account_reaches_itself_and_those_below() {
    let tree = tree();
    for (from, reached) in [(1, vec![1, 2, 3, 4, 5, 6]), (2, vec![2, 4, 5, 6]), (3, vec![3]), (4, vec![4, 6])] {
        for to in 1..=7 {
            assert_eq!(tree.reaches(id(from), id(to)), reached.contains(&to), "{from} to {to}");
        }
    }
}

#[test]
fn administrators_are_the_root_and_those_marked() {
    let mut tree = tree();
    assert!(tree.is_administrator(id(1)) && !tree.is_administrator(id(2)) && !tree.is_administrator(id(9)));
    tree.replace(Account { superduper_admin: true, ..account(2, 1) }).unwrap();
    assert!(tree.is_administrator(id(2)) && !tree.is_administrator(id(4)));
}

#[test]
fn realms_are_found_without_case_and_follow_their_account() {
    let mut tree = tree();
    assert_eq!(tree.by_realm("REALM2.example").unwrap().id, id(2));
    tree.replace(Account { realm: "New.example".to_owned(), ..account(2, 1) }).unwrap();
    assert!(tree.by_realm("realm2.example").is_none());
    assert_eq!(tree.by_realm("new.EXAMPLE").unwrap().id, id(2));
    tree.remove(id(3)).unwrap();
    tree.insert(Account { realm: "REALM3.EXAMPLE".to_owned(), ..account(7, 1) }).unwrap();
}

#[test]
fn siblings_are_listed_by_name_also_after_a_change() {
    let mut tree = tree();
    tree.replace(Account { name: "Zebra".to_owned(), ..account(2, 1) }).unwrap();
    tree.insert(Account { name: "zeal".to_owned(), ..account(7, 1) }).unwrap();
    assert_eq!(ids(tree.children(id(1))), [id(3), id(7), id(2)]);
}

#[test]
fn changes_that_would_break_the_tree_are_refused() {
    let mut tree = tree();
    assert_eq!(tree.insert(account(2, 1)), Err(DirectoryError::Exists(id(2))));
    let taken = Account { realm: "REALM2.example".to_owned(), ..account(7, 1) };
    let in_use = DirectoryError::RealmInUse { realm: taken.realm.clone(), owner: id(2) };
    assert_eq!(tree.insert(taken.clone()), Err(in_use.clone()));
    assert_eq!(tree.replace(Account { id: id(3), ..taken }), Err(in_use));
    assert_eq!(tree.insert(account(7, 9)), Err(DirectoryError::UnknownParent { id: id(7), parent: id(9) }));
    assert_eq!(tree.replace(account(7, 1)), Err(DirectoryError::Unknown(id(7))));
    assert_eq!(tree.replace(account(4, 1)), Err(DirectoryError::Moved(id(4))));
    assert_eq!(tree.remove(id(2)).unwrap_err(), DirectoryError::HasChildren(id(2)));
    assert_eq!(tree.remove(id(9)).unwrap_err(), DirectoryError::Unknown(id(9)));
    assert_eq!(ids(tree.descendants(id(1))), [id(2), id(4), id(6), id(5), id(3)], "nothing has changed");
    tree.remove(id(6)).unwrap();
    tree.remove(id(4)).unwrap();
    assert_eq!(ids(tree.descendants(id(2))), [id(5)]);
}

#[test]
fn depth_is_bounded_and_a_stored_cycle_is_an_error() {
    let last = DEPTH_MAX as u32 + 1;
    let mut deep = Directory::load(id(1), (1..=last).map(|n| account(n, n.max(2) - 1))).unwrap();
    assert_eq!(deep.insert(account(last + 1, last)), Err(DirectoryError::TooDeep(id(last + 1))));
    assert_eq!(deep.ancestors(id(last)).count(), DEPTH_MAX);

    let cycle = Directory::load(id(1), [account(1, 1), account(2, 3), account(3, 2)]);
    assert!(matches!(cycle, Err(DirectoryError::TooDeep(_))), "{cycle:?}");
    let orphan = Directory::load(id(1), [account(2, 9)]);
    assert!(matches!(orphan, Err(DirectoryError::UnknownParent { .. })), "{orphan:?}");
}

#[test]
fn an_account_has_one_api_key_which_goes_with_it() {
    let mut tree = tree();
    let record = |key: &ApiKey| ApiKeyRecord::new(key, 7);
    let (first, second) = (ApiKey::random(), ApiKey::random());
    tree.put_api_key(id(3), record(&first)).unwrap();
    assert_eq!(tree.api_key_owner(&first.hash()), Some(id(3)));
    tree.put_api_key(id(3), record(&second)).unwrap();
    assert_eq!((tree.api_key_owner(&first.hash()), tree.api_key(id(3))), (None, Some(&record(&second))));
    tree.remove(id(3)).unwrap();
    assert_eq!((tree.api_key_owner(&second.hash()), tree.api_key(id(3))), (None, None));
    assert_eq!(tree.put_api_key(id(3), record(&first)), Err(DirectoryError::Unknown(id(3))));
}

#[test]
fn ten_thousand_accounts_ten_deep_are_no_burden() {
    // A thousand chains of ten below the root.
    let chains = (0..10_000).map(|n| account(n + 2, if n % 10 == 0 { 1 } else { n + 1 }));
    let tree = Directory::load(id(1), [account(1, 1)].into_iter().chain(chains)).unwrap();
    assert_eq!(tree.descendants(id(1)).len(), 10_000);
    assert_eq!((0..10_000).filter(|n| tree.reaches(id(2), id(n + 2))).count(), 10);
    assert_eq!(tree.ancestors(id(11)).count(), 10);
}

/// Whatever else there is: routing looks at these, and at no other account, for each event.
#[test]
fn ten_thousand_accounts_are_no_longer_way_up_than_their_depth() {
    const LEVELS: u32 = 10;
    let trunk = (1..LEVELS).map(|n| account(n, n.saturating_sub(1).max(1)));
    let leaves = (LEVELS..10_000).map(|n| account(n, LEVELS - 1));
    let tree = Directory::load(id(1), trunk.chain(leaves)).unwrap();
    for leaf in [LEVELS, 5_000, 9_999] {
        assert_eq!(ids(tree.ancestors(id(leaf))), (1..LEVELS).rev().map(id).collect::<Vec<_>>());
    }
}
