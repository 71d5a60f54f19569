//! Holds the declared ledger (`tests/declared-ledger/`) against the Rust ledger on the whole file.

use millrace_domains::ledger::Ledger;

use super::commands::Commands;
use super::read;

#[path = "../../../tests/declared-ledger/both.rs"]
mod both;

use both::{Book, assert_same, declared_ledger, received};

#[test]
fn the_declared_ledger_decides_every_command_of_the_demo_as_the_rust_ledger_does() {
    let commands = Commands::new(&read().unwrap());
    let (mut rust, mut declared) = (Book::new(Ledger), Book::new(declared_ledger()));
    let all = commands.opens.iter().chain(&commands.entry_sets);
    let mut accepted = 0;
    for command in all {
        let received = received(&command.command);
        let (rust, declared) = (rust.outcome(&received), declared.outcome(&received));
        assert_same(&rust, &declared, &received);
        accepted += usize::from(rust.is_ok());
    }
    assert_eq!(accepted, 1_247 + 49_102);
}
