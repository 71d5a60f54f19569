//! `down`: ends what belongs to a data folder, users before what they use.

use futures::future::try_join_all;

use crate::error::Result;
use crate::folder::DataDir;
use crate::process::{Manner, Running, Stopped, postmaster, stop};
use crate::progress::Progress;
use crate::server::Server;

/// Stops all services at once, then registry, Kafka and Postgres one after the other.
pub(crate) async fn stop_all(data_dir: &DataDir, progress: &dyn Progress) -> Result<Vec<Stopped>> {
    let running = Running::in_folder(data_dir);
    let services = running.services();
    let stopping = services.iter().map(|(name, process)| stop(name, *process, Manner::SERVICE, progress));
    let mut stopped = try_join_all(stopping).await?;
    for server in [Server::Registry, Server::Kafka, Server::Postgres].map(Server::name) {
        for process in running.named(server) {
            stopped.push(stop(server, process, manner_of(server), progress).await?);
        }
    }
    postmaster::clear_leftovers(&data_dir.postgres()).await?;
    Ok(stopped)
}

/// How `down` asks the process of this name to leave.
pub(crate) fn manner_of(name: &str) -> Manner {
    match Server::parse(name) {
        Some(Server::Postgres) => Manner::POSTGRES,
        Some(Server::Kafka | Server::Registry) => Manner::JVM,
        None => Manner::SERVICE,
    }
}
