//! Queries the read model.

use jiff::Timestamp;
use millrace_projector_runner::ProjectorError;
use serde::Serialize;
use tokio_postgres::error::SqlState;
use tokio_postgres::{GenericClient, Row};

/// An entry or account that matches a query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// `account` or `entry`.
    pub kind: String,
    /// The entry set's id, or the account's.
    pub id: String,
    /// The account, or the entry's account.
    pub account_id: String,
    /// The entry's description; `None` for an account.
    pub description: Option<String>,
    /// The entry's amount in signed minor units; `None` for an account.
    pub amount_minor: Option<i64>,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// When the entry counts for reporting; `None` for an account.
    pub reporting_at: Option<Timestamp>,
    /// 1: all words as typed; up to 0.5: some are beginnings; up to 0.25: some are mistyped.
    pub rank: f32,
}

/// Finds at most `limit` (1,000 at the most) entries and accounts that hold every word of `query`, the best first. Any
/// text is a query; characters after the 1,000th and words after the 16th are ignored. Needs no search path.
///
/// # Errors
/// When the read model does not exist, or Postgres does not answer.
pub async fn find(client: &impl GenericClient, query: &str, limit: u32) -> Result<Vec<Hit>, ProjectorError> {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    // the one character that Postgres can't store in a text
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
