//! Promise 3: a command's events in several streams commit together or not at all.

use crate::client::{Client, JsonCommand};
use crate::world::World;

crate::promises![
    an_entry_set_across_partitions_with_one_failing_entry_leaves_no_trace,
    overdraft_limits_hold_under_two_writers
];

async fn an_entry_set_across_partitions_with_one_failing_entry_leaves_no_trace(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    // twelve accounts stand in all four partitions
    let ids: Vec<String> = (0..12).map(|n| format!("w{n}")).collect();
    let opens: Vec<_> = ids.iter().map(|id| JsonCommand::open(format!("open-{id}"), id, Some(0))).collect();
    client.send_all(&opens).await;
    client.send(&JsonCommand::open("open-bank", "bank", None)).await;
    world.wait_for_outcomes(13).await;
    let mut entries: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 10)).collect();
    entries.push(("bank", -120));
    client.send(&JsonCommand::post("all-of-it", &entries)).await;
    let whole = world.outcome("all-of-it").await;
    assert_eq!(whole["outcome"], "accepted");
    let token = whole["token"].as_str().expect("a token");
    assert!(token.split(',').count() > 1, "it touched several partitions: {token}");
    // the last account would fall below its limit, so nobody's balance may move
    let mut failing: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 5)).collect();
    failing[11].1 = -11;
    failing.push(("bank", -44));
    client.send(&JsonCommand::post("none-of-it", &failing)).await;
    assert_eq!(world.outcome("none-of-it").await["code"], "overdraft_limit_exceeded");
    let report = world.audit().await;
    assert_eq!(report["events"], 13 + 13);
    for id in &ids {
        assert_eq!(world.balance(id).await, Some(10), "{id}");
    }
}

async fn overdraft_limits_hold_under_two_writers(world: World) {
    let _services = (world.pipeline().await, world.service(&["writer"]).await);
    let client = Client::new(&world);
    let payers: Vec<String> = (0..10).map(|n| format!("p{n}")).collect();
    let mut opens: Vec<_> = payers.iter().map(|id| JsonCommand::open(format!("open-{id}"), id, None)).collect();
    opens.push(JsonCommand::open("open-limited", "limited", Some(100)));
    client.send_all(&opens).await;
    world.wait_for_outcomes(11).await;
    // 400 sets over many partitions, each of which takes 1 from the limited account: exactly 100 may succeed
    let sets = (0..400).map(|n| JsonCommand::post(format!("take-{n}"), &[(&payers[n % 10], 1), ("limited", -1)]));
    client.send_all(&sets.collect::<Vec<_>>()).await;
    world.wait_for_outcomes(411).await;
    world.audit().await;
    assert_eq!(world.balance("limited").await, Some(-100));
    let refused = world.stored_outcomes().await;
    let refused = refused.iter().filter(|outcome| outcome.code.as_deref() == Some("overdraft_limit_exceeded"));
    assert_eq!(refused.count(), 300);
}
