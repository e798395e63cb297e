//! Where an import goes: the store of the data directory, in groups of writes; nowhere in a dry run.

use tokio::runtime::{Builder, Runtime};

use super::ImportError;
use crate::app::error::StartError;
use crate::app::ground::{Ground, system_account};
use crate::auth::directory::Directory;
use crate::config::Config;
use crate::ids::{AccountId, HookId};
use crate::store::{Store, StoreError, Write};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Write,
    DryRun,
}

pub struct Target {
    /// For what waits for the disk; the import itself is one thing after the other.
    runtime: Runtime,
    /// `None` in a dry run where there is no store yet: it makes none.
    store: Option<Store>,
    mode: Mode,
    unwritten: Vec<Write>,
    group_max: usize,
}

/// The target, and what is there.
pub struct Opened {
    pub target: Target,
    pub directory: Directory,
    pub hooks: Vec<(HookId, Vec<u8>)>,
}

impl Target {
    /// Makes what a server's first start would make. Fails when a server runs on the data directory.
    pub fn open(config: &Config, mode: Mode) -> Result<Opened, ImportError> {
        let runtime = Builder::new_current_thread().build().map_err(ImportError::Runtime)?;
        let target =
            |runtime, store| Self { runtime, store, mode, unwritten: Vec::new(), group_max: config.store.group_max };
        if mode == Mode::DryRun && !Store::exists(&config.node.data_dir) {
            let root = AccountId::random();
            let mut directory = Directory::new(root);
            directory.insert(system_account(config, root)).map_err(StartError::from)?;
            return Ok(Opened { target: target(runtime, None), directory, hooks: Vec::new() });
        }
        let ground = runtime.block_on(Ground::open(config))?;
        let directory = ground.auth.directory().clone();
        Ok(Opened { target: target(runtime, Some(ground.store)), directory, hooks: ground.loaded.hooks })
    }

    pub fn put(&mut self, write: Write) -> Result<(), StoreError> {
        if self.mode == Mode::DryRun {
            return Ok(());
        }
        self.unwritten.push(write);
        if self.unwritten.len() >= self.group_max { self.flush() } else { Ok(()) }
    }

    /// Writes what is left, and frees the data directory.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.flush()?;
        match self.store {
            Some(store) => self.runtime.block_on(store.close()),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let writes = std::mem::take(&mut self.unwritten);
        match &self.store {
            Some(store) if !writes.is_empty() => self.runtime.block_on(store.commit(writes)).map(|_| ()),
            _ => Ok(()),
        }
    }
}
