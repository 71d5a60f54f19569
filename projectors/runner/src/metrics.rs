//! What the projectors count. Partitions are few and fixed, so they may be a label.

use millrace_runtime::metric;
use prometheus::{
    HistogramVec, IntCounterVec, IntGaugeVec, exponential_buckets, register_histogram_vec, register_int_counter_vec,
    register_int_gauge_vec,
};

/// 1 ms to about 65 s.
fn seconds() -> Vec<f64> {
    exponential_buckets(0.001, 2.0, 17).expect("a start above 0 and a factor above 1 make buckets")
}

metric!(pub(crate) APPLIED: IntCounterVec = register_int_counter_vec!(
    "millrace_projector_events_applied_total",
    "Events applied to the read model and committed.",
    &["projector", "partition"]
));
metric!(pub(crate) DUPLICATES: IntCounterVec = register_int_counter_vec!(
    "millrace_projector_duplicates_total",
    "Records dropped because the read model had applied their position before.",
    &["projector", "partition"]
));
metric!(pub(crate) GAPS: IntCounterVec = register_int_counter_vec!(
    "millrace_projector_gaps_total",
    "Times that a record came whose predecessor had not been applied; the topic was read again from there.",
    &["projector", "partition"]
));
metric!(pub(crate) FOREIGN: IntCounterVec = register_int_counter_vec!(
    "millrace_projector_foreign_records_total",
    "Records on the event topic that are no events of the log (they have no position), passed over.",
    &["projector", "partition"]
));
metric!(pub(crate) CHECKPOINT: IntGaugeVec = register_int_gauge_vec!(
    "millrace_projector_checkpoint_position",
    "Position that this instance has seen the read model at last.",
    &["projector", "partition"]
));
metric!(pub(crate) STOPPED: IntGaugeVec = register_int_gauge_vec!(
    "millrace_projector_stopped_partitions",
    "Partitions that stand still because of a missing or impossible event; the log of this process says which.",
    &["projector"]
));
metric!(pub(crate) WAITING: IntGaugeVec = register_int_gauge_vec!(
    "millrace_projector_waiting_partitions",
    "Partitions that wait for the registry to tell the schema of their next event.",
    &["projector"]
));
metric!(pub(crate) HALTED: IntGaugeVec = register_int_gauge_vec!(
    "millrace_projector_halted_partitions",
    "Partitions of the log that the relay has halted: what the read model shows of them is old, and wrong where Postgres \
     and the topic contradict each other.",
    &["projector"]
));
metric!(pub(crate) PAUSED: IntGaugeVec = register_int_gauge_vec!(
    "millrace_projector_paused",
    "Whether somebody has paused the projector: 1 yes, and this instance applies nothing; 0 no.",
    &["projector"]
));
metric!(pub(crate) APPLY_SECONDS: HistogramVec = register_histogram_vec!(
    "millrace_projector_apply_duration_seconds",
    "Duration of the transactions that apply a batch, in seconds.",
    &["projector"],
    seconds()
));
metric!(pub(crate) BATCH_EVENTS: HistogramVec = register_histogram_vec!(
    "millrace_projector_batch_events",
    "Events applied in one transaction.",
    &["projector"],
    vec![1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0]
));
metric!(pub(crate) ASSIGNED: IntGaugeVec = register_int_gauge_vec!(
    "millrace_projector_assigned_partitions",
    "Partitions of the event topic that this instance reads.",
    &["projector"]
));
metric!(pub(crate) VISIBLE_SECONDS: HistogramVec = register_histogram_vec!(
    "millrace_projector_commit_to_visible_seconds",
    "From the commit of an event to its visibility in the read model, in seconds.",
    &["projector"],
    seconds()
));

/// Makes what has no partition visible from the start, so that a dashboard shows zero, not nothing.
pub(crate) fn declare(projector: &str) {
    for gauge in [&STOPPED, &WAITING, &HALTED, &PAUSED, &ASSIGNED] {
        gauge.with_label_values(&[projector]);
    }
    for histogram in [&APPLY_SECONDS, &BATCH_EVENTS, &VISIBLE_SECONDS] {
        histogram.with_label_values(&[projector]);
    }
}

/// The same for a partition, when its reading begins.
pub(crate) fn declare_partition(projector: &str, partition: i32) {
    for counter in [&APPLIED, &DUPLICATES, &GAPS, &FOREIGN] {
        counter.with_label_values(&[projector, &partition.to_string()]);
    }
}
