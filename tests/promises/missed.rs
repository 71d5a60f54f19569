//! An event that a read model missed without anybody seeing it, and the audit that names it.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_runtime::kafka::{client_config, delete_topics};
use rdkafka::Message;
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::FutureRecord;
use serde_json::Value;

use crate::client::{Client, JsonCommand, header};
use crate::world::{World, wait_until};

crate::promises![
    a_record_removed_from_the_topic_is_named_by_the_audit_while_lag_says_nothing,
    the_audit_tells_a_checkpoint_that_somebody_changed
];

const RESET: [&str; 5] = ["projectors", "reset", "reporting", "--yes-really-empty", "reporting"];

/// Opens an account and posts so often to it that its partition has more than one row of fingerprints.
async fn post(world: &World, client: &Client, sets: i64) {
    let open = |account: &str| JsonCommand::open(format!("open-{account}"), account, None);
    client.send_all(&[open("a"), open("bank")]).await;
    world.wait_for_outcomes(2).await;
    let set = |n| JsonCommand::post(format!("set-{n}"), &[("a", 1), ("bank", -1)]);
    client.send_all(&(0..sets).map(set).collect::<Vec<_>>()).await;
    world.wait_for_outcomes(2 + sets).await;
    world.audit().await;
}

async fn a_record_removed_from_the_topic_is_named_by_the_audit_while_lag_says_nothing(world: World) {
    let client = Client::new(&world);
    let mut services = world.pipeline().await;
    post(&world, &client, 600).await;
    let records = client.read(&world.log.events_topic()).await;
    let events: i64 = records.values().map(|records| records.len() as i64).sum();
    for mut service in services.drain(1..) {
        assert_eq!(service.leave().await, Some(0));
    }
    // one event is gone, and another stands at its position, so that there is no hole
    let (partition, removed) = records.iter().find(|(_, records)| records.len() > 500).expect("a long partition");
    let (position, id) = (400, header(&removed[399], "ce_id").expect("an id"));
    make_topic_anew(&world).await;
    write_without(&world, &client, &records, *partition, position).await;
    world.millrace(&RESET).await;
    let mut reporting = world.service(&["projector", "reporting"]).await;
    wait_until("reporting has applied all", async || behind(&world).await == Some(0)).await;
    assert_ne!(world.balance("a").await, Some(600), "it is wrong");
    let printed = fails(&world).await;
    assert!(printed.contains(&format!("position {position} at offset {}", position - 1)), "{printed}");
    assert!(printed.contains(&id), "{printed}");
    // the topic is mended, and the read model still is what it was made of
    assert_eq!(reporting.leave().await, Some(0));
    make_topic_anew(&world).await;
    let _others = (world.service(&["relay"]).await, world.service(&["projector", "search"]).await);
    reporting.restart();
    wait_until("the topic has all", async || {
        client.read(&world.log.events_topic()).await.values().map(|records| records.len() as i64).sum::<i64>() == events
    })
    .await;
    wait_until("reporting has nothing to do", async || behind(&world).await == Some(0)).await;
    let printed = fails(&world).await;
    let names = format!("reporting has applied another event at position {position} of partition {partition}");
    assert!(printed.contains(&names) && printed.contains(&id), "{printed}");
    // and the remedy that it names is one
    assert_eq!(reporting.leave().await, Some(0));
    world.millrace(&RESET).await;
    reporting.restart();
    world.audit().await;
    assert_eq!(world.balance("a").await, Some(600));
}

async fn the_audit_tells_a_checkpoint_that_somebody_changed(world: World) {
    let services = world.pipeline().await;
    post(&world, &Client::new(&world), 300).await;
    drop(services);
    let postgres = world.pool(1).get().await.expect("Postgres");
    for (change, mend, told) in [
        ("events = events - 1", "events = events + 1", "fingerprint of no event does"),
        ("ids_hash = ids_hash # 1", "ids_hash = ids_hash # 1", "fingerprint of no event does"),
    ] {
        let update = async |change| {
            let sql = format!("UPDATE search.checkpoints SET {change} WHERE position > 200");
            postgres.batch_execute(&sql).await.expect("changed");
        };
        update(change).await;
        let printed = fails(&world).await;
        assert!(printed.contains("search has counted") && printed.contains(told), "{change}: {printed}");
        update(mend).await;
        world.audit().await;
    }
    let gone = "UPDATE search.checkpoints SET ids_hash = 0 WHERE position > 200;
                DELETE FROM search.fingerprints WHERE first = 257";
    postgres.batch_execute(gone).await.expect("changed");
    let printed = fails(&world).await;
    assert!(printed.contains("It has no fingerprint of position 257"), "{printed}");
}

/// How many events `reporting` is behind.
async fn behind(world: &World) -> Option<i64> {
    let (code, printed) = world.try_millrace(&["lag", "--interval", "0.1", "--output", "json"]).await;
    let lag: Value = if code == 0 { serde_json::from_str(&printed).expect("JSON") } else { return None };
    let rows = lag["rows"].as_array().expect("rows");
    rows.iter().find(|row| row["stage"] == "reporting")?["behind"].as_i64()
}

/// What the audit says, which must find something.
async fn fails(world: &World) -> String {
    let (code, printed) = world.try_millrace(&["audit", "--wait", "0"]).await;
    assert_eq!(code, 1, "{printed}");
    printed
}

async fn make_topic_anew(world: &World) {
    let config = client_config(&world.settings).expect("settings");
    delete_topics(&config, &[world.log.events_topic()]).await.expect("Kafka");
    // a topic takes a moment to be gone
    wait_until("the topic is made anew", async || world.try_millrace(&["migrate"]).await.0 == 0).await;
}

/// Writes the records again, but at `position` of `partition` the one before stands once more instead of its own.
async fn write_without(
    world: &World,
    client: &Client,
    records: &BTreeMap<i32, Vec<OwnedMessage>>,
    partition: i32,
    position: i64,
) {
    let topic = world.log.events_topic();
    for (of, records) in records {
        let mut before: Option<&OwnedMessage> = None;
        for record in records {
            let own = header(record, "log-position").expect("a position");
            let is_removed = *of == partition && own == position.to_string();
            let source = if is_removed { before.expect("one before") } else { record };
            let headers = source.headers().expect("headers").iter().filter(|header| header.key != "log-position");
            let headers = headers.fold(OwnedHeaders::new(), |all, header| all.insert(header));
            let headers = headers.insert(Header { key: "log-position", value: Some(&own) });
            let copy = FutureRecord::to(&topic)
                .partition(*of)
                .headers(headers)
                .key(source.key().expect("a key"))
                .payload(source.payload().expect("a value"));
            client.producer.send(copy, Duration::from_secs(10)).await.expect("Kafka takes it");
            before = Some(record);
        }
    }
}
