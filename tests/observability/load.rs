//! Sends commands of every kind for as long as a test needs them.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::client::{Client, JsonCommand};
use crate::world::World;

/// How often to send a few commands.
const BEAT: Duration = Duration::from_millis(100);

/// Sends commands until it is dropped.
pub struct Load(JoinHandle<()>);

impl Load {
    /// Opens accounts and posts entry sets. Some commands are rejected, conflict, come twice, or can't be read.
    pub fn start(world: &World) -> Self {
        let client = Client::new(world);
        Self(tokio::spawn(async move {
            let mut beat = tokio::time::interval(BEAT);
            for n in 0_usize.. {
                beat.tick().await;
                client.send_all(&commands(n)).await;
            }
        }))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn commands(n: usize) -> Vec<JsonCommand> {
    let account = |n: usize| format!("load-{n}");
    let mut commands = vec![JsonCommand::open(format!("open-{n}"), &account(n), None)];
    if let Some(older) = n.checked_sub(10) {
        let set = JsonCommand::post(format!("set-{n}"), &[(&account(older), 1), (&account(older / 2), -1)]);
        commands.extend([set.clone(), set]);
    }
    match n % 20 {
        5 => commands.push(JsonCommand::close(format!("close-{n}"), "nobody")),
        10 => commands.push(JsonCommand::close(format!("stale-{n}"), &account(n / 2)).expecting("no-stream")),
        _ => {}
    }
    commands
}
