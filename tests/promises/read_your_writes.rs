//! Whoever waits for a token reads his own write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_schemas::{Outcome, Topic, framing};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::{ClientConfig, Message};
use tokio::task::JoinSet;

use crate::client::{Client, JsonCommand, codec};
use crate::world::World;

crate::promises![
    ten_thousand_writes_are_read_back_and_none_is_stale,
    send_and_wait_return_when_a_read_model_shows_the_write,
    a_read_model_says_what_is_no_token
];

const WRITES: usize = 10_000;
/// Commands sent at a time, and the time between: some 1,000 a second, slow enough that each is asked for at once.
const AT_A_TIME: usize = 20;
const BETWEEN: Duration = Duration::from_millis(20);

async fn ten_thousand_writes_are_read_back_and_none_is_stale(world: World) {
    let _services = world.pipeline().await;
    let outcomes = outcomes(&world);
    let (client, codec) = (Client::new(&world), codec(&world).await);
    let schema = codec.newest(Topic::Outcomes, "Outcome").expect("it is the platform's");
    let producing = async {
        for from in (0..WRITES).step_by(AT_A_TIME) {
            let opens = (from..from + AT_A_TIME).map(|n| JsonCommand::open(format!("w{n}"), &format!("w{n}"), None));
            client.send_all(&opens.collect::<Vec<_>>()).await;
            // this time is the rate of the load: there is no condition to wait for
            tokio::time::sleep(BETWEEN).await;
        }
    };
    let (pool, waited) = (world.pool(16), Arc::new(AtomicUsize::new(0)));
    let reading = async {
        let mut reads = JoinSet::new();
        for _ in 0..WRITES {
            let record = outcomes.recv().await.expect("Kafka");
            let (_, datum) = framing::unframe(record.payload().expect("an outcome")).expect("it is framed");
            let outcome = schema.decode(datum).expect("an outcome");
            reads.spawn(read_back(pool.clone(), outcome, waited.clone()));
        }
        reads.join_all().await;
    };
    tokio::join!(producing, reading);
    let waited = waited.load(Ordering::Relaxed);
    println!("{waited} of {WRITES} reads had to wait");
    assert!(waited > 0, "nothing had to be waited for, so this shows nothing");
}

/// Waits until the read model has applied an outcome's token; then it must show the account.
async fn read_back(pool: Pool, outcome: Outcome, waited: Arc<AtomicUsize>) {
    let token = outcome.token.expect("it is accepted");
    let mut looks = 0;
    loop {
        let client = pool.get().await.expect("Postgres");
        let applied = client.query_one("SELECT reporting.has_applied($1)", &[&token]).await.expect("a token");
        if applied.get(0) {
            let sql = "SELECT count(*) FROM reporting.account_balances WHERE account_id = $1";
            let shown: i64 = client.query_one(sql, &[&outcome.command_id]).await.expect("a count").get(0);
            assert_eq!(shown, 1, "{} is stale at {token}", outcome.command_id);
            waited.fetch_add(usize::from(looks > 0), Ordering::Relaxed);
            return;
        }
        looks += 1;
        drop(client);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads the outcome topic from its beginning.
fn outcomes(world: &World) -> StreamConsumer {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.stack.addresses().kafka_bootstrap)
        .set("group.id", format!("{}-reader", world.log))
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "10")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[&world.log.outcomes_topic()]).expect("a topic");
    consumer
}

async fn send_and_wait_return_when_a_read_model_shows_the_write(world: World) {
    let _services = world.pipeline().await;
    for n in 0..20 {
        let fields = format!(r#"{{"account_id": "s{n}", "currency": "CZK"}}"#);
        world.millrace(&["send", "--wait-for", "reporting,search", "OpenAccount", &fields]).await;
        assert_eq!(world.balance(&format!("s{n}")).await, Some(0));
    }
    let printed = world.millrace(&["send", "OpenAccount", r#"{"account_id": "t", "currency": "CZK"}"#]).await;
    let token = printed.split_whitespace().find(|word| word.contains('@')).expect("a token");
    world.millrace(&["wait", token, "--projector", "reporting"]).await;
    assert_eq!(world.balance("t").await, Some(0));

    let ahead = format!("{}/0@1000000", world.log);
    let (code, printed) =
        world.try_millrace(&["wait", &ahead, "--projector", "reporting", "--timeout", "0", "--output", "json"]).await;
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("\"applied\": false") && printed.contains("it has applied"), "{printed}");
    let (code, printed) = world.try_millrace(&["wait", &ahead, "--projector", "balances"]).await;
    assert_eq!(code, 2, "{printed}");
    assert!(printed.contains("no read model balances; it has: reporting, search"), "{printed}");
    // nothing is sent before that is known
    let open =
        ["send", "--id", "never", "--wait-for", "balances", "OpenAccount", r#"{"account_id": "u", "currency": "CZK"}"#];
    assert_eq!(world.try_millrace(&open).await.0, 2);
    assert_eq!(world.try_millrace(&["outcome", "never"]).await.0, 1);
}

async fn a_read_model_says_what_is_no_token(world: World) {
    let client = world.pool(1).get().await.expect("Postgres");
    let ask = async |token: &str| client.query_one("SELECT reporting.has_applied($1)", &[&token]).await;
    for bad in [
        "",
        "orders",
        "orders/1",
        "orders/1@",
        "orders/-1@5",
        "orders/1@5,",
        "Orders/1@5",
        "orders/1@99999999999999999999",
    ] {
        let refused = ask(bad).await.expect_err("it is none").as_db_error().expect("of Postgres").message().to_owned();
        assert!(refused.contains("not a token"), "{bad:?}: {refused}");
    }
    let applied: bool = ask("orders/1@5,orders/2@999999999999999999").await.expect("tokens").get(0);
    assert!(!applied);
    let nothing: Option<bool> =
        client.query_one("SELECT reporting.has_applied(NULL)", &[]).await.expect("an answer").get(0);
    assert_eq!(nothing, None);
}
