//! What has happened in the ledger.

use serde::{Deserialize, Serialize};

use crate::codec::{DecodeError, Received};

/// An account was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountOpened {
    /// The account.
    pub account_id: String,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How far below zero the balance may go, in minor units; `None`: no limit.
    pub overdraft_limit_minor: Option<i64>,
}

/// An entry set changed an account's balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryPosted {
    /// The set.
    pub entry_set_id: String,
    /// The account.
    pub account_id: String,
    /// Signed change of the balance, minor units.
    pub amount_minor: i64,
    /// When it counts for reporting, microseconds since 1970.
    pub reporting_at: i64,
    /// Free text for people.
    pub description: String,
    /// The account's currency.
    pub currency: String,
}

/// An account was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountClosed {
    /// The account.
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
    /// The record's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AccountOpened(_) => "AccountOpened",
            Self::EntryPosted(_) => "EntryPosted",
            Self::AccountClosed(_) => "AccountClosed",
        }
    }

    /// The event that a record of the event topic holds; `None` when it is none of the ledger's events.
    ///
    /// # Errors
    /// Unreadable, as [`Received::read`].
    pub fn read(received: &Received<'_>) -> Option<Result<Self, DecodeError>> {
        Some(match received.record.name {
            "AccountOpened" => received.read().map(Self::AccountOpened),
            "EntryPosted" => received.read().map(Self::EntryPosted),
            "AccountClosed" => received.read().map(Self::AccountClosed),
            _ => return None,
        })
    }

    /// The event that the log's JSON holds; `None` when `name` is none of the ledger's events.
    ///
    /// # Errors
    /// When the JSON has not the record's fields.
    pub fn from_json(name: &str, data: &str) -> Option<serde_json::Result<Self>> {
        use serde_json::from_str;
        Some(match name {
            "AccountOpened" => from_str(data).map(Self::AccountOpened),
            "EntryPosted" => from_str(data).map(Self::EntryPosted),
            "AccountClosed" => from_str(data).map(Self::AccountClosed),
            _ => return None,
        })
    }
}
