//! Projectors in SQL alone: applied, checked, refused, run, killed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use millrace_schemas::LogName;
use serde_json::{Value, json};

use crate::client::JsonCommand;
use crate::own::{Own, append, event, one, opened};
use crate::paused::shown as shown_projector;
use crate::rebuild::rebuild;
use crate::service::Service;
use crate::world::{World, wait_until};

crate::promises![
    a_read_model_in_sql_is_right_after_kills_and_with_two_instances,
    a_statement_with_a_wrong_column_is_refused_with_its_line_and_a_caret,
    what_gives_another_value_each_time_is_refused_with_the_column_to_use_instead,
    a_statement_that_depends_on_where_batches_end_is_refused_with_the_events_that_show_it,
    a_statement_that_depends_on_batches_is_found_among_many_types_also_where_an_event_names_two_streams,
    applying_a_projector_twice_changes_nothing_and_changing_one_with_events_needs_a_start_over,
    a_statement_uses_the_tables_of_its_projector_alone,
    statements_run_as_a_role_that_owns_its_schema_and_nothing_else,
    events_of_every_version_have_the_columns_of_the_newest,
    a_read_model_of_a_log_that_was_made_anew_stops_and_a_rebuild_mends_it,
    twenty_seeded_bugs_are_found_each_with_its_event_and_a_refactoring_is_none,
    every_log_has_an_audit_trail_and_the_current_state_of_its_streams_also_of_event_types_that_come_later
];

const ORDERS: usize = 400;
const CUSTOMERS: usize = 7;

/// A projector's folder of a test, which is applied for a log.
struct Folder<'w> {
    world: &'w World,
    log: String,
    dir: PathBuf,
}

impl Drop for Folder<'_> {
    fn drop(&mut self) {
        // nothing depends on it
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl<'w> Folder<'w> {
    /// A copy of the folder that comes along.
    fn orders_by_day(own: &Own<'w>) -> Self {
        let folder = Self::new(own.world, &own.log, &[]);
        for file in ["projector.toml", "tables.sql", "on_OrderPlaced.sql", "on_OrderCancelled.sql"] {
            fs::copy(own.dir.join("projectors/orders_by_day").join(file), folder.dir.join(file)).expect("a file");
        }
        folder
    }

    fn new(world: &'w World, log: &str, files: &[(&str, &str)]) -> Self {
        let dir = world.stack.data_dir().join(format!("projector-{}", world.log));
        fs::create_dir_all(&dir).expect("a folder");
        let folder = Self { world, log: log.to_owned(), dir };
        files.iter().for_each(|(file, text)| folder.write(file, text));
        folder
    }

    /// A projector that counts accounts of the test's own log.
    fn of_accounts(world: &'w World, tables: &str, statement: &str) -> Self {
        let toml = format!("name = \"accounts\"\n[reads]\n{} = [\"AccountOpened\"]\n", world.log);
        let files = [("projector.toml", toml.as_str()), ("tables.sql", tables), ("on_AccountOpened.sql", statement)];
        Self::new(world, world.log.as_str(), &files)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.dir.join(file), text).expect("a file");
    }

    async fn run(&self, action: &str, more: &[&str]) -> (i32, Value) {
        let dir = self.dir.display().to_string();
        let arguments = [&["projector", action, &dir, "--log", &self.log, "--output", "json"], more].concat();
        let (code, printed) = self.world.try_millrace(&arguments).await;
        (code, serde_json::from_str(&printed).unwrap_or_else(|_| panic!("no report: {printed}")))
    }

    async fn apply(&self, more: &[&str]) -> (i32, Value) {
        self.run("apply", more).await
    }

    async fn applied(&self) {
        let (code, report) = self.apply(&[]).await;
        assert_eq!((code, &report["result"]), (0, &json!("applied")), "{report:#}");
    }

    /// Applies the folder, which is refused for this file. Returns why.
    async fn refused(&self, file: &str) -> String {
        let (code, report) = self.apply(&[]).await;
        assert_eq!((code, &report["problems"][0]["file"]), (1, &json!(file)), "{report:#}");
        report["problems"][0]["problem"].as_str().expect("a text").to_owned()
    }
}

fn place(order: usize) -> JsonCommand {
    let data = json!({
        "order_id": order.to_string(), "customer_id": format!("c{}", order % CUSTOMERS), "currency": "EUR",
        "items": [{"sku": "pen", "quantity": 1 + order % 3, "price_minor": 100 + order}],
    });
    let (id, key) = (format!("place-{order}"), format!("order-{order}"));
    JsonCommand { id, name: "PlaceOrder", key, data, headers: vec![] }
}

fn cancel(order: usize) -> JsonCommand {
    let data = json!({"order_id": order.to_string(), "reason": "a test's"});
    let (id, key) = (format!("cancel-{order}"), format!("order-{order}"));
    JsonCommand { id, name: "CancelOrder", key, data, headers: vec![] }
}

/// Every third order is cancelled.
fn commands() -> Vec<JsonCommand> {
    let commands = (0..ORDERS).flat_map(|n| [Some(place(n)), n.is_multiple_of(3).then(|| cancel(n))]);
    commands.flatten().collect()
}

