//! Holds the ledger's rules as a declared log (`tests/declared-ledger/`) against the ledger in Rust.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_domains::ledger::{CloseAccount, Entry, Ledger, LedgerCommand, OpenAccount, PostEntrySet};
use millrace_schemas::Received;
use millrace_writer::{DeclaredDomain, Domain};

#[path = "declared-ledger/both.rs"]
mod both;

use both::{Book, assert_same, declared_ledger, received};

const COMMANDS: usize = 100_000;
/// Every code that the Rust ledger has.
const CODES: &[&str] = &[
    "account_already_open",
    "account_closed",
    "account_not_found",
    "balance_not_zero",
    "balance_overflow",
    "description_too_long",
    "entries_not_balanced",
    "invalid_account_id",
    "invalid_currency",
    "invalid_entry_set_id",
    "invalid_overdraft_limit",
    "invalid_reporting_at",
    "mixed_currencies",
    "overdraft_limit_exceeded",
    "too_few_entries",
    "too_many_entries",
];

#[test]
fn the_declared_ledger_decides_as_the_rust_ledger_does_on_commands_that_break_every_rule() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut source = Source::new(seed);
    let (mut rust, mut declared) = (Book::new(Ledger), Book::new(declared_ledger()));
    let mut came: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..COMMANDS {
        let received = received(&source.command());
        let (rust, declared) = (rust.outcome(&received), declared.outcome(&received));
        assert_same(&rust, &declared, &received);
        *came
            .entry(rust.map_or_else(|rejection| rejection.code.into_owned(), |_| "accepted".to_owned()))
            .or_default() += 1;
    }
    println!("{came:?}");
    let missing: Vec<_> = CODES.iter().filter(|code| !came.contains_key(**code)).collect();
    assert!(missing.is_empty(), "no command came to {missing:?}: {came:?}");
    assert!(came["accepted"] > COMMANDS / 20, "{came:?}");
}

/// Prints what a decision costs, in microseconds. For numbers that count, run it in a release build, with `--nocapture`.
#[test]
fn a_declared_decision_takes_at_most_fifteen_times_that_of_rust() {
    let mut source = Source::new(1);
    let opens: Vec<_> = (0..100).map(|id| received(&source.open(format!("0-{id}"), "CZK", None))).collect();
    let sets: Vec<_> = (0..20_000).map(|_| received(&source.sound_set(100))).collect();
    let rust = microseconds(Book::new(Ledger), &opens, &sets);
    let declared = microseconds(Book::<DeclaredDomain>::new(declared_ledger()), &opens, &sets);
    println!(
        "read + streams + decide + encode + fold, a set of two to five entries: Rust {rust:.2} µs, declared {declared:.2} µs"
    );
    assert!(declared < 15.0 * rust);
}

/// The best of three runs, a command.
fn microseconds<D: Domain>(mut book: Book<D>, opens: &[Received<'_>], sets: &[Received<'_>]) -> f64 {
    opens.iter().for_each(|open| assert!(book.outcome(open).is_ok()));
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        sets.iter().for_each(|set| assert!(book.outcome(set).is_ok()));
        best = best.min(started.elapsed());
    }
    best.as_secs_f64() * 1e6 / sets.len() as f64
}

/// A source of commands, sound ones and others.
struct Source {
    chance: fastrand::Rng,
    /// Part of every account id. It goes up, because accounts close and none opens again.
    generation: usize,
}

