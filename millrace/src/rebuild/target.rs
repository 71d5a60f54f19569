//! The projector whose read model is rebuilt: one of this program, or one in SQL.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use deadpool_postgres::Object;
use millrace_projector_runner::rebuild::{Build, Side, builds, create_build, create_tables};
use millrace_projector_runner::{Generation, Projector};
use millrace_runtime::{Settings, postgres};
use millrace_schemas::RecordSchema;
use millrace_sql_projector::{
    ProjectorFolder, SqlProjector, SqlProjectorError, create_build as create_sql_build, stored, stored_in,
};
use millrace_store::Log;

use super::with_log;
use crate::cli::SettingsArguments;
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
        (name, folder): (&str, Option<&Path>),
    ) -> anyhow::Result<Self> {
        if logs.has_projector(name) {
            if folder.is_some() {
                bail!(Usage(format!("{name} is a projector of this program, not of a folder: leave out --with")));
            }
            let projectors = logs.find(&settings).await?.projectors();
            let projector = projectors.into_iter().find(|projector| projector.name() == name);
            let log = settings.log.clone();
            let projector = projector.ok_or_else(|| Usage(format!("{name} is no projector of the log {log}")))?;
            let log = Log::open(client, log.parse()?).await?;
            return Ok(Self { name: name.to_owned(), log, settings, kind: Kind::Rust(projector.into()) });
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
        Ok(Self { name: name.to_owned(), log, settings, kind: Kind::Sql { folder, schemas } })
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
                    let log = self.log.name();
                    create_sql_build(&mut transaction, folder, log, schemas, number, &schema).await?;
                    transaction.commit().await?;
                }
            }
        }
        let all = builds(&***client, &self.name).await?;
        all.into_iter().find(|build| build.schema == schema).context("the new generation is gone")
    }

    /// [`Target::side`] of a projector in SQL, whose older code is in the database; `None` of one of this program.
    pub(super) async fn side_in_sql(&self, client: &mut Object, build: &Build) -> anyhow::Result<Option<Side>> {
        match &self.kind {
            Kind::Rust(_) => Ok(None),
            Kind::Sql { .. } => self.side(client, build).await.map(Some),
        }
    }

    /// The code of a build, with tables of its own for a replay. [`Target::end_replay`] deletes these.
    pub(super) async fn side(&self, client: &mut Object, build: &Build) -> anyhow::Result<Side> {
        let number = build.generation.number;
        // its end keeps it from being taken for a read model
        let schema = format!("{}_replay_g{number}", self.name);
        client.batch_execute(&format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE")).await?;
        let projector: Arc<dyn Projector> = match &self.kind {
            Kind::Rust(projector) => {
                create_tables(client, projector.as_ref(), number, &schema).await?;
                projector.clone()
            }
            Kind::Sql { .. } => {
                let stored = stored_in(client, &self.name, &build.schema).await?;
                let stored = stored.context("the generation has no definition")?;
                let log = self.log.name();
                let mut transaction = client.transaction().await?;
                create_sql_build(&mut transaction, &stored.folder, log, stored.schemas(), number, &schema).await?;
                transaction.commit().await?;
                let stored = stored_in(client, &self.name, &schema).await?;
                Arc::new(SqlProjector::new(&stored.context("the replay has no definition")?)?)
            }
        };
        let pool = postgres::read_model_pool(self.settings.postgres_url()?, &schema, 1)?;
        Ok(Side { projector, pool, schema })
    }

    /// Deletes what a replay has made for a build.
    pub(super) async fn end_replay(&self, client: &Object, side: &Side) -> anyhow::Result<()> {
        side.pool.close();
        Ok(client.batch_execute(&format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", side.schema)).await?)
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
