//! Blocking calls of librdkafka, each on a thread of its own. Not on tokio's threads: the end of the process would wait
//! for them, and librdkafka can hang while a broker is away.

use std::thread;

use rdkafka::error::KafkaError;
use tokio::sync::oneshot;

/// Does `work` on another thread. Where it is dropped, the thread goes on alone; the end of the process does not wait for
/// it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// assert_eq!(millrace_runtime::kafka::aside(|| 6 * 7).await, Ok(42));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// When the system refuses a thread, or `work` panics.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, KafkaError> {
    let (done, result) = oneshot::channel();
    let thread = thread::Builder::new().name("kafka aside".into()).spawn(move || {
        // nobody listens when the caller was cancelled
        let _ = done.send(work());
    });
    thread.map_err(|error| KafkaError::ClientCreation(format!("no thread: {error}")))?;
    result.await.map_err(|_| KafkaError::Canceled)
}
