//! What an audit tells.

use std::collections::BTreeMap;

use millrace_schemas::LogName;
use serde::Serialize;

/// What an audit found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Nothing differs.
    pub ok: bool,
    /// The log.
    pub log: LogName,
    /// Events compared.
    pub events: i64,
    /// Accounts whose balances were computed again.
    pub accounts: usize,
    /// The first thing that differs.
    pub first_difference: Option<String>,
    /// What stands in each partition, up to the first difference.
    pub partitions: Vec<PartitionReport>,
    /// How long it took.
    pub seconds: f64,
}

/// What stands in one partition.
#[derive(Debug, Serialize)]
pub struct PartitionReport {
    /// The partition.
    pub partition: i32,
    /// Events in Postgres, positions 1 to this. While events come, the topic may have been compared further.
    pub events: i64,
    /// The position that the topic begins with, none when it is empty. Above 1, retention has deleted what was before.
    pub topic_begins_at: Option<i64>,
    /// Records of the topic that were compared: all that it held.
    pub topic_records: i64,
    /// The checkpoint of each read model.
    pub read_models: BTreeMap<String, i64>,
}

impl Report {
    /// Of nothing yet.
    pub(super) fn new(log: LogName) -> Self {
        Self { ok: false, log, events: 0, accounts: 0, first_difference: None, partitions: Vec::new(), seconds: 0.0 }
    }
}

/// The report for a person.
pub fn text(report: &Report) -> String {
    let log = &report.log;
    let deleted: String = report.partitions.iter().filter_map(deleted_by_retention).collect();
    match &report.first_difference {
        None => format!(
            "audit of {log}: ok\n  {} events in {} partitions: positions 1..n in Postgres, the same in the topic in the \
             same\n  order, applied by every read model\n{deleted}  {} balances and the daily totals computed again \
             from the log: all agree\n  {:.1} s",
            report.events,
            report.partitions.len(),
            report.accounts,
            report.seconds
        ),
        Some(difference) => {
            format!("audit of {log}: NOT OK\n  first difference: {difference}\n{deleted}  {:.1} s", report.seconds)
        }
    }
}

/// A line on what could not be compared, because the topic does not have it any more.
fn deleted_by_retention(partition: &PartitionReport) -> Option<String> {
    let PartitionReport { partition, events, topic_begins_at, .. } = partition;
    match topic_begins_at {
        Some(1) => None,
        Some(position) => Some(format!(
            "  the topic begins at position {position} in partition {partition}: retention has deleted what was before\n"
        )),
        None if *events == 0 => None,
        None => Some(format!("  the topic is empty in partition {partition}: retention has deleted what was there\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_retention_has_deleted_is_told() {
        for (events, topic_begins_at, expected) in [
            (0, None, None),
            (9, Some(1), None),
            (
                9,
                Some(4),
                Some("  the topic begins at position 4 in partition 2: retention has deleted what was before\n"),
            ),
            (9, None, Some("  the topic is empty in partition 2: retention has deleted what was there\n")),
        ] {
            let read_models = BTreeMap::new();
            let partition = PartitionReport { partition: 2, events, topic_begins_at, topic_records: 0, read_models };
            assert_eq!(deleted_by_retention(&partition).as_deref(), expected);
            let mut report = Report::new("ledger".parse().expect("a name"));
            report.partitions.push(partition);
            assert!(text(&report).contains(expected.unwrap_or_default()));
        }
    }
}
