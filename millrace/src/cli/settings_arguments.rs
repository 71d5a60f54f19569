//! Where settings come from, beside the environment.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use millrace_runtime::{Overrides, Settings};
use millrace_schemas::LogName;

use crate::exit::Usage;

/// Where settings come from, beside the environment.
#[derive(Debug, Clone, Args)]
pub struct SettingsArguments {
    /// Settings file (TOML).
    #[arg(long, global = true, env = "MILLRACE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The log to work on [default: ledger].
    #[arg(long, global = true, value_name = "NAME")]
    pub log: Option<String>,
}

impl SettingsArguments {
    /// The settings, for a command that is no service.
    ///
    /// # Errors
    /// When a setting is wrong, the log's name among them.
    pub fn load(&self) -> anyhow::Result<Settings> {
        self.load_with(Overrides::default())
    }

    /// The settings, with a service's flags over them.
    ///
    /// # Errors
    /// As [`SettingsArguments::load`].
    pub fn load_with(&self, flags: Overrides) -> anyhow::Result<Settings> {
        let settings = Settings::load(self.config.as_deref(), &Overrides { log: self.log.clone(), ..flags })?;
        settings.log.parse::<LogName>()?;
        if millrace_projectors::names().contains(&settings.log.as_str()) {
            let name = &settings.log;
            return Err(
                Usage(format!("a log can't be named {name}: the projector {name} has a schema of that name")).into()
            );
        }
        Ok(settings)
    }

    /// Flags that give services, which work in another folder, the same settings as these.
    ///
    /// # Errors
    /// When the settings file can't be named in a flag, or the settings name one consumer group for all.
    pub fn for_services(&self, settings: &Settings) -> anyhow::Result<Vec<String>> {
        if let Some(group) = &settings.group {
            let one = "is set, in MILLRACE_GROUP or in the settings file";
            let why = "writer, relay and projectors need a consumer group each: unset it, or start them one by one";
            return Err(Usage(format!("the group {group:?} {one}; {why}")).into());
        }
        let mut flags = vec!["--log".to_owned(), settings.log.clone()];
        if let Some(file) = &self.config {
            let path = std::path::absolute(file).context("the folder we are in has no name")?;
            let path = path.into_os_string().into_string();
            let path = path.map_err(|path| Usage(format!("the name of the settings file {path:?} is not UTF-8")))?;
            flags.extend(["--config".to_owned(), path]);
        }
        Ok(flags)
    }
}
