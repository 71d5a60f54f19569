//! The ledger's commands.

use millrace_schemas::{DecodeError, Received};
use serde::{Deserialize, Serialize};

/// Open an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAccount {
    /// The account's id, 1 to 100 characters; its stream is `account-<id>`.
    pub account_id: String,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How far below zero the balance may go, in minor units; `None`: no limit.
    pub overdraft_limit_minor: Option<i64>,
}

/// Post entries that sum to zero, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostEntrySet {
    /// The sender's name for the set, in every event of it.
    pub entry_set_id: String,
    /// When the set counts for reporting, in microseconds since 1970.
    pub reporting_at: i64,
    /// Free text for people.
    pub description: String,
    /// Two to 1,000 entries; an account may have several.
    pub entries: Vec<Entry>,
}

/// One entry of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The id of the account.
    pub account_id: String,
    /// Signed minor units: positive raises the balance.
    pub amount_minor: i64,
}

/// Close an account whose balance is zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseAccount {
    /// The id of the account.
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
    /// The name of the command's record.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OpenAccount(_) => "OpenAccount",
            Self::PostEntrySet(_) => "PostEntrySet",
            Self::CloseAccount(_) => "CloseAccount",
        }
    }

    /// Decodes a record; `None` when it is not a command of the ledger.
    ///
    /// # Errors
    /// Unreadable, as [`Received::read`].
    pub fn read(received: &Received<'_>) -> Option<Result<Self, DecodeError>> {
        Some(match received.name() {
            "OpenAccount" => received.read().map(Self::OpenAccount),
            "PostEntrySet" => received.read().map(Self::PostEntrySet),
            "CloseAccount" => received.read().map(Self::CloseAccount),
            _ => return None,
        })
    }
}
