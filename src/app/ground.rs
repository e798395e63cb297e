//! What the server stands on before any actor runs: its identity, the open store, and who is who. The importer stands on
//! it too.

use log::{error, info};

use super::error::StartError;
use crate::auth::Auth;
use crate::auth::account::Account;
use crate::auth::api_key::ApiKeyRecord;
use crate::auth::directory::Directory;
use crate::auth::keys::{KazooKey, NodeIdentity, first_api_key};
use crate::auth::tokens::Tokens;
use crate::config::{self, Config};
use crate::event::now_ms;
use crate::ids::AccountId;
use crate::store::{Loaded, Store, StoreSettings, Write};

pub struct Ground {
    pub store: Store,
    pub loaded: Loaded,
    pub auth: Auth,
    pub cluster_id: String,
    pub system_account: AccountId,
}

impl Ground {
    pub async fn open(config: &Config) -> Result<Self, StartError> {
        let data_dir = &config.node.data_dir;
        let mut identity = NodeIdentity::load_or_create(data_dir)?;
        if !config.node.cluster_id.is_empty() {
            identity.cluster_id.clone_from(&config.node.cluster_id);
        }
        let (store, loaded) = open_store(config).await?;
        let auth = authority(config, &identity, &store, &loaded).await?;
        Ok(Self { store, loaded, auth, cluster_id: identity.cluster_id, system_account: identity.system_account })
    }
}

async fn open_store(config: &Config) -> Result<(Store, Loaded), StartError> {
    let settings = StoreSettings {
        cache_bytes: config.store.cache_bytes,
        group_max: config.store.group_max,
        flush_idle_ms: config.store.flush_idle_ms,
        queue_max: config.store.queue_max,
        journal_bytes_min: config.store.journal_bytes_min,
        journal_growth: config.store.journal_growth,
        dead_max: config.webhooks.dead_max,
        dead_hours: config.webhooks.dead_hours,
        attempts_max: config.webhooks.attempts_max,
        attempts_hours: config.webhooks.attempts_hours,
    };
    let data_dir = config.node.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || Store::open(&data_dir, settings)).await;
    let (store, loaded) = opened.map_err(|_| StartError::OpenerGone)??;
    if let Some(recovery) = &loaded.recovery {
        error!("{recovery}");
    }
    Ok((store, loaded))
}

/// Tokens and accounts; at the first start also the system account and its API key.
async fn authority(
    config: &Config,
    identity: &NodeIdentity,
    store: &Store,
    loaded: &Loaded,
) -> Result<Auth, StartError> {
    let read_key = |key: &config::KazooKey| KazooKey::read(&key.kid, &key.file);
    let kazoo_keys = config.auth.kazoo_keys.iter().map(read_key).collect::<Result<Vec<_>, _>>()?;
    let tokens = Tokens::new(identity, kazoo_keys)?;
    let unreadable = |id: &AccountId| {
        let id = *id;
        move |cause| StartError::Account { id, cause }
    };
    let mut accounts = Vec::with_capacity(loaded.accounts.len() + 1);
    for (id, record) in &loaded.accounts {
        accounts.push(Account::from_record(record).map_err(unreadable(id))?);
    }
    let mut keys = Vec::with_capacity(loaded.api_keys.len() + 1);
    for (id, record) in &loaded.api_keys {
        keys.push((*id, ApiKeyRecord::from_record(record).map_err(unreadable(id))?));
    }
    let root = identity.system_account;
    if !accounts.iter().any(|account| account.id == root) {
        let (account, key) = found(config, root, store).await?;
        accounts.push(account);
        keys.push((root, key));
    }
    let mut directory = Directory::load(root, accounts)?;
    for (account, record) in keys {
        directory.put_api_key(account, record)?;
    }
    Ok(Auth::new(tokens, directory))
}

/// The root of the tree, as it is made; its tokens are an administrator's.
pub fn system_account(config: &Config, id: AccountId) -> Account {
    Account {
        id,
        parent: None,
        name: "system".into(),
        realm: config.auth.realm_suffix.clone(),
        enabled: true,
        superduper_admin: true,
        created_ms: now_ms(),
        document: Default::default(),
    }
}

async fn found(config: &Config, root: AccountId, store: &Store) -> Result<(Account, ApiKeyRecord), StartError> {
    let (path, key) = first_api_key(&config.node.data_dir)?;
    let account = system_account(config, root);
    let record = ApiKeyRecord::new(&key, now_ms());
    let writes = vec![
        Write::PutAccount { id: root, record: account.to_record() },
        Write::PutApiKey { account: root, record: record.to_record() },
    ];
    store.commit(writes).await?;
    info!("made the system account {root}; its API key is in {}", path.display());
    Ok((account, record))
}
