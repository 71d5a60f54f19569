//! The schemas that a writer encodes with, each with its registry id and its number in the log.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use millrace_schemas::{Codec, LogDefinition, RecordSchema, Topic};
use millrace_store::{Log, StoredSchema};

use crate::WriterError;

/// A schema and its number in the log.
#[derive(Debug, Clone, Copy)]
pub struct Numbered {
    /// The number in the log's table `schemas`, which the column `events.schema` has.
    pub number: i16,
    /// The parsed schema.
    pub schema: &'static RecordSchema,
}

/// The schemas of a log's events, and the newest of the outcome.
#[derive(Debug)]
pub struct Encoder {
    /// The newest version of each event of the log definition, by its record's name.
    newest: HashMap<&'static str, Numbered>,
    /// Every version that the log has, by registry id.
    by_id: HashMap<u32, Numbered>,
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
        let mut newest = HashMap::new();
        for record in definition.records().iter().filter(|record| record.topic == Topic::Events) {
            let schema = codec.newest(Topic::Events, &record.name)?;
            let number = log.schema_number(client, schema).await?;
            newest.insert(&*schema.name, Numbered { number, schema });
        }
        let schema = codec.newest(Topic::Outcomes, "Outcome")?;
        let outcome = Numbered { number: log.schema_number(client, schema).await?, schema };
        let stored = log.stored_schemas(client).await?.into_iter();
        let events = stored.filter(|stored| stored.schema.topic == Topic::Events);
        let by_id =
            events.map(|stored| (stored.schema.registry_id, Numbered { number: stored.number, schema: stored.schema }));
        Ok(Self { newest, by_id: by_id.collect(), outcome })
    }

    /// An encoder of the newest versions that a log has; `None` when it lacks the outcome's.
    pub fn from_stored(stored: &[StoredSchema]) -> Option<Self> {
        let numbered = |stored: &StoredSchema| Numbered { number: stored.number, schema: stored.schema };
        // in the order of their numbers, so that of a record's versions the newest stays
        let of_topic = |topic| stored.iter().filter(move |stored| stored.schema.topic == topic).map(numbered);
        let newest = of_topic(Topic::Events).map(|numbered| (&*numbered.schema.name, numbered)).collect();
        let by_id = of_topic(Topic::Events).map(|numbered| (numbered.schema.registry_id, numbered)).collect();
        Some(Self { newest, by_id, outcome: of_topic(Topic::Outcomes).next_back()? })
    }

    /// The newest schema of an event, by its record's name; `None` when the definition has no such event.
    pub fn event(&self, name: &str) -> Option<Numbered> {
        self.newest.get(name).copied()
    }

    /// The version of an event's schema with this registry id; `None` when the log had none when the encoder was made.
    pub fn event_with_id(&self, id: u32) -> Option<Numbered> {
        self.by_id.get(&id).copied()
    }
}

#[cfg(test)]
impl Encoder {
    /// An encoder of these events, for tests without Postgres.
    pub fn of(events: &[&'static RecordSchema], outcome: &'static RecordSchema) -> Self {
        let numbered = |(index, schema): (usize, &&'static RecordSchema)| Numbered { number: index as i16 + 1, schema };
        let events: Vec<Numbered> = events.iter().enumerate().map(numbered).collect();
        let newest = events.iter().map(|numbered| (&*numbered.schema.name, *numbered)).collect();
        let by_id = events.iter().map(|numbered| (numbered.schema.registry_id, *numbered)).collect();
        Self { newest, by_id, outcome: Numbered { number: 0, schema: outcome } }
    }
}
