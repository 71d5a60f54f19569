//! What a scenario has measured.

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use crate::storage::Storage;

/// The longest latency of a histogram, in microseconds: ten minutes. Longer ones count as that.
const LONGEST: u64 = 600_000_000;

/// A scenario's figures.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Its name, in the gate's file too.
    pub name: &'static str,
    /// What it did, in words.
    pub work: String,
    /// Our figure.
    pub ours: Rate,
    /// The figures to compare it with; the gate looks at the first.
    pub ceilings: Vec<Ceiling>,
    /// What processes used while our figure was measured.
    pub processes: Vec<ProcessUse>,
    /// How long single steps took.
    pub latencies: Vec<Latency>,
    /// Only end-to-end has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// What the log takes on disk, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
}

impl Measured {
    /// Rates, and nothing else.
    pub fn new(name: &'static str, work: String, ours: Rate, ceilings: Vec<Ceiling>) -> Self {
        let (processes, latencies) = (Vec::new(), Vec::new());
        Self { name, work, ours, ceilings, processes, latencies, flow: None, storage: None }
    }
}

/// Events a second.
#[derive(Debug, Clone, Serialize)]
pub struct Rate {
    /// What was done, in words.
    pub what: String,
    /// The median of the rounds.
    pub events_per_second: f64,
    /// The rate of each round.
    pub rounds: Vec<f64>,
}

/// What the same servers do without our code in the way, or our code under other conditions.
#[derive(Debug, Clone, Serialize)]
pub struct Ceiling {
    /// The figure.
    #[serde(flatten)]
    pub rate: Rate,
    /// Our rate divided by this one.
    pub ratio: f64,
}

/// What a process, or several together, used while so many events went through.
#[derive(Debug, Clone)]
pub struct ProcessUse {
    /// Its name.
    pub name: String,
    /// Processor time, user and system.
    pub cpu_seconds: f64,
    /// Time by the clock.
    pub seconds: f64,
    /// How many events went through.
    pub events: u64,
    /// The most memory that it had at once since its start; absent where the figures are of several processes.
    pub peak_bytes: Option<u64>,
}

/// Percentiles, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// Where it begins and ends, in words.
    pub what: String,
    /// How many were measured.
    pub samples: u64,
    /// Half of them are shorter.
    pub p50_ms: f64,
    /// 99 % of them are shorter.
    pub p99_ms: f64,
    /// 99.9 % of them are shorter.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// Whether the stages kept up with the load.
#[derive(Debug, Clone, Serialize)]
pub struct Flow {
    /// Entry sets a second that `--rate` asked for.
    pub asked_sets_per_second: Option<u32>,
    /// Entry sets accepted a second.
    pub sets_accepted_per_second: f64,
    /// Commands with another outcome than accepted.
    pub refused: u64,
    /// Events that the read model lacks, those of commands without an outcome included: after a third of the time, after
    /// two thirds, and at the end.
    pub lag_events: [u64; 3],
    /// The lag at the end was more than a second's work longer than after a third of the time.
    pub lag_grew: bool,
    /// How long after the last command everything was visible.
    pub drained_after_seconds: f64,
}

impl Rate {
    /// A rate measured in rounds.
    pub fn of(what: impl Into<String>, rounds: Vec<f64>) -> Self {
        Self { what: what.into(), events_per_second: median(&rounds), rounds }
    }

    /// This rate as the ceiling of `ours`.
    pub fn above(self, ours: &Self) -> Ceiling {
        let ratio = ours.events_per_second / self.events_per_second;
        Ceiling { rate: self, ratio }
    }
}

/// The middle value; 0 if there is none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

impl ProcessUse {
    /// Processor seconds for a million events.
    pub fn cpu_seconds_per_million(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.events.max(1) as f64
    }

    /// How many processor cores it kept busy.
    pub fn cores(&self) -> f64 {
        self.cpu_seconds / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// The most memory, in MB of a million bytes.
    pub fn peak_mb(&self) -> Option<f64> {
        self.peak_bytes.map(|bytes| bytes as f64 / 1e6)
    }

    /// Adds another round's use, process by process.
    pub fn add(all: &mut Vec<Self>, round: Vec<Self>) {
        for process in round {
            match all.iter_mut().find(|known| known.name == process.name) {
                Some(known) => {
                    known.cpu_seconds += process.cpu_seconds;
                    known.seconds += process.seconds;
                    known.events += process.events;
                    known.peak_bytes = known.peak_bytes.max(process.peak_bytes);
                }
                None => all.push(process),
            }
        }
    }
}

impl Serialize for ProcessUse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            name: &'a str,
            cpu_seconds: f64,
            cpu_seconds_per_million_events: f64,
            cores: f64,
            #[serde(skip_serializing_if = "Option::is_none")]
            peak_mb: Option<f64>,
        }
        let shown = Shown {
            name: &self.name,
            cpu_seconds: self.cpu_seconds,
            cpu_seconds_per_million_events: self.cpu_seconds_per_million(),
            cores: self.cores(),
            peak_mb: self.peak_mb(),
        };
        shown.serialize(serializer)
    }
}

/// An empty histogram of microseconds, exact to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("these bounds are fine: a test says so")
}

impl Latency {
    /// The percentiles of a histogram of microseconds.
    pub fn of(what: &str, histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            what: what.to_owned(),
            samples: histogram.len(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: histogram.max() as f64 / 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_round() {
        assert!((Rate::of("", vec![5.0, 1.0, 3.0]).events_per_second - 3.0).abs() < f64::EPSILON);
        assert!(Rate::of("", vec![]).events_per_second.abs() < f64::EPSILON);
    }

    #[test]
    fn percentiles_are_in_milliseconds() {
        let mut latencies = histogram();
        (1..=1000).for_each(|ms| latencies.saturating_record(ms * 1000));
        let latency = Latency::of("", &latencies);
        assert_eq!((latency.samples, latency.p50_ms.round(), latency.p99_ms.round()), (1000, 500.0, 990.0));
    }

    #[test]
    fn rounds_add_up_by_process() {
        let round = |cpu_seconds, peak_bytes| {
            let (name, peak_bytes) = ("relay".into(), Some(peak_bytes));
            vec![ProcessUse { name, cpu_seconds, seconds: 1.0, events: 1000, peak_bytes }]
        };
        let mut all = round(0.1, 5);
        ProcessUse::add(&mut all, round(0.3, 4));
        assert_eq!(all.len(), 1);
        assert!((all[0].cpu_seconds_per_million() - 200.0).abs() < 1e-9);
        assert_eq!(all[0].peak_bytes, Some(5));
    }
}
