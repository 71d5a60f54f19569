//! Promise 11: nothing is lost in silence. Each of these faults once lost something, or stopped a service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use millrace_compose::Silent;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::client::{Client, JsonCommand, header, text_headers};
use crate::raw_record::produce;
use crate::world::{World, stream, wait_until};

crate::promises![
    a_command_under_a_foreign_schema_or_with_too_many_items_is_dead_lettered_and_kills_no_writer,
    a_command_that_postgres_refuses_is_dead_lettered_alone,
    a_read_only_postgres_is_waited_for,
    commands_that_expired_before_they_were_read_are_counted,
    commands_that_kafka_says_are_dealt_with_and_postgres_does_not_have_are_read_again,
    a_partition_that_contradicts_postgres_halts_alone,
    a_partition_whose_next_event_kafka_finds_too_large_is_halted_as_everybody_can_see_until_the_limit_is_raised,
    events_that_are_recorded_ahead_of_the_clock_are_published_and_it_is_said,
    a_statement_that_can_never_succeed_stops_its_projector_and_no_other
    ; disturbs:
    after_a_failover_that_lost_commits_nothing_is_published_over_the_fork,
    a_writer_that_has_committed_nothing_yet_reads_the_commands_again_whose_commits_a_restored_copy_lacks
];

fn opens(count: usize) -> Vec<JsonCommand> {
    (0..count).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None)).collect()
}

/// Registers a schema under a subject, and returns its id.
async fn register(world: &World, subject: &str, schema: &Value) -> u32 {
    let registry = format!("{}/subjects/{subject}/versions", world.stack.addresses().registry_url);
    let request = reqwest::Client::new().post(registry).json(&json!({"schema": schema.to_string()}));
    let answer: Value = request.send().await.expect("the registry").json().await.expect("an answer");
    u32::try_from(answer["id"].as_u64().unwrap_or_else(|| panic!("registered: {answer}"))).expect("an id")
}

async fn a_command_under_a_foreign_schema_or_with_too_many_items_is_dead_lettered_and_kills_no_writer(world: World) {
    let _writer = world.service(&["writer"]).await;
    let client = Client::new(&world);
    let mut schema: Value =
        serde_json::from_str(include_str!("../../schemas/ledger/commands/CloseAccount.avsc")).expect("JSON");
    let nulls = json!({"type": "array", "items": {"type": "array", "items": "null"}});
    schema["fields"].as_array_mut().expect("fields").push(json!({"name": "more", "type": nulls, "default": []}));
    // account "x", and 10,000 arrays of four million nulls each: two hundred gigabytes of values
    let block = [0x80, 0x92, 0xf4, 0x03, 0];
    let mut datum = vec![2, b'x', 0xa0, 0x9c, 0x01];
    datum.extend(block.repeat(10_000));
    datum.push(0);
    let value = |id: u32| [&[0], &id.to_be_bytes()[..], &datum].concat();
    let foreign = register(&world, "somebody-elses", &schema).await;
    client.send_raw(Some("account-x"), Some(&value(foreign)), text_headers(&[("ce_id", "foreign")])).await;
    client.send(&JsonCommand::open("behind", "x", None)).await;
    assert_eq!(world.outcome("behind").await["outcome"], "accepted");
    assert_eq!(world.outcome("foreign").await["code"], "foreign_schema");
    // under the log's own subject it is a version of the command, but its data still cost too much to decode
    schema["doc"] = "the log's own".into();
    let own = register(&world, &format!("{}.commands-millrace.ledger.CloseAccount", world.log), &schema).await;
    client.send_raw(Some("account-x"), Some(&value(own)), text_headers(&[("ce_id", "bomb")])).await;
    client.send(&JsonCommand::open("behind-2", "y", None)).await;
    assert_eq!(world.outcome("behind-2").await["outcome"], "accepted");
    assert_eq!(world.outcome("bomb").await["code"], "too_complex");
}

