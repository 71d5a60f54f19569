//! The ledger's schemas in a log, for commands and events that are made without a writer.

use anyhow::Context;
use deadpool_postgres::Client;
use millrace_schemas::Topic;
use millrace_store::{Log, StoredSchema};

/// The newest version of each record that the work needs.
#[derive(Debug, Clone, Copy)]
pub struct LedgerSchemas {
    /// The command `OpenAccount`.
    pub open_account: StoredSchema,
    /// The command `PostEntrySet`.
    pub post_entry_set: StoredSchema,
    /// The event `AccountOpened`.
    pub account_opened: StoredSchema,
    /// The event `EntryPosted`.
    pub entry_posted: StoredSchema,
    /// The outcome of a command.
    pub outcome: StoredSchema,
}

impl LedgerSchemas {
    /// Reads them from the log.
    ///
    /// # Errors
    /// When Postgres does not answer, or the schemas are not registered.
    pub async fn read(log: &Log, client: &Client) -> anyhow::Result<Self> {
        let all = log.stored_schemas(client).await?;
        let newest = |topic: Topic, name: &str| {
            let versions = all.iter().filter(|stored| stored.schema.topic == topic && stored.schema.name == name);
            let newest = versions.max_by_key(|stored| stored.version).copied();
            newest.with_context(|| format!("log {} has no schema of {name}", log.name()))
        };
        Ok(Self {
            open_account: newest(Topic::Commands, "OpenAccount")?,
            post_entry_set: newest(Topic::Commands, "PostEntrySet")?,
            account_opened: newest(Topic::Events, "AccountOpened")?,
            entry_posted: newest(Topic::Events, "EntryPosted")?,
            outcome: newest(Topic::Outcomes, "Outcome")?,
        })
    }
}
