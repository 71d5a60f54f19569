//! A proxy before a server, which passes on as many bytes as a test allows.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// More bytes than any test sends.
const ALL: usize = usize::MAX >> 4;

/// Accepts connections, and passes on what client and server say to each other. While nothing is allowed through, the
/// server seems to hang.
pub struct Proxy {
    /// The server's address, with the proxy in its place.
    pub url: String,
    /// Bytes that may still pass.
    allowed: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Before the server of a URL; open.
    pub async fn before(url: &str) -> Self {
        let mut url = reqwest::Url::parse(url).expect("a URL");
        let server = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        url.set_port(Some(listener.local_addr().expect("an address").port())).expect("a port");
        let allowed = Arc::new(Semaphore::new(ALL));
        let passing = allowed.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), passing.clone()));
            }
        });
        Self { url: url.into(), allowed, task }
    }

    /// Passes nothing on until it is told otherwise.
    pub fn hold(&self) {
        self.allowed.forget_permits(usize::MAX);
    }

    /// Passes so many bytes on.
    pub fn let_through(&self, bytes: usize) {
        self.allowed.add_permits(bytes);
    }

    /// Passes everything on.
    pub fn open(&self) {
        self.hold();
        self.let_through(ALL);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until one of the two closes the connection.
async fn pass(mut client: TcpStream, server: String, allowed: Arc<Semaphore>) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut said, mut answered) = ([0; 4096], [0; 4096]);
    loop {
        let (bytes, to) = tokio::select! {
            read = client.read(&mut said) => (&said[..read?], &mut server),
            read = server.read(&mut answered) => (&answered[..read?], &mut client),
        };
        let count = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        match allowed.acquire_many(count).await {
            Ok(passed) if count > 0 => passed.forget(),
            _ => return Ok(()),
        }
        to.write_all(bytes).await?;
    }
}
