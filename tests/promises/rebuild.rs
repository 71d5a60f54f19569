//! Rebuilding read models: beside the live one, compared, switched, rolled back, killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::client::{Client, JsonCommand};
use crate::paused::shown;
use crate::service::millrace;
use crate::sql_projector::superuser_of;
use crate::world::{World, wait_until};

crate::promises![
    a_rebuilt_read_model_takes_the_place_of_the_live_one_and_no_reader_sees_less,
    a_rebuild_needs_neither_the_topics_beginning_nor_a_live_read_model,
    a_rebuild_that_is_killed_at_random_moments_ends_right,
    rows_that_differ_are_shown_and_readers_see_the_old_ones_until_somebody_accepts,
    an_instance_of_another_version_stands_by_until_its_generation_is_live,
    an_event_that_can_not_be_applied_ends_a_rebuild_with_its_place_and_the_live_one_stays
];

const ACCOUNTS: usize = 20;

async fn open(world: &World, client: &Client) {
    let names = (0..ACCOUNTS).map(|n| format!("a{n}")).chain(["bank".to_owned()]);
    let opens: Vec<_> = names.map(|id| JsonCommand::open(format!("open-{id}"), &id, None)).collect();
    client.send_all(&opens).await;
    world.wait_for_outcomes(opens.len() as i64).await;
}

async fn post(world: &World, client: &Client, from: usize, to: usize) {
    let set = |n: usize| JsonCommand::post(format!("set-{n}"), &[(&format!("a{}", n % ACCOUNTS), 1), ("bank", -1)]);
    client.send_all(&(from..to).map(set).collect::<Vec<_>>()).await;
    world.wait_for_outcomes((ACCOUNTS + 1 + to) as i64).await;
}

/// Runs `rebuild` and returns its exit code and report.
pub async fn rebuild(world: &World, arguments: &[&str]) -> (i32, Value) {
    let arguments = [&["rebuild"], arguments, &["--output", "json"]].concat();
    let (code, printed) = world.try_millrace(&arguments).await;
    let json = printed.find('{').zip(printed.rfind('}')).and_then(|(from, to)| printed.get(from..=to));
    (code, json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or(Value::String(printed)))
}

async fn rebuilt(world: &World, arguments: &[&str]) -> Value {
    let (code, report) = rebuild(world, arguments).await;
    assert_eq!((code, &report["result"]), (0, &"switched".into()), "{report:#}");
    report
}

async fn generation(world: &World, projector: &str) -> i32 {
    let sql = format!("SELECT generation FROM {projector}.projector_generation");
    world.pool(1).get().await.expect("Postgres").query_one(&sql, &[]).await.expect("a generation").get(0)
}

