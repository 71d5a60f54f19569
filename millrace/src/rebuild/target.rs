//! The projector whose read model is rebuilt: one of this program, or one in SQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, bail};
use deadpool_postgres::Object;
use millrace_projector_runner::rebuild::{Build, builds, create_build};
use millrace_projector_runner::{Generation, Projector};
use millrace_runtime::Settings;
use millrace_schemas::RecordSchema;
use millrace_sql_projector::{ProjectorFolder, SqlProjector, SqlProjectorError, stored, stored_in};
use millrace_store::Log;

use super::with_log;
use crate::cli::{RebuildArguments, SettingsArguments};
use crate::exit::Usage;
use crate::logs::Logs;
use crate::projector::newest_schemas;

/// A projector, and the log that it reads.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) log: Log,
    /// With the log of the projector.
    pub(super) settings: Settings,
    kind: Kind,
}

enum Kind {
    /// Of this program.
    Rust(Arc<dyn Projector>),
    /// What the new build is filled by.
    Sql { folder: ProjectorFolder, schemas: BTreeMap<String, &'static RecordSchema> },
}

impl Target {
    pub(super) async fn find(
        logs: &Logs,
        arguments_of_settings: &SettingsArguments,
        settings: Settings,
        client: &Object,
        arguments: &RebuildArguments,
    ) -> anyhow::Result<Self> {
        let RebuildArguments { name, folder, .. } = arguments;
        if logs.has_projector(name) {
            if folder.is_some() {
                bail!(Usage(format!("{name} is a projector of this program, not of a folder: leave out --with")));
            }
            let projectors = logs.find(&settings).await?.projectors();
            let projector = projectors.into_iter().find(|projector| projector.name() == name);
            let log = settings.log.clone();
            let projector = projector.ok_or_else(|| Usage(format!("{name} is no projector of the log {log}")))?;
            let log = Log::open(client, log.parse()?).await?;
            return Ok(Self { name: name.clone(), log, settings, kind: Kind::Rust(projector.into()) });
        }
        let Some(stored) = stored(client, name).await? else {
            bail!(Usage(format!(
                "there is no projector {name:?}; `millrace projectors list` names those that there are"
            )));
        };
        if let Some(other) = arguments_of_settings.log.as_deref().filter(|other| *other != stored.log.as_str()) {
            bail!(Usage(format!("the projector {name} reads log {}, not {other}: leave out --log", stored.log)));
        }
        let folder = match folder {
            Some(dir) => {
                let folder = ProjectorFolder::read(dir).map_err(SqlProjectorError::Refused)?;
                folder.with_name(name).map_err(|problem| SqlProjectorError::Refused(vec![problem]))?
            }
            None => stored.folder,
        };
        let log = Log::open(client, stored.log.clone()).await?;
        let schemas = newest_schemas(client, &log).await?;
        let settings = with_log(settings, &stored.log);
        Ok(Self { name: name.clone(), log, settings, kind: Kind::Sql { folder, schemas } })
    }

    /// Whether an unfinished build is of the same code as the one that is wanted now.
    pub(super) async fn goes_on_with(&self, client: &Object, build: &Build) -> anyhow::Result<bool> {
        Ok(match &self.kind {
            Kind::Rust(projector) => build.generation.version == projector.version(),
            Kind::Sql { folder, schemas } => match stored_in(client, &self.name, &build.schema).await? {
                Some(stored) => stored.is_of(folder, schemas),
                None => false,
            },
        })
    }

    /// Creates the build with this number, unless it is there.
    pub(super) async fn create(&self, client: &mut Object, number: i32) -> anyhow::Result<Build> {
        let schema = Generation::schema(&self.name, number);
        match &self.kind {
            Kind::Rust(projector) => create_build(client, projector.as_ref(), number).await?,
            Kind::Sql { folder, schemas } => {
                let is_there = builds(&***client, &self.name).await?.iter().any(|build| build.schema == schema);
                if !is_there {
                    let mut transaction = client.transaction().await?;
                    let created = millrace_sql_projector::create_build(
                        &mut transaction,
                        folder,
                        self.log.name(),
                        schemas,
                        number,
                    );
                    created.await?;
                    transaction.commit().await?;
                }
            }
        }
        let all = builds(&***client, &self.name).await?;
        all.into_iter().find(|build| build.schema == schema).context("the new generation is gone")
    }

    /// The projector that fills the build.
    pub(super) async fn projector(&self, client: &Object, build: &Build) -> anyhow::Result<Arc<dyn Projector>> {
        if let Kind::Rust(projector) = &self.kind {
            return Ok(projector.clone());
        }
        let stored = stored_in(client, &self.name, &build.schema).await?;
        Ok(Arc::new(SqlProjector::new(&stored.context("the new generation has no definition")?)?))
    }
}
