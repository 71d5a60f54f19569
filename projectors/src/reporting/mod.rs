//! The read model `reporting`: balances of accounts, and totals of days.

mod events;
mod fold;
mod snapshot;

use deadpool_postgres::Transaction;
use futures::future::BoxFuture;
use jiff::Timestamp;
use jiff::civil::Date;
use millrace_projector_runner::{ApplyError, Event, Projector};

use fold::Changes;
pub use snapshot::{AccountBalance, DailyTotal, ReportingSnapshot};

mod embedded {
    refinery::embed_migrations!("src/reporting/migrations");
}

/// The projector that keeps `account_balances` and `daily_totals`.
#[derive(Debug)]
pub struct Reporting;

impl Projector for Reporting {
    fn name(&self) -> &'static str {
        "reporting"
    }

    fn migrations(&self) -> refinery::Runner {
        embedded::migrations::runner()
    }

    fn apply<'a>(
        &'a self,
        transaction: &'a Transaction<'a>,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let changes = Changes::from_events(events)?;
            // Balances and totals go to Postgres together, to save round trips. Closings wait for the balances, because
            // an account must exist before it is closed, and a statement that is still to be prepared comes late.
            tokio::try_join!(
                biased;
                async {
                    add_to_balances(transaction, &changes).await?;
                    close_accounts(transaction, &changes).await
                },
                add_to_daily_totals(transaction, &changes),
            )?;
            Ok(())
        })
    }
}

async fn add_to_balances(transaction: &Transaction<'_>, changes: &Changes) -> Result<(), tokio_postgres::Error> {
    if changes.accounts.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = changes.accounts.keys().map(String::as_str).collect();
    let accounts = || changes.accounts.values();
    let currencies: Vec<&str> = accounts().map(|account| account.currency.as_str()).collect();
    let sums: Vec<String> = accounts().map(|account| account.change_minor.to_string()).collect();
    let entries: Vec<i64> = accounts().map(|account| account.entries).collect();
    let posted: Vec<Option<Timestamp>> = accounts().map(|account| account.last_posted_at).collect();
    let statement = transaction.prepare_cached(include_str!("sql/add_to_balances.sql")).await?;
    transaction.execute(&statement, &[&ids, &currencies, &sums, &entries, &posted]).await?;
    Ok(())
}

async fn close_accounts(transaction: &Transaction<'_>, changes: &Changes) -> Result<(), tokio_postgres::Error> {
    if changes.closed.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = changes.closed.keys().map(String::as_str).collect();
    let at: Vec<Timestamp> = changes.closed.values().copied().collect();
    let statement = transaction.prepare_cached(include_str!("sql/close_accounts.sql")).await?;
    transaction.execute(&statement, &[&ids, &at]).await?;
    Ok(())
}

async fn add_to_daily_totals(transaction: &Transaction<'_>, changes: &Changes) -> Result<(), tokio_postgres::Error> {
    if changes.days.is_empty() {
        return Ok(());
    }
    let dates: Vec<Date> = changes.days.keys().map(|(day, _)| *day).collect();
    let currencies: Vec<&str> = changes.days.keys().map(|(_, currency)| currency.as_str()).collect();
    let days = || changes.days.values();
    let credits: Vec<String> = days().map(|day| day.credits_minor.to_string()).collect();
    let debits: Vec<String> = days().map(|day| day.debits_minor.to_string()).collect();
    let entries: Vec<i64> = days().map(|day| day.entries).collect();
    let statement = transaction.prepare_cached(include_str!("sql/add_to_daily_totals.sql")).await?;
    transaction.execute(&statement, &[&dates, &currencies, &credits, &debits, &entries]).await?;
    Ok(())
}
