//! The metrics that every service has. Each crate declares its own in a `metrics.rs`.

use std::sync::{LazyLock, Mutex, PoisonError};

use deadpool_postgres::{Pool, WeakPool};
use prometheus::{
    GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, TextEncoder, register_gauge_vec, register_int_counter,
    register_int_counter_vec, register_int_gauge, register_int_gauge_vec,
};

/// Declares a metric: its name in the code, its type, and how it is registered.
///
/// ```
/// use millrace_runtime::metric;
/// use prometheus::{IntCounter, register_int_counter};
///
/// metric!(PAGES: IntCounter = register_int_counter!("example_pages_total", "Pages read from Postgres."));
/// PAGES.inc();
/// assert_eq!(PAGES.get(), 1);
/// ```
#[macro_export]
macro_rules! metric {
    ($visibility:vis $name:ident: $kind:ty = $register:ident!($($argument:expr),+ $(,)?)) => {
        $visibility static $name: ::std::sync::LazyLock<$kind> =
            ::std::sync::LazyLock::new(|| $register!($($argument),+).expect("a metric is declared once"));
    };
}

metric!(BUILD_INFO: IntGaugeVec = register_int_gauge_vec!(
    "millrace_build_info",
    "Always 1; the labels say which version runs as which service.",
    &["version", "service"]
));
metric!(READY: IntGauge = register_int_gauge!("millrace_ready", "What /readyz says: 1 ready, 0 not."));
metric!(pub(crate) RETRIES: IntCounterVec = register_int_counter_vec!(
    "millrace_retries_total",
    "Attempts that failed and were made again, by operation.",
    &["operation"]
));
metric!(POOL_CONNECTIONS: IntGaugeVec = register_int_gauge_vec!(
    "millrace_postgres_pool_connections",
    "Connections to Postgres of the service's pools: in use, or open and idle.",
    &["state"]
));
metric!(POOL_SIZE_MAX: IntGauge = register_int_gauge!(
    "millrace_postgres_pool_size_max",
    "Most connections to Postgres that the service's pools open; a relay has one more, to listen."
));
metric!(POOL_WAITING: IntGauge = register_int_gauge!(
    "millrace_postgres_pool_waiting",
    "Tasks that wait for a connection to Postgres."
));
metric!(pub(crate) KAFKA_QUEUE_MESSAGES: IntGaugeVec = register_int_gauge_vec!(
    "millrace_kafka_queue_messages",
    "Records in librdkafka's queues: fetched and not yet taken, or not yet acknowledged by Kafka.",
    &["client"]
));
metric!(pub(crate) KAFKA_QUEUE_BYTES: IntGaugeVec = register_int_gauge_vec!(
    "millrace_kafka_queue_bytes",
    "Bytes of the records in librdkafka's queues.",
    &["client"]
));
metric!(pub(crate) KAFKA_ROUND_TRIP: GaugeVec = register_gauge_vec!(
    "millrace_kafka_round_trip_seconds",
    "Mean time from a request to its answer, over the brokers; a fetch waits at the broker while nothing comes.",
    &["client"]
));
metric!(pub(crate) KAFKA_DISCONNECTS: IntCounterVec = register_int_counter_vec!(
    "millrace_kafka_disconnects_total",
    "Connections to brokers that ended, by whichever side.",
    &["client"]
));
metric!(pub(crate) KAFKA_TRANSMITTED: IntCounterVec = register_int_counter_vec!(
    "millrace_kafka_transmitted_bytes_total",
    "Bytes sent to brokers.",
    &["client"]
));
metric!(pub(crate) KAFKA_RECEIVED: IntCounterVec = register_int_counter_vec!(
    "millrace_kafka_received_bytes_total",
    "Bytes received from brokers.",
    &["client"]
));
metric!(pub(crate) KAFKA_REBALANCES: IntCounter = register_int_counter!(
    "millrace_kafka_rebalances_total",
    "Times that the consumer group assigned partitions to this process or took them away."
));

/// The pools of this process, sampled at each scrape.
static POOLS: Mutex<Vec<WeakPool>> = Mutex::new(Vec::new());

/// Sets the metrics that say which service this process is, and shows the retries of `operations` from the start, as
/// zero. Call once per process.
pub fn declare_service(service: &str, operations: &[&str]) {
    BUILD_INFO.with_label_values(&[env!("CARGO_PKG_VERSION"), service]).set(1);
    for operation in operations {
        RETRIES.with_label_values(&[operation]);
    }
}

/// Counts the pool's connections from now until it is dropped.
pub(crate) fn watch_pool(pool: &Pool) {
    POOLS.lock().unwrap_or_else(PoisonError::into_inner).push(pool.weak());
}

/// All metrics of the process, in Prometheus's text format.
pub(crate) fn exposition(is_ready: bool) -> prometheus::Result<String> {
    READY.set(is_ready.into());
    sample_pools();
    TextEncoder::new().encode_to_string(&prometheus::gather())
}

fn sample_pools() {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    pools.retain(|pool| pool.upgrade().is_some());
    let (mut in_use, mut idle, mut max, mut waiting) = (0, 0, 0, 0);
    for status in pools.iter().filter_map(WeakPool::upgrade).map(|pool| pool.status()) {
        idle += status.available;
        in_use += status.size.saturating_sub(status.available);
        max += status.max_size;
        waiting += status.waiting;
    }
    POOL_CONNECTIONS.with_label_values(&["idle"]).set(idle as i64);
    POOL_CONNECTIONS.with_label_values(&["in_use"]).set(in_use as i64);
    POOL_SIZE_MAX.set(max as i64);
    POOL_WAITING.set(waiting as i64);
}

/// Registers metrics before they have counted anything, so that a dashboard shows zero instead of nothing.
pub fn show<'a, M: 'a>(metrics: impl IntoIterator<Item = &'a LazyLock<M>>) {
    metrics.into_iter().for_each(|metric| {
        LazyLock::force(metric);
    });
}
