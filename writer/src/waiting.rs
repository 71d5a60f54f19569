//! Partitions of the command topic that wait for the registry, while the others go on.
//!
//! Of a waiting partition only an offset is kept. Its records from there on are dropped as they arrive, so that they take
//! no room in the inbox; once the registry has answered, the topic is read again from that offset.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_runtime::kafka::{Offsets, Record};
use millrace_runtime::{Health, Trouble};
use rdkafka::Message;

use crate::metrics::WAITING;
use crate::schemas::Schemas;

/// A seek whose records have not come by then is made again.
const SEEK_PATIENCE: Duration = Duration::from_secs(10);
/// How often to ask which partitions are still this writer's, and longest wait for the answer.
const LOOK: Duration = Duration::from_secs(1);

/// The waiting partitions.
pub struct Waiting {
    offsets: Offsets,
    health: Health,
    partitions: BTreeMap<i32, Wait>,
    next_look: Instant,
}

struct Wait {
    schema_id: u32,
    place: Place,
    /// `None` while the partition is another writer's.
    trouble: Option<Trouble>,
}

/// Where the reading of a waiting partition stands. Pure.
#[derive(Debug)]
struct Place {
    /// Offset of the record that can't be read yet.
    offset: i64,
    /// The furthest offset that has arrived.
    furthest: i64,
    stage: Stage,
    /// Whether records have arrived that should not: a full inbox and a rebalance end a pause.
    flows: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The registry has not answered.
    Asking,
    /// It has; the topic is to be read again from the record's offset.
    Seeking { until: Instant },
    /// The partition is another writer's. What had arrived before that may still come, and must not be taken for the
    /// records after a new assignment.
    Gone,
}

impl Place {
    fn at(offset: i64) -> Self {
        Self { offset, furthest: offset, stage: Stage::Asking, flows: false }
    }

    /// Takes note of a record; true when the topic is being read again and the wait is over. Kafka gives a partition's
    /// records in order, so an offset that is no further than an earlier one comes after a seek or a new assignment. Both
    /// begin at or before the first record that is not dealt with.
    fn is_read_again(&mut self, offset: i64) -> bool {
        if offset <= self.furthest {
            return true;
        }
        self.furthest = offset;
        self.flows = true;
        false
    }

    /// Whether a seek should be made now.
    fn is_due(&self, is_answered: bool, now: Instant) -> bool {
        match self.stage {
            Stage::Asking => is_answered,
            Stage::Seeking { until } => until <= now,
            Stage::Gone => false,
        }
    }

    /// Whether to pause the partition again.
    fn is_to_pause(&self) -> bool {
        self.flows && self.stage == Stage::Asking
    }

    /// Whether it matters if the partition is this writer's.
    fn is_to_look_at(&self) -> bool {
        self.stage != Stage::Gone || self.flows
    }
}

impl Waiting {
    /// No partition waits yet.
    pub fn new(offsets: Offsets, health: Health) -> Self {
        Self { offsets, health, partitions: BTreeMap::new(), next_look: Instant::now() }
    }

    /// Whether the record is to be read now. If not, drop it: it comes again.
    pub fn lets_through(&mut self, record: &Record) -> bool {
        let number = record.message.partition();
        let Some(wait) = self.partitions.get_mut(&number) else { return true };
        let offset = record.message.offset();
        if !wait.place.is_read_again(offset) {
            return false;
        }
        if wait.place.offset < offset {
            tracing::warn!(
                partition = number,
                waited = wait.place.offset,
                offset,
                "reading goes on after the record that waited: another writer has dealt with it, or the topic has lost it"
            );
        }
        self.partitions.remove(&number);
        self.show();
        true
    }

    /// Makes the record's partition wait until the registry has answered for its schema id. Drop the record: it comes
    /// again.
    pub fn begin(&mut self, record: &Record, schema_id: u32) {
        let (number, offset) = (record.message.partition(), record.message.offset());
        tracing::warn!(
            partition = number,
            offset,
            schema_id,
            "a partition of the command topic waits for the registry"
        );
        let wait = Wait { schema_id, place: Place::at(offset), trouble: Some(self.health.trouble()) };
        self.partitions.insert(number, wait);
        self.pause(number);
        self.show();
    }

    /// Pauses the partitions again of which records arrive nevertheless.
    pub fn hold_back(&mut self) {
        let mut flowing = Vec::new();
        for (number, wait) in self.partitions.iter_mut().filter(|(_, wait)| wait.place.is_to_pause()) {
            wait.place.flows = false;
            flowing.push(*number);
        }
        flowing.into_iter().for_each(|number| self.pause(number));
    }

