//! What users see of the pipeline: the documented metrics, and a lag that is exact, whichever service is down.

use std::collections::{BTreeMap, BTreeSet};

use millrace_compose::Silent;
use serde_json::Value;

use crate::client::{Client, JsonCommand};
use crate::service::Service;
use crate::world::{World, wait_until};

crate::promises![
    every_metric_is_exported_as_the_table_says_and_none_besides,
    lag_is_exact_while_a_projector_is_down;
    disturbs: the_monitor_goes_on_while_a_server_is_away_and_shows_only_what_it_knows
];

/// The documentation of the metrics.
const TABLES: &str = include_str!("../../docs/METRICS.md");
/// The services of a pipeline, and what the tables call them.
const SERVICES: [&str; 5] = ["writer", "relay", "projectors", "projectors", "monitor"];

async fn monitor(world: &World) -> Service {
    world.service_with(&["monitor"], &[("MILLRACE_MONITOR_INTERVAL_MS", "200")]).await
}

async fn send(world: &World, client: &Client, commands: &[JsonCommand], outcomes: i64) {
    client.send_all(commands).await;
    world.wait_for_outcomes(outcomes).await;
}

fn opens() -> Vec<JsonCommand> {
    (0..20).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None)).collect()
}

fn sets(count: usize) -> Vec<JsonCommand> {
    let set = |n: usize| {
        let accounts = [n % 20, (n + 7) % 20].map(|account| format!("a{account}"));
        JsonCommand::post(format!("set-{n}"), &[(&accounts[0], 1), (&accounts[1], -1)])
    };
    (0..count).map(set).collect()
}

async fn every_metric_is_exported_as_the_table_says_and_none_besides(world: World) {
    let mut services = world.pipeline().await;
    services.push(monitor(&world).await);
    let client = Client::new(&world);
    send(&world, &client, &opens(), 20).await;
    world.audit().await; // so that every projector has had events
    let come_later = [
        (1, "millrace_relay_unpublished_events"),
        (4, "kafka_consumergroup_group_offset"),
        (4, "millrace_log_commands"),
    ];
    for (service, metric) in come_later {
        wait_until(&format!("{metric} is exported"), async || {
            families(&services[service].metrics().await).contains_key(metric)
        })
        .await;
    }
    let mut problems = Vec::new();
    for (name, service) in SERVICES.iter().zip(&services) {
        let exported = families(&service.metrics().await);
        let documented = documented(name);
        for metric in exported.keys().chain(documented.keys()).collect::<BTreeSet<_>>() {
            let (exported, documented) = (exported.get(metric), documented.get(metric));
            if exported != documented {
                problems.push(format!("{name}: {metric}\n  exported   {exported:?}\n  documented {documented:?}"));
            }
        }
    }
    assert!(problems.is_empty(), "docs/METRICS.md and the services differ:\n{}", problems.join("\n"));
}

/// A metric: its type, its labels and its help.
#[derive(Debug, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    labels: BTreeSet<String>,
    help: String,
}

/// Millrace's metrics in Prometheus's text format.
fn families(exposition: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in exposition.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            name.clone_into(&mut current);
            help.clone_into(&mut families.entry(current.clone()).or_default().help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
        } else if let Some((_, rest)) = line.split_once('{') {
            // a label begins the braces or follows a value's closing quote
            let labels = rest.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0.to_owned()));
            let family = families.entry(current.clone()).or_default();
            family.labels.extend(labels.filter(|label| label != "le"));
        }
    }
    families.retain(|name, _| name.starts_with("millrace_") || name.starts_with("kafka_"));
    families
}

/// The rows of the tables that are for a service.
fn documented(service: &str) -> BTreeMap<String, Family> {
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = TABLES.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "a row has five cells: {line}");
        cells
    });
    let rows = rows.filter(|cells| cells[3] == "all" || cells[3].split(", ").any(|one| one == service));
    let family = |cells: &Vec<&str>| Family {
        kind: cells[1].to_owned(),
        labels: quoted(cells[2]).into_iter().collect(),
        help: cells[4].to_owned(),
    };
    rows.map(|cells| (quoted(cells[0]).concat(), family(&cells))).collect()
}

