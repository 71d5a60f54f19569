//! The role that a projector's statements run as: it owns the projector's schema, and nothing else.

use deadpool_postgres::Transaction;
use tokio_postgres::error::SqlState;

use crate::quoted::identifier;

/// Creates the role, if it is not there, and lets the connected role become it. `None` when the connected role may not
/// create roles.
pub(crate) async fn create(
    transaction: &mut Transaction<'_>,
    projector: &str,
) -> Result<Option<String>, tokio_postgres::Error> {
    // roles belong to the whole server, projectors to a database
    let name = "SELECT 'millrace_' || $1 || '_' || left(md5(current_database()), 8)";
    let name: String = transaction.query_one(name, &[&projector]).await?.try_get(0)?;
    let is_there = transaction.query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[&name]).await?.is_some();
    let role = identifier(&name);
    let create = if is_there { String::new() } else { format!("CREATE ROLE {role} NOLOGIN;") };
    let part = transaction.transaction().await?;
    match part.batch_execute(&format!("{create} GRANT {role} TO CURRENT_USER; SET LOCAL ROLE {role}")).await {
        Ok(()) => {
            part.batch_execute("SET LOCAL ROLE NONE").await?;
            part.commit().await?;
            Ok(Some(name))
        }
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            part.rollback().await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
