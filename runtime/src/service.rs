//! A process's state over HTTP: `/metrics`, `/livez`, `/readyz`.
//!
//! Live means that no loop is stuck; a restart may help a process that is not live. Ready means that it does its work now;
//! while a server is away it is live and not ready, and a restart would not help.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::{Shutdown, metrics};

/// A loop that has not beaten for this long counts as stuck.
const SILENCE: Duration = Duration::from_secs(60);

/// A service's health: live while each of its loops beats, ready from its start on except while it has [`Trouble`].
/// Clones share one state, and the beat of one loop.
///
/// ```
/// use millrace_runtime::Health;
///
/// let health = Health::default();
/// health.set_started();
/// let trouble = health.trouble();
/// assert!(!health.is_ready());
/// drop(trouble);
/// assert!(health.is_ready());
/// ```
#[derive(Debug, Clone)]
pub struct Health {
    shared: Arc<Shared>,
    last_beat: Arc<LastBeat>,
}

#[derive(Debug)]
struct Shared {
    born: Instant,
    started: AtomicBool,
    troubles: AtomicUsize,
    loops: Mutex<Vec<Weak<LastBeat>>>,
}

/// When a loop beat last, in milliseconds since the service's health was born.
type LastBeat = AtomicU64;

/// A server that the service depends on does not answer. Until this is dropped the service is not ready.
#[derive(Debug)]
pub struct Trouble(Arc<Shared>);

impl Default for Health {
    fn default() -> Self {
        let shared = Shared {
            born: Instant::now(),
            started: AtomicBool::new(false),
            troubles: AtomicUsize::new(0),
            loops: Mutex::default(),
        };
        Self::of_loop(Arc::new(shared))
    }
}

impl Health {
    fn of_loop(shared: Arc<Shared>) -> Self {
        let last_beat = Arc::new(LastBeat::default());
        shared.loops().push(Arc::downgrade(&last_beat));
        let health = Self { shared, last_beat };
        health.beat();
        health
    }

    /// The health of the same service for another of its loops, which has to beat too until this is dropped.
    #[must_use]
    pub fn for_another_loop(&self) -> Self {
        Self::of_loop(self.shared.clone())
    }

    /// Notes that the loop has come round. More than 60 s without that, and the service is not live.
    pub fn beat(&self) {
        self.last_beat.store(self.shared.age_ms(), Ordering::Relaxed);
    }

    /// Notes that the service has connected and works.
    pub fn set_started(&self) {
        self.shared.started.store(true, Ordering::Relaxed);
    }

    /// Notes that a server does not answer, until the returned value is dropped.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        self.shared.troubles.fetch_add(1, Ordering::Relaxed);
        Trouble(self.shared.clone())
    }

    fn is_live(&self) -> bool {
        let now = self.shared.age_ms();
        let mut loops = self.shared.loops();
        loops.retain(|last_beat| last_beat.strong_count() > 0);
        let mut beats = loops.iter().filter_map(Weak::upgrade).map(|last_beat| last_beat.load(Ordering::Relaxed));
        beats.all(|last_beat| Duration::from_millis(now.saturating_sub(last_beat)) < SILENCE)
    }

    /// Whether `/readyz` says yes.
    pub fn is_ready(&self) -> bool {
        let Shared { started, troubles, .. } = &*self.shared;
        self.is_live() && started.load(Ordering::Relaxed) && troubles.load(Ordering::Relaxed) == 0
    }
}

impl Shared {
    fn age_ms(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }

    fn loops(&self) -> MutexGuard<'_, Vec<Weak<LastBeat>>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        self.0.troubles.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a process's health and metrics at `address` until shutdown. Returns the address with the real port, also where
/// port 0 asked for any free one. A thread of its own answers, so that it does when the service's loops are stuck.
///
/// # Errors
/// When the address is taken, or the system refuses a thread.
pub async fn serve(address: SocketAddr, health: Health, shutdown: Shutdown) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let local = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(|State(health): State<Health>| async move { exposition(&health) }))
        .route("/livez", get(|State(health): State<Health>| async move { answer(health.is_live()) }))
        .route("/readyz", get(|State(health): State<Health>| async move { answer(health.is_ready()) }))
        .with_state(health);
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serving = async move {
        let listener = TcpListener::from_std(listener)?;
        axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
    };
    thread::Builder::new().name("health".into()).spawn(move || {
        if let Err(error) = runtime.block_on(serving) {
            tracing::error!(%error, "metrics and health are no longer served");
        }
    })?;
    Ok(local)
}

fn exposition(health: &Health) -> Result<String, (StatusCode, String)> {
    metrics::exposition(health.is_ready()).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn answer(good: bool) -> (StatusCode, &'static str) {
    if good { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "no\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_loops_success_does_not_hide_anothers_trouble() {
        let health = Health::default();
        assert!(!health.is_ready(), "not at work yet");
        health.set_started();
        assert!(health.is_ready());
        let other = health.for_another_loop();
        let (first, second) = (health.trouble(), other.trouble());
        drop(second);
        assert!(!health.is_ready());
        drop(first);
        assert!(health.is_ready() && other.is_ready());
    }

    #[test]
    fn every_loop_has_to_beat_for_as_long_as_it_is_there() {
        let born = Instant::now().checked_sub(2 * SILENCE);
        let shared = Arc::new(Shared {
            born: born.expect("the machine has been up for a minute"),
            started: AtomicBool::new(true),
            troubles: AtomicUsize::new(0),
            loops: Mutex::default(),
        });
        let (health, other) = (Health::of_loop(shared.clone()), Health::of_loop(shared));
        assert!(health.is_live());
        other.last_beat.store(0, Ordering::Relaxed);
        assert!(!health.is_live());
        drop(other);
        assert!(health.is_live());
    }
}
