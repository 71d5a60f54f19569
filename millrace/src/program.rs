//! Runs a program, from its runtime to its exit code.

use std::ffi::OsStr;
use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::exit;

/// Runs the work of a program and returns its exit code. Prints an error, and returns the exit code that all of
/// Millrace's programs have for it.
pub fn run(work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    run_on(&mut Builder::new_multi_thread(), work)
}

/// The same for a service, on one thread: an answer from Postgres then wakes no other thread, which halves the CPU time
/// of a service with little to do.
pub fn run_service(work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    run_on(&mut Builder::new_current_thread(), work)
}

/// The commands that are services.
const SERVICES: &[&str] = &["writer", "relay", "projector", "monitor"];

/// Whether this program was started as one of a stack's services: its first argument is a service's command, and it has
/// the flag `--http-address`, which every stack gives its services. (A program may have a word of its own that is also
/// a service's: `millrace-bench relay`.) A stack starts its services from the executable that it runs in, so every
/// program that starts one asks this first, and answers with [`main`](crate::main).
pub fn is_asked_for_service() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().is_some_and(|first| SERVICES.iter().any(|service| first == OsStr::new(service)))
        && arguments.any(|argument| argument == OsStr::new("--http-address"))
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
    // do not wait for librdkafka's threads, which may still be leaving their groups
    runtime.shutdown_background();
    result.unwrap_or_else(|error| exit::failure(&error))
}