async fn a_command_that_postgres_refuses_is_dead_lettered_alone(world: World) {
    let writer = world.service_with(&["writer"], &[("MILLRACE_BATCH_LINGER_MS", "300")]).await;
    let client = Client::new(&world);
    let db = world.pool(1).get().await.expect("Postgres");
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                  BEGIN RAISE EXCEPTION 'out of range' USING ERRCODE = '22003'; END $$;
                  CREATE TRIGGER refuse BEFORE INSERT ON events
                      FOR EACH ROW WHEN (NEW.stream_id = 'account-a3') EXECUTE FUNCTION refuse()";
    db.batch_execute(refuse).await.expect("the owner of the table may");
    client.send_all(&opens(8)).await;
    for n in 0..8 {
        let outcome = world.outcome(&format!("open-{n}")).await;
        let expected = if n == 3 { "dead-lettered" } else { "accepted" };
        assert_eq!(outcome["outcome"], expected, "{outcome}");
    }
    assert_eq!(world.outcome("open-3").await["code"], "refused_by_postgres");
    client.send(&JsonCommand::open("after", "after", None)).await;
    assert_eq!(world.outcome("after").await["outcome"], "accepted");
    assert!(writer.metric("millrace_writer_commands_total").await >= 9.0, "the same writer");
}

async fn a_read_only_postgres_is_waited_for(world: World) {
    let services = world.pipeline().await;
    let client = Client::new(&world);
    client.send_all(&opens(2)).await;
    world.wait_for_outcomes(2).await;
    let pool = world.pool(2);
    let db = pool.get().await.expect("Postgres");
    let set = async |read_only: &str| {
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                          WHERE datname = current_database() AND pid <> pg_backend_pid()
                            AND backend_type = 'client backend'";
        db.batch_execute(&format!(
            "SET default_transaction_read_only = off;
             ALTER DATABASE {} SET default_transaction_read_only = {read_only}; {terminate}",
            world.log
        ))
        .await
        .expect("its owner may");
    };
    set("on").await;
    let sets = (0..50).map(|n| JsonCommand::post(format!("set-{n}"), &[("a0", 1), ("a1", -1)]));
    client.send_all(&sets.collect::<Vec<_>>()).await;
    let failed = "millrace_retries_total{operation=\"append\"}";
    wait_until("the append is tried again", async || {
        services[0].metrics().await.lines().any(|line| line.starts_with(failed) && !line.ends_with(" 0"))
    })
    .await;
    set("off").await;
    world.wait_for_outcomes(52).await;
    world.audit().await;
    assert_eq!(world.balance("a0").await, Some(50));
    assert!(services[0].metric("millrace_writer_commands_total").await >= 52.0, "the same writer");
}

fn kafka(world: &World) -> ClientConfig {
    ClientConfig::new().set("bootstrap.servers", &world.stack.addresses().kafka_bootstrap).clone()
}

async fn commands_that_expired_before_they_were_read_are_counted(world: World) {
    let client = Client::new(&world);
    client.send_all(&opens(40)).await;
    let topic = world.log.commands_topic();
    let commands = client.read(&topic).await;
    let (partition, records) = commands.iter().max_by_key(|(_, records)| records.len()).expect("commands");
    let gone = records.len() - 2;
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&topic, *partition, Offset::Offset(gone as i64)).expect("an offset");
    let admin: AdminClient<DefaultClientContext> = kafka(&world).create().expect("an admin");
    admin.delete_records(&before, &AdminOptions::new()).await.expect("Kafka deletes them");
    let mut writer = world.service(&["writer"]).await;
    world.wait_for_outcomes((40 - gone) as i64).await;
    wait_until("they are counted", async || {
        writer.metric("millrace_writer_missing_commands_total").await == gone as f64
    })
    .await;
    assert!(writer.log().contains("gone from the topic before they were read"), "{}", writer.log());
    // once: the next writer does not count the same commands again
    writer.leave().await;
    writer.restart();
    writer.wait_until_ready().await;
    client.send(&JsonCommand::open("after", "after", None)).await;
    assert_eq!(world.outcome("after").await["outcome"], "accepted");
    assert_eq!(writer.metric("millrace_writer_missing_commands_total").await, 0.0);
}

