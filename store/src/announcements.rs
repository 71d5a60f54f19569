//! Postgres tells when an append has committed, so that who waits at the log's end need not ask again and again.

use std::pin::{Pin, pin};
use std::time::Duration;

use futures::future::{FusedFuture, FutureExt};
use futures::stream::{self, Stream, StreamExt};
use millrace_schemas::LogName;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls};

use crate::StoreError;

/// What is not told within this time is not told at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection on which appends to one log are told, once they are visible to others. A hint: while the connection is
/// away, nothing is told.
pub struct Announcements {
    // dropped, the connection would end
    client: Client,
    messages: Pin<Box<dyn Stream<Item = Result<AsyncMessage, Error>> + Send>>,
}

impl Announcements {
    /// Connects and listens: what commits from now on is told. That it is, is tried: a pooler between may take `LISTEN`
    /// and pass nothing on.
    ///
    /// # Errors
    /// When Postgres does not answer, refuses, or tells nothing.
    pub async fn listen(config: &Config, log: &LogName) -> Result<Self, StoreError> {
        let (client, mut connection) = config.connect(NoTls).await?;
        let messages = Box::pin(stream::poll_fn(move |context| connection.poll_message(context)));
        let mut announcements = Self { client, messages };
        // the channel that append() names
        let listen = format!("LISTEN \"millrace.{log}\"; NOTIFY \"millrace.{log}\"");
        let heard = tokio::time::timeout(PATIENCE, announcements.hear_from(&listen)).await;
        if heard.unwrap_or(Ok(false))? { Ok(announcements) } else { Err(StoreError::NothingTold) }
    }

    /// Whether anything is told in answer to a statement.
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
