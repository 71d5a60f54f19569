//! Runs Maven once, to copy all artifacts of `servers.pom.xml` into one folder. Maven uses the user's own settings and
//! local repository.

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
use super::maven_lines::MavenLines;
use super::maven_transfer::Transfer;

const POM: &str = include_str!("../../servers.pom.xml");
const NAME: &str = "maven";
/// The plugin's full name, so that Maven need not ask any repository what `dependency:` means.
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:2.10";

/// Ends every Maven that outlived its starter: it would go on to fill a folder that nobody needs any more. The caller
/// holds the cache folder's lock, so no fetch is under way.
pub(crate) fn end_orphans(cache_dir: &Path) -> Result<()> {
    let mavens = carriers(cache_dir).into_iter().filter(|(name, _)| name == NAME);
    mavens.map(|(_, process)| process).try_for_each(|process| kill(&process))
}

/// One run of Maven.
pub(crate) struct Run<'a> {
    /// The folder for the artifacts; it exists and is empty.
    pub target: &'a Path,
    /// The file for Maven's output.
    pub log: PathBuf,
    /// The folder in the marker of the Maven process, and in the error if there is no Maven.
    pub cache_dir: &'a Path,
    pub artifacts: &'a [Artifact],
}

impl Run<'_> {
    /// Copies all artifacts and verifies none. Dropping the future ends Maven.
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
        // Not in batch mode, which would silence the `Progress` lines. `--update-snapshots` makes Maven retry what it
        // once failed to get; otherwise it would remember the failure.
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
        let mut transfer = Transfer::new(self.artifacts);
        let mut lines = MavenLines::default();
        let mut block = Vec::with_capacity(8 * 1024);
        while stdout.read_buf(&mut block).await.map_err(StackError::io("reading Maven's output"))? > 0 {
            for line in lines.add(&block) {
                if !transfer.observe(&line) {
                    writeln!(log, "{line}").map_err(StackError::path("writing", &self.log))?;
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

/// The error in a line of Maven's output; `None` for its advice on how to get more output.
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
