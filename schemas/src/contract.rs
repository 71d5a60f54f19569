//! The record schemas of a log, as they stand in the repository.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::LogName;
use crate::ledger::{AccountClosed, AccountOpened, EntryPosted};

/// Which of a log's topics a record goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// `<log>.commands`
    Commands,
    /// `<log>.events`
    Events,
    /// `<log>.outcomes`
    Outcomes,
}

impl Topic {
    /// The topic's name in a log.
    pub fn of(self, log: &LogName) -> String {
        match self {
            Self::Commands => log.commands_topic(),
            Self::Events => log.events_topic(),
            Self::Outcomes => log.outcomes_topic(),
        }
    }
}

/// One record's schema.
#[derive(Debug)]
pub struct RecordSchema {
    /// Its simple name, such as `EntryPosted`.
    pub name: &'static str,
    /// Its name with namespace, such as `millrace.ledger.EntryPosted`.
    pub full_name: String,
    /// The topic it goes by.
    pub topic: Topic,
    /// The `.avsc` text.
    pub text: &'static str,
    /// The text, parsed.
    pub avro: Schema,
    /// From the JSON that the log stores to the datum that the topic carries; for events only.
    pub(crate) transcode: Option<Transcode>,
}

/// Appends to a buffer the datum of a record that is given as JSON text.
pub(crate) type Transcode = fn(&GenericDatumWriter<'_>, &str, &mut Vec<u8>) -> Result<(), TranscodeError>;

/// Why JSON of the log can't be carried by the topic.
#[derive(Debug, thiserror::Error)]
pub enum TranscodeError {
    /// The JSON is not the record's.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The schema can't hold it.
    #[error("{0}")]
    Avro(#[from] Box<apache_avro::Error>),
}

/// By way of the record's Rust type: no tree of values in between.
fn transcode<T: DeserializeOwned + Serialize>(
    writer: &GenericDatumWriter<'_>,
    json: &str,
    datum: &mut Vec<u8>,
) -> Result<(), TranscodeError> {
    let record: T = serde_json::from_str(json)?;
    writer.write_ser(datum, &record).map_err(Box::new)?;
    Ok(())
}

impl RecordSchema {
    /// The registry's subject for it in a log: `<topic>-<full record name>`.
    pub fn subject(&self, log: &LogName) -> String {
        format!("{}-{}", self.topic.of(log), self.full_name)
    }
}

/// Every record schema of a kind of log.
#[derive(Debug)]
pub struct Contract {
    records: Vec<RecordSchema>,
}

macro_rules! avsc {
    ($folder:literal, $name:literal) => {
        ($name, include_str!(concat!("../", $folder, "/", $name, ".avsc")))
    };
}

macro_rules! command {
    ($folder:literal, $name:literal) => {
        (Topic::Commands, avsc!($folder, $name), None)
    };
}

macro_rules! event {
    ($folder:literal, $name:literal, $type:ty) => {
        (Topic::Events, avsc!($folder, $name), Some(transcode::<$type> as Transcode))
    };
}

static LEDGER: LazyLock<Contract> = LazyLock::new(|| {
    Contract::parse([
        command!("ledger", "OpenAccount"),
        command!("ledger", "PostEntrySet"),
        command!("ledger", "CloseAccount"),
        event!("ledger", "AccountOpened", AccountOpened),
        event!("ledger", "EntryPosted", EntryPosted),
        event!("ledger", "AccountClosed", AccountClosed),
        (Topic::Outcomes, avsc!("outcome", "Outcome"), None),
    ])
});

impl Contract {
    /// The ledger's.
    pub fn ledger() -> &'static Self {
        &LEDGER
    }

    fn parse<const N: usize>(files: [(Topic, (&'static str, &'static str), Option<Transcode>); N]) -> Self {
        let records = files.map(|(topic, (name, text), transcode)| {
            let avro = Schema::parse_str(text).expect("a schema of the repository parses: a test says so");
            let full_name = avro.name().map(ToString::to_string).unwrap_or_default();
            RecordSchema { name, full_name, topic, text, avro, transcode }
        });
        Self { records: records.into() }
    }

    /// All records.
    pub fn records(&self) -> &[RecordSchema] {
        &self.records
    }

    /// The record of that simple or full name on a topic.
    pub fn record(&self, topic: Topic, name: &str) -> Option<&RecordSchema> {
        self.records.iter().find(|record| record.topic == topic && (record.name == name || record.full_name == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_of_the_repository_parses_and_bears_its_files_name() {
        for record in Contract::ledger().records() {
            assert_eq!(record.full_name.rsplit('.').next(), Some(record.name));
        }
        let log: LogName = "ledger".parse().unwrap();
        let posted = Contract::ledger().record(Topic::Events, "EntryPosted").unwrap();
        assert_eq!(posted.subject(&log), "ledger.events-millrace.ledger.EntryPosted");
    }
}