/// Per customer: orders, cancelled ones, and the sum of the others.
fn expected() -> BTreeMap<String, (i64, i64, i64)> {
    let mut totals: BTreeMap<String, (i64, i64, i64)> = BTreeMap::new();
    for order in 0..ORDERS {
        let total = totals.entry(format!("c{}", order % CUSTOMERS)).or_default();
        let is_cancelled = order.is_multiple_of(3);
        total.0 += 1;
        total.1 += i64::from(is_cancelled);
        total.2 += if is_cancelled { 0 } else { ((1 + order % 3) * (100 + order)) as i64 };
    }
    totals
}

/// What the read model shows, over all days.
async fn shown(world: &World) -> BTreeMap<String, (i64, i64, i64)> {
    let sql = "SELECT customer_id, sum(orders)::bigint, sum(cancelled)::bigint, sum(total_minor)::bigint
                 FROM orders_by_day.totals GROUP BY 1";
    let rows = world.pool(1).get().await.expect("Postgres").query(sql, &[]).await.expect("totals");
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect()
}

async fn a_read_model_in_sql_is_right_after_kills_and_with_two_instances(world: World) {
    let own = Own::of_folder(&world, "../domains/orders");
    own.applied().await;
    let folder = Folder::orders_by_day(&own);
    folder.applied().await;
    let log = own.log.as_str();
    let _services = (world.service(&["writer", "--log", log]).await, world.service(&["relay", "--log", log]).await);
    // it needs nothing but the database: not even the name of its log
    let mut instances = [
        world.service(&["projector", "run", "orders_by_day"]).await,
        world.service(&["projector", "run", "orders_by_day"]).await,
    ];
    let (client, commands) = (own.client(), commands());
    for (turn, part) in commands.chunks(commands.len() / 6 + 1).enumerate() {
        client.send_all(part).await;
        let instance: &mut Service = &mut instances[turn % 2];
        wait_until("an instance applies events", async || {
            instance.metric("millrace_projector_events_applied_total").await > 0.0
        })
        .await;
        instance.kill();
        instance.restart();
        instance.wait_until_ready().await;
    }
    wait_until("all orders are shown", async || {
        shown(&world).await.values().map(|(orders, cancelled, _)| orders + cancelled).sum::<i64>()
            == commands.len() as i64
    })
    .await;
    assert_eq!(shown(&world).await, expected());

    // whoever waits for a token reads his own write
    let late = json!({"order_id": "late", "customer_id": "late", "currency": "EUR",
                      "items": [{"sku": "pen", "quantity": 1, "price_minor": 5}]});
    world.millrace(&["send", "--log", log, "--wait-for", "orders_by_day", "PlaceOrder", &late.to_string()]).await;
    assert_eq!(shown(&world).await["late"], (1, 0, 5));
    let lag = world.millrace(&["lag", "--log", log]).await;
    assert!(lag.contains("orders_by_day"), "{lag}");
    let (code, printed) = world.try_millrace(&["projector", "run", "orders_by_day", "--log", world.log.as_str()]).await;
    assert!(code == 2 && printed.contains("leave out --log"), "{printed}");

    // it is watched and audited like any other
    let monitor = world.service_with(&["monitor", "--log", log], &[("MILLRACE_MONITOR_INTERVAL_MS", "200")]).await;
    let is_its_lag = |line: &str| line.starts_with("millrace_projector_lag_events{") && line.contains("orders_by_day");
    wait_until("the monitor watches it", async || monitor.metrics().await.lines().any(is_its_lag)).await;
    let audit = async || world.try_millrace(&["audit", "--log", log, "--wait", "90"]).await;
    let (code, printed) = audit().await;
    assert_eq!(code, 0, "{printed}");
    let client = world.pool(1).get().await.expect("Postgres");
    let other = "UPDATE orders_by_day.checkpoints SET ids_hash = ids_hash # 1 WHERE partition = 0";
    client.execute(other, &[]).await.expect("a checkpoint");
    let (code, printed) = audit().await;
    assert!(code == 1 && printed.contains("orders_by_day"), "{printed}");
}

async fn a_statement_with_a_wrong_column_is_refused_with_its_line_and_a_caret(world: World) {
    let tables = "CREATE TABLE accounts (currency text PRIMARY KEY, accounts bigint NOT NULL)";
    let statement = "-- counts é\nINSERT INTO accounts AS a\nSELECT currncy, count(*) FROM batch GROUP BY 1\n\
                     ON CONFLICT (currency) DO UPDATE SET accounts = a.accounts + excluded.accounts;\n";
    let folder = Folder::of_accounts(&world, tables, statement);
    let problem = folder.refused("on_AccountOpened.sql").await;
    assert!(problem.starts_with("line 3, column 8:\nSELECT currncy, count(*)"), "{problem}");
    assert!(problem.contains("\n       ^\n") && problem.contains("batch has account_id text"), "{problem}");

    // with table expressions of its own
    folder.write("on_AccountOpened.sql", "WITH x AS (SELECT nothing FROM batch) INSERT INTO accounts SELECT * FROM x");
    let problem = folder.refused("on_AccountOpened.sql").await;
    assert!(problem.starts_with("line 1, column 19:"), "{problem}");

    // only the plan shows that there is no such index
    folder.write("on_AccountOpened.sql", &statement.replace("currncy", "currency"));
    folder.write("tables.sql", "CREATE TABLE accounts (currency text, accounts bigint)");
    assert!(folder.refused("on_AccountOpened.sql").await.contains("no unique or exclusion constraint"));

    folder.write("tables.sql", "CREATE TABLE accounts (currency text);\nCREATE TABLE more (id txt);");
    let problem = folder.refused("tables.sql").await;
    assert!(problem.starts_with("line 2, column 23:") && problem.contains("txt"), "{problem}");
    folder.write("tables.sql", "CREATE TABLE accounts (currency text); COMMIT;");
    assert!(folder.refused("tables.sql").await.contains("transaction"));
    folder.write("tables.sql", tables);
    folder.write("on_AccountOpened.sql", "INSERT INTO accounts SELECT 'a', 1; DELETE FROM accounts");
    assert!(folder.refused("on_AccountOpened.sql").await.contains("a file has one statement; write WITH"));
    let client = world.pool(1).get().await.expect("Postgres");
    let left = client.query("SELECT FROM pg_namespace WHERE nspname = 'accounts'", &[]).await.expect("schemas");
    assert!(left.is_empty(), "nothing was changed");
}

