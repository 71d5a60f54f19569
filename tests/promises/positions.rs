//! Promise 4: dense positions. Also Postgres' own part in it: nobody can change committed events.

use std::collections::BTreeMap;

use millrace_runtime::postgres;
use millrace_store::{Announcements, Appended, Cursor, Head, PageLimit, command_key};
use uuid::Uuid;

use crate::appending::{Appender, Step};
use crate::client::{Client, JsonCommand};
use crate::world::World;

crate::promises![
    positions_have_no_hole_whatever_is_aborted_and_an_open_transaction_stalls_nobody,
    the_database_refuses_to_change_or_delete_events,
    a_batch_keeps_what_is_sound_when_one_of_it_conflicts,
    a_decision_is_stale_when_the_events_it_counts_on_are_somebody_elses,
    an_append_goes_on_over_the_turn_of_a_month,
    a_table_of_the_application_named_like_a_month_disturbs_nobody,
    what_an_append_answers_is_what_it_stored,
    an_append_is_told_to_who_listens_once_it_is_committed,
    an_append_on_commits_that_the_log_has_lost_writes_nothing,
    an_event_that_comes_again_with_its_id_at_another_time_is_another_event
];

async fn positions_have_no_hole_whatever_is_aborted_and_an_open_transaction_stalls_nobody(world: World) {
    let (appender, pool) = (Appender::new(&world).await, world.pool(10));
    // another session's long transaction, with a snapshot and a transaction id, stays open throughout
    let mut long = pool.get().await.expect("Postgres");
    let long = long.transaction().await.expect("a transaction");
    long.batch_execute("CREATE TABLE somebodys (n int); INSERT INTO somebodys VALUES (1)").await.expect("a write");
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let writers = (0..6_u64).map(|writer| {
        let (appender, pool) = (appender.clone(), pool.clone());
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed + writer);
            for n in 0..80 {
                let streams: Vec<String> =
                    (0..random.usize(1..4)).map(|k| format!("dense-{}", random.u32(..8) * 4 + k as u32)).collect();
                let streams: Vec<&str> = streams.iter().map(String::as_str).collect();
                let mut client = pool.get().await.expect("Postgres");
                loop {
                    let seen = appender.look(&client, &streams).await;
                    let transaction = client.transaction().await.expect("a transaction");
                    match appender.append(&transaction, &format!("{writer}-{n}"), &streams, &seen).await {
                        Appended::Moved(_) => continue,
                        appended => assert!(matches!(appended, Appended::Committed(_)), "{appended:?}"),
                    }
                    // a third of the transactions roll back
                    if random.u8(..3) == 0 {
                        transaction.rollback().await.expect("a rollback");
                    } else {
                        transaction.commit().await.expect("a commit");
                    }
                    break;
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
    let (appender, pool) = (Appender::new(&world).await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    appender.append_alone(&client, "one", &["kept-1"]).await;
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
            // a month without events has no row whose change Postgres could refuse
            assert!(
                refused.is_some_and(|code| code.code() == "23001") || (empty && !statement.starts_with("TRUNCATE")),
                "{statement}"
            );
        }
    }
}

async fn a_batch_keeps_what_is_sound_when_one_of_it_conflicts(world: World) {
    // so that the writer gathers the commands into one append
    let _writer = world.service_with(&["writer"], &[("MILLRACE_BATCH_LINGER_MS", "500")]).await;
    let client = Client::new(&world);
    let opens = ["a", "b", "c", "d"].map(|id| JsonCommand::open(format!("open-{id}"), id, None));
    client.send_all(&opens).await;
    world.wait_for_outcomes(4).await;
    // with one key, so that they come in this order
    let set = |id: &str, first: &str, expected: &str| {
        let mut set = JsonCommand::post(id, &[(first, 1), ("d", -1)]).expecting(expected);
        set.key = "account-a".into();
        set
    };
    let sets = [
        set("goes on", "a", "1"),
        set("conflicts", "b", "no-stream"),
        set("follows", "a", "2"),
        set("rests on the conflict", "b", "2"),
        set("sound", "c", "any"),
    ];
    client.send_all(&sets).await;
    world.wait_for_outcomes(9).await;
    let mut words = Vec::new();
    for set in &sets {
        words.push(world.outcome(&set.id).await["outcome"].as_str().map(str::to_owned).expect("a word"));
    }
    // "rests on the conflict" expects an event that the conflict did not append
    assert_eq!(words, ["accepted", "conflict", "accepted", "conflict", "accepted"]);
    let first = world.outcome("goes on").await;
    client.send_all(&sets[..1]).await;
    client.read_at_least(&world.log.outcomes_topic(), 10).await;
    assert_eq!(world.outcome("goes on").await, first, "sent again, it is not appended again");
    assert_eq!(first["streams"][0]["version"], 2);
}

async fn a_decision_is_stale_when_the_events_it_counts_on_are_somebody_elses(world: World) {
    let (appender, pool) = (Appender::new(&world).await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    let count = async || client.query_one("SELECT count(*) FROM events", &[]).await.expect("events").get::<_, i64>(0);
    let before = appender.look(&client, &["doubt-s"]).await;
    appender.append_alone(&client, "other-writers", &["doubt-s"]).await;
    let now = appender.look(&client, &["doubt-s"]).await;
    // decided without knowing of that append
    let moved = appender.append(&client, "first", &["doubt-s"], &before).await;
    assert_eq!(moved, Appended::Moved(now.heads.clone()));
    // the position is right, but the log has another event there than the decision rests on
    let mut forked = now.clone();
    forked.heads[0].event_id = Uuid::now_v7();
    let moved = appender.append(&client, "second", &["doubt-s"], &forked).await;
    assert_eq!(moved, Appended::Moved(now.heads.clone()));
    // a head that Postgres has not reached
    let mut ahead = now.clone();
    ahead.heads[0].position += 5;
    assert_eq!(appender.append(&client, "third", &["doubt-s"], &ahead).await, Appended::Moved(now.heads.clone()));
    assert_eq!(count().await, 1, "nothing of them was written");
    assert!(appender.log.outcome(&client, "first").await.expect("Postgres").is_none());
    // the same when a command of the batch was committed before
    let known = appender.append(&client, "other-writers", &["doubt-s"], &now).await;
    assert_eq!(known, Appended::Known(vec![command_key("other-writers")]));
    assert_eq!(count().await, 1);
    let appended = appender.append(&client, "first", &["doubt-s"], &now).await;
    assert!(matches!(appended, Appended::Committed(_)), "{appended:?}");
}

async fn an_append_goes_on_over_the_turn_of_a_month(world: World) {
    let (appender, pool) = (Appender::new(&world).await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    appender.append_alone(&client, "this-month", &["month-s"]).await;
    // as if everything had happened two months ago, and nobody had created this month's table since
    let back = "SELECT create_month(now() - interval '2 months');
                ALTER TABLE events DISABLE TRIGGER refuse_change;
                UPDATE events SET recorded_at = recorded_at - interval '2 months';
                ALTER TABLE events ENABLE TRIGGER refuse_change";
    client.batch_execute(back).await.expect("the owner of the tables may");
    let this_month = "SELECT 'events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')";
    let this_month: String = client.query_one(this_month, &[]).await.expect("a name").get(0);
    client.batch_execute(&format!("DROP TABLE {this_month}")).await.expect("it is empty");
    appender.append_alone(&client, "next-month", &["month-s"]).await;
    let rows = "SELECT position, version FROM events WHERE stream_id = 'month-s' ORDER BY version";
    let rows = client.query(rows, &[]).await.expect("events");
    let places: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(places, [(1, 1), (2, 2)]);
}

async fn a_table_of_the_application_named_like_a_month_disturbs_nobody(world: World) {
    let (appender, pool) = (Appender::new(&world).await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    let this_month = "SELECT 'events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')";
    let this_month: String = client.query_one(this_month, &[]).await.expect("a name").get(0);
    client
        .batch_execute(&format!("DROP TABLE {this_month}; CREATE TABLE public.{this_month} (n int)"))
        .await
        .expect("it is empty");
    appender.append_alone(&client, "one", &["month-s"]).await;
    let count = client.query_one(&format!("SELECT count(*) FROM \"{}\".{this_month}", world.log), &[]).await;
    assert_eq!(count.expect("the log's own month").get::<_, i64>(0), 1);
}

/// Appends random batches with right and wrong heads and with new and known commands, and compares the log with a
/// model.
async fn what_an_append_answers_is_what_it_stored(world: World) {
    let (appender, pool) = (Appender::new(&world).await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut versions: BTreeMap<String, i64> = BTreeMap::new();
    let mut committed: Vec<String> = Vec::new();
    let (mut sound, mut moved, mut known) = (0, 0, 0);
    for n in 0..120 {
        let mut names: Vec<String> = (0..10).map(|k| format!("model-{k}")).collect();
        random.shuffle(&mut names);
        let streams: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut seen = appender.look(&client, &streams).await;
        let model: Vec<i64> = names.iter().map(|name| versions.get(name).copied().unwrap_or(0)).collect();
        assert_eq!(seen.versions, model);
        let stale = random.u8(..5) == 0;
        if stale {
            let head = random.usize(..seen.heads.len());
            let Head { position, event_id, .. } = &mut seen.heads[head];
            if random.bool() { *position += 1 } else { *event_id = Uuid::now_v7() }
        }
        let mut batch = appender.batch(&seen);
        let (mut after, mut outcomes) = (versions.clone(), Vec::new());
        let mut has_known = false;
        for command in 0..random.usize(1..8) {
            let mut order = names.clone();
            random.shuffle(&mut order);
            let touched = &order[..random.usize(0..4)];
            // some of the streams that the decision rests on get no event
            let steps: Vec<Step<'_>> = touched.iter().map(|name| (name.as_str(), random.usize(0..3))).collect();
            let at: Vec<i64> = touched.iter().map(|name| after.get(name).copied().unwrap_or(0)).collect();
            let again = (random.u8(..25) == 0 && !has_known).then(|| random.choice(&committed).cloned()).flatten();
            has_known |= again.is_some();
            let id = again.unwrap_or_else(|| format!("{n}-{command}"));
            outcomes.push(appender.add(&mut batch, &id, &steps, &at));
            for (name, count) in &steps {
                *after.entry((*name).to_owned()).or_default() += *count as i64;
            }
        }
        match appender.log.append(&client, &batch).await.expect("Postgres") {
            Appended::Committed(recorded_at) => {
                assert!(!stale && !has_known);
                sound += 1;
                for mut outcome in outcomes {
                    outcome.recorded_at = recorded_at.as_microsecond();
                    let stored = appender.log.outcome(&client, &outcome.command_id).await.expect("Postgres");
                    assert_eq!(stored.as_ref(), Some(&outcome));
                    committed.push(outcome.command_id);
                }
                versions = after;
                let again = appender.log.append(&client, &batch).await.expect("Postgres");
                let nothing_new = batch.events.is_empty();
                assert!(matches!(again, Appended::Moved(_)) || (nothing_new && matches!(again, Appended::Known(_))));
                // on the heads as they are, each of its commands is known
                let mut again = appender.batch(&appender.look(&client, &streams).await);
                again.commands.clone_from(&batch.commands);
                let mut keys: Vec<Uuid> = batch.commands.iter().map(|command| command.key).collect();
                let Appended::Known(mut known) = appender.log.append(&client, &again).await.expect("Postgres") else {
                    panic!("they are committed")
                };
                keys.sort_unstable();
                known.sort_unstable();
                assert_eq!(known, keys);
            }
            Appended::Moved(_) => {
                assert!(stale);
                moved += 1;
            }
            Appended::Known(keys) => {
                assert!(!stale && has_known && keys.len() == 1, "{keys:?}");
                known += 1;
            }
            Appended::Lost => panic!("nothing is lost"),
        }
    }
    assert!(sound > 0 && moved > 0 && known > 0, "{sound}, {moved} and {known}");
    versions.retain(|_, version| *version > 0);
    let sql =
        "SELECT s.stream_id, s.partition, s.type, s.recorded_at = e.first AS begins, e.count, e.last, e.partitions
                 FROM streams AS s
                 JOIN (SELECT stream_id, count(*), max(version) AS last, min(recorded_at) AS first,
                              array_agg(DISTINCT partition) AS partitions
                         FROM events GROUP BY stream_id) AS e USING (stream_id)";
    let rows = client.query(sql, &[]).await.expect("streams");
    let stored: BTreeMap<String, i64> = rows.iter().map(|row| (row.get("stream_id"), row.get("last"))).collect();
    assert_eq!(stored, versions);
    for row in rows {
        assert_eq!(row.get::<_, i64>("count"), row.get::<_, i64>("last"));
        assert_eq!(row.get::<_, Vec<i32>>("partitions"), [row.get::<_, i32>("partition")]);
        assert!(row.get::<_, bool>("begins") && row.get::<_, &str>("type") == "model");
    }
    let holes = "SELECT 1 FROM events GROUP BY partition HAVING count(*) <> max(position)";
    assert!(client.query(holes, &[]).await.expect("events").is_empty());
}

async fn an_append_is_told_to_who_listens_once_it_is_committed(world: World) {
    let (appender, pool) = (Appender::new(&world).await, world.pool(1));
    let config = postgres::config(world.settings.postgres_url().expect("set")).expect("an address");
    let mut announcements = Announcements::listen(&config, appender.log.name()).await.expect("Postgres");
    let mut client = pool.get().await.expect("Postgres");
    let transaction = client.transaction().await.expect("a transaction");
    appender.append_alone(&transaction, "told", &["told-1"]).await;
    // notifications arrive before this answer does
    transaction.query_one("SELECT 1", &[]).await.expect("Postgres");
    tokio::select! {
        biased;
        _ = announcements.next() => panic!("told before it was committed"),
        () = std::future::ready(()) => {}
    }
    transaction.commit().await.expect("a commit");
    assert_eq!(announcements.next().await, Some(()));
    appender.append_alone(&client, "told too", &["told-1"]).await;
    assert_eq!(announcements.next().await, Some(()));
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()";
    client.execute(ended, &[]).await.expect("Postgres");
    assert_eq!(announcements.next().await, None);
}

async fn an_append_on_commits_that_the_log_has_lost_writes_nothing(world: World) {
    let (appender, client) = (Appender::new(&world).await, world.pool(1).get().await.expect("Postgres"));
    let append = async |id: &str, known: &[(i32, i64)], next: i64| {
        let mut batch = appender.batch(&appender.look(&client, &["model-1"]).await);
        appender.add(&mut batch, id, &[], &[]);
        (batch.known_offsets, batch.next_offsets) = (known.to_vec(), vec![(2, next)]);
        appender.log.append(&client, &batch).await.expect("Postgres")
    };
    assert!(matches!(append("one", &[], 5).await, Appended::Committed(_)));
    // the log has committed up to 5, and nothing of another partition
    assert_eq!(append("two", &[(2, 6)], 7).await, Appended::Lost);
    assert_eq!(append("three", &[(2, 5), (3, 1)], 7).await, Appended::Lost);
    assert!(matches!(append("four", &[(2, 4)], 7).await, Appended::Committed(_)));
    let stored: i64 = client.query_one("SELECT count(*) FROM commands", &[]).await.expect("a count").get(0);
    assert_eq!(stored, 2);
    let next: i64 =
        client.query_one("SELECT next_offset FROM command_offsets WHERE partition = 2", &[]).await.expect("it").get(0);
    assert_eq!(next, 7);
}

async fn an_event_that_comes_again_with_its_id_at_another_time_is_another_event(world: World) {
    let (appender, pool) = (Appender::new(&world).await, world.pool(1));
    let client = pool.get().await.expect("Postgres");
    appender.append_alone(&client, "one", &["again-1"]).await;
    let partition = appender.log.partition_of(&crate::world::stream("again-1"));
    let limit = PageLimit { events: 9, bytes: 9999 };
    let page = appender.log.read(&client, &[Cursor::start(partition)], limit).await.expect("a page");
    let cursor = Cursor::after(&page.events[0]);
    assert_eq!(appender.log.read(&client, &[cursor], limit).await.expect("a page").forks, []);
    // as after a failover that lost the event, when its sender has sent its `Append` again
    let again = "ALTER TABLE events DISABLE TRIGGER refuse_change;
                 UPDATE events SET recorded_at = recorded_at + interval '1 microsecond';
                 ALTER TABLE events ENABLE TRIGGER refuse_change";
    client.batch_execute(again).await.expect("the owner of the table may");
    let page = appender.log.read(&client, &[cursor], limit).await.expect("a page");
    assert_eq!(page.forks.iter().map(|fork| fork.cursor).collect::<Vec<_>>(), [cursor]);
}
