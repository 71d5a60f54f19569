//! Promise 10: acknowledged means durable.

use rdkafka::Message;

use crate::client::{Client, JsonCommand, header};
use crate::world::{World, wait_until};

crate::promises![the_writers_connections_commit_durably_also_where_the_database_does_not; disturbs: what_was_acknowledged_before_postgres_was_killed_is_there_after];

async fn the_writers_connections_commit_durably_also_where_the_database_does_not(world: World) {
    let pool = world.pool(1);
    let client = pool.get().await.expect("Postgres");
    // where a standby is synchronous, the first two do not wait until it has the commit on its disk
    for (given, expected) in [("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")]
    {
        let set = format!("ALTER DATABASE {} SET synchronous_commit = {given}", world.log);
        client.batch_execute(&set).await.expect("allowed");
        let fresh = world.pool(1);
        let row =
            fresh.get().await.expect("Postgres").query_one("SHOW synchronous_commit", &[]).await.expect("a setting");
        assert_eq!(row.get::<_, String>(0), expected, "the database says {given}");
    }
}

async fn what_was_acknowledged_before_postgres_was_killed_is_there_after(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    client.send_all(&[JsonCommand::open("open-a", "a", None), JsonCommand::open("open-b", "b", None)]).await;
    world.wait_for_outcomes(2).await;
    let sets: Vec<_> = (0..3000).map(|n| JsonCommand::post(format!("set-{n}"), &[("a", 1), ("b", -1)])).collect();
    client.send_all(&sets).await;
    let topic = world.log.outcomes_topic();
    // some commands are acknowledged, more are on their way
    client.read_at_least(&topic, 300).await;
    world.stack.kill("postgres").await.expect("it can be killed");
    let acknowledged: Vec<String> = client
        .read(&topic)
        .await
        .into_values()
        .flatten()
        .filter(|told| header(told, "outcome").as_deref() == Some("accepted"))
        .map(|told| String::from_utf8_lossy(told.key().unwrap_or_default()).into_owned())
        .collect();
    world.stack.start(&millrace_compose::Silent).await.expect("Postgres comes back");
    let pool = world.pool(1);
    wait_until("Postgres answers", async || pool.get().await.is_ok()).await;
    let acknowledged: Vec<uuid::Uuid> = acknowledged.iter().map(|id| millrace_store::command_key(id)).collect();
    let sql = "SELECT count(*) FROM commands WHERE key = ANY($1)";
    let row = pool.get().await.expect("Postgres").query_one(sql, &[&acknowledged]).await.expect("commands");
    assert_eq!(
        row.get::<_, i64>(0),
        acknowledged.len() as i64,
        "each of {} acknowledged commands is there",
        acknowledged.len()
    );
    world.wait_for_outcomes(3002).await;
    world.audit().await;
    assert_eq!(world.balance("a").await, Some(3000));
}
