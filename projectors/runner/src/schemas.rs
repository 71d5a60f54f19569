//! The schemas of the events, looked up by their ids while the records that carry them wait.
//!
//! A look-up goes on beside the projector's work until the registry gives the schema, so that a registry that is away,
//! or does not have the schema yet (a replica that lags, a restore under way), holds up only partitions whose next
//! event needs it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_schemas::{Codec, DecodeError, RecordSchema, Topic};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A registry that is there answers by then. Counted from when a look-up began: where it takes longer, nobody waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a look-up gave: the schema, or why no event can have it.
pub(crate) type Found = Result<&'static RecordSchema, String>;

/// The schemas of the log's events.
pub(crate) struct Schemas {
    codec: Arc<Codec>,
    health: Health,
    shutdown: Shutdown,
    ids: Mutex<HashMap<u32, Id>>,
}

enum Id {
    Known(&'static RecordSchema),
    Sought(LookUp),
}

/// A look-up on its way, or one whose answer nobody has taken.
struct LookUp {
    began: Instant,
    found: watch::Receiver<Option<Found>>,
    task: JoinHandle<()>,
}

/// Whether the registry may say something else later.
fn is_transient(error: &DecodeError) -> bool {
    match error {
        DecodeError::Transient(_) => true,
        // the relay published the event, so its schema was registered once
        DecodeError::Unreadable { code, .. } => *code == "unknown_schema_id",
    }
}

impl Drop for LookUp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Schemas {
    /// None is known yet.
    pub(crate) fn new(codec: Codec, health: Health, shutdown: Shutdown) -> Self {
        Self { codec: Arc::new(codec), health, shutdown, ids: Mutex::default() }
    }

    /// The schema of an id, where it is known already. Otherwise it is looked up from now on.
    pub(crate) fn known(&self, id: u32) -> Option<&'static RecordSchema> {
        self.sought(id).err()
    }

    /// Whether [`Schemas::find`] has an answer.
    pub(crate) fn is_found(&self, id: u32) -> bool {
        self.sought(id).map_or(true, |(_, found)| found.borrow().is_some())
    }

    /// What the registry says of an id; `None` while it is away or does not know the id. Where no event can have its
    /// schema, it is looked up anew when it is asked for again. Cancel-safe.
    pub(crate) async fn find(&self, id: u32) -> Option<Found> {
        let (began, mut found) = match self.sought(id) {
            Err(schema) => return Some(Ok(schema)),
            Ok(sought) => sought,
        };
        // it ends without an answer only when the process is to stop
        let answer = tokio::time::timeout_at(began + PATIENCE, found.wait_for(Option::is_some)).await;
        let answer = answer.ok()?.ok()?.clone();
        let mut ids = self.ids();
        match &answer {
            Some(Ok(schema)) => drop(ids.insert(id, Id::Known(schema))),
            _ => drop(ids.remove(&id)),
        }
        answer
    }

    /// Ends look-ups that have no answer and that nobody waits for any more: the projector would not be ready for
    /// nothing.
    pub(crate) fn end_look_ups(&self, is_waited_for: impl Fn(u32) -> bool) {
        self.ids().retain(|id, state| match state {
            Id::Known(_) => true,
            Id::Sought(look_up) => is_waited_for(*id) || look_up.began.elapsed() < PATIENCE,
        });
    }

