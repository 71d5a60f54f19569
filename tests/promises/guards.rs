//! Other people's settings of servers and clients that would break a promise: services override, refuse or report them
//! at the start.

use std::time::Duration;

use millrace_runtime::postgres;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use tokio::time::timeout;

use crate::client::{Client, JsonCommand};
use crate::service::Service;
use crate::world::{World, create_database, wait_until};

crate::promises![
    a_database_with_another_isolation_changes_nothing,
    a_service_whose_postgres_is_read_only_is_live_and_not_ready,
    a_kafka_property_that_breaks_a_promise_is_refused_at_the_start,
    a_compacted_event_topic_stops_the_relay_and_a_compacted_command_topic_the_writer,
    a_topic_that_forgets_events_is_reported_at_the_start,
    migrate_takes_any_number_of_partitions_for_commands_and_the_logs_own_for_events,
    a_second_database_that_shares_the_group_of_a_read_model_is_refused_and_the_first_goes_on
];

async fn a_database_with_another_isolation_changes_nothing(world: World) {
    let database = world.pool(1).get().await.expect("Postgres");
    let alter = format!("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'", world.log);
    database.batch_execute(&alter).await.expect("its owner may");
    let show = "SELECT current_setting('default_transaction_isolation')";
    let other: tokio_postgres::Config = world.settings.postgres_url().expect("set").parse().expect("an address");
    let (other, connection) = other.connect(tokio_postgres::NoTls).await.expect("Postgres");
    tokio::spawn(connection);
    let theirs: String = other.query_one(show, &[]).await.expect("a setting").get(0);
    assert_eq!(theirs, "repeatable read", "the database's setting holds for clients that do not care");
    let ours: String = world.pool(1).get().await.expect("Postgres").query_one(show, &[]).await.expect("one").get(0);
    assert_eq!(ours, "read committed");

    let (_services, _second) = (world.pipeline().await, world.service(&["writer"]).await);
    let client = Client::new(&world);
    let accounts: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    let mut opens = vec![JsonCommand::open("open-hot", "hot", None)];
    opens.extend(accounts.iter().map(|id| JsonCommand::open(format!("open-{id}"), id, None)));
    client.send_all(&opens).await;
    world.wait_for_outcomes(21).await;
    // keyed by the customer, so that both writers get commands; each command touches the hot account
    for round in 0..20 {
        let sets = (round * 100..(round + 1) * 100)
            .map(|n| JsonCommand::post(format!("set-{n}"), &[(&accounts[n % 20], 1), ("hot", -1)]));
        client.send_all(&sets.collect::<Vec<_>>()).await;
    }
    world.wait_for_outcomes(2021).await;
    world.audit().await;
    assert_eq!(world.balance("hot").await, Some(-2000));
}

async fn a_service_whose_postgres_is_read_only_is_live_and_not_ready(world: World) {
    let writer = world.service(&["writer"]).await;
    // a session that the setting does not reach
    let admin = postgres::pool(&world.stack.addresses().postgres_url, "public", 1).expect("an address");
    let admin = admin.get().await.expect("Postgres");
    let set = async |read_only: &str| {
        let log = &world.log;
        let alter = format!("ALTER DATABASE {log} SET default_transaction_read_only = {read_only}");
        let reconnect = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{log}' AND backend_type = 'client backend'"
        );
        for statement in [alter, reconnect] {
            admin.batch_execute(&statement).await.expect("its owner may");
        }
    };
    set("on").await;
    Client::new(&world).send(&JsonCommand::open("open-a", "a", None)).await;
    wait_until("the writer is not ready", async || status(&writer, "readyz").await == Some(503)).await;
    assert_eq!(status(&writer, "livez").await, Some(200), "a restart would not help");
    set("off").await;
    assert_eq!(world.outcome("open-a").await["outcome"], "accepted");
    wait_until("the writer is ready again", async || status(&writer, "readyz").await == Some(200)).await;
}

/// The status of an answer; `None` without one.
pub async fn status(service: &Service, path: &str) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(format!("http://{}/{path}", service.address())).send().await.ok()?;
    Some(answer.status().as_u16())
}

async fn a_kafka_property_that_breaks_a_promise_is_refused_at_the_start(world: World) {
    let file = std::env::temp_dir().join(format!("{}.toml", world.log));
    std::fs::write(&file, "[kafka_properties]\n\"enable.auto.offset.store\" = \"true\"\n").expect("a file");
    let path = file.to_str().expect("a path in UTF-8");
    for service in [&["writer"][..], &["relay"], &["projector", "reporting"]] {
        let (code, printed) = world.try_millrace(&[service, &["--config", path]].concat()).await;
        assert_eq!(code, 2, "{service:?}: {printed}");
        let refusal = "enable.auto.offset.store must be false: offsets would be committed before the effect";
        assert!(printed.contains(refusal), "{service:?}: {printed}");
    }
    std::fs::remove_file(&file).expect("it is there");
}

