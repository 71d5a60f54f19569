//! Watching services catch up.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::measured::ProcessUse;
use crate::meter::{Meter, Watched};
use crate::service::Service;

/// How often the benchmark looks how far they are.
const LOOK: Duration = Duration::from_millis(10);
/// Services that do not move for this long are stuck.
const STUCK: Duration = Duration::from_secs(60);

/// How services caught up.
pub struct CaughtUp {
    /// Events a second, from the first look that saw them move to the last.
    pub rate: f64,
    /// What processes used meanwhile.
    pub processes: Vec<ProcessUse>,
}

/// Watches services of one kind go together from `from` events to `goal`, as `look` counts them. The clock starts at the
/// first look that sees them move, so their start does not count.
///
/// # Errors
/// When one of them ends, or they are stuck.
pub async fn catch_up(
    services: &mut [Service],
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
        services.iter_mut().try_for_each(Service::check)?;
        if moved.elapsed() > STUCK {
            let names: Vec<&str> = services.iter().map(|service| &*service.name).collect();
            bail!("{} stand(s) still at {last} of {goal} events for {} s", names.join(" and "), STUCK.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}
