//! The one binary: the library, with an allocator of its own.

use std::process::ExitCode;

/// A third of the writer's time went to the C library's allocator (perf, over the demo). The feature `override` has
/// librdkafka use it too: a fifth of a projector's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    millrace::main()
}