async fn commands_that_kafka_says_are_dealt_with_and_postgres_does_not_have_are_read_again(world: World) {
    let client = Client::new(&world);
    client.send_all(&opens(30)).await;
    let topic = world.log.commands_topic();
    let mut ends = TopicPartitionList::new();
    for (partition, records) in client.read(&topic).await {
        ends.add_partition_offset(&topic, partition, Offset::Offset(records.len() as i64)).expect("an offset");
    }
    let mut config = kafka(&world);
    config.set("group.id", world.log.writer_group());
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.assign(&ends).expect("assigned");
        consumer.commit(&ends, CommitMode::Sync).expect("committed");
    })
    .await
    .expect("done");
    let writer = world.service(&["writer"]).await;
    world.wait_for_outcomes(30).await;
    assert!(writer.metric("millrace_writer_reread_commands_total").await >= 30.0);
}

async fn a_partition_that_contradicts_postgres_halts_alone(world: World) {
    let mut services = world.pipeline().await;
    let client = Client::new(&world);
    client.send_all(&opens(20)).await;
    world.wait_for_outcomes(20).await;
    world.audit().await;
    let [_, relay, ..] = &mut services[..] else { panic!("a pipeline has a relay") };
    relay.leave().await;
    // a foreign record at the end of partition 2, with the headers of an event that Postgres does not have
    let foreign: [(&[u8], &[u8]); 2] =
        [(b"ce_id", b"0193b5a0-0000-7000-8000-000000000000"), (b"log-position", b"9999")];
    produce(&world.stack.addresses().kafka_bootstrap, &world.log.events_topic(), 2, b"{}", &foreign);
    client
        .send_all(&(20..60).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None)).collect::<Vec<_>>())
        .await;
    world.wait_for_outcomes(60).await;
    relay.restart();
    wait_until("partition 2 is halted", async || relay.metric("millrace_relay_halted_partitions").await == 1.0).await;
    let partition = |n: usize| millrace_schemas::partition_of(&stream(&format!("account-a{n}")), 4);
    for n in (20..60).filter(|n| partition(*n) != 2) {
        wait_until("the others go on", async || world.balance(&format!("a{n}")).await == Some(0)).await;
    }
    let halts = world.open_log().await.halts(&world.pool(1).get().await.expect("Postgres")).await.expect("halts");
    assert_eq!(halts.iter().map(|halt| halt.partition).collect::<Vec<_>>(), [2]);
    let ready = reqwest::get(format!("http://{}/readyz", relay.address())).await.expect("an answer");
    assert_eq!(ready.status(), 503);
    let (_, lag) = world.try_millrace(&["lag"]).await;
    assert!(lag.contains("halted"), "{lag}");
}

async fn a_partition_whose_next_event_kafka_finds_too_large_is_halted_as_everybody_can_see_until_the_limit_is_raised(
    world: World,
) {
    let mut services = world.pipeline().await;
    let client = Client::new(&world);
    client.send_all(&opens(8)).await;
    world.wait_for_outcomes(8).await;
    world.audit().await;
    let limit = async |bytes: &str| {
        let topic = world.log.events_topic();
        let config = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("max.message.bytes", bytes);
        let admin: AdminClient<DefaultClientContext> = kafka(&world).create().expect("an admin");
        admin.alter_configs([&config], &AdminOptions::new()).await.expect("Kafka answers");
    };
    limit("300").await;
    client.send(&JsonCommand::open("open-large", "large", None)).await;
    let partition = millrace_schemas::partition_of(&stream("account-large"), 4);
    let log = world.open_log().await;
    let db = world.pool(1).get().await.expect("Postgres");
    wait_until("the halt is in Postgres", async || {
        log.halts(&db).await.expect("halts").iter().any(|halt| halt.partition == partition)
    })
    .await;
    let halts = log.halts(&db).await.expect("halts");
    assert!(halts.len() == 1 && halts[0].reason.contains("max.message.bytes"), "{halts:?}");
    let (_, lag) = world.try_millrace(&["lag"]).await;
    assert!(lag.contains("halted"), "{lag}");
    for service in &services[1..3] {
        wait_until("relay and projector say so", async || {
            let answer = reqwest::get(format!("http://{}/readyz", service.address())).await;
            answer.is_ok_and(|answer| answer.status() == 503)
        })
        .await;
    }
    limit("1048588").await;
    services[1].leave().await;
    services[1].restart();
    wait_until("the halt has ended", async || log.halts(&db).await.expect("halts").is_empty()).await;
    world.audit().await;
}

