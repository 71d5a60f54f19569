//! Runs the scenarios. Each makes a log of its own, measures our code and the ceilings in turn on the same servers, and
//! reports medians.
//! The services are processes of this program, as those of `millrace up` are of `millrace`.

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use millrace::{NO, Output, SettingsArguments};
use millrace_compose::{Console, Progress};
use millrace_runtime::{Shutdown, on_signal};

use crate::arguments::{BenchArguments, Scenario};
use crate::gate::Gate;
use crate::measured::Measured;
use crate::own_log::OwnLog;
use crate::report::{self, Report};
use crate::servers::Servers;
use crate::{append, end_to_end, growth, project, rebuild, rebuild_read, relay, writers};

/// How long Kafka works before it is part of a measurement: its compiler takes a quarter of this machine's time meanwhile,
/// and what it has compiled takes half the time after.
pub const WARM_UP: Duration = Duration::from_secs(20);

/// The command. Its exit code is that for "no" when a ratio is below its gate.
pub async fn run(settings: &SettingsArguments, arguments: &BenchArguments, output: Output) -> anyhow::Result<ExitCode> {
    let gate = arguments.gate.as_deref().map(Gate::read).transpose()?;
    let loaded = settings.load()?;
    settings.for_services(&loaded)?;
    let interrupted = on_signal()?;
    let servers = Servers::find(loaded, arguments).await?;
    let bench = Bench { settings_arguments: settings, arguments, servers: &servers, interrupted };
    let measured = bench.measure().await;
    servers.leave(arguments.keep).await?;
    let scenarios = measured?;
    let breaches = gate.map(|gate| gate.breaches(&scenarios));
    let passed = breaches.as_ref().is_none_or(Vec::is_empty);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        debug_build: cfg!(debug_assertions),
        seed: arguments.seed,
        skew: arguments.skew,
        scenarios,
        breaches,
    };
    output.print(&report, report::text)?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// A benchmark on servers that answer.
struct Bench<'a> {
    settings_arguments: &'a SettingsArguments,
    arguments: &'a BenchArguments,
    servers: &'a Servers,
    interrupted: Shutdown,
}

impl Bench<'_> {
    async fn measure(&self) -> anyhow::Result<Vec<Measured>> {
        let scenarios = match self.arguments.scenario {
            Scenario::All => vec![
                Scenario::Append,
                Scenario::Writers,
                Scenario::Relay,
                Scenario::Project,
                Scenario::RebuildRead,
                Scenario::Rebuild,
                Scenario::EndToEnd,
            ],
            one => vec![one],
        };
        let mut measured = Vec::new();
        for scenario in scenarios {
            measured.extend(self.scenario(scenario).await?);
        }
        Ok(measured)
    }

    async fn scenario(&self, scenario: Scenario) -> anyhow::Result<Vec<Measured>> {
        let name = scenario.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        if scenario == Scenario::Growth {
            return self
                .on_a_log(&name, async |small| {
                    self.on_a_log(&name, async |large| growth::measure(small, large, self.arguments).await).await
                })
                .await;
        }
        self.on_a_log(&name, async |log| measure(scenario, log, self.arguments).await).await
    }

    /// Measures on a log of its own, which is deleted whatever happens.
    async fn on_a_log(
        &self,
        name: &str,
        measure: impl AsyncFnOnce(&OwnLog) -> anyhow::Result<Vec<Measured>>,
    ) -> anyhow::Result<Vec<Measured>> {
        let log = OwnLog::create(self.settings_arguments, &self.servers.settings, self.arguments.domain).await?;
        Console::new().line(&format!("{name}: in log {}", log.name));
        let measured = tokio::select! {
            measured = measure(&log) => measured,
            () = self.interrupted.cancelled() => Err(anyhow::anyhow!("interrupted")),
        };
        if self.arguments.keep {
            return measured;
        }
        if let Err(error) = log.delete().await {
            // what was measured counts all the same
            Console::new().line(&format!("{name}: something is left behind: {error:#}"));
        }
        measured
    }
}

async fn measure(scenario: Scenario, log: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Vec<Measured>> {
    Ok(match scenario {
        Scenario::Append => vec![append::measure(log, arguments).await?],
        Scenario::Writers => vec![writers::measure(log, arguments).await?],
        Scenario::Relay => vec![relay::measure(log, arguments).await?],
        Scenario::Project => project::measure(log, arguments).await?,
        Scenario::RebuildRead => vec![rebuild_read::measure(log, arguments).await?],
        Scenario::Rebuild => vec![rebuild::measure(log, arguments).await?],
        Scenario::EndToEnd => vec![end_to_end::measure(log, arguments).await?],
        Scenario::Growth | Scenario::All => unreachable!("Bench::scenario deals with them"),
    })
}