async fn a_rebuilt_read_model_takes_the_place_of_the_live_one_and_no_reader_sees_less(world: World) {
    let _others = (world.service(&["writer"]).await, world.service(&["relay"]).await);
    // without a group of its own, so that it follows the generations
    let projector = world.service(&["projector", "run", "reporting"]).await;
    let _search = world.service(&["projector", "search"]).await;
    let client = Client::new(&world);
    open(&world, &client).await;
    post(&world, &client, 0, 500).await;
    world.audit().await;
    let postgres = world.pool(3);
    let owner = postgres.get().await.expect("Postgres");
    let role = format!("reader_{}", world.log);
    let user: String = owner.query_one("SELECT current_user::text", &[]).await.expect("a role").get(0);
    let create = format!("CREATE ROLE {role}; GRANT {role} TO {user}");
    superuser_of(&world).await.batch_execute(&create).await.expect("a role");
    owner
        .batch_execute(&format!(
            "GRANT USAGE ON SCHEMA reporting TO {role};
             GRANT SELECT ON reporting.account_balances TO {role};
             CREATE VIEW public.total AS SELECT sum(balance_minor) AS total, count(*) AS accounts
                                           FROM reporting.account_balances;
             CREATE FUNCTION public.accounts() RETURNS bigint LANGUAGE sql STABLE
                BEGIN ATOMIC SELECT count(*) FROM reporting.account_balances; END;
             GRANT SELECT ON public.total TO {role}"
        ))
        .await
        .expect("readers");

    let done = AtomicBool::new(false);
    let reading = async {
        let reader = postgres.get().await.expect("Postgres");
        reader.batch_execute(&format!("SET ROLE {role}")).await.expect("a role");
        let rows = "SELECT count(*), sum(entries)::bigint FROM reporting.account_balances";
        let (rows, view) = (reader.prepare(rows).await.expect("sound"), "SELECT total, accounts FROM public.total");
        let (view, function) = (reader.prepare(view).await.expect("sound"), "SELECT public.accounts()");
        let (mut most, mut looks, mut longest) = (0_i64, 0, Duration::ZERO);
        while !done.load(Ordering::Relaxed) {
            let began = Instant::now();
            let row = reader.query_one(&rows, &[]).await.expect("a reader reads on");
            longest = longest.max(began.elapsed());
            let (accounts, entries): (i64, i64) = (row.get(0), row.get(1));
            assert!(accounts == (ACCOUNTS + 1) as i64 && entries >= most, "{accounts} accounts, {entries} < {most}");
            most = entries;
            let total: Option<i64> = reader.query_one(&view, &[]).await.expect("the view reads on").get(1);
            assert_eq!(total, Some(accounts));
            let counted: i64 = reader.query_one(function, &[]).await.expect("the function reads on").get(0);
            assert_eq!(counted, accounts);
            looks += 1;
        }
        (looks, longest)
    };
    let rebuilding = async {
        let mut sent = 500;
        let mut reports = Vec::new();
        for _ in 0..3 {
            let (report, ()) = tokio::join!(rebuilt(&world, &["reporting"]), post(&world, &client, sent, sent + 300));
            sent += 300;
            reports.push(report);
        }
        wait_until("the running instance fills the new generation", async || {
            world.balance("bank").await == Some(-(sent as i64))
        })
        .await;
        done.store(true, Ordering::Relaxed);
        reports
    };
    let ((looks, longest), reports) = tokio::join!(reading, rebuilding);
    println!(
        "{looks} looks, the longest {longest:?}; held {:?}",
        reports.iter().map(|r| &r["held_ms"]).collect::<Vec<_>>()
    );
    for report in &reports {
        assert_eq!(report["comparison"]["differences"], Value::Array(vec![]), "{report:#}");
        assert!(report["comparison"]["rows"].as_i64() > Some(20), "{report:#}");
        assert_eq!(report["readers"].as_array().map(Vec::len), Some(2), "view and function: {report:#}");
    }
    assert_eq!(generation(&world, "reporting").await, 4);
    world.audit().await;
    wait_until("the instance is told to be running", async || {
        let shown = shown(&world, "reporting").await;
        (&shown["generation"], &shown["state"]) == (&4.into(), &"running".into())
    })
    .await;
    assert!(projector.log().contains("has taken the place of generation"));

    // back, and on
    let (code, back) = rebuild(&world, &["reporting", "--rollback"]).await;
    assert_eq!((code, &back["result"]), (0, &"rolled-back".into()), "{back:#}");
    assert_eq!(generation(&world, "reporting").await, 3);
    post(&world, &client, 1400, 1500).await;
    wait_until("the instance fills the old generation again", async || world.balance("bank").await == Some(-1500))
        .await;
    world.audit().await;
    rebuilt(&world, &["reporting"]).await;
    assert_eq!(generation(&world, "reporting").await, 5, "no number comes twice");
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^reporting_g'";
    assert_eq!(owner.query_one(left, &[]).await.expect("schemas").get::<_, i64>(0), 1, "the one before");
}

async fn a_rebuild_needs_neither_the_topics_beginning_nor_a_live_read_model(world: World) {
    let mut services = world.pipeline().await;
    let client = Client::new(&world);
    open(&world, &client).await;
    post(&world, &client, 0, 300).await;
    world.audit().await;
    for service in &mut services[2..] {
        assert_eq!(service.leave().await, Some(0));
    }
    let config: rdkafka::ClientConfig = [("bootstrap.servers", world.stack.addresses().kafka_bootstrap.as_str())]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let admin: AdminClient<DefaultClientContext> = config.create().expect("an admin");
    let mut before = TopicPartitionList::new();
    for (partition, records) in client.read(&world.log.events_topic()).await {
        if let Some(last) = records.last() {
            let offset = rdkafka::Message::offset(last);
            before
                .add_partition_offset(&world.log.events_topic(), partition, Offset::Offset(offset))
                .expect("an offset");
        }
    }
    admin.delete_records(&before, &AdminOptions::new()).await.expect("Kafka deletes them");
    let postgres = world.pool(1).get().await.expect("Postgres");
    postgres.batch_execute("DROP SCHEMA reporting CASCADE; DROP SCHEMA search CASCADE").await.expect("gone");
    let dry = rebuild(&world, &["reporting", "--dry-run"]).await;
    assert_eq!((dry.0, &dry.1["result"], &dry.1["events"]), (0, &"dry-run".into(), &621.into()), "{:#}", dry.1);
    for projector in ["reporting", "search"] {
        let report = rebuilt(&world, &[projector]).await;
        assert_eq!((&report["events"], &report["comparison"]), (&621.into(), &Value::Null), "{report:#}");
    }
    assert_eq!(world.balance("bank").await, Some(-300));
    for service in &mut services[2..] {
        service.restart();
        service.wait_until_ready().await;
    }
    post(&world, &client, 300, 320).await;
    world.audit().await;
}

