//! What `millrace projectors` tells of projectors, and has them do.

use serde_json::Value;

use crate::client::{Client, JsonCommand};
use crate::world::{World, wait_for, wait_until};

crate::promises![
    a_paused_projector_applies_nothing_on_any_instance_until_somebody_resumes_it,
    a_stopped_partition_is_told_with_its_error_until_it_goes_on,
    a_read_model_is_emptied_only_while_nothing_fills_it_and_then_fills_again,
    a_partition_that_stands_still_at_its_first_event_goes_on_after_a_reset
];

async fn open(world: &World, client: &Client) {
    let opens = ["a0", "a1", "a2", "a3", "bank"].map(|id| JsonCommand::open(format!("open-{id}"), id, None));
    client.send_all(&opens).await;
    world.wait_for_outcomes(5).await;
    world.audit().await;
}

async fn post(world: &World, client: &Client, from: i64, to: i64) {
    let set = |n: i64| JsonCommand::post(format!("set-{n}"), &[(&format!("a{}", n % 4), 1), ("bank", -1)]);
    client.send_all(&(from..to).map(set).collect::<Vec<_>>()).await;
    world.wait_for_outcomes(5 + to).await;
}

/// What `projectors show` prints of a projector.
pub async fn shown(world: &World, projector: &str) -> Value {
    let printed = world.millrace(&["projectors", "show", projector, "--output", "json"]).await;
    serde_json::from_str(&printed).expect("JSON")
}

async fn wait_for_state(world: &World, state: &str) -> Value {
    wait_for(&format!("reporting is {state}"), async || {
        let shown = shown(world, "reporting").await;
        (shown["state"] == state).then_some(shown)
    })
    .await
}

