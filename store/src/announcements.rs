//! Notifications from Postgres that an append has committed, so that a reader at the log's end need not poll.

use std::pin::{Pin, pin};
use std::time::Duration;

use futures::future::{FusedFuture, FutureExt};
use futures::stream::{self, Stream, StreamExt};
use millrace_schemas::LogName;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls};

use crate::StoreError;

/// If the trial notification has not arrived after this time, the connection can't carry notifications.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection that receives a notification after each append to one log, once others can see its events. A hint only:
/// notifications that are sent while the connection is broken are lost, so a reader must also poll now and then.
pub struct Announcements {
    // kept, because the connection would end with it
    client: Client,
    messages: Pin<Box<dyn Stream<Item = Result<AsyncMessage, Error>> + Send>>,
}

impl Announcements {
    /// Connects and listens; every append that commits from now on sends a notification. Sends one itself to try the
    /// connection, because a pooler in between may accept `LISTEN` and pass nothing on.
    ///
    /// # Errors
    /// When Postgres does not answer or refuses, or the trial notification does not arrive.
    pub async fn listen(config: &Config, log: &LogName) -> Result<Self, StoreError> {
        let (client, mut connection) = config.connect(NoTls).await?;
        let messages = Box::pin(stream::poll_fn(move |context| connection.poll_message(context)));
        let mut announcements = Self { client, messages };
        // append() notifies the channel of this name
        let listen = format!("LISTEN \"millrace.{log}\"; NOTIFY \"millrace.{log}\"");
        let heard = tokio::time::timeout(PATIENCE, announcements.hear_from(&listen)).await;
        if heard.unwrap_or(Ok(false))? { Ok(announcements) } else { Err(StoreError::NothingTold) }
    }

    /// Runs a statement; true as soon as a notification arrives, false when the connection ends.
    async fn hear_from(&mut self, statement: &str) -> Result<bool, StoreError> {
        let Self { client, messages } = self;
        let mut executing = pin!(client.batch_execute(statement).fuse());
        loop {
            tokio::select! {
                biased;
                executed = &mut executing, if !executing.is_terminated() => executed?,
                message = messages.next() => match message {
                    Some(Ok(AsyncMessage::Notification(_))) => return Ok(true),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => return Ok(false),
                },
            }
        }
    }

    /// Waits for the next append; `None` when the connection has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<()> {
        loop {
            match self.messages.next().await? {
                Ok(AsyncMessage::Notification(_)) => return Some(()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}
