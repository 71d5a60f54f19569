//! What the ledger must show after all transactions: arithmetic on the rows, not through the commands.
//!
//! Two different comparisons. The ledger's balance of an account must equal the sum of its rows to the heller. The bank's
//! own `balance` is another matter: the published amounts are rounded and the last day is cut off inside, so sums only
//! come near it; [`Agreement`] says how near, and a demo that shows the two side by side says it too.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::internal_account::internal_account;
use super::transaction::{Direction, Transaction};

/// Up to here rounding explains a difference between sum and bank: one crown.
const ROUNDING_MINOR: u64 = 100;

/// A customer's account after its last row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountEnd {
    /// The bank's number of the account.
    pub account_id: u32,
    /// How many rows it has.
    pub transactions: usize,
    /// The day of its last row.
    pub last_day: Date,
    /// The sum of its rows: what the ledger must show.
    pub sum_minor: i64,
    /// The bank's own balance at the end of the last day.
    pub bank_minor: i64,
}

impl AccountEnd {
    /// What the bank has more than the rows add up to.
    pub fn difference_minor(&self) -> i64 {
        self.bank_minor - self.sum_minor
    }
}

/// How the sums of the customers' accounts compare with the bank's balances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// All accounts.
    pub accounts: usize,
    /// Those that agree to the heller.
    pub exact: usize,
    /// Those that differ, by a crown at most.
    pub rounding: usize,
    /// Those that differ by more, by id. In the embedded file all of them end on the day that the extract cuts off.
    pub beyond: Vec<AccountEnd>,
}

/// The sums of one day over all entries, a customer's and an internal one a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DayTotal {
    /// Entries that raise an account.
    pub credits_minor: i64,
    /// Entries that lower one, as a positive number; the same, as each set sums to zero.
    pub debits_minor: i64,
    /// Entries of both kinds.
    pub entries: usize,
}

/// Each customer's account at its end, by id.
pub fn account_ends(transactions: &[Transaction]) -> Vec<AccountEnd> {
    let mut accounts: BTreeMap<u32, BTreeMap<Date, Vec<&Transaction>>> = BTreeMap::new();
    for row in transactions {
        accounts.entry(row.account_id).or_default().entry(row.date).or_default().push(row);
    }
    accounts.into_iter().filter_map(|(account_id, days)| account_end(account_id, &days)).collect()
}

/// The `count` accounts with most rows, most first.
pub fn busiest(mut ends: Vec<AccountEnd>, count: usize) -> Vec<AccountEnd> {
    ends.sort_by_key(|end| (std::cmp::Reverse(end.transactions), end.account_id));
    ends.truncate(count);
    ends
}

/// The ledger's balance of every account, customers' and internal, by the ledger's id.
pub fn balances(transactions: &[Transaction]) -> BTreeMap<String, i64> {
    let mut balances = BTreeMap::new();
    for row in transactions {
        *balances.entry(row.account_id.to_string()).or_default() += signed(row);
        *balances.entry(internal_account(row)).or_default() -= signed(row);
    }
    balances
}

/// The totals of each day that has a row.
pub fn daily_totals(transactions: &[Transaction]) -> BTreeMap<Date, DayTotal> {
    let mut days: BTreeMap<Date, DayTotal> = BTreeMap::new();
    for row in transactions {
        // Whichever of the two accounts rises, it rises by the amount and the other falls by it.
        let day = days.entry(row.date).or_default();
        day.credits_minor += row.amount_minor;
        day.debits_minor += row.amount_minor;
        day.entries += 2;
    }
    days
}

impl Agreement {
    /// Compares sum and bank for each of these accounts.
    pub fn of(ends: &[AccountEnd]) -> Self {
        let differs = |end: &&AccountEnd| end.difference_minor() != 0;
        let beyond: Vec<AccountEnd> =
            ends.iter().filter(|end| end.difference_minor().unsigned_abs() > ROUNDING_MINOR).cloned().collect();
        let differing = ends.iter().filter(differs).count();
        Self { accounts: ends.len(), exact: ends.len() - differing, rounding: differing - beyond.len(), beyond }
    }
}

/// Walks the days. Inside a day the rows' order says nothing, so the day's closing row is the one whose `balance` is
/// nearest to the bank's balance of the day before plus the day's amounts; between equals, the later in the file.
fn account_end(account_id: u32, days: &BTreeMap<Date, Vec<&Transaction>>) -> Option<AccountEnd> {
    let mut end: Option<AccountEnd> = None;
    for (day, rows) in days {
        let (transactions, sum, bank) = end.map_or((0, 0, 0), |end| (end.transactions, end.sum_minor, end.bank_minor));
        let change: i64 = rows.iter().map(|row| signed(row)).sum();
        let distance = |row: &&&Transaction| row.balance_minor.abs_diff(bank + change);
        let closing = rows.iter().rev().min_by_key(distance)?;
        end = Some(AccountEnd {
            account_id,
            transactions: transactions + rows.len(),
            last_day: *day,
            sum_minor: sum + change,
            bank_minor: closing.balance_minor,
        });
    }
    end
}

fn signed(row: &Transaction) -> i64 {
    match row.direction {
        Direction::In => row.amount_minor,
        Direction::Out => -row.amount_minor,
    }
}
