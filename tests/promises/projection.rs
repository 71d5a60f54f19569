//! Promises 5 and 6 without kills: the topic is the log, and projectors apply it once, while instances come and go.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_schemas::partition_of;
use rdkafka::Message;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::FutureRecord;

use crate::client::{Client, JsonCommand, header};
use crate::service::Service;
use crate::world::{World, stream, wait_until};

crate::promises![
    the_topic_holds_the_log_in_order_each_event_once_with_its_headers,
    a_rebalance_between_two_projector_instances_neither_loses_nor_doubles_an_event,
    two_projectors_that_do_not_know_of_each_other_apply_each_event_once_between_them,
    a_read_model_that_lost_its_last_commits_gets_them_back_while_nothing_comes,
    a_relay_that_was_frozen_for_longer_than_its_session_publishes_nothing_again,
    several_relays_share_the_partitions_and_hand_them_over,
    a_relay_that_is_not_told_of_appends_any_more_finds_them_by_itself,
    an_account_opened_and_closed_in_one_batch_is_closed_whatever_came_before,
    a_projector_drops_what_it_has_and_stops_before_a_hole_while_other_partitions_go_on
];

fn opens(count: usize) -> Vec<JsonCommand> {
    let mut opens: Vec<_> =
        (0..count).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None)).collect();
    opens.push(JsonCommand::open("open-bank", "bank", None));
    opens
}

fn sets(accounts: usize, from: usize, to: usize) -> Vec<JsonCommand> {
    let set = |n: usize| JsonCommand::post(format!("set-{n}"), &[(&format!("a{}", n % accounts), 1), ("bank", -1)]);
    (from..to).map(set).collect()
}

async fn the_topic_holds_the_log_in_order_each_event_once_with_its_headers(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    client.send_all(&opens(10)).await;
    world.wait_for_outcomes(11).await;
    client.send_all(&sets(10, 0, 200)).await;
    world.wait_for_outcomes(211).await;
    world.audit().await;
    let pool = world.pool(1);
    let sql =
        "SELECT partition, position, event_id::text, stream_id, e.version, s.name, causation_id, data, s.registry_id
                 FROM events AS e JOIN schemas AS s ON s.number = e.schema ORDER BY 1, 2";
    let rows = pool.get().await.expect("Postgres").query(sql, &[]).await.expect("events");
    let mut log: BTreeMap<i32, Vec<_>> = BTreeMap::new();
    for row in &rows {
        let (position, version): (i64, i64) = (row.get(1), row.get(4));
        let texts: [String; 4] = [row.get(2), row.get(3), row.get(5), row.get(6)];
        // byte for byte the datum in Postgres, behind the frame
        let (data, id): (Vec<u8>, i32) = (row.get(7), row.get(8));
        let value = [&[0], &id.to_be_bytes()[..], &data].concat();
        log.entry(row.get(0)).or_default().push((position.to_string(), version.to_string(), texts, value));
    }
    let mut topic = client.read(&world.log.events_topic()).await;
    topic.retain(|_, records| !records.is_empty());
    let told = |record: &_, name| header(record, name).unwrap_or_else(|| panic!("header {name}"));
    let topic: BTreeMap<i32, Vec<_>> = topic
        .into_iter()
        .map(|(partition, records)| {
            let records = records.iter().map(|record| {
                assert_eq!(told(record, "ce_specversion"), "1.0");
                assert_eq!(told(record, "ce_subject").as_bytes(), record.key().expect("a key"));
                assert!(told(record, "ce_time").parse::<jiff::Timestamp>().is_ok());
                assert!(!told(record, "correlation-id").is_empty() && !told(record, "ce_source").is_empty());
                let texts = [
                    told(record, "ce_id"),
                    told(record, "ce_subject"),
                    told(record, "ce_type"),
                    told(record, "causation-id"),
                ];
                let value = record.payload().expect("a value").to_vec();
                (told(record, "log-position"), told(record, "stream-version"), texts, value)
            });
            (partition, records.collect())
        })
        .collect();
    assert_eq!(log, topic);
}

