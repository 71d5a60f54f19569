//! Turns a look into metrics.

use std::collections::BTreeMap;
use std::iter;

use millrace_projector_runner::Pause;
use millrace_schemas::LogName;

use super::metrics::{
    DEAD_LETTERS, GROUP_LAG, GROUP_LAG_SECONDS, GROUP_MAX_LAG, GROUP_MAX_LAG_SECONDS, GROUP_OFFSET, HALTED, HEAD,
    LAG_EVENTS, LAG_SECONDS, LATEST_OFFSET, PAUSE_AGE, PUBLISHED, SIZE, UNREAD, UP,
};
use super::shown::Shown;
use crate::lag::{Behind, Look, Stage};

/// The gauges that a look sets.
pub struct Board {
    log: LogName,
    heads: Shown,
    halted: Shown,
    published: Shown,
    sizes: Shown,
    dead_letters: Shown,
    unread: Shown,
    lag_events: Shown,
    lag_seconds: Shown,
    pause_age: Shown,
    group_lag: Shown,
    group_lag_seconds: Shown,
    group_max_lag: Shown,
    group_max_lag_seconds: Shown,
    group_offsets: Shown,
    latest_offsets: Shown,
}

impl Board {
    /// A board that shows nothing yet.
    pub fn new(log: LogName) -> Self {
        Self {
            log,
            heads: Shown::new(&HEAD),
            halted: Shown::new(&HALTED),
            published: Shown::new(&PUBLISHED),
            sizes: Shown::new(&SIZE),
            dead_letters: Shown::new(&DEAD_LETTERS),
            unread: Shown::new(&UNREAD),
            lag_events: Shown::new(&LAG_EVENTS),
            lag_seconds: Shown::new(&LAG_SECONDS),
            pause_age: Shown::new(&PAUSE_AGE),
            group_lag: Shown::new(&GROUP_LAG),
            group_lag_seconds: Shown::new(&GROUP_LAG_SECONDS),
            group_max_lag: Shown::new(&GROUP_MAX_LAG),
            group_max_lag_seconds: Shown::new(&GROUP_MAX_LAG_SECONDS),
            group_offsets: Shown::new(&GROUP_OFFSET),
            latest_offsets: Shown::new(&LATEST_OFFSET),
        }
    }

    /// Shows the values of the look, and removes those that it does not have.
    pub fn show(&mut self, look: &Look) {
        UP.with_label_values(&["kafka"]).set(look.topics.is_ok().into());
        UP.with_label_values(&["postgres"]).set(look.log.is_ok().into());
        let log = look.log.as_ref().ok();
        let heads = log.iter().flat_map(|log| &log.heads);
        self.heads.replace(heads.map(|(partition, head)| by_partition((*partition, head))));
        self.halted.replace(log.map(|log| (vec![], log.halts.len() as f64)));
        let pauses = log.iter().flat_map(|log| &log.pauses);
        // a clock that is behind Postgres' must not say that it is not paused
        let age = |pause: &Pause| look.at.duration_since(pause.since).as_secs_f64().max(f64::MIN_POSITIVE);
        let age = |(name, pause): (&&str, &Option<Pause>)| (vec![(*name).to_owned()], pause.as_ref().map_or(0.0, age));
        self.pause_age.replace(pauses.map(age));
        let sizes = log.iter().flat_map(|log| &log.sizes);
        self.sizes.replace(sizes.map(|(table, bytes)| (vec![table.clone()], *bytes as f64)));
        self.show_topics(look);
        let stages = look.stages();
        let is_projector = |stage: &&Stage| look.is_projector(&stage.name);
        self.show_projectors(&stages.iter().filter(is_projector).collect::<Vec<_>>());
        // the groups' metrics have a label for the cluster, which only Kafka knows
        let cluster = look.topics.as_ref().map(|topics| topics.cluster.as_str());
        self.show_groups(if cluster.is_ok() { &stages } else { &[] }, cluster.unwrap_or_default());
    }

    fn show_topics(&mut self, look: &Look) {
        let topics = look.topics.as_ref().ok();
        self.published
            .replace(topics.iter().flat_map(|topics| &topics.published).map(|(p, at)| by_partition((*p, at))));
        let records = topics.map(|topics| {
            let ends = topics.ends_of(&self.log.dead_letters_topic());
            ends.iter().map(|(low, end)| end - low).sum::<i64>()
        });
        self.dead_letters.replace(records.map(|records| (vec![], records as f64)));
        let unread = topics.map(|topics| topics.read.values().map(|read| read.end - read.next).sum::<i64>());
        self.unread.replace(unread.map(|unread| (vec![], unread as f64)));
        let ends = topics.iter().flat_map(|topics| {
            topics.ends.iter().flat_map(|(topic, ends)| {
                let label = |partition: i32| vec![topics.cluster.clone(), topic.clone(), partition.to_string()];
                (0..).zip(ends).map(move |(partition, (_, end))| (label(partition), *end as f64))
            })
        });
        self.latest_offsets.replace(ends);
        let offsets = topics.iter().flat_map(|topics| {
            topics.groups.iter().flat_map(|(group, offsets)| {
                let label = |partition: i32| {
                    vec![topics.cluster.clone(), group.name.clone(), group.topic.clone(), partition.to_string()]
                };
                offsets.iter().map(move |(partition, offset)| (label(*partition), *offset as f64))
            })
        });
        self.group_offsets.replace(offsets);
    }

    fn show_projectors(&mut self, projectors: &[&Stage]) {
        let labels = |stage: &Stage, partition: i32| vec![stage.name.clone(), partition.to_string()];
        self.lag_events.replace(each(projectors, labels, |behind| Some(behind.count() as f64)));
        self.lag_seconds.replace(each(projectors, labels, |behind| behind.seconds));
    }

    fn show_groups(&mut self, stages: &[Stage], cluster: &str) {
        let stages: Vec<&Stage> = stages.iter().collect();
        let labels = |stage: &Stage, partition: i32| {
            vec![cluster.to_owned(), stage.group.name.clone(), stage.group.topic.clone(), partition.to_string()]
        };
        let lag = each(&stages, labels, |behind| Some(behind.count() as f64));
        let seconds = each(&stages, labels, |behind| behind.seconds);
        self.group_max_lag.replace(largest(&lag));
        self.group_max_lag_seconds.replace(largest(&seconds));
        self.group_lag.replace(lag);
        self.group_lag_seconds.replace(seconds);
    }
}

type Values = Vec<(Vec<String>, f64)>;

fn by_partition((partition, position): (i32, &i64)) -> (Vec<String>, f64) {
    (vec![partition.to_string()], *position as f64)
}

/// One value for each partition of each stage; leaves out unknown ones.
fn each(
    stages: &[&Stage],
    labels: impl Fn(&Stage, i32) -> Vec<String>,
    value: impl Fn(&Behind) -> Option<f64>,
) -> Values {
    let partitions = stages.iter().flat_map(|stage| iter::repeat(stage).zip(&stage.partitions));
    partitions.filter_map(|(stage, (partition, behind))| Some((labels(stage, *partition), value(behind)?))).collect()
}

/// The largest value of each group; the first two labels name the group.
fn largest(values: &Values) -> Values {
    let mut largest: BTreeMap<Vec<String>, f64> = BTreeMap::new();
    for (labels, value) in values {
        let group = largest.entry(labels.iter().take(2).cloned().collect()).or_default();
        *group = group.max(*value);
    }
    largest.into_iter().collect()
}
