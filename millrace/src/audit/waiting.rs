//! Waits until topic and read models have caught up with Postgres.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use millrace_projector_runner::checkpoints;

use super::Audit;
use super::tail::tail_position;

/// How often to look.
const LOOK: Duration = Duration::from_millis(200);

/// The last position that each read model has applied, by partition; absent before the first event.
pub(super) type Checkpoints = BTreeMap<String, HashMap<i32, i64>>;

/// Waits until the topic and every read model have reached `heads`, or patience ends. Returns the checkpoints at the
/// end.
pub(super) async fn wait_for(
    audit: &Audit,
    heads: &BTreeMap<i32, i64>,
    patience: Duration,
) -> anyhow::Result<Checkpoints> {
    let deadline = Instant::now() + patience;
    loop {
        let mut found = Checkpoints::new();
        for name in &audit.read_models {
            let checkpoints = checkpoints(&**audit.pool.get().await?, name, audit.log.name()).await?;
            found.insert((*name).to_owned(), checkpoints);
        }
        let mut reached = heads.iter().all(|(partition, head)| {
            found.values().all(|checkpoints| checkpoints.get(partition).copied().unwrap_or(0) >= *head)
        });
        for (partition, head) in heads {
            reached = reached && (*head == 0 || tail_position(audit, *partition).await? >= *head);
        }
        if reached || Instant::now() > deadline {
            return Ok(found);
        }
        tokio::time::sleep(LOOK).await;
    }
}