async fn a_rebalance_between_two_projector_instances_neither_loses_nor_doubles_an_event(world: World) {
    let _others = (
        world.service(&["writer"]).await,
        world.service(&["relay"]).await,
        world.service(&["projector", "search"]).await,
    );
    let _first = world.service(&["projector", "reporting"]).await;
    let client = Client::new(&world);
    client.send_all(&opens(40)).await;
    world.wait_for_outcomes(41).await;
    client.send_all(&sets(40, 0, 1000)).await;
    // a second instance comes while events flow, takes over partitions, and leaves again
    let mut second = world.service(&["projector", "reporting"]).await;
    let mut sent = 1000;
    wait_until("the second instance has applied something", async || {
        client.send_all(&sets(40, sent, sent + 50)).await;
        sent += 50;
        let metrics = second.metrics().await;
        let mut applied = metrics.lines().filter(|line| line.starts_with("millrace_projector_events_applied_total{"));
        applied.any(|line| !line.ends_with(" 0"))
    })
    .await;
    client.send_all(&sets(40, sent, sent + 500)).await;
    assert_eq!(second.leave().await, Some(0));
    client.send_all(&sets(40, sent + 500, sent + 1000)).await;
    let all = i64::try_from(sent + 1000).expect("a count");
    world.wait_for_outcomes(41 + all).await;
    world.audit().await;
    assert_eq!(world.balance("bank").await, Some(-all));
}

async fn two_projectors_that_do_not_know_of_each_other_apply_each_event_once_between_them(world: World) {
    let _others = (
        world.service(&["writer"]).await,
        world.service(&["relay"]).await,
        world.service(&["projector", "search"]).await,
    );
    // Two groups, so that both instances read everything, like one that has lost its partitions and does not know it
    // yet.
    let group = |name: &str| format!("{}.{name}", world.log);
    let first = world.service(&["projector", "reporting", "--group", &group("one")]).await;
    let second = world.service(&["projector", "reporting", "--group", &group("two")]).await;
    let client = Client::new(&world);
    client.send_all(&opens(40)).await;
    let mut sent = 0;
    let applied = async |service: &Service| service.metric("millrace_projector_events_applied_total").await;
    wait_until("both have applied something", async || {
        client.send_all(&sets(40, sent, sent + 100)).await;
        sent += 100;
        applied(&first).await > 0.0 && applied(&second).await > 0.0
    })
    .await;
    world.wait_for_outcomes(41 + i64::try_from(sent).expect("a count")).await;
    let report = world.audit().await;
    let both = applied(&first).await + applied(&second).await;
    assert_eq!(Some(both), report["events"].as_f64(), "each event once");
}

async fn a_read_model_that_lost_its_last_commits_gets_them_back_while_nothing_comes(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    client.send_all(&opens(5)).await;
    world.wait_for_outcomes(6).await;
    world.audit().await;
    let pool = world.pool(1);
    let postgres = pool.get().await.expect("Postgres");
    let keep = "CREATE TABLE kept AS TABLE reporting.account_balances;
                CREATE TABLE kept_days AS TABLE reporting.daily_totals;
                CREATE TABLE kept_checkpoints AS TABLE reporting.checkpoints";
    postgres.batch_execute(keep).await.expect("kept");
    client.send_all(&sets(5, 0, 50)).await;
    world.wait_for_outcomes(56).await;
    world.audit().await;
    // as after a crash: rows and checkpoints go back together, and no event is on its way
    let lose = "BEGIN;
                DELETE FROM reporting.account_balances; INSERT INTO reporting.account_balances TABLE kept;
                DELETE FROM reporting.daily_totals; INSERT INTO reporting.daily_totals TABLE kept_days;
                DELETE FROM reporting.checkpoints; INSERT INTO reporting.checkpoints TABLE kept_checkpoints;
                COMMIT";
    postgres.batch_execute(lose).await.expect("lost");
    assert_eq!(world.balance("bank").await, Some(0));
    wait_until("reporting has them again", async || world.balance("bank").await == Some(-50)).await;
    world.audit().await;
}

