//! Notices when another definition was applied to the log, and makes it ready while the stages go on with the one in
//! use.
//!
//! Two halves: [`Preparation`] looks and prepares beside the stages; [`DefinitionWatch`] tells the first stage what it
//! has come to. A definition that can't be made ready, because this program can't read it or the registry is away,
//! holds up only those commands that it may read otherwise than the one in use.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_runtime::{backoff, count_retry};
use millrace_store::StoreError;
use tokio::sync::{Notify, oneshot, watch};

use crate::WriterError;
use crate::definition::{Applied, Definitions, Ready};
use crate::metrics::OUTDATED;

/// How often to look although no command gives reason to.
const LOOK: Duration = Duration::from_secs(1);
/// A look at Postgres that takes longer has shown nothing.
const LONG: Duration = Duration::from_secs(2);
/// How long a batch waits to learn whether a command may be judged by the definition in use.
const PATIENCE: Duration = Duration::from_millis(200);

/// The label of its retries.
const TAKING_UP: &str = "take up a definition";

/// What the last look has shown.
#[derive(Debug, Clone, Copy)]
enum Seen {
    /// There was none, or it could not tell.
    Nothing,
    /// It began at this time, and the definition in use was the newest.
    InUse(Instant),
    /// There is another one, which is not ready.
    Another,
    /// There is another one, and it is ready.
    Ready,
}

impl Seen {
    /// Whether a command that had come by `time` may be judged by the definition in use.
    fn is_in_use_since(self, time: Instant) -> bool {
        matches!(self, Self::InUse(began) if began >= time)
    }
}

/// By which definition to judge a command that the one in use may read wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// By the one in use: there is no other.
    InUse,
    /// By the next one, which is ready.
    Next,
    /// That is not clear, or the next one is not ready. Nobody may judge a command by a definition while the next one is
    /// being applied, or while Postgres is away: the command has to wait.
    Unclear,
}

/// Tells what the [`Preparation`] has come to.
pub struct DefinitionWatch {
    seen: watch::Receiver<Seen>,
    ready: oneshot::Receiver<Ready>,
    wanted: Arc<Notify>,
}

impl DefinitionWatch {
    /// The next definition, once it is ready.
    pub fn take_ready(&mut self) -> Option<Ready> {
        self.ready.try_recv().ok()
    }

    /// Waits until a look has shown something. Cancel-safe.
    pub async fn looked(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Whether a command that has waited since `time` may be judged by the definition in use.
    pub fn is_in_use_since(&self, time: Instant) -> bool {
        self.seen.borrow().is_in_use_since(time)
    }

    /// By which definition to judge the commands that have come by now.
    pub async fn judge(&mut self) -> Verdict {
        let now = Instant::now();
        self.wanted.notify_one();
        let is_clear = |seen: &Seen| seen.is_in_use_since(now) || matches!(seen, Seen::Ready);
        match tokio::time::timeout(PATIENCE, self.seen.wait_for(is_clear)).await {
            Ok(Ok(seen)) if matches!(*seen, Seen::Ready) => Verdict::Next,
            Ok(Ok(_)) => Verdict::InUse,
            _ => Verdict::Unclear,
        }
    }
}

/// Watches for a definition other than the one in use.
pub fn watch_for_another(definitions: Definitions, in_use: i32) -> (DefinitionWatch, Preparation) {
    OUTDATED.set(0);
    let (tell, seen) = watch::channel(Seen::Nothing);
    let (hand_over, ready) = oneshot::channel();
    let wanted = Arc::new(Notify::new());
    let preparation = Preparation {
        definitions,
        in_use,
        next: None,
        unreadable: None,
        warned_of: None,
        tell,
        hand_over,
        wanted: wanted.clone(),
    };
    (DefinitionWatch { seen, ready, wanted }, preparation)
}

/// Looks whether the log has another definition than the one in use, and makes it ready.
pub struct Preparation {
    definitions: Definitions,
    /// The number of the definition in use.
    in_use: i32,
    /// The next definition, while its schemas are still to be found: rules are compiled once.
    next: Option<Applied>,
    /// The number of a definition that this program can't read.
    unreadable: Option<i32>,
    /// The number of the definition whose delay was logged last.
    warned_of: Option<i32>,
    tell: watch::Sender<Seen>,
    hand_over: oneshot::Sender<Ready>,
    wanted: Arc<Notify>,
}

/// What a look has come to.
enum Found {
    /// The definition in use is the newest.
    InUse,
    /// There is another one, and it can't be made ready yet.
    Delayed,
    /// There is another one.
    Ready(Box<Ready>),
}

/// Why a look has shown nothing.
#[derive(Debug, thiserror::Error)]
enum Unclear {
    #[error("somebody is applying a definition to the log")]
    BeingApplied,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("Postgres takes longer than {} s", LONG.as_secs())]
    Slow,
}

