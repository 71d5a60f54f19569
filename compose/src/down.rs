//! `down`: ends what belongs to a data folder, users before what they use.

use futures::future::try_join_all;

use crate::error::Result;
use crate::folders::DataDir;
use crate::progress::Progress;
use crate::running::Running;
use crate::stop::{Manner, Stopped, stop};
use crate::{kafka, postgres, postgres_process, registry};

/// Services at once, then registry, Kafka and Postgres one after the other.
pub(crate) async fn stop_all(data_dir: &DataDir, progress: &dyn Progress) -> Result<Vec<Stopped>> {
    let running = Running::in_folder(data_dir);
    let services = running.services();
    let stopping = services.iter().map(|(name, process)| stop(name, *process, Manner::SERVICE, progress));
    let mut stopped = try_join_all(stopping).await?;
    for server in [registry::NAME, kafka::NAME, postgres::NAME] {
        for process in running.named(server) {
            stopped.push(stop(server, process, manner_of(server), progress).await?);
        }
    }
    postgres_process::clear_leftovers(&data_dir.postgres()).await?;
    Ok(stopped)
}

/// How the process of this name is asked to leave.
pub(crate) fn manner_of(name: &str) -> Manner {
    match name {
        postgres::NAME => Manner::POSTGRES,
        kafka::NAME | registry::NAME => Manner::JVM,
        _ => Manner::SERVICE,
    }
}
