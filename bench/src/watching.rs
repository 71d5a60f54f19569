//! Watching a service catch up.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::measured::ProcessUse;
use crate::meter::{Meter, Watched};
use crate::service::Service;

/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(10);
/// A service that does not move for this long is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// How a service caught up.
pub struct CaughtUp {
    /// Events a second, from the first that were seen to the last.
    pub rate: f64,
    /// What was used meanwhile.
    pub processes: Vec<ProcessUse>,
}

/// Watches `service` go from `from` events to `goal`, as `look` counts them. The clock runs from the first look that
/// sees it move, so starting up does not count.
///
/// # Errors
/// When the service ends, or is stuck.
pub async fn catch_up(
    service: &mut Service,
    watched: Vec<Watched>,
    (from, goal): (u64, u64),
    mut look: impl AsyncFnMut() -> anyhow::Result<u64>,
) -> anyhow::Result<CaughtUp> {
    let (mut last, mut moved) = (from, Instant::now());
    let mut first = None;
    loop {
        let seen = look().await?;
        let now = Instant::now();
        if seen > last {
            (last, moved) = (seen, now);
            let (began, meter, at_first) = &*first.get_or_insert_with(|| (now, Meter::start(watched.clone()), seen));
            if seen >= goal {
                let events = goal.saturating_sub(*at_first);
                let rate = events as f64 / (now - *began).as_secs_f64();
                return Ok(CaughtUp { rate, processes: meter.read(events) });
            }
        }
        service.check()?;
        if moved.elapsed() > STUCK {
            bail!("{} stands still at {last} of {goal} events for {} s", service.name, STUCK.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}
