//! The caller's choice of a stack.

use std::path::PathBuf;

use crate::folder::{default_cache_dir, default_data_dir};
use crate::servers::Ports;

/// Which stack, and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackOptions {
    /// The stack's identity: the stack writes everything into this folder.
    pub data_dir: PathBuf,
    /// The folder of the unpacked servers; several stacks may share it.
    pub cache_dir: PathBuf,
    /// Where the servers listen on 127.0.0.1.
    pub ports: Ports,
    /// True for a stack that lives for minutes at most. Kafka then does without its optimising compiler, which in the
    /// first minute on two cores takes more time than it saves (measured with the demo: 9.4 of the broker's 20 CPU
    /// seconds).
    pub short_lived: bool,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            data_dir: default_data_dir(),
            cache_dir: default_cache_dir(),
            ports: Ports::default(),
            short_lived: false,
        }
    }
}
