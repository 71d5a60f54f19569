//! `millrace rebuild NAME` builds a read model anew beside the live one, and has readers see the new one.
//!
//! Killed at any moment, the same command goes on where it ended: what was filled says so itself, and the switch is one
//! transaction.

mod explain;
mod progress;
mod report;
mod target;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use deadpool_postgres::{Object, Pool};
use millrace_projector_runner::rebuild::{
    Build, Comparison, Filling, Pace, RebuildError, Switched, build_in, builds, compare, drop_build, explanations,
    next_number, partings, switch,
};
use millrace_projector_runner::{BuildState, checkpoints};
use millrace_runtime::kafka::{consumer_config, copy_offsets};
use millrace_runtime::{Settings, Shutdown, on_signal, postgres};
use millrace_schemas::LogName;
use millrace_store::Log;
use tokio_postgres::IsolationLevel;

pub use explain::explain;

use crate::cli::{RebuildArguments, SettingsArguments};
use crate::exit::{NO, Usage};
use crate::logs::Logs;
use crate::output::Output;
use progress::Bar;
use report::{Ending, Parting, Report};
use target::Target;

/// So few events behind, the live build may wait for the new one: it takes a moment.
const CLOSE: i64 = 2_000;
/// How long the live build may take to reach a new one that is ahead of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the switch is tried: each time, it waits five seconds for the transactions of those who fill the live build.
const ATTEMPTS: u32 = 5;
/// Events that a dry run applies to learn how fast it goes.
const SAMPLE: i64 = 20_000;
/// After this time, a lock is that of a rebuild that runs.
const NOTICED: Duration = Duration::from_secs(5);
/// Keeps two rebuilds of a read model apart, with a hash of its name.
const LOCK: i32 = 0x7265_6275;

/// Runs the command. The answer is no when the new generation's rows differ and nobody has accepted that.
pub async fn run(
    logs: &Logs,
    arguments_of_settings: &SettingsArguments,
    arguments: &RebuildArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let settings = arguments_of_settings.load()?;
    let url = settings.postgres_url()?;
    let pool = postgres::pool(url, "public", 4)?;
    let lock = postgres::connect(&pool, url).await?;
    let (name, folder) = (&arguments.name, arguments.folder.as_deref());
    let target = Target::find(logs, arguments_of_settings, settings, &lock, (name, folder)).await?;
    be_the_only_one(&lock, &arguments.name).await?;
    let rebuild = Rebuild { target, pool, shutdown: on_signal()? };
    let report = match arguments {
        RebuildArguments { rollback: true, .. } => rebuild.roll_back().await?,
        RebuildArguments { abandon: true, .. } => rebuild.abandon(&lock).await?,
        RebuildArguments { dry_run: true, .. } => rebuild.dry_run(lock, arguments).await?,
        _ => rebuild.rebuild(lock, arguments).await?,
    };
    let code = if report.result == Ending::Differences { ExitCode::from(NO) } else { ExitCode::SUCCESS };
    output.print(&report, report::text)?;
    Ok(code)
}

