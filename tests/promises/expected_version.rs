//! Promise 2: expected version holds under any concurrency; a conflict names the actual version.

use millrace_schemas::{ExpectedVersion, Metadata, NewEvent, OutcomeKind};
use millrace_store::{Append, Check, Verdict};
use uuid::Uuid;

use crate::client::{Client, JsonCommand};
use crate::world::{World, stream};

crate::promises![
    expected_version_holds_under_appends_from_many_connections,
    a_command_with_an_expected_version_conflicts_and_is_told_the_actual_one
];

/// Writers that append at once.
const WRITERS: usize = 8;
/// What each appends.
const EACH: usize = 60;

/// An append of one event to each stream, as it is expected.
pub fn append(id: &str, streams: &[(&str, ExpectedVersion)]) -> Append {
    let checks = streams.iter().map(|(id, expected)| Check {
        stream: stream(id),
        expected: *expected,
        events: vec![NewEvent {
            event_id: Uuid::now_v7(),
            event_type: "AccountClosed",
            data: r#"{"account_id":"x"}"#.into(),
        }],
    });
    Append {
        command_id: id.to_owned(),
        command_type: "CloseAccount",
        outcome: OutcomeKind::Accepted,
        code: None,
        message: None,
        metadata: Metadata::default(),
        checks: checks.collect(),
    }
}

async fn expected_version_holds_under_appends_from_many_connections(world: World) {
    let (log, pool) = (world.open_log().await, world.pool(WRITERS));
    // all race for the same two streams, by exact version: each version must go to exactly one of them
    let writers = (0..WRITERS).map(|writer| {
        let (log, pool) = (log.clone(), pool.clone());
        tokio::spawn(async move {
            let client = pool.get().await.expect("Postgres");
            let (mut expected, mut conflicts) = (0_i64, 0);
            for n in 0..EACH {
                loop {
                    let id = format!("{writer}-{n}-{expected}");
                    let version = ExpectedVersion::at(expected);
                    let command = append(&id, &[("race-a", version), ("race-b", version)]);
                    match &log.append(&client, &[command]).await.expect("Postgres")[0] {
                        Verdict::Committed(outcome) => {
                            expected += 1;
                            assert!(outcome.streams.iter().all(|stream| stream.version == expected));
                            break;
                        }
                        Verdict::Stale { actual, .. } => {
                            assert!(*actual > expected, "a conflict at {expected} names {actual}");
                            expected = *actual;
                            conflicts += 1;
                        }
                        Verdict::Duplicate(_) => panic!("no id is used twice"),
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
    // one after the other, of one partition: each is decided on what the one before has made
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
