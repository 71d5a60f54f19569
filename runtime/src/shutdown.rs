//! Stopping cleanly: on a signal, every loop finishes the work in hand and ends.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Asks every loop of a process to finish the work in hand and end.
pub type Shutdown = CancellationToken;

/// A shutdown that SIGTERM or SIGINT triggers. Call inside a tokio runtime.
///
/// # Errors
/// When the system refuses to deliver the signals.
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
