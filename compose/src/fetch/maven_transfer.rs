//! Computes from Maven's output how many bytes of the artifacts have arrived.

use std::collections::HashMap;

use super::artifacts::Artifact;

/// The progress of one Maven run. Maven does not mention an artifact that its local repository has already; such an
/// artifact counts only when all is done.
pub(super) struct Transfer<'a> {
    /// In bytes, of the artifacts that have not arrived yet.
    sizes: HashMap<&'a str, u64>,
    /// In bytes, of all artifacts.
    pub total: u64,
    /// In bytes, of the artifacts that have arrived.
    finished: u64,
    /// In bytes, of the files that Maven is fetching now.
    under_way: u64,
    /// The largest number of bytes that `done` has returned.
    reported: u64,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(artifacts: &'a [Artifact]) -> Self {
        let sizes: HashMap<&str, u64> = artifacts.iter().map(|a| (a.name.as_str(), a.bytes)).collect();
        let total = sizes.values().sum();
        Self { sizes, total, finished: 0, under_way: 0, reported: 0 }
    }

    /// Takes one line of output. True for a line that on a terminal the next one overwrites, so that no log needs it.
    pub(super) fn observe(&mut self, text: &str) -> bool {
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

    /// In bytes. Never decreases, and stays below the total: only the caller reports that, after it has checked all
    /// checksums.
    pub(super) fn done(&mut self) -> u64 {
        let now = (self.finished + self.under_way).min(self.total.saturating_sub(1));
        self.reported = self.reported.max(now);
        self.reported
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
        let mut transfer = Transfer::new(&artifacts);
        assert!(transfer.observe("Progress (1): 4.1/15 MB"));
        assert_eq!(transfer.done(), 4_100_000);
        assert!(!transfer.observe("Downloaded from mirror: http://host/x/a.pom (1 kB at 2 kB/s)"));
        assert_eq!(transfer.done(), 4_100_000);
        assert!(!transfer.observe("Downloaded from mirror: http://host/x/a-1.jar (15 MB at 18 MB/s)"));
        assert_eq!(transfer.done(), 15_000_000);
    }

    #[test]
    fn both_notations_of_maven_are_understood() {
        assert_eq!(bytes_under_way("2): 4.1/15 MB | 96/208 kB"), 4_196_000);
        assert_eq!(bytes_under_way("1): a-1.jar (4.1/15 MB)"), 4_100_000);
        assert_eq!(bytes_under_way("1): 15 MB"), 15_000_000);
        assert_eq!(bytes_under_way("1): nonsense"), 0);
    }
}
