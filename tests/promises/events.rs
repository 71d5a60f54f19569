//! `millrace events` prints what plain SQL finds, whatever the filters, also where that is more than a page.

use std::sync::Arc;

use millrace_schemas::Metadata;
use millrace_store::Appended;
use serde_json::Value;

use crate::appending::{Appender, Step};
use crate::client::{Client, JsonCommand};
use crate::world::World;

crate::promises![every_filter_of_events_finds_what_plain_sql_finds_however_many_pages_that_is];

/// A page of a stream has at most 4,000 events, and one of each of the four partitions 1,000.
const LONG: usize = 4_100;

/// Appends events in one go. Their users and correlation ids alternate.
async fn append(world: &World, appender: &Appender, id: &str, steps: &[Step<'_>]) {
    let client = world.pool(1).get().await.expect("Postgres");
    let streams: Vec<&str> = steps.iter().map(|(stream, _)| *stream).collect();
    let seen = appender.look(&client, &streams).await;
    let mut batch = appender.batch(&seen);
    appender.add(&mut batch, id, steps, &seen.versions);
    for (n, event) in batch.events.iter_mut().enumerate() {
        let user_id = (n % 3 > 0).then(|| format!("user-{}", n % 3));
        let correlation_id = Some(format!("order-{}", n % 7));
        event.metadata = Arc::new(Metadata { user_id, correlation_id, ..Metadata::default() });
    }
    let appended = appender.log.append(&client, &batch).await.expect("Postgres");
    assert!(matches!(appended, Appended::Committed(_)), "{appended:?}");
}

/// What the command prints: partition, position and id of each event.
async fn printed(world: &World, arguments: &[&str]) -> Vec<String> {
    let printed = world.millrace(&[&["events", "--output", "json"], arguments].concat()).await;
    let place = |line: &str| {
        let event: Value = serde_json::from_str(line).expect("a line of JSON");
        format!("{}@{} {}", event["partition"], event["position"], event["event_id"].as_str().expect("an id"))
    };
    printed.lines().map(place).collect()
}

async fn every_filter_of_events_finds_what_plain_sql_finds_however_many_pages_that_is(world: World) {
    let client = Client::new(&world);
    let mut writer = world.service(&["writer"]).await;
    let opens: Vec<_> = (0..20).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None)).collect();
    client.send_all(&opens).await;
    world.wait_for_outcomes(20).await;
    let set = JsonCommand::post("set", &[("a0", 1), ("a1", -1)]);
    client.send(&set).await;
    world.wait_for_outcomes(21).await;
    writer.leave().await;
    let appender = Appender::new(&world).await;
    append(&world, &appender, "long", &[("account-long", LONG)]).await;
    let wide: Vec<String> = (0..12).map(|n| format!("account-wide{n}")).collect();
    let wide: Vec<Step<'_>> = wide.iter().map(|stream| (stream.as_str(), 300)).collect();
    append(&world, &appender, "wide", &wide).await;
    append(&world, &appender, "last", &[("account-long", 50)]).await;

    let db = world.pool(1).get().await.expect("Postgres");
    let recorded =
        "SELECT DISTINCT recorded_at FROM events WHERE stream_id LIKE 'account-%e%' OR stream_id = 'account-long'
                     ORDER BY 1";
    let times: Vec<jiff::Timestamp> =
        db.query(recorded, &[]).await.expect("times").iter().map(|row| row.get(0)).collect();
    let [long, wide, last] = times[..] else { panic!("three appends have three times: {times:?}") };
    let (long, wide, last) = (long.to_string(), wide.to_string(), last.to_string());
    let partition = appender.log.partition_of(&crate::world::stream("account-long")).to_string();
    let typed = "schema IN (SELECT number FROM schemas WHERE name = ANY ('{AccountOpened,EntryPosted}'))";
    let filters: [(&[&str], String, usize); 12] = [
        (&[], "true".into(), 22 + LONG + 3_600 + 50),
        (&["--type", "AccountOpened", "--type", "EntryPosted"], typed.into(), 22),
        (&["--stream", "account-long"], "stream_id = 'account-long'".into(), LONG + 50),
        (&["--partition", &partition, "--from", "900"], format!("partition = {partition} AND position >= 900"), 3_000),
        (&["--since", &wide], format!("recorded_at >= '{wide}'"), 3_650),
        (&["--until", &wide], format!("recorded_at < '{wide}'"), 22 + LONG),
        (&["--since", &long, "--until", &last], format!("recorded_at >= '{long}' AND recorded_at < '{last}'"), 7_700),
        (&["--correlation", "order-3"], "correlation_id = 'order-3'".into(), 1_000),
        (&["--user", "user-2"], "user_id = 'user-2'".into(), 2_500),
        (
            &["--user", "user-2", "--stream", "account-long"],
            "user_id = 'user-2' AND stream_id = 'account-long'".into(),
            1_300,
        ),
        (
            &["--user", "user-1", "--correlation", "order-1", "--since", &wide, "--type", "AccountClosed"],
            format!("user_id = 'user-1' AND correlation_id = 'order-1' AND recorded_at >= '{wide}'"),
            100,
        ),
        (&["--user", "nobody"], "user_id = 'nobody'".into(), 0),
    ];
    for (arguments, condition, at_least) in filters {
        let sql = format!(
            "SELECT format('%s@%s %s', partition, position, event_id) FROM events WHERE {condition}
              ORDER BY recorded_at, partition, position"
        );
        let expected: Vec<String> = db.query(&sql, &[]).await.expect("events").iter().map(|row| row.get(0)).collect();
        assert!(expected.len() >= at_least, "{arguments:?} matches {} events only", expected.len());
        let found = printed(&world, arguments).await;
        assert!(found == expected, "{arguments:?} finds {} events, plain SQL {}", found.len(), expected.len());
        // a limit is cut off from the same answer, inside the first page and after it
        for limit in [7, 2_345].into_iter().filter(|limit| *limit < expected.len()) {
            let text = limit.to_string();
            let limited = [arguments, &["--limit", &text]].concat();
            assert!(printed(&world, &limited).await == expected[..limit], "{limited:?}");
        }
    }
}
