//! Halted partitions as `millrace lag` prints them.

use jiff::Timestamp;
use millrace_store::Halt;
use serde::Serialize;

use crate::output::escaped;

/// A halted partition. The relay publishes none of its events until somebody has mended it.
#[derive(Debug, Serialize)]
pub struct Halted {
    partition: i32,
    /// The last position that the relay had published.
    position: i64,
    reason: String,
    since: Timestamp,
}

impl From<Halt> for Halted {
    fn from(halt: Halt) -> Self {
        let Halt { partition, position, reason, since } = halt;
        Self { partition, position, reason, since }
    }
}

impl Halted {
    /// The partition's line under the stages.
    pub fn line(&self) -> String {
        let Self { partition, position, reason, since } = self;
        format!("halted: partition {partition} after position {position}, since {since}: {}", escaped(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halted_partition_is_told_with_place_and_reason() {
        let reason = "position 7 has another event".to_owned();
        let halted = Halted::from(Halt { partition: 3, position: 7, reason, since: Timestamp::UNIX_EPOCH });
        let line = "halted: partition 3 after position 7, since 1970-01-01T00:00:00Z: position 7 has another event";
        assert_eq!(halted.line(), line);
    }
}
