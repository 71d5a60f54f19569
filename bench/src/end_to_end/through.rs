//! One run through the pipeline: sending, listening and looking at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::bail;
use deadpool_postgres::Pool;
use millrace::CommandProducer;
use millrace_compose::{Console, Progress};
use millrace_runtime::kafka::client_config;
use millrace_schemas::{Codec, Registry};
use millrace_store::Log;
use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;
use tokio::runtime::Handle;

use super::listen::{Heard, listen};
use super::look::{History, look};
use super::run::Run;
use super::send::{Commands, send};
use crate::appends::streams;
use crate::arguments::BenchArguments;
use crate::ceiling::reader;
use crate::measured::{Flow, Latency, ProcessUse};
use crate::meter::{Meter, Watched};
use crate::own_log::OwnLog;
use crate::relay::committed;
use crate::run::WARM_UP;
use crate::work::{ACCOUNTS, Work};

/// How often the benchmark looks whether everything is done.
const LOOK: Duration = Duration::from_millis(20);
/// A pipeline that is not done so long after the last command is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// Everything that a run needs, made before its clock starts.
pub struct Through<'a> {
    log: &'a Log,
    pool: &'a Pool,
    commands: Commands,
    producer: CommandProducer,
    codec: Codec,
    outcomes: BaseConsumer,
    rate: Option<u32>,
    measured: Duration,
}

/// The figures of a run.
pub struct Passed {
    /// Events that became visible in the measured time, a second.
    pub visible_per_second: f64,
    /// Accepted entry sets, and the lag.
    pub flow: Flow,
    /// From command to outcome, and from event to read model.
    pub latencies: Vec<Latency>,
    /// What processes used in the measured time.
    pub processes: Vec<ProcessUse>,
}

/// What the benchmark saw while it sent commands.
struct Observed {
    lag: [u64; 3],
    visible: u64,
    processes: Vec<ProcessUse>,
}

/// Ends the run for the listener and the onlooker, whatever happens.
struct Finish(Arc<Run>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl<'a> Through<'a> {
    /// Connects, and makes the commands.
    ///
    /// # Errors
    /// When a server does not answer.
    pub async fn prepare(
        own: &OwnLog,
        log: &'a Log,
        pool: &'a Pool,
        arguments: &BenchArguments,
    ) -> anyhow::Result<Self> {
        let registry = Registry::new(own.settings.registry_url()?)?;
        let codec = Codec::connect(registry, &own.name, own.rules.log().definition()).await?;
        let (config, topic) = (client_config(&own.settings)?, own.name.outcomes_topic());
        Ok(Self {
            log,
            pool,
            commands: Commands::prepare(Work::all(arguments), &streams()?, &codec, own.rules)?,
            producer: CommandProducer::new(&own.settings)?,
            codec,
            outcomes: reader(&config, &topic, log.partitions() as i32, Offset::Beginning)?,
            rate: arguments.rate.map(u32::from),
            measured: Duration::from_secs(arguments.seconds.get().into()),
        })
    }

    /// Sends for the time asked for, and waits until everything is visible.
    ///
    /// # Errors
    /// When a server does not answer, or the pipeline is stuck.
    pub async fn pass(self, watched: Vec<Watched>) -> anyhow::Result<Passed> {
        let run = Arc::new(Run::start(self.rate, WARM_UP, self.measured));
        let finish = Finish(run.clone());
        let client = self.pool.get().await?;
        let (its_run, outcomes, codec) = (run.clone(), self.outcomes, self.codec);
        let runtime = Handle::current();
        let listening = tokio::task::spawn_blocking(move || listen(&its_run, &outcomes, &codec, &runtime));
        let looking = look(&run, &client, self.log.name(), self.log.partitions());
        let working = async {
            let (observed, ()) = tokio::try_join!(observe(&run, watched), send(&run, &self.producer, &self.commands))?;
            let drained = drain(&run, self.log, self.pool).await?;
            drop(finish);
            anyhow::Ok((observed, drained))
        };
        let ((observed, drained), history) = tokio::try_join!(working, looking)?;
        let heard = listening.await??;
        Ok(passed(&run, observed, drained, &heard, &history))
    }
}

/// Measures the lag after a third, two thirds, and at the end of the measured time, and what the processes use in it.
async fn observe(run: &Run, watched: Vec<Watched>) -> anyhow::Result<Observed> {
    let third = (run.end - run.warm_up) / 3;
    tokio::time::sleep_until((run.started + run.warm_up).into()).await;
    let visible_before = run.visible.load(Ordering::Relaxed);
    let meter = Meter::start(watched);
    let mut lag = [0; 3];
    for (nr, lag) in (1..).zip(&mut lag) {
        tokio::time::sleep_until((run.started + run.warm_up + third * nr).into()).await;
        *lag = behind(run);
        Console::new().line(&format!("end-to-end: {nr}/3 of the time: {lag} events behind"));
    }
    let visible = run.visible.load(Ordering::Relaxed) - visible_before;
    Ok(Observed { lag, visible, processes: meter.read(visible) })
}

/// Events that are not visible yet, of all commands that were sent.
fn behind(run: &Run) -> u64 {
    let events = ACCOUNTS as u64 + 2 * run.sent.load(Ordering::Relaxed);
    events.saturating_sub(run.visible.load(Ordering::Relaxed))
}

/// Waits until every command has its outcome and every event is visible; how long that took.
async fn drain(run: &Run, log: &Log, pool: &Pool) -> anyhow::Result<Duration> {
    let began = Instant::now();
    while run.unheard() > 0 || run.visible.load(Ordering::Relaxed) < committed(log, pool).await? {
        if began.elapsed() > STUCK {
            let seconds = STUCK.as_secs();
            bail!(
                "{seconds} s after the last command {} have no outcome, {} events are not visible",
                run.unheard(),
                behind(run)
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(began.elapsed())
}

fn passed(run: &Run, observed: Observed, drained: Duration, heard: &Heard, history: &History) -> Passed {
    let seconds = (run.end - run.warm_up).as_secs_f64();
    let accepted = heard.accepted as f64 / seconds;
    let [third, _, end] = observed.lag;
    Passed {
        visible_per_second: observed.visible as f64 / seconds,
        flow: Flow {
            asked_sets_per_second: run.rate,
            sets_accepted_per_second: accepted,
            refused: heard.refused,
            lag_events: observed.lag,
            lag_grew: end as f64 > third as f64 + 2.0 * accepted,
            drained_after_seconds: drained.as_secs_f64(),
        },
        latencies: vec![
            Latency::of("from when a command was to be sent to its outcome", &heard.latencies),
            Latency::of("from an event's recording to reporting", &history.latencies(&heard.samples)),
        ],
        processes: observed.processes,
    }
}
