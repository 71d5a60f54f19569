//! Checks that the commands in the runbooks work.

use std::fs;

use crate::rules::ops;
use crate::world::World;

/// Runs every SQL statement in the test's own database, and checks that `millrace` has the commands and flags.
pub async fn every_command_of_the_runbooks_is_real(world: World) {
    let client = world.pool(1).get().await.expect("Postgres");
    let log = world.log.as_str();
    let (mut statements, mut commands) = (0, 0);
    for file in fs::read_dir(ops().join("runbooks")).expect("the runbooks") {
        let file = file.expect("a file").path();
        let text = fs::read_to_string(&file).expect("a runbook");
        let shell: Vec<&str> =
            text.split("```").skip(1).step_by(2).filter_map(|code| code.strip_prefix("sh\n")).collect();
        for sql in shell.iter().flat_map(|code| statements_in(code)) {
            let here = sql.replace("ledger.", &format!("{log}.")).replace("'ledger'", &format!("'{log}'"));
            let run = client.simple_query(&here).await;
            assert!(run.is_ok(), "{}: {sql}: {:?}", file.display(), run.err());
            statements += 1;
        }
        for command in shell.iter().flat_map(|code| code.lines()).filter_map(|line| line.strip_prefix("millrace ")) {
            let words = command.split('#').next().unwrap_or_default().split_whitespace();
            let words: Vec<&str> = words.chain(["--help"]).collect();
            let (code, printed) = world.try_millrace(&words).await;
            assert_eq!(code, 0, "{}: millrace {command}: {printed}", file.display());
            commands += 1;
        }
    }
    assert!(statements > 5 && commands > 20, "{statements} statements and {commands} commands are found");
}

/// The statements after `psql … -c`, without their quotes.
fn statements_in(code: &str) -> Vec<&str> {
    let quoted = code.split(" -c ").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|first| ['"', '\''].contains(first))?;
        rest[1..].split(quote).next()
    });
    quoted.collect()
}