async fn a_relay_that_was_frozen_for_longer_than_its_session_publishes_nothing_again(world: World) {
    let _others = (
        world.service(&["writer"]).await,
        world.service(&["projector", "reporting"]).await,
        world.service(&["projector", "search"]).await,
    );
    let frozen = world.service(&["relay"]).await;
    let client = Client::new(&world);
    client.send_all(&opens(40)).await;
    world.wait_for_outcomes(41).await;
    world.audit().await; // all is published, nothing on its way
    frozen.signal("-STOP");
    let second = world.service(&["relay"]).await;
    client.send_all(&sets(40, 0, 500)).await;
    wait_until("the other relay has taken over", async || {
        second.metric("millrace_relay_assigned_partitions").await == 4.0
    })
    .await;
    world.wait_for_outcomes(541).await;
    world.audit().await;
    frozen.signal("-CONT");
    client.send_all(&sets(40, 500, 1000)).await;
    world.wait_for_outcomes(1041).await;
    wait_until("the frozen relay is a member again", async || {
        frozen.metric("millrace_relay_assigned_partitions").await > 0.0
            && second.metric("millrace_relay_assigned_partitions").await < 4.0
    })
    .await;
    client.send_all(&sets(40, 1000, 1500)).await;
    world.wait_for_outcomes(1541).await;
    world.audit().await;
}

async fn several_relays_share_the_partitions_and_hand_them_over(world: World) {
    let _others = (
        world.service(&["writer"]).await,
        world.service(&["projector", "reporting"]).await,
        world.service(&["projector", "search"]).await,
    );
    let mut first = world.service(&["relay"]).await;
    let client = Client::new(&world);
    client.send_all(&opens(40)).await;
    world.wait_for_outcomes(41).await;
    client.send_all(&sets(40, 0, 1000)).await;
    let second = world.service(&["relay"]).await;
    let mut sent = 1000;
    wait_until("both relays hold partitions and publish", async || {
        client.send_all(&sets(40, sent, sent + 100)).await;
        sent += 100;
        let mut publishing = true;
        for relay in [&first, &second] {
            publishing &= relay.metric("millrace_relay_assigned_partitions").await > 0.0;
            publishing &= relay.metric("millrace_relay_published_events_total").await > 0.0;
        }
        publishing
    })
    .await;
    assert_eq!(first.leave().await, Some(0));
    client.send_all(&sets(40, sent, sent + 1000)).await;
    world.wait_for_outcomes(41 + 1000 + i64::try_from(sent).expect("a count")).await;
    world.audit().await;
}

async fn a_relay_that_is_not_told_of_appends_any_more_finds_them_by_itself(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    client.send_all(&opens(10)).await;
    world.wait_for_outcomes(11).await;
    let postgres = world.pool(1).get().await.expect("Postgres");
    let listening = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let mut sent = 0;
    for _ in 0..3 {
        let told_again = async || !postgres.query(listening, &[]).await.expect("pg_stat_activity").is_empty();
        wait_until("the relay listens", told_again).await;
        let cut = format!("SELECT pg_terminate_backend(pid) FROM ({listening}) AS listening");
        postgres.execute(&cut, &[]).await.expect("it can be cut");
        client.send_all(&sets(10, sent, sent + 100)).await;
        sent += 100;
        world.wait_for_outcomes(11 + i64::try_from(sent).expect("a count")).await;
        world.audit().await;
    }
}

