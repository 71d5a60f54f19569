//! Asking the read model.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::error::SqlState;
use tokio_postgres::{GenericClient, Row};

use crate::ProjectorError;

/// An entry or account that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// `account` or `entry`.
    pub kind: String,
    /// The entry set's id, or the account's.
    pub id: String,
    /// The account.
    pub account_id: String,
    /// The entry's text.
    pub description: Option<String>,
    /// The entry's amount, signed minor units.
    pub amount_minor: Option<i64>,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// When the entry counts for reporting.
    pub reporting_at: Option<Timestamp>,
    /// 1: all words as typed; up to 0.5: some are beginnings; up to 0.25: some are mistyped.
    pub rank: f32,
}

/// Finds at most `limit` (1,000 at the most) entries and accounts that hold every word of `query`, the best first. Any
/// text is a query; what follows its 1,000th character or 16th word is ignored. Needs no search path.
///
/// # Errors
/// When the read model is not there, or Postgres does not answer.
pub async fn find(client: &impl GenericClient, query: &str, limit: u32) -> Result<Vec<Hit>, ProjectorError> {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    // Postgres takes any character but this one
    let query = query.replace('\0', " ");
    let rows = client.query(include_str!("sql/find.sql"), &[&query, &limit]).await;
    let rows = rows.map_err(|error| match error.code() {
        Some(&SqlState::UNDEFINED_FUNCTION | &SqlState::INVALID_SCHEMA_NAME) => {
            ProjectorError::NotMigrated("search".to_owned())
        }
        _ => error.into(),
    })?;
    rows.iter().map(hit).collect()
}

fn hit(row: &Row) -> Result<Hit, ProjectorError> {
    Ok(Hit {
        kind: row.try_get("kind")?,
        id: row.try_get("id")?,
        account_id: row.try_get("account_id")?,
        description: row.try_get("description")?,
        amount_minor: row.try_get("amount_minor")?,
        currency: row.try_get("currency")?,
        reporting_at: row.try_get("reporting_at")?,
        rank: row.try_get("rank")?,
    })
}
