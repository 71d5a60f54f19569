//! The arguments that every command has for its settings.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use millrace_runtime::{Overrides, Settings};
use millrace_schemas::LogName;

use crate::exit::Usage;

/// The log that comes along.
const LEDGER: &str = "ledger";

/// The flags that choose the settings, over the environment.
#[derive(Debug, Clone, Args)]
pub struct SettingsArguments {
    /// Settings file (TOML).
    #[arg(long, global = true, env = "MILLRACE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The log to work on [default: the program's own, for millrace the ledger].
    #[arg(long, global = true, value_name = "NAME")]
    pub log: Option<String>,
    /// The log when nothing else says one; without it, the ledger.
    #[arg(skip)]
    pub default_log: Option<String>,
}

impl SettingsArguments {
    /// Loads the settings for a command that is not a service.
    ///
    /// # Errors
    /// When a setting is wrong; the log's name is one of them.
    pub fn load(&self) -> anyhow::Result<Settings> {
        self.load_with(Overrides::default())
    }

    /// Loads the settings for a service, whose own flags come first.
    ///
    /// # Errors
    /// As [`SettingsArguments::load`].
    pub fn load_with(&self, flags: Overrides) -> anyhow::Result<Settings> {
        let overrides = Overrides {
            log_by_default: Some(self.default_log.clone().unwrap_or_else(|| LEDGER.to_owned())),
            log: self.log.clone(),
            ..flags
        };
        let settings = Settings::load(self.config.as_deref(), &overrides)?;
        settings.log.parse::<LogName>()?;
        if millrace_projectors::names().contains(&settings.log.as_str()) {
            let name = &settings.log;
            return Err(
                Usage(format!("a log can't be named {name}: the projector {name} has a schema of that name")).into()
            );
        }
        Ok(settings)
    }

    /// The flags for services that `up` starts, so that they load the same settings although they work in another
    /// folder.
    ///
    /// # Errors
    /// When the name of the settings file does not fit into a flag, or the settings give all services one consumer
    /// group.
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
