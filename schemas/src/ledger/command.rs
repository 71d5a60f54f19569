//! What can be asked of the ledger.

use serde::{Deserialize, Serialize};

use crate::codec::{DecodeError, Received};

/// Open an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAccount {
    /// The account.
    pub account_id: String,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How far below zero the balance may go, in minor units; `None`: no limit.
    pub overdraft_limit_minor: Option<i64>,
}

/// Post entries that sum to zero, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostEntrySet {
    /// The caller's name for the set.
    pub entry_set_id: String,
    /// When it counts for reporting, microseconds since 1970.
    pub reporting_at: i64,
    /// Free text for people.
    pub description: String,
    /// Two or more.
    pub entries: Vec<Entry>,
}

/// One entry of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The account.
    pub account_id: String,
    /// Signed minor units: positive raises the balance.
    pub amount_minor: i64,
}

/// Close an account whose balance is zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseAccount {
    /// The account.
    pub account_id: String,
}

/// A command of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum LedgerCommand {
    /// Open an account.
    OpenAccount(OpenAccount),
    /// Post an entry set.
    PostEntrySet(PostEntrySet),
    /// Close an account.
    CloseAccount(CloseAccount),
}

impl LedgerCommand {
    /// The record's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OpenAccount(_) => "OpenAccount",
            Self::PostEntrySet(_) => "PostEntrySet",
            Self::CloseAccount(_) => "CloseAccount",
        }
    }

    /// The command that a record from outside holds; `None` when it is none of the ledger's commands.
    ///
    /// # Errors
    /// Unreadable, as [`Received::read_storable`].
    pub fn read(received: Received<'_>) -> Option<Result<Self, DecodeError>> {
        Some(match received.record.name {
            "OpenAccount" => received.read_storable().map(Self::OpenAccount),
            "PostEntrySet" => received.read_storable().map(Self::PostEntrySet),
            "CloseAccount" => received.read_storable().map(Self::CloseAccount),
            _ => return None,
        })
    }
}
