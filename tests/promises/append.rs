//! Logs without rules: the command `Append`, also while the log's definition changes.

use serde_json::{Value, json};

use crate::client::JsonCommand;
use crate::own::{Own, append, event, one, opened};
use crate::world::{World, wait_until};

crate::promises![
    an_append_commits_all_of_its_streams_or_none_and_a_conflict_names_stream_and_version,
    an_append_that_comes_again_has_its_effect_once_and_with_other_content_none,
    an_append_of_an_event_that_kafka_would_not_take_is_rejected,
    a_running_writer_takes_up_a_new_definition_and_loses_no_command
];

async fn an_append_commits_all_of_its_streams_or_none_and_a_conflict_names_stream_and_version(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let _writer = world.service(&["writer", "--log", &own.log]).await;
    let both = |id: &str, first: Value, second: Value| {
        append(
            id,
            json!([one("ticket-1", first, &[opened("a"), opened("b")]), one("ticket-2", second, &[opened("c")])]),
        )
    };
    let accepted = own.ask(&both("both", json!("no-stream"), json!("any"))).await;
    assert_eq!(accepted["outcome"], "accepted", "{accepted}");
    assert_eq!(own.count("events").await, 3);

    for (id, command) in [
        ("second", both("second", json!(2), json!("no-stream"))),
        ("first", both("first", json!(1), json!("stream-exists"))),
        (
            "only-checked",
            append("only-checked", json!([one("ticket-1", json!(2), &[opened("d")]), one("ticket-2", json!(7), &[])])),
        ),
    ] {
        let conflict = own.ask(&command).await;
        assert_eq!((&conflict["outcome"], &conflict["code"]), (&json!("conflict"), &json!("version_conflict")), "{id}");
        let message = conflict["message"].as_str().expect("a message");
        let stream = if id == "first" { "Stream ticket-1 is at version 2" } else { "Stream ticket-2 is at version 1" };
        assert!(message.starts_with(stream), "{message}");
    }
    assert_eq!(own.count("events").await, 3, "none of them left anything");
    let checked = append("checked", json!([one("ticket-1", json!(2), &[]), one("ticket-2", json!(1), &[opened("e")])]));
    assert_eq!(own.ask(&checked).await["outcome"], "accepted");

    for (id, stream, code) in [("type", "cart-1", "unknown_stream_type"), ("id", "ticket", "invalid_stream_id")] {
        let rejected = own.ask(&append(id, json!([one(stream, json!("any"), &[opened("f")])]))).await;
        assert_eq!((&rejected["outcome"], &rejected["code"]), (&json!("rejected"), &json!(code)), "{rejected}");
    }
    let misfit = json!({"type": "TicketOpened", "data": {"ticket_id": 5}});
    let dead = own.ask(&append("misfit", json!([one("ticket-1", json!("any"), &[misfit])]))).await;
    assert_eq!((&dead["outcome"], &dead["code"]), (&json!("dead-lettered"), &json!("schema_mismatch")), "{dead}");
    assert_eq!(own.count("events").await, 4);
}

async fn an_append_that_comes_again_has_its_effect_once_and_with_other_content_none(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let mut writer = world.service(&["writer", "--log", &own.log]).await;
    let event_id = "0190c8f0-0000-7000-8000-000000000001";
    let mut event = opened("a");
    event["id"] = json!(event_id);
    let command = append("again", json!([one("ticket-1", json!("any"), &[event])]));
    let first = own.ask(&command).await;
    assert_eq!(first["outcome"], "accepted", "{first}");
    // a writer that has not seen it
    writer.kill();
    writer.restart();
    writer.wait_until_ready().await;
    own.client()
        .send_all(&[command.clone(), append("after", json!([one("ticket-9", json!("any"), &[opened("z")])]))])
        .await;
    own.outcome("after").await;
    assert_eq!(own.outcome("again").await, first);
    let other = append("again", json!([one("ticket-1", json!("any"), &[opened("b")])]));
    own.client().send(&other).await;
    let topic = format!("{}.outcomes", own.log);
    let told = own.client().read_at_least(&topic, 4).await;
    let told = told.iter().filter(|outcome| {
        String::from_utf8_lossy(rdkafka::Message::payload(*outcome).expect("a value")).contains("command_id_reused")
    });
    assert_eq!(told.count(), 1);
    assert_eq!(own.count("events").await, 2);
    let client = world.pool(1).get().await.expect("Postgres");
    let ids = format!("SELECT event_id::text FROM \"{}\".events WHERE stream_id = 'ticket-1'", own.log);
    assert_eq!(client.query_one(&ids, &[]).await.expect("one event").get::<_, &str>(0), event_id);
}

async fn an_append_of_an_event_that_kafka_would_not_take_is_rejected(world: World) {
    let own = Own::new(&world);
    let doubles = json!({"type": "array", "items": "double"});
    own.write("events/Measured.avsc", &event("Measured", json!([{"name": "values", "type": doubles}])));
    own.applied().await;
    let _writer = world.service(&["writer", "--log", &own.log]).await;
    // two bytes of JSON each, eight of Avro
    let measured = |count: usize| json!({"type": "Measured", "data": {"values": vec![1; count]}});
    let appending = |id: &str, count| append(id, json!([one("ticket-1", json!("any"), &[measured(count)])]));
    let refused = own.ask(&appending("large", 120_000)).await;
    assert_eq!((&refused["outcome"], &refused["code"]), (&json!("rejected"), &json!("not_publishable")), "{refused}");
    assert_eq!(own.ask(&appending("fits", 100_000)).await["outcome"], "accepted");
    assert_eq!(own.count("events").await, 1);
}

async fn a_running_writer_takes_up_a_new_definition_and_loses_no_command(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let writer = world.service(&["writer", "--log", &own.log]).await;
    let _relay = world.service(&["relay", "--log", &own.log]).await;
    let client = own.client();
    // commands of the old definition before, while and after the new one is applied; those of the new one right after
    let old = |number: usize| {
        append(&format!("old-{number}"), json!([one(&format!("ticket-{number}"), json!("no-stream"), &[opened("a")])]))
    };
    let before: Vec<JsonCommand> = (0..300).map(old).collect();
    let after: Vec<JsonCommand> = (300..600).map(old).collect();
    client.send_all(&before).await;
    let mut created = 0;
    for round in 1..=3 {
        let name = format!("TicketMoved{round}");
        own.write(&format!("events/{name}.avsc"), &event(&name, json!([{"name": "to", "type": "string"}])));
        own.applied().await;
        let moved = json!({"type": name, "data": {"to": "second level"}});
        let new = (0..20).map(|number| {
            append(
                &format!("new-{round}-{number}"),
                json!([one(&format!("ticket-{number}"), json!("stream-exists"), std::slice::from_ref(&moved))]),
            )
        });
        let new: Vec<JsonCommand> = new.collect();
        created += new.len();
        client.send_all(&new).await;
    }
    client.send_all(&after).await;
    let wanted = (before.len() + after.len() + created) as i64;
    wait_until("every command has an outcome", async || own.count("commands").await >= wanted).await;
    assert_eq!(own.count("events").await, wanted, "all of them are accepted");
    let topics = (format!("{}.events", own.log), format!("{}.dead-letters", own.log));
    assert_eq!(client.read_at_least(&topics.0, wanted as usize).await.len(), wanted as usize, "and published");
    assert_eq!(client.read(&topics.1).await.into_values().flatten().count(), 0);
    assert!(writer.log().contains("going on with it"), "{}", writer.log());
    world.millrace(&["audit", "--log", &own.log, "--wait", "60"]).await;
}
