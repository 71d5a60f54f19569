//! A program with a log of its own, built from outside: `examples/rust-log`.

use std::path::Path;

use serde_json::{Value, json};

use crate::service::Service;
use crate::world::World;

crate::promises![a_program_of_ones_own_runs_its_rules_with_ninety_lines];

async fn a_program_of_ones_own_runs_its_rules_with_ninety_lines(world: World) {
    let lines = std::fs::read_to_string("../examples/rust-log/src/main.rs").expect("the example");
    assert!(lines.lines().count() <= 100);
    // `cargo test --workspace` builds it, because it has a test of its own
    let program = Path::new(env!("CARGO_BIN_EXE_millrace")).with_file_name("rust-log");
    assert!(program.exists(), "{} is missing: cargo build -p rust-log", program.display());
    let name = format!("{}r", world.log);
    let environment = world.environment_and(&[("MILLRACE_LOG", &name)]);
    let run = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(&program);
        let output = command.args(arguments).envs(environment.iter().cloned()).output().await.expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(run(&["migrate"]).await.0, Some(0));
    assert_eq!(run(&["schemas", "register"]).await.0, Some(0));
    let log = world.stack.log_file(&format!("{name}-writer"));
    let mut writer = Service::start_program(&program, vec!["writer".into()], environment.clone(), log);
    writer.wait_until_ready().await;
    let lend = async |id: &str, reader: &str| {
        let data = json!({"book_id": "dune", "reader": reader}).to_string();
        let (code, printed) = run(&["send", "--id", id, "LendBook", &data, "--output", "json"]).await;
        (code, serde_json::from_str::<Value>(&printed).expect("an outcome"))
    };
    assert_eq!(lend("a", "ada").await.0, Some(0));
    let (code, refused) = lend("b", "bob").await;
    assert_eq!((code, refused["code"].as_str()), (Some(1), Some("book_is_lent")), "{refused}");
    let (_, shown) = run(&["stream", "show", "book-dune", "--output", "json"]).await;
    assert!(shown.contains("BookLent") && shown.contains("ada"), "{shown}");
    // its read model is one like any other
    let guide = std::fs::read_to_string("../docs/guides/projectors-in-rust.md").expect("the guide");
    let code = std::fs::read_to_string("../examples/rust-log/src/readers.rs").expect("the example");
    assert!(guide.contains(code.trim_end()), "the guide has the example's code");
    assert!(guide.lines().any(|line| line.contains("with_projectors") && lines.contains(line)), "and its registration");
    let service = |arguments: &[&str]| {
        let log = world.stack.log_file(&format!("{name}-{}", arguments.join("-")));
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Service::start_program(&program, arguments, environment.clone(), log)
    };
    let mut services = [service(&["relay"]), service(&["projector", "readers"])];
    for service in &mut services {
        service.wait_until_ready().await;
    }
    let back = json!({"book_id": "dune"}).to_string();
    assert_eq!(run(&["send", "ReturnBook", &back]).await.0, Some(0));
    let again = json!({"book_id": "dune", "reader": "ada"}).to_string();
    assert_eq!(run(&["send", "--wait-for", "readers", "LendBook", &again]).await.0, Some(0));
    let postgres = world.pool(1).get().await.expect("Postgres");
    let loans = async || -> i64 {
        let sql = "SELECT loans FROM readers.loans WHERE reader = 'ada'";
        postgres.query_one(sql, &[]).await.expect("a reader").get(0)
    };
    assert_eq!(loans().await, 2);
    let (code, printed) = run(&["rebuild", "readers", "--output", "json"]).await;
    assert!(code == Some(0) && printed.contains("\"switched\""), "{printed}");
    assert_eq!((loans().await, run(&["audit", "--wait", "60"]).await.0), (2, Some(0)));

    // the program that comes along does not know these rules, and says so
    let other = world.try_millrace(&["writer", "--log", &name]).await;
    assert!(other.0 == 2 && other.1.contains("library"), "{other:?}");
}
