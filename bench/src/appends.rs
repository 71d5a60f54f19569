//! Entry sets as decided commands, ready for the log, as the writer would have decided them.

use millrace_schemas::ledger::{AccountOpened, EntryPosted};
use millrace_schemas::{ExpectedVersion, Metadata, NewEvent, OutcomeKind, StreamId};
use millrace_store::{Append, Check};
use serde::Serialize;
use uuid::Uuid;

use crate::work::{CURRENCY, Set, Work, account_id};

/// Makes appends. Nobody else may append to its accounts: it keeps their versions.
pub struct Appends {
    work: Work,
    streams: Vec<StreamId>,
    versions: Vec<i64>,
    name: String,
    made: u64,
}

impl Appends {
    /// From `work` over accounts that are open. `name` tells its command ids from those of others.
    pub fn new(work: Work, streams: Vec<StreamId>, name: &str) -> Self {
        let versions = vec![1; streams.len()];
        Self { work, streams, versions, name: name.to_owned(), made: 0 }
    }

    /// The next `sets` entry sets, each a command with two events.
    pub fn batch(&mut self, sets: usize) -> anyhow::Result<Vec<Append>> {
        (0..sets).map(|_| self.next_append()).collect()
    }

    fn next_append(&mut self) -> anyhow::Result<Append> {
        let Set { accounts, command } = self.work.next_set();
        self.made += 1;
        let mut checks = Vec::with_capacity(2);
        for (account, entry) in accounts.into_iter().zip(command.entries) {
            let event = EntryPosted {
                entry_set_id: command.entry_set_id.clone(),
                account_id: entry.account_id,
                amount_minor: entry.amount_minor,
                reporting_at: command.reporting_at,
                description: command.description.clone(),
                currency: CURRENCY.to_owned(),
            };
            let expected = ExpectedVersion::Exact(self.versions[account]);
            self.versions[account] += 1;
            checks.push(check(&self.streams[account], expected, "EntryPosted", &event)?);
        }
        Ok(accepted(format!("{}-{:032}", self.name, self.made), "PostEntrySet", checks))
    }
}

/// The command that opens an account.
pub fn opening(number: usize, stream: &StreamId) -> anyhow::Result<Append> {
    let event =
        AccountOpened { account_id: account_id(number), currency: CURRENCY.to_owned(), overdraft_limit_minor: None };
    let check = check(stream, ExpectedVersion::NoStream, "AccountOpened", &event)?;
    Ok(accepted(format!("open-{number}"), "OpenAccount", vec![check]))
}

fn check(
    stream: &StreamId,
    expected: ExpectedVersion,
    event_type: &'static str,
    event: &impl Serialize,
) -> anyhow::Result<Check> {
    let event = NewEvent { event_id: Uuid::now_v7(), event_type, data: serde_json::to_string(event)? };
    Ok(Check { stream: stream.clone(), expected, events: vec![event] })
}

fn accepted(command_id: String, command_type: &'static str, checks: Vec<Check>) -> Append {
    let metadata = Metadata {
        correlation_id: Some(command_id.clone()),
        causation_id: Some(command_id.clone()),
        source: Some("millrace/bench".to_owned()),
        traceparent: None,
    };
    Append { command_id, command_type, outcome: OutcomeKind::Accepted, code: None, message: None, metadata, checks }
}
