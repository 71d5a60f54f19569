//! Promise 2: expected version holds under any concurrency; a conflict names the actual version.

use millrace_store::Appended;

use crate::appending::Appender;
use crate::client::{Client, JsonCommand};
use crate::world::World;

crate::promises![
    expected_version_holds_under_appends_from_many_connections,
    a_command_with_an_expected_version_conflicts_and_is_told_the_actual_one,
    of_commands_that_expect_one_version_by_two_writers_one_is_accepted_and_the_others_are_told_the_actual_one
];

/// How many writers append at the same time.
const WRITERS: usize = 8;
/// How many appends each writer makes.
const EACH: usize = 60;

async fn expected_version_holds_under_appends_from_many_connections(world: World) {
    let (appender, pool) = (Appender::new(&world).await, world.pool(WRITERS));
    let streams = ["race-a", "race-b"];
    // all writers race for the same two streams, by exact version: each version must go to exactly one writer
    let writers = (0..WRITERS).map(|writer| {
        let (appender, pool) = (appender.clone(), pool.clone());
        tokio::spawn(async move {
            let client = pool.get().await.expect("Postgres");
            let mut conflicts = 0;
            for n in 0..EACH {
                let mut seen = appender.look(&client, &streams).await;
                loop {
                    let expected = seen.versions[0];
                    let id = format!("{writer}-{n}-{expected}");
                    match appender.append(&client, &id, &streams, &seen).await {
                        Appended::Committed(_) => {
                            let outcome = appender.log.outcome(&client, &id).await.expect("Postgres").expect("stored");
                            assert!(outcome.streams.iter().all(|stream| stream.version == expected + 1));
                            break;
                        }
                        Appended::Moved(heads) => {
                            assert_ne!(heads, seen.heads);
                            seen = appender.look(&client, &streams).await;
                            let actual = seen.versions[0];
                            assert!(actual > expected, "a conflict at {expected} names {actual}");
                            conflicts += 1;
                        }
                        Appended::Known(_) => panic!("no id is used twice"),
                        Appended::Lost => panic!("nothing is lost"),
                    }
                }
            }
            conflicts
        })
    });
    let mut conflicts = 0;
    for writer in writers.collect::<Vec<_>>() {
        conflicts += writer.await.expect("a writer");
    }
    assert!(conflicts > 0, "there was no race");
    let client = pool.get().await.expect("Postgres");
    for id in ["race-a", "race-b"] {
        let sql =
            "SELECT count(*), count(DISTINCT version), min(version), max(version) FROM events WHERE stream_id = $1";
        let row = client.query_one(sql, &[&id]).await.expect("events");
        let all = (WRITERS * EACH) as i64;
        let found: (i64, i64, i64, i64) = (row.get(0), row.get(1), row.get(2), row.get(3));
        assert_eq!(found, (all, all, 1, all), "{id}");
    }
}

async fn a_command_with_an_expected_version_conflicts_and_is_told_the_actual_one(world: World) {
    let _writer = world.service(&["writer"]).await;
    let client = Client::new(&world);
    client.send_all(&[JsonCommand::open("open-a", "a", None), JsonCommand::open("open-b", "b", None)]).await;
    world.wait_for_outcomes(2).await;
    let set = |id: &str, expected: &str| JsonCommand::post(id, &[("a", 1), ("b", -1)]).expecting(expected);
    // sent one after the other in one partition, so that each is decided on the events of the one before
    client
        .send_all(&[
            set("first", "1"),
            set("late", "1"),
            set("second", "2"),
            set("none", "no-stream"),
            set("some", "stream-exists"),
            set("any", "any"),
        ])
        .await;
    world.wait_for_outcomes(8).await;
    for (id, outcome) in [
        ("first", "accepted"),
        ("late", "conflict"),
        ("second", "accepted"),
        ("none", "conflict"),
        ("some", "accepted"),
        ("any", "accepted"),
    ] {
        assert_eq!(world.outcome(id).await["outcome"], outcome, "{id}");
    }
    let late = world.outcome("late").await;
    assert_eq!(late["code"], "version_conflict");
    assert!(late["message"].as_str().is_some_and(|text| text.contains("account-a is at version 2")), "{late}");
    assert_eq!(late["streams"][0]["version"], 2);
}

async fn of_commands_that_expect_one_version_by_two_writers_one_is_accepted_and_the_others_are_told_the_actual_one(
    world: World,
) {
    let _writers = (world.service(&["writer"]).await, world.service(&["writer"]).await);
    let client = Client::new(&world);
    let payers: Vec<String> = (0..4).map(|n| format!("p{n}")).collect();
    let mut opens = vec![JsonCommand::open("open-hot", "hot", None)];
    opens.extend(payers.iter().map(|id| JsonCommand::open(format!("open-{id}"), id, None)));
    client.send_all(&opens).await;
    world.wait_for_outcomes(5).await;
    for version in 1..=15_i64 {
        // by keys of several partitions, so that both writers get some
        let sets = payers.iter().enumerate().map(|(n, payer)| {
            let set = JsonCommand::post(format!("{version}-{n}"), &[("hot", 1), (payer, -1)]);
            JsonCommand { key: format!("account-{payer}"), ..set }.expecting(&version.to_string())
        });
        client.send_all(&sets.collect::<Vec<_>>()).await;
        world.wait_for_outcomes(5 + 4 * version).await;
        let mut accepted = 0;
        for n in 0..4 {
            let outcome = world.outcome(&format!("{version}-{n}")).await;
            accepted += i32::from(outcome["outcome"] == "accepted");
            assert!(outcome["outcome"] == "accepted" || outcome["code"] == "version_conflict", "{outcome}");
            assert_eq!(outcome["streams"][0]["version"], version + 1, "{outcome}");
        }
        assert_eq!(accepted, 1, "version {version}");
    }
}
