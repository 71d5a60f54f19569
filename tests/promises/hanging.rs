//! A registry that accepts connections and answers nothing: only the partitions that need it wait.

use millrace_schemas::partition_of;

use crate::client::{Client, JsonCommand, codec, text_headers};
use crate::older_client::close_in_an_older_version;
use crate::proxy::Proxy;
use crate::world::{World, stream, wait_until};

crate::promises![while_the_registry_hangs_only_the_partition_with_an_unknown_schema_waits];

async fn while_the_registry_hangs_only_the_partition_with_an_unknown_schema_waits(world: World) {
    let registry = Proxy::before(&world.stack.addresses().registry_url).await;
    let writer = world.service_with(&["writer"], &[("MILLRACE_REGISTRY_URL", &registry.url)]).await;
    let client = Client::new(&world);
    let accounts: Vec<String> = (0..4).map(account_in).collect();
    client
        .send_all(&accounts.iter().map(|id| JsonCommand::open(format!("open-{id}"), id, None)).collect::<Vec<_>>())
        .await;
    world.wait_for_outcomes(4).await;
    let unknown = close_in_an_older_version(&world, &codec(&world).await, &accounts[0]).await;

    registry.hold();
    let key = format!("account-{}", accounts[0]);
    client.send_raw(Some(&key), Some(&unknown), text_headers(&[("ce_id", "close")])).await;
    client.send(&JsonCommand::post("behind", &[(&accounts[0], 5), (&accounts[1], -5)])).await;
    // the others go on, batch after batch
    for round in 0..3 {
        for (from, to) in [(1, 2), (2, 3), (3, 1)] {
            let id = format!("set-{round}-{from}");
            client.send(&JsonCommand::post(&id, &[(&accounts[from], -1), (&accounts[to], 1)])).await;
            assert_eq!(world.outcome(&id).await["outcome"], "accepted");
        }
    }
    wait_until("one partition waits", async || writer.metric("millrace_writer_waiting_partitions").await == 1.0).await;
    assert_eq!(world.stored_outcomes().await.len(), 4 + 9, "nothing behind the unknown schema is decided");

    registry.open();
    assert_eq!(world.outcome("close").await["outcome"], "accepted");
    assert_eq!(world.outcome("behind").await["code"], "account_closed");
    assert_eq!(writer.metric("millrace_writer_waiting_partitions").await, 0.0);
    let _rest = tokio::join!(
        world.service(&["relay"]),
        world.service(&["projector", "reporting"]),
        world.service(&["projector", "search"])
    );
    world.audit().await;
}

/// An account of a partition.
fn account_in(partition: i32) -> String {
    let accounts = (0..).map(|n| format!("a{n}"));
    let is_there = |account: &String| partition_of(&stream(&format!("account-{account}")), 4) == partition;
    accounts.into_iter().find(is_there).expect("one of them")
}
