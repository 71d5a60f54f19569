//! The ledger's events.

use millrace_schemas::{DecodeError, RecordSchema};
use serde::{Deserialize, Serialize};

/// An account was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountOpened {
    /// The account's id, 1 to 100 characters; its stream is `account-<id>`.
    pub account_id: String,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How far below zero the balance may go, in minor units; `None`: no limit.
    pub overdraft_limit_minor: Option<i64>,
}

/// An entry set changed an account's balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPosted {
    /// The set that the entry belongs to; the events of a set share it.
    pub entry_set_id: String,
    /// The id of the account.
    pub account_id: String,
    /// Signed change of the balance, minor units.
    pub amount_minor: i64,
    /// When the entry counts for reporting, in microseconds since 1970.
    pub reporting_at: i64,
    /// Free text for people.
    pub description: String,
    /// The account's currency.
    pub currency: String,
}

/// An account was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountClosed {
    /// The id of the account.
    pub account_id: String,
}

/// An event of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum LedgerEvent {
    /// An account was opened.
    AccountOpened(AccountOpened),
    /// An entry was posted.
    EntryPosted(EntryPosted),
    /// An account was closed.
    AccountClosed(AccountClosed),
}

impl LedgerEvent {
    /// The name of the event's record.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AccountOpened(_) => "AccountOpened",
            Self::EntryPosted(_) => "EntryPosted",
            Self::AccountClosed(_) => "AccountClosed",
        }
    }

    /// Decodes a datum; `None` when its schema is not that of an event of the ledger.
    ///
    /// # Errors
    /// Unreadable, as [`RecordSchema::decode`].
    pub fn read(schema: &RecordSchema, datum: &[u8]) -> Option<Result<Self, DecodeError>> {
        Some(match &*schema.name {
            "AccountOpened" => schema.decode(datum).map(Self::AccountOpened),
            "EntryPosted" => schema.decode(datum).map(Self::EntryPosted),
            "AccountClosed" => schema.decode(datum).map(Self::AccountClosed),
            _ => return None,
        })
    }
}
