//! What the sender, the listener and the onlookers of a run share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Without a rate: commands that are sent together.
pub const CHUNK: u64 = 250;

/// A run. Times are microseconds since its start.
pub struct Run {
    /// When it began.
    pub started: Instant,
    /// Commands a second; `None`: as fast as a bound on commands without an outcome allows.
    pub rate: Option<u32>,
    /// How long nothing is measured: services make connections, and the writer knows no account yet.
    pub warm_up: Duration,
    /// When the last command is sent.
    pub end: Duration,
    /// Commands handed to Kafka's client.
    pub sent: AtomicU64,
    /// Commands whose outcome the listener has.
    pub heard: AtomicU64,
    /// Events that `reporting` has applied, the accounts' opening among them.
    pub visible: AtomicU64,
    /// Tells the listener and the onlooker to end.
    over: AtomicBool,
    /// Without a rate: when each chunk was sent.
    chunks: Mutex<Vec<u64>>,
}

impl Run {
    /// Begins now.
    pub fn start(rate: Option<u32>, warm_up: Duration, measured: Duration) -> Self {
        Self {
            started: Instant::now(),
            rate,
            warm_up,
            end: warm_up + measured,
            sent: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            visible: AtomicU64::new(0),
            over: AtomicBool::new(false),
            chunks: Mutex::default(),
        }
    }

    /// The time now.
    pub fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// When a command was to be sent: by the rate, whatever held it up; without a rate, when its chunk was sent.
    pub fn intended(&self, command: u64) -> Option<u64> {
        match self.rate {
            Some(rate) => Some(command * 1_000_000 / u64::from(rate)),
            None => self.chunks().get((command / CHUNK) as usize).copied(),
        }
    }

    /// The next chunk is sent now.
    pub fn chunk_is_sent(&self) {
        self.chunks().push(self.now());
    }

    /// Whether a time belongs to the measured part.
    pub fn is_measured(&self, at: u64) -> bool {
        (self.warm_up.as_micros()..self.end.as_micros()).contains(&u128::from(at))
    }

    /// The run is over, well or not.
    pub fn finish(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Commands without an outcome.
    pub fn unheard(&self) -> u64 {
        self.sent.load(Ordering::Relaxed).saturating_sub(self.heard.load(Ordering::Relaxed))
    }

    fn chunks(&self) -> MutexGuard<'_, Vec<u64>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
