//! The relay's metrics. Labels are bounded: a partition's number at most.

use millrace_runtime::{metric, show};
use prometheus::{
    Gauge, Histogram, IntCounter, IntGauge, IntGaugeVec, register_gauge, register_histogram, register_int_counter,
    register_int_gauge, register_int_gauge_vec,
};

metric!(pub(crate) PUBLISHED: IntCounter = register_int_counter!(
    "millrace_relay_published_events_total",
    "Events that Kafka has acknowledged."
));
metric!(pub(crate) UNPUBLISHED: IntGaugeVec = register_int_gauge_vec!(
    "millrace_relay_unpublished_events",
    "Committed events that are not yet acknowledged by Kafka, per partition that this relay holds.",
    &["partition"]
));
metric!(pub(crate) OLDEST_UNPUBLISHED: Gauge = register_gauge!(
    "millrace_relay_oldest_unpublished_seconds",
    "Age of the oldest committed event not yet acknowledged by Kafka, over the partitions that this relay holds."
));
metric!(pub(crate) PUBLISH_DURATION: Histogram = register_histogram!(
    "millrace_relay_publish_duration_seconds",
    "From handing a batch to the producer until Kafka has acknowledged all of it.",
    vec![0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
));
metric!(pub(crate) ASSIGNED: IntGauge = register_int_gauge!(
    "millrace_relay_assigned_partitions",
    "Partitions that this relay holds."
));
metric!(pub(crate) LISTENING: IntGauge = register_int_gauge!(
    "millrace_relay_listening",
    "1 while Postgres notifies this relay of appends, 0 while it polls for them."
));
metric!(pub(crate) REPUBLISHED: IntCounter = register_int_counter!(
    "millrace_relay_republished_total",
    "Events published a second time because Kafka had lost them."
));
metric!(pub(crate) PRODUCER_RESTARTS: IntCounter = register_int_counter!(
    "millrace_relay_producer_restarts_total",
    "Producers thrown away after a failed delivery, a lost assignment or a hand-over that took too long."
));
metric!(pub(crate) DISTURBANCES: IntCounter = register_int_counter!(
    "millrace_relay_offset_disturbances_total",
    "Batches whose offsets show that somebody else wrote to the topic, or that an answer was lost."
));
metric!(pub(crate) HALTED: IntGauge = register_int_gauge!(
    "millrace_relay_halted_partitions",
    "Partitions in which nothing more is published: Postgres and the topic contradict each other, or Kafka finds an event \
     too large."
));
metric!(pub(crate) RECORDED_AHEAD: Gauge = register_gauge!(
    "millrace_relay_recorded_ahead_seconds",
    "How far the last recorded_at of the partitions that this relay publishes is ahead of its own clock; 0 when it is not."
));

/// Makes every metric visible from the start, so that a dashboard shows zero, not nothing.
pub(crate) fn declare() {
    show([&PUBLISHED, &REPUBLISHED, &PRODUCER_RESTARTS, &DISTURBANCES]);
    show([&ASSIGNED, &HALTED, &LISTENING]);
    show([&OLDEST_UNPUBLISHED, &RECORDED_AHEAD]);
    show([&PUBLISH_DURATION]);
}
