//! Builds of a read model. Readers see the live one, in the schema that has the projector's name. The others stand beside
//! it, in schemas of their own: one that a rebuild fills, and the one that was live before.

use millrace_runtime::{Health, Shutdown, Stopped, retry};
use tokio_postgres::GenericClient;

use deadpool_postgres::Pool;

use crate::checkpoints::{in_schema, not_migrated};
use crate::run::READ_CHECKPOINTS;
use crate::{Projector, ProjectorError};

/// How often an instance that stands by looks again.
const STAND_BY: std::time::Duration = std::time::Duration::from_secs(1);

/// Which build of a read model a schema holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// 1 for the first build; no other build of the read model has this number.
    pub number: i32,
    /// The [`version`](Projector::version) of the projector that fills it.
    pub version: i32,
}

impl Generation {
    /// The schema of the build with this number while it is not the live one.
    pub fn schema(projector: &str, number: i32) -> String {
        format!("{projector}_g{number}")
    }

    /// The number of a build, from the name of such a schema.
    pub(crate) fn number_of(projector: &str, schema: &str) -> Option<i32> {
        let digits = schema.strip_prefix(projector)?.strip_prefix("_g")?;
        digits.parse().ok().filter(|number| Self::schema(projector, *number) == schema)
    }

    /// Whether a projector can't have this name, because schemas of builds are named so.
    pub fn is_name_of_build(name: &str) -> bool {
        if name.ends_with("_replay") {
            return true;
        }
        let build = name.rsplit_once("_g").map(|(_, number)| number);
        build.is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()))
    }
}

/// What a build is to the readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildState {
    /// They see it.
    Live,
    /// A rebuild fills it.
    Building,
    /// They saw it before.
    Replaced,
}

impl BuildState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Building => "building",
            Self::Replaced => "replaced",
        }
    }
}

/// Which build of the read model stands in `schema`. Needs no search path.
///
/// # Errors
/// When the read model's tables are not there, or Postgres does not answer.
pub async fn generation(client: &impl GenericClient, schema: &str) -> Result<Generation, ProjectorError> {
    let row = client.query_opt(&in_schema(include_str!("generation/read.sql"), schema), &[]).await;
    let row = row.map_err(|error| not_migrated(schema, error))?;
    let row = row.ok_or_else(|| ProjectorError::Outdated(schema.to_owned()))?;
    Ok(Generation { number: row.try_get(0)?, version: row.try_get(1)? })
}

/// Refuses to go on when another build than `expected` stands in `schema`.
pub(crate) async fn check(
    client: &impl GenericClient,
    schema: &str,
    expected: Generation,
) -> Result<(), ProjectorError> {
    let now = generation(client, schema).await?;
    if now == expected {
        return Ok(());
    }
    Err(ProjectorError::Superseded { schema: schema.to_owned(), expected: expected.number, now: now.number })
}

/// The live build, once it is one that this projector fills. While it is another version's, the process stands by: it is
/// no member of the group, and not ready.
pub(crate) async fn wait_for_own(
    pool: &Pool,
    projector: &dyn Projector,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<Generation, Stopped<ProjectorError>> {
    let (name, ours) = (projector.name(), projector.version());
    let mut standing_by = None;
    loop {
        let read = async || generation(&**pool.get().await?, name).await;
        let live = retry(health, shutdown, READ_CHECKPOINTS, ProjectorError::is_transient, read).await?;
        if live.version == ours {
            return Ok(live);
        }
        if standing_by.is_none() {
            let (theirs, generation) = (live.version, live.number);
            tracing::warn!(
                projector = name,
                ours,
                theirs,
                generation,
                "another version of this projector fills the read model: this instance stands by, until somebody runs \
                 `millrace rebuild {name}` with this program"
            );
            health.set_started();
            standing_by = Some(health.trouble());
        }
        health.beat();
        tokio::select! {
            () = shutdown.cancelled() => return Err(Stopped::Shutdown),
            () = tokio::time::sleep(STAND_BY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_a_build_is_told_from_other_names() {
        assert_eq!(Generation::schema("by_day", 12), "by_day_g12");
        for (schema, number) in [
            ("by_day_g12", Some(12)),
            ("by_day", None),
            ("by_day_g", None),
            ("by_day_g012", None),
            ("by_day_g+2", None),
            ("by_day_g2_g3", None),
            ("orders_g2", None),
        ] {
            assert_eq!(Generation::number_of("by_day", schema), number, "{schema}");
        }
        assert!(Generation::is_name_of_build("by_day_g2") && Generation::is_name_of_build("x_g01"));
        assert!(Generation::is_name_of_build("by_day_replay"));
        assert!(!Generation::is_name_of_build("big_g") && !Generation::is_name_of_build("by_day_gg2x"));
    }
}
