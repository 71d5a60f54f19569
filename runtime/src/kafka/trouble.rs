//! Logging trouble with the brokers once, instead of with every attempt that librdkafka makes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;

/// Trouble that goes on is logged again after this time.
const AGAIN: Duration = Duration::from_secs(30);

/// When a client's trouble was last logged.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Instant>>);

impl Trouble {
    /// Logs an error, unless one was logged a moment ago. librdkafka keeps trying by itself.
    pub(super) fn tell(&self, client: &str, error: &KafkaError, reason: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() > AGAIN) {
            *told = Some(Instant::now());
            tracing::warn!(client, %error, reason, "trouble with Kafka; the client tries again until it works");
        }
    }
}
