//! One run of a program, from its runtime to its exit code.

use std::ffi::OsStr;
use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::exit;

/// Runs the work of a program and returns its exit code. An error is printed first, and has the exit code that all of
/// Millrace's programs give it.
pub fn run(work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    run_on(&mut Builder::new_multi_thread(), work)
}

/// The same for a service: on one thread, so that a statement's answer wakes nobody else. That is half the time of a
/// service with little to do.
pub fn run_service(work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    run_on(&mut Builder::new_current_thread(), work)
}

/// The commands that are services.
const SERVICES: &[&str] = &["writer", "relay", "projector", "monitor"];

/// Whether this program was started as one of a stack's services: its first argument is a service's command. A stack
/// starts its services from the executable that it runs in, so every program that starts one asks this first, and
/// answers with [`main`](crate::main).
pub fn is_asked_for_service() -> bool {
    std::env::args_os().nth(1).is_some_and(|first| SERVICES.iter().any(|service| first == OsStr::new(service)))
}

fn run_on(runtime: &mut Builder, work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let runtime = match runtime.worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::failure(&error.into()),
    };
    let result = runtime.block_on(async {
        let result = work.await;
        millrace_runtime::trace::end().await;
        result
    });
    // librdkafka's threads may still be leaving their groups: they are not waited for
    runtime.shutdown_background();
    result.unwrap_or_else(|error| exit::failure(&error))
}
