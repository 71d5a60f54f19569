//! How fast a stage goes and when it will have caught up, from two looks.

use std::time::Duration;

use serde::Serialize;

use super::stage::{Behind, Stage};

/// A line of the table: a partition of a stage, or all of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// `writer`, `relay`, or a projector's name.
    pub stage: String,
    /// The partition; none: all of them.
    pub partition: Option<i32>,
    /// Where the stage before has got: an offset for the writer, a position for the others.
    pub head: i64,
    /// Where this stage has got.
    pub applied: i64,
    /// How many it lacks: commands for the writer, events for the others.
    pub behind: i64,
    /// How old the first of them is; 0 when none is lacking.
    pub seconds_behind: Option<f64>,
    /// How many it has done a second since the look before.
    pub rate: f64,
    /// When none will be lacking at this pace; none: never.
    pub eta_seconds: Option<f64>,
}

/// The rows of a stage: all partitions together, then each.
pub fn rows(before: Option<&Stage>, now: &Stage, elapsed: Duration) -> Vec<Row> {
    let each = now.partitions.iter().map(|(partition, behind)| {
        let before = before.and_then(|stage| stage.partitions.get(partition)).unwrap_or(behind);
        row(&now.name, *partition, before, behind, elapsed)
    });
    let each: Vec<Row> = each.collect();
    std::iter::once(total(&now.name, &each)).chain(each.iter().cloned()).collect()
}

fn row(stage: &str, partition: i32, before: &Behind, now: &Behind, elapsed: Duration) -> Row {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = (now.applied - before.applied) as f64 / seconds;
    let closing = (before.count() - now.count()) as f64 / seconds;
    let eta = match now.count() {
        0 => Some(0.0),
        behind => (closing > 0.0).then(|| behind as f64 / closing),
    };
    Row {
        stage: stage.to_owned(),
        partition: Some(partition),
        head: now.head,
        applied: now.applied,
        behind: now.count(),
        seconds_behind: now.seconds.map(rounded),
        rate: rounded(rate),
        eta_seconds: eta.map(rounded),
    }
}

/// All partitions have caught up when the last one has.
fn total(stage: &str, each: &[Row]) -> Row {
    let sum = |what: fn(&Row) -> i64| each.iter().map(what).sum();
    let longest = |what: fn(&Row) -> Option<f64>| {
        each.iter().map(what).try_fold(0.0, |longest: f64, seconds| Some(longest.max(seconds?)))
    };
    Row {
        stage: stage.to_owned(),
        partition: None,
        head: sum(|row| row.head),
        applied: sum(|row| row.applied),
        behind: sum(|row| row.behind),
        seconds_behind: longest(|row| row.seconds_behind),
        rate: rounded(each.iter().map(|row| row.rate).sum()),
        eta_seconds: longest(|row| row.eta_seconds),
    }
}

/// To a thousandth.
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
    fn what_stands_still_never_catches_up_and_neither_does_the_whole() {
        let (before, now) = (stage(&[(100, 0), (50, 10)]), stage(&[(100, 0), (50, 30)]));
        let rows = rows(Some(&before), &now, Duration::from_secs(1));
        let eta: Vec<_> = rows.iter().map(|row| row.eta_seconds).collect();
        assert_eq!(eta, [None, None, Some(1.0)]);
        assert_eq!(rows[0].seconds_behind, Some(1.5));
    }
}
