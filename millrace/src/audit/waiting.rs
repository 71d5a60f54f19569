//! Waits until topic and read models have caught up with Postgres.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_projector_runner::checkpoints;

use super::Audit;
use super::tail::tail_position;

/// How often to look.
const LOOK: Duration = Duration::from_millis(200);

/// Waits until the topic and every read model have reached `heads`, or patience ends.
pub(super) async fn wait_for(audit: &Audit, heads: &BTreeMap<i32, i64>, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let mut reached = true;
        for name in &audit.read_models {
            let checkpoints = checkpoints(&**audit.pool.get().await?, name, audit.log.name()).await?;
            let at = |partition| checkpoints.get(partition).copied().unwrap_or(0);
            reached &= heads.iter().all(|(partition, head)| at(partition) >= *head);
        }
        for (partition, head) in heads {
            reached = reached && (*head == 0 || tail_position(audit, *partition).await? >= *head);
        }
        if reached || Instant::now() > deadline {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}