async fn a_paused_projector_applies_nothing_on_any_instance_until_somebody_resumes_it(world: World) {
    let mut services = world.pipeline().await;
    let monitor = world.service_with(&["monitor"], &[("MILLRACE_MONITOR_INTERVAL_MS", "200")]).await;
    let client = Client::new(&world);
    open(&world, &client).await;
    let running = wait_for_state(&world, "running").await;
    assert_eq!((&running["instances"], &running["errors"], &running["paused"]), (&1.into(), &0.into(), &Value::Null));
    let pause = ["projectors", "pause", "reporting", "--reason", "moving house"];
    assert!(world.millrace(&pause).await.contains("moving house"));
    assert!(world.millrace(&pause).await.contains("was paused before"));
    wait_until("it obeys", async || services[2].metric("millrace_projector_paused").await == 1.0).await;
    post(&world, &client, 0, 50).await;
    // one that starts later obeys too, and so does one that starts again
    let late = world.service(&["projector", "reporting"]).await;
    assert_eq!(services[2].leave().await, Some(0), "it leaves while it is paused");
    services[2].restart();
    services[2].wait_until_ready().await;
    for instance in [&late, &services[2]] {
        wait_until("it obeys", async || instance.metric("millrace_projector_paused").await == 1.0).await;
    }
    wait_until("search has all", async || shown(&world, "search").await["behind"] == 0).await;
    let paused = shown(&world, "reporting").await;
    assert_eq!((&paused["state"], &paused["behind"]), (&"paused".into(), &100.into()), "{paused}");
    assert_eq!(paused["paused"]["reason"], "moving house");
    assert_eq!(world.balance("bank").await, Some(0));
    let listed = world.millrace(&["projectors", "list"]).await;
    assert!(listed.contains("reporting is paused since") && listed.contains("moving house"), "{listed}");
    let lag = world.millrace(&["lag", "--interval", "0.1"]).await;
    assert!(lag.contains("reporting is paused since") && lag.contains("moving house"), "{lag}");
    let age = async |projector: &str| {
        let metrics = monitor.metrics().await;
        let of = format!("millrace_projector_pause_age_seconds{{projector=\"{projector}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&of)?.parse::<f64>().ok())
    };
    wait_until("the monitor shows it", async || age("reporting").await > Some(0.0)).await;
    assert_eq!(age("search").await, Some(0.0));

    world.millrace(&["projectors", "resume", "reporting"]).await;
    wait_until("reporting goes on", async || world.balance("bank").await == Some(-50)).await;
    assert!(world.millrace(&["projectors", "resume", "reporting"]).await.contains("was not paused"));
    world.audit().await;
    let both = async || shown(&world, "reporting").await["instances"] == 2;
    wait_until("both instances are members", both).await;
    // while the group hands partitions on, some belong to no instance
    wait_for_state(&world, "running").await;
}

async fn a_stopped_partition_is_told_with_its_error_until_it_goes_on(world: World) {
    let mut services = world.pipeline().await;
    let client = Client::new(&world);
    open(&world, &client).await;
    let postgres = world.pool(1).get().await.expect("Postgres");
    let refuse = "ALTER TABLE reporting.account_balances ADD CONSTRAINT refused CHECK (account_id <> 'refused')";
    postgres.batch_execute(refuse).await.expect("a constraint");
    client.send(&JsonCommand::open("open-refused", "refused", None)).await;
    let stopped = wait_for_state(&world, "stopped").await;
    let partitions = stopped["partitions"].as_array().expect("partitions");
    let (at, others): (Vec<_>, Vec<_>) = partitions.iter().partition(|partition| partition["state"] == "stopped");
    assert!(at.len() == 1 && others.iter().all(|partition| partition["errors"] == 0), "{stopped}");
    let (error, applied) = (&at[0]["last_error"], at[0]["applied"].as_i64().expect("a position"));
    assert_eq!((&at[0]["errors"], error["position"].as_i64()), (&1.into(), Some(applied + 1)), "{stopped}");
    assert!(error["reason"].as_str().is_some_and(|reason| reason.contains("refused")), "{stopped}");
    assert!(world.millrace(&["projectors", "list"]).await.contains("check constraint"));
    assert_eq!(services[2].leave().await, Some(0));
    postgres.batch_execute("ALTER TABLE reporting.account_balances DROP CONSTRAINT refused").await.expect("mended");
    assert_eq!(shown(&world, "reporting").await["state"], "stopped", "it still has not applied the event");
    services[2].restart();
    let running = wait_for_state(&world, "running").await;
    assert_eq!((&running["errors"], &running["last_error"]["position"]), (&1.into(), &error["position"]));
    world.audit().await;
    assert_eq!(services[2].leave().await, Some(0));
    assert_eq!(wait_for_state(&world, "down").await["instances"], 0);
}

async fn a_read_model_is_emptied_only_while_nothing_fills_it_and_then_fills_again(world: World) {
    let mut services = world.pipeline().await;
    let client = Client::new(&world);
    open(&world, &client).await;
    post(&world, &client, 0, 50).await;
    world.audit().await;
    let reset = ["projectors", "reset", "reporting", "--yes-really-empty", "reporting"];
    let (code, printed) = world.try_millrace(&reset).await;
    assert!(code == 1 && printed.contains("runs") && printed.contains("pause reporting"), "{printed}");
    let (code, printed) = world.try_millrace(&["projectors", "reset", "reporting", "--yes-really-empty", "x"]).await;
    assert!(code == 2 && printed.contains("nothing was emptied"), "{printed}");
    let (code, printed) = world.try_millrace(&["projectors", "pause", "balances"]).await;
    assert!(code == 2 && printed.contains("no read model balances"), "{printed}");
    assert_eq!(world.balance("bank").await, Some(-50));
    // paused, and its instances run
    world.millrace(&["projectors", "pause", "reporting"]).await;
    assert!(world.millrace(&reset).await.contains("reporting.account_balances"));
    assert_eq!(world.balance("bank").await, None);
    assert_eq!(shown(&world, "reporting").await["state"], "paused", "a reset leaves the pause");
    post(&world, &client, 50, 60).await;
    world.millrace(&["projectors", "resume", "reporting"]).await;
    wait_until("reporting has all again", async || world.balance("bank").await == Some(-60)).await;
    world.audit().await;
    // not paused, and nothing runs
    assert_eq!(services[2].leave().await, Some(0));
    world.millrace(&reset).await;
    assert_eq!(world.balance("bank").await, None);
    services[2].restart();
    wait_until("reporting has all again", async || world.balance("bank").await == Some(-60)).await;
    world.audit().await;
}

async fn a_partition_that_stands_still_at_its_first_event_goes_on_after_a_reset(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    let postgres = world.pool(1).get().await.expect("Postgres");
    let refuse = "ALTER TABLE reporting.account_balances ADD CONSTRAINT refused CHECK (account_id <> 'refused')";
    postgres.batch_execute(refuse).await.expect("a constraint");
    client.send(&JsonCommand::open("open-refused", "refused", None)).await;
    let stopped = wait_for_state(&world, "stopped").await;
    assert_eq!(stopped["last_error"]["position"], 1, "{stopped}");
    world.millrace(&["projectors", "pause", "reporting"]).await;
    wait_for_state(&world, "paused").await;
    postgres.batch_execute("ALTER TABLE reporting.account_balances DROP CONSTRAINT refused").await.expect("mended");
    world.millrace(&["projectors", "reset", "reporting", "--yes-really-empty", "reporting"]).await;
    world.millrace(&["projectors", "resume", "reporting"]).await;
    wait_until("the event is applied", async || world.balance("refused").await == Some(0)).await;
    assert_eq!(wait_for_state(&world, "running").await["behind"], 0);
    world.audit().await;
}
