//! Asking a registry again.

use std::time::Duration;

use millrace_schemas::RegistryError;

/// Asks the registry, and for some seconds again while it has no usable answer. One that keeps its subjects in a database
/// may answer 500 where others register or delete at the same time.
///
/// # Errors
/// As the registry's last answer.
pub(super) async fn again<T>(ask: impl AsyncFn() -> Result<T, RegistryError>) -> Result<T, RegistryError> {
    for pause in [100, 300, 1000, 2000].map(Duration::from_millis) {
        match ask().await {
            Err(error) if error.is_transient() => tokio::time::sleep(pause).await,
            ended => return ended,
        }
    }
    ask().await
}