async fn lag_is_exact_while_a_projector_is_down(world: World) {
    let mut services = world.pipeline().await;
    let monitor = monitor(&world).await;
    let client = Client::new(&world);
    send(&world, &client, &opens(), 20).await;
    world.audit().await;
    assert_eq!(services[2].leave().await, Some(0));
    send(&world, &client, &sets(150), 170).await;
    let caught_up = async |stage: &str| behind(&lag(&world).await, stage) == 0;
    for stage in ["writer", "relay", "search"] {
        wait_until(&format!("{stage} has all"), async || caught_up(stage).await).await;
    }

    let told = lag(&world).await;
    let stages: Vec<&Value> = told["rows"].as_array().expect("rows").iter().map(|row| &row["stage"]).collect();
    assert_eq!(stages, ["writer", "relay", "reporting", "search"], "a row a stage: {told}");
    let told = lag_with(&world, &["--partitions"]).await;
    assert_eq!(behind(&told, "reporting"), 300, "two events for each set: {told}");
    assert_eq!(told["halted"], serde_json::json!([]));
    let rows = told["rows"].as_array().expect("rows");
    let rows: Vec<&Value> = rows.iter().filter(|row| row["stage"] == "reporting").collect();
    assert_eq!(rows.len(), 5, "all partitions, and each");
    let each: i64 = rows[1..].iter().map(|row| row["behind"].as_i64().expect("a count")).sum();
    assert_eq!((each, &rows[0]["eta_seconds"]), (300, &Value::Null));
    assert!(rows[0]["seconds_behind"].as_f64().is_some_and(|seconds| seconds > 0.0), "{told}");
    let pool = world.pool(1);
    let db = pool.get().await.expect("Postgres");
    for row in &rows[1..] {
        let partition = i32::try_from(row["partition"].as_i64().expect("a partition")).expect("small");
        let sql = "SELECT count(*) FROM events WHERE partition = $1 AND position >
                     (SELECT coalesce(max(position), 0) FROM reporting.checkpoints WHERE partition = $1)";
        let lacking: i64 = db.query_one(sql, &[&partition]).await.expect("a count").get(0);
        assert_eq!(row["behind"], lacking, "partition {partition}");
    }

    let shown = async |metric: &str, label: &str| sum(&monitor.metrics().await, metric, label);
    let lag_of = async |projector: &str| {
        let labels = [format!("projector=\"{projector}\""), format!("group=\"{}.{projector}.g1\"", world.log)];
        (
            shown("millrace_projector_lag_events", &labels[0]).await,
            shown("kafka_consumergroup_group_lag", &labels[1]).await,
        )
    };
    wait_until("the monitor shows what reporting lacks", async || {
        lag_of("reporting").await == (Some(300.0), Some(300.0)) && lag_of("search").await == (Some(0.0), Some(0.0))
    })
    .await;
    assert!(shown("millrace_projector_lag_seconds", "projector=\"reporting\"").await > Some(0.0));

    services[2].restart();
    wait_until("reporting has all", async || caught_up("reporting").await).await;
    wait_until("the monitor shows it", async || lag_of("reporting").await == (Some(0.0), Some(0.0))).await;
    assert_eq!(shown("millrace_projector_lag_seconds", "projector=\"reporting\"").await, Some(0.0));
}

async fn lag(world: &World) -> Value {
    lag_with(world, &[]).await
}

async fn lag_with(world: &World, flags: &[&str]) -> Value {
    let printed = world.millrace(&[&["lag", "--interval", "0.1", "--output", "json"], flags].concat()).await;
    serde_json::from_str(&printed).expect("lag prints JSON")
}

/// How many events or commands a whole stage lacks.
fn behind(lag: &Value, stage: &str) -> i64 {
    let rows = lag["rows"].as_array().expect("rows");
    let all = rows.iter().find(|row| row["stage"] == stage && row["partition"].is_null());
    all.and_then(|row| row["behind"].as_i64()).unwrap_or_else(|| panic!("no row for all of {stage}: {lag}"))
}

/// The sum of a metric's values with a label; `None` when no value has it.
fn sum(exposition: &str, metric: &str, label: &str) -> Option<f64> {
    let lines = exposition.lines().filter(|line| {
        line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
    });
    lines.map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).reduce(|sum, value| Some(sum? + value?))?
}

async fn the_monitor_goes_on_while_a_server_is_away_and_shows_only_what_it_knows(world: World) {
    let monitor = monitor(&world).await;
    let shows = async |postgres: bool, kafka: bool| {
        let metrics = monitor.metrics().await;
        let up = |server| sum(&metrics, "millrace_monitor_up", server) == Some(1.0);
        let is_there = |metric: &str| sum(&metrics, metric, "").is_some();
        let ready = sum(&metrics, "millrace_ready", "") == Some(1.0);
        (up("postgres"), up("kafka"), ready) == (postgres, kafka, postgres && kafka)
            && ["millrace_log_head_position", "millrace_log_size_bytes", "millrace_projector_lag_events"]
                .iter()
                .all(|metric| is_there(metric) == postgres)
            && ["millrace_commands_unread", "millrace_dead_letters_records", "kafka_partition_latest_offset"]
                .iter()
                .all(|metric| is_there(metric) == kafka)
            && is_there("kafka_consumergroup_group_lag") == kafka
    };
    wait_until("the monitor shows everything", async || shows(true, true).await).await;
    world.stack.stop("postgres").await.expect("it stops");
    wait_until("it shows what Kafka says", async || shows(false, true).await).await;
    world.stack.start(&Silent).await.expect("it comes back");
    wait_until("it shows everything again", async || shows(true, true).await).await;
    world.stack.kill("kafka").await.expect("it can be killed");
    wait_until("it shows what Postgres says", async || shows(true, false).await).await;
    world.stack.start(&Silent).await.expect("it comes back");
    wait_until("it shows everything again after Kafka was away", async || shows(true, true).await).await;
}
