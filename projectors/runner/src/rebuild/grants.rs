//! The privileges that others have on a read model: the next build gets them, too.

use tokio_postgres::GenericClient;

use super::RebuildError;

/// Gives everybody on the schema `to`, and on its tables, columns, sequences and functions, what they may do with those of
/// the same name in the schema `from`.
pub(super) async fn copy(client: &impl GenericClient, from: &str, to: &str) -> Result<(), RebuildError> {
    for row in client.query(include_str!("sql/grants.sql"), &[&from, &to]).await? {
        let grant: String = row.try_get(0)?;
        client.batch_execute(&grant).await?;
    }
    Ok(())
}
