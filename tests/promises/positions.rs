//! Promise 4: dense positions. And the database's own part in it: what is committed stays.

use millrace_schemas::ExpectedVersion;
use millrace_store::Verdict;

use crate::expected_version::append;
use crate::world::World;

crate::promises![
    positions_have_no_hole_whatever_is_aborted_and_an_open_transaction_stalls_nobody,
    the_database_refuses_to_change_or_delete_events,
    a_batch_keeps_what_is_sound_when_one_of_it_conflicts,
    a_decision_is_stale_when_the_events_it_counts_on_are_somebody_elses,
    an_append_goes_on_over_the_turn_of_a_month
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
