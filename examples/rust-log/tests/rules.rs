//! The program answers. (With its servers, `tests/promises/rust_log.rs` runs it.)

use std::process::Command;

#[test]
fn the_program_has_the_commands_of_millrace() {
    let help = Command::new(env!("CARGO_BIN_EXE_rust-log")).arg("--help").output().expect("it runs");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for command in ["writer", "relay", "send", "audit"] {
        assert!(help.contains(command), "{help}");
    }
}
