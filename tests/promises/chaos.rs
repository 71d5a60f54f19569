//! kill -9 of everything, at random moments, while commands flow.

use std::time::Duration;

use rdkafka::Message;

use crate::client::{Client, JsonCommand, header};
use crate::world::{PATIENCE, World, wait_until};

crate::promises![killed_at_random_writer_relay_and_projectors_lose_and_double_nothing];

/// How often each is killed.
const KILLS: usize = 10;
/// Commands between two rounds of killing.
const BETWEEN: usize = 400;
/// A fifth of the accounts has a limit, so that some sets are refused.
const ACCOUNTS: usize = 50;

async fn killed_at_random_writer_relay_and_projectors_lose_and_double_nothing(world: World) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let fast = [("MILLRACE_SESSION_TIMEOUT_MS", "6000")];
    let mut services = [
        world.service_with(&["writer"], &fast).await,
        world.service_with(&["relay"], &fast).await,
        world.service_with(&["projector", "reporting"], &fast).await,
    ];
    let _search = world.service(&["projector", "search"]).await;
    let client = Client::new(&world);
    let mut opens: Vec<_> = (0..ACCOUNTS)
        .map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), n.is_multiple_of(5).then_some(20)))
        .collect();
    opens.push(JsonCommand::open("open-bank", "bank", None));
    client.send_all(&opens).await;
    world.wait_for_outcomes(opens.len() as i64).await;

    let mut sent = Vec::new();
    for _ in 0..KILLS {
        let set = |n: usize| {
            let account = format!("a{}", random.usize(..ACCOUNTS));
            let amount = random.i64(-9..10);
            JsonCommand::post(format!("set-{n}"), &[(&account, amount), ("bank", -amount)])
        };
        let sets: Vec<_> = (sent.len()..sent.len() + BETWEEN).map(set).collect();
        client.send_all(&sets).await;
        sent.extend(sets);
        // each at a moment of its own, some before and some while the others are down
        let mut moments: Vec<(u64, usize)> = (0..services.len()).map(|which| (random.u64(0..1500), which)).collect();
        moments.sort_unstable();
        let mut now = 0;
        for (moment, which) in moments {
            // the moment of a kill is not a condition to be waited for: it is the test's input
            tokio::time::sleep(Duration::from_millis(moment - now)).await;
            now = moment;
            services[which].kill();
            services[which].restart();
        }
    }
    let resent: Vec<_> = sent.iter().filter(|_| random.u8(..4) == 0).cloned().collect();
    client.send_all(&resent).await;
    let all = (opens.len() + sent.len()) as i64;
    let deadline = std::time::Instant::now() + 2 * PATIENCE;
    let pool = world.pool(1);
    wait_until("every command has an outcome", async || {
        let row = pool.get().await.expect("Postgres").query_one("SELECT count(*) FROM commands", &[]).await;
        row.is_ok_and(|row| row.get::<_, i64>(0) == all) || std::time::Instant::now() > deadline
    })
    .await;
    let report = world.audit().await;
    println!("{} events audited", report["events"]);
    acknowledged_once(&world, &client, all).await;
}

/// Every outcome that was told is the one that is stored, every command was told one, and each accepted set has its two
/// events, once.
async fn acknowledged_once(world: &World, client: &Client, all: i64) {
    let pool = world.pool(1);
    let db = pool.get().await.expect("Postgres");
    let stored = db.query("SELECT command_id, outcome FROM commands", &[]).await.expect("commands");
    let stored: std::collections::HashMap<String, String> = stored.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(stored.len() as i64, all);
    let told = client.read_at_least(&world.log.outcomes_topic(), stored.len()).await;
    let mut missing: std::collections::HashSet<&String> = stored.keys().collect();
    for record in &told {
        let id = String::from_utf8_lossy(record.key().expect("a key")).into_owned();
        assert_eq!(header(record, "outcome").as_ref(), stored.get(&id), "{id}");
        missing.remove(&id);
    }
    assert!(missing.is_empty(), "never told: {missing:?}");
    let sql = "SELECT count(*) FROM commands c WHERE type = 'PostEntrySet' AND (outcome = 'accepted') IS DISTINCT FROM
                 ((SELECT count(*) FROM events WHERE metadata->>'causation_id' = c.command_id) = 2)";
    assert_eq!(
        db.query_one(sql, &[]).await.expect("events").get::<_, i64>(0),
        0,
        "an accepted set has two events, a refused none"
    );
}
