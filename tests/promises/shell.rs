//! A shell in an empty folder, for tests that do what the documents say.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longest that a step may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody's shell. Dropping it kills what the steps have left in the background, and removes the folder.
pub struct Shell {
    pub folder: PathBuf,
    environment: Vec<(String, String)>,
    /// The process groups of the steps, in which services may run.
    groups: Vec<u32>,
}

impl Shell {
    /// Creates the folder. `environment` comes on top of the test's own without settings of `millrace`, which is on the
    /// path, after what is in the folder's `python/bin`.
    pub fn new(folder: PathBuf, mut environment: Vec<(String, String)>) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder");
        let program = Path::new(env!("CARGO_BIN_EXE_millrace")).parent().expect("a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        environment.push(("PATH".into(), format!("{}/python/bin:{program}:{path}", folder.display())));
        Self { folder, environment, groups: Vec::new() }
    }

    /// Writes a file into the folder.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// Runs a step, which must succeed, and returns what it prints. What it leaves in the background runs on.
    pub async fn run(&mut self, step: &str) -> String {
        let output = self.folder.join(format!("step-{}.txt", self.groups.len()));
        let file = std::fs::File::create(&output).expect("a file");
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", step]).current_dir(&self.folder).stdin(Stdio::null());
        let is_setting = |name: &str| name.starts_with("MILLRACE_") && name != "MILLRACE_CACHE_DIR";
        std::env::vars().filter(|(name, _)| is_setting(name)).for_each(|(name, _)| {
            command.env_remove(name);
        });
        command.envs(self.environment.iter().cloned()).process_group(0);
        // files, because a pipe would stay open as long as a service in the background has it
        command.stdout(file.try_clone().expect("a file")).stderr(file);
        let mut child = tokio::process::Command::from(command).spawn().expect("bash");
        self.groups.extend(child.id());
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        let printed = std::fs::read_to_string(&output).unwrap_or_default();
        let ended = ended.unwrap_or_else(|_| panic!("this step does not end:\n{step}\n{printed}"));
        assert!(ended.expect("bash ends").success(), "this step fails:\n{step}\n{printed}");
        printed
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        for group in &self.groups {
            // most have ended
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).stderr(Stdio::null()).status();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
