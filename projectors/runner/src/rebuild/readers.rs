//! What others have made that reads a read model: views and functions that Postgres has bound to its tables themselves,
//! not to their names. Where another build takes the place, they are bound to its tables.

use tokio_postgres::error::SqlState;
use tokio_postgres::{GenericClient, Row};

use super::RebuildError;

/// A view or function that reads the live build.
pub(super) struct Reader {
    /// Its name, with its schema.
    name: String,
    /// The statement that makes it again, by the names that it uses now.
    create: String,
}

/// The readers that stand outside of the schemas `live` and `new`, or that somebody has added to `live`. The search path
/// must have no schema of theirs, so that their texts name schemas.
///
/// # Errors
/// When there is one that can't be made again in place; when Postgres does not answer.
pub(super) async fn of(client: &impl GenericClient, live: &str, new: &str) -> Result<Vec<Reader>, RebuildError> {
    let mut bound: Vec<String> = dependents(client, live).await?.into_iter().filter_map(unbindable).collect();
    bound.extend(names(&client.query(include_str!("sql/added.sql"), &[&live, &new]).await?)?);
    if !bound.is_empty() {
        return Err(RebuildError::Reader(format!(
            "{} would stay with the old generation, because Postgres can't bind such things to other tables: drop them, \
             rebuild, and create them anew",
            bound.join(", ")
        )));
    }
    let mut readers = Vec::new();
    for row in client.query(include_str!("sql/readers.sql"), &[&live, &new]).await? {
        readers.push(Reader { name: row.try_get(0)?, create: row.try_get(1)? });
    }
    Ok(readers)
}

/// What stands outside of a schema and uses something in it, and whether it can be bound to something else.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn dependents(
    client: &impl GenericClient,
    schema: &str,
) -> Result<Vec<(String, bool)>, tokio_postgres::Error> {
    let rows = client.query(include_str!("sql/dependents.sql"), &[&schema]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn unbindable((name, can_be_bound): (String, bool)) -> Option<String> {
    (!can_be_bound).then_some(name)
}

fn names(rows: &[Row]) -> Result<Vec<String>, tokio_postgres::Error> {
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Binds the readers to what has the names now.
pub(super) async fn bind(client: &impl GenericClient, readers: &[Reader]) -> Result<(), RebuildError> {
    for Reader { name, create } in readers {
        client.batch_execute(create).await.map_err(|error| {
            // somebody reads it just now: the switch is tried again
            if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
                return error.into();
            }
            let reason = crate::fault::in_words(&error);
            RebuildError::Reader(format!("{name} can't be made to read the new generation: {reason}"))
        })?;
    }
    Ok(())
}

/// Their names.
pub(super) fn listed(readers: Vec<Reader>) -> Vec<String> {
    readers.into_iter().map(|reader| reader.name).collect()
}
