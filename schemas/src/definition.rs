//! Log definitions: the schemas of all records of a kind of log.

use std::sync::OnceLock;

use apache_avro::Schema;

use crate::{LogName, RecordSchema};

/// The topic of a log that carries a record.
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
    /// The topic's word in the log's table `schemas`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Events => "events",
            Self::Outcomes => "outcomes",
        }
    }

    /// The topic's name in Kafka, such as `orders.events`.
    pub fn name(self, log: &LogName) -> String {
        match self {
            Self::Commands => log.commands_topic(),
            Self::Events => log.events_topic(),
            Self::Outcomes => log.outcomes_topic(),
        }
    }
}

impl std::str::FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Commands, Self::Events, Self::Outcomes].into_iter().find(|topic| topic.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is not one of commands, events, outcomes"))
    }
}

/// A log definition: the newest schema of every record of a kind of log.
#[derive(Debug, Clone)]
pub struct LogDefinition {
    /// The definition's name, such as `orders`. A log created from it may have another name.
    pub name: String,
    /// The types of the log's streams, such as `order`; none: streams of any type.
    pub stream_types: Vec<String>,
    records: Vec<RecordDefinition>,
}

/// A version of a record; in a log definition, its newest.
#[derive(Debug, Clone)]
pub struct RecordDefinition {
    /// The topic that carries it.
    pub topic: Topic,
    /// The name without its namespace, such as `OrderPlaced`.
    pub name: String,
    /// The name with its namespace, such as `shop.OrderPlaced`.
    pub full_name: String,
    /// The `.avsc` text, as it is registered.
    pub text: String,
    /// The parsed text, from its first use on.
    unregistered: OnceLock<&'static RecordSchema>,
}

/// Why a schema can't be a record of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The text is not Avro, or uses something of Avro that this library can't read.
    #[error("it is not an Avro schema: {0}")]
    NotAvro(String),
    /// The schema is of another kind, such as a map.
    #[error("it is not a record")]
    NotARecord,
    /// Such a type may hold itself, and apache-avro 0.22 overflows the stack when it reads deeply nested data of it.
    #[error("it uses a named type twice, or inside itself")]
    NamedTwice,
}

impl LogDefinition {
    /// The schema of the platform's command `Append`, for logs without rules.
    pub const APPEND: &str = include_str!("../platform/Append.avsc");

    /// A definition of these commands and events, each given as the text of its `.avsc`. Adds the platform's own
    /// record, the outcome.
    ///
    /// # Errors
    /// When a text is not a record's schema.
    pub fn parse(name: &str, commands: &[&str], events: &[&str]) -> Result<Self, SchemaError> {
        let outcome = include_str!("../platform/Outcome.avsc");
        let texts = commands.iter().map(|text| (Topic::Commands, *text));
        let texts = texts.chain(events.iter().map(|text| (Topic::Events, *text)));
        let records =
            texts.chain([(Topic::Outcomes, outcome)]).map(|(topic, text)| RecordDefinition::parse(topic, text));
        Ok(Self { name: name.to_owned(), stream_types: Vec::new(), records: records.collect::<Result<_, _>>()? })
    }

    /// The same for streams of these types only.
    #[must_use]
    pub fn with_stream_types(self, stream_types: Vec<String>) -> Self {
        Self { stream_types, ..self }
    }

    /// All records: commands, events, and the outcome.
    pub fn records(&self) -> &[RecordDefinition] {
        &self.records
    }

    /// The names of the records on a topic, without namespaces, in alphabetical order.
    pub fn names(&self, topic: Topic) -> Vec<&str> {
        let of_topic = self.records.iter().filter(|record| record.topic == topic);
        let mut names: Vec<&str> = of_topic.map(|record| record.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The record with that name on a topic; the name may have its namespace or not.
    pub fn record(&self, topic: Topic, name: &str) -> Option<&RecordDefinition> {
        self.records.iter().find(|record| record.topic == topic && (record.name == name || record.full_name == name))
    }
}

impl RecordDefinition {
    /// A version of a record from its `.avsc` text.
    ///
    /// # Errors
    /// When the text is not a record's schema.
    pub fn parse(topic: Topic, text: &str) -> Result<Self, SchemaError> {
        let name = match &parse_record(text)? {
            Schema::Record(record) => record.name.clone(),
            _ => return Err(SchemaError::NotARecord),
        };
        let (full_name, name) = (name.to_string(), name.name().to_owned());
        Ok(Self { topic, name, full_name, text: text.to_owned(), unregistered: OnceLock::new() })
    }

    /// The schema for use without a registry. Its id is 0, so framed values must not leave the process.
    pub fn unregistered(&self) -> &'static RecordSchema {
        self.unregistered.get_or_init(|| {
            RecordSchema::parse(self.topic, 0, &self.text).expect("the text was parsed when the definition was made")
        })
    }

    /// The registry's subject for the record in a log, such as `orders.events-shop.OrderPlaced`.
    pub fn subject(&self, log: &LogName) -> String {
        subject(self.topic, &self.full_name, log)
    }
}

/// The registry's subject of a record in a log: `<topic>-<full record name>`.
pub(crate) fn subject(topic: Topic, full_name: &str, log: &LogName) -> String {
    format!("{}-{full_name}", topic.name(log))
}

/// Parses a schema, which must be a record.
pub(crate) fn parse_record(text: &str) -> Result<Schema, SchemaError> {
    let schema = Schema::parse_str(text).map_err(|error| SchemaError::NotAvro(error.to_string()))?;
    check_record(&schema)?;
    Ok(schema)
}

/// Checks that a parsed schema can be a record of a log.
pub(crate) fn check_record(schema: &Schema) -> Result<(), SchemaError> {
    match schema {
        Schema::Record(_) if refers(schema) => Err(SchemaError::NamedTwice),
        Schema::Record(_) => Ok(()),
        _ => Err(SchemaError::NotARecord),
    }
}

/// Whether a schema refers to a type by its name, which it does for every use after the first.
fn refers(schema: &Schema) -> bool {
    match schema {
        Schema::Ref { .. } => true,
        Schema::Record(record) => record.fields.iter().any(|field| refers(&field.schema)),
        Schema::Array(array) => refers(&array.items),
        Schema::Map(map) => refers(&map.types),
        Schema::Union(union) => union.variants().iter().any(refers),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_subject_is_its_topic_and_full_name() {
        let event = r#"{"type": "record", "name": "Opened", "namespace": "shop", "fields": []}"#;
        let definition = LogDefinition::parse("orders", &[], &[event]).unwrap();
        let log: LogName = "orders2".parse().unwrap();
        let opened = definition.record(Topic::Events, "Opened").unwrap();
        assert_eq!(opened.subject(&log), "orders2.events-shop.Opened");
        assert!(definition.record(Topic::Outcomes, "Outcome").is_some(), "the platform adds it");
    }

    #[test]
    fn a_schema_that_holds_itself_is_refused() {
        let inside = r#"{"type":"record","name":"CloseTicket","fields":[
            {"name":"account_id","type":"string"},{"name":"next","type":["null","CloseTicket"],"default":null}]}"#;
        assert_eq!(parse_record(inside), Err(SchemaError::NamedTwice));
        let flat = r#"{"type":"record","name":"CloseTicket","fields":[
            {"name":"account_id","type":["null",{"type":"array","items":{"type":"map","values":"string"}}]}]}"#;
        assert!(parse_record(flat).is_ok());
        assert_eq!(parse_record("\"string\""), Err(SchemaError::NotARecord));
    }
}
