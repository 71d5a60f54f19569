//! Postgres tells when an append has committed, so that who waits at the log's end need not ask again and again.

use std::future::ready;
use std::pin::Pin;

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use millrace_schemas::LogName;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls};

use crate::StoreError;

/// A connection on which appends to one log are told, once they are visible to others. A hint: while the connection is
/// away, nothing is told.
pub struct Announcements {
    // dropped, the connection would end
    _client: Client,
    messages: Pin<Box<dyn Stream<Item = Result<AsyncMessage, Error>> + Send>>,
}

impl Announcements {
    /// Connects and listens: what commits from now on is told.
    ///
    /// # Errors
    /// When Postgres does not answer, or refuses.
    pub async fn listen(config: &Config, log: &LogName) -> Result<Self, StoreError> {
        let (client, mut connection) = config.connect(NoTls).await?;
        let mut messages = Box::pin(stream::poll_fn(move |context| connection.poll_message(context)));
        // as append() calls it
        let listen = format!("LISTEN \"millrace.{log}\"");
        tokio::select! {
            biased;
            listening = client.batch_execute(&listen) => listening?,
            // moves the connection; when that ends, so does the other
            _ = messages.by_ref().try_for_each(|_| ready(Ok(()))) => client.batch_execute("").await?,
        }
        Ok(Self { _client: client, messages })
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