impl Preparation {
    /// Looks until another definition is ready: often at first and after a command came that is to be judged, then once
    /// a second. Never ends; drop it together with the stages.
    pub async fn run(mut self) -> Infallible {
        let mut delays = backoff();
        loop {
            let began = Instant::now();
            match self.look().await {
                Ok(Found::InUse) => self.show(false, Seen::InUse(began)),
                Ok(Found::Delayed) => {}
                Ok(Found::Ready(ready)) => {
                    // in this order: who sees that it is ready takes it. Nobody does at shutdown
                    let _ = self.hand_over.send(*ready);
                    self.tell.send_replace(Seen::Ready);
                    return std::future::pending().await;
                }
                Err(unclear) => {
                    tracing::debug!(%unclear, "could not look whether the log has another definition");
                    self.tell.send_replace(Seen::Nothing);
                }
            }
            tokio::select! {
                () = self.wanted.notified() => delays = backoff(),
                () = tokio::time::sleep(delays.next().unwrap_or(LOOK).min(LOOK)) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<Found, Unclear> {
        let newest = tokio::time::timeout(LONG, self.newest_number()).await.unwrap_or(Err(Unclear::Slow))?;
        let Some(number) = newest.filter(|newest| *newest != self.in_use) else { return Ok(Found::InUse) };
        self.show(true, Seen::Another);
        if self.unreadable == Some(number) {
            return Ok(Found::Delayed);
        }
        Ok(match self.make_ready(number).await {
            Ok(ready) => Found::Ready(Box::new(ready)),
            Err(error) => {
                self.say(number, &error);
                Found::Delayed
            }
        })
    }

    async fn newest_number(&self) -> Result<Option<i32>, Unclear> {
        let Definitions { pool, log, .. } = &self.definitions;
        let client = pool.get().await.map_err(StoreError::from)?;
        // in this order: a definition that was applied before the first answer is seen by the second
        if log.is_being_defined(&client).await? {
            return Err(Unclear::BeingApplied);
        }
        Ok(log.newest_definition_number(&client).await?)
    }

    async fn make_ready(&mut self, number: i32) -> Result<Ready, WriterError> {
        let applied = match self.next.take() {
            Some(next) if next.number == number => next,
            _ => self.definitions.newest().await?,
        };
        match self.definitions.schemas(applied.domain.definition()).await {
            Ok(schemas) => Ok(Ready { applied, schemas }),
            Err(error) => {
                self.next = Some(applied);
                Err(error)
            }
        }
    }

    fn show(&self, is_outdated: bool, seen: Seen) {
        OUTDATED.set(is_outdated.into());
        self.tell.send_replace(seen);
    }

    /// Says once of a definition that it is delayed, and what to do.
    fn say(&mut self, number: i32, error: &WriterError) {
        let in_use = self.in_use;
        if let WriterError::Definition { number, .. } = error {
            self.unreadable = Some(*number);
            tracing::error!(%error, in_use, "going on with the definition in use: update this service");
            return;
        }
        count_retry(TAKING_UP);
        if self.warned_of.replace(number) == Some(number) {
            tracing::debug!(%error, "the next definition is still not ready");
        } else {
            tracing::warn!(%error, next = number, in_use, "going on with the definition in use until the next one is ready");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(first: Seen) -> (DefinitionWatch, watch::Sender<Seen>, oneshot::Sender<Ready>) {
        let (tell, seen) = watch::channel(first);
        let (hand_over, ready) = oneshot::channel();
        (DefinitionWatch { seen, ready, wanted: Arc::default() }, tell, hand_over)
    }

    #[tokio::test]
    async fn a_command_is_judged_only_after_a_look_that_began_when_it_had_come() {
        let (mut watch, tell, _hand_over) = watched(Seen::InUse(Instant::now()));
        let wanted = watch.wanted.clone();
        let looks = async {
            wanted.notified().await;
            tell.send_replace(Seen::InUse(Instant::now()));
        };
        let (verdict, ()) = tokio::join!(watch.judge(), looks);
        assert_eq!(verdict, Verdict::InUse);
        assert_eq!(watch.judge().await, Verdict::Unclear, "the look was before it");
    }

    #[tokio::test]
    async fn a_command_waits_for_a_definition_that_is_not_ready_and_is_judged_by_one_that_is() {
        for (seen, verdict) in
            [(Seen::Nothing, Verdict::Unclear), (Seen::Another, Verdict::Unclear), (Seen::Ready, Verdict::Next)]
        {
            let (mut watch, tell, _hand_over) = watched(Seen::InUse(Instant::now()));
            tell.send_replace(seen);
            let began = Instant::now();
            assert_eq!(watch.judge().await, verdict);
            assert!(began.elapsed() < 5 * PATIENCE);
        }
    }
}