/// Postgres may take a moment to notice that a rebuild before this one was killed.
async fn be_the_only_one(client: &Object, projector: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    let lock = "SELECT pg_try_advisory_lock($1, hashtext($2))";
    while !client.query_one(lock, &[&LOCK, &projector]).await?.try_get::<_, bool>(0)? {
        if began.elapsed() >= NOTICED {
            bail!(Usage(format!("another rebuild of {projector} runs")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A read model whose builds are dealt with.
struct Rebuild {
    target: Target,
    /// Connections without a schema.
    pool: Pool,
    shutdown: Shutdown,
}

impl Rebuild {
    fn name(&self) -> &str {
        &self.target.name
    }

    fn log(&self) -> &Log {
        &self.target.log
    }

    async fn rebuild(&self, mut client: Object, arguments: &RebuildArguments) -> anyhow::Result<Report> {
        let began = Instant::now();
        let (live, new) = self.builds_to_work_on(&mut client).await?;
        let filling = self.filling(&client, &new, arguments).await?;
        let mut report = Report::new(self.name(), &new, live.as_ref());
        let compared = match &live {
            Some(live) if self.has_events(live).await? => {
                self.fill_and_compare(live, &new, &filling, arguments, &mut report).await?
            }
            _ => None,
        };
        report.filled(filling.pace().applied(), began.elapsed());
        if let Some(comparison) = compared {
            let differs = !comparison.is_equal();
            report.comparison = Some(comparison);
            if differs && !arguments.accept_differences {
                report.result = Ending::Differences;
                if let Some(live) = &live {
                    report.partings = self.partings(&mut client, live, &new, &filling, &report).await?;
                }
                return Ok(report);
            }
        }
        self.catch_up(&filling).await?;
        if let Err(error) = self.copy_offsets(live.as_ref(), &new).await {
            // without them, the new group reads the topic from its beginning, and drops what it has
            eprintln!("millrace: {error:#}; it will read the topic from its beginning");
        }
        let switched = self.switch(&filling, &new).await?;
        report.filled(filling.pace().applied(), began.elapsed());
        report.switched(switched);
        Ok(report)
    }

    /// The live build, and the one that is to be filled: a new one, or the one of a rebuild that was broken off. The one
    /// that was live before the live one goes.
    async fn builds_to_work_on(&self, client: &mut Object) -> anyhow::Result<(Option<Build>, Build)> {
        let all = builds(&***client, self.name()).await?;
        let mut unfinished = None;
        for build in &all {
            match build.state {
                BuildState::Live => {}
                BuildState::Building if self.target.goes_on_with(client, build).await? => unfinished = Some(build),
                BuildState::Building | BuildState::Replaced => drop_build(client, build).await?,
            }
        }
        let number = unfinished.map_or_else(|| next_number(&all), |build: &Build| build.generation.number);
        let new = self.target.create(client, number).await?;
        Ok((build_in(&all, BuildState::Live).cloned(), new))
    }

    async fn filling(&self, client: &Object, new: &Build, arguments: &RebuildArguments) -> anyhow::Result<Filling> {
        let (url, workers) = (self.target.settings.postgres_url()?, usize::from(arguments.workers));
        let pool = postgres::read_model_pool(url, &new.schema, workers + 1)?;
        let source = postgres::pool(url, self.log().name().as_str(), workers)?;
        let pace = Pace::new(arguments.rate.map(Into::into));
        let projector = self.target.projector(client, new).await?;
        let build = (new.schema.clone(), new.generation);
        let stores = (self.log().clone(), source, pool);
        Ok(Filling::new(projector, build, stores, (workers, pace), self.shutdown.clone()))
    }

    async fn has_events(&self, build: &Build) -> anyhow::Result<bool> {
        Ok(self.reached(build).await?.values().any(|position| *position > 0))
    }

    /// How far a build is.
    async fn reached(&self, build: &Build) -> anyhow::Result<BTreeMap<i32, i64>> {
        let client = self.pool.get().await?;
        Ok(checkpoints(&**client, &build.schema, self.log().name()).await?.into_iter().collect())
    }

    async fn heads(&self) -> anyhow::Result<BTreeMap<i32, i64>> {
        Ok(self.log().positions(&self.pool.get().await?).await?)
    }

    /// Fills the new build up to where the live one is, and compares the two there. `None` where somebody
    /// accepts that they can't be compared: the new one is further, or the live one has events that the log lost.
    async fn fill_and_compare(
        &self,
        live: &Build,
        new: &Build,
        filling: &Filling,
        arguments: &RebuildArguments,
        report: &mut Report,
    ) -> anyhow::Result<Option<Comparison>> {
        let waited = Instant::now();
        loop {
            let (reached, own) = (self.reached(live).await?, filling.checkpoints().await?);
            let lost = missing(&reached, &self.heads().await?);
            if lost > 0 && arguments.accept_differences {
                return Ok(None);
            }
            if lost > 0 {
                bail!(
                    "the live generation has applied {lost} events that the log does not have: Postgres lost commits, or \
                     another log of this name was made. There is nothing to compare the new generation with: \
                     --accept-differences has readers see it nevertheless"
                );
            }
            let of_live = |partition: &i32| reached.get(partition).copied().unwrap_or(0);
            if own.iter().any(|(partition, position)| *position > of_live(partition)) {
                // an earlier call was broken off after its comparison
                if arguments.accept_differences {
                    return Ok(None);
                }
                if waited.elapsed() >= PATIENCE {
                    bail!(
                        "generation {} is ahead of the live one, which does not move: start the projector {} so that the \
                         two can be compared, or drop the new one with --abandon",
                        new.generation.number,
                        self.name()
                    );
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            let missing = missing(&reached, &own);
            if missing <= CLOSE {
                break;
            }
            self.fill(filling, &reached, missing, "filling").await?;
        }
        let began = Instant::now();
        let comparison = self.compare_at_one_position(live, new, filling).await?;
        report.compare_seconds = Some(began.elapsed().as_secs_f64());
        Ok(Some(comparison))
    }

    /// Holds whoever fills the live build while the new one takes its last step to the same positions, and sees both at
    /// that moment. The comparison itself holds nobody.
    async fn compare_at_one_position(
        &self,
        live: &Build,
        new: &Build,
        filling: &Filling,
    ) -> anyhow::Result<Comparison> {
        let mut holder = self.pool.get().await?;
        let held = holder.transaction().await?;
        let lock = format!("SET LOCAL lock_timeout = '10s'; LOCK TABLE \"{}\".checkpoints IN SHARE MODE", live.schema);
        held.batch_execute(&lock).await?;
        let reached = checkpoints(&*held, &live.schema, self.log().name()).await?;
        filling.fill_at_once(&reached.into_iter().collect()).await?;
        let mut viewer = self.pool.get().await?;
        let view = viewer.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let view = view.start().await?;
        view.query("SELECT 1", &[]).await?; // what it sees is fixed from here on
        held.rollback().await?;
        Ok(compare(&*view, &live.schema, &new.schema).await?)
    }

    /// For the rows that the report shows, the event at which each parts.
    async fn partings(
        &self,
        client: &mut Object,
        live: &Build,
        new: &Build,
        filling: &Filling,
        report: &Report,
    ) -> anyhow::Result<Vec<Parting>> {
        let until = filling.checkpoints().await?;
        let rows = report.rows_with_keys();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        eprintln!("{}: replaying {} events to find where rows part", self.name(), until.values().sum::<i64>());
        let source = postgres::pool(self.target.settings.postgres_url()?, self.log().name().as_str(), 1)?;
        let source = (self.log(), &source);
        let keys: Vec<_> = rows.iter().map(|(key, _)| key.clone()).collect();
        let mut found = vec![None; rows.len()];
        if let Some(of_live) = self.target.side_in_sql(client, live).await? {
            let sides = [of_live, self.target.side(client, new).await?];
            let parted = partings(source, &sides, &keys, &until).await;
            for side in &sides {
                self.target.end_replay(client, side).await?;
            }
            found = parted?;
        }
        if found.iter().all(Option::is_none) {
            // the code does the same, or only the new one's is there: the live rows say what became of them
            let side = self.target.side(client, new).await?;
            let explained = explanations(source, &side, &rows, &until).await;
            self.target.end_replay(client, &side).await?;
            found = explained?;
        }
        Ok(keys.into_iter().zip(found).filter_map(|(key, cause)| Some(Parting::new(key, cause?))).collect())
    }

    /// Fills the new build up to where the log is now, and again, until that takes but a moment.
    async fn catch_up(&self, filling: &Filling) -> anyhow::Result<()> {
        loop {
            let (heads, own) = (self.heads().await?, filling.checkpoints().await?);
            let missing = missing(&heads, &own);
            self.fill(filling, &heads, missing, "catching up").await?;
            if missing <= CLOSE {
                return Ok(());
            }
        }
    }

    /// Fills the build, which lacks so many events up to these positions, and shows how far it is.
    async fn fill(
        &self,
        filling: &Filling,
        targets: &BTreeMap<i32, i64>,
        missing: i64,
        what: &'static str,
    ) -> anyhow::Result<()> {
        let mut bar = Bar::new(self.name(), what, missing.unsigned_abs(), filling.pace().applied());
        let fill = filling.fill(targets);
        tokio::pin!(fill);
        loop {
            tokio::select! {
                done = &mut fill => {
                    bar.end();
                    return Ok(done?);
                }
                () = tokio::time::sleep(Duration::from_millis(200)) => bar.show(filling.pace().applied()),
            }
        }
    }

    /// The new generation's group begins in the topic where the live one's is, so that its members do not read all of it.
    async fn copy_offsets(&self, live: Option<&Build>, new: &Build) -> anyhow::Result<()> {
        let Some(live) = live else { return Ok(()) };
        let settings = &self.target.settings;
        let name: &LogName = self.log().name();
        let group = |build: &Build| name.projector_group(self.name(), build.generation.number);
        let config = consumer_config(settings, &group(new))?;
        let partitions = i32::try_from(self.log().partitions())?;
        let copied = copy_offsets(&config, (group(live), group(new)), name.events_topic(), partitions).await;
        copied.context("Kafka does not take the offsets of the new generation's consumer group")
    }

    async fn switch(&self, filling: &Filling, new: &Build) -> anyhow::Result<Switched> {
        let mut client = self.pool.get().await?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let catch_up = async |mut reached: BTreeMap<i32, i64>| {
                let heads = self.log().positions(&self.pool.get().await?).await?;
                // a live build that is ahead of the log has applied what Postgres lost
                for (partition, position) in &mut reached {
                    *position = (*position).min(heads.get(partition).copied().unwrap_or(0));
                }
                filling.fill_at_once(&reached).await?;
                Ok(reached)
            };
            let number = new.generation.number;
            match switch(&mut client, self.name(), self.log().name(), number, Some(catch_up)).await {
                Ok(switched) => return Ok(switched),
                Err(error) if attempts < ATTEMPTS && is_lock_timeout(&error) => self.catch_up(filling).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn roll_back(&self) -> anyhow::Result<Report> {
        let mut client = self.pool.get().await?;
        let all = builds(&**client, self.name()).await?;
        let Some(before) = build_in(&all, BuildState::Replaced) else {
            bail!(Usage(format!("{} has no generation that was live before", self.name())));
        };
        let live = build_in(&all, BuildState::Live);
        let nothing = None::<fn(BTreeMap<i32, i64>) -> std::future::Ready<Result<BTreeMap<i32, i64>, RebuildError>>>;
        let number = before.generation.number;
        let switched = switch(&mut client, self.name(), self.log().name(), number, nothing).await?;
        let mut report = Report::new(self.name(), before, live);
        report.switched(switched);
        report.result = Ending::RolledBack;
        Ok(report)
    }

    async fn abandon(&self, client: &Object) -> anyhow::Result<Report> {
        let all = builds(&***client, self.name()).await?;
        let Some(unfinished) = build_in(&all, BuildState::Building) else {
            bail!(Usage(format!("{} has no generation that a rebuild fills", self.name())));
        };
        drop_build(client, unfinished).await?;
        let live = build_in(&all, BuildState::Live);
        let mut report = Report::new(self.name(), unfinished, live);
        report.result = Ending::Abandoned;
        Ok(report)
    }

    /// Fills a small build, measures, and drops it.
    async fn dry_run(&self, mut client: Object, arguments: &RebuildArguments) -> anyhow::Result<Report> {
        let all = builds(&**client, self.name()).await?;
        let number = next_number(&all);
        let heads = self.heads().await?;
        let events: i64 = heads.values().sum();
        let new = self.target.create(&mut client, number).await?;
        let filling = self.filling(&client, &new, arguments).await?;
        let share = |head: &i64| (*head).min((SAMPLE * head / events.max(1)).max(1));
        let sample = heads.iter().map(|(partition, head)| (*partition, share(head))).collect();
        let began = Instant::now();
        let filled = filling.fill(&sample).await;
        let seconds = began.elapsed().as_secs_f64();
        drop_build(&client, &new).await?;
        filled?;
        let live = build_in(&all, BuildState::Live);
        let bytes = match live {
            Some(live) => {
                let size = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c
                             WHERE c.relnamespace = $1::text::regnamespace AND c.relkind = 'r'";
                client.query_one(size, &[&live.schema]).await?.try_get(0)?
            }
            None => 0,
        };
        let mut report = Report::new(self.name(), &new, live);
        let rate = filling.pace().applied() as f64 / seconds.max(0.001);
        report.estimated(events.unsigned_abs(), bytes, events as f64 / rate.max(1.0));
        Ok(report)
    }
}

/// How many events up to the targets are missing.
fn missing(targets: &BTreeMap<i32, i64>, own: &BTreeMap<i32, i64>) -> i64 {
    targets.iter().map(|(partition, target)| (target - own.get(partition).copied().unwrap_or(0)).max(0)).sum()
}

fn is_lock_timeout(error: &RebuildError) -> bool {
    matches!(error, RebuildError::Postgres(error)
        if error.code() == Some(&tokio_postgres::error::SqlState::LOCK_NOT_AVAILABLE))
}

/// The settings with the log of the projector.
fn with_log(mut settings: Settings, log: &LogName) -> Settings {
    log.as_str().clone_into(&mut settings.log);
    settings
}
