//! Committed commands and their outcomes.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use millrace_schemas::{Outcome, OutcomeKind};
use uuid::Uuid;

use crate::{Log, StoreError};

/// A committed command.
#[derive(Debug, Clone)]
pub struct StoredCommand {
    /// The hash of the command's content.
    pub hash: Vec<u8>,
    /// The outcome, as the outcomes topic carries it.
    pub outcome: Outcome,
}

/// The key of a command id: the id itself if it is a UUID, else the id's UUID of version 5 (RFC 9562, namespace OID). A
/// UUID takes 16 bytes in the index, however long the id is.
pub fn command_key(command_id: &str) -> Uuid {
    Uuid::try_parse(command_id).unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, command_id.as_bytes()))
}

impl Log {
    /// The outcome of a command id; `None` when no such command is committed.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn outcome(&self, client: &impl GenericClient, command_id: &str) -> Result<Option<Outcome>, StoreError> {
        let key = command_key(command_id);
        Ok(self.commands(client, &[key]).await?.remove(&key).map(|command| command.outcome))
    }

    /// The committed ones of these commands, by key.
    ///
    /// # Errors
    /// When Postgres does not answer, or an outcome can't be read.
    pub async fn commands(
        &self,
        client: &impl GenericClient,
        keys: &[Uuid],
    ) -> Result<HashMap<Uuid, StoredCommand>, StoreError> {
        let statement = client.prepare_cached(&self.sql(include_str!("sql/outcomes.sql"))).await?;
        let rows = client.query(&statement, &[&keys]).await?;
        let mut commands = HashMap::with_capacity(rows.len());
        for row in &rows {
            let key: Uuid = row.try_get(0)?;
            let schema = self.schema(client, row.try_get(2)?).await?;
            let outcome = schema.decode(row.try_get(3)?);
            let outcome = outcome.map_err(|e| StoreError::Damaged(format!("the outcome of command {key}: {e}")))?;
            commands.insert(key, StoredCommand { hash: row.try_get(1)?, outcome });
        }
        Ok(commands)
    }

    /// How many commands are committed. Counts the whole table.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn command_count(&self, client: &impl GenericClient) -> Result<i64, StoreError> {
        Ok(client.query_one(&self.sql("SELECT count(*) FROM :log.commands"), &[]).await?.try_get(0)?)
    }

    /// How many commands have each outcome. Reads the whole table into memory, so it is for logs of up to some million
    /// commands.
    ///
    /// # Errors
    /// When Postgres does not answer, or an outcome can't be read.
    pub async fn outcome_counts(&self, client: &impl GenericClient) -> Result<HashMap<OutcomeKind, i64>, StoreError> {
        let statement = client.prepare_cached(&self.sql(include_str!("sql/all_outcomes.sql"))).await?;
        let mut counts = HashMap::new();
        for row in &client.query(&statement, &[]).await? {
            let schema = self.schema(client, row.try_get(0)?).await?;
            let outcome = schema.decode::<Outcome>(row.try_get(1)?);
            let outcome = outcome.map_err(|e| StoreError::Damaged(format!("the outcome of a command: {e}")))?;
            *counts.entry(outcome.outcome).or_default() += 1;
        }
        Ok(counts)
    }
}