async fn what_gives_another_value_each_time_is_refused_with_the_column_to_use_instead(world: World) {
    let tables = "CREATE TABLE accounts (id text, at timestamptz)";
    let folder = Folder::of_accounts(&world, tables, "");
    for (value, function, instead) in [
        ("account_id, now()", "now", "_recorded_at"),
        ("account_id, CURRENT_TIMESTAMP", "current_timestamp", "_recorded_at"),
        ("account_id, clock_timestamp()", "clock_timestamp", "_recorded_at"),
        ("gen_random_uuid()::text, NULL", "gen_random_uuid", "_event_id"),
        ("random()::text, NULL", "random", "_event_id"),
        ("current_user, NULL", "current_user", "_user_id"),
    ] {
        folder.write("on_AccountOpened.sql", &format!("INSERT INTO accounts\nSELECT {value} FROM batch"));
        let problem = folder.refused("on_AccountOpened.sql").await;
        assert!(problem.contains("line 2, column ") && problem.contains(&format!("{function} gives")), "{problem}");
        assert!(problem.contains(instead), "{problem}");
    }
    folder.write("on_AccountOpened.sql", "INSERT INTO accounts SELECT account_id FROM batch");
    for (column, instead) in [
        ("timestamptz DEFAULT now()", "_recorded_at"),
        ("bigserial", "_position"),
        ("bigint GENERATED ALWAYS AS IDENTITY", "_position"),
    ] {
        folder.write("tables.sql", &format!("CREATE TABLE accounts (id text, at {column})"));
        let problem = folder.refused("tables.sql").await;
        assert!(problem.contains("the default of accounts.at") && problem.contains(instead), "{problem}");
    }
    // stable functions are sound: the time zone of all statements is UTC
    folder.write("tables.sql", "CREATE TABLE accounts (id text, day date)");
    folder.write("on_AccountOpened.sql", "INSERT INTO accounts SELECT account_id, _recorded_at::date FROM batch");
    folder.applied().await;
}

async fn a_statement_that_depends_on_where_batches_end_is_refused_with_the_events_that_show_it(world: World) {
    let own = Own::of_folder(&world, "../domains/orders");
    own.applied().await;
    let folder = Folder::orders_by_day(&own);
    let (code, report) = folder.run("check", &[]).await;
    assert_eq!((code, &report["refused"]), (0, &json!(0)), "{report:#}");
    let placed = fs::read_to_string(folder.dir.join("on_OrderPlaced.sql")).expect("a file");
    for (wrong, shows) in [
        // as if each batch had one event for each row
        (placed.replace("t.orders + excluded.orders", "t.orders + 1"), "totals: {"),
        // two rows of one key
        (
            "INSERT INTO totals AS t SELECT customer_id, _recorded_at::date, currency, 1, 0, 0 FROM batch \
             ON CONFLICT (customer_id, day, currency) DO UPDATE SET orders = t.orders + 1"
                .to_owned(),
            "ON CONFLICT DO UPDATE command cannot affect row a second time",
        ),
        // the last event of a batch wins, of whichever partition
        (
            "INSERT INTO placed SELECT DISTINCT ON (customer_id) customer_id, _stream_id FROM batch \
             ORDER BY customer_id, _position DESC ON CONFLICT (order_id) DO UPDATE SET customer_id = excluded.customer_id"
                .to_owned(),
            "placed: {",
        ),
    ] {
        folder.write("on_OrderPlaced.sql", &wrong);
        let (code, report) = folder.run("check", &[]).await;
        let problem = report["problems"][0]["problem"].as_str().unwrap_or_default();
        assert_eq!(code, 1, "{report:#}");
        assert!(problem.contains(shows) && problem.contains("OrderPlaced order-"), "{problem}");
        assert!(problem.matches("OrderPlaced order-").count() <= 3, "few events show it: {problem}");
    }
    let client = world.pool(1).get().await.expect("Postgres");
    let left = "SELECT FROM pg_namespace WHERE nspname LIKE 'millrace_check%' OR nspname = 'orders_by_day'";
    assert!(client.query(left, &[]).await.expect("schemas").is_empty(), "a check leaves nothing behind");
}