async fn a_rebuild_that_is_killed_at_random_moments_ends_right(world: World) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let services = world.pipeline().await;
    let client = Client::new(&world);
    open(&world, &client).await;
    post(&world, &client, 0, 1000).await;
    world.audit().await;
    let environment = world.environment_and(&[]);
    let mut ended = 0;
    for _ in 0..50 {
        let mut command = millrace(&environment, &["rebuild", "reporting", "--workers", "2"]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = command.spawn().expect("millrace starts");
        // the random moment of the kill is the test's input: there is no condition to wait for
        tokio::time::sleep(Duration::from_millis(random.u64(20..500))).await;
        match child.try_wait().expect("its state") {
            Some(status) => {
                assert!(status.success(), "{status}");
                ended += 1;
            }
            None => {
                child.kill().expect("it can be killed");
                child.wait().expect("it ends");
            }
        }
    }
    println!("{ended} of 50 ended before they were killed");
    wait_until("the last lock is free", async || rebuild(&world, &["reporting"]).await.0 == 0).await;
    post(&world, &client, 1000, 1050).await;
    drop(services);
    let _again = world.service(&["projector", "run", "reporting"]).await;
    let _search = world.service(&["projector", "search"]).await;
    let (_writer, _relay) = (world.service(&["writer"]).await, world.service(&["relay"]).await);
    wait_until("all is applied", async || world.balance("bank").await == Some(-1050)).await;
    world.audit().await;
}

async fn rows_that_differ_are_shown_and_readers_see_the_old_ones_until_somebody_accepts(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    open(&world, &client).await;
    post(&world, &client, 0, 100).await;
    world.audit().await;
    let postgres = world.pool(1).get().await.expect("Postgres");
    let change = "UPDATE reporting.account_balances SET entries = entries + 7 WHERE account_id = 'a3';
                  DELETE FROM reporting.account_balances WHERE account_id = 'a5'";
    postgres.batch_execute(change).await.expect("somebody's mistake");
    let (code, report) = rebuild(&world, &["reporting"]).await;
    assert_eq!((code, &report["result"]), (1, &"differences".into()), "{report:#}");
    let difference = &report["comparison"]["differences"][0];
    assert_eq!((&difference["table"], &difference["rows"]), (&"account_balances".into(), &2.into()), "{report:#}");
    let (first, second) = (&difference["examples"][0], &difference["examples"][1]);
    assert_eq!(
        (&first["key"]["account_id"], &first["live"]["entries"], &first["new"]["entries"]),
        (&"a3".into(), &12.into(), &5.into())
    );
    assert_eq!((&second["key"]["account_id"], &second["live"]), (&"a5".into(), &Value::Null));
    assert_eq!((generation(&world, "reporting").await, world.balance("a5").await), (1, None));
    assert_eq!(shown(&world, "reporting").await["rebuild"]["applied"], 221);
    assert!(world.millrace(&["projectors", "list"]).await.contains("generation 2 of reporting is not live yet"));
    // the row that is gone stands as before its first event; what is 7 too much is no event's doing
    let partings = report["partings"].as_array().expect("partings");
    assert_eq!(partings.len(), 1, "{report:#}");
    let (key, event) = (&partings[0]["key"]["account_id"], &partings[0]["event"]["event_type"]);
    assert_eq!((key, event), (&"a5".into(), &"AccountOpened".into()));
    let (code, printed) = world.try_millrace(&["rebuild", "reporting"]).await;
    assert!(
        code == 1 && printed.contains("--accept-differences") && printed.contains("entries is 12 live, 5"),
        "{printed}"
    );

    // what Postgres can't bind to other tables keeps a rebuild from switching, and its generation from being dropped
    let bound = "CREATE MATERIALIZED VIEW public.kept AS SELECT * FROM reporting.account_balances;
                 CREATE TABLE public.copies (balance reporting.account_balances)";
    postgres.batch_execute(bound).await.expect("readers");
    let (code, said) = rebuild(&world, &["reporting", "--accept-differences"]).await;
    let said = said.to_string();
    assert!(code == 3 && said.contains("kept") && said.contains("column balance of table"), "{said}");
    assert_eq!(generation(&world, "reporting").await, 1);
    postgres.batch_execute("DROP MATERIALIZED VIEW public.kept; DROP TABLE public.copies").await.expect("gone");

    let (code, abandoned) = rebuild(&world, &["reporting", "--abandon"]).await;
    assert_eq!((code, &abandoned["result"]), (0, &"abandoned".into()), "{abandoned:#}");
    let accepted = rebuilt(&world, &["reporting", "--accept-differences"]).await;
    assert_eq!(accepted["comparison"]["differences"][0]["rows"], 2);
    assert_eq!((generation(&world, "reporting").await, world.balance("a5").await), (2, Some(5)));
}

