//! Notices when another definition was applied to the log, so that a running writer goes on with that one.

use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use millrace_runtime::{Health, Shutdown, retry};
use millrace_store::{Log, StoreError};

/// How often to look although no command gives reason to.
const LOOK: Duration = Duration::from_secs(1);
/// Such a look may take this long: it must not hold up the commands.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks whether the log has another definition than the one in use.
pub struct DefinitionWatch {
    pool: Pool,
    log: Log,
    /// The definition in use.
    number: i32,
    next_look: Instant,
}

/// Why a look has shown nothing yet.
#[derive(Debug, thiserror::Error)]
enum Unclear {
    #[error("somebody is applying a definition to the log")]
    BeingDefined,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("Postgres takes longer than {} s", PATIENCE.as_secs())]
    Slow,
}

impl DefinitionWatch {
    /// Watches for a definition other than this one.
    pub fn new(pool: Pool, log: Log, number: i32) -> Self {
        Self { pool, log, number, next_look: Instant::now() + LOOK }
    }

    /// Whether there is another one; asks Postgres once a second. No, while that is not clear.
    pub async fn sees_another(&mut self) -> bool {
        if Instant::now() < self.next_look {
            return false;
        }
        let looked = self.look().await;
        self.next_look = Instant::now() + LOOK;
        looked.unwrap_or_else(|unclear| {
            tracing::debug!(%unclear, "could not look whether the log has another definition");
            false
        })
    }

    /// Whether there is another one, which may read what this one can't. Waits until that is clear: nobody may judge a
    /// command by a definition while the next is being applied, or while Postgres is away. At shutdown it says yes, so
    /// that the command stays unread.
    pub async fn finds_another(&mut self, health: &Health, shutdown: &Shutdown) -> bool {
        let looked = retry(health, shutdown, "read the definition", |_: &Unclear| true, async || self.look().await);
        let looked = looked.await.unwrap_or(true);
        self.next_look = Instant::now() + LOOK;
        looked
    }

    async fn look(&self) -> Result<bool, Unclear> {
        tokio::time::timeout(PATIENCE, self.ask()).await.unwrap_or(Err(Unclear::Slow))
    }

    async fn ask(&self) -> Result<bool, Unclear> {
        let client = self.pool.get().await.map_err(StoreError::from)?;
        // in this order: a definition that was applied before the first answer is seen by the second
        if self.log.is_being_defined(&client).await? {
            return Err(Unclear::BeingDefined);
        }
        let newest = self.log.newest_definition_number(&client).await?;
        Ok(newest.is_some_and(|newest| newest != self.number))
    }
}
