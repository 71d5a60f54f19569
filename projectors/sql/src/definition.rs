//! What the database keeps of a projector, so that it runs from the database alone.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use millrace_schemas::{LogName, RecordSchema, Topic, in_one_line};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::error::SqlProjectorError;
use crate::folder::ProjectorFolder;
use crate::quoted::identifier;

/// A projector as it was applied.
#[derive(Debug)]
pub struct StoredProjector {
    /// The log that it reads; its folder may name another one.
    pub log: LogName,
    /// Its files.
    pub folder: ProjectorFolder,
    /// The role that its statements run as.
    pub role: Option<String>,
    /// Which application it was.
    pub(crate) id: Uuid,
    /// The schemas by which events are read, by event type.
    pub(crate) schemas: BTreeMap<String, &'static RecordSchema>,
}

impl StoredProjector {
    /// The schemas by which its events are read, by event type.
    pub fn schemas(&self) -> &BTreeMap<String, &'static RecordSchema> {
        &self.schemas
    }

    /// Whether it is what applying this folder with these schemas would store.
    pub fn is_of(&self, folder: &ProjectorFolder, schemas: &BTreeMap<String, &'static RecordSchema>) -> bool {
        let read = schemas.iter().filter(|(event, _)| folder.reads.names(event));
        self.folder.files == folder.files
            && self.schemas.len() == read.clone().count()
            && read
                .into_iter()
                .all(|(event, schema)| self.schemas.get(event).is_some_and(|known| known.text == schema.text))
    }
}

/// The projector of that name, if one was applied to this database.
///
/// # Errors
/// When Postgres does not answer, or this version of the program can't read the definition.
pub async fn stored(client: &impl GenericClient, name: &str) -> Result<Option<StoredProjector>, SqlProjectorError> {
    stored_in(client, name, name).await
}

/// The same of a build of its read model that stands in `schema`.
///
/// # Errors
/// When Postgres does not answer, or this version of the program can't read the definition.
pub async fn stored_in(
    client: &impl GenericClient,
    name: &str,
    schema: &str,
) -> Result<Option<StoredProjector>, SqlProjectorError> {
    let Some(table) = table(client, schema).await? else { return Ok(None) };
    let read = include_str!("sql/read_definition.sql").replace(":table", &table);
    let Some(row) = client.query_opt(&read, &[]).await? else { return Ok(None) };
    let (log, files, schemas): (String, Json, Json) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let (id, role) = (row.try_get(0)?, row.try_get(4)?);
    let unreadable = |reason: String| SqlProjectorError::Unreadable { name: name.to_owned(), reason };
    let files = serde_json::from_value(files).map_err(|error| unreadable(error.to_string()))?;
    let mut folder = ProjectorFolder::from_files(files).map_err(|problems| unreadable(in_one_line(&problems)))?;
    name.clone_into(&mut folder.name); // --as may have given it another one
    let log = log.parse().map_err(|error| unreadable(format!("{error}")))?;
    let schemas = schemas_from_json(schemas).map_err(unreadable)?;
    Ok(Some(StoredProjector { log, folder, role, id, schemas }))
}

/// The names of the projectors that were applied to this database and read this log.
///
/// # Errors
/// When Postgres does not answer.
pub async fn names_of_log(client: &impl GenericClient, log: &LogName) -> Result<Vec<String>, SqlProjectorError> {
    let mut of_log = Vec::new();
    for name in names(client).await? {
        if log_of(client, &name).await?.as_deref() == Some(log.as_str()) {
            of_log.push(name);
        }
    }
    Ok(of_log)
}

/// The names of the projectors that were applied to this database.
///
/// # Errors
/// When Postgres does not answer.
pub async fn names(client: &impl GenericClient) -> Result<Vec<String>, SqlProjectorError> {
    let rows = client.query(include_str!("sql/projectors.sql"), &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, tokio_postgres::Error>>()?)
}

/// The log that a projector in SQL reads; `None` when none of that name was applied to this database.
///
/// # Errors
/// When Postgres does not answer.
pub async fn log_of(client: &impl GenericClient, name: &str) -> Result<Option<String>, SqlProjectorError> {
    let Some(table) = table(client, name).await? else { return Ok(None) };
    let row = client.query_opt(&format!("SELECT log FROM {table}"), &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// The table that keeps the definition of a projector, as it stands in SQL; `None` when it is not there.
async fn table(client: &impl GenericClient, name: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let table = format!("{}.projector_definition", identifier(name));
    let is_there: bool = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?.try_get(0)?;
    Ok(is_there.then_some(table))
}

/// Stores a definition in the schema that is first on the search path.
pub(crate) async fn add(
    client: &impl GenericClient,
    folder: &ProjectorFolder,
    log: &LogName,
    schemas: &BTreeMap<String, &'static RecordSchema>,
    role: Option<&str>,
) -> Result<(), tokio_postgres::Error> {
    let files: serde_json::Map<String, Json> =
        folder.files.iter().map(|(file, text)| (file.clone(), text.as_str().into())).collect();
    let read = schemas.iter().filter(|(event, _)| folder.reads.names(event));
    let schemas: serde_json::Map<String, Json> =
        read.map(|(event, schema)| (event.clone(), schema.text.as_str().into())).collect();
    let (files, schemas) = (Json::Object(files), Json::Object(schemas));
    client.execute(include_str!("sql/add_definition.sql"), &[&log.as_str(), &files, &schemas, &role]).await?;
    Ok(())
}

fn schemas_from_json(json: Json) -> Result<BTreeMap<String, &'static RecordSchema>, String> {
    let texts: BTreeMap<String, String> = serde_json::from_value(json).map_err(|error| error.to_string())?;
    let parse = |(event, text): (String, String)| match RecordSchema::parse(Topic::Events, 0, &text) {
        Ok(schema) => Ok((event, schema)),
        Err(error) => Err(format!("the schema of {event}: {error}")),
    };
    texts.into_iter().map(parse).collect()
}
