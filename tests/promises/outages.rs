//! Servers stop and come back: nothing is lost, and nobody has to do anything.

use millrace_compose::Silent;

use crate::client::{Client, JsonCommand, codec, header, text_headers};
use crate::older_client::close_in_an_older_version;
use crate::world::{World, wait_until};

crate::promises![; disturbs: commands_flow_on_after_postgres_is_restarted, commands_flow_on_after_kafka_was_killed_and_came_back, outcomes_are_told_after_kafka_was_away_for_longer_than_a_delivery_may_take, a_schema_first_seen_while_the_registry_is_away_is_waited_for];

async fn begin(world: &World) -> Client {
    let client = Client::new(world);
    client.send_all(&[JsonCommand::open("open-a", "a", None), JsonCommand::open("open-b", "b", None)]).await;
    world.wait_for_outcomes(2).await;
    client
}

fn sets(from: usize, to: usize) -> Vec<JsonCommand> {
    (from..to).map(|n| JsonCommand::post(format!("set-{n}"), &[("a", 1), ("b", -1)])).collect()
}

async fn commands_flow_on_after_postgres_is_restarted(world: World) {
    let _services = world.pipeline().await;
    let client = begin(&world).await;
    client.send_all(&sets(0, 500)).await;
    world.stack.stop("postgres").await.expect("it stops");
    client.send_all(&sets(500, 1000)).await;
    world.stack.start(&Silent).await.expect("it comes back");
    client.send_all(&sets(1000, 1500)).await;
    world.wait_for_outcomes(1502).await;
    world.audit().await;
    assert_eq!(world.balance("a").await, Some(1500));
}

async fn commands_flow_on_after_kafka_was_killed_and_came_back(world: World) {
    let _services = world.pipeline().await;
    let client = begin(&world).await;
    client.send_all(&sets(0, 1000)).await;
    world.stack.kill("kafka").await.expect("it can be killed");
    world.stack.start(&Silent).await.expect("it comes back");
    client.send_all(&sets(1000, 1500)).await;
    world.wait_for_outcomes(1502).await;
    world.audit().await;
    assert_eq!(world.balance("a").await, Some(1500));
}

async fn outcomes_are_told_after_kafka_was_away_for_longer_than_a_delivery_may_take(world: World) {
    let impatient = [("MILLRACE_KAFKA_PROPERTIES", r#"{"message.timeout.ms"="1000"}"#)];
    let writer = world.service_with(&["writer"], &impatient).await;
    let client = begin(&world).await;
    // the writer has read the commands and waits to commit them
    let pool = world.pool(2);
    let holder = pool.get().await.expect("Postgres");
    holder.batch_execute("BEGIN; LOCK TABLE commands IN EXCLUSIVE MODE").await.expect("locked");
    client.send_all(&sets(0, 100)).await;
    wait_until("an append waits for the lock", async || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'commands'::regclass";
        let row = pool.get().await.expect("Postgres").query_one(waiting, &[]).await.expect("pg_locks");
        row.get::<_, i64>(0) > 0
    })
    .await;
    world.stack.kill("kafka").await.expect("it can be killed");
    holder.batch_execute("COMMIT").await.expect("unlocked");
    let failed = "millrace_retries_total{operation=\"tell outcomes\"}";
    wait_until("telling has failed", async || {
        writer.metrics().await.lines().any(|line| line.starts_with(failed) && !line.ends_with(" 0"))
    })
    .await;
    world.stack.start(&Silent).await.expect("it comes back");
    let told = client.read_at_least(&world.log.outcomes_topic(), 102).await;
    let told: std::collections::BTreeSet<_> = told.iter().filter_map(|outcome| header(outcome, "ce_id")).collect();
    assert_eq!(told.len(), 102);
}

async fn a_schema_first_seen_while_the_registry_is_away_is_waited_for(world: World) {
    let services = world.pipeline().await;
    let client = begin(&world).await;
    let codec = codec(&world).await;
    // a schema id that the writer does not know
    let value = close_in_an_older_version(&world, &codec, "b").await;

    world.stack.stop("registry").await.expect("it stops");
    client.send_raw(Some("account-b"), Some(&value), text_headers(&[("ce_id", "close")])).await;
    client.send(&JsonCommand::post("behind", &[("b", 5), ("a", -5)])).await;
    // another partition goes on
    let aside = (0..).map(|n| format!("aside-{n}"));
    let partition =
        |account: &str| millrace_schemas::partition_of(&crate::world::stream(&format!("account-{account}")), 4);
    let aside = aside.into_iter().find(|account| partition(account) != partition("b")).expect("one of them");
    client.send(&JsonCommand::open("aside", &aside, None)).await;
    assert_eq!(world.outcome("aside").await["outcome"], "accepted");
    let waits = world.service(&["relay"]); // a service that starts now waits for the registry too
    let (_relay, ()) = tokio::join!(waits, async {
        let pool = world.pool(1);
        wait_until("the writer says that it waits", async || {
            // meanwhile the writer decides nothing behind the record with the unknown schema
            let row = pool
                .get()
                .await
                .expect("Postgres")
                .query_one("SELECT count(*) FROM commands", &[])
                .await
                .expect("commands");
            assert_eq!(row.get::<_, i64>(0), 3);
            services[0].metric("millrace_writer_waiting_partitions").await == 1.0
        })
        .await;
        world.stack.start(&Silent).await.expect("it comes back");
    });
    assert_eq!(world.outcome("close").await["outcome"], "accepted");
    assert_eq!(world.outcome("behind").await["code"], "account_closed");
    world.audit().await;
}
