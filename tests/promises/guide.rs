//! The guide `docs/guides/your-own-log.md`, followed to the letter: its files written, its commands run, in their order.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::world::World;

crate::promises![the_guide_to_a_log_of_ones_own_works_step_by_step];

/// Longest that a step may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A fenced block of the guide.
struct Block<'g> {
    /// Its language: `sh`, `toml`, …
    language: &'g str,
    /// What stands after the language: a file's name, or what a step needs.
    label: &'g str,
    text: String,
}

async fn the_guide_to_a_log_of_ones_own_works_step_by_step(world: World) {
    let guide = std::fs::read_to_string("../docs/guides/your-own-log.md").expect("the guide");
    let mut reader = Reader::new(&world).await;
    let mut steps = 0;
    for block in blocks(&guide) {
        match (block.language, block.label) {
            ("sh", "") => {
                reader.run(&block.text).await;
                steps += 1;
            }
            // the servers run already; kcat is not on every machine
            ("sh", "stack" | "kcat") => {}
            (_, file) => reader.write(file, &block.text),
        }
    }
    assert!(steps >= 8, "the guide has {steps} steps only");
    for (log, stream, expected) in [
        ("tickets", "ticket-1", "TicketClosed"),
        ("tickets", "ticket-3", "It is gone"),
        ("tickets", "ticket-4", "\"urgent\":true"),
        ("journal", "day-2", "Sun."),
    ] {
        let shown = reader.run(&format!("millrace stream show --log {log} {stream} --output json")).await;
        assert!(shown.replace("\": ", "\":").contains(expected), "{stream}: {shown}");
    }
    let printed = reader.run("millrace events --log tickets --type TicketOpened --output json").await;
    assert_eq!(printed.lines().filter(|line| line.contains("TicketOpened")).count(), 3, "{printed}");
}

fn blocks(guide: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let (language, label) = info.split_once(' ').unwrap_or((info, ""));
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(Block { language, label, text: text.join("\n") + "\n" });
    }
    blocks
}

/// Somebody who reads the guide, with a shell in an empty folder.
struct Reader {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    /// The process groups of the steps, in which services may run.
    groups: Vec<u32>,
}

impl Reader {
    async fn new(world: &World) -> Self {
        let folder = world.stack.data_dir().join(format!("guide-{}", world.log));
        std::fs::create_dir_all(&folder).expect("a folder");
        let program = Path::new(env!("CARGO_BIN_EXE_millrace")).parent().expect("a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut environment = world.environment_and(&[]);
        environment.retain(|(name, _)| name != "MILLRACE_LOG" && name != "MILLRACE_PARTITIONS");
        environment.push(("PATH".into(), format!("{}/python/bin:{program}:{path}", folder.display())));
        let mut reader = Self { folder, environment, groups: Vec::new() };
        reader.run("python3 -m venv python && python/bin/pip install --quiet confluent-kafka").await;
        reader
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// Runs a step, which must succeed, and returns what it prints. What it leaves in the background runs on.
    async fn run(&mut self, step: &str) -> String {
        let output = self.folder.join(format!("step-{}.txt", self.groups.len()));
        let file = std::fs::File::create(&output).expect("a file");
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", step]).current_dir(&self.folder).stdin(Stdio::null());
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

impl Drop for Reader {
    fn drop(&mut self) {
        for group in &self.groups {
            // most have ended
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).stderr(Stdio::null()).status();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