async fn a_compacted_event_topic_stops_the_relay_and_a_compacted_command_topic_the_writer(world: World) {
    for (service, topic) in [("relay", "events"), ("writer", "commands")] {
        let log = log_with_topic(&world, topic, "cleanup.policy", "compact").await;
        let arguments = [service, "--log", &log];
        let ended = timeout(Duration::from_secs(90), world.try_millrace(&arguments)).await;
        let (code, printed) = ended.expect("it stops");
        assert_ne!(code, 0, "{printed}");
        assert!(printed.contains(&format!("topic {log}.{topic} has cleanup.policy=compact")), "{printed}");
        let remedy = format!("--entity-name {log}.{topic} --add-config cleanup.policy=delete");
        assert!(printed.contains(&remedy), "{printed}");
    }
}

async fn a_topic_that_forgets_events_is_reported_at_the_start(world: World) {
    let log = log_with_topic(&world, "events", "retention.ms", "604800000").await;
    let relay = world.service(&["relay", "--log", &log]).await;
    let said = relay.log();
    assert_eq!(said.matches("the topic forgets events after 7 days").count(), 1, "{said}");
    // the brokers' own default
    assert_eq!(said.matches("more than 1 hour ahead").count(), 1, "{said}");
}

async fn a_second_database_that_shares_the_group_of_a_read_model_is_refused_and_the_first_goes_on(world: World) {
    let services = world.pipeline().await;
    let client = Client::new(&world);
    client.send(&JsonCommand::open("open-a", "a", None)).await;
    wait_until("the first is a member", async || world.balance("a").await == Some(0)).await;

    let (ours, other) = (world.log.as_str(), format!("{}_second", world.log));
    let second = create_database(&world.stack, &other).await;
    let second = [("MILLRACE_POSTGRES_URL", second.as_str())];
    let (code, printed) = world.try_millrace_with(&["migrate"], &second).await;
    assert_eq!(code, 0, "{printed}");
    let group = format!("{ours}.reporting.g1");
    let start = ["projector", "reporting", "--group", &group];
    let ended = timeout(Duration::from_secs(90), world.try_millrace_with(&start, &second)).await;
    let (code, printed) = ended.expect("it ends");
    assert_eq!(code, 2, "{printed}");
    let refusal = format!("the consumer group {group} also fills the read model in another database ({ours}.");
    assert!(printed.contains(&refusal), "{printed}");
    assert!(printed.contains(&format!("this one is {other}.")), "{printed}");

    client.send(&JsonCommand::open("open-b", "b", None)).await;
    wait_until("the first goes on", async || world.balance("b").await == Some(0)).await;
    assert_eq!(services[2].log().matches("assigned").count(), 1, "nothing was taken from it: {}", services[2].log());
}

async fn migrate_takes_any_number_of_partitions_for_commands_and_the_logs_own_for_events(world: World) {
    let log = format!("{}other", world.log);
    let migrate = ["migrate", "--log", &log];
    create_topic(&world, &NewTopic::new(&format!("{log}.commands"), 7, TopicReplication::Fixed(1))).await;
    world.millrace(&migrate).await;
    let log = format!("{}wrong", world.log);
    let migrate = ["migrate", "--log", &log];
    create_topic(&world, &NewTopic::new(&format!("{log}.events"), 7, TopicReplication::Fixed(1))).await;
    let (code, printed) = world.try_millrace(&migrate).await;
    assert_eq!(code, 2, "{printed}");
    assert!(printed.contains(&format!("topic {log}.events has 7 partitions and needs 4")), "{printed}");
}

async fn create_topic(world: &World, topic: &NewTopic<'_>) {
    let bootstrap = &world.stack.addresses().kafka_bootstrap;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("an admin");
    let created = admin.create_topics([topic], &AdminOptions::new()).await.expect("Kafka");
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

/// Creates another log in the test's database; one of its topics existed before, with this setting.
async fn log_with_topic(world: &World, topic: &str, setting: &str, value: &str) -> String {
    let log = format!("{}{topic}", world.log);
    let name = format!("{log}.{topic}");
    create_topic(world, &NewTopic::new(&name, 4, TopicReplication::Fixed(1)).set(setting, value)).await;
    world.millrace(&["migrate", "--log", &log]).await;
    world.millrace(&["schemas", "register", "--log", &log]).await;
    log
}
