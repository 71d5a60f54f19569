//! The demo's own folder: begun anew each time, and never anybody else's.

use std::path::{Path, PathBuf};

use anyhow::Context;
use millrace_compose::{Console, Stack, StackOptions, default_data_dir};

use crate::cli::FolderArguments;
use crate::exit::Usage;
use crate::stack;

/// Says that a folder's stack is a demo's.
const MARK: &str = "demo";

/// Where the demo's stack goes: a folder without a stack, after an earlier demo's is stopped and deleted. Ports are any
/// that are free, unless asked for.
///
/// # Errors
/// When the folder holds a stack that is not a demo's.
pub async fn fresh(arguments: &FolderArguments) -> anyhow::Result<StackOptions> {
    let mut options = stack::options(arguments);
    if arguments.stack.data_dir.is_none() {
        options.data_dir = beside(&default_data_dir());
    }
    for port in [
        &mut options.ports.postgres,
        &mut options.ports.kafka,
        &mut options.ports.kafka_controller,
        &mut options.ports.registry,
    ] {
        port.get_or_insert(0);
    }
    if let Ok(earlier) = Stack::open(&options.data_dir) {
        if !options.data_dir.join(MARK).exists() {
            let folder = options.data_dir.display();
            return Err(Usage(format!("{folder} holds a stack that is not a demo's: give another --data-dir")).into());
        }
        earlier.down(&Console::new()).await?;
        earlier.destroy().await?;
    }
    Ok(options)
}

/// Notes that the stack is a demo's.
///
/// # Errors
/// When its folder can't be written to.
pub fn mark(stack: &Stack) -> anyhow::Result<()> {
    std::fs::write(stack.data_dir().join(MARK), "").context("the demo's folder can't be written to")
}

fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push("-demo");
    folder.with_file_name(name)
}