async fn a_statement_that_depends_on_batches_is_found_among_many_types_also_where_an_event_names_two_streams(
    world: World,
) {
    let own = Own::of_folder(&world, "../tests/logs/library");
    own.applied().await;
    let events = ["MemberJoined", "MemberLeft", "LoanTaken", "LoanEnded", "BookAcquired", "BookLost"];
    let toml = format!("name = \"members\"\n[reads]\nlibrary = {events:?}\n");
    let tables = "CREATE TABLE members (member_id text PRIMARY KEY, loans bigint NOT NULL);
                  CREATE TABLE books (book_id text PRIMARY KEY, title text)";
    let taken = "UPDATE members AS m SET loans = m.loans + b.loans
                   FROM (SELECT member_id, count(*) AS loans FROM batch GROUP BY 1) AS b
                  WHERE m.member_id = b.member_id";
    let ended = taken.replace("m.loans + b", "m.loans - b");
    let files = [
        ("projector.toml", &*toml),
        ("tables.sql", tables),
        ("on_MemberJoined.sql", "INSERT INTO members SELECT DISTINCT member_id, 0 FROM batch ON CONFLICT DO NOTHING"),
        ("on_MemberLeft.sql", "DELETE FROM members WHERE member_id IN (SELECT member_id FROM batch)"),
        ("on_LoanTaken.sql", taken),
        ("on_LoanEnded.sql", &ended),
        ("on_BookAcquired.sql", "INSERT INTO books SELECT book_id, '' FROM batch ON CONFLICT DO NOTHING"),
        ("on_BookLost.sql", "DELETE FROM books WHERE book_id IN (SELECT book_id FROM batch)"),
    ];
    let folder = Folder::new(&world, &own.log, &files);
    let (code, report) = folder.run("check", &[]).await;
    assert_eq!((code, &report["unchecked"]), (0, &json!([])), "{report:#}");

    folder.write(
        "on_LoanTaken.sql",
        "UPDATE members AS m SET loans = m.loans + 1 FROM batch WHERE m.member_id = batch.member_id",
    );
    let (code, report) = folder.run("check", &[]).await;
    let file = report["problems"][0]["file"].as_str().unwrap_or_default();
    assert!(code == 1 && file.contains("on_LoanTaken.sql"), "{report:#}");

    // it looks for a member by the name of a stream, so it finds none
    folder.write("on_LoanTaken.sql", &taken.replace("SELECT member_id", "SELECT _stream_id AS member_id"));
    let (code, report) = folder.run("check", &[]).await;
    assert_eq!((code, &report["unchecked"]), (0, &json!(["on_LoanTaken.sql"])), "{report:#}");
}

async fn applying_a_projector_twice_changes_nothing_and_changing_one_with_events_needs_a_start_over(world: World) {
    let tables = "CREATE TABLE accounts (currency text PRIMARY KEY, accounts bigint NOT NULL)";
    let statement = "INSERT INTO accounts AS a SELECT currency, count(*) FROM batch GROUP BY 1
                     ON CONFLICT (currency) DO UPDATE SET accounts = a.accounts + excluded.accounts";
    let folder = Folder::of_accounts(&world, tables, statement);
    folder.applied().await;
    let client = world.pool(1).get().await.expect("Postgres");
    let state = async || -> (u32, String, i64) {
        let sql = "SELECT 'accounts.accounts'::regclass::oid, id::text, (SELECT count(*) FROM accounts.accounts)
                     FROM accounts.projector_definition";
        let row = client.query_one(sql, &[]).await.expect("the read model");
        (row.get(0), row.get(1), row.get(2))
    };
    let before = state().await;
    let (code, again) = folder.apply(&[]).await;
    assert_eq!((code, &again["result"]), (0, &json!("nothing-to-change")), "{again:#}");
    assert_eq!(state().await, before);
    // no event was applied: nothing is lost
    folder.write("tables.sql", &format!("{tables};\nCREATE TABLE more ()"));
    folder.applied().await;
    folder.write("tables.sql", tables);
    folder.applied().await;

    let _services = (world.service(&["writer"]).await, world.service(&["relay"]).await);
    let _projector = world.service(&["projector", "run", "accounts"]).await;
    let opens: Vec<JsonCommand> =
        (0..40).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None)).collect();
    crate::client::Client::new(&world).send_all(&opens).await;
    let shown = async |column: &str| {
        let sql = format!("SELECT coalesce(sum({column}), 0)::bigint FROM accounts.accounts");
        match client.query_one(&sql, &[]).await {
            Ok(row) => row.get::<_, i64>(0),
            Err(_) => -1,
        }
    };
    wait_until("all accounts are counted", async || shown("accounts").await == 40).await;
    folder.write("on_AccountOpened.sql", &statement.replace("count(*)", "2 * count(*)"));
    let problem = folder.refused("on_AccountOpened.sql").await;
    assert!(problem.contains("the file has changed") && problem.contains("--start-over"), "{problem}");
    assert_eq!(shown("accounts").await, 40);
    let (code, report) = folder.apply(&["--start-over"]).await;
    assert_eq!((code, &report["result"]), (0, &json!("started-over")), "{report:#}");
    // an instance that has the old statements applies nothing more by them, and takes up the new ones
    crate::client::Client::new(&world).send(&JsonCommand::open("one-more", "one-more", None)).await;
    wait_until("all accounts are counted twice", async || shown("accounts").await == 82).await;
    world.millrace(&["projectors", "pause", "accounts", "--reason", "lunch"]).await;
    assert_eq!(folder.apply(&["--start-over"]).await.0, 0);
    let listed = world.millrace(&["projectors", "list"]).await;
    assert!(listed.contains("accounts is paused since") && listed.contains("lunch"), "a pause stays: {listed}");
}