/// A connection that has already prepared the closing, but not the balances, must still write the balance first.
async fn an_account_opened_and_closed_in_one_batch_is_closed_whatever_came_before(world: World) {
    let _others = (world.service(&["writer"]).await, world.service(&["relay"]).await);
    let client = Client::new(&world);
    let closed = async |account: &str| {
        let postgres = world.pool(1).get().await.expect("Postgres");
        let sql = "SELECT closed_at IS NOT NULL FROM reporting.account_balances WHERE account_id = $1";
        postgres.query_opt(sql, &[&account]).await.expect("balances").map(|row| row.get::<_, bool>(0))
    };
    let first = world.service(&["projector", "reporting"]).await;
    client.send_all(&[JsonCommand::open("open-b", "b", None)]).await;
    wait_until("b is there", async || closed("b").await == Some(false)).await;
    drop(first);
    let _second = world.service(&["projector", "reporting"]).await;
    client.send_all(&[JsonCommand::close("close-b", "b")]).await;
    wait_until("b is closed", async || closed("b").await == Some(true)).await;
    for n in 0..5 {
        let account = format!("a{n}");
        let both = [
            JsonCommand::open(format!("open-{n}"), &account, None),
            JsonCommand::close(format!("close-{n}"), &account),
        ];
        client.send_all(&both).await;
        wait_until("the account is closed", async || closed(&account).await == Some(true)).await;
    }
}

async fn a_projector_drops_what_it_has_and_stops_before_a_hole_while_other_partitions_go_on(world: World) {
    let client = Client::new(&world);
    let services = world.pipeline().await;
    client.send_all(&opens(40)).await;
    world.wait_for_outcomes(41).await;
    world.audit().await;
    let (partition, offset) = write_again_and_far_ahead(&world, &client).await;
    let reporting = &services[2];
    let shows = async |metric: &str, holds: fn(&str) -> bool| {
        let metrics = reporting.metrics().await;
        metrics.lines().any(|line| line.starts_with(metric) && line.rsplit(' ').next().is_some_and(holds))
    };
    let has_stopped = async || shows("millrace_projector_stopped_partitions", |value| value == "1").await;
    wait_until("reporting has stopped the partition", has_stopped).await;
    assert!(shows("millrace_projector_duplicates_total", |value| value != "0").await, "nothing was dropped");
    // the projector applied neither of the two records
    let pool = world.pool(1);
    let sql =
        "SELECT count(*), count(*) FILTER (WHERE balance_minor <> 0 OR entries <> 0) FROM reporting.account_balances";
    let row = pool.get().await.expect("Postgres").query_one(sql, &[]).await.expect("balances");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (41, 0));
    // the other partitions go on; the relay has nothing to publish in this one, so it does not look at its end
    let elsewhere = |account: &String| partition_of(&stream(&format!("account-{account}")), 4) != partition;
    let account = (0..).map(|n| format!("elsewhere-{n}")).find(elsewhere).expect("one of many is elsewhere");
    client.send(&JsonCommand::open("open-elsewhere", &account, None)).await;
    wait_until("reporting shows an account of another partition", async || world.balance(&account).await == Some(0))
        .await;
    assert!(has_stopped().await, "the partition goes on");
    // and the audit names the first of the two
    let (code, printed) = world.try_millrace(&["audit", "--wait", "90"]).await;
    assert_eq!(code, 1, "{printed}");
    assert!(
        printed.contains(&format!("the topic has position 1 at offset {offset} of partition {partition}")),
        "{printed}"
    );
}

/// Writes to the topic as a foreign producer: an event again, and one far ahead, which leaves a hole. Returns their
/// partition and the offset of the first.
async fn write_again_and_far_ahead(world: &World, client: &Client) -> (i32, i64) {
    let topic = world.log.events_topic();
    let records = client.read(&topic).await;
    let (partition, records) = records.iter().find(|(_, records)| records.len() >= 2).expect("a partition with events");
    let mut offsets = Vec::new();
    for (record, position) in [(&records[0], None), (&records[1], Some("1000000"))] {
        let headers = record.headers().expect("headers").iter();
        let kept = headers.filter(|header| position.is_none() || header.key != "log-position");
        let mut again = kept.fold(OwnedHeaders::new(), |all, header| all.insert(header));
        if let Some(position) = position {
            again = again.insert(Header { key: "log-position", value: Some(position) });
        }
        let copy = FutureRecord::to(&topic)
            .partition(*partition)
            .headers(again)
            .key(record.key().expect("a key"))
            .payload(record.payload().expect("a value"));
        let sent = client.producer.send(copy, Duration::from_secs(10)).await.expect("Kafka takes it");
        offsets.push(sent.offset);
    }
    (*partition, offsets[0])
}
