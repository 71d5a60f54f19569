//! A registry that accepts connections and answers nothing: only the partitions that need it wait.

use std::io;

use millrace_schemas::partition_of;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::{Client, JsonCommand, codec, text_headers};
use crate::older_client::close_in_an_older_version;
use crate::world::{World, stream, wait_until};

crate::promises![while_the_registry_hangs_only_the_partition_with_an_unknown_schema_waits];

async fn while_the_registry_hangs_only_the_partition_with_an_unknown_schema_waits(world: World) {
    let registry = Proxy::before(&world.stack.addresses().registry_url).await;
    let writer = world.service_with(&["writer"], &[("MILLRACE_REGISTRY_URL", &registry.url)]).await;
    let client = Client::new(&world);
    let accounts: Vec<String> = (0..4).map(account_in).collect();
    client
        .send_all(&accounts.iter().map(|id| JsonCommand::open(format!("open-{id}"), id, None)).collect::<Vec<_>>())
        .await;
    world.wait_for_outcomes(4).await;
    let unknown = close_in_an_older_version(&world, &codec(&world).await, &accounts[0]).await;

    registry.hang(true);
    let key = format!("account-{}", accounts[0]);
    client.send_raw(Some(&key), Some(&unknown), text_headers(&[("ce_id", "close")])).await;
    client.send(&JsonCommand::post("behind", &[(&accounts[0], 5), (&accounts[1], -5)])).await;
    // the others go on, batch after batch
    for round in 0..3 {
        for (from, to) in [(1, 2), (2, 3), (3, 1)] {
            let id = format!("set-{round}-{from}");
            client.send(&JsonCommand::post(&id, &[(&accounts[from], -1), (&accounts[to], 1)])).await;
            assert_eq!(world.outcome(&id).await["outcome"], "accepted");
        }
    }
    wait_until("one partition waits", async || writer.metric("millrace_writer_waiting_partitions").await == 1.0).await;
    assert_eq!(world.stored_outcomes().await.len(), 4 + 9, "nothing behind the unknown schema is decided");

    registry.hang(false);
    assert_eq!(world.outcome("close").await["outcome"], "accepted");
    assert_eq!(world.outcome("behind").await["code"], "account_closed");
    assert_eq!(writer.metric("millrace_writer_waiting_partitions").await, 0.0);
    let _rest = tokio::join!(
        world.service(&["relay"]),
        world.service(&["projector", "reporting"]),
        world.service(&["projector", "search"])
    );
    world.audit().await;
}

/// An account of a partition.
fn account_in(partition: i32) -> String {
    let accounts = (0..).map(|n| format!("a{n}"));
    let is_there = |account: &String| partition_of(&stream(&format!("account-{account}")), 4) == partition;
    accounts.into_iter().find(is_there).expect("one of them")
}

/// Passes on what a client and a server say to each other; told to hang, it goes on accepting connections, and keeps
/// what is said.
struct Proxy {
    url: String,
    hangs: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Before the server of a URL.
    async fn before(url: &str) -> Self {
        let url = reqwest::Url::parse(url).expect("a URL");
        let server = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut proxied = url.clone();
        proxied.set_port(Some(listener.local_addr().expect("an address").port())).expect("a port");
        let (hangs, hanging) = watch::channel(false);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), hanging.clone()));
            }
        });
        Self { url: proxied.into(), hangs, task }
    }

    fn hang(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until one of the two closes the connection.
async fn pass(mut client: TcpStream, server: String, mut hanging: watch::Receiver<bool>) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut said, mut answered) = ([0; 4096], [0; 4096]);
    loop {
        let (bytes, to) = tokio::select! {
            read = client.read(&mut said) => (&said[..read?], &mut server),
            read = server.read(&mut answered) => (&answered[..read?], &mut client),
        };
        if bytes.is_empty() || hanging.wait_for(|hangs| !hangs).await.is_err() {
            return Ok(());
        }
        to.write_all(bytes).await?;
    }
}