async fn a_read_model_of_a_log_that_was_made_anew_stops_and_a_rebuild_mends_it(world: World) {
    let own = Own::of_folder(&world, "../domains/orders");
    own.applied().await;
    let folder = Folder::orders_by_day(&own);
    folder.applied().await;
    let log = own.log.as_str();
    let run = ["projector", "run", "orders_by_day"];
    let services =
        async || (world.service(&["writer", "--log", log]).await, world.service(&["relay", "--log", log]).await);
    let (mut writer, mut relay) = services().await;
    let mut projector = world.service(&run).await;
    own.client().send_all(&(0..30).map(place).collect::<Vec<_>>()).await;
    let orders = async || shown(&world).await.values().map(|(orders, ..)| orders).sum::<i64>();
    wait_until("all orders are shown", async || orders().await == 30).await;
    for service in [&mut writer, &mut relay, &mut projector] {
        assert_eq!(service.leave().await, Some(0));
    }
    let drop = ["log", "drop", log, "--yes-really-delete", log];
    let (code, printed) = world.try_millrace(&drop).await;
    assert!(code == 1 && printed.contains("projectors drop orders_by_day --log"), "{printed}");

    // out of sight, it survives its log
    let postgres = world.pool(1).get().await.expect("Postgres");
    postgres.batch_execute("ALTER SCHEMA orders_by_day RENAME TO hidden_g1").await.expect("renamed");
    world.millrace(&drop).await;
    postgres.batch_execute("ALTER SCHEMA hidden_g1 RENAME TO orders_by_day").await.expect("renamed");
    own.applied().await;
    let _services = services().await;
    let mut projector = world.service(&run).await;
    own.client().send_all(&(100..160).map(place).collect::<Vec<_>>()).await;
    let stopped = async || {
        let shown = shown_projector(&world, "orders_by_day").await;
        let partitions = shown["partitions"].as_array().expect("partitions").clone();
        // those that had events before
        partitions.iter().filter(|one| one["errors"] != 0).all(|one| one["state"] == "stopped")
            && shown["last_error"]["reason"].as_str().is_some_and(|reason| reason.contains("another log of this name"))
    };
    wait_until("its partitions stop", stopped).await;
    let (code, printed) = world.try_millrace(&["rebuild", "orders_by_day"]).await;
    assert!(code == 1 || code == 3 && printed.contains("--accept-differences"), "{printed}");
    world.millrace(&["rebuild", "orders_by_day", "--accept-differences"]).await;
    wait_until("the new log's orders are shown", async || orders().await == 60).await;
    let (code, printed) = world.try_millrace(&["audit", "--log", log, "--wait", "90"]).await;
    assert_eq!(code, 0, "{printed}");

    // the log need not be named
    assert!(world.millrace(&["projectors", "pause", "orders_by_day"]).await.contains("is paused"));
    let delete = ["projectors", "drop", "orders_by_day", "--yes-really-delete", "orders_by_day"];
    let (code, printed) = world.try_millrace(&delete).await;
    assert!(code == 1 && printed.contains("stop it first"), "{printed}");
    assert_eq!(projector.leave().await, Some(0));
    assert!(world.millrace(&delete).await.contains("orders_by_day_g1"));
    let left = "SELECT FROM pg_namespace WHERE nspname LIKE 'orders_by_day%'";
    assert!(postgres.query(left, &[]).await.expect("schemas").is_empty());
}

/// A change of the projector's files that treats one order wrongly: the file, what it has, and what it gets.
fn bug(kind: usize, order: usize) -> (&'static str, &'static str, String) {
    let (placed, cancelled) = ("on_OrderPlaced.sql", "on_OrderCancelled.sql");
    match kind % 5 {
        0 => (placed, "total_minor FROM batch", format!("total_minor FROM batch WHERE order_id <> '{order}'")),
        1 => (
            placed,
            "currency, total_minor FROM batch",
            format!("currency, CASE order_id WHEN '{order}' THEN 2 ELSE 1 END * total_minor FROM batch"),
        ),
        2 => (
            placed,
            "currency, total_minor FROM batch",
            format!("CASE order_id WHEN '{order}' THEN 'XXX' ELSE currency END, total_minor FROM batch"),
        ),
        3 => (cancelled, "USING (order_id)", format!("USING (order_id) WHERE order_id <> '{order}'")),
        _ => (
            cancelled,
            "count(*) AS orders",
            format!("sum(CASE order_id WHEN '{order}' THEN 2 ELSE 1 END)::bigint AS orders"),
        ),
    }
}

