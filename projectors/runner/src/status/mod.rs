//! What is known of a projector outside of its process: facts in its read model's schema. They outlive the process, and
//! every instance goes by them.

mod pause;
mod reset;
mod stops;

use tokio_postgres::GenericClient;

use crate::ProjectorError;

pub(crate) use pause::Pausing;
pub use pause::{Pause, pause, paused, resume};
pub use reset::reset;
pub use stops::{PartitionStops, stops};
pub(crate) use stops::{Stop, add_stop};

/// The names of the live read models in this database, whichever log they are of.
///
/// # Errors
/// When Postgres does not answer.
pub async fn read_models(client: &impl GenericClient) -> Result<Vec<String>, ProjectorError> {
    let rows = client.query(include_str!("sql/names.sql"), &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
