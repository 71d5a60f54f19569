//! Retrying operations that may succeed later.

use std::fmt::Display;
use std::pin::pin;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, timeout};

use crate::metrics::RETRIES;
use crate::{Health, Shutdown};

/// How often a loop beats while an attempt goes on.
const BEAT: Duration = Duration::from_secs(5);
/// An attempt that takes longer is said.
const LONG: Duration = Duration::from_secs(30);

/// The delays between attempts; they never end.
pub type Backoff = backon::ExponentialBackoff;

/// Why [`retry`] gave up.
#[derive(Debug, thiserror::Error)]
pub enum Stopped<E> {
    /// The process was asked to stop.
    #[error("stopped before it succeeded")]
    Shutdown,
    /// Another attempt would fail in the same way.
    #[error(transparent)]
    Failed(#[from] E),
}

impl<E> Stopped<E> {
    /// The same with another type of error.
    pub fn into_other<F: From<E>>(self) -> Stopped<F> {
        match self {
            Self::Shutdown => Stopped::Shutdown,
            Self::Failed(error) => Stopped::Failed(error.into()),
        }
    }

    /// The result of a service: that it was asked to stop is no error.
    ///
    /// # Errors
    /// What has failed.
    pub fn as_result(self) -> Result<(), E> {
        match self {
            Self::Shutdown => Ok(()),
            Self::Failed(error) => Err(error),
        }
    }
}

/// Delays that grow from 50 ms to 5 s, with jitter: the one backoff of Millrace.
pub fn backoff() -> Backoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_jitter()
        .build()
}

/// Counts an attempt that failed and is to be made again, where it is not [`retry`] that makes it.
pub fn count_retry(operation: &'static str) {
    RETRIES.with_label_values(&[operation]).inc();
}

/// Runs `attempt` until it succeeds, fails with an error that is not transient, or the process is asked to stop. Waits
/// between attempts as [`backoff`] says; from the first failure to the end the service is live and not ready.
///
/// ```
/// use millrace_runtime::{Health, Shutdown, retry};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let mut failures = 2;
/// let attempt = async || {
///     failures -= 1;
///     if failures > 0 { Err("busy") } else { Ok("done") }
/// };
/// let (health, shutdown) = (Health::default(), Shutdown::new());
/// let result = retry(&health, &shutdown, "an example", |error| *error == "busy", attempt).await;
/// assert!(matches!(result, Ok("done")));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The error that is not transient, or that the process was asked to stop.
pub async fn retry<T, E: Display>(
    health: &Health,
    shutdown: &Shutdown,
    operation: &'static str,
    is_transient: impl Fn(&E) -> bool,
    attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, Stopped<E>> {
    let mut attempt = attempt;
    let mut trouble = None;
    let mut delays = backoff();
    loop {
        let Some(result) = patiently(health, shutdown, operation, LONG, attempt()).await else {
            return Err(Stopped::Shutdown);
        };
        match result {
            Ok(done) => {
                if trouble.is_some() {
                    tracing::info!(operation, "succeeded again");
                }
                return Ok(done);
            }
            Err(error) if !is_transient(&error) => return Err(Stopped::Failed(error)),
            Err(error) => {
                count_retry(operation);
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

/// Waits for an attempt, and beats meanwhile: that a server takes its time is no reason to restart this process. When the
/// attempt has taken `long`, the service says so, and is not ready until it has ended. `None` when the process is to stop
/// and the attempt goes on for another [`BEAT`].
async fn patiently<T>(
    health: &Health,
    shutdown: &Shutdown,
    operation: &'static str,
    long: Duration,
    attempt: impl Future<Output = T>,
) -> Option<T> {
    let (began, mut trouble) = (Instant::now(), None);
    let mut attempt = pin!(attempt);
    loop {
        health.beat();
        let is_last = shutdown.is_cancelled();
        match timeout(BEAT.min(long), &mut attempt).await {
            Ok(done) => return Some(done),
            Err(_) if is_last => return None,
            Err(_) => {}
        }
        if trouble.is_none() && began.elapsed() >= long {
            tracing::warn!(operation, seconds = long.as_secs(), "takes long; waiting on");
            trouble = Some(health.trouble());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_server_that_takes_its_time_leaves_the_service_not_ready_until_it_answers() {
        let (health, shutdown) = (Health::default(), Shutdown::new());
        health.set_started();
        let (answer, answered) = oneshot::channel();
        let waiting = patiently(&health, &shutdown, "wait", Duration::from_millis(1), answered);
        let onlooker = async {
            while health.is_ready() {
                tokio::task::yield_now().await;
            }
            answer.send(()).expect("it waits");
        };
        let (done, ()) = tokio::join!(waiting, onlooker);
        assert!(done.is_some_and(|answer| answer.is_ok()) && health.is_ready());
    }

    #[tokio::test]
    async fn a_server_that_never_answers_does_not_keep_a_service_from_stopping() {
        let (health, shutdown) = (Health::default(), Shutdown::new());
        shutdown.cancel();
        let never = std::future::pending::<()>();
        assert!(patiently(&health, &shutdown, "wait", Duration::from_millis(1), never).await.is_none());
    }
}
