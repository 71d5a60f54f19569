//! The ledger's rules, given / when / then.

use millrace_schemas::Topic;
use millrace_writer::{Domain, Rejection};
use proptest::prelude::*;

use super::account::Account;
use super::{CloseAccount, Entry, Ledger, LedgerCommand, LedgerEvent, OpenAccount, PostEntrySet};

fn open(account_id: &str, currency: &str, limit: Option<i64>) -> LedgerCommand {
    LedgerCommand::OpenAccount(OpenAccount {
        account_id: account_id.into(),
        currency: currency.into(),
        overdraft_limit_minor: limit,
    })
}

fn close(account_id: &str) -> LedgerCommand {
    LedgerCommand::CloseAccount(CloseAccount { account_id: account_id.into() })
}

fn post(entries: &[(&str, i64)]) -> LedgerCommand {
    let entries = entries.iter().map(|(id, amount)| Entry { account_id: (*id).into(), amount_minor: *amount });
    LedgerCommand::PostEntrySet(PostEntrySet {
        entry_set_id: "set".into(),
        reporting_at: 0,
        description: "a set".into(),
        entries: entries.collect(),
    })
}

/// Accounts by stream id, as a run of commands leaves them.
#[derive(Default)]
struct Books(std::collections::HashMap<String, Account>);

impl Books {
    fn given(commands: &[LedgerCommand]) -> Self {
        let mut books = Self::default();
        for command in commands {
            books.when(command).unwrap();
        }
        books
    }

    fn when(&mut self, command: &LedgerCommand) -> Result<Vec<LedgerEvent>, Rejection> {
        let streams = Ledger.streams(command)?;
        let states: Vec<Account> =
            streams.iter().map(|id| self.0.get(id.as_str()).cloned().unwrap_or_default()).collect();
        let events = Ledger.decide(command, &states.iter().collect::<Vec<_>>())?;
        for (stream, event) in &events {
            Ledger.evolve(self.0.entry(streams[*stream].to_string()).or_default(), event);
        }
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }

    fn code(&mut self, command: &LedgerCommand) -> String {
        self.when(command).map_or_else(|rejection| rejection.code.into_owned(), |_| "accepted".to_owned())
    }

    fn balance(&self, account_id: &str) -> i64 {
        match &self.0[&format!("account-{account_id}")] {
            Account::Open(account) => account.balance,
            _ => panic!("{account_id} is not open"),
        }
    }
}

#[test]
fn a_set_changes_each_account_it_touches_once() {
    let mut books = Books::given(&[open("a", "CZK", None), open("b", "CZK", None)]);
    let events = books.when(&post(&[("a", 70), ("b", -100), ("a", 30)])).unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!((books.balance("a"), books.balance("b")), (100, -100));
}

#[test]
fn each_rule_has_its_code() {
    let mut books = Books::given(&[open("a", "CZK", Some(50)), open("b", "CZK", None), open("e", "EUR", None)]);
    for (command, code) in [
        (open("a", "CZK", None), "account_already_open"),
        (open("", "CZK", None), "invalid_account_id"),
        (open(" x", "CZK", None), "invalid_account_id"),
        (open(&"x".repeat(101), "CZK", None), "invalid_account_id"),
        (open("x\n", "CZK", None), "invalid_account_id"),
        (open("x", "czk", None), "invalid_currency"),
        (open("x", "CZK", Some(-1)), "invalid_overdraft_limit"),
        (post(&[("a", 0)]), "too_few_entries"),
        (post(&[]), "too_few_entries"),
        (post(&vec![("a", 0); 1001]), "too_many_entries"),
        (post(&[("a", 1), ("b", 1)]), "entries_not_balanced"),
        (post(&[("a", i64::MAX), ("b", i64::MAX), ("a", 2)]), "entries_not_balanced"),
        (post(&[("a", 1), ("nobody", -1)]), "account_not_found"),
        (post(&[("a", 1), ("e", -1)]), "mixed_currencies"),
        (post(&[("a", -51), ("b", 51)]), "overdraft_limit_exceeded"),
        (close("nobody"), "account_not_found"),
    ] {
        assert_eq!(books.code(&command), code, "{command:?}");
    }
    assert_eq!(books.code(&post(&[("a", -50), ("b", 50)])), "accepted");
    assert_eq!(books.code(&close("a")), "balance_not_zero");
}

#[test]
fn a_closed_account_takes_nothing_more() {
    let mut books = Books::given(&[open("a", "CZK", None), open("b", "CZK", None), close("a")]);
    assert_eq!(books.code(&post(&[("a", 1), ("b", -1)])), "account_closed");
    assert_eq!(books.code(&open("a", "CZK", None)), "account_closed");
    assert_eq!(books.code(&close("a")), "account_closed");
}

#[test]
fn overflow_is_a_rejection() {
    let mut books =
        Books::given(&[open("a", "CZK", None), open("b", "CZK", None), post(&[("a", i64::MAX), ("b", -i64::MAX)])]);
    assert_eq!(books.code(&post(&[("a", 1), ("b", -1)])), "balance_overflow");
    assert_eq!(books.code(&post(&[("a", -i64::MAX), ("b", i64::MAX)])), "accepted");
    assert_eq!(
        books.code(&post(&[("b", i64::MAX), ("b", i64::MAX), ("a", -i64::MAX), ("a", -i64::MAX)])),
        "balance_overflow"
    );
}

proptest! {
    #[test]
    fn whatever_is_posted_the_books_balance_and_limits_hold(
        sets in proptest::collection::vec(
            proptest::collection::vec((0..4_usize, -300..300_i64), 1..5), 1..40),
        limit in 0..500_i64,
    ) {
        let ids = ["a", "b", "c", "d"];
        let opens: Vec<_> = ids.iter().map(|id| open(id, "CZK", (*id != "d").then_some(limit))).collect();
        let mut books = Books::given(&opens);
        for set in sets {
            let mut entries: Vec<_> = set.iter().map(|(account, amount)| (ids[*account], *amount)).collect();
            entries.push(("d", -set.iter().map(|(_, amount)| amount).sum::<i64>()));
            // a rejected set must change nothing: the sums below would show it
            let _ = books.when(&post(&entries));
            prop_assert_eq!(ids.iter().map(|id| books.balance(id)).sum::<i64>(), 0);
            prop_assert!(ids[..3].iter().all(|id| books.balance(id) >= -limit));
        }
    }
}

#[test]
fn every_record_of_the_ledger_has_its_schema() {
    let definition = Ledger.definition();
    for command in ["OpenAccount", "PostEntrySet", "CloseAccount"] {
        assert!(definition.record(Topic::Commands, command).is_some(), "{command}");
    }
    for event in ["AccountOpened", "EntryPosted", "AccountClosed"] {
        assert!(definition.record(Topic::Events, event).is_some(), "{event}");
    }
}
