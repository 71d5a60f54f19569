//! A pipeline with its monitor, and a Prometheus that watches it.

use std::collections::BTreeMap;

use crate::prometheus::Prometheus;
use crate::service::Service;
use crate::world::{World, wait_until};

/// The running services by job, and the Prometheus.
pub struct Watched {
    pub world: World,
    pub prometheus: Prometheus,
    services: BTreeMap<&'static str, Service>,
}

impl Watched {
    /// Starts one of each service and Prometheus.
    pub async fn start(world: World) -> Self {
        let prometheus =
            Prometheus::start(std::env::temp_dir().join(format!("millrace-prometheus-{}", world.log))).await;
        let looks_often = [("MILLRACE_MONITOR_INTERVAL_MS", "1000")];
        let (pipeline, monitor) = tokio::join!(world.pipeline(), world.service_with(&["monitor"], &looks_often));
        let jobs = ["writer", "relay", "reporting", "search"].into_iter().zip(pipeline);
        let services = jobs.chain([("monitor", monitor)]).collect();
        let watched = Self { world, prometheus, services };
        watched.watch();
        watched
    }

    /// Stops a service (SIGTERM).
    pub async fn stop(&mut self, job: &str) {
        self.services.get_mut(job).expect("a service").leave().await;
    }

    /// Kills a service (SIGKILL).
    pub fn kill(&mut self, job: &str) {
        self.services.get_mut(job).expect("a service").kill();
    }

    /// Starts a service again, and returns when it is ready.
    pub async fn start_again(&mut self, job: &str) {
        let service = self.services.get_mut(job).expect("a service");
        service.restart();
        service.wait_until_ready().await;
        self.watch();
    }

    /// Waits until an alert fires that has these labels too.
    pub async fn fires(&self, alert: &str, labels: &[(&str, &str)]) {
        wait_until(&format!("{alert} fires for {labels:?}"), async || self.is_firing(alert, labels).await).await;
    }

    /// Waits until the alert no longer fires.
    pub async fn clears(&self, alert: &str, labels: &[(&str, &str)]) {
        wait_until(&format!("{alert} clears for {labels:?}"), async || !self.is_firing(alert, labels).await).await;
    }

    /// Whether an alert fires that has these labels too.
    pub async fn is_firing(&self, alert: &str, labels: &[(&str, &str)]) -> bool {
        let alerts = self.prometheus.alerts().await;
        let mut firing = alerts.iter().filter(|found| found.fires && found.name == alert);
        firing.any(|found| labels.iter().all(|(name, value)| found.labels[name] == *value))
    }

    fn watch(&self) {
        let services: Vec<_> = self.services.iter().map(|(job, service)| (*job, service.address())).collect();
        self.prometheus.watch(self.world.log.as_str(), &services);
    }
}
