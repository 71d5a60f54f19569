//! Promise 4: dense positions. And the database's own part in it: what is committed stays.

use std::collections::BTreeMap;

use millrace_runtime::postgres;
use millrace_schemas::ExpectedVersion;
use millrace_store::{Announcements, Verdict};

use crate::expected_version::append;
use crate::world::World;

crate::promises![
    positions_have_no_hole_whatever_is_aborted_and_an_open_transaction_stalls_nobody,
    the_database_refuses_to_change_or_delete_events,
    a_batch_keeps_what_is_sound_when_one_of_it_conflicts,
    a_decision_is_stale_when_the_events_it_counts_on_are_somebody_elses,
    an_append_goes_on_over_the_turn_of_a_month,
    what_an_append_answers_is_what_it_stored,
    an_append_is_told_to_who_listens_once_it_is_committed
];

async fn positions_have_no_hole_whatever_is_aborted_and_an_open_transaction_stalls_nobody(world: World) {
    let (log, pool) = (world.open_log().await, world.pool(10));
    // somebody's long transaction, with a snapshot and a transaction id of its own, open throughout
    let mut long = pool.get().await.expect("Postgres");
    let long = long.transaction().await.expect("a transaction");
    long.batch_execute("CREATE TABLE somebodys (n int); INSERT INTO somebodys VALUES (1)").await.expect("a write");
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let writers = (0..6_u64).map(|writer| {
        let (log, pool) = (log.clone(), pool.clone());
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed + writer);
            for n in 0..80 {
                let streams: Vec<String> =
                    (0..random.usize(1..4)).map(|k| format!("dense-{}", random.u32(..8) * 4 + k as u32)).collect();
                let streams: Vec<_> = streams.iter().map(|id| (id.as_str(), ExpectedVersion::Any)).collect();
                let command = append(&format!("{writer}-{n}"), &streams);
                let mut client = pool.get().await.expect("Postgres");
                let transaction = client.transaction().await.expect("a transaction");
                let verdicts = log.append(&transaction, &[command]).await.expect("Postgres");
                assert!(matches!(verdicts[0], Verdict::Committed(_)));
                // a third of them come to nothing
                if random.u8(..3) == 0 {
                    transaction.rollback().await.expect("a rollback");
                } else {
                    transaction.commit().await.expect("a commit");
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a writer");
    }
    let client = pool.get().await.expect("Postgres");
    let sql = "SELECT partition, count(*), max(position), count(DISTINCT position) FROM events GROUP BY partition";
    let partitions = client.query(sql, &[]).await.expect("events");
    assert_eq!(partitions.len(), 4);
    for row in partitions {
        let (count, last, distinct): (i64, i64, i64) = (row.get(1), row.get(2), row.get(3));
        assert_eq!((last, distinct), (count, count), "partition {}", row.get::<_, i32>(0));
    }
    let sql =
        "SELECT count(*) FROM (SELECT recorded_at < lag(recorded_at) OVER (PARTITION BY partition ORDER BY position)
                 AS backwards FROM events) AS e WHERE backwards";
    assert_eq!(client.query_one(sql, &[]).await.expect("events").get::<_, i64>(0), 0, "recorded_at goes backwards");
    long.rollback().await.expect("a rollback");
}

async fn the_database_refuses_to_change_or_delete_events(world: World) {
    let (log, pool) = (world.open_log().await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    log.append(&client, &[append("one", &[("kept-1", ExpectedVersion::Any)])]).await.expect("Postgres");
    let months =
        "SELECT relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'events'::regclass";
    let mut tables = vec!["events".to_owned()];
    tables.extend(client.query(months, &[]).await.expect("months").iter().map(|row| row.get::<_, String>(0)));
    assert!(tables.len() >= 3, "this month and the next: {tables:?}");
    for table in tables {
        for statement in ["UPDATE {} SET version = 9", "DELETE FROM {}", "TRUNCATE {}"] {
            let statement = statement.replace("{}", &table);
            let empty: bool = client
                .query_one(&format!("SELECT NOT EXISTS (SELECT FROM {table})"), &[])
                .await
                .expect("a table")
                .get(0);
            let refused = client.batch_execute(&statement).await.err().and_then(|e| e.code().cloned());
            // a month without events has no row to refuse
            assert!(
                refused.is_some_and(|code| code.code() == "23001") || (empty && !statement.starts_with("TRUNCATE")),
                "{statement}"
            );
        }
    }
}

async fn a_batch_keeps_what_is_sound_when_one_of_it_conflicts(world: World) {
    let (log, pool) = (world.open_log().await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    let exact = ExpectedVersion::Exact;
    let batch = [
        append("opens", &[("batch-a", ExpectedVersion::NoStream)]),
        append("conflicts", &[("batch-b", ExpectedVersion::NoStream), ("batch-a", ExpectedVersion::NoStream)]),
        append("follows", &[("batch-a", exact(1))]),
        append("rests-on-the-conflict", &[("batch-b", exact(1))]),
        append("sound", &[("batch-c", ExpectedVersion::Any)]),
    ];
    let verdicts = log.append(&client, &batch).await.expect("Postgres");
    let words: Vec<&str> = verdicts
        .iter()
        .map(|verdict| match verdict {
            Verdict::Committed(_) => "committed",
            Verdict::Duplicate(_) => "duplicate",
            Verdict::Stale { .. } => "stale",
        })
        .collect();
    // "follows" and "rests-on-the-conflict" count on events that are not there
    assert_eq!(words, ["committed", "stale", "stale", "stale", "committed"]);
    let again = log.append(&client, &batch[..1]).await.expect("Postgres");
    assert!(matches!(&again[0], Verdict::Duplicate(outcome) if outcome.streams[0].version == 1));
}

async fn a_decision_is_stale_when_the_events_it_counts_on_are_somebody_elses(world: World) {
    let (log, pool) = (world.open_log().await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    let setup = [append("other-writers", &[("doubt-s", ExpectedVersion::NoStream)])];
    log.append(&client, &setup).await.expect("Postgres");
    // decided without knowing of it: the second's version is right by number, and wrong by what it counts
    let batch = [
        append("first", &[("doubt-s", ExpectedVersion::NoStream)]),
        append("second", &[("doubt-s", ExpectedVersion::Exact(1))]),
    ];
    let verdicts = log.append(&client, &batch).await.expect("Postgres");
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Stale { actual: 1, .. })), "{verdicts:?}");
    // the same where the first is a duplicate, whose events were counted once more
    let batch = [
        append("other-writers", &[("doubt-s", ExpectedVersion::Exact(1))]),
        append("third", &[("doubt-s", ExpectedVersion::Exact(1))]),
    ];
    let verdicts = log.append(&client, &batch).await.expect("Postgres");
    assert!(matches!(verdicts[..], [Verdict::Duplicate(_), Verdict::Stale { .. }]), "{verdicts:?}");
}

async fn an_append_goes_on_over_the_turn_of_a_month(world: World) {
    let (log, pool) = (world.open_log().await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    log.append(&client, &[append("this-month", &[("month-s", ExpectedVersion::Any)])]).await.expect("Postgres");
    // as if all of it had happened two months ago, and nobody had made this month's table since
    let back = "SELECT create_month(now() - interval '2 months');
                ALTER TABLE events DISABLE TRIGGER refuse_change;
                UPDATE events SET recorded_at = recorded_at - interval '2 months';
                ALTER TABLE events ENABLE TRIGGER refuse_change";
    client.batch_execute(back).await.expect("the owner of the tables may");
    let this_month = "SELECT 'events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')";
    let this_month: String = client.query_one(this_month, &[]).await.expect("a name").get(0);
    client.batch_execute(&format!("DROP TABLE {this_month}")).await.expect("it is empty");
    let next = append("next-month", &[("month-s", ExpectedVersion::Exact(1))]);
    let verdicts = log.append(&client, &[next]).await.expect("Postgres");
    assert!(matches!(&verdicts[0], Verdict::Committed(outcome) if outcome.streams[0].version == 2), "{verdicts:?}");
    let rows = "SELECT position FROM events WHERE stream_id = 'month-s' ORDER BY version";
    let positions: Vec<i64> = client.query(rows, &[]).await.expect("events").iter().map(|row| row.get(0)).collect();
    assert_eq!(positions, [1, 2]);
}

/// Batches of which every command commits take another way through the store than the others: both are met here, and the
/// log that they leave is the one that a model of it expects.
async fn what_an_append_answers_is_what_it_stored(world: World) {
    let (log, pool) = (world.open_log().await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut versions: BTreeMap<String, i64> = BTreeMap::new();
    let (mut sound, mut unsound) = (0, 0);
    for batch in 0..120 {
        let (mut commands, mut expected) = (Vec::new(), Vec::new());
        let mut model = versions.clone();
        for n in 0..random.usize(1..8) {
            let mut names: Vec<String> = (0..10).map(|k| format!("model-{k}")).collect();
            random.shuffle(&mut names);
            names.truncate(random.usize(0..4));
            let stale = random.u8(..20) == 0 && !names.is_empty();
            let version = |name: &String| model.get(name).copied().unwrap_or_default();
            let at = |name| ExpectedVersion::at(version(name) + i64::from(stale));
            let streams: Vec<_> = names.iter().map(|name| (name.as_str(), at(name))).collect();
            let mut command = append(&format!("{batch}-{n}"), &streams);
            let refused = random.u8(..5) == 0;
            for check in &mut command.checks {
                // some of what is decided on stays as it is
                check.events.truncate(usize::from(!refused && random.u8(..4) > 0));
            }
            let events: Vec<i64> = command.checks.iter().map(|check| check.events.len() as i64).collect();
            commands.push(command);
            if !stale {
                names.iter().zip(&events).for_each(|(name, events)| *model.entry(name.clone()).or_default() += events);
                model.retain(|_, version| *version > 0);
            }
            let after: Vec<(String, i64)> =
                names.iter().map(|name| (name.clone(), model.get(name).copied().unwrap_or_default())).collect();
            expected.push((stale, after));
        }
        if expected.iter().any(|(stale, _)| *stale) {
            unsound += 1;
        } else {
            sound += 1;
        }
        let verdicts = log.append(&client, &commands).await.expect("Postgres");
        // the model knows nothing of what rests on a stale decision: it is caught up from what was committed
        for ((command, verdict), (stale, after)) in commands.iter().zip(&verdicts).zip(&expected) {
            match verdict {
                Verdict::Committed(outcome) => {
                    assert!(!stale, "{command:?}");
                    let told: Vec<_> = outcome.streams.iter().map(|s| (s.stream_id.clone(), s.version)).collect();
                    assert_eq!(&told, after, "{command:?}");
                    let stored = log.outcome(&client, &command.command_id).await.expect("Postgres");
                    assert_eq!(stored.as_ref(), Some(outcome));
                    versions.extend(told.into_iter().filter(|(_, version)| *version > 0));
                }
                Verdict::Stale { .. } => assert!(expected.iter().any(|(stale, _)| *stale), "{command:?}"),
                Verdict::Duplicate(_) => panic!("{command:?} was not there before"),
            }
        }
        let again = log.append(&client, &commands).await.expect("Postgres");
        for (first, again) in verdicts.iter().zip(again) {
            if let Verdict::Committed(outcome) = first {
                assert_eq!(again, Verdict::Duplicate(outcome.clone()));
            }
        }
    }
    assert!(sound > 0 && unsound > 0, "{sound} and {unsound}");
    let sql = "SELECT s.stream_id, s.version, s.position, s.partition, e.count, e.last, e.position AS at
                 FROM streams AS s
                 JOIN (SELECT stream_id, count(*), max(version) AS last, max(position) AS position
                         FROM events GROUP BY stream_id) AS e USING (stream_id)";
    let rows = client.query(sql, &[]).await.expect("streams");
    let stored: BTreeMap<String, i64> = rows.iter().map(|row| (row.get("stream_id"), row.get("version"))).collect();
    assert_eq!(stored, versions);
    for row in rows {
        let (version, count, last): (i64, i64, i64) = (row.get("version"), row.get("count"), row.get("last"));
        assert_eq!((version, version), (count, last));
        assert_eq!(row.get::<_, i64>("position"), row.get::<_, i64>("at"));
    }
    let holes = "SELECT 1 FROM events GROUP BY partition HAVING count(*) <> max(position)";
    assert!(client.query(holes, &[]).await.expect("events").is_empty());
}

async fn an_append_is_told_to_who_listens_once_it_is_committed(world: World) {
    let (log, pool) = (world.open_log().await, world.pool(1));
    let config = postgres::config(world.settings.postgres_url().expect("set")).expect("an address");
    let mut announcements = Announcements::listen(&config, log.name()).await.expect("Postgres");
    let mut client = pool.get().await.expect("Postgres");
    let transaction = client.transaction().await.expect("a transaction");
    log.append(&transaction, &[append("told", &[("told-1", ExpectedVersion::NoStream)])]).await.expect("Postgres");
    // whatever was told before this answer has arrived
    transaction.query_one("SELECT 1", &[]).await.expect("Postgres");
    tokio::select! {
        biased;
        _ = announcements.next() => panic!("told before it was committed"),
        () = std::future::ready(()) => {}
    }
    transaction.commit().await.expect("a commit");
    assert_eq!(announcements.next().await, Some(()));
    // the other way through the store, which looks at each command
    log.append(&client, &[append("told too", &[("told-1", ExpectedVersion::Any)])]).await.expect("Postgres");
    assert_eq!(announcements.next().await, Some(()));
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()";
    client.execute(ended, &[]).await.expect("Postgres");
    assert_eq!(announcements.next().await, None);
}
