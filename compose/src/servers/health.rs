//! Waits until a server answers, or finds out why it does not.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::error::{Result, StackError};
use crate::process::LoggedProcess;
use crate::progress::Progress;

/// How long a server may take. The slowest start is the crash recovery of a large database.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Why an attempt got no answer.
pub(crate) enum NotReady {
    /// Another attempt may succeed. Says what went wrong.
    Retry(String),
    /// No further attempt will succeed.
    GiveUp(StackError),
}

/// Asks a server whether it answers, in the server's own protocol.
pub(crate) trait Probe: Sync {
    /// Makes one attempt. The caller cancels it after a few seconds.
    fn ask(&self) -> impl Future<Output = Result<(), NotReady>> + Send;
}

/// Asks until the server answers. Fails if its process ends, the deadline passes, or the probe gives up. Cancel-safe.
pub(crate) async fn until_ready(process: &LoggedProcess, probe: &impl Probe, progress: &dyn Progress) -> Result<()> {
    let start = Instant::now();
    let mut next_report = REPORT_EVERY;
    loop {
        let last = match tokio::time::timeout(ATTEMPT, probe.ask()).await {
            Ok(Ok(())) => break,
            Ok(Err(NotReady::GiveUp(error))) => return Err(error),
            Ok(Err(NotReady::Retry(reason))) => reason,
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
