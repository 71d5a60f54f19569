//! The report of an audit.

use std::collections::BTreeMap;

use millrace_schemas::LogName;
use serde::Serialize;

/// What an audit found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether the audit found no difference.
    pub ok: bool,
    /// The audited log.
    pub log: LogName,
    /// How many events were compared.
    pub events: i64,
    /// How many accounts' balances were computed again; `None` when the log has no reporting read model.
    pub accounts: Option<usize>,
    /// The first difference, as a sentence.
    pub first_difference: Option<String>,
    /// The compared partitions; after a difference the later ones are missing.
    pub partitions: Vec<PartitionReport>,
    /// How long the audit took.
    pub seconds: f64,
}

/// The report of one partition.
#[derive(Debug, Serialize)]
pub struct PartitionReport {
    /// From 0.
    pub partition: i32,
    /// How many events Postgres holds: positions 1 to this. While events come, the topic may have been compared
    /// further.
    pub events: i64,
    /// The position of the topic's first record; `None` when the topic is empty. Above 1, retention has deleted the
    /// earlier ones.
    pub topic_begins_at: Option<i64>,
    /// How many records of the topic were compared: all that it held.
    pub topic_records: i64,
    /// The last position that each read model has applied.
    pub read_models: BTreeMap<String, i64>,
}

impl Report {
    /// A report without partitions yet, and not ok.
    pub(super) fn new(log: LogName) -> Self {
        Self { ok: false, log, events: 0, accounts: None, first_difference: None, partitions: Vec::new(), seconds: 0.0 }
    }
}

/// The report as text for people.
pub fn text(report: &Report) -> String {
    let log = &report.log;
    let deleted: String = report.partitions.iter().filter_map(deleted_by_retention).collect();
    match &report.first_difference {
        None => format!(
            "audit of {log}: ok\n  {} events in {} partitions: positions 1..n in Postgres, the same in the topic in the \
             same\n  order, byte for byte, applied by every read model, by count and hash of their ids\n{deleted}{}  {:.1} s",
            report.events,
            report.partitions.len(),
            computed_again(report.accounts),
            report.seconds
        ),
        Some(difference) => {
            format!("audit of {log}: NOT OK\n  first difference: {difference}\n{deleted}  {:.1} s", report.seconds)
        }
    }
}

fn computed_again(accounts: Option<usize>) -> String {
    accounts.map_or_else(String::new, |accounts| {
        format!("  {accounts} balances and the daily totals computed again from the log: all agree\n")
    })
}

/// A line for people on events that could not be compared, because the topic no longer has them.
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