async fn twenty_seeded_bugs_are_found_each_with_its_event_and_a_refactoring_is_none(world: World) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let own = Own::of_folder(&world, "../domains/orders");
    own.applied().await;
    let folder = Folder::orders_by_day(&own);
    folder.applied().await;
    let log = own.log.as_str();
    let _services = (world.service(&["writer", "--log", log]).await, world.service(&["relay", "--log", log]).await);
    let _projector = world.service(&["projector", "run", "orders_by_day"]).await;
    let commands: Vec<_> = (0..100).flat_map(|n| [Some(place(n)), n.is_multiple_of(2).then(|| cancel(n))]).collect();
    own.client().send_all(&commands.into_iter().flatten().collect::<Vec<_>>()).await;
    let all = async || shown(&world).await.values().map(|(orders, cancelled, _)| orders + cancelled).sum::<i64>();
    wait_until("all orders are shown", async || all().await == 150).await;
    let dir = folder.dir.display().to_string();
    for kind in 0..20 {
        // of those that are cancelled
        let order = 2 * random.usize(..50);
        let (file, has, gets) = bug(kind, order);
        let sound = fs::read_to_string(folder.dir.join(file)).expect("a statement");
        assert!(sound.contains(has), "{sound}");
        folder.write(file, &sound.replace(has, &gets));
        let (code, report) = rebuild(&world, &["orders_by_day", "--with", &dir]).await;
        assert_eq!((code, &report["result"]), (1, &json!("differences")), "bug {kind} of order {order}: {report:#}");
        let partings = report["partings"].as_array().expect("partings");
        assert!(!partings.is_empty(), "bug {kind} of order {order}: {report:#}");
        let expected = if file == "on_OrderPlaced.sql" { "OrderPlaced" } else { "OrderCancelled" };
        for parting in partings {
            let (event, stream) = (&parting["event"]["event_type"], &parting["event"]["stream_id"]);
            let right = (&json!(expected), &json!(format!("order-{order}")));
            assert_eq!((event, stream), right, "bug {kind} of order {order}: {report:#}");
        }
        folder.write(file, &sound);
    }
    // the same, said otherwise
    let sound = fs::read_to_string(folder.dir.join("on_OrderCancelled.sql")).expect("a statement");
    let said = sound.replace("t.total_minor - c.total_minor", "-(c.total_minor - t.total_minor)");
    folder.write("on_OrderCancelled.sql", &format!("-- refactored\n{said}"));
    let (code, report) = rebuild(&world, &["orders_by_day", "--with", &dir]).await;
    assert_eq!((code, &report["result"]), (0, &json!("switched")), "{report:#}");
    assert_eq!(report["comparison"]["differences"], json!([]));

    // why a row is as it is, and that one is not what its events make
    let explain = async |row: &[&str]| -> (i32, Value) {
        let arguments = [&["explain", "orders_by_day.placed"], row, &["--output", "json"]].concat();
        let (code, printed) = world.try_millrace(&arguments).await;
        (code, serde_json::from_str(&printed).unwrap_or(Value::String(printed)))
    };
    let (code, explained) = explain(&["7"]).await;
    assert_eq!((code, &explained["events"]), (0, &json!(1)), "{explained:#}");
    assert_eq!(explained["causes"][0]["stream_id"], "order-7");
    let postgres = world.pool(1).get().await.expect("Postgres");
    let change = "UPDATE orders_by_day.placed SET total_minor = 1 WHERE order_id = '7'";
    postgres.execute(change, &[]).await.expect("somebody's change");
    let (code, explained) = explain(&["order_id=7"]).await;
    assert_eq!((code, &explained["is_explained"], &explained["row"]["total_minor"]), (1, &json!(false), &json!(1)));
    let left = "SELECT FROM pg_namespace WHERE nspname LIKE '%replay%'";
    assert!(postgres.query(left, &[]).await.expect("schemas").is_empty(), "a replay leaves nothing behind");
}

async fn a_statement_uses_the_tables_of_its_projector_alone(world: World) {
    let client = world.pool(1).get().await.expect("Postgres");
    let secret = "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.secret (id text)";
    client.batch_execute(secret).await.expect("a table");
    let folder = Folder::of_accounts(&world, "CREATE TABLE accounts (id text)", "");
    for (statement, expected) in [
        ("INSERT INTO accounts SELECT id FROM elsewhere.secret", "elsewhere.secret is none of them"),
        ("UPDATE checkpoints SET position = 0", "accounts.checkpoints is none of them"),
        ("DELETE FROM projector_definition", "accounts.projector_definition is none of them"),
        ("DELETE FROM fingerprints", "accounts.fingerprints is none of them"),
        ("DELETE FROM projector_pause", "accounts.projector_pause is none of them"),
    ] {
        folder.write("on_AccountOpened.sql", statement);
        let problem = folder.refused("on_AccountOpened.sql").await;
        // where the projector has a role of its own, Postgres refuses it first
        let is_refused = |expected: &str| problem.contains(expected);
        assert!(is_refused(expected) || is_refused("permission denied for"), "{problem}");
    }
    folder.write("on_AccountOpened.sql", "INSERT INTO accounts SELECT account_id FROM batch");
    folder.write("tables.sql", "CREATE TABLE accounts (id text); CREATE TABLE projector_notes (id text)");
    let reserved = folder.refused("tables.sql").await;
    assert!(reserved.contains("projector_notes: checkpoints, fingerprints and names that begin with"), "{reserved}");
    for (more, expected) in [
        ("DROP TABLE checkpoints CASCADE", "checkpoints is Millrace's table: leave it alone"),
        ("RESET ROLE", "cannot set parameter \"role\" within security-definer function"),
        ("INSERT INTO accounts VALUES ('a')", "the table accounts has rows already"),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
             CREATE TRIGGER t BEFORE INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION f()",
            "the trigger or rule t of accounts works unseen",
        ),
    ] {
        folder.write("tables.sql", &format!("CREATE TABLE accounts (id text); {more}"));
        let refused = folder.refused("tables.sql").await;
        assert!(refused.contains(expected) || refused.contains("must be owner of table"), "{refused}");
    }
    folder.write("tables.sql", "CREATE TABLE accounts (id text)");
    folder.write("projector.toml", &format!("name = \"elsewhere\"\n[reads]\n{} = [\"AccountOpened\"]\n", world.log));
    assert!(folder.refused("projector.toml").await.contains("choose another name"));
    folder.write("projector.toml", &format!("name = \"reporting\"\n[reads]\n{} = [\"AccountOpened\"]\n", world.log));
    assert!(folder.refused("projector.toml").await.contains("a projector reporting of its own"));
    folder.write("projector.toml", &format!("name = \"accounts\"\n[reads]\n{} = [\"Opened\"]\n", world.log));
    fs::rename(folder.dir.join("on_AccountOpened.sql"), folder.dir.join("on_Opened.sql")).expect("a file");
    assert!(folder.refused("projector.toml").await.contains("no event type Opened; it has Account"));
}

