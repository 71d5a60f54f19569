//! The schemas that a writer encodes with, each with its registry id and its number in the log.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use millrace_schemas::{Codec, LogDefinition, RecordSchema, Topic};
use millrace_store::Log;

use crate::WriterError;

/// A schema and its number in the log.
#[derive(Debug, Clone, Copy)]
pub struct Numbered {
    /// The number in the log's table `schemas`, which the column `events.schema` has.
    pub number: i16,
    /// The parsed schema.
    pub schema: &'static RecordSchema,
}

/// The newest schemas of the events of a log definition, and of the outcome.
#[derive(Debug)]
pub struct Encoder {
    events: HashMap<&'static str, Numbered>,
    /// The platform's record `Outcome`.
    pub outcome: Numbered,
}

impl Encoder {
    /// Looks up the number of each event's schema, and of the outcome's.
    ///
    /// # Errors
    /// When the log lacks a schema, or Postgres does not answer.
    pub async fn new(
        client: &impl GenericClient,
        log: &Log,
        codec: &Codec,
        definition: &LogDefinition,
    ) -> Result<Self, WriterError> {
        let mut events = HashMap::new();
        for record in definition.records().iter().filter(|record| record.topic == Topic::Events) {
            let schema = codec.newest(Topic::Events, &record.name)?;
            let number = log.schema_number(client, schema).await?;
            events.insert(&*schema.name, Numbered { number, schema });
        }
        let schema = codec.newest(Topic::Outcomes, "Outcome")?;
        let outcome = Numbered { number: log.schema_number(client, schema).await?, schema };
        Ok(Self { events, outcome })
    }

    /// The newest schema of an event, by its record's name; `None` when the definition has no such event.
    pub fn event(&self, name: &str) -> Option<Numbered> {
        self.events.get(name).copied()
    }
}
