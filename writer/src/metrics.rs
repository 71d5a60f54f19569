//! The writer's metrics.

use std::sync::LazyLock;

use prometheus::{
    Histogram, IntCounter, IntCounterVec, register_histogram, register_int_counter, register_int_counter_vec,
};

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
