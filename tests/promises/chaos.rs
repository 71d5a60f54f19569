//! Kills every service with kill -9, at random moments, while commands flow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::Pool;
use rdkafka::Message;

use millrace_schemas::OutcomeKind;

use crate::client::{Client, JsonCommand, header};
use crate::service::Service;
use crate::world::{World, wait_until};

crate::promises![killed_at_random_writer_relay_and_projectors_lose_and_double_nothing];

/// How often each service is killed.
const KILLS: usize = 10;
/// Commands sent at a time, and the time between: some 200 a second, for as long as the killing goes on.
const AT_A_TIME: usize = 20;
const BETWEEN: Duration = Duration::from_millis(100);
/// Latest moment of a kill after the service has been seen at work, in milliseconds.
const LATEST: u64 = 300;
/// A fifth of the accounts has a limit, so that some sets are refused.
const ACCOUNTS: usize = 50;

async fn killed_at_random_writer_relay_and_projectors_lose_and_double_nothing(world: World) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut writer = world.service(&["writer"]).await;
    let mut relay = world.service(&["relay"]).await;
    let mut reporting = world.service(&["projector", "reporting"]).await;
    let mut search = world.service(&["projector", "search"]).await;
    let client = Client::new(&world);
    let mut opens: Vec<_> = (0..ACCOUNTS)
        .map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), n.is_multiple_of(5).then_some(20)))
        .collect();
    opens.push(JsonCommand::open("open-bank", "bank", None));
    client.send_all(&opens).await;
    world.wait_for_outcomes(opens.len() as i64).await;

    let mut sent = Vec::new();
    let mut send = random.fork();
    // Producing ends between two sends: one that is broken off would leave commands in the topic that the test does not
    // count.
    let killed = AtomicBool::new(false);
    let producing = async {
        while !killed.load(Ordering::Relaxed) {
            let set = |n: usize| {
                let account = format!("a{}", send.usize(..ACCOUNTS));
                let amount = send.i64(-9..10);
                JsonCommand::post(format!("set-{n}"), &[(&account, amount), ("bank", -amount)])
            };
            let sets: Vec<_> = (sent.len()..sent.len() + AT_A_TIME).map(set).collect();
            client.send_all(&sets).await;
            sent.extend(sets);
            // this time is the rate of the load: there is no condition to wait for
            tokio::time::sleep(BETWEEN).await;
        }
    };
    let killing = async {
        tokio::join!(
            kill_at_work(&world, &mut writer, "SELECT count(*) FROM commands", random.fork()),
            kill_at_work(&world, &mut relay, "SELECT sum(position)::bigint FROM relay_checkpoints", random.fork()),
            kill_at_work(
                &world,
                &mut reporting,
                "SELECT sum(position)::bigint FROM reporting.checkpoints",
                random.fork()
            ),
            kill_at_work(&world, &mut search, "SELECT sum(position)::bigint FROM search.checkpoints", random.fork()),
        );
        killed.store(true, Ordering::Relaxed);
    };
    tokio::join!(producing, killing);
    println!("{} sets sent while each was killed {KILLS} times", sent.len());
    let resent: Vec<_> = sent.iter().filter(|_| random.u8(..4) == 0).cloned().collect();
    client.send_all(&resent).await;
    let all = (opens.len() + sent.len()) as i64;
    let pool = world.pool(1);
    wait_until("every command has an outcome", async || count(&pool, "SELECT count(*) FROM commands").await == all)
        .await;
    let report = world.audit().await;
    println!("{} events audited", report["events"]);
    acknowledged_once(&world, &client, all).await;
}

/// Kills a service at a random moment after it was seen at work, and starts it again; many times. `progress` is a
/// metric that only this service moves.
async fn kill_at_work(world: &World, service: &mut Service, progress: &str, mut random: fastrand::Rng) {
    let pool = world.pool(1);
    for _ in 0..KILLS {
        let before = count(&pool, progress).await;
        wait_until(&format!("{progress} goes on"), async || count(&pool, progress).await > before).await;
        // the random moment of the kill is the test's input: there is no condition to wait for
        tokio::time::sleep(Duration::from_millis(random.u64(..LATEST))).await;
        service.kill();
        service.restart();
    }
}

async fn count(pool: &Pool, sql: &str) -> i64 {
    let row = pool.get().await.expect("Postgres").query_one(sql, &[]).await.expect("a count");
    row.get::<_, Option<i64>>(0).unwrap_or(0)
}

/// Checks that every command got an outcome on the topic, that it is the one in Postgres, and that each accepted set
/// has its two events once.
async fn acknowledged_once(world: &World, client: &Client, all: i64) {
    let stored = world.stored_outcomes().await;
    let posted: Vec<(String, bool)> = stored
        .iter()
        .filter(|outcome| outcome.command_type == "PostEntrySet")
        .map(|outcome| (outcome.command_id.clone(), outcome.outcome == OutcomeKind::Accepted))
        .collect();
    let stored = stored.into_iter().map(|outcome| (outcome.command_id, outcome.outcome.to_string()));
    let stored: std::collections::HashMap<String, String> = stored.collect();
    assert_eq!(stored.len() as i64, all);
    let told = client.read_at_least(&world.log.outcomes_topic(), stored.len()).await;
    let mut missing: std::collections::HashSet<&String> = stored.keys().collect();
    for record in &told {
        let id = String::from_utf8_lossy(record.key().expect("a key")).into_owned();
        assert_eq!(header(record, "outcome").as_ref(), stored.get(&id), "{id}");
        missing.remove(&id);
    }
    assert!(missing.is_empty(), "never told: {missing:?}");
    let db = world.pool(1).get().await.expect("Postgres");
    let sql = "SELECT causation_id, count(*) FROM events GROUP BY causation_id";
    let events = db.query(sql, &[]).await.expect("events");
    let events: std::collections::HashMap<String, i64> = events.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (id, accepted) in posted {
        let count = events.get(&id).copied().unwrap_or(0);
        assert_eq!(accepted, count == 2, "{id} has {count}: an accepted set has two events, a refused none");
    }
}
