//! The guides `docs/guides/your-own-log.md` and `projectors.md`, followed to the letter: their files written, their commands
//! run, in their order.

use crate::shell::Shell;
use crate::world::{World, wait_until};

crate::promises![the_guide_to_a_log_of_ones_own_works_step_by_step, the_guide_to_a_first_projector_works_step_by_step];

/// A fenced block of the guide.
struct Block<'g> {
    /// Its language: `sh`, `toml`, …
    language: &'g str,
    /// What stands after the language: a file's name, or what a step needs.
    label: &'g str,
    text: String,
}

async fn the_guide_to_a_log_of_ones_own_works_step_by_step(world: World) {
    let guide = guide("your-own-log.md");
    let mut reader = reader(&world);
    reader.run("python3 -m venv python && python/bin/pip install --quiet confluent-kafka").await;
    let has_kcat = std::process::Command::new("kcat").arg("-V").output().is_ok();
    let (mut steps, mut opened) = (0, 3);
    for block in blocks(&guide) {
        match (block.language, block.label) {
            ("sh", "stack") => {} // the servers run already; `up` has a test of its own, which runs this block
            ("sh", "kcat") if !has_kcat => println!("LEFT OUT: the guide's step with kcat, which is not installed"),
            ("sh", label) => {
                reader.run(&block.text).await;
                steps += 1;
                opened += usize::from(label == "kcat");
            }
            (_, file) => reader.write(file, &block.text),
        }
    }
    assert!(steps >= 8, "the guide has {steps} steps only");
    for (log, stream, expected) in [
        ("tickets", "ticket-1", "TicketClosed"),
        ("tickets", "ticket-3", "It is gone"),
        ("tickets", "ticket-4", "\"urgent\":true"),
        ("journal", "day-2", "Sun."),
    ] {
        let shown = reader.run(&format!("millrace stream show --log {log} {stream} --output json")).await;
        assert!(shown.replace("\": ", "\":").contains(expected), "{stream}: {shown}");
    }
    // kcat does not wait for the outcome
    wait_until("all tickets are open", async || {
        let printed = reader.run("millrace events --log tickets --type TicketOpened --output json").await;
        printed.lines().filter(|line| line.contains("TicketOpened")).count() == opened
    })
    .await;
}

async fn the_guide_to_a_first_projector_works_step_by_step(world: World) {
    let guide = guide("projectors.md");
    let mut reader = reader(&world);
    for folder in ["domains", "projectors"] {
        let of_checkout = std::path::absolute(format!("../{folder}")).expect("the checkout");
        std::os::unix::fs::symlink(of_checkout, reader.folder.join(folder)).expect("a link");
    }
    let (mut steps, mut lines) = (0, 0);
    for block in blocks(&guide) {
        match (block.language, block.label) {
            ("sh", "stack" | "psql") => {} // the servers run already; the test looks by itself
            ("sh", _) => {
                reader.run(&block.text).await;
                steps += 1;
            }
            (_, file) => {
                reader.write(file, &block.text);
                lines += block.text.lines().count();
            }
        }
    }
    assert_eq!(steps, 4, "steps of the guide");
    assert!(lines <= 30, "the projector has {lines} lines");
    let client = world.pool(1).get().await.expect("Postgres");
    let sql = "SELECT customer_id, orders, cancelled, total_minor::bigint FROM by_day.totals";
    let rows = client.query(sql, &[]).await.expect("totals");
    let shown: Vec<(String, i64, i64, i64)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let by_ada = "SELECT count(*) FROM orders_trail.events WHERE user_id = 'ada'";
    assert_eq!(client.query_one(by_ada, &[]).await.expect("the trail").get::<_, i64>(0), 1);
    let of_ada: Vec<_> = shown.into_iter().filter(|(customer, ..)| customer == "ada").collect();
    assert_eq!(of_ada, [("ada".to_owned(), 2, 1, 300)]);
}

/// The text of a guide.
fn guide(file: &str) -> String {
    std::fs::read_to_string(format!("../docs/guides/{file}")).expect("the guide")
}

/// The guide's block that starts a stack.
pub fn start_of_a_stack() -> String {
    let guide = guide("your-own-log.md");
    let block = blocks(&guide).into_iter().find(|block| block.label == "stack");
    block.expect("a block that starts a stack").text
}

fn blocks(guide: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let (language, label) = info.split_once(' ').unwrap_or((info, ""));
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(Block { language, label, text: text.join("\n") + "\n" });
    }
    blocks
}

/// Somebody who reads the guide, with a shell in an empty folder.
fn reader(world: &World) -> Shell {
    let mut environment = world.environment_and(&[]);
    environment.retain(|(name, _)| name != "MILLRACE_LOG" && name != "MILLRACE_PARTITIONS");
    Shell::new(world.stack.data_dir().join(format!("guide-{}", world.log)), environment)
}
