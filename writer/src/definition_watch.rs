//! Notices when another definition was applied to the log, so that a running writer goes on with that one.

use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use millrace_store::{Log, StoreError};

/// How often to look although no command gives reason to.
const LOOK: Duration = Duration::from_secs(1);

/// Looks whether the log has another definition than the one in use.
pub struct DefinitionWatch {
    pool: Pool,
    log: Log,
    /// The definition in use.
    number: i32,
    next_look: Instant,
}

impl DefinitionWatch {
    /// Watches for a definition other than this one.
    pub fn new(pool: Pool, log: Log, number: i32) -> Self {
        Self { pool, log, number, next_look: Instant::now() + LOOK }
    }

    /// Whether there is another one; asks Postgres once a second.
    pub async fn sees_another(&mut self) -> bool {
        if Instant::now() < self.next_look {
            return false;
        }
        self.look().await
    }

    /// Whether there is another one; asks Postgres. No, while Postgres does not answer.
    pub async fn look(&mut self) -> bool {
        self.next_look = Instant::now() + LOOK;
        match self.newest().await {
            Ok(newest) => newest.is_some_and(|newest| newest != self.number),
            Err(error) => {
                tracing::debug!(%error, "could not look whether the log has another definition");
                false
            }
        }
    }

    async fn newest(&self) -> Result<Option<i32>, StoreError> {
        self.log.newest_definition_number(&self.pool.get().await?).await
    }
}
