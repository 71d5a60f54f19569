//! The fields of the ledger's events that the read model needs. It skips other fields and other events.

use serde::Deserialize;

/// Fields of `AccountOpened`.
#[derive(Debug, Deserialize)]
pub(super) struct AccountOpened {
    pub(super) account_id: String,
    pub(super) currency: String,
}

/// Fields of `EntryPosted`.
#[derive(Debug, Deserialize)]
pub(super) struct EntryPosted {
    pub(super) entry_set_id: String,
    pub(super) account_id: String,
    /// Signed minor units: positive raises the balance.
    pub(super) amount_minor: i64,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub(super) reporting_at: i64,
    pub(super) description: String,
    pub(super) currency: String,
}
