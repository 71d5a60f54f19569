//! The events that the ledger would decide, as a program outside would send them finished.

use millrace_domains::ledger::EntryPosted;
use millrace_schemas::{RecordSchema, StreamId};
use serde::{Serialize, Serializer};

use crate::work::{CURRENCY, Set};

/// The command `Append`.
#[derive(Serialize)]
pub struct Append<'a> {
    streams: Vec<StreamAppend<'a>>,
}

#[derive(Serialize)]
struct StreamAppend<'a> {
    stream: &'a str,
    expected_version: &'static str,
    events: [Event; 1],
}

#[derive(Serialize)]
struct Event {
    data: Framed,
    id: Option<String>,
}

struct Framed(Vec<u8>);

impl Serialize for Framed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'a> Append<'a> {
    /// One event for each account of a set.
    pub fn of(set: &Set, streams: &'a [StreamId], posted: &RecordSchema) -> anyhow::Result<Self> {
        let entries = set.accounts.iter().zip(&set.command.entries);
        let streams = entries.map(|(account, entry)| {
            let event = EntryPosted {
                entry_set_id: set.command.entry_set_id.clone(),
                account_id: entry.account_id.clone(),
                amount_minor: entry.amount_minor,
                reporting_at: set.command.reporting_at,
                description: set.command.description.clone(),
                currency: CURRENCY.to_owned(),
            };
            let event = Event { data: Framed(posted.encode_framed(&event)?), id: None };
            Ok(StreamAppend { stream: streams[*account].as_str(), expected_version: "stream-exists", events: [event] })
        });
        Ok(Self { streams: streams.collect::<anyhow::Result<_>>()? })
    }
}
