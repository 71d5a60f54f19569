//! What the read models show beside what the bank's file says, by arithmetic that knows nothing of commands.

use millrace_projectors::reporting::ReportingSnapshot;
use millrace_projectors::search::{Hit, find};
use millrace_runtime::{Settings, postgres};
use millrace_schemas::LogName;
use serde::Serialize;

use crate::bank::expected::{AccountEnd, Agreement, account_ends, balances, busiest, daily_totals};
use crate::bank::transaction::Transaction;

/// What the demo searches for: words in another order, one cut short, one mistyped.
const QUERY: &str = "paymnt SIPO househ";
/// How many balances are shown.
const SHOWN: usize = 5;

/// What was compared.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Accounts in `account_balances`.
    pub accounts: usize,
    /// The first account whose balance is not the sum of the file's rows.
    pub wrong_balance: Option<String>,
    /// Days in `daily_totals`.
    pub days: usize,
    /// The first day whose totals are not those of the file's rows.
    pub wrong_day: Option<String>,
    /// Some accounts beside the bank's own column.
    pub shown: Vec<ShownBalance>,
    /// How near the sums come to the bank's own balances.
    pub bank: BankAgreement,
    /// What was searched for.
    pub query: &'static str,
    /// The best hit.
    pub hit: Option<Hit>,
    /// Totals of the last days.
    pub last_days: Vec<ShownDay>,
}

/// One account.
#[derive(Debug, Serialize)]
pub struct ShownBalance {
    /// Its number.
    pub account_id: String,
    /// Its transactions in the file.
    pub transactions: usize,
    /// What `reporting` shows, in hellers.
    pub balance_minor: Option<i64>,
    /// What the bank's `balance` column says at the end, in hellers.
    pub bank_minor: i64,
}

/// One day.
#[derive(Debug, Serialize)]
pub struct ShownDay {
    /// The day.
    pub day: String,
    /// What `reporting` shows, in hellers.
    pub credits_minor: i128,
    /// What `reporting` shows, in hellers.
    pub debits_minor: i128,
    /// Entries of the day.
    pub entries: i64,
}

/// Sums of published amounts against the bank's balances. Not the pipeline's doing: the amounts are rounded.
#[derive(Debug, Serialize)]
pub struct BankAgreement {
    /// Customers' accounts.
    pub accounts: usize,
    /// Equal to the heller.
    pub exact: usize,
    /// Apart by up to a crown.
    pub rounding: usize,
    /// Apart by more: their last interest is beyond the end of the file.
    pub beyond: usize,
}

impl Comparison {
    /// Reads the read models and compares.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn make(settings: &Settings, transactions: &[Transaction]) -> anyhow::Result<Self> {
        let log: LogName = settings.log.parse()?;
        let pool = postgres::pool(settings.postgres_url()?, log.as_str(), 1)?;
        let mut client = postgres::connect(&pool, settings.postgres_url()?).await?;
        let snapshot = ReportingSnapshot::read(&mut client, &log).await?;
        let hits = find(&**client, QUERY, 1).await?;
        let ends = account_ends(transactions);
        let agreement = Agreement::of(&ends);
        Ok(Self {
            accounts: snapshot.balances.len(),
            wrong_balance: wrong_balance(&snapshot, transactions),
            days: snapshot.daily.len(),
            wrong_day: wrong_day(&snapshot, transactions),
            shown: busiest(ends, SHOWN).into_iter().map(|end| shown(&snapshot, &end)).collect(),
            bank: BankAgreement {
                accounts: agreement.accounts,
                exact: agreement.exact,
                rounding: agreement.rounding,
                beyond: agreement.beyond.len(),
            },
            query: QUERY,
            hit: hits.into_iter().next(),
            last_days: last_days(&snapshot),
        })
    }

    /// Whether everything is as the file says, and the search found what it should.
    pub fn agrees(&self) -> bool {
        let found = self.hit.as_ref().and_then(|hit| hit.description.as_ref());
        self.wrong_balance.is_none()
            && self.wrong_day.is_none()
            && found.is_some_and(|text| text.contains("Household payment (SIPO)"))
    }
}

fn wrong_balance(snapshot: &ReportingSnapshot, transactions: &[Transaction]) -> Option<String> {
    let expected = balances(transactions);
    let wrong = expected.iter().find(|(id, sum)| {
        snapshot.balances.get(*id).is_none_or(|shown| shown.balance_minor != **sum || shown.currency != "CZK")
    });
    let unknown = || snapshot.balances.keys().find(|id| !expected.contains_key(*id)).cloned();
    wrong.map(|(id, _)| id.clone()).or_else(unknown)
}

fn wrong_day(snapshot: &ReportingSnapshot, transactions: &[Transaction]) -> Option<String> {
    let expected = daily_totals(transactions);
    let wrong = expected.iter().find(|(day, total)| {
        snapshot.daily.get(&(**day, "CZK".to_owned())).is_none_or(|shown| {
            (shown.credits_minor, shown.debits_minor) != (total.credits_minor.into(), total.debits_minor.into())
                || usize::try_from(shown.entries) != Ok(total.entries)
        })
    });
    let unknown = || snapshot.daily.keys().map(|(day, _)| day).find(|day| !expected.contains_key(day));
    wrong.map(|(day, _)| day.to_string()).or_else(|| unknown().map(ToString::to_string))
}

fn shown(snapshot: &ReportingSnapshot, end: &AccountEnd) -> ShownBalance {
    let account_id = end.account_id.to_string();
    let balance_minor = snapshot.balances.get(&account_id).map(|shown| shown.balance_minor);
    ShownBalance { account_id, transactions: end.transactions, balance_minor, bank_minor: end.bank_minor }
}

fn last_days(snapshot: &ReportingSnapshot) -> Vec<ShownDay> {
    let last = snapshot.daily.iter().rev().take(3);
    let last = last.map(|((day, _), total)| ShownDay {
        day: day.to_string(),
        credits_minor: total.credits_minor,
        debits_minor: total.debits_minor,
        entries: total.entries,
    });
    last.collect()
}
