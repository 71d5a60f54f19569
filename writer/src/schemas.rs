//! The schemas of commands, looked up by their ids beside the first stage's work.
//!
//! A registry that hangs must not stop the partitions whose commands have schemas that are known. So each look-up is a
//! task, and a batch waits for look-ups only for a moment in total. After that the record's partition waits
//! (`waiting.rs`) until the look-up has an answer.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_schemas::{Codec, DecodeError, Topic};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::command::Unreadable;

/// How long a batch waits for the registry in total.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long an id that no command can have counts as such without asking again. Short, because somebody may register it.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Most such ids that are remembered.
const MOST_REFUSED: NonZeroUsize = NonZeroUsize::new(1000).expect("not zero");

/// Whether commands can have the schema; the codec knows it then.
pub type Answer = Result<(), Unreadable>;

/// What is known of the ids that commands have named.
pub struct Schemas {
    codec: Arc<Codec>,
    health: Health,
    shutdown: Shutdown,
    known: HashSet<u32>,
    /// Ids that no command can have, with the time until which that counts.
    refused: LruCache<u32, (Instant, Unreadable)>,
    look_ups: HashMap<u32, LookUp>,
    /// How long the batch may still wait.
    patience: Duration,
    answered: Arc<Notify>,
}

/// A look-up on its way, or one whose answer nobody has taken yet.
struct LookUp {
    found: watch::Receiver<Option<(Instant, Answer)>>,
    task: JoinHandle<()>,
}

impl LookUp {
    /// Whether it has ended; without an answer, that is the shutdown or a panic.
    fn is_over(&self) -> bool {
        self.found.borrow().is_some() || self.found.has_changed().is_err()
    }

    fn is_outdated(&self, now: Instant) -> bool {
        self.found.borrow().as_ref().is_some_and(|(when, _)| *when + REMEMBERED < now)
    }
}

impl Drop for LookUp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Schemas {
    /// No id is known yet.
    pub fn new(codec: Arc<Codec>, health: &Health, shutdown: &Shutdown) -> Self {
        Self {
            codec,
            health: health.clone(),
            shutdown: shutdown.clone(),
            known: HashSet::new(),
            refused: LruCache::new(MOST_REFUSED),
            look_ups: HashMap::new(),
            patience: PATIENCE,
            answered: Arc::default(),
        }
    }

    /// The log's codec.
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// Gives the next batch its own patience.
    pub fn begin_batch(&mut self) {
        self.patience = PATIENCE;
        let now = Instant::now();
        // the partition that asked was revoked, and nobody came for the answer
        self.look_ups.retain(|_, look_up| !look_up.is_outdated(now));
    }

    /// What the registry says of an id; `None` while it does not answer and the batch has lost its patience. The look-up
    /// goes on then.
    pub async fn find(&mut self, id: u32) -> Option<Answer> {
        if self.known.contains(&id) {
            return Some(Ok(()));
        }
        if let Some((until, reason)) = self.refused.get(&id)
            && Instant::now() < *until
        {
            return Some(Err(reason.clone()));
        }
        if !self.look_ups.contains_key(&id) {
            self.look_ups.insert(id, self.look_up(id));
        }
        let found = &mut self.look_ups.get_mut(&id)?.found;
        let began = Instant::now();
        let over = async { found.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone()) };
        let over = tokio::time::timeout(self.patience, over).await;
        self.patience = self.patience.saturating_sub(began.elapsed());
        let answer = over.ok()?;
        self.look_ups.remove(&id);
        let (when, answer) = answer?;
        match &answer {
            Ok(()) => drop(self.known.insert(id)),
            Err(reason) => drop(self.refused.put(id, (when + REMEMBERED, reason.clone()))),
        }
        Some(answer)
    }

    /// Whether [`Schemas::find`] need not wait: the look-up has ended, or there is none.
    pub fn is_answered(&self, id: u32) -> bool {
        self.look_ups.get(&id).is_none_or(LookUp::is_over)
    }

    /// Waits until a look-up has ended. Cancel-safe.
    pub async fn answered(&self) {
        self.answered.notified().await;
    }

    fn look_up(&self, id: u32) -> LookUp {
        let (tell, found) = watch::channel(None);
        let (codec, shutdown, answered) = (self.codec.clone(), self.shutdown.clone(), self.answered.clone());
        let health = self.health.for_another_loop();
        let task = tokio::spawn(async move {
            // it borrows nothing: the future of an async closure that does can't move to another thread
            let ask = move || {
                let codec = codec.clone();
                async move { codec.schema(Topic::Commands, id).await }
            };
            let is_away = |error: &DecodeError| matches!(error, DecodeError::Transient(_));
            let answer = match retry(&health, &shutdown, "look up a schema", is_away, ask).await {
                Ok(_) => Ok(()),
                Err(Stopped::Failed(error)) => Err(error.into()),
                Err(Stopped::Shutdown) => return,
            };
            // nobody listens any more when the writer has ended
            let _ = tell.send(Some((Instant::now(), answer)));
            answered.notify_one();
        });
        LookUp { found, task }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use millrace_schemas::Registry;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn schemas(address: &str) -> Schemas {
        let registry = Registry::new(&format!("http://{address}")).unwrap();
        let codec = Codec::open(registry, &"orders".parse().unwrap());
        Schemas::new(Arc::new(codec), &Health::default(), &Shutdown::default())
    }

    #[tokio::test]
    async fn a_registry_that_hangs_costs_a_batch_its_patience_once() {
        // the system accepts the connection, and nobody answers
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut schemas = schemas(&listener.local_addr().unwrap().to_string());
        schemas.begin_batch();
        let began = Instant::now();
        for id in 1..=100 {
            assert!(schemas.find(id % 12).await.is_none());
        }
        let took = began.elapsed();
        assert!(took >= PATIENCE && took < 5 * PATIENCE, "{took:?}");
        assert!(!schemas.is_answered(7), "the look-up goes on");
        assert_eq!(schemas.look_ups.len(), 12, "one for each id");
    }

    #[tokio::test]
    async fn an_unknown_id_is_asked_for_once_in_a_few_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut schemas = schemas(&listener.local_addr().unwrap().to_string());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let _ = connection.read(&mut [0; 4096]).await;
                let body = r#"{"error_code":40403,"message":"Schema not found"}"#;
                let head = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: application/json";
                let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        });
        schemas.patience = Duration::from_secs(10);
        for _ in 0..100 {
            let answer = schemas.find(7).await.expect("an answer");
            assert_eq!(answer.unwrap_err().code, "unknown_schema_id");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let (until, _) = schemas.refused.get_mut(&7).expect("remembered");
        *until = Instant::now();
        assert!(schemas.find(7).await.expect("an answer").is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2, "somebody may have registered it meanwhile");
    }
}
