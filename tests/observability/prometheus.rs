//! A real Prometheus, with the scrape config and the rules of `ops/`.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use crate::rules::{self, quickened};
use crate::world::wait_until;

/// A running Prometheus. Dropping it kills the process and deletes its folder.
pub struct Prometheus {
    folder: PathBuf,
    port: u16,
    child: Child,
    http: reqwest::Client,
}

/// An alert that is pending or fires.
#[derive(Debug)]
pub struct Alert {
    pub name: String,
    pub fires: bool,
    pub labels: Value,
}

/// Whether `prometheus` is on the PATH.
pub fn is_installed() -> bool {
    ["prometheus", "promtool"].iter().all(|program| {
        let run = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    })
}

impl Prometheus {
    /// Creates the folder, starts Prometheus in it, and waits until it is ready. It watches nothing yet.
    pub async fn start(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("a folder");
        for file in ["prometheus.yml", "recording.rules.yml", "alerts.rules.yml"] {
            let text = fs::read_to_string(rules::folder().join(file)).expect("a file of ops/prometheus");
            fs::write(folder.join(file), quickened(&text)).expect("a file");
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let child = spawn(&folder, port);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().expect("a client");
        let started = Self { folder, port, child, http };
        let ready = started.url("/-/ready", &[]);
        let what = format!("Prometheus is ready (its log: {})", started.folder.join("log").display());
        wait_until(&what, async || {
            started.http.get(ready.clone()).send().await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        started
    }

    /// Makes it watch these services of a log, given by job and address.
    pub fn watch(&self, log: &str, services: &[(&str, String)]) {
        let target = |(job, address): &(&str, String)| {
            format!("- targets: [\"{address}\"]\n  labels: {{ log: {log}, job: {job} }}\n")
        };
        let targets: String = services.iter().map(target).collect();
        // renamed into its place, so that Prometheus never reads half of it
        let (new, place) = (self.folder.join("targets.new"), self.folder.join("targets.yml"));
        fs::write(&new, targets).and_then(|()| fs::rename(&new, place)).expect("a file");
    }

    /// The values that an expression has now.
    ///
    /// # Errors
    /// Prometheus' own error message.
    pub async fn query(&self, expression: &str) -> Result<Vec<f64>, String> {
        let answer = self.get("/api/v1/query", &[("query", expression)]).await;
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let samples = answer["data"]["result"].as_array().into_iter().flatten();
        Ok(samples.filter_map(|sample| sample["value"][1].as_str()?.parse().ok()).collect())
    }

    /// The alerts that are pending or fire.
    pub async fn alerts(&self) -> Vec<Alert> {
        let answer = self.get("/api/v1/alerts", &[]).await;
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let alert = |alert: &Value| Alert {
            name: alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned(),
            fires: alert["state"] == "firing",
            labels: alert["labels"].clone(),
        };
        alerts.iter().map(alert).collect()
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let answer = self.http.get(self.url(path, parameters)).send().await.expect("Prometheus answers");
        answer.json().await.expect("Prometheus answers in JSON")
    }

    fn url(&self, path: &str, parameters: &[(&str, &str)]) -> Url {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        Url::parse_with_params(&url, parameters).expect("an address")
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn spawn(folder: &Path, port: u16) -> Child {
    let log = File::create(folder.join("log")).expect("a log file");
    Command::new("prometheus")
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log file"))
        .stderr(log)
        .spawn()
        .expect("prometheus starts")
}
