//! The binary `millrace`: the library with the ledger, and with its own allocator.

use std::process::ExitCode;

/// With the C library's allocator the writer spent a third of its time there (perf, over the demo). The feature
/// `override` makes librdkafka use this one too, which saves a fifth of a projector's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    millrace::main([millrace::ledger()])
}
