//! What the load has done.

use std::cell::Cell;
use std::fmt;

#[derive(Default)]
pub struct Counts {
    pub published: Cell<u64>,
    pub posted: Cell<u64>,
    pub requests: Cell<u64>,
    pub refusals: Cell<u64>,
    pub changes: Cell<u64>,
    pub accounts: Cell<u64>,
    pub enabled: Cell<u64>,
    pub resent: Cell<u64>,
    pub cuts: Cell<u64>,
    pub errors: Cell<u64>,
}

pub fn add(count: &Cell<u64>, by: usize) {
    count.set(count.get() + by as u64);
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events from the broker, {} over HTTP; {} requests, {} of them failed; {} changes of hooks, {} accounts \
             made and deleted; {} hooks enabled again, {} times dead letters sent again; {} connections cut; {} API errors",
            self.published.get(),
            self.posted.get(),
            self.requests.get(),
            self.refusals.get(),
            self.changes.get(),
            self.accounts.get(),
            self.enabled.get(),
            self.resent.get(),
            self.cuts.get(),
            self.errors.get()
        )
    }
}
