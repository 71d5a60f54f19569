//! Rows of the file as commands of the ledger.
//!
//! Ids are made from the file's own numbers, so that a demo run twice on the same data sends the same commands, which the
//! ledger then takes once.

use std::collections::{BTreeSet, HashSet};

use jiff::civil::{Date, date};
use millrace_domains::ledger::{ACCOUNT, Entry, LedgerCommand, OpenAccount, PostEntrySet};

use super::description::description;
use super::internal_account::internal_account;
use super::transaction::{Direction, Transaction};

const CURRENCY: &str = "CZK";

/// A command as it goes to the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankCommand {
    /// Its id, the same in every run.
    pub command_id: String,
    /// The stream of the first account it touches, the message's key.
    pub first_stream: String,
    /// What is asked.
    pub command: LedgerCommand,
}

/// All commands of the file, in two parts. An entry set has its customer's stream as key, so only the customer's own
/// `OpenAccount` is sure to be ahead of it: whoever sends them waits for the outcomes of `opens` before `entry_sets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// One for each internal account, by id, then one for each customer's account, as the file first names them.
    pub opens: Vec<BankCommand>,
    /// One for each transaction, in the file's order.
    pub entry_sets: Vec<BankCommand>,
}

impl Commands {
    /// The commands that book these transactions.
    pub fn new(transactions: &[Transaction]) -> Self {
        let internal: BTreeSet<String> = transactions.iter().map(internal_account).collect();
        let mut seen = HashSet::new();
        let customers =
            transactions.iter().map(|row| row.account_id).filter(|id| seen.insert(*id)).map(|id| id.to_string());
        Self {
            opens: internal.into_iter().chain(customers).map(open).collect(),
            entry_sets: transactions.iter().map(post).collect(),
        }
    }
}

fn open(account_id: String) -> BankCommand {
    BankCommand {
        command_id: format!("czech-bank-open-{account_id}"),
        first_stream: format!("{ACCOUNT}-{account_id}"),
        // No limit: inside a day the order of posting is unknown, and real balances dip below zero.
        command: LedgerCommand::OpenAccount(OpenAccount {
            account_id,
            currency: CURRENCY.to_owned(),
            overdraft_limit_minor: None,
        }),
    }
}

fn post(transaction: &Transaction) -> BankCommand {
    let id = format!("czech-bank-{}", transaction.trans_id);
    let account_id = transaction.account_id.to_string();
    let change = match transaction.direction {
        Direction::In => transaction.amount_minor,
        Direction::Out => -transaction.amount_minor,
    };
    BankCommand {
        command_id: id.clone(),
        first_stream: format!("{ACCOUNT}-{account_id}"),
        command: LedgerCommand::PostEntrySet(PostEntrySet {
            entry_set_id: id,
            reporting_at: start_of_day_micros(transaction.date),
            description: description(transaction),
            entries: vec![
                Entry { account_id, amount_minor: change },
                Entry { account_id: internal_account(transaction), amount_minor: -change },
            ],
        }),
    }
}

/// 00:00 UTC of the day, microseconds since 1970.
fn start_of_day_micros(day: Date) -> i64 {
    day.duration_since(date(1970, 1, 1)).as_secs() * 1_000_000
}
