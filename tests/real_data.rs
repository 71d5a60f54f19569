//! Runs the demo as a user does, on the real bank's file, and checks its balances with this test's own arithmetic.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Output, Stdio};

use flate2::read::GzDecoder;
use millrace_compose::{Silent, Stack};
use serde_json::Value;
use tokio::process::Command;
use tokio_postgres::NoTls;

#[tokio::test]
async fn the_demo_carries_the_real_banks_file_through_and_every_balance_is_right() {
    let folder = std::env::temp_dir().join(format!("millrace-real-data-{}", std::process::id()));
    let output = demo(&["--keep", "--output", "json", "--data-dir", &folder.display().to_string()]).await;
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let checked = match output.status.code() {
        Some(0) => balances_are_right(&folder).await,
        code => Err(format!("the demo ends with {code:?}: {printed}\n{said}")),
    };
    let stopped = Stack::down_in(&folder, &Silent).await.expect("the demo's stack can be stopped");
    std::fs::remove_dir_all(&folder).expect("the demo's folder can be deleted");
    checked.expect("every balance is right");
    assert_eq!(stopped.len(), 8, "three servers and five services stop: {stopped:?}");
    let report: Value = serde_json::from_str(&printed).expect("one JSON object");
    assert_eq!(report["commands"], 1247 + 49_102);
    assert_eq!((&report["accepted"], &report["rejected"]), (&report["commands"], &0.into()));
    assert_eq!(report["events"], 1247 + 2 * 49_102);
    assert_eq!(report["audit"]["ok"], true);
}

/// Runs the demo with no settings in its environment.
async fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace-demo"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MILLRACE_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null()).output().await.expect("the demo runs")
}

/// Sums the file without any type or code of the product; reads amounts digit by digit.
fn sums() -> BTreeMap<String, i64> {
    let packed = include_bytes!("../demo/src/bank/data/trans.asc.gz");
    let mut file = String::new();
    GzDecoder::new(packed.as_slice()).read_to_string(&mut file).expect("the bank's file");
    let mut sums = BTreeMap::new();
    for line in file.lines().skip(1) {
        let fields: Vec<&str> = line.split(';').collect();
        let hellers: i64 = fields[5].replace('.', "").parse().expect("an amount");
        let sign = if fields[3].contains("PRIJEM") { 1 } else { -1 };
        *sums.entry(fields[1].to_owned()).or_default() += sign * hellers;
    }
    sums
}

async fn balances_are_right(folder: &Path) -> Result<(), String> {
    let stack = Stack::open(folder).map_err(|e| e.to_string())?;
    let url = &stack.addresses().postgres_url;
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    let rows = client.query("SELECT account_id, balance_minor FROM reporting.account_balances", &[]).await;
    let shown: BTreeMap<String, i64> =
        rows.map_err(|e| e.to_string())?.iter().map(|row| (row.get(0), row.get(1))).collect();
    if shown.values().sum::<i64>() != 0 {
        return Err("the books do not balance".to_owned());
    }
    let sums = sums();
    let wrong = sums.iter().find(|(id, sum)| shown.get(*id) != Some(sum));
    match wrong {
        None if sums.len() == 1229 => Ok(()),
        None => Err(format!("{} accounts", sums.len())),
        Some((id, sum)) => Err(format!("account {id}: the file says {sum}, reporting {:?}", shown.get(id))),
    }
}
