//! Pausing a projector on purpose.

use std::time::Duration;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use tokio_postgres::GenericClient;

use crate::checkpoints::{in_schema, not_migrated};
use crate::generation::check;
use crate::{Generation, ProjectorError, metrics};

/// Longest wait for Postgres' answer: it must not hold up the projector.
const PATIENCE: Duration = Duration::from_secs(2);

/// That a projector is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// The role in Postgres that paused it.
    pub paused_by: String,
    /// What it said why.
    pub reason: Option<String>,
}

/// Pauses the projector of this read model: within two seconds its instances apply nothing more. False when it was
/// paused already; then since, role and reason stay.
///
/// # Errors
/// When the read model's tables are not there, or Postgres does not answer.
pub async fn pause(client: &impl GenericClient, schema: &str, reason: Option<&str>) -> Result<bool, ProjectorError> {
    let paused = client.execute(&in_schema(include_str!("sql/pause.sql"), schema), &[&reason]).await;
    Ok(paused.map_err(|error| not_migrated(schema, error))? > 0)
}

/// Lets the projector of this read model go on. False when it was not paused.
///
/// # Errors
/// When the read model's tables are not there, or Postgres does not answer.
pub async fn resume(client: &impl GenericClient, schema: &str) -> Result<bool, ProjectorError> {
    let resumed = client.execute(&in_schema(include_str!("sql/resume.sql"), schema), &[]).await;
    Ok(resumed.map_err(|error| not_migrated(schema, error))? > 0)
}

/// Whether the projector of this read model is paused. Needs no search path.
///
/// # Errors
/// When the read model's tables are not there, or Postgres does not answer.
pub async fn paused(client: &impl GenericClient, schema: &str) -> Result<Option<Pause>, ProjectorError> {
    let row = client.query_opt(&in_schema(include_str!("sql/read_pause.sql"), schema), &[]).await;
    let row = row.map_err(|error| not_migrated(schema, error))?;
    row.map(|row| Ok(Pause { since: row.try_get(0)?, paused_by: row.try_get(1)?, reason: row.try_get(2)? })).transpose()
}

/// What a running instance knows of it.
#[derive(Default)]
pub(crate) struct Pausing {
    /// `None` until Postgres has told: nothing is applied before that.
    told: Option<Option<Pause>>,
}

impl Pausing {
    /// Whether nothing may be applied.
    pub(crate) fn holds(&self) -> bool {
        !matches!(self.told, Some(None))
    }

    /// Looks again. True when the projector was resumed since the last look.
    ///
    /// # Errors
    /// When another generation of the read model has taken the place; when the first look fails for good: then nothing
    /// would ever be applied.
    pub(crate) async fn look(
        &mut self,
        pool: &Pool,
        projector: &str,
        generation: Generation,
    ) -> Result<bool, ProjectorError> {
        let read = async {
            let client = pool.get().await?;
            check(&**client, projector, generation).await?;
            paused(&**client, projector).await
        };
        let now = match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(now)) => now,
            Ok(Err(error @ ProjectorError::Superseded { .. })) => return Err(error),
            Ok(Err(error)) if self.told.is_none() && !error.is_transient() => return Err(error),
            // what was told stays until Postgres says otherwise
            Ok(Err(error)) => {
                tracing::debug!(%error, "not seen whether the projector is paused");
                return Ok(false);
            }
            Err(_) => {
                tracing::debug!("Postgres does not say whether the projector is paused");
                return Ok(false);
            }
        };
        metrics::PAUSED.with_label_values(&[projector]).set(now.is_some().into());
        let before = self.told.replace(now.clone());
        Ok(match (before.flatten(), now) {
            (None, Some(Pause { since, paused_by, reason })) => {
                let reason = reason.unwrap_or_default();
                tracing::warn!(projector, %since, paused_by, reason, "paused: nothing is applied until somebody resumes it");
                false
            }
            (Some(_), None) => {
                tracing::info!(projector, "resumed");
                true
            }
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_applied_before_postgres_has_told_that_the_projector_is_not_paused() {
        let pause = Pause { since: Timestamp::UNIX_EPOCH, paused_by: "ada".into(), reason: None };
        for (told, holds) in [(None, true), (Some(Some(pause)), true), (Some(None), false)] {
            assert_eq!(Pausing { told }.holds(), holds);
        }
    }
}
