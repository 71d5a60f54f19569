//! Tests `ops/` against a real pipeline and a real Prometheus. If `prometheus` and `promtool` are not on the PATH, the
//! tests that need them are ignored, and a line says so.

mod alerts;
#[path = "../promises/client.rs"]
#[allow(dead_code, reason = "shared with the promises, which use all of it")]
mod client;
mod dashboards;
mod load;
mod prometheus;
mod rules;
mod runbooks;
#[path = "../promises/service.rs"]
#[allow(dead_code, reason = "shared with the promises, which use all of it")]
mod service;
mod watched;
#[path = "../promises/world.rs"]
#[allow(dead_code, reason = "shared with the promises, which use all of it")]
mod world;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use tokio::sync::OnceCell;
use world::{Servers, World};

/// Lists tests by the names of their functions.
macro_rules! trials {
    ($list:ident: $($module:ident::$name:ident),*) => { [$(trial($list, stringify!($name), |world| Box::pin($module::$name(world)))),*] };
}

/// The servers that all tests share, if they need any.
#[derive(Clone)]
struct Shared {
    runtime: tokio::runtime::Handle,
    servers: Arc<OnceCell<Servers>>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let shared = &Shared { runtime: runtime.handle().clone(), servers: Arc::default() };
    let alone = [
        check("every_alert_has_a_runbook_and_a_test", rules::every_alert_has_a_runbook_and_a_test),
        check(
            "the_same_services_are_scraped_locally_and_under_docker",
            rules::the_same_services_are_scraped_locally_and_under_docker,
        ),
        check(
            "every_panel_names_the_data_source_that_is_provisioned",
            dashboards::every_panel_names_the_data_source_that_is_provisioned,
        ),
    ];
    let promtool = check(
        "promtool_accepts_the_scrape_config_and_each_alerts_test",
        rules::promtool_accepts_the_scrape_config_and_each_alerts_test,
    );
    let with_servers = trials!(shared: runbooks::every_command_of_the_runbooks_is_real);
    let watching = trials!(shared:
        dashboards::every_expression_of_every_panel_returns_data,
        alerts::alerts_fire_when_their_fault_is_made_and_clear_when_it_is_mended);
    let missing = !prometheus::is_installed();
    if missing {
        eprintln!(
            "left out: tests with a real Prometheus; to have them: apt-get install --no-install-recommends prometheus"
        );
    }
    let watching = watching.into_iter().chain([promtool]).map(|trial| trial.with_ignored_flag(missing));
    let trials = alone.into_iter().chain(with_servers).chain(watching).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(servers) = shared.servers.get() {
        runtime.block_on(servers.down());
    }
    conclusion.exit_code()
}

/// A test that needs no servers.
fn check(name: &'static str, run: fn()) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

/// A test with a log and a database of its own.
fn trial(shared: &Shared, name: &'static str, run: fn(World) -> Pin<Box<dyn Future<Output = ()>>>) -> Trial {
    let Shared { runtime, servers } = shared.clone();
    Trial::test(name, move || {
        runtime.block_on(async {
            let world = World::create(servers.get_or_init(Servers::up).await).await;
            println!("{name}: log {}, the services' logs are {}", world.log, world.logs());
            run(world).await;
        });
        Ok(())
    })
}
