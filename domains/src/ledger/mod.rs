//! The ledger: double-entry accounts, one stream each.

mod account;
mod command;
mod entry_set;
mod event;
#[cfg(test)]
mod tests;
mod text;

use std::sync::LazyLock;

use millrace_schemas::{DecodeError, LogDefinition, Received, RecordSchema, StreamId};
use millrace_writer::{Domain, Rejection};

use account::Account;
pub use command::{CloseAccount, Entry, LedgerCommand, OpenAccount, PostEntrySet};
pub use event::{AccountClosed, AccountOpened, EntryPosted, LedgerEvent};
use text::{account_stream, check_currency};

/// Type of the ledger's streams: `account-<account id>`.
pub const ACCOUNT: &str = "account";

static DEFINITION: LazyLock<LogDefinition> = LazyLock::new(|| {
    let commands = [
        include_str!("../../../schemas/ledger/commands/OpenAccount.avsc"),
        include_str!("../../../schemas/ledger/commands/PostEntrySet.avsc"),
        include_str!("../../../schemas/ledger/commands/CloseAccount.avsc"),
    ];
    let events = [
        include_str!("../../../schemas/ledger/events/AccountOpened.avsc"),
        include_str!("../../../schemas/ledger/events/EntryPosted.avsc"),
        include_str!("../../../schemas/ledger/events/AccountClosed.avsc"),
    ];
    LogDefinition::parse("ledger", &commands, &events).expect("the ledger's schemas parse: a test says so")
});

/// The ledger's rules: the entries of a set sum to zero, have one currency, and keep open accounts within their
/// overdraft limits; an account closes only at balance zero; no balance overflows.
pub struct Ledger;

impl Domain for Ledger {
    type Command = LedgerCommand;
    type Event = LedgerEvent;
    type State = Account;

    fn definition(&self) -> &LogDefinition {
        &DEFINITION
    }

    fn read_command(&self, received: &Received<'_>) -> Option<Result<LedgerCommand, DecodeError>> {
        LedgerCommand::read(received)
    }

    fn read_event(&self, schema: &RecordSchema, datum: &[u8]) -> Option<Result<LedgerEvent, DecodeError>> {
        LedgerEvent::read(schema, datum)
    }

    fn command_name(&self, command: &LedgerCommand) -> &str {
        command.name()
    }

    fn event_name(&self, event: &LedgerEvent) -> &str {
        event.name()
    }

    fn streams(&self, command: &LedgerCommand) -> Result<Vec<StreamId>, Rejection> {
        match command {
            LedgerCommand::OpenAccount(open) => {
                check_currency(&open.currency)?;
                check_limit(open.overdraft_limit_minor)?;
                Ok(vec![account_stream(&open.account_id)?])
            }
            LedgerCommand::PostEntrySet(set) => entry_set::streams(set),
            LedgerCommand::CloseAccount(close) => Ok(vec![account_stream(&close.account_id)?]),
        }
    }

    fn decide(&self, command: &LedgerCommand, states: &[&Account]) -> Result<Vec<(usize, LedgerEvent)>, Rejection> {
        match (command, states) {
            (LedgerCommand::OpenAccount(command), [account]) => open(command, account).map(|event| vec![(0, event)]),
            (LedgerCommand::CloseAccount(command), [account]) => {
                close(&command.account_id, account).map(|event| vec![(0, event)])
            }
            (LedgerCommand::PostEntrySet(set), accounts) => entry_set::post(set, accounts),
            _ => unreachable!("the states are those of the streams that the command needs"),
        }
    }

    fn evolve(&self, account: &mut Account, event: &LedgerEvent) {
        account.evolve(event);
    }
}

fn check_limit(limit: Option<i64>) -> Result<(), Rejection> {
    match limit {
        Some(limit) if limit < 0 => Err(Rejection::new(
            "invalid_overdraft_limit",
            format!("An overdraft limit says how far below zero a balance may go and is not negative; {limit} is."),
        )),
        _ => Ok(()),
    }
}

fn open(command: &OpenAccount, account: &Account) -> Result<LedgerEvent, Rejection> {
    let OpenAccount { account_id, currency, overdraft_limit_minor } = command.clone();
    match account {
        Account::Absent => {
            Ok(LedgerEvent::AccountOpened(AccountOpened { account_id, currency, overdraft_limit_minor }))
        }
        Account::Open(_) => {
            Err(Rejection::new("account_already_open", format!("Account {account_id} is open already.")))
        }
        Account::Closed => Err(Rejection::new(
            "account_closed",
            format!("Account {account_id} is closed; a closed account is not opened again."),
        )),
    }
}

fn close(account_id: &str, account: &Account) -> Result<LedgerEvent, Rejection> {
    let open = account.opened(account_id)?;
    if open.balance != 0 {
        let message = format!("Account {account_id} has a balance of {} and closes only at zero.", open.balance);
        return Err(Rejection::new("balance_not_zero", message));
    }
    Ok(LedgerEvent::AccountClosed(AccountClosed { account_id: account_id.to_owned() }))
}
