//! The definition that was applied to the log last, and what a writer needs to work by it.

use std::collections::HashSet;

use deadpool_postgres::Pool;
use millrace_runtime::ServiceError;
use millrace_schemas::{Codec, LogDefinition, Registry, Topic};
use millrace_store::{Log, StoreError, StoredSchema};

use crate::encoder::Encoder;
use crate::{Described, WriterError};

/// A definition that was applied to the log.
pub struct Applied {
    /// Its number in the log: the newest has the highest.
    pub number: i32,
    /// The domain that its files describe.
    pub domain: Described,
}

/// The schemas of a definition, as the registry and the log have them.
pub struct LogSchemas {
    /// Reads commands.
    pub codec: Codec,
    /// Writes events and outcomes.
    pub encoder: Encoder,
    /// The registry ids of the definition's commands, and of their older versions.
    pub commands: HashSet<u32>,
}

/// A definition that a writer can work by.
pub struct Ready {
    /// The definition.
    pub applied: Applied,
    /// Its schemas.
    pub schemas: LogSchemas,
}

/// The servers that know a log's definition. Each function makes one attempt.
#[derive(Clone)]
pub struct Definitions {
    /// Connections to the log.
    pub pool: Pool,
    /// The log.
    pub log: Log,
    /// The registry.
    pub registry: Registry,
}

impl Definitions {
    /// The newest definition.
    ///
    /// # Errors
    /// When Postgres does not answer, none was applied, or this program can't read it.
    pub async fn newest(&self) -> Result<Applied, WriterError> {
        let stored = self.log.newest_definition(&self.pool.get().await.map_err(StoreError::from)?).await?;
        let log = || self.log.name().to_string();
        let stored = stored.ok_or_else(|| WriterError::NoDefinition(log()))?;
        let number = stored.number;
        let unreadable = |problems: crate::DefinitionError| WriterError::Definition {
            log: log(),
            number,
            problems: problems.to_string(),
        };
        Ok(Applied { number, domain: Described::from_files(stored.files).map_err(unreadable)? })
    }

    /// Finds a definition's schemas in the registry and in the log.
    ///
    /// # Errors
    /// When one of them does not answer, or lacks a schema.
    pub async fn schemas(&self, definition: &LogDefinition) -> Result<LogSchemas, WriterError> {
        let codec = self.codec(definition).await?;
        let (encoder, commands) = self.numbers(&codec, definition).await?;
        Ok(LogSchemas { codec, encoder, commands })
    }

    /// Finds a definition's schemas in the registry.
    ///
    /// # Errors
    /// When the registry does not answer, or lacks one.
    pub async fn codec(&self, definition: &LogDefinition) -> Result<Codec, WriterError> {
        let codec = Codec::connect(self.registry.clone(), self.log.name(), definition).await;
        Ok(codec.map_err(ServiceError::from)?)
    }

    /// Finds their numbers in the log, and the registry ids of the definition's commands; makes the log's months
    /// meanwhile.
    ///
    /// # Errors
    /// When Postgres does not answer, or the log lacks one.
    pub async fn numbers(
        &self,
        codec: &Codec,
        definition: &LogDefinition,
    ) -> Result<(Encoder, HashSet<u32>), WriterError> {
        let client = self.pool.get().await.map_err(StoreError::from)?;
        self.log.make_months(&client).await?;
        let encoder = Encoder::new(&client, &self.log, codec, definition).await?;
        let commands = known_commands(codec, &self.log.stored_schemas(&client).await?);
        Ok((encoder, commands))
    }
}

/// The ids of the newest versions that the codec has of commands, and of the versions before them. The log may have
/// newer ones, of a definition that is being applied.
fn known_commands(codec: &Codec, stored: &[StoredSchema]) -> HashSet<u32> {
    let commands = || stored.iter().filter(|stored| stored.schema.topic == Topic::Commands);
    let number_of_newest = |name: &str| {
        let id = codec.newest(Topic::Commands, name).ok()?.registry_id;
        commands().find(|stored| stored.schema.registry_id == id).map(|stored| stored.number)
    };
    let known = commands().filter(|stored| Some(stored.number) <= number_of_newest(&stored.schema.name));
    known.map(|stored| stored.schema.registry_id).collect()
}
