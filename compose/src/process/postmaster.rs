//! Finds a data folder's PostgreSQL, and what a dead one left behind.
//!
//! PostgreSQL overwrites the memory that holds its environment, so markers don't work. But all its processes work in
//! the data folder, and the first writes its number into `postmaster.pid` there.

use std::path::Path;
use std::time::{Duration, Instant};

use procfs::process::Process;

use crate::error::{Result, StackError};

use super::process_id::{ProcessId, all_processes, look_up};
use super::stop::kill;

const POSTMASTER_PID: &str = "postmaster.pid";
const PATIENCE: Duration = Duration::from_secs(5);

/// The running server of this (canonical) data folder.
pub(crate) fn find(data: &Path) -> Option<ProcessId> {
    let text = std::fs::read_to_string(data.join(POSTMASTER_PID)).ok()?;
    let process = look_up(text.lines().next()?.trim().parse().ok()?)?;
    if works_in(&process, data) { ProcessId::of(&process) } else { None }
}

/// After a crash: waits for child processes that outlived their server (they notice, and a new server refuses to start
/// beside them), ends those that stay, and deletes a `postmaster.pid` whose number something else may have by now.
/// To be called only when [`find`] has found nothing.
pub(crate) async fn clear_leftovers(data: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let orphans: Vec<ProcessId> = orphans_of(data);
        if orphans.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            orphans.iter().try_for_each(kill)?;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stale = data.join(POSTMASTER_PID);
    match std::fs::remove_file(&stale) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StackError::path("deleting", &stale)(error)),
        _ => Ok(()),
    }
}

fn orphans_of(data: &Path) -> Vec<ProcessId> {
    all_processes().filter(|process| works_in(process, data)).filter_map(|process| ProcessId::of(&process)).collect()
}

/// Both conditions: a user's shell may well stand in that folder.
fn works_in(process: &Process, data: &Path) -> bool {
    process.cwd().is_ok_and(|folder| folder == data) && process.stat().is_ok_and(|stat| stat.comm == "postgres")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pid_file_with_a_strangers_number_is_stale() {
        let data = std::env::temp_dir().join(format!("millrace-pid-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&data).unwrap();
        let pid_file = data.join(POSTMASTER_PID);
        for content in [format!("{}\n{}\n", std::process::id(), data.display()), "no number".into(), String::new()] {
            std::fs::write(&pid_file, &content).unwrap();
            assert_eq!(find(&data), None, "{content}");
        }
        clear_leftovers(&data).await.unwrap();
        assert!(!pid_file.exists());
        clear_leftovers(&data).await.unwrap();
        std::fs::remove_dir(&data).unwrap();
    }
}
