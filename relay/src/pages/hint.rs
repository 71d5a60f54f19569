//! The hint that wakes the relay when something was appended. Polling is the guarantee: it goes on meanwhile, seldom.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millrace_schemas::LogName;
use millrace_store::Announcements;
use tokio::sync::Notify;
use tokio_postgres::Config;

use crate::metrics;

/// How long to wait before listening again.
const AGAIN: Duration = Duration::from_secs(2);
/// Longest wait between two looks while Postgres notifies of appends.
const TOLD_WAIT: Duration = Duration::from_millis(250);
/// First wait after a look that found nothing, while Postgres does not notify; this and [`LONGEST_WAIT`] bound what
/// polling adds to an event's way.
const SHORTEST_WAIT: Duration = Duration::from_millis(2);
/// Longest wait between two looks at a log that is idle, while Postgres does not notify.
const LONGEST_WAIT: Duration = Duration::from_millis(25);

/// Whether something was appended since the last look.
#[derive(Debug, Default)]
pub(crate) struct Hint {
    appended: Notify,
    listening: AtomicBool,
}

/// The waits of one reader at the end of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits(Duration);

impl Default for Waits {
    fn default() -> Self {
        Self(SHORTEST_WAIT)
    }
}

impl Hint {
    /// Listens, and again whenever the connection ends. Goes on until it is dropped.
    pub(crate) async fn keep(&self, config: &Config, log: &LogName) {
        let mut warned = false;
        loop {
            let ended = match Announcements::listen(config, log).await {
                Ok(announcements) => {
                    if std::mem::take(&mut warned) {
                        tracing::info!("Postgres notifies of appends again");
                    }
                    self.pass_on(announcements).await;
                    "the connection has ended".to_owned()
                }
                Err(error) => error.to_string(),
            };
            if !std::mem::replace(&mut warned, true) {
                tracing::warn!(
                    ended,
                    "Postgres does not notify of appends; polling for them, and listening again soon"
                );
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn pass_on(&self, mut announcements: Announcements) {
        self.set_listening(true);
        while announcements.next().await.is_some() {
            self.appended.notify_one();
        }
        self.set_listening(false);
    }

    fn set_listening(&self, listening: bool) {
        self.listening.store(listening, Ordering::Relaxed);
        metrics::LISTENING.set(listening.into());
        // look once more: what was appended just before was not announced
        self.appended.notify_one();
    }

    /// Whether Postgres notifies of appends: then there is nothing to look for before it does.
    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }

    /// Waits until it is worth looking again. Cancel-safe: a notification is not forgotten.
    pub(crate) async fn wait(&self, waits: &mut Waits) {
        if self.is_listening() {
            // whether it was the notification or the time does not matter
            let _ = tokio::time::timeout(TOLD_WAIT, self.appended.notified()).await;
            *waits = Waits::default();
        } else {
            tokio::time::sleep(waits.0).await;
            waits.0 = (waits.0 * 2).min(LONGEST_WAIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_append_that_was_told_before_the_wait_ends_it_at_once() {
        let hint = Hint { listening: true.into(), ..Hint::default() };
        hint.appended.notify_one();
        let began = Instant::now();
        hint.wait(&mut Waits::default()).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        hint.wait(&mut Waits::default()).await;
        assert!(began.elapsed() >= TOLD_WAIT, "told once, it is looked once");
    }

    #[tokio::test(start_paused = true)]
    async fn without_being_told_it_looks_less_and_less_often() {
        let (hint, mut waits, began) = (Hint::default(), Waits::default(), Instant::now());
        for _ in 0..5 {
            hint.wait(&mut waits).await;
        }
        let expected = Duration::from_millis(2 + 4 + 8 + 16 + 25);
        assert!(began.elapsed() >= expected && began.elapsed() < expected + Duration::from_millis(10));
    }
}
