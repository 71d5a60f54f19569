//! Waits until a server really answers, or says why it does not.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::error::{Result, StackError};
use crate::process::LoggedProcess;
use crate::progress::Progress;

/// Crash recovery of a large database is the slowest start there is.
const DEADLINE: Duration = Duration::from_secs(120);
const ATTEMPT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Why an attempt got no answer.
pub(crate) enum NotReady {
    /// Try again.
    Yet(String),
    /// Trying again will not help.
    Ever(StackError),
}

/// One way of asking a server whether it answers.
pub(crate) trait Probe: Sync {
    /// One attempt; it is cancelled after a few seconds.
    fn ask(&self) -> impl Future<Output = Result<(), NotReady>> + Send;
}

/// Asks until there is an answer. Errors: the process ended, or the deadline passed. Cancel-safe.
pub(crate) async fn until_ready(process: &LoggedProcess, probe: &impl Probe, progress: &dyn Progress) -> Result<()> {
    let start = Instant::now();
    let mut next_report = REPORT_EVERY;
    loop {
        let last = match tokio::time::timeout(ATTEMPT, probe.ask()).await {
            Ok(Ok(())) => break,
            Ok(Err(NotReady::Ever(error))) => return Err(error),
            Ok(Err(NotReady::Yet(reason))) => reason,
            Err(_) => "no answer to a request".to_owned(),
        };
        if !process.id.is_alive() {
            return Err(process.died());
        }
        if start.elapsed() > DEADLINE {
            return Err(no_answer(process, last));
        }
        if start.elapsed() > next_report {
            next_report += REPORT_EVERY;
            progress.line(&format!("{}: not ready after {} s ({last})", process.name, start.elapsed().as_secs()));
        }
        tokio::time::sleep(PAUSE).await;
    }
    progress.line(&format!("{}: ready in {:.1} s", process.name, start.elapsed().as_secs_f64()));
    Ok(())
}

fn no_answer(process: &LoggedProcess, last: String) -> StackError {
    StackError::NoAnswer { name: process.name.to_owned(), seconds: DEADLINE.as_secs(), last, log: process.log.clone() }
}
