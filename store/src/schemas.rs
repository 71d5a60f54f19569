//! The log's table `schemas`: every version of every record's schema.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use millrace_schemas::{RecordDefinition, RecordSchema, Topic};

use crate::{Log, StoreError};

/// A row of the table: a version of a record's schema that stored events may refer to.
#[derive(Debug, Clone, Copy)]
pub struct StoredSchema {
    /// The number by which the column `events.schema` refers to it.
    pub number: i16,
    /// 1, 2, 3 … for each record.
    pub version: i32,
    /// The parsed schema, which decodes the events.
    pub schema: &'static RecordSchema,
}

/// The rows that this process has read. Rows never change, so it may lack new ones but is never wrong.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    by_number: HashMap<i16, StoredSchema>,
}

impl Log {
    /// Every version of every record's schema, in the order of their numbers.
    ///
    /// # Errors
    /// When Postgres does not answer, or a row does not hold a schema.
    pub async fn stored_schemas(&self, client: &impl GenericClient) -> Result<Vec<StoredSchema>, StoreError> {
        self.look_up_schemas(client).await?;
        let mut all: Vec<_> = self.known_schemas(|schemas| schemas.by_number.values().copied().collect());
        all.sort_unstable_by_key(|stored: &StoredSchema| stored.number);
        Ok(all)
    }

    /// The number of a schema, which the registry has under this id.
    ///
    /// # Errors
    /// When the log has no such schema (`millrace schemas register` adds it), has it under another id (the registry was
    /// made anew), or Postgres does not answer.
    pub async fn schema_number(&self, client: &impl GenericClient, schema: &RecordSchema) -> Result<i16, StoreError> {
        let find = || {
            let same = |stored: &StoredSchema| stored.schema.topic == schema.topic && stored.schema.text == schema.text;
            self.known_schemas(|schemas| schemas.by_number.values().copied().find(same))
        };
        if find().is_none() {
            self.look_up_schemas(client).await?;
        }
        let missing = || StoreError::NoSchema { log: self.name().to_string(), record: schema.name.clone() };
        let stored = find().ok_or_else(missing)?;
        self.check_id(&stored, schema.registry_id)?;
        Ok(stored.number)
    }

    /// Events are framed with the id that the log has: the registry must not know the schema by another one.
    fn check_id(&self, stored: &StoredSchema, registry_id: u32) -> Result<(), StoreError> {
        if stored.schema.registry_id == registry_id {
            return Ok(());
        }
        Err(StoreError::RegistryMadeAnew {
            log: self.name().to_string(),
            record: stored.schema.name.clone(),
            stored: stored.schema.registry_id,
            registry: registry_id,
        })
    }

    /// Adds schemas with the ids that the registry gave them. Rows that exist stay as they are.
    ///
    /// # Errors
    /// When the log has one of them under another id, or Postgres refuses or does not answer.
    pub async fn add_schemas<'d>(
        &self,
        client: &impl GenericClient,
        registered: impl IntoIterator<Item = (&'d RecordDefinition, u32)>,
    ) -> Result<(), StoreError> {
        let registered: Vec<_> = registered.into_iter().collect();
        for (record, id) in &registered {
            let id = i32::try_from(*id).map_err(|_| StoreError::Damaged(format!("schema id {id} is too large")))?;
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&record.topic.as_str(), &record.name, &id, &record.text];
            client.execute(&self.sql(include_str!("sql/add_schema.sql")), &parameters).await?;
        }
        for stored in self.stored_schemas(client).await? {
            let same = |(record, _): &&(&RecordDefinition, u32)| {
                stored.schema.topic == record.topic && stored.schema.text == record.text
            };
            if let Some((_, id)) = registered.iter().find(same) {
                self.check_id(&stored, *id)?;
            }
        }
        Ok(())
    }

    /// The datum of some event, or some outcome, with the schema of that number; `None` when the log has none. Searches
    /// the whole log in that case.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn some_datum(
        &self,
        client: &impl GenericClient,
        stored: &StoredSchema,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let some = match stored.schema.topic {
            Topic::Commands => return Ok(None), // the log keeps no commands
            Topic::Events => "SELECT data FROM :log.events WHERE schema = $1 LIMIT 1",
            Topic::Outcomes => "SELECT outcome FROM :log.commands WHERE schema = $1 LIMIT 1",
        };
        let row = client.query_opt(&self.sql(some), &[&stored.number]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// The schema with a number, if this process has met it.
    pub(crate) fn known_schema(&self, number: i16) -> Option<&'static RecordSchema> {
        self.known_schemas(|schemas| schemas.by_number.get(&number).map(|stored| stored.schema))
    }

    /// The schema with a number. Reads the table again for a number that is new to this process: a newer version of the
    /// program has added the row since. Not while a query's rows are still coming in on the same connection: its answer
    /// would wait behind them.
    pub(crate) async fn schema(
        &self,
        client: &impl GenericClient,
        number: i16,
    ) -> Result<&'static RecordSchema, StoreError> {
        if self.known_schema(number).is_none() {
            self.look_up_schemas(client).await?;
        }
        self.known_schema(number)
            .ok_or_else(|| StoreError::Damaged(format!("an event has schema {number}, which the log does not have")))
    }

    pub(crate) async fn look_up_schemas(&self, client: &impl GenericClient) -> Result<(), StoreError> {
        let rows = client.query(&self.sql(include_str!("sql/schemas.sql")), &[]).await?;
        for row in &rows {
            let number: i16 = row.try_get("number")?;
            if self.known_schemas(|schemas| schemas.by_number.contains_key(&number)) {
                continue;
            }
            let damaged = |reason: String| StoreError::Damaged(format!("schema {number}: {reason}"));
            let topic: Topic = row.try_get::<_, &str>("topic")?.parse().map_err(damaged)?;
            let id: i32 = row.try_get("registry_id")?;
            let schema = RecordSchema::parse(topic, id.unsigned_abs(), row.try_get("avsc")?);
            let schema = schema.map_err(|error| damaged(error.to_string()))?;
            let stored = StoredSchema { number, version: row.try_get("version")?, schema };
            self.schemas.write().unwrap_or_else(|e| e.into_inner()).by_number.insert(number, stored);
        }
        Ok(())
    }

    fn known_schemas<T>(&self, look: impl FnOnce(&Schemas) -> T) -> T {
        look(&self.schemas.read().unwrap_or_else(|e| e.into_inner()))
    }
}
