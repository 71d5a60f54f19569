//! Waiting for what is behind Postgres.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use millrace_projectors::checkpoints;

use super::Audit;
use super::tail::tail_position;

/// How often what is behind is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The position that each read model has applied last, by partition; absent: none.
pub(super) type Checkpoints = BTreeMap<String, HashMap<i32, i64>>;

/// Waits until the topic and every read model have reached `heads`, or patience ends. The checkpoints by then.
pub(super) async fn wait_for(audit: &Audit, heads: &[i64], patience: Duration) -> anyhow::Result<Checkpoints> {
    let deadline = Instant::now() + patience;
    loop {
        let mut found = Checkpoints::new();
        for name in millrace_projectors::names() {
            found.insert(name.to_owned(), checkpoints(&**audit.pool.get().await?, name, audit.log.name()).await?);
        }
        let mut reached = (0..).zip(heads).all(|(partition, head)| {
            found.values().all(|checkpoints| checkpoints.get(&partition).copied().unwrap_or(0) >= *head)
        });
        for (partition, head) in (0..).zip(heads) {
            reached = reached && (*head == 0 || tail_position(audit, partition).await? >= *head);
        }
        if reached || Instant::now() > deadline {
            return Ok(found);
        }
        tokio::time::sleep(LOOK).await;
    }
}