async fn events_that_are_recorded_ahead_of_the_clock_are_published_and_it_is_said(world: World) {
    let _writer = world.service(&["writer"]).await;
    let client = Client::new(&world);
    client.send_all(&opens(8)).await;
    world.wait_for_outcomes(8).await;
    // as if Postgres' clock had jumped two hours ahead, and back
    let ahead = "SELECT create_month(now() + interval '2 hours');
                 ALTER TABLE events DISABLE TRIGGER refuse_change;
                 UPDATE events SET recorded_at = recorded_at + interval '2 hours';
                 ALTER TABLE events ENABLE TRIGGER refuse_change";
    world.pool(1).get().await.expect("Postgres").batch_execute(ahead).await.expect("the owner of the tables may");
    let relay = world.service(&["relay"]).await;
    let sets = (0..20).map(|n| JsonCommand::post(format!("set-{n}"), &[("a0", 1), ("a1", -1)]));
    client.send_all(&sets.collect::<Vec<_>>()).await;
    world.wait_for_outcomes(28).await;
    client.read_at_least(&world.log.events_topic(), 8 + 40).await;
    wait_until("the relay says so", async || relay.metric("millrace_relay_recorded_ahead_seconds").await > 7000.0)
        .await;
    let _projectors = (world.service(&["projector", "reporting"]).await, world.service(&["projector", "search"]).await);
    world.audit().await;
}

async fn a_statement_that_can_never_succeed_stops_its_projector_and_no_other(world: World) {
    let services = world.pipeline().await;
    let client = Client::new(&world);
    client.send_all(&opens(2)).await;
    world.wait_for_outcomes(2).await;
    world.audit().await;
    let db = world.pool(1).get().await.expect("Postgres");
    db.batch_execute("ALTER TABLE reporting.account_balances RENAME COLUMN entries TO postings")
        .await
        .expect("its owner may");
    client.send(&JsonCommand::post("set", &[("a0", 1), ("a1", -1)])).await;
    wait_until("reporting stands still", async || {
        services[2].metric("millrace_projector_stopped_partitions").await >= 1.0
    })
    .await;
    wait_until("search goes on", async || {
        let (code, found) = world.try_millrace(&["search", "entry set"]).await;
        code == 0 && found.contains("set")
    })
    .await;
}

/// Copies a folder with its owners and times.
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(copied.success());
}

/// Stops Postgres, copies its data, and starts it again. A lagging asynchronous standby is nothing else than an older state
/// of the same Postgres.
async fn take_older_copy(world: &World) -> PathBuf {
    let copied = world.stack.data_dir().join("tmp").join("standby");
    world.stack.stop("postgres").await.expect("it stops");
    std::fs::create_dir_all(copied.parent().expect("a folder")).expect("a folder");
    copy(&world.stack.data_dir().join("postgres"), &copied);
    world.stack.start(&Silent).await.expect("it comes back");
    copied
}

/// Puts the older copy in Postgres' place.
async fn put_back(world: &World, older: &Path) {
    let data = world.stack.data_dir().join("postgres");
    world.stack.stop("postgres").await.expect("it stops");
    std::fs::remove_dir_all(&data).expect("deleted");
    std::fs::rename(older, &data).expect("the copy takes over");
    world.stack.start(&Silent).await.expect("it comes back");
}

async fn a_writer_that_has_committed_nothing_yet_reads_the_commands_again_whose_commits_a_restored_copy_lacks(
    world: World,
) {
    let mut writer = world.service(&["writer"]).await;
    let client = Client::new(&world);
    client.send_all(&opens(8)).await;
    world.wait_for_outcomes(8).await;
    let older = take_older_copy(&world).await;
    let sets = |name: &str| {
        let set = |n| JsonCommand::post(format!("{name}-{n}"), &[(&format!("a{n}"), 1), ("a0", -1)]);
        (1..8).map(set).collect::<Vec<_>>()
    };
    client.send_all(&sets("lost")).await;
    world.wait_for_outcomes(15).await;
    // this one knows the offsets only by what Postgres said when it got its partitions
    writer.leave().await;
    writer.restart();
    writer.wait_until_ready().await;
    wait_until("it has its partitions", async || writer.metric("millrace_writer_assigned_partitions").await == 4.0)
        .await;
    put_back(&world, &older).await;
    client.send_all(&sets("new")).await;
    world.wait_for_outcomes(8 + 7 + 7).await;
    assert!(writer.metric("millrace_writer_lost_commits_total").await > 0.0, "and says why");
}

