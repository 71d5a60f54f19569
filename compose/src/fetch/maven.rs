//! Runs Maven once: all artifacts of `servers.pom.xml` into one folder, with the user's own settings and repository.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use crate::error::{Result, StackError};
use crate::folder::log_tail;
use crate::process::marker::{self, Marker};
use crate::process::{carriers, kill};
use crate::progress::Progress;

use super::artifacts::Artifact;
use super::maven_transfer::{Pieces, Transfer};

const POM: &str = include_str!("../../servers.pom.xml");
const NAME: &str = "maven";
/// In full, so that Maven need not ask any repository what `dependency:` means.
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:2.10";

/// Ends a Maven that outlived its starter, which would go on to fill a folder that nobody wants any more. To be called
/// under the cache folder's lock, when no fetch is under way.
pub(crate) fn end_orphans(cache_dir: &Path) -> Result<()> {
    let mavens = carriers(cache_dir).into_iter().filter(|(name, _)| name == NAME);
    mavens.map(|(_, process)| process).try_for_each(|process| kill(&process))
}

/// What one run needs to know.
pub(crate) struct Run<'a> {
    /// Where the artifacts go; exists and is empty.
    pub target: &'a Path,
    /// Where Maven's output goes.
    pub log: PathBuf,
    /// For the message that says that Maven is needed.
    pub cache_dir: &'a Path,
    pub artifacts: &'a [Artifact],
}

impl Run<'_> {
    /// Copies all artifacts, unverified. Dropping the future ends Maven.
    pub(crate) async fn copy(&self, progress: &dyn Progress) -> Result<()> {
        let pom = self.target.join("pom.xml");
        std::fs::write(&pom, POM).map_err(StackError::path("writing", &pom))?;
        let mut log = File::create(&self.log).map_err(StackError::path("creating", &self.log))?;
        let mut maven = self.spawn(&pom, &log)?;
        self.follow(&mut maven, &mut log, progress).await?;
        let status = maven.wait().await.map_err(StackError::io("waiting for Maven"))?;
        if status.success() { Ok(()) } else { Err(self.failure()) }
    }

    fn spawn(&self, pom: &Path, log: &File) -> Result<Child> {
        let stderr = log.try_clone().map_err(StackError::path("opening", &self.log))?;
        // Not in batch mode: that would silence the `Progress` lines. `--update-snapshots` is Maven's name for trying
        // again what a broken network or mirror once failed to give.
        Command::new("mvn")
            .args(["-Dstyle.color=never", "--update-snapshots"])
            .arg("-f")
            .arg(pom)
            .arg(format!("-Dmillrace.staging={}", self.target.display()))
            .args(["copy", "copy-dependencies"].map(|goal| format!("{PLUGIN}:{goal}")))
            .current_dir(self.target)
            .env(marker::VARIABLE, Marker::value(self.cache_dir, NAME))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => StackError::MavenMissing { cache_dir: self.cache_dir.to_owned() },
                _ => StackError::io("starting mvn")(error),
            })
    }

    async fn follow(&self, maven: &mut Child, log: &mut File, progress: &dyn Progress) -> Result<()> {
        let Some(mut stdout) = maven.stdout.take() else { return Ok(()) };
        let mut transfer = Transfer::of(self.artifacts);
        let mut pieces = Pieces::default();
        let mut block = Vec::with_capacity(8 * 1024);
        while stdout.read_buf(&mut block).await.map_err(StackError::io("reading Maven's output"))? > 0 {
            for piece in pieces.add(&block) {
                if !transfer.hears(&piece) {
                    writeln!(log, "{piece}").map_err(StackError::path("writing", &self.log))?;
                }
            }
            block.clear();
            progress.fetched(transfer.done(), transfer.total);
        }
        Ok(())
    }

    fn failure(&self) -> StackError {
        let said = log_tail::read(&self.log, 0, usize::MAX);
        let errors: Vec<&str> = said.lines().filter_map(essential).take(3).collect();
        let lines = if errors.is_empty() { log_tail::read(&self.log, 0, 10) } else { errors.join("\n") };
        StackError::Fetch { lines, log: self.log.clone() }
    }
}

/// An error of Maven's without its advice on how to get more output.
fn essential(line: &str) -> Option<&str> {
    const ADVICE: [&str; 4] = ["To see the full stack trace", "Re-run Maven", "For more information", "[Help"];
    let error = line.strip_prefix("[ERROR] ")?.trim();
    (!error.is_empty() && !ADVICE.iter().any(|start| error.starts_with(start))).then_some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_from_advice() {
        assert_eq!(essential("[ERROR] Unknown host x -> [Help 1]"), Some("Unknown host x -> [Help 1]"));
        for line in ["[INFO] x", "[ERROR] ", "[ERROR] [Help 1] http://x", "[ERROR] Re-run Maven using the -X switch"] {
            assert_eq!(essential(line), None, "{line}");
        }
    }

    #[test]
    fn the_goals_name_the_plugin_that_the_pom_configures() {
        let version = PLUGIN.rsplit_once(':').unwrap().1;
        assert!(
            POM.contains(&format!("<artifactId>maven-dependency-plugin</artifactId>\n        <version>{version}<"))
        );
    }
}
