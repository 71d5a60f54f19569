//! The log definitions that were applied to a log.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use millrace_schemas::LogName;
use tokio_postgres::error::SqlState;

use crate::{Log, StoreError};

/// A log definition as it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDefinition {
    /// 1, 2, 3 … for each change, perhaps with gaps.
    pub number: i32,
    /// The folder's files: path and text.
    pub files: BTreeMap<String, String>,
    /// When it was applied.
    pub applied_at: Timestamp,
}

impl Log {
    /// The definition that was applied last; `None` when the log's definition is part of the program.
    ///
    /// # Errors
    /// When Postgres does not answer, or the row is damaged.
    pub async fn newest_definition(&self, client: &impl GenericClient) -> Result<Option<StoredDefinition>, StoreError> {
        let newest = "SELECT number, files::text, applied_at FROM :log.definitions ORDER BY number DESC LIMIT 1";
        let row = match client.query_opt(&self.sql(newest), &[]).await {
            // the program is newer than the log's tables
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => None,
            row => row?,
        };
        let Some(row) = row else { return Ok(None) };
        let (number, files): (i32, &str) = (row.try_get(0)?, row.try_get(1)?);
        let files = serde_json::from_str(files)
            .map_err(|error| StoreError::Damaged(format!("the log's definition {number} can't be read: {error}")))?;
        Ok(Some(StoredDefinition { number, files, applied_at: row.try_get(2)? }))
    }

    /// The number of the definition that was applied last; `None` when none was.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn newest_definition_number(&self, client: &impl GenericClient) -> Result<Option<i32>, StoreError> {
        let statement = client.prepare_cached(&self.sql("SELECT max(number) FROM :log.definitions")).await?;
        Ok(client.query_one(&statement, &[]).await?.try_get(0)?)
    }

    /// Until the connection ends, nobody else changes the log's definition: waits for those who do.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn lock_definition(client: &impl GenericClient, name: &LogName) -> Result<(), StoreError> {
        let lock = "SELECT pg_advisory_lock(hashtext('millrace.definition'), hashtext($1))";
        client.execute(lock, &[&name.as_str()]).await?;
        Ok(())
    }

    /// Whether somebody holds [`Log::lock_definition`]: then the registry may have schemas of a definition that the log
    /// does not have yet.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn is_being_defined(&self, client: &impl GenericClient) -> Result<bool, StoreError> {
        // taken shared for this statement only
        let free = "SELECT pg_try_advisory_xact_lock_shared(hashtext('millrace.definition'), hashtext($1))";
        let free: bool = client.query_one(free, &[&self.name().as_str()]).await?.try_get(0)?;
        Ok(!free)
    }

    /// Makes this the log's newest definition, unless it is already. True when it was not.
    ///
    /// # Errors
    /// When Postgres refuses or does not answer.
    pub async fn add_definition(
        &self,
        client: &impl GenericClient,
        files: &BTreeMap<String, String>,
    ) -> Result<bool, StoreError> {
        if self.newest_definition(client).await?.is_some_and(|newest| newest.files == *files) {
            return Ok(false);
        }
        let text = serde_json::Value::from_iter(files.iter().map(|(path, text)| (path.clone(), text.clone())));
        let insert = "INSERT INTO :log.definitions (files) VALUES ($1::text::jsonb)";
        client.execute(&self.sql(insert), &[&text.to_string()]).await?;
        Ok(true)
    }
}