async fn after_a_failover_that_lost_commits_nothing_is_published_over_the_fork(world: World) {
    let mut services = world.pipeline().await;
    services.push(world.service(&["writer"]).await);
    let client = Client::new(&world);
    client.send_all(&opens(12)).await;
    client.send(&JsonCommand::open("open-limited", "limited", Some(100))).await;
    world.wait_for_outcomes(13).await;
    let sets = |name: &str, count: usize| {
        let sets = (0..count)
            .map(|n| JsonCommand::post(format!("{name}-{n}"), &[(&format!("a{}", n % 12), 1), ("limited", -1)]));
        sets.collect::<Vec<_>>()
    };
    client.send_all(&sets("kept", 20)).await;
    world.wait_for_outcomes(33).await;
    world.audit().await;
    let standby = take_older_copy(&world).await;
    client.send_all(&sets("lost", 60)).await;
    world.wait_for_outcomes(93).await;
    world.audit().await;
    let published = client.read(&world.log.events_topic()).await;
    put_back(&world, &standby).await;

    // Writers that have seen the lost timeline append past the old heads. Before that, they read the commands again whose
    // commits are lost.
    client.send_all(&sets("new", 300)).await;
    world.wait_for_outcomes(93 + 300).await;
    let relay = &services[1];
    wait_until("the relay has halted", async || relay.metric("millrace_relay_halted_partitions").await >= 1.0).await;
    let lost: f64 = services[0].metric("millrace_writer_lost_commits_total").await
        + services[4].metric("millrace_writer_lost_commits_total").await;
    assert!(lost > 0.0, "the writers have noticed");
    // the limited account had 100 to give; the older copy has 20 of its payments, so 80 more may be accepted
    let outcomes = world.stored_outcomes().await;
    let taken = outcomes.iter().filter(|outcome| {
        outcome.outcome == millrace_schemas::OutcomeKind::Accepted && !outcome.command_id.starts_with("open-")
    });
    assert_eq!(taken.count(), 20 + 80);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.command_id.starts_with("lost-")).count(), 60);
    let read_again = services[0].metric("millrace_writer_reread_commands_total").await
        + services[4].metric("millrace_writer_reread_commands_total").await;
    assert!(read_again >= 60.0, "{read_again} commands were read again");
    // the topic has no position twice, and no event over another
    let topic = client.read(&world.log.events_topic()).await;
    for (partition, records) in &topic {
        let mut positions: BTreeMap<i64, String> = BTreeMap::new();
        for record in records {
            let position = header(record, "log-position").and_then(|text| text.parse().ok()).expect("a position");
            let id = header(record, "ce_id").expect("an id");
            assert_eq!(positions.insert(position, id), None, "partition {partition}, position {position}");
        }
        let before = published.get(partition).map_or(0, Vec::len);
        assert!(
            records.len() >= before
                && records[..before].iter().zip(&published[partition]).all(|(a, b)| a.payload() == b.payload())
        );
    }
    let holes = "SELECT stream_id FROM events GROUP BY stream_id HAVING count(*) <> max(version)";
    let db = world.pool(1).get().await.expect("Postgres");
    assert!(db.query(holes, &[]).await.expect("events").is_empty(), "the new timeline has each version once");
    // a relay that starts now halts too, and does not end
    services[1].leave().await;
    services[1].restart();
    let relay = &services[1];
    wait_until("it has halted again", async || relay.metric("millrace_relay_halted_partitions").await >= 1.0).await;
    // everybody can see the halt
    let ready = reqwest::get(format!("http://{}/readyz", relay.address())).await.expect("an answer");
    assert_eq!(ready.status(), 503);
    wait_until("the projectors know of it", async || {
        let answer = reqwest::get(format!("http://{}/readyz", services[2].address())).await;
        answer.is_ok_and(|answer| answer.status() == 503)
    })
    .await;
    // and the services still run, so that somebody can mend the log
    tokio::time::timeout(Duration::from_secs(5), relay.metrics()).await.expect("the relay answers");
}
