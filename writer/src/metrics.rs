//! The writer's metrics.

use millrace_runtime::kafka::Record;
use millrace_runtime::metric;
use millrace_schemas::OutcomeKind;
use prometheus::{
    Histogram, IntCounter, IntCounterVec, IntGauge, register_histogram, register_int_counter, register_int_counter_vec,
    register_int_gauge,
};
use rdkafka::Message;

use crate::command::Unreadable;

metric!(pub COMMANDS: IntCounterVec = register_int_counter_vec!(
    "millrace_writer_commands_total", "Commands by outcome, each counted once.", &["outcome"]
));

metric!(pub DUPLICATES: IntCounter = register_int_counter!(
    "millrace_writer_duplicates_total", "Commands whose id had its outcome already."
));

metric!(pub STALE: IntCounter = register_int_counter!(
    "millrace_writer_stale_decisions_total",
    "Decisions that rested on an old version of a stream and were made again."
));

metric!(pub LOST_COMMITS: IntCounter = register_int_counter!(
    "millrace_writer_lost_commits_total",
    "Times that Postgres no longer had what this writer had seen committed; it then begins anew."
));

metric!(pub MISSING: IntCounter = register_int_counter!(
    "millrace_writer_missing_commands_total",
    "Offsets of the command topic that were gone before they were read: commands that nobody answers."
));

metric!(pub REREAD: IntCounter = register_int_counter!(
    "millrace_writer_reread_commands_total",
    "Offsets of the command topic that were read again because Postgres lacked what Kafka said was dealt with."
));

metric!(pub WAITING: IntGauge = register_int_gauge!(
    "millrace_writer_waiting_partitions",
    "Partitions of the command topic whose next record waits for the registry, or for the log's next definition."
));

metric!(pub OUTDATED: IntGauge = register_int_gauge!(
    "millrace_writer_outdated_definition",
    "Whether the log has a definition that this writer has not taken up: 1 yes, 0 no."
));

metric!(pub STREAMS: IntCounterVec = register_int_counter_vec!(
    "millrace_writer_streams_total",
    "Streams that commands needed, by where their state was: cache or log.",
    &["from"]
));

metric!(pub EVENTS: IntCounter = register_int_counter!(
    "millrace_writer_appended_events_total", "Events committed to the log."
));

metric!(pub ASSIGNED: IntGauge = register_int_gauge!(
    "millrace_writer_assigned_partitions",
    "Partitions of the command topic that this writer reads."
));

metric!(pub CACHED: IntGauge = register_int_gauge!(
    "millrace_writer_cached_streams", "Streams whose state is kept in memory."
));

metric!(pub COMMAND_TO_COMMIT_SECONDS: Histogram = register_histogram!(
    "millrace_writer_command_to_commit_seconds",
    "From a command's timestamp in Kafka to the commit of its batch.",
    vec![0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]
));

metric!(pub APPEND_SECONDS: Histogram = register_histogram!(
    "millrace_writer_append_duration_seconds",
    "Time from asking for a connection to the commit of a batch.",
    vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0]
));

metric!(pub BATCH_COMMANDS: Histogram = register_histogram!(
    "millrace_writer_batch_commands",
    "Commands in one append.",
    vec![1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0]
));

/// Touches every metric at the start, so that dashboards show zero instead of nothing.
pub fn declare() {
    use OutcomeKind::{Accepted, Conflict, DeadLettered, Rejected};
    for outcome in [Accepted, Rejected, Conflict, DeadLettered] {
        COMMANDS.with_label_values(&[outcome.as_str()]);
    }
    for from in ["cache", "log"] {
        STREAMS.with_label_values(&[from]);
    }
    millrace_runtime::show([&DUPLICATES, &STALE, &EVENTS, &LOST_COMMITS, &MISSING, &REREAD]);
    millrace_runtime::show([&ASSIGNED, &CACHED, &WAITING, &OUTDATED]);
    millrace_runtime::show([&APPEND_SECONDS, &BATCH_COMMANDS, &COMMAND_TO_COMMIT_SECONDS]);
}

/// Observes, for a committed batch, how long its commands took from Kafka to the commit. Duplicates count again.
pub fn committed(records: &[Record], unreadable: &[(usize, Unreadable)]) {
    let now = jiff::Timestamp::now().as_millisecond();
    let seconds = COMMAND_TO_COMMIT_SECONDS.local();
    let mut unreadable = unreadable.iter().map(|(index, _)| *index).peekable(); // in the order of the records
    for (index, record) in records.iter().enumerate() {
        let is_readable = unreadable.next_if_eq(&index).is_none();
        if is_readable && let Some(sent) = record.message.timestamp().to_millis() {
            seconds.observe((now - sent).max(0) as f64 / 1e3);
        }
    }
}
