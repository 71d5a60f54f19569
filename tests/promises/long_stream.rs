//! A stream that takes long to load: the writer stays live meanwhile, and what needs no stream does not wait for it.

use std::time::{Duration, Instant};

use millrace_schemas::partition_of;

use crate::client::{Client, JsonCommand, header};
use crate::guards::status;
use crate::proxy::Proxy;
use crate::world::{World, stream, wait_until};

crate::promises![
    a_writer_that_loads_a_stream_for_longer_than_a_minute_stays_live,
    a_command_that_comes_again_is_answered_without_its_stream
];

/// A loop that has not beaten for this long makes `/livez` fail.
const SILENCE: Duration = Duration::from_secs(60);
/// Events of the long stream.
const EVENTS: i32 = 40_000;
/// Bytes of the load that come through at a time: of some thousand events.
const PIECE: usize = 200_000;
/// The time between two pieces, far shorter than the silence.
const BETWEEN: Duration = Duration::from_secs(5);

async fn a_writer_that_loads_a_stream_for_longer_than_a_minute_stays_live(world: World) {
    let client = Client::new(&world);
    let mut writer = world.service(&["writer"]).await;
    client.send_all(&["a", "b"].map(|id| JsonCommand::open(format!("open-{id}"), id, None))).await;
    world.wait_for_outcomes(2).await;
    client.send(&JsonCommand::post("short", &[("a", 5), ("b", -5)])).await;
    assert_eq!(world.outcome("short").await["outcome"], "accepted");
    writer.leave().await;
    lengthen(&world, "account-a").await;

    let postgres = Proxy::before(world.settings.postgres_url().expect("set")).await;
    let writer = world.service_with(&["writer"], &[("MILLRACE_POSTGRES_URL", &postgres.url)]).await;
    // the writer knows the heads, and has loaded nothing of the long stream yet
    client.send(&JsonCommand::open("open-c", "c", None)).await;
    assert_eq!(world.outcome("open-c").await["outcome"], "accepted");
    postgres.hold();
    client.send(&JsonCommand::post("long", &[("a", 1), ("b", -1)])).await;
    let began = Instant::now();
    let mut next = began;
    while began.elapsed() < SILENCE + BETWEEN {
        if next <= Instant::now() {
            postgres.let_through(PIECE);
            next += BETWEEN;
        }
        assert_eq!(status(&writer, "livez").await, Some(200), "after {:?}", began.elapsed());
        // the time is the promise: there is no condition to wait for
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(world.stored_outcomes().await.len(), 4, "it still loads");
    postgres.open();
    assert_eq!(world.outcome("long").await["outcome"], "accepted");
}

async fn a_command_that_comes_again_is_answered_without_its_stream(world: World) {
    let client = Client::new(&world);
    let mut writer = world.service(&["writer"]).await;
    let first = JsonCommand::open("open-a", "a", None);
    client.send(&first).await;
    world.wait_for_outcomes(1).await;
    writer.leave().await;
    writer.restart();
    writer.wait_until_ready().await;
    // so that the writer knows the head of the partition, and nothing of the stream
    client.send(&JsonCommand::open("open-beside", &beside("a"), None)).await;
    world.wait_for_outcomes(2).await;

    let topic = world.log.outcomes_topic();
    let told = async || {
        let told = client.read(&topic).await.into_values().flatten();
        told.filter(|outcome| header(outcome, "ce_id").as_deref() == Some("open-a")).count()
    };
    client.read_at_least(&topic, 2).await;
    let before = told().await;

    // a load that never ends: nobody can read an event
    let pool = world.pool(2);
    let holder = pool.get().await.expect("Postgres");
    let lock = "SET idle_in_transaction_session_timeout = 0; BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE";
    holder.batch_execute(lock).await.expect("locked");
    client.send(&first).await;
    wait_until("the command is answered again", async || told().await == before + 1).await;
    holder.batch_execute("COMMIT").await.expect("unlocked");
}

/// Another account in the partition of an account.
fn beside(account: &str) -> String {
    let partition = |account: &str| partition_of(&stream(&format!("account-{account}")), 4);
    let others = (0..).map(|n| format!("b{n}"));
    others.into_iter().find(|other| partition(other) == partition(account)).expect("one of them")
}

/// Appends copies of a stream's last event to it, behind the last position of its partition.
async fn lengthen(world: &World, stream_id: &str) {
    let copies = "INSERT INTO events (position, version, recorded_at, event_id, partition, schema, stream_id, data)
                  SELECT head.position + n, last.version + n, now(), gen_random_uuid(), last.partition, schema, stream_id, data
                    FROM (SELECT * FROM events WHERE stream_id = $1 ORDER BY version DESC LIMIT 1) AS last,
                         heads(ARRAY[last.partition]) AS head, generate_series(1, $2::integer) AS n";
    let client = world.pool(1).get().await.expect("Postgres");
    let copied = client.execute(copies, &[&stream_id, &EVENTS]).await.expect("its owner may");
    assert_eq!(copied, u64::from(EVENTS.unsigned_abs()));
}
