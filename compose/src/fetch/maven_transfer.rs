//! Follows a Maven run by what it prints: how many bytes of which artifacts have come.

use std::collections::HashMap;

use super::artifacts::Artifact;

/// Cuts a stream of output at line ends and at the carriage returns by which a terminal's line is overwritten.
#[derive(Default)]
pub(crate) struct Pieces {
    open: Vec<u8>,
}

impl Pieces {
    pub(crate) fn add(&mut self, block: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        for byte in block {
            if !matches!(byte, b'\r' | b'\n') {
                self.open.push(*byte);
                continue;
            }
            let piece = String::from_utf8_lossy(&std::mem::take(&mut self.open)).trim_end().to_owned();
            if !piece.is_empty() {
                whole.push(piece);
            }
        }
        whole
    }
}

/// Follows Maven's transfer messages. Artifacts that Maven has already cost no transfer and count when all is done.
pub(crate) struct Transfer<'a> {
    sizes: HashMap<&'a str, u64>,
    pub total: u64,
    finished: u64,
    under_way: u64,
    shown: u64,
}

impl<'a> Transfer<'a> {
    pub(crate) fn of(artifacts: &'a [Artifact]) -> Self {
        let sizes: HashMap<&str, u64> = artifacts.iter().map(|a| (a.name.as_str(), a.bytes)).collect();
        let total = sizes.values().sum();
        Self { sizes, total, finished: 0, under_way: 0, shown: 0 }
    }

    /// Takes one piece of output. True for those that are only there to be overwritten on a terminal.
    pub(crate) fn hears(&mut self, text: &str) -> bool {
        if let Some(amounts) = text.strip_prefix("Progress (") {
            self.under_way = bytes_under_way(amounts);
            return true;
        }
        if let Some(file) = text.strip_prefix("Downloaded from ").and_then(downloaded_file) {
            self.finished += self.sizes.remove(file).unwrap_or(0);
            self.under_way = 0;
        }
        false
    }

    /// Never goes back, and stays below the total, which is reported once all checksums are known to be right.
    pub(crate) fn done(&mut self) -> u64 {
        let now = (self.finished + self.under_way).min(self.total.saturating_sub(1));
        self.shown = self.shown.max(now);
        self.shown
    }
}

/// `central: https://…/a-1.jar (15 MB at 18 MB/s)` → `a-1.jar`
fn downloaded_file(text: &str) -> Option<&str> {
    text.rsplit_once(" (")?.0.rsplit_once('/').map(|(_, file)| file)
}

/// `2): 4.1/15 MB | 96 kB`, or since Maven 3.9 `2): a.jar (4.1/15 MB)` → the sum of the first numbers, in bytes.
fn bytes_under_way(amounts: &str) -> u64 {
    let Some((_, parts)) = amounts.split_once("): ") else { return 0 };
    parts.split(" | ").filter_map(amount).sum()
}

fn amount(part: &str) -> Option<u64> {
    let part = part.trim().trim_end_matches(')');
    let (numbers, unit) = part.rsplit_once(' ')?;
    let numbers = numbers.rsplit_once('(').map_or(numbers, |(_, inner)| inner);
    let done: f64 = numbers.split('/').next()?.parse().ok()?;
    let scale = match unit {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return None,
    };
    Some((done * scale).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Server;

    fn artifact(name: &str, bytes: u64) -> Artifact {
        Artifact { server: Server::Kafka, name: name.into(), bytes, sha256: String::new() }
    }

    #[test]
    fn the_transfer_follows_maven_and_never_goes_back() {
        let artifacts = [artifact("a-1.jar", 15_000_000), artifact("b.jar", 1000)];
        let mut transfer = Transfer::of(&artifacts);
        assert!(transfer.hears("Progress (1): 4.1/15 MB"));
        assert_eq!(transfer.done(), 4_100_000);
        assert!(!transfer.hears("Downloaded from mirror: http://host/x/a.pom (1 kB at 2 kB/s)"));
        assert_eq!(transfer.done(), 4_100_000);
        assert!(!transfer.hears("Downloaded from mirror: http://host/x/a-1.jar (15 MB at 18 MB/s)"));
        assert_eq!(transfer.done(), 15_000_000);
    }

    #[test]
    fn output_is_cut_at_both_kinds_of_ends_wherever_a_block_ends() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.add(b"Progress (1): 1/2 kB\rProgr"), ["Progress (1): 1/2 kB"]);
        assert_eq!(pieces.add(b"ess (1): 2/2 kB\r      \r\n[INFO] a\n"), ["Progress (1): 2/2 kB", "[INFO] a"]);
    }

    #[test]
    fn both_notations_of_maven_are_understood() {
        assert_eq!(bytes_under_way("2): 4.1/15 MB | 96/208 kB"), 4_196_000);
        assert_eq!(bytes_under_way("1): a-1.jar (4.1/15 MB)"), 4_100_000);
        assert_eq!(bytes_under_way("1): 15 MB"), 15_000_000);
        assert_eq!(bytes_under_way("1): nonsense"), 0);
    }
}