async fn statements_run_as_a_role_that_owns_its_schema_and_nothing_else(world: World) {
    let url = world.settings.postgres_url().expect("set");
    let mut url: reqwest::Url = url.parse().expect("an address");
    let (owner, name) = (url.username().to_owned(), format!("admin_{}", world.log));
    let admin = format!("CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x' IN ROLE {owner}");
    let superuser = superuser_of(&world).await;
    superuser.batch_execute(&admin).await.expect("a role");
    let client = world.pool(1).get().await.expect("Postgres");
    client.batch_execute("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.secret (id text)").await.expect("a table");
    url.set_username(&name).expect("a name");
    url.set_password(Some("x")).expect("a password");
    let environment = [("MILLRACE_POSTGRES_URL", url.as_str())];
    let folder = Folder::of_accounts(
        &world,
        "CREATE TABLE accounts (id text); DROP TABLE elsewhere.secret",
        "INSERT INTO accounts SELECT account_id FROM batch",
    );
    let dir = folder.dir.display().to_string();
    let apply = ["projector", "apply", &dir, "--log", world.log.as_str()];
    let (code, printed) = world.try_millrace_with(&apply, &environment).await;
    assert!(code == 1 && printed.contains("permission denied for schema elsewhere"), "{printed}");
    folder.write("tables.sql", "CREATE TABLE accounts (id text)");
    folder.write("on_AccountOpened.sql", "INSERT INTO accounts SELECT id FROM elsewhere.secret");
    let (code, printed) = world.try_millrace_with(&apply, &environment).await;
    assert!(code == 1 && printed.contains("permission denied for schema elsewhere"), "{printed}");
    folder.write("on_AccountOpened.sql", "INSERT INTO accounts SELECT account_id FROM batch");
    let (code, printed) = world.try_millrace_with(&apply, &environment).await;
    assert!(code == 0 && !printed.contains("privileges"), "{printed}");

    let _services = (world.service(&["writer"]).await, world.service(&["relay"]).await);
    let _projector = world.service_with(&["projector", "run", "accounts"], &environment).await;
    let opens: Vec<JsonCommand> =
        (0..10).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None)).collect();
    crate::client::Client::new(&world).send_all(&opens).await;
    let role = "SELECT tableowner FROM pg_tables WHERE schemaname = 'accounts' AND tablename = 'accounts'";
    let role: String = superuser.query_one(role, &[]).await.expect("the table").get(0);
    assert!(role.starts_with("millrace_accounts_"), "{role}");
    wait_until("all accounts are there", async || {
        let row = superuser.query_one("SELECT count(*) FROM accounts.accounts", &[]).await;
        row.expect("the table").get::<_, i64>(0) == 10
    })
    .await;
}

/// A superuser's session in the test's database.
pub async fn superuser_of(world: &World) -> tokio_postgres::Client {
    let url = world.settings.postgres_url().expect("set").parse().expect("an address");
    crate::standby::superuser(&url).await
}

async fn events_of_every_version_have_the_columns_of_the_newest(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let log: LogName = own.log.parse().expect("a log's name");
    let toml = format!("name = \"tickets\"\n[reads]\n{log} = [\"TicketOpened\"]\n");
    let statement = "INSERT INTO tickets SELECT _stream_id, to_jsonb(batch) - '_event_id' FROM batch";
    let tables = "CREATE TABLE tickets (id text, event jsonb)";
    let files = [("projector.toml", toml.as_str()), ("tables.sql", tables), ("on_TicketOpened.sql", statement)];
    let folder = Folder::new(&world, log.as_str(), &files);
    folder.applied().await;
    let _services =
        (world.service(&["writer", "--log", &own.log]).await, world.service(&["relay", "--log", &own.log]).await);
    let _projector = world.service(&["projector", "run", "tickets"]).await;
    let append =
        crate::own::append("first", json!([crate::own::one("ticket-1", json!("any"), &[crate::own::opened("é")])]));
    own.ask(&append).await;
    // a field that the applied statement does not know
    let path = own.dir.join("events/TicketOpened.avsc");
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
    fs::write(own.dir.join("events/TicketOpened.v2.avsc"), schema.to_string()).expect("a file");
    let later = json!({"name": "later", "type": ["null", "string"], "default": null});
    schema["fields"].as_array_mut().expect("fields").push(later);
    own.write("events/TicketOpened.avsc", &schema);
    own.applied().await;
    let mut second =
        crate::own::append("second", json!([crate::own::one("ticket-2", json!("any"), &[crate::own::opened("2")])]));
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let origin = [("ce_source", "desk"), ("client-address", "192.0.2.7"), ("traceparent", trace)];
    second.headers = origin.map(|(name, value)| (name, value.to_owned())).into();
    own.ask(&second).await;
    let client = world.pool(1).get().await.expect("Postgres");
    let mut shown: Vec<Value> = Vec::new();
    wait_until("both events are applied", async || {
        let rows = client.query("SELECT event FROM tickets.tickets ORDER BY id", &[]).await.expect("tickets");
        shown = rows.iter().map(|row| row.get(0)).collect();
        shown.len() == 2
    })
    .await;
    assert_eq!((&shown[0]["subject"], &shown[0]["_version"]), (&json!("é"), &json!(1)), "{shown:#?}");
    assert_eq!((&shown[1]["subject"], &shown[1]["later"]), (&json!("2"), &Value::Null), "{shown:#?}");
    // beside the fields, where it comes from
    let origin = |event: &Value| ["_source", "_client_address", "_traceparent"].map(|name| event.get(name).cloned());
    assert_eq!(origin(&shown[0]), [const { Some(Value::Null) }; 3]);
    assert_eq!(origin(&shown[1]), ["desk", "192.0.2.7", trace].map(|text| Some(json!(text))));
}

