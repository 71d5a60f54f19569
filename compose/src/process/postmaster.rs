//! Finds a data folder's PostgreSQL, and clears away what a dead one left behind.
//!
//! Markers don't work here, because PostgreSQL overwrites the memory that holds its environment. But all its processes
//! work in the data folder, and the first one, the postmaster, writes its pid into `postmaster.pid` there.

use std::path::Path;
use std::time::{Duration, Instant};

use procfs::process::Process;

use crate::error::{Result, StackError};

use super::process_id::{ProcessId, all_processes, look_up};
use super::stop::kill;

const POSTMASTER_PID: &str = "postmaster.pid";
/// How long child processes may take to notice that their postmaster is gone.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// The running server of this (canonical) data folder.
pub(crate) fn find(data: &Path) -> Option<ProcessId> {
    let text = std::fs::read_to_string(data.join(POSTMASTER_PID)).ok()?;
    let process = look_up(text.lines().next()?.trim().parse().ok()?)?;
    if works_in(&process, data) { ProcessId::of(&process) } else { None }
}

/// Clears away what a crash left. Waits for child processes that outlived their postmaster (a new one refuses to start
/// beside them), and kills those that stay. Deletes a stale `postmaster.pid`: another process may have that pid by now.
/// Call this only after [`find`] has found nothing.
pub(crate) async fn clear_leftovers(data: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let orphans = orphans_of(data);
        if orphans.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            orphans.iter().try_for_each(kill)?;
        }
        tokio::time::sleep(POLL).await;
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

/// Checks the folder and the program's name, because a user's shell may well work in that folder too.
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