    fn sought(&self, id: u32) -> Result<(Instant, watch::Receiver<Option<Found>>), &'static RecordSchema> {
        let mut ids = self.ids();
        match ids.entry(id).or_insert_with(|| Id::Sought(self.look_up(id))) {
            Id::Known(schema) => Err(*schema),
            Id::Sought(look_up) => Ok((look_up.began, look_up.found.clone())),
        }
    }

    fn look_up(&self, id: u32) -> LookUp {
        let (tell, found) = watch::channel(None);
        let (codec, shutdown) = (self.codec.clone(), self.shutdown.clone());
        let health = self.health.for_another_loop();
        let task = tokio::spawn(async move {
            // it borrows nothing: the future of an async closure that does can't move to another thread
            let ask = move || {
                let codec = codec.clone();
                async move { codec.schema(Topic::Events, id).await }
            };
            let schema = retry(&health, &shutdown, "look up a schema", is_transient, ask);
            let answer = match schema.await {
                Ok(schema) => Ok(schema),
                Err(Stopped::Failed(error)) => Err(error.to_string()),
                Err(Stopped::Shutdown) => return,
            };
            // nobody listens any more when the projector has ended
            let _ = tell.send(Some(answer));
        });
        LookUp { began: Instant::now(), found, task }
    }

    fn ids(&self) -> MutexGuard<'_, HashMap<u32, Id>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::time::Instant;

    use millrace_schemas::Registry;

    use super::*;

    fn schemas_of(registry: &str, health: &Health) -> Schemas {
        let codec = Codec::open(Registry::new(registry).unwrap(), &"orders".parse().unwrap());
        Schemas::new(codec, health.clone(), Shutdown::default())
    }

    /// A registry that has the schema 7 once it was asked for it so many times, and holds that its own subject has it
    /// under the id `own`. Returns its address.
    fn registry(unknown: usize, own: u32) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut asked = 0;
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let request = request(&connection);
                let (status, body) = if request.starts_with("POST") {
                    ("200 OK", format!(r#"{{"subject":"s","version":1,"id":{own},"schema":"\"string\""}}"#))
                } else if asked < unknown {
                    asked += 1;
                    ("404 Not Found", r#"{"error_code":40403,"message":"Schema 7 not found"}"#.to_owned())
                } else {
                    let schema = r#"{\"type\":\"record\",\"name\":\"Placed\",\"namespace\":\"shop\",\"fields\":[]}"#;
                    ("200 OK", format!(r#"{{"schema":"{schema}"}}"#))
                };
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n");
                write!(connection, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        format!("http://{address}")
    }

    /// The first line of a request, which is read to its end.
    fn request(connection: impl Read) -> String {
        let mut reader = BufReader::new(connection);
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first).unwrap();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            match header.to_lowercase().trim().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        first
    }

    #[tokio::test]
    async fn a_registry_that_is_away_is_waited_for_once_and_not_by_every_record() {
        let schemas = schemas_of("http://127.0.0.1:1", &Health::default());
        assert!(schemas.find(7).await.is_none());
        let began = Instant::now();
        for _ in 0..100 {
            assert!(schemas.find(7).await.is_none());
        }
        assert!(schemas.known(7).is_none() && !schemas.is_found(7));
        assert!(began.elapsed() < PATIENCE, "they wait for nothing: {:?}", began.elapsed());
    }

    #[tokio::test]
    async fn an_id_that_the_registry_does_not_know_yet_is_asked_for_again_until_it_does() {
        let schemas = schemas_of(&registry(2, 7), &Health::default());
        let found = schemas.find(7).await.expect("the third answer comes in time");
        assert_eq!(found.unwrap().full_name(), "shop.Placed");
    }

    #[tokio::test]
    async fn an_id_that_the_registry_does_not_know_is_waited_for_and_no_flaw() {
        let health = Health::default();
        health.set_started();
        let schemas = schemas_of(&registry(usize::MAX, 7), &health);
        assert!(schemas.find(7).await.is_none());
        assert!(!schemas.is_found(7) && !health.is_ready());
        schemas.end_look_ups(|id| id == 7);
        assert!(!health.is_ready());
        schemas.end_look_ups(|_| false);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(health.is_ready(), "nobody waits for it any more");
    }

    #[tokio::test]
    async fn a_schema_of_somebody_else_is_a_flaw_at_once() {
        let schemas = schemas_of(&registry(0, 8), &Health::default());
        let found = schemas.find(7).await.expect("an answer");
        assert!(found.unwrap_err().contains("is not registered under the subject"));
    }
}