    /// Has the topic read again where the registry has answered.
    pub fn go_on(&mut self, schemas: &Schemas) {
        let now = Instant::now();
        for (number, wait) in &mut self.partitions {
            if wait.place.is_due(schemas.is_answered(wait.schema_id), now) {
                tracing::info!(partition = number, offset = wait.place.offset, "the registry answers: reading again");
                wait.place.stage = Stage::Seeking { until: now + SEEK_PATIENCE };
                read_again(self.offsets.clone(), *number, wait.place.offset);
            }
        }
    }

    /// Looks, at most once a second, which waiting partitions have become another writer's, and which are back.
    pub async fn look_at_assignment(&mut self) {
        let now = Instant::now();
        if now < self.next_look || !self.partitions.values().any(|wait| wait.place.is_to_look_at()) {
            return;
        }
        self.next_look = now + LOOK;
        let Ok(Ok(assigned)) = tokio::time::timeout(LOOK, self.offsets.assigned()).await else { return };
        for (number, wait) in &mut self.partitions {
            match (wait.place.stage, assigned.contains(number)) {
                (Stage::Gone, true) => {
                    wait.place.stage = Stage::Asking;
                    wait.trouble = Some(self.health.trouble());
                }
                (Stage::Gone, false) => wait.place.flows = false,
                (_, true) => {}
                (_, false) => {
                    tracing::info!(partition = number, "another writer has the partition that waited");
                    wait.place.stage = Stage::Gone;
                    wait.trouble = None;
                }
            }
        }
        self.show();
    }

    fn pause(&self, number: i32) {
        if let Err(error) = self.offsets.pause(number) {
            tracing::debug!(partition = number, %error, "could not pause the partition; its records are dropped");
        }
    }

    fn show(&self) {
        WAITING.set(self.partitions.values().filter(|wait| wait.trouble.is_some()).count() as i64);
    }
}

