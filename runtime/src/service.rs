//! What a process tells about itself over HTTP: `/metrics`, `/livez`, `/readyz`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use prometheus::TextEncoder;
use tokio::net::TcpListener;

use crate::Shutdown;

/// A loop that has not beaten for this long is taken for stuck.
const SILENCE: Duration = Duration::from_secs(30);

/// How a service is: alive while its loop beats, ready while what it depends on answers. Clones share one state.
#[derive(Debug, Clone)]
pub struct Health(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    started: Instant,
    last_beat_ms: AtomicU64,
    ready: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Shared {
            started: Instant::now(),
            last_beat_ms: AtomicU64::new(0),
            ready: AtomicBool::new(false),
        }))
    }
}

impl Health {
    /// The service's loop has come round.
    pub fn beat(&self) {
        self.0.last_beat_ms.store(self.0.started.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// What the service depends on answers, or does not.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Relaxed);
    }

    fn is_live(&self) -> bool {
        let last_beat = Duration::from_millis(self.0.last_beat_ms.load(Ordering::Relaxed));
        self.0.started.elapsed().saturating_sub(last_beat) < SILENCE
    }

    fn is_ready(&self) -> bool {
        self.is_live() && self.0.ready.load(Ordering::Relaxed)
    }
}

/// Serves a process's health and metrics at `address` until shutdown; returns the address it really has (with port 0,
/// the one that was free).
///
/// # Errors
/// When the address can't be had.
pub async fn serve(address: SocketAddr, health: Health, shutdown: Shutdown) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let local = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|State(health): State<Health>| async move { answer(health.is_live()) }))
        .route("/readyz", get(|State(health): State<Health>| async move { answer(health.is_ready()) }))
        .with_state(health);
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "metrics and health are no longer served");
        }
    });
    Ok(local)
}

async fn metrics() -> Result<String, (StatusCode, String)> {
    let encoded = TextEncoder::new().encode_to_string(&prometheus::gather());
    encoded.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn answer(good: bool) -> (StatusCode, &'static str) {
    if good { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "no\n") }
}
