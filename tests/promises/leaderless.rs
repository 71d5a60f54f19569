//! One partition of the event topic has no leader. Only that partition waits, in a relay that runs and in one that
//! starts.

use std::time::Duration;

use millrace_schemas::partition_of;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::client::{Client, JsonCommand};
use crate::second_broker::{NODE, SecondBroker, consumer};
use crate::service::{freeze, signal};
use crate::world::{World, stream, wait_until};

crate::promises![; disturbs: a_partition_without_a_leader_waits_alone_in_a_relay_that_runs_and_in_one_that_starts];

/// The partition that lives on the second broker only.
const APART: i32 = 1;

async fn a_partition_without_a_leader_waits_alone_in_a_relay_that_runs_and_in_one_that_starts(world: World) {
    let client = Client::new(&world);
    let open = async |from: usize| {
        let opens = (from..from + 24).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None));
        client.send_all(&opens.collect::<Vec<_>>()).await;
        world.wait_for_outcomes(from as i64 + 24).await;
    };
    // its group makes Kafka's topic of offsets, which then lives on the first broker
    let _writer = world.service(&["writer"]).await;
    open(0).await;
    let broker = SecondBroker::start(&world).await;
    move_partition_apart(&world).await;
    let (mut relay, _reporting, _search) = tokio::join!(
        world.service(&["relay"]),
        world.service(&["projector", "reporting"]),
        world.service(&["projector", "search"])
    );
    world.audit().await;

    freeze(broker.pid).await;
    let metadata = consumer(&world);
    wait_until("the partition has no leader", async || leader(&metadata, &world, APART) == Some(-1)).await;
    let the_others_are_shown = async |from: usize| {
        let partition = |n: usize| partition_of(&stream(&format!("account-a{n}")), 4);
        for n in (from..from + 24).filter(|n| partition(*n) != APART) {
            let what = format!("the relay publishes the other partitions (its log: {})", relay_log(&world));
            wait_until(&what, async || world.balance(&format!("a{n}")).await == Some(0)).await;
        }
        for n in (from..from + 24).filter(|n| partition(*n) == APART) {
            assert_eq!(world.balance(&format!("a{n}")).await, None, "its partition has no leader");
        }
    };
    for round in 1..4 {
        open(24 * round).await;
        the_others_are_shown(24 * round).await;
    }
    relay.kill();
    relay.restart();
    open(24 * 4).await;
    the_others_are_shown(24 * 4).await;

    signal(broker.pid, "-CONT");
    world.audit().await;
    relay.wait_until_ready().await;
}

fn relay_log(world: &World) -> String {
    world.stack.log_file(&format!("{}-relay-*", world.log)).display().to_string()
}

/// Makes the event topic anew, before anything is published, with one partition on the second broker.
async fn move_partition_apart(world: &World) {
    let kafka = &world.stack.addresses().kafka_bootstrap;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka).create().expect("an admin");
    let (topic, options) = (world.log.events_topic(), AdminOptions::new().operation_timeout(Some(PATIENCE)));
    let deleted = admin.delete_topics(&[&topic], &options).await.expect("Kafka");
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    let first: &[i32] = &[1];
    let mut replicas = [first; 4];
    replicas[APART as usize] = &[NODE];
    let new = NewTopic::new(&topic, 4, TopicReplication::Variable(&replicas)).set("retention.ms", "-1");
    wait_until("the topic is there again", async || {
        let created = admin.create_topics([&new], &options).await.expect("Kafka");
        created.iter().all(Result::is_ok)
    })
    .await;
    let metadata = consumer(world);
    wait_until("its partition is on the second broker", async || leader(&metadata, world, APART) == Some(NODE)).await;
}

const PATIENCE: Duration = Duration::from_secs(5);

/// The number of the broker that leads a partition of the event topic; -1 without one.
fn leader(consumer: &BaseConsumer, world: &World, partition: i32) -> Option<i32> {
    let metadata = consumer.fetch_metadata(Some(&world.log.events_topic()), PATIENCE).ok()?;
    let partitions = metadata.topics().first()?.partitions();
    Some(partitions.iter().find(|found| found.id() == partition)?.leader())
}
