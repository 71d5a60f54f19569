//! Computes from two looks how fast a stage is, and when it will have caught up.

use std::time::Duration;

use serde::Serialize;

use super::stage::{Behind, Stage};

/// A row of the table: one partition of a stage, or all of them together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// `writer`, `relay`, or a projector's name.
    pub stage: String,
    /// The partition; `None` for all of them together.
    pub partition: Option<i32>,
    /// How far the stage before is: an offset for the writer, a position for the others.
    pub head: i64,
    /// How far this stage is.
    pub applied: i64,
    /// How many it still has to do: commands for the writer, events for the others.
    pub behind: i64,
    /// The age of the first of them; 0 when there are none, `None` when the age is unknown.
    pub seconds_behind: Option<f64>,
    /// How many the stage has done a second since the look before.
    pub rate: f64,
    /// Seconds until the stage has caught up at this pace; `None` when it never will.
    pub eta_seconds: Option<f64>,
}

/// The rows of a stage: first all partitions together, then each partition.
pub fn rows(before: Option<&Stage>, now: &Stage, elapsed: Duration) -> Vec<Row> {
    let before_of = |partition| before.and_then(|stage| stage.partitions.get(partition));
    let each =
        now.partitions.iter().map(|(partition, behind)| (*partition, before_of(partition).unwrap_or(behind), behind));
    let each: Vec<(i32, &Behind, &Behind)> = each.collect();
    let before = Place::of(each.iter().map(|(_, before, _)| *before));
    let total = row(&now.name, None, &before, &Place::of(now.partitions.values()), elapsed);
    let each = each.into_iter().map(|(partition, before, now_at)| {
        row(&now.name, Some(partition), &Place::of([before]), &Place::of([now_at]), elapsed)
    });
    std::iter::once(total).chain(each).collect()
}

/// How far one partition, or several together, are.
struct Place {
    head: i64,
    applied: i64,
    behind: i64,
    seconds: Option<f64>,
}

impl Place {
    fn of<'b>(partitions: impl IntoIterator<Item = &'b Behind>) -> Self {
        let nowhere = Self { head: 0, applied: 0, behind: 0, seconds: Some(0.0) };
        partitions.into_iter().fold(nowhere, |sum, one| Self {
            head: sum.head + one.head,
            applied: sum.applied + one.applied,
            behind: sum.behind + one.count(),
            seconds: sum.seconds.zip(one.seconds).map(|(longest, seconds)| longest.max(seconds)),
        })
    }
}

fn row(stage: &str, partition: Option<i32>, before: &Place, now: &Place, elapsed: Duration) -> Row {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let closing = (before.behind - now.behind) as f64 / seconds;
    let eta = match now.behind {
        0 => Some(0.0),
        behind => (closing > 0.0).then(|| behind as f64 / closing),
    };
    Row {
        stage: stage.to_owned(),
        partition,
        head: now.head,
        applied: now.applied,
        behind: now.behind,
        seconds_behind: now.seconds.map(rounded),
        rate: rounded((now.applied - before.applied) as f64 / seconds),
        eta_seconds: eta.map(rounded),
    }
}

/// Rounds to a thousandth.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::kafka::Group;

    fn stage(partitions: &[(i64, i64)]) -> Stage {
        let behind = |(head, applied): &(i64, i64)| Behind { head: *head, applied: *applied, seconds: Some(1.5) };
        let group = Group { name: String::new(), topic: String::new() };
        Stage { name: "search".into(), group, partitions: (0..).zip(partitions.iter().map(behind)).collect() }
    }

    #[test]
    fn what_is_behind_ends_when_it_closes_faster_than_the_head_moves() {
        let (before, now) = (stage(&[(100, 0), (100, 100)]), stage(&[(120, 60), (100, 100)]));
        let rows = rows(Some(&before), &now, Duration::from_secs(2));
        let told: Vec<_> = rows.iter().map(|row| (row.partition, row.behind, row.rate, row.eta_seconds)).collect();
        // 60 applied and 20 come in two seconds: 20 a second closer
        let all = (None, 60, 30.0, Some(3.0));
        assert_eq!(told, [all, (Some(0), 60, 30.0, Some(3.0)), (Some(1), 0, 0.0, Some(0.0))]);
    }

    #[test]
    fn what_stands_still_never_catches_up() {
        let (before, now) = (stage(&[(100, 0), (50, 10)]), stage(&[(100, 0), (50, 30)]));
        let rows = rows(Some(&before), &now, Duration::from_secs(1));
        let eta: Vec<_> = rows.iter().map(|row| row.eta_seconds).collect();
        assert_eq!(eta, [Some(6.0), None, Some(1.0)], "all of it, at the pace of all of it");
        assert_eq!(rows[0].seconds_behind, Some(1.5));
    }
}
