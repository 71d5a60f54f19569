//! Stopping cleanly.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tells every loop of a process to finish what it has in hand and leave.
pub type Shutdown = CancellationToken;

/// A shutdown that SIGTERM or SIGINT sets off.
///
/// # Errors
/// When the signals can't be listened to.
pub fn on_signal() -> std::io::Result<Shutdown> {
    let shutdown = Shutdown::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: finishing what is in hand"),
            _ = interrupt.recv() => tracing::info!("SIGINT: finishing what is in hand"),
        }
        token.cancel();
    });
    Ok(shutdown)
}
