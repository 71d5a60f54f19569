//! The writer's metrics.

use std::sync::LazyLock;

use millrace_runtime::kafka::Record;
use millrace_schemas::OutcomeKind;
use prometheus::{
    Histogram, IntCounter, IntCounterVec, IntGauge, register_histogram, register_int_counter, register_int_counter_vec,
    register_int_gauge,
};
use rdkafka::Message;

use crate::command::Unreadable;

/// Commands by what became of them, duplicates not counted again.
pub static COMMANDS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!("millrace_writer_commands_total", "Commands by outcome, each counted once.", &["outcome"])
        .expect("a metric is declared once")
});

/// Commands that had their outcome already.
pub static DUPLICATES: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("millrace_writer_duplicates_total", "Commands whose id had its outcome already.")
        .expect("a metric is declared once")
});

/// Decisions made again because a stream had moved on.
pub static STALE: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "millrace_writer_stale_decisions_total",
        "Decisions that rested on an old version of a stream and were made again."
    )
    .expect("a metric is declared once")
});

/// Streams found in memory, or loaded.
pub static STREAMS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "millrace_writer_streams_total",
        "Streams that commands needed, by where their state was: cache or log.",
        &["from"]
    )
    .expect("a metric is declared once")
});

/// Events that are durable.
pub static EVENTS: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("millrace_writer_appended_events_total", "Events committed to the log.")
        .expect("a metric is declared once")
});

/// Partitions of the command topic that this writer has.
pub static ASSIGNED: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "millrace_writer_assigned_partitions",
        "Partitions of the command topic that this writer reads."
    )
    .expect("a metric is declared once")
});

/// Streams in memory.
pub static CACHED: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!("millrace_writer_cached_streams", "Streams whose state is kept in memory.")
        .expect("a metric is declared once")
});

/// From Kafka's timestamp of a command to the commit.
pub static COMMAND_TO_COMMIT_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    register_histogram!(
        "millrace_writer_command_to_commit_seconds",
        "From a command's timestamp in Kafka to the commit of its batch.",
        vec![0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]
    )
    .expect("a metric is declared once")
});

/// How long an append takes.
pub static APPEND_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    register_histogram!(
        "millrace_writer_append_duration_seconds",
        "Time from asking for a connection to the commit of a batch.",
        vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0]
    )
    .expect("a metric is declared once")
});

/// How many commands share an append.
pub static BATCH_COMMANDS: LazyLock<Histogram> = LazyLock::new(|| {
    register_histogram!(
        "millrace_writer_batch_commands",
        "Commands in one append.",
        vec![1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0]
    )
    .expect("a metric is declared once")
});

/// Makes every metric visible from the start, so that a dashboard shows zero, not nothing.
pub fn declare() {
    use OutcomeKind::{Accepted, Conflict, DeadLettered, Rejected};
    for outcome in [Accepted, Rejected, Conflict, DeadLettered] {
        COMMANDS.with_label_values(&[outcome.as_str()]);
    }
    for from in ["cache", "log"] {
        STREAMS.with_label_values(&[from]);
    }
    millrace_runtime::show([&DUPLICATES, &STALE, &EVENTS]);
    millrace_runtime::show([&ASSIGNED, &CACHED]);
    millrace_runtime::show([&APPEND_SECONDS, &BATCH_COMMANDS, &COMMAND_TO_COMMIT_SECONDS]);
}

/// A batch is committed: how long its commands have been on their way. A command that comes again counts again.
pub fn committed(records: &[Record], unreadable: &[(usize, Unreadable)]) {
    let now = jiff::Timestamp::now().as_millisecond();
    let seconds = COMMAND_TO_COMMIT_SECONDS.local();
    for (index, record) in records.iter().enumerate() {
        if let Some(sent) = record.message.timestamp().to_millis()
            && unreadable.iter().all(|(other, _)| *other != index)
        {
            seconds.observe((now - sent).max(0) as f64 / 1e3);
        }
    }
}
