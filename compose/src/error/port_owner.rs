//! The process behind a taken port, as an error names it.

use std::fmt;

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortOwner {
    /// The kernel's number for it, as `kill` takes it.
    pub pid: u32,
    /// Its command's short name, or a server's name and its stack's folder if it belongs to a stack.
    pub name: String,
}

impl fmt::Display for PortOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}
