use std::collections::VecDeque;

use millrace_runtime::kafka::{Inbox, Outbox, Outgoing, consumer_config, producer_config};
use millrace_runtime::{Overrides, Settings};
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
    waiting.begin(&next().await, Reason::Schema(7));
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
    waiting.go_on(|reason| matches!(reason, Reason::Schema(7)));
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
