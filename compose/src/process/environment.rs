//! The environment of a process that we start.

use std::process::Command;

/// The variables a process gets besides its marker.
pub(crate) enum Environment {
    /// These, `PATH` and `LANG`, so that a stray `PGPORT` or `QUARKUS_…` of the caller changes nothing.
    Only(Vec<(String, String)>),
    /// The caller's own, and these.
    InheritAnd(Vec<(String, String)>),
}

impl Environment {
    /// `PATH` and `LANG` alone.
    pub(crate) const BARE: Self = Self::Only(Vec::new());

    pub(super) fn apply_to(&self, command: &mut Command) {
        let variables = match self {
            Self::InheritAnd(variables) => variables,
            Self::Only(variables) => {
                command.env_clear().env("LANG", "C.UTF-8");
                if let Some(path) = std::env::var_os("PATH") {
                    command.env("PATH", path);
                }
                variables
            }
        };
        command.envs(variables.iter().map(|(name, value)| (name, value)));
    }
}
