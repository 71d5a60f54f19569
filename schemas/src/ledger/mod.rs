//! The ledger: double-entry accounts. The records of `schemas/ledger/*.avsc` as Rust types.

mod command;
mod event;

pub use command::{CloseAccount, Entry, LedgerCommand, OpenAccount, PostEntrySet};
pub use event::{AccountClosed, AccountOpened, EntryPosted, LedgerEvent};

/// Type of the ledger's streams: `account-<account id>`.
pub const ACCOUNT: &str = "account";
