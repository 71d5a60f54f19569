//! What the loop does with events: take in a page, hand over a batch, settle it.

use std::time::Instant;

use millrace_runtime::kafka::{Delivered, DeliveryError};

use crate::error::{RelayError, Step};
use crate::held::{Obstacle, State, last_offset};
use crate::metrics;
use crate::page::{Page, Want};
use crate::record::{Encoded, Unencodable, encode};
use crate::relay::Relay;
use crate::window::{Batch, Contents};

impl Relay {
    /// Takes in the page that was read once the one before is handed over, and begins to read the next.
    pub(crate) fn read_ahead(&mut self) -> Result<(), RelayError> {
        if self.backlog.is_empty()
            && let Some(page) = self.next_page.take()
        {
            self.accept(page)?;
        }
        if self.reading.is_some() || self.next_page.is_some() {
            return Ok(());
        }
        let running = self.held.values().filter_map(|held| match held.state {
            State::Running { read, .. } => Some(Want { cursor: read, epoch: held.epoch }),
            _ => None,
        });
        let wanted: Vec<Want> = running.collect();
        if !wanted.is_empty() {
            let limit = self.page_size.per_partition(wanted.len());
            self.reading = Some(Box::pin(self.reader.clone().next(wanted, limit, self.at_the_end)));
        }
        Ok(())
    }

    /// Takes in a page that was read, but for partitions that have started anew since.
    fn accept(&mut self, page: Page) -> Result<(), RelayError> {
        self.page_size.learn(page.bytes());
        self.at_the_end = page.ends_the_log;
        for event in page.events {
            let Some(held) = self.held.get_mut(&event.partition) else { continue };
            let State::Running { read, .. } = &mut held.state else { continue };
            if page.epochs.get(&event.partition) != Some(&held.epoch) {
                continue;
            }
            if event.position != read.position + 1 {
                let (partition, last, found) = (event.partition, read.position, event.position);
                return Err(RelayError::Hole { partition, last, found });
            }
            read.position = event.position;
            read.recorded_at = event.recorded_at;
            self.backlog.push_back(event);
        }
        Ok(())
    }

    /// Encodes and hands over what there is room for.
    pub(crate) async fn publish(&mut self) -> Step<()> {
        loop {
            tokio::task::yield_now().await; // the next page comes in meanwhile
            if self.backlog.is_empty() || !self.window.has_room() || !self.membership.is_fresh() {
                break;
            }
            let (batch, contents) = self.next_batch();
            if batch.is_empty() {
                continue;
            }
            let mut scratch = String::new();
            let records = batch.iter().map(|event| self.envelope.record(event, &mut scratch));
            match self.outbox.send(records).await {
                Ok(receipt) => self.window.push(Batch { contents, sent: Instant::now(), receipt }),
                Err(error) => return self.delivery_failed(error, contents).await,
            }
        }
        Ok(())
    }

    /// Takes a batch from the backlog. What is not ours any more is left out; the next turn lets it go. A partition with
    /// an event that can't be encoded ends before it.
    fn next_batch(&mut self) -> (Vec<Encoded>, Contents) {
        let (mut batch, mut contents) = (Vec::new(), Contents::default());
        while !contents.is_full() {
            let Some(event) = self.backlog.pop_front() else { break };
            let Some(held) = self.held.get(&event.partition) else { continue };
            if held.is_halted() || !self.membership.is_granted(event.partition, held.grant) {
                continue;
            }
            match encode(&self.codec, event) {
                Ok(event) => {
                    contents.add(&event, held.epoch);
                    batch.push(event);
                }
                Err(Unencodable { partition, position, correlation_id, reason }) => {
                    let reason = format!("position {position} can't be encoded: {reason}");
                    self.halt(partition, Obstacle::Unencodable, &reason, correlation_id.as_deref());
                }
            }
        }
        (batch, contents)
    }

    /// A batch has ended.
    pub(crate) async fn settle(&mut self, batch: Batch, result: Result<Delivered, DeliveryError>) -> Step<()> {
        match result {
            Ok(delivered) => self.acknowledged(&batch, &delivered),
            Err(error) => return self.delivery_failed(error, batch.contents).await,
        }
        Ok(())
    }

    fn acknowledged(&mut self, batch: &Batch, delivered: &Delivered) {
        metrics::PUBLISHED.inc_by(batch.contents.records as u64);
        metrics::PUBLISH_DURATION.observe(batch.sent.elapsed().as_secs_f64());
        let log = self.reader.log.name().as_str();
        batch.contents.traced.iter().for_each(|event| event.published(log, batch.sent));
        self.backoff = crate::rebalance::backoff();
        for part in &batch.contents.parts {
            let Some(held) = self.held.get_mut(&part.partition) else { continue };
            let offset = last_offset(delivered, part.partition);
            if !held.acknowledge(part, offset) {
                let (partition, position) = (part.partition, part.last_position);
                metrics::DISTURBANCES.inc();
                tracing::error!(
                    partition,
                    position,
                    offset,
                    "offsets don't follow each other: another writer, a lost answer, or the topic was made anew and \
                     lacks what it had before (`millrace audit` tells)"
                );
                self.start_anew(partition);
            }
        }
        let held = &self.held;
        self.published.send_modify(|published| {
            for part in &batch.contents.parts {
                if let Some(held) = held.get(&part.partition) {
                    published.insert(part.partition, held.published);
                }
            }
        });
    }

    async fn delivery_failed(&mut self, error: DeliveryError, contents: Contents) -> Step<()> {
        if !error.is_too_large() {
            tracing::error!(%error, "delivery failed; making a new producer and reading the topic's tail");
        }
        self.halt_if_too_large(&error, &contents);
        self.replace_producer().await?;
        self.wait_before_trying_again();
        Ok(())
    }

    /// A record that Kafka will never take stops its partition, not the others.
    pub(crate) fn halt_if_too_large(&mut self, error: &DeliveryError, contents: &Contents) {
        if error.is_too_large() {
            let reason = "one of the next events is larger than Kafka takes (max.message.bytes)";
            self.halt(contents.partition_of_largest(), Obstacle::TooLarge, reason, None);
        }
    }

    /// From here on a partition stands still. What was read before it is still published, if it was encoded.
    fn halt(&mut self, partition: i32, obstacle: Obstacle, reason: &str, correlation_id: Option<&str>) {
        let Some(held) = self.held.get_mut(&partition) else { return };
        if !held.is_halted() {
            held.state = State::Halted(obstacle);
            let published = held.published;
            tracing::error!(partition, published, reason, correlation_id, "the partition is halted; the others go on");
            self.count_held();
        }
    }
}
