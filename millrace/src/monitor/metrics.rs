//! The monitor's metrics. The names `kafka_consumergroup_…` and `kafka_partition_…` are those of kafka-lag-exporter, so
//! existing dashboards and alerts work.

use millrace_runtime::metric;
use prometheus::{GaugeVec, Histogram, IntGaugeVec, register_gauge_vec, register_histogram, register_int_gauge_vec};

const GROUP: &[&str] = &["cluster_name", "group"];
const GROUP_PARTITION: &[&str] = &["cluster_name", "group", "topic", "partition"];

metric!(pub UP: IntGaugeVec = register_int_gauge_vec!(
    "millrace_monitor_up",
    "Whether the last look at a server succeeded: 1 yes, 0 no.",
    &["server"]
));
metric!(pub LOOK_DURATION: Histogram = register_histogram!(
    "millrace_monitor_look_duration_seconds",
    "How long a look at Kafka and Postgres takes.",
    vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]
));
metric!(pub HEAD: GaugeVec = register_gauge_vec!(
    "millrace_log_head_position",
    "Position of the last event committed to Postgres.",
    &["partition"]
));
metric!(pub PUBLISHED: GaugeVec = register_gauge_vec!(
    "millrace_log_published_position",
    "Position of the last event on the event topic.",
    &["partition"]
));
metric!(pub SIZE: GaugeVec = register_gauge_vec!(
    "millrace_log_size_bytes",
    "Size of the log's tables in Postgres, their indexes among it.",
    &["table"]
));
metric!(pub COMMANDS: GaugeVec = register_gauge_vec!(
    "millrace_log_commands",
    "Commands that have their outcome in Postgres, counted at most once a minute.",
    &[]
));
metric!(pub HALTED: GaugeVec = register_gauge_vec!(
    "millrace_log_halted_partitions",
    "Partitions that a relay has halted; the reasons stand in Postgres.",
    &[]
));
metric!(pub DEAD_LETTERS: GaugeVec = register_gauge_vec!(
    "millrace_dead_letters_records",
    "Records on the dead letters' topic.",
    &[]
));
metric!(pub UNREAD: GaugeVec = register_gauge_vec!(
    "millrace_commands_unread",
    "Records on the command topic that the writers have not dealt with.",
    &[]
));
metric!(pub LAG_EVENTS: GaugeVec = register_gauge_vec!(
    "millrace_projector_lag_events",
    "Events committed to Postgres that the read model has not applied.",
    &["projector", "partition"]
));
metric!(pub LAG_SECONDS: GaugeVec = register_gauge_vec!(
    "millrace_projector_lag_seconds",
    "Age of the first event that the read model has not applied; 0 when it has all.",
    &["projector", "partition"]
));
metric!(pub PAUSE_AGE: GaugeVec = register_gauge_vec!(
    "millrace_projector_pause_age_seconds",
    "Time since somebody paused the projector; 0 while it is not paused.",
    &["projector"]
));
metric!(pub GROUP_LAG: GaugeVec = register_gauge_vec!(
    "kafka_consumergroup_group_lag",
    "What a group has not dealt with: commands for the writer, events committed to Postgres for relay and projectors.",
    GROUP_PARTITION
));
metric!(pub GROUP_LAG_SECONDS: GaugeVec = register_gauge_vec!(
    "kafka_consumergroup_group_lag_seconds",
    "Age of the first of what a group has not dealt with; 0 when it has dealt with all.",
    GROUP_PARTITION
));
metric!(pub GROUP_OFFSET: GaugeVec = register_gauge_vec!(
    "kafka_consumergroup_group_offset",
    "Offset that a group has committed to Kafka; for projectors a hint only.",
    GROUP_PARTITION
));
metric!(pub LATEST_OFFSET: GaugeVec = register_gauge_vec!(
    "kafka_partition_latest_offset",
    "Offset that the next record of a partition gets.",
    &["cluster_name", "topic", "partition"]
));
metric!(pub GROUP_MAX_LAG: GaugeVec = register_gauge_vec!(
    "kafka_consumergroup_group_max_lag",
    "The largest lag of a group's partitions.",
    GROUP
));
metric!(pub GROUP_MAX_LAG_SECONDS: GaugeVec = register_gauge_vec!(
    "kafka_consumergroup_group_max_lag_seconds",
    "The largest lag of a group's partitions, in seconds.",
    GROUP
));