impl Source {
    fn new(seed: u64) -> Self {
        Self { chance: fastrand::Rng::with_seed(seed), generation: 0 }
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.chance.usize(..many) == 0
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.chance.usize(..of.len())].clone()
    }

    fn command(&mut self) -> LedgerCommand {
        self.generation += usize::from(self.one_in(1000));
        match self.chance.usize(..20) {
            0..3 => {
                let (id, currency) = (self.id(), self.currency());
                let limit = if self.one_in(3) { None } else { Some(self.one_of(&[0, 50, 10_000, i64::MAX, -1])) };
                self.open(id, &currency, limit)
            }
            3 => LedgerCommand::CloseAccount(CloseAccount { account_id: self.id() }),
            4 | 5 => self.any_set(),
            _ => self.sound_set(30),
        }
    }

    fn open(&mut self, account_id: String, currency: &str, overdraft_limit_minor: Option<i64>) -> LedgerCommand {
        LedgerCommand::OpenAccount(OpenAccount { account_id, currency: currency.to_owned(), overdraft_limit_minor })
    }

    fn currency(&mut self) -> String {
        let odd = self.one_in(20);
        if odd {
            self.one_of(&["", "czk", "CZKK", "ČZK", "CZ\n"])
        } else {
            self.one_of(&["CZK", "CZK", "CZK", "CZK", "CZK", "CZK", "CZK", "EUR"])
        }
        .to_owned()
    }

    /// The id of one of so many accounts.
    fn account(&mut self, of: usize) -> String {
        format!("{}-{}", self.generation, self.chance.usize(..of))
    }

    fn id(&mut self) -> String {
        if !self.one_in(30) {
            return self.account(30);
        }
        let long = |letters: usize| "é".repeat(letters);
        self.one_of(&[
            String::new(),
            " a".to_owned(),
            "a\u{a0}".to_owned(),
            "\n".to_owned(),
            "a\u{85}b".to_owned(),
            long(100),
            long(101),
            "a b".to_owned(),
        ])
    }

    /// Two to five entries on so many accounts that sum to zero.
    fn sound_set(&mut self, accounts: usize) -> LedgerCommand {
        let mut entries = Vec::new();
        let mut sum = 0;
        for _ in 0..self.chance.usize(1..5) {
            let amount_minor = self.chance.i64(-100..100);
            sum += amount_minor;
            entries.push(Entry { account_id: self.account(accounts), amount_minor });
        }
        entries.push(Entry { account_id: self.account(accounts), amount_minor: -sum });
        self.set(entries)
    }

    fn set(&mut self, entries: Vec<Entry>) -> LedgerCommand {
        LedgerCommand::PostEntrySet(PostEntrySet {
            entry_set_id: "set".to_owned(),
            reporting_at: 0,
            description: "a set".to_owned(),
            entries,
        })
    }

    /// A set that may break any rule.
    fn any_set(&mut self) -> LedgerCommand {
        let amounts = [0, 1, -1, i64::MAX, -i64::MAX, i64::MIN];
        let entries = match self.chance.usize(..10) {
            0 => vec![],
            1 => vec![Entry { account_id: self.id(), amount_minor: 0 }],
            2 => {
                let number = self.one_of(&[1000, 1001]);
                (0..number).map(|_| Entry { account_id: self.account(30), amount_minor: 0 }).collect()
            }
            3..=5 => {
                let amount_minor = self.one_of(&[1, i64::MAX, i64::MAX / 2]);
                let amounts = [amount_minor, -amount_minor, amount_minor, -amount_minor];
                let ids = [self.id(), self.id()];
                amounts.iter().map(|amount| (self.one_of(&ids), *amount)).map(entry).collect()
            }
            _ => (0..self.chance.usize(2..6)).map(|_| entry((self.id(), self.one_of(&amounts)))).collect(),
        };
        let mut command = self.set(entries);
        if let LedgerCommand::PostEntrySet(set) = &mut command {
            if self.one_in(4) {
                set.entry_set_id = self.id();
            }
            if self.one_in(4) {
                set.description = "x".repeat(self.one_of(&[0, 500, 501]));
            }
            if self.one_in(4) {
                let edges = [-62_135_596_800_000_000, 253_370_764_800_000_000];
                set.reporting_at = self.one_of(&edges) + self.chance.i64(-1..1);
            }
        }
        command
    }
}

fn entry((account_id, amount_minor): (String, i64)) -> Entry {
    Entry { account_id, amount_minor }
}
