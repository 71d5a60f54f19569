//! What can be asked of the ledger.

use serde::{Deserialize, Serialize};

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

    /// The command that a decoded record holds; `None` when `name` is none of the ledger's commands.
    ///
    /// # Errors
    /// When the value has not the record's fields.
    pub fn from_avro(name: &str, value: &apache_avro::types::Value) -> Option<Result<Self, apache_avro::Error>> {
        use apache_avro::from_value;
        Some(match name {
            "OpenAccount" => from_value(value).map(Self::OpenAccount),
            "PostEntrySet" => from_value(value).map(Self::PostEntrySet),
            "CloseAccount" => from_value(value).map(Self::CloseAccount),
            _ => return None,
        })
    }
}