async fn an_instance_of_another_version_stands_by_until_its_generation_is_live(world: World) {
    let _others = (world.service(&["writer"]).await, world.service(&["relay"]).await);
    let client = Client::new(&world);
    open(&world, &client).await;
    post(&world, &client, 0, 50).await;
    let postgres = world.pool(1).get().await.expect("Postgres");
    let version = async |version: i32| {
        let sql = "UPDATE reporting.projector_generation SET version = $1, generation = $1";
        postgres.execute(sql, &[&version]).await.expect("a version");
    };
    version(2).await;
    let environment = world.environment_and(&[]);
    let mut instance = crate::service::Service::start(
        ["projector", "run", "reporting"].map(str::to_owned).to_vec(),
        environment,
        world.stack.log_file(&format!("{}-stands-by", world.log)),
    );
    wait_until("it says that it stands by", async || instance.log().contains("this instance stands by")).await;
    assert!(instance.is_running() && instance.log().contains("millrace rebuild reporting"));
    assert_eq!(world.balance("bank").await, None, "it applies nothing");
    // as `rebuild` with its version makes it
    version(1).await;
    instance.wait_until_ready().await;
    wait_until("it goes on", async || world.balance("bank").await == Some(-50)).await;
    version(3).await;
    post(&world, &client, 50, 60).await;
    wait_until("it stands by again", async || instance.log().matches("this instance stands by").count() == 2).await;
    assert_eq!(world.balance("bank").await, Some(-50), "what another version fills is not touched");
    version(1).await;
    wait_until("it goes on again", async || world.balance("bank").await == Some(-60)).await;
    assert!(instance.is_running());
}

async fn an_event_that_can_not_be_applied_ends_a_rebuild_with_its_place_and_the_live_one_stays(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    open(&world, &client).await;
    post(&world, &client, 0, 40).await;
    world.audit().await;
    let postgres = world.pool(1).get().await.expect("Postgres");
    // an unfinished generation with a table that refuses what only one event brings
    let pause = world.millrace(&["projectors", "pause", "reporting"]).await;
    assert!(pause.contains("is paused"), "{pause}");
    let change = "UPDATE reporting.account_balances SET entries = 1 WHERE account_id = 'a1'";
    postgres.batch_execute(change).await.expect("a difference");
    assert_eq!(rebuild(&world, &["reporting"]).await.0, 1);
    post(&world, &client, 40, 80).await;
    let refuse =
        "ALTER TABLE reporting_g2.account_balances ADD CONSTRAINT refused CHECK (account_id <> 'a7' OR entries < 4)";
    postgres.batch_execute(refuse).await.expect("a constraint");
    let (code, said) = rebuild(&world, &["reporting", "--accept-differences"]).await;
    let said = said.to_string();
    assert!(code == 3 && said.contains("account-a7") && said.contains("can't be applied"), "{said}");
    assert_eq!(generation(&world, "reporting").await, 1);
    let mend = "ALTER TABLE reporting_g2.account_balances DROP CONSTRAINT refused";
    postgres.batch_execute(mend).await.expect("mended");
    rebuilt(&world, &["reporting", "--accept-differences"]).await;
    let shown = shown(&world, "reporting").await;
    assert_eq!((&shown["generation"], &shown["state"]), (&2.into(), &"paused".into()), "{shown:#}");
    assert_eq!(world.balance("a7").await, Some(4));
}
