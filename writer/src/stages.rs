//! Hands batches from stage to stage. A stage that waits for another is not stuck, so it goes on beating.

use std::time::{Duration, Instant};

use millrace_runtime::Health;
use tokio::sync::mpsc;

/// How often a waiting stage beats.
pub const IDLE_BEAT: Duration = Duration::from_secs(1);

/// Waits for the next batch; `None` when the stage before has ended.
pub async fn take<T>(health: &Health, batches: &mut mpsc::Receiver<T>) -> Option<T> {
    loop {
        health.beat();
        if let Ok(next) = tokio::time::timeout(IDLE_BEAT, batches.recv()).await {
            return next;
        }
    }
}

/// Sends a batch to the next stage as soon as there is room; false when that stage has ended.
pub async fn hand_on<T>(health: &Health, batches: &mpsc::Sender<T>, batch: T) -> bool {
    loop {
        health.beat();
        if let Ok(room) = tokio::time::timeout(IDLE_BEAT, batches.reserve()).await {
            return room.map(|room| room.send(batch)).is_ok();
        }
    }
}

/// Lets the other stages run, and beats, during work that may take long.
pub struct Pace<'h> {
    health: &'h Health,
    began: Instant,
    last: Instant,
}

impl<'h> Pace<'h> {
    /// The work begins now.
    pub fn new(health: &'h Health) -> Self {
        let now = Instant::now();
        Self { health, began: now, last: now }
    }

    /// Call often; does something every 50 ms.
    pub async fn breathe(&mut self) {
        if self.last.elapsed() >= Duration::from_millis(50) {
            self.health.beat();
            tokio::task::yield_now().await;
            self.last = Instant::now();
        }
    }

    /// Since the work began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
