//! A projector's status, from Postgres and from its consumer group.

use deadpool_postgres::Object;
use jiff::Timestamp;
use millrace_projector_runner::rebuild::{build_in, builds};
use millrace_projector_runner::{
    BuildState, Generation, PartitionStops, Pause, checkpoints, generation, paused, stops,
};
use millrace_runtime::Settings;
use millrace_runtime::kafka::{GroupMember, client_config, group_members};
use millrace_schemas::LogName;
use millrace_store::Log;
use serde::Serialize;

use crate::kafka_state::bootstrap;
use crate::output::escaped;

/// What a projector, or a partition of it, is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// An instance has the partition, and applies what comes.
    Running,
    /// No instance has the partition; also for a moment while instances come and go.
    Down,
    /// An event is missing or can't be applied: the partition stands still before it.
    Stopped,
    /// Somebody has paused the projector.
    Paused,
}

/// A projector's status.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) projector: String,
    /// Which build of its read model is live.
    pub(super) generation: i32,
    /// The build that a rebuild fills, if there is one.
    pub(super) rebuild: Option<Rebuild>,
    /// That of all partitions, the last in the order of [`State`].
    pub(super) state: State,
    pub(super) paused: Option<Paused>,
    /// Members of its consumer group.
    pub(super) instances: usize,
    /// Events that the read model lacks.
    pub(super) behind: i64,
    /// How often a partition stopped, since the read model was made or reset.
    pub(super) errors: i64,
    pub(super) last_error: Option<LastError>,
    pub(super) partitions: Vec<PartitionStatus>,
}

/// How far a rebuild is; it may run, or have been broken off.
#[derive(Debug, Serialize)]
pub(super) struct Rebuild {
    pub(super) generation: i32,
    /// Events that it has applied.
    pub(super) applied: i64,
    /// Events of the log.
    pub(super) events: i64,
}

/// That a projector is paused.
#[derive(Debug, Serialize)]
pub struct Paused {
    since: Timestamp,
    by: String,
    reason: Option<String>,
}

/// The status of one partition.
#[derive(Debug, Serialize)]
pub(super) struct PartitionStatus {
    pub(super) partition: i32,
    pub(super) state: State,
    /// The host of the instance that has it.
    pub(super) instance: Option<String>,
    /// The position applied last.
    pub(super) applied: i64,
    pub(super) behind: i64,
    pub(super) errors: i64,
    pub(super) last_error: Option<LastError>,
}

/// What last stopped a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LastError {
    pub(super) at: Timestamp,
    pub(super) partition: i32,
    /// The position of the event that was missing or could not be applied.
    pub(super) position: i64,
    pub(super) reason: String,
}

impl Status {
    /// Reads the status of a projector, which has a read model.
    ///
    /// # Errors
    /// When Postgres or Kafka does not answer, or Postgres does not have the log.
    pub(super) async fn read(settings: &Settings, client: &Object, projector: String) -> anyhow::Result<Self> {
        let name: LogName = settings.log.parse()?;
        let log = Log::open(client, name.clone()).await?;
        let generation = generation(&***client, &projector).await?;
        let members = members(settings, &name, (&projector, generation)).await?;
        let paused = paused(&***client, &projector).await?.map(Paused::from);
        // before the checkpoints: a stop that these are past is over
        let stops = stops(&***client, &projector, &name).await?;
        let checkpoints = checkpoints(&***client, &projector, &name).await?;
        let heads = log.positions(client).await?;
        let rebuild = rebuild(client, &projector, &name, heads.values().sum()).await?;
        let partition = |(partition, head): (&i32, &i64)| {
            let applied = checkpoints.get(partition).copied().unwrap_or_default();
            let member = members.iter().find(|member| member.partitions.contains(partition));
            PartitionStatus::new(*partition, (*head, applied), member, stops.get(partition), paused.is_some())
        };
        let partitions: Vec<PartitionStatus> = heads.iter().map(partition).collect();
        let last_error = partitions.iter().filter_map(|partition| partition.last_error.clone());
        Ok(Self {
            projector,
            generation: generation.number,
            rebuild,
            state: partitions.iter().map(|partition| partition.state).max().unwrap_or(State::Down),
            paused,
            instances: members.len(),
            behind: partitions.iter().map(|partition| partition.behind).sum(),
            errors: partitions.iter().map(|partition| partition.errors).sum(),
            last_error: last_error.max_by_key(|error| error.at),
            partitions,
        })
    }
}

async fn rebuild(client: &Object, projector: &str, log: &LogName, events: i64) -> anyhow::Result<Option<Rebuild>> {
    let all = builds(&***client, projector).await?;
    let Some(build) = build_in(&all, BuildState::Building) else { return Ok(None) };
    let applied = checkpoints(&***client, &build.schema, log).await?.into_values().sum();
    Ok(Some(Rebuild { generation: build.generation.number, applied, events }))
}

impl PartitionStatus {
    fn new(
        partition: i32,
        (head, applied): (i64, i64),
        member: Option<&GroupMember>,
        stops: Option<&PartitionStops>,
        is_paused: bool,
    ) -> Self {
        let state = match stops {
            _ if is_paused => State::Paused,
            Some(stops) if stops.position > applied => State::Stopped,
            _ if member.is_none() => State::Down,
            _ => State::Running,
        };
        let last_error = stops.map(|PartitionStops { at, position, reason, .. }| LastError {
            at: *at,
            partition,
            position: *position,
            reason: reason.clone(),
        });
        Self {
            partition,
            state,
            instance: member.map(|member| member.host.clone()),
            applied,
            behind: (head - applied).max(0),
            errors: stops.map_or(0, |stops| stops.times),
            last_error,
        }
    }
}

impl From<Pause> for Paused {
    fn from(Pause { since, paused_by, reason }: Pause) -> Self {
        Self { since, by: paused_by, reason }
    }
}

impl Paused {
    /// For people: since when, by whom and why.
    pub fn line(&self) -> String {
        let Self { since, by, reason } = self;
        let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {}", escaped(reason)));
        format!("paused since {since:.0} by {}{reason}", escaped(by))
    }
}

/// The members of a projector's group, under its usual name.
///
/// # Errors
/// When Kafka does not answer.
pub(super) async fn members(
    settings: &Settings,
    log: &LogName,
    (projector, generation): (&str, Generation),
) -> anyhow::Result<Vec<GroupMember>> {
    let (config, group) = (client_config(settings)?, log.projector_group(projector, generation.number));
    let members = group_members(&config, group.clone(), log.events_topic()).await;
    members.map_err(|error| {
        anyhow::anyhow!("Kafka at {} does not tell the members of the group {group}: {error}", bootstrap(&config))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_before_a_stop_and_a_stop_before_a_missing_instance_and_a_stop_is_over_once_it_is_passed() {
        let member = GroupMember { host: "10.0.0.1".into(), partitions: vec![3] };
        let stops = |position| PartitionStops { position, times: 2, reason: "r".into(), at: Timestamp::UNIX_EPOCH };
        for (member, stops, is_paused, expected) in [
            (Some(&member), None, false, State::Running),
            (None, None, false, State::Down),
            (Some(&member), Some(stops(8)), false, State::Stopped),
            (None, Some(stops(8)), false, State::Stopped),
            (Some(&member), Some(stops(7)), false, State::Running),
            (None, Some(stops(8)), true, State::Paused),
        ] {
            let status = PartitionStatus::new(3, (9, 7), member, stops.as_ref(), is_paused);
            assert_eq!((status.state, status.behind), (expected, 2), "{status:?}");
            assert_eq!(status.errors, stops.map_or(0, |_| 2));
        }
    }
}
