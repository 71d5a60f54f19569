//! The folder for the stack of a demo or a benchmark. Each run deletes the last run's stack, and never another one.

use std::path::{Path, PathBuf};

use anyhow::Context;
use millrace_compose::{Console, DEMO_MARK, Stack, StackError, StackOptions, default_data_dir};

use super::options;
use crate::cli::FolderArguments;
use crate::exit::Usage;

/// Prepares the folder for a throw-away stack: stops and deletes an earlier one. By default the folder is that of `up`
/// with `suffix`, and the ports are any free ones.
///
/// # Errors
/// When the folder holds a stack that is not a throw-away one.
pub async fn fresh(arguments: &FolderArguments, suffix: &str) -> anyhow::Result<StackOptions> {
    let mut options = options(arguments);
    if arguments.stack.data_dir.is_none() {
        let of_up = std::env::var_os("MILLRACE_DATA_DIR").filter(|folder| !folder.is_empty());
        options.data_dir = beside(&of_up.map_or_else(default_data_dir, PathBuf::from), suffix);
    }
    for port in [
        &mut options.ports.postgres,
        &mut options.ports.kafka,
        &mut options.ports.kafka_controller,
        &mut options.ports.registry,
    ] {
        port.get_or_insert(0);
    }
    if holds_a_stack(&options.data_dir) {
        if !options.data_dir.join(DEMO_MARK).is_file() {
            let folder = options.data_dir.display();
            let text = format!("{folder} holds a stack that is not of a demo or benchmark: give another --data-dir");
            return Err(Usage(text).into());
        }
        Stack::down_in(&options.data_dir, &Console::new()).await?;
        Stack::destroy_in(&options.data_dir).await?;
    }
    Ok(options)
}

/// Marks the stack in the folder, if there is one, as one that later runs may delete.
///
/// # Errors
/// When the folder can't be written to.
pub fn mark(data_dir: &Path) -> anyhow::Result<()> {
    if holds_a_stack(data_dir) {
        std::fs::write(data_dir.join(DEMO_MARK), "")
            .with_context(|| format!("{} can't be written to", data_dir.display()))?;
    }
    Ok(())
}

/// Whether the folder holds a stack, even a damaged one, as an interrupted run leaves it.
fn holds_a_stack(data_dir: &Path) -> bool {
    !matches!(Stack::open(data_dir), Err(StackError::NoStack { .. }))
}

/// The folder beside that of `up`. If `millrace env` has set the shell up for a throw-away stack, the folder of that
/// one.
fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    if name.as_encoded_bytes().ends_with(suffix.as_bytes()) {
        return folder.to_owned();
    }
    name.push(suffix);
    folder.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_beside_the_stack_and_a_demos_folder_is_its_own() {
        assert_eq!(beside(Path::new("/data/bank"), "-demo"), Path::new("/data/bank-demo"));
        assert_eq!(beside(Path::new("/data/bank-demo/"), "-demo"), Path::new("/data/bank-demo/"));
    }
}
