//! librdkafka's statistics as metrics of the process.

use std::sync::{Mutex, PoisonError};

use prometheus::{IntCounter, IntGauge};
use rdkafka::{ClientConfig, Statistics};

use crate::metrics::{
    KAFKA_DISCONNECTS, KAFKA_QUEUE_BYTES, KAFKA_QUEUE_MESSAGES, KAFKA_REBALANCES, KAFKA_RECEIVED, KAFKA_ROUND_TRIP,
    KAFKA_TRANSMITTED,
};

/// Time between two statistics, unless `kafka_properties` say otherwise.
const INTERVAL_MS: &str = "5000";
const INTERVAL: &str = "statistics.interval.ms";

/// Adds one client's statistics to the metrics. A process may have several clients, also one after the other: the metrics
/// are their sums.
#[derive(Debug)]
pub struct Meter {
    client: &'static str,
    last: Mutex<Reading>,
}

/// One client's statistics at one time.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Reading {
    queued: i64,
    queued_bytes: i64,
    disconnects: i64,
    transmitted: i64,
    received: i64,
    round_trip_seconds: Option<f64>,
}

impl Meter {
    /// The meter of a consumer: its queue holds records that were fetched and not yet taken.
    pub fn of_consumer() -> Self {
        KAFKA_REBALANCES.inc_by(0);
        Self::new("consumer")
    }

    /// The meter of a producer: its queue holds records that Kafka has not yet acknowledged.
    pub fn of_producer() -> Self {
        Self::new("producer")
    }

    fn new(client: &'static str) -> Self {
        let meter = Self { client, last: Mutex::default() };
        meter.take(Reading { round_trip_seconds: Some(0.0), ..Reading::default() });
        meter
    }

    /// A configuration whose client reports its statistics; its context hands them to [`Meter::read`].
    pub fn switch_on(config: &ClientConfig) -> ClientConfig {
        let mut config = config.clone();
        if config.get(INTERVAL).is_none() {
            config.set(INTERVAL, INTERVAL_MS);
        }
        config
    }

    /// Adds what has changed since the last statistics. librdkafka counts over the client's life.
    pub fn read(&self, statistics: &Statistics) {
        self.take(Reading::of(statistics, self.client == "consumer"));
    }

    /// Counts that the group assigned partitions or took them away.
    pub fn rebalanced(&self) {
        KAFKA_REBALANCES.inc();
    }

    fn take(&self, now: Reading) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = [self.client];
        move_gauge(&KAFKA_QUEUE_MESSAGES.with_label_values(&labels), last.queued, now.queued);
        move_gauge(&KAFKA_QUEUE_BYTES.with_label_values(&labels), last.queued_bytes, now.queued_bytes);
        count(&KAFKA_DISCONNECTS.with_label_values(&labels), last.disconnects, now.disconnects);
        count(&KAFKA_TRANSMITTED.with_label_values(&labels), last.transmitted, now.transmitted);
        count(&KAFKA_RECEIVED.with_label_values(&labels), last.received, now.received);
        if let Some(seconds) = now.round_trip_seconds {
            KAFKA_ROUND_TRIP.with_label_values(&labels).set(seconds);
        }
        *last = now;
    }
}

impl Drop for Meter {
    /// A client's queues go with it; its counts stay.
    fn drop(&mut self) {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(Reading { queued: 0, queued_bytes: 0, round_trip_seconds: None, ..last });
    }
}

impl Reading {
    fn of(statistics: &Statistics, consumer: bool) -> Self {
        let brokers = statistics.brokers.values();
        let round_trips = brokers.clone().filter_map(|broker| broker.rtt.as_ref()).filter(|window| window.cnt > 0);
        let round_trips: Vec<f64> = round_trips.map(|window| window.avg as f64 / 1e6).collect();
        let (queued, queued_bytes) = match consumer {
            true => fetched(statistics),
            false => (whole(statistics.msg_cnt), whole(statistics.msg_size)),
        };
        Self {
            queued,
            queued_bytes,
            disconnects: brokers.filter_map(|broker| broker.disconnects).sum(),
            transmitted: statistics.tx_bytes,
            received: statistics.rx_bytes,
            round_trip_seconds: (!round_trips.is_empty())
                .then(|| round_trips.iter().sum::<f64>() / round_trips.len() as f64),
        }
    }
}

/// Records and bytes that were fetched and not yet taken.
fn fetched(statistics: &Statistics) -> (i64, i64) {
    let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
    partitions.fold((0, 0), |(records, bytes), partition| {
        (records + partition.fetchq_cnt, bytes + whole(partition.fetchq_size))
    })
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn move_gauge(gauge: &IntGauge, last: i64, now: i64) {
    gauge.add(now - last);
}

/// Adds what is new of a sum. One that is smaller than before is a new client's: all of it is new.
fn count(counter: &IntCounter, last: i64, now: i64) {
    let more = if now >= last { now - last } else { now };
    counter.inc_by(more.unsigned_abs());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_counts_the_sum_of_its_clients_also_of_those_that_are_gone() {
        let (first, second) = (Meter::of_producer(), Meter::of_producer());
        let told = |queued, transmitted| Reading { queued, transmitted, ..Reading::default() };
        first.take(told(5, 100));
        second.take(told(7, 10));
        first.take(told(2, 150));
        let queued = || KAFKA_QUEUE_MESSAGES.with_label_values(&["producer"]).get();
        let transmitted = || KAFKA_TRANSMITTED.with_label_values(&["producer"]).get();
        assert_eq!((queued(), transmitted()), (9, 160));
        drop(first);
        assert_eq!((queued(), transmitted()), (7, 160));
        second.take(told(1, 4)); // a client made anew
        assert_eq!((queued(), transmitted()), (1, 164));
    }
}
