//! Kafka deletes commands while a running writer stands still. The writer says how many it has lost, and goes on.

use millrace_schemas::partition_of;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::{Offset, TopicPartitionList};

use crate::client::{Client, JsonCommand};
use crate::service::freeze;
use crate::world::{World, stream};

crate::promises![a_running_writer_that_deletion_overtakes_counts_the_lost_commands_and_goes_on];

/// Commands of each partition while the writer stands still, and how many of them Kafka deletes.
const SENT: i64 = 20;
const DELETED: i64 = 18;

async fn a_running_writer_that_deletion_overtakes_counts_the_lost_commands_and_goes_on(world: World) {
    // Each fetch gets one batch of a partition at most, so only one command of each is already on its way to the writer
    // when Kafka deletes them; and the group does not take the writer for dead.
    let settings = [
        ("MILLRACE_KAFKA_PROPERTIES", r#"{"max.partition.fetch.bytes"="1"}"#),
        ("MILLRACE_SESSION_TIMEOUT_MS", "120000"),
    ];
    let mut writer = world.service_with(&["writer"], &settings).await;
    let client = Client::new(&world);
    client.send(&JsonCommand::open("open-a", "a", None)).await;
    assert_eq!(world.outcome("open-a").await["outcome"], "accepted");
    // the writer has read the partition of "a" before, and never a record of the other one
    let partition = |account: &str| partition_of(&stream(&format!("account-{account}")), 4);
    let unread = (0..).map(|n| format!("b{n}")).find(|b| partition(b) != partition("a")).expect("one of them");

    freeze(writer.pid()).await;
    for account in ["a", &unread] {
        for n in 0..SENT {
            // one by one, so that each is a batch of its own
            client.send(&JsonCommand::open(format!("again-{account}-{n}"), account, None)).await;
        }
    }
    delete_before(&world, &[(partition("a"), 1 + DELETED), (partition(&unread), DELETED)]).await;
    writer.signal("-CONT");

    for account in ["a", &unread] {
        // the second one of those that are left
        world.outcome(&format!("again-{account}-{}", SENT - 1)).await;
    }
    let read = world.stored_outcomes().await.len() as i64;
    let lost = 1 + 2 * SENT - read;
    assert!(lost >= 2 * (DELETED - 1), "{lost}");
    assert_eq!(writer.metric("millrace_writer_missing_commands_total").await, lost as f64, "{}", writer.log());
    assert_eq!(numbers_after(&writer.log(), "missing="), lost, "{}", writer.log());
    // the next writer does not count them again
    writer.leave().await;
    writer.restart();
    writer.wait_until_ready().await;
    client.send(&JsonCommand::post("after", &[("a", 1), (&unread, -1)])).await;
    assert_eq!(world.outcome("after").await["outcome"], "accepted");
    assert_eq!(writer.metric("millrace_writer_missing_commands_total").await, 0.0);
}

/// Has Kafka delete a partition's commands before an offset.
async fn delete_before(world: &World, offsets: &[(i32, i64)]) {
    let mut before = TopicPartitionList::new();
    for (partition, offset) in offsets {
        let offset = Offset::Offset(*offset);
        before.add_partition_offset(&world.log.commands_topic(), *partition, offset).expect("an offset");
    }
    let kafka = &world.stack.addresses().kafka_bootstrap;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka).create().expect("an admin");
    admin.delete_records(&before, &AdminOptions::new()).await.expect("Kafka deletes them");
}

/// The sum of the numbers that follow a text.
fn numbers_after(text: &str, before: &str) -> i64 {
    let digits = text.split(before).skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    digits.filter_map(|digits| digits?.parse::<i64>().ok()).sum()
}
