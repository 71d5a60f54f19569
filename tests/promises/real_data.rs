//! The demo, as a user runs it, on the real bank's file; and its balances by arithmetic of this test's own.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::Command;

use flate2::read::GzDecoder;
use serde_json::Value;
use tokio_postgres::NoTls;

use crate::service::millrace;
use crate::world::World;

crate::promises![the_demo_carries_the_real_banks_file_through_and_every_balance_is_right];

async fn the_demo_carries_the_real_banks_file_through_and_every_balance_is_right(world: World) {
    let folder = world.folder("demo").display().to_string();
    let run = |arguments: Vec<String>| async move {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command: Command = millrace(&[], &arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it runs").expect("it runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let demo = ["demo", "--keep", "--output", "json", "--data-dir", &folder].map(str::to_owned).to_vec();
    let (code, printed, said) = run(demo).await;
    let checked = match code {
        Some(0) => balances_are_right(&folder).await,
        _ => Err(format!("the demo ends with {code:?}: {printed}\n{said}")),
    };
    let (code, stopped, _) = run(["down", "--data-dir", &folder].map(str::to_owned).to_vec()).await;
    assert_eq!((code, stopped.lines().count()), (Some(0), 8), "three servers and five services stop: {stopped}");
    std::fs::remove_dir_all(&folder).expect("the demo's folder can be deleted");
    checked.expect("every balance is right");
    let report: Value = serde_json::from_str(&printed).expect("one JSON object");
    assert_eq!(report["commands"], 1247 + 49_102);
    assert_eq!((&report["accepted"], &report["rejected"]), (&report["commands"], &0.into()));
    assert_eq!(report["events"], 1247 + 2 * 49_102);
    assert_eq!(report["audit"]["ok"], true);
}

/// Sums the file by itself: no type and no code of the product, amounts by their digits.
fn sums() -> BTreeMap<String, i64> {
    let packed = include_bytes!("../../millrace/src/bank/data/trans.asc.gz");
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

async fn balances_are_right(folder: &str) -> Result<(), String> {
    let output = millrace(&[], &["env", "--data-dir", folder]).output().map_err(|e| e.to_string())?;
    let exports = String::from_utf8_lossy(&output.stdout).into_owned();
    let url = exports.lines().find_map(|line| line.strip_prefix("export MILLRACE_POSTGRES_URL='")?.strip_suffix('\''));
    let (client, connection) =
        tokio_postgres::connect(url.ok_or("no address")?, NoTls).await.map_err(|e| e.to_string())?;
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
