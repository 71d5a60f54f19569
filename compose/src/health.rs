//! Waits until a server really answers, or says why it does not.

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::{Result, StackError};
use crate::launch::Launched;
use crate::process::Process;
use crate::progress::Progress;
use crate::tail;

/// Crash recovery of a large database is the slowest start there is.
const DEADLINE: Duration = Duration::from_secs(120);
const ATTEMPT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);
const REPORT_EVERY: Duration = Duration::from_secs(5);
const TAIL_LINES: usize = 20;

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

/// The process that should answer.
pub(crate) struct Watched {
    pub name: &'static str,
    pub process: Process,
    pub log: PathBuf,
    pub log_from: u64,
}

impl Watched {
    pub(crate) fn launched(name: &'static str, launched: Launched) -> Self {
        Self { name, process: launched.process, log: launched.log, log_from: launched.log_from }
    }

    /// Asks until there is an answer. Errors: the process ended, or the deadline passed. Cancel-safe.
    pub(crate) async fn until_ready(&self, probe: &impl Probe, progress: &dyn Progress) -> Result<()> {
        let start = Instant::now();
        let mut next_report = REPORT_EVERY;
        loop {
            let last = match tokio::time::timeout(ATTEMPT, probe.ask()).await {
                Ok(Ok(())) => break,
                Ok(Err(NotReady::Ever(error))) => return Err(error),
                Ok(Err(NotReady::Yet(reason))) => reason,
                Err(_) => "no answer to a request".to_owned(),
            };
            if !self.process.is_alive() {
                return Err(self.died());
            }
            if start.elapsed() > DEADLINE {
                return Err(self.no_answer(last));
            }
            if start.elapsed() > next_report {
                next_report += REPORT_EVERY;
                progress.line(&format!("{}: not ready after {} s ({last})", self.name, start.elapsed().as_secs()));
            }
            tokio::time::sleep(PAUSE).await;
        }
        progress.line(&format!("{}: ready in {:.1} s", self.name, start.elapsed().as_secs_f64()));
        Ok(())
    }

    fn died(&self) -> StackError {
        let tail = tail::read(&self.log, self.log_from, TAIL_LINES);
        StackError::Died { name: self.name.to_owned(), tail, log: self.log.clone() }
    }

    fn no_answer(&self, last: String) -> StackError {
        let log = self.log.clone();
        StackError::NoAnswer { name: self.name.to_owned(), seconds: DEADLINE.as_secs(), last, log }
    }
}
