//! Checks the promises of the pipeline against a real Postgres, Kafka and registry, which this program starts and
//! stops. Every test has its own log, database and consumer groups.

mod append;
mod appending;
mod chaos;
mod client;
mod durable;
mod evolving;
mod expected_version;
mod faults;
mod guards;
mod guide;
mod hanging;
mod leaderless;
mod logical;
mod long_stream;
mod metadata;
mod missed;
mod older_client;
mod outages;
mod overtaken;
mod own;
mod own_log;
mod paused;
mod positions;
mod projection;
mod proxy;
mod publishable;
mod raw_record;
mod read_your_writes;
mod rebuild;
mod redefined;
mod rust_log;
mod search;
mod second_broker;
mod service;
mod shell;
mod sql_projector;
mod standby;
mod taken_up;
mod taking_effect_once;
mod told;
mod traces;
mod two_definitions;
mod unreadable;
mod up_with;
mod visible;
mod whole_or_not;
mod world;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::sync::RwLock;
use world::{Servers, World};

/// A test: its name is the promise.
pub struct Promise {
    name: &'static str,
    disturbs: bool,
    run: fn(World) -> std::pin::Pin<Box<dyn Future<Output = ()>>>,
}

/// Lists tests by the names of their functions. Those after `disturbs:` stop servers, so each runs alone.
#[macro_export]
macro_rules! promises {
    ($($quiet:ident),* $(; disturbs: $($loud:ident),*)?) => {
        pub fn promises() -> Vec<$crate::Promise> {
            vec![
                $($crate::Promise {
                    name: stringify!($quiet), disturbs: false, run: |world| Box::pin($quiet(world)),
                },)*
                $($($crate::Promise {
                    name: stringify!($loud), disturbs: true, run: |world| Box::pin($loud(world)),
                },)*)?
            ]
        }
    };
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let promises = [
        taking_effect_once::promises(),
        expected_version::promises(),
        whole_or_not::promises(),
        positions::promises(),
        unreadable::promises(),
        publishable::promises(),
        projection::promises(),
        missed::promises(),
        paused::promises(),
        search::promises(),
        read_your_writes::promises(),
        durable::promises(),
        outages::promises(),
        own_log::promises(),
        append::promises(),
        two_definitions::promises(),
        redefined::promises(),
        rebuild::promises(),
        taken_up::promises(),
        visible::promises(),
        told::promises(),
        traces::promises(),
        metadata::promises(),
        evolving::promises(),
        faults::promises(),
        guards::promises(),
        guide::promises(),
        up_with::promises(),
        rust_log::promises(),
        overtaken::promises(),
        hanging::promises(),
        sql_projector::promises(),
        standby::promises(),
        leaderless::promises(),
        logical::promises(),
        long_stream::promises(),
        chaos::promises(),
    ];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let servers: Arc<tokio::sync::OnceCell<Servers>> = Arc::default();
    let quiet = Arc::new(RwLock::new(()));
    let trials = promises.into_iter().flatten().map(|promise| {
        let (handle, servers, quiet) = (runtime.handle().clone(), servers.clone(), quiet.clone());
        Trial::test(promise.name, move || handle.block_on(keep(promise, servers, quiet)))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if let Some(servers) = servers.get() {
        runtime.block_on(servers.down());
    }
    conclusion.exit_code()
}

/// Runs one test. The test's local variables own its services, so a panic kills them too.
async fn keep(
    promise: Promise,
    servers: Arc<tokio::sync::OnceCell<Servers>>,
    quiet: Arc<RwLock<()>>,
) -> Result<(), Failed> {
    let servers = servers.get_or_init(Servers::up).await;
    let (_alone, _together) = match promise.disturbs {
        true => (Some(quiet.write().await), None),
        false => (None, Some(quiet.read().await)),
    };
    let world = World::create(servers).await;
    println!("{}: log {}, the services' logs are {}", promise.name, world.log, world.logs());
    (promise.run)(world).await;
    Ok(())
}