/// Reads a paused partition again from `offset`. In a task, because librdkafka may take seconds; if it fails, the seek is
/// made again after [`SEEK_PATIENCE`].
fn read_again(offsets: Offsets, partition: i32, offset: i64) {
    tokio::spawn(async move {
        // in this order, so that little comes from where the partition was paused
        let done = offsets.seek(partition, offset).await.and_then(|()| offsets.resume(partition));
        if let Err(error) = done {
            tracing::debug!(partition, offset, %error, "could not read the partition again");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use millrace_runtime::kafka::{Inbox, Outbox, Outgoing, consumer_config, producer_config};
    use millrace_runtime::{Overrides, Settings, Shutdown};
    use millrace_schemas::{Codec, Registry};
    use proptest::prelude::*;
    use rdkafka::message::OwnedHeaders;
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[test]
    fn what_was_on_its_way_is_dropped_until_the_topic_is_read_again() {
        let mut place = Place::at(10);
        assert!(!place.is_read_again(11) && !place.is_read_again(12));
        assert!(place.is_read_again(10));
    }

    #[test]
    fn a_new_assignment_that_begins_earlier_or_later_is_reading_again() {
        for offset in [3, 10, 11, 12] {
            let mut place = Place::at(10);
            assert!(!place.is_read_again(12));
            assert!(place.is_read_again(offset), "{offset}");
        }
    }

    #[test]
    fn a_seek_is_made_when_the_registry_has_answered_and_again_when_nothing_comes() {
        let now = Instant::now();
        let mut place = Place::at(10);
        assert!(!place.is_due(false, now));
        assert!(place.is_due(true, now));
        place.stage = Stage::Seeking { until: now + SEEK_PATIENCE };
        assert!(!place.is_due(true, now));
        assert!(place.is_due(true, now + SEEK_PATIENCE));
        place.stage = Stage::Gone;
        assert!(!place.is_due(true, now + SEEK_PATIENCE));
    }

    #[test]
    fn a_partition_is_paused_again_only_while_it_waits_and_flows() {
        let mut place = Place::at(10);
        assert!(!place.is_to_pause());
        place.is_read_again(11);
        assert!(place.is_to_pause());
        place.stage = Stage::Seeking { until: Instant::now() };
        assert!(!place.is_to_pause());
    }

    #[test]
    fn a_record_that_the_topic_lost_while_it_waited_holds_up_nothing_for_good() {
        let mut place = Place::at(10);
        // the topic begins at 50 by now: the first seek gives what looks like records from before it
        assert!(!place.is_read_again(50) && !place.is_read_again(51));
        assert!(place.is_read_again(50), "the second seek shows that it is not");
    }

    #[tokio::test]
    async fn a_partition_that_flows_although_it_waits_is_read_again_from_the_record_that_waits() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders.commands", 2, 1).unwrap();
        let settings = Settings::load(None, &Overrides::default()).unwrap();
        let settings = settings.with_servers("", &cluster.bootstrap_servers(), "");
        let outbox = Outbox::new(&producer_config(&settings).unwrap()).unwrap();
        let send = async |partition: i32, count: usize| {
            let record = |_| Outgoing {
                topic: "orders.commands",
                partition: Some(partition),
                key: None,
                value: Some(b"x"),
                headers: OwnedHeaders::new(),
                timestamp: None,
            };
            outbox.deliver((0..count).map(record)).await.unwrap();
        };
        send(0, 8).await;
        let config = consumer_config(&settings, "orders.writer").unwrap();
        let mut inbox = Inbox::join(&config, "orders.commands", crate::metrics::ASSIGNED.clone()).unwrap();
        let health = Health::default();
        health.set_started();
        let mut waiting = Waiting::new(inbox.offsets(), health.clone());
        let mut next = async || tokio::time::timeout(Duration::from_secs(20), inbox.next()).await.unwrap().unwrap();
        for offset in 0..3 {
            let record = next().await;
            assert_eq!(record.message.offset(), offset);
            assert!(waiting.lets_through(&record));
        }
        waiting.begin(&next().await, 7);
        assert!(!health.is_ready());
        // a full inbox resumes everything; new records come, too
        waiting.offsets.resume(0).unwrap();
        send(0, 2).await;
        send(1, 1).await;
        loop {
            let record = next().await;
            let passes = waiting.lets_through(&record);
            assert_eq!(passes, record.message.partition() == 1, "{record:?}");
            if passes {
                break;
            }
        }
        while let Ok(record) = tokio::time::timeout(Duration::from_secs(1), next()).await {
            assert!(!waiting.lets_through(&record), "{record:?}");
        }
        waiting.hold_back();
        waiting.look_at_assignment().await;
        assert!(!health.is_ready(), "the partition is still this writer's");
        let codec = Codec::open(Registry::new("http://127.0.0.1:1").unwrap(), &"orders".parse().unwrap());
        waiting.go_on(&Schemas::new(Arc::new(codec), &health, &Shutdown::new()));
        let mut expected = 3;
        while expected < 10 {
            let record = next().await;
            if waiting.lets_through(&record) {
                assert_eq!(record.message.offset(), expected);
                expected += 1;
            }
        }
        assert!(waiting.partitions.is_empty() && health.is_ready());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Poll,
        Handle,
        /// The partition is assigned anew, and begins this far before what is dealt with.
        Assign(i64),
        Answer,
        /// A full inbox resumes every partition.
        Resume,
        Seek,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => Just(Step::Poll),
            8 => Just(Step::Handle),
            1 => (0..4i64).prop_map(Step::Assign),
            1 => Just(Step::Answer),
            1 => Just(Step::Resume),
            2 => Just(Step::Seek),
        ];
        prop::collection::vec(step, 0..400)
    }

    proptest! {
        /// Each fifth record has a schema that the registry has to be asked for.
        #[test]
        fn no_record_is_handed_on_before_those_ahead_of_it(steps in steps()) {
            let (mut position, mut arrived, mut is_paused) = (0, VecDeque::new(), false);
            let (mut done, mut answered, mut place) = (-1, -1, None::<Place>);
            for step in steps {
                match step {
                    Step::Poll if is_paused => {}
                    Step::Poll => {
                        arrived.push_back(position);
                        position += 1;
                    }
                    Step::Assign(before) => (position, is_paused) = ((done + 1 - before).max(0), false),
                    Step::Answer => answered = place.as_ref().map_or(answered, |place| place.offset),
                    Step::Resume => is_paused = false,
                    Step::Seek => {
                        if let Some(place) = &mut place && place.is_due(answered >= place.offset, Instant::now()) {
                            place.stage = Stage::Seeking { until: Instant::now() };
                            (position, is_paused) = (place.offset, false);
                        }
                    }
                    Step::Handle => {
                        let Some(offset) = arrived.pop_front() else { continue };
                        if let Some(waiting) = &mut place {
                            if !waiting.is_read_again(offset) {
                                is_paused |= waiting.is_to_pause();
                                continue;
                            }
                            place = None;
                        }
                        if offset % 5 == 0 && answered < offset {
                            place = Some(Place::at(offset));
                            is_paused = true;
                            continue;
                        }
                        prop_assert!(offset <= done + 1, "{offset} came after {done}");
                        done = done.max(offset);
                    }
                }
            }
        }
    }
}