async fn every_log_has_an_audit_trail_and_the_current_state_of_its_streams_also_of_event_types_that_come_later(
    world: World,
) {
    let own = Own::new(&world);
    own.applied().await;
    let client = world.pool(1).get().await.expect("Postgres");
    let folders = concat!(env!("CARGO_MANIFEST_DIR"), "/../projectors/folders");
    for folder in ["audit_trail", "current_state"] {
        let dir = format!("{folders}/{folder}");
        let (code, printed) = world.try_millrace(&["projector", "check", &dir, "--log", &own.log]).await;
        assert_eq!(code, 0, "{printed}");
        let (code, printed) = world.try_millrace(&["projector", "apply", &dir, "--log", &own.log, "--as", "X"]).await;
        assert!(code == 1 && printed.contains("--as: name: \"X\" can't be"), "{printed}");
        let named = format!("tickets_{folder}");
        world.millrace(&["projector", "apply", &dir, "--log", &own.log, "--as", &named]).await;
        let again = world.millrace(&["projector", "apply", &dir, "--log", &own.log, "--as", &named]).await;
        assert!(again.contains("nothing to change"), "{again}");
    }
    let _services = (
        world.service(&["writer", "--log", &own.log]).await,
        world.service(&["relay", "--log", &own.log]).await,
        world.service(&["projector", "run", "tickets_audit_trail"]).await,
        world.service(&["projector", "run", "tickets_current_state"]).await,
    );
    let mut first = append("first", json!([one("ticket-1", json!("no-stream"), &[opened("a"), opened("c")])]));
    first.headers = vec![("user-id", "ada".into()), ("correlation-id", "visit-9".into())];
    let accepted = own.ask(&first).await;
    assert_eq!(accepted["outcome"], "accepted", "{accepted}");
    own.write("events/TicketLost.avsc", &event("TicketLost", json!([{"name": "where", "type": "string"}])));
    own.applied().await;
    let lost = json!({"type": "TicketLost", "data": {"where": "at home"}});
    let mut second = append("second", json!([one("ticket-1", json!(2), &[lost])]));
    second.headers = vec![("user-id", "bob".into())];
    let accepted = own.ask(&second).await;
    assert_eq!(accepted["outcome"], "accepted", "{accepted}");

    let trail = async || {
        let sql = "SELECT version, type, user_id, correlation_id, causation_id, data::text
                     FROM tickets_audit_trail.events WHERE stream_id = 'ticket-1' ORDER BY version";
        let rows = client.query(sql, &[]).await.expect("the trail");
        let row = |row: &tokio_postgres::Row| {
            let texts = [1, 2, 3, 4].map(|column| row.get::<_, Option<String>>(column).unwrap_or_default());
            (row.get::<_, i64>(0), texts, row.get::<_, String>(5))
        };
        rows.iter().map(row).collect::<Vec<_>>()
    };
    wait_until("the trail has all events", async || trail().await.len() == 3).await;
    let trail = trail().await;
    assert_eq!(trail[0].1, ["TicketOpened", "ada", "visit-9", "first"]);
    assert!(trail[0].2.contains("\"a\""), "{trail:?}");
    assert_eq!(trail[2].1, ["TicketLost", "bob", "second", "second"]);
    let state = async || {
        let sql = "SELECT version, last_type, changed_by, state::text FROM tickets_current_state.streams";
        let rows = client.query(sql, &[]).await.expect("the states");
        rows.iter()
            .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
            .collect::<Vec<(i64, String, String, String)>>()
    };
    wait_until("the state has all events", async || state().await.first().is_some_and(|state| state.0 == 3)).await;
    let states = state().await;
    assert_eq!((states.len(), &*states[0].1, &*states[0].2), (1, "TicketLost", "bob"));
    let state: Value = serde_json::from_str(&states[0].3).expect("JSON");
    assert_eq!(
        (&state["where"], &state["ticket_id"]),
        (&json!("at home"), &opened("c")["data"]["ticket_id"]),
        "{state}"
    );
}
