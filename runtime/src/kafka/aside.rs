//! Blocking calls of librdkafka, each on a thread of its own. Not on tokio's: the end of the process would wait for
//! them, and librdkafka has been seen to hang while a broker is away.

use std::thread;

use rdkafka::error::KafkaError;
use tokio::sync::oneshot;

/// Does `work` on another thread. Dropped, or at the end of the process, it leaves the thread to itself.
///
/// # Errors
/// When there is no thread to be had, or `work` panics.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, KafkaError> {
    let (done, result) = oneshot::channel();
    let thread = thread::Builder::new().name("kafka aside".into()).spawn(move || {
        // nobody listens any more when the caller has given up
        let _ = done.send(work());
    });
    thread.map_err(|error| KafkaError::ClientCreation(format!("no thread to be had: {error}")))?;
    result.await.map_err(|_| KafkaError::Canceled)
}
