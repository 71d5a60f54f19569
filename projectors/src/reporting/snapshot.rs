//! Reads the whole read model as of one moment.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;
use millrace_projector_runner::{ProjectorError, checkpoints};
use millrace_schemas::LogName;
use tokio_postgres::{Client, IsolationLevel, Row, Transaction};

/// A row of `account_balances`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountBalance {
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// The sum of the account's entries, in minor units.
    pub balance_minor: i64,
    /// How many entries the account has.
    pub entries: i64,
    /// The latest `reporting_at` of its entries; `None` while it has none.
    pub last_posted_at: Option<Timestamp>,
    /// When its closing was recorded; `None` while it is open.
    pub closed_at: Option<Timestamp>,
}

/// A row of `daily_totals`: a day's entries in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyTotal {
    /// The sum of the positive amounts, in minor units.
    pub credits_minor: i128,
    /// The sum of the negative amounts as a positive number, in minor units.
    pub debits_minor: i128,
    /// How many entries the day has.
    pub entries: i64,
}

/// All of `reporting` at one moment. The balances contain exactly the events up to the checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportingSnapshot {
    /// The last applied position, by partition; absent before the first event.
    pub checkpoints: HashMap<i32, i64>,
    /// The accounts, by account id.
    pub balances: BTreeMap<String, AccountBalance>,
    /// The daily totals, by day (UTC) and currency.
    pub daily: BTreeMap<(Date, String), DailyTotal>,
}

impl ReportingSnapshot {
    /// Reads everything in one transaction. Needs no search path.
    ///
    /// # Errors
    /// When the read model does not exist, or Postgres does not answer.
    pub async fn read(client: &mut Client, log: &LogName) -> Result<Self, ProjectorError> {
        let moment = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let transaction = moment.start().await?;
        // first, because its error says clearly that the tables do not exist
        let checkpoints = checkpoints(&transaction, "reporting", log).await?;
        let balances = balances(&transaction).await?;
        let daily = daily_totals(&transaction).await?;
        transaction.commit().await?;
        Ok(Self { checkpoints, balances, daily })
    }
}

async fn balances(transaction: &Transaction<'_>) -> Result<BTreeMap<String, AccountBalance>, ProjectorError> {
    let rows = transaction.query(include_str!("sql/read_balances.sql"), &[]).await?;
    let balance = |row: &Row| {
        let balance = AccountBalance {
            currency: row.try_get("currency")?,
            balance_minor: row.try_get("balance_minor")?,
            entries: row.try_get("entries")?,
            last_posted_at: row.try_get("last_posted_at")?,
            closed_at: row.try_get("closed_at")?,
        };
        Ok((row.try_get("account_id")?, balance))
    };
    rows.iter().map(balance).collect()
}

async fn daily_totals(transaction: &Transaction<'_>) -> Result<BTreeMap<(Date, String), DailyTotal>, ProjectorError> {
    let rows = transaction.query(include_str!("sql/read_daily_totals.sql"), &[]).await?;
    let total = |row: &Row| {
        let total = DailyTotal {
            credits_minor: whole(row.try_get("credits_minor")?)?,
            debits_minor: whole(row.try_get("debits_minor")?)?,
            entries: row.try_get("entries")?,
        };
        Ok(((row.try_get("day")?, row.try_get("currency")?), total))
    };
    rows.iter().map(total).collect()
}

/// Parses a `numeric(38,0)`, which always fits into 128 bits.
fn whole(text: &str) -> Result<i128, ProjectorError> {
    text.parse().map_err(|_| ProjectorError::Damaged {
        schema: "reporting",
        reason: format!("a daily total is {text:?}, which is not a whole number"),
    })
}
