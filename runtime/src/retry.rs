//! Trying again what may succeed later.

use std::fmt::Display;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::metrics::RETRIES;
use crate::{Health, Shutdown};

/// Why [`retry`] gave up.
#[derive(Debug, thiserror::Error)]
pub enum Stopped<E> {
    /// The process is to stop.
    #[error("stopped before it succeeded")]
    Shutdown,
    /// An error that trying again does not mend.
    #[error(transparent)]
    Failed(#[from] E),
}

/// Runs `attempt` until it succeeds, fails for good (`is_transient` says no), or the process is to stop. Waits between
/// attempts from 50 ms up to 5 s; the service counts as not ready meanwhile.
///
/// # Errors
/// The final error, or that the process is to stop.
pub async fn retry<T, E: Display>(
    health: &Health,
    shutdown: &Shutdown,
    operation: &'static str,
    is_transient: impl Fn(&E) -> bool,
    attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, Stopped<E>> {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_jitter();
    let mut attempt = attempt;
    let mut trouble = None;
    let mut delays = backoff.build();
    loop {
        health.beat();
        match attempt().await {
            Ok(done) => {
                if trouble.is_some() {
                    tracing::info!(operation, "succeeded again");
                }
                return Ok(done);
            }
            Err(error) if !is_transient(&error) => return Err(Stopped::Failed(error)),
            Err(error) => {
                RETRIES.with_label_values(&[operation]).inc();
                if trouble.is_none() {
                    tracing::warn!(operation, %error, "failed; trying again until it succeeds");
                } else {
                    tracing::debug!(operation, %error, "failed again");
                }
                trouble.get_or_insert_with(|| health.trouble());
            }
        }
        let delay = delays.next().unwrap_or(Duration::from_secs(5));
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = shutdown.cancelled() => return Err(Stopped::Shutdown),
        }
    }
}
