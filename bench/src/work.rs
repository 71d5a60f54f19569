//! The work: entry sets over many accounts, the same for the same seed.

use fastrand::Rng;
use millrace_domains::ledger::{Entry, PostEntrySet};

use crate::arguments::{BenchArguments, Skew};

/// How many accounts there are.
pub const ACCOUNTS: usize = 50_000;
/// The accounts' currency.
pub const CURRENCY: &str = "EUR";

/// Length of a description that makes an event's datum about 150 bytes, and its JSON about 250.
const DESCRIPTION: usize = 104;
/// When the first day of the work begins, in microseconds since 1970: 2026-01-01.
const FIRST_DAY: i64 = 1_767_225_600_000_000;
const MICROSECONDS_OF_A_MONTH: i64 = 30 * 24 * 3600 * 1_000_000;
const WORDS: [&str; 16] = [
    "invoice",
    "rent",
    "salary",
    "refund",
    "transfer",
    "order",
    "fee",
    "interest",
    "household",
    "insurance",
    "deposit",
    "card",
    "payment",
    "monthly",
    "standing",
    "withdrawal",
];

/// An entry set between two different accounts.
#[derive(Debug, Clone)]
pub struct Set {
    /// The accounts' numbers; the first one's stream is the command's key.
    pub accounts: [usize; 2],
    /// The command.
    pub command: PostEntrySet,
}

/// Makes entry sets.
pub struct Work {
    rng: Rng,
    accounts: Vec<usize>,
    /// For Zipf: the sum of the weights up to each account.
    weights: Vec<f64>,
    skew: Skew,
    made: u64,
}

/// The id of an account.
pub fn account_id(number: usize) -> String {
    format!("{number:05}")
}

impl Work {
    /// Work on some of the accounts, at least two. The first of them are the hot ones.
    pub fn new(seed: u64, skew: Skew, accounts: Vec<usize>) -> Self {
        let mut sum = 0.0;
        let zipf = (1..=accounts.len()).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        let weights = if skew == Skew::Zipf { zipf.collect() } else { Vec::new() };
        Self { rng: Rng::with_seed(seed), accounts, weights, skew, made: 0 }
    }

    /// Work on all accounts, as the command line asks for it.
    pub fn all(arguments: &BenchArguments) -> Self {
        Self::new(arguments.seed, arguments.skew, (0..ACCOUNTS).collect())
    }

    /// The next entry set.
    pub fn next_set(&mut self) -> Set {
        self.made += 1;
        let first = self.account();
        let second = loop {
            let second = if self.skew == Skew::Hot { self.accounts[0] } else { self.account() };
            if second != first {
                break second;
            }
        };
        let amount_minor = self.rng.i64(1..1_000_000);
        let entry = |number, amount_minor| Entry { account_id: account_id(number), amount_minor };
        let command = PostEntrySet {
            entry_set_id: format!("set-{:012}", self.made),
            reporting_at: FIRST_DAY + self.rng.i64(0..MICROSECONDS_OF_A_MONTH),
            description: self.description(),
            entries: vec![entry(first, amount_minor), entry(second, -amount_minor)],
        };
        Set { accounts: [first, second], command }
    }

    fn account(&mut self) -> usize {
        let place = match (self.skew, self.weights.last()) {
            (Skew::Uniform, _) | (_, None) => self.rng.usize(usize::from(self.skew == Skew::Hot)..self.accounts.len()),
            (_, Some(sum)) => {
                let aim = self.rng.f64() * sum;
                self.weights.partition_point(|weight| *weight <= aim).min(self.accounts.len() - 1)
            }
        };
        self.accounts[place]
    }

    fn description(&mut self) -> String {
        let mut text = String::with_capacity(DESCRIPTION + 16);
        while text.len() < DESCRIPTION {
            text.push_str(self.rng.choice(WORDS).unwrap_or("entry"));
            text.push(' ');
            text.push_str(&self.rng.u32(0..100_000).to_string());
            text.push(' ');
        }
        text.truncate(DESCRIPTION);
        text
    }
}

#[cfg(test)]
mod tests {
    use millrace_domains::ledger::EntryPosted;
    use millrace_schemas::Topic;

    use super::*;

    fn work(skew: Skew) -> Work {
        Work::new(7, skew, (0..100).collect())
    }

    #[test]
    fn the_same_seed_makes_the_same_work() {
        let (mut one, mut other) = (work(Skew::Zipf), work(Skew::Zipf));
        for _ in 0..100 {
            assert_eq!(one.next_set().command, other.next_set().command);
        }
    }

    #[test]
    fn every_set_balances_between_two_accounts_and_its_events_have_about_150_bytes() {
        let ledger = millrace::ledger();
        let schema = ledger.definition().record(Topic::Events, "EntryPosted").unwrap().unregistered();
        for skew in [Skew::Uniform, Skew::Zipf, Skew::Hot] {
            let mut work = work(skew);
            for _ in 0..1000 {
                let Set { accounts, command } = work.next_set();
                assert_ne!(accounts[0], accounts[1]);
                assert_eq!(command.entries.iter().map(|entry| entry.amount_minor).sum::<i64>(), 0);
                let event = EntryPosted {
                    entry_set_id: command.entry_set_id,
                    account_id: account_id(accounts[0]),
                    amount_minor: command.entries[0].amount_minor,
                    reporting_at: command.reporting_at,
                    description: command.description,
                    currency: CURRENCY.to_owned(),
                };
                let bytes = schema.encode(&event).unwrap().len();
                assert!((140..=160).contains(&bytes), "{bytes}");
            }
        }
    }

    #[test]
    fn a_hot_account_is_in_every_set_and_zipf_halves_from_the_first_account_to_the_second() {
        let mut hot = work(Skew::Hot);
        assert!((0..1000).all(|_| hot.next_set().accounts.contains(&0)));
        let mut zipf = work(Skew::Zipf);
        let mut counts = [0_i32; 100];
        (0..100_000).for_each(|_| zipf.next_set().accounts.into_iter().for_each(|account| counts[account] += 1));
        let ratio = f64::from(counts[0]) / f64::from(counts[1]);
        // a little less than 2, because the two accounts of a set differ
        assert!((1.6..2.1).contains(&ratio), "{ratio}");
    }
}
