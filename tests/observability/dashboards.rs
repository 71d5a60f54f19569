//! Checks that Prometheus has data for everything that the dashboards show.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::load::Load;
use crate::prometheus::Prometheus;
use crate::rules::ops;
use crate::watched::Watched;
use crate::world::World;

/// How long it may take until every expression has data.
const PATIENCE: Duration = Duration::from_secs(90);
/// Prometheus scrapes once a second.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

pub fn every_panel_names_the_data_source_that_is_provisioned() {
    let provisioned = fs::read_to_string(ops().join("grafana/provisioning/datasources/prometheus.yml"));
    assert!(provisioned.expect("a file").contains("uid: prometheus"));
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard).filter(|panel| panel["type"] != "row") {
            let mut sources = targets(panel).chain([panel]).map(|part| &part["datasource"]["uid"]);
            assert!(sources.all(|uid| uid == "prometheus"), "{name}: {}", panel["title"]);
        }
    }
}

pub async fn every_expression_of_every_panel_returns_data(world: World) {
    let expressions = expressions();
    assert!(expressions.len() > 50, "{} expressions are found", expressions.len());
    let watched = Watched::start(world).await;
    let _load = Load::start(&watched.world);
    let mut missing = expressions;
    let all_return = tokio::time::timeout(PATIENCE, async {
        while !missing.is_empty() {
            missing = without_data(&watched.prometheus, missing.clone()).await;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    });
    let in_time = all_return.await.is_ok();
    assert!(in_time, "after {} s these return nothing: {missing:#?}", PATIENCE.as_secs());
}

/// The expressions that return no number.
async fn without_data(prometheus: &Prometheus, expressions: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut without = Vec::new();
    for (place, expression) in expressions {
        let values = prometheus.query(&expression).await;
        let values = values.unwrap_or_else(|error| panic!("{place}: {expression}: {error}"));
        if !values.iter().any(|value| value.is_finite()) {
            without.push((place, expression));
        }
    }
    without
}

/// The expressions of panels and of variables, with their variables filled in; each after the place where it stands.
fn expressions() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            let expressions = targets(panel).map(|target| target["expr"].as_str().expect("an expression"));
            all.extend(expressions.map(|it| (format!("{name}, {}", panel["title"]), filled_in(it))));
        }
        for variable in dashboard["templating"]["list"].as_array().expect("variables") {
            let query = variable["query"]["query"].as_str().expect("a query");
            let values = query.strip_prefix("label_values(").and_then(|rest| rest.rsplit_once(", "));
            all.push((format!("{name}, {}", variable["name"]), filled_in(values.expect("label_values(…, label)").0)));
        }
    }
    all
}

fn filled_in(expression: &str) -> String {
    let variables =
        [("$__rate_interval", "15s"), ("$log", ".*"), ("$job", ".*"), ("$projector", ".*"), ("$partition", ".*")];
    let filled = variables.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "an unknown variable: {expression}");
    filled
}

fn dashboards() -> Vec<(String, Value)> {
    let files = fs::read_dir(ops().join("grafana/dashboards")).expect("the dashboards");
    let dashboard = |file: std::io::Result<fs::DirEntry>| {
        let path = file.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a dashboard");
        (path.display().to_string(), serde_json::from_str(&text).expect("a dashboard is JSON"))
    };
    files.map(dashboard).collect()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().expect("panels").iter()
}

fn targets(panel: &Value) -> impl Iterator<Item = &Value> {
    panel["targets"].as_array().into_iter().flatten()
}
