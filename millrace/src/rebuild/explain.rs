//! `millrace explain TABLE KEY` lists the events that made a row.

use std::collections::VecDeque;
use std::process::ExitCode;

use anyhow::bail;
use deadpool_postgres::Object;
use millrace_projector_runner::BuildState;
use millrace_projector_runner::checkpoints;
use millrace_projector_runner::rebuild::{Cause, Replay, RowKey, build_in, builds};
use millrace_runtime::postgres;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::be_the_only_one;
use super::report::cause;
use super::target::Target;
use crate::cli::{ExplainArguments, SettingsArguments};
use crate::connection::connect;
use crate::exit::{NO, Usage};
use crate::logs::Logs;
use crate::output::{Output, counted, escaped};

/// What the command prints as JSON.
#[derive(Debug, Serialize)]
struct Explained {
    table: String,
    key: Json,
    /// The row now; `None` when there is none.
    row: Option<Json>,
    /// Whether the events make the row that is there.
    is_explained: bool,
    /// How many events changed it.
    events: usize,
    /// The last of them, the oldest first.
    causes: VecDeque<Cause>,
}

/// Runs the command. The answer is no when the events make another row than the one that is there.
pub async fn explain(
    logs: &Logs,
    arguments_of_settings: &SettingsArguments,
    arguments: &ExplainArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let settings = arguments_of_settings.load()?;
    let Some((projector, table)) = arguments.table.split_once('.') else {
        let wrong = format!(
            "{} names no read model: write it with its table, such as reporting.account_balances",
            arguments.table
        );
        bail!(Usage(wrong));
    };
    let mut client = connect(&settings).await?;
    let target = Target::find(logs, arguments_of_settings, settings, &client, (projector, None)).await?;
    let all = builds(&**client, projector).await?;
    let Some(live) = build_in(&all, BuildState::Live) else {
        bail!(Usage(format!("{projector} has no read model in this database")));
    };
    let key = key(&client, &arguments.table, &arguments.key).await?;
    let row = RowKey { table: table.to_owned(), ..key };
    // the row and how far it is, at one moment
    let moment = client.transaction().await?;
    moment.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
    let until = checkpoints(&*moment, &live.schema, target.log.name()).await?.into_iter().collect();
    let now = row.read(&*moment, &live.schema).await?;
    moment.commit().await?;
    be_the_only_one(&client, projector).await?;
    let side = target.side(&mut client, live).await?;
    let source = postgres::pool(target.settings.postgres_url()?, target.log.name().as_str(), 1)?;
    let (mut events, mut causes, mut made) = (0, VecDeque::new(), None);
    let (sides, rows) = (std::slice::from_ref(&side), std::slice::from_ref(&row));
    let replay = Replay::new((&target.log, &source), sides, rows, &until);
    let ran = replay.run(
        |before, after| before != after,
        |_, cause| {
            events += 1;
            made = cause.after.first().cloned().flatten();
            causes.push_back(cause);
            if causes.len() > arguments.limit {
                causes.pop_front();
            }
        },
    );
    let ran = ran.await;
    target.end_replay(&client, &side).await?;
    ran?;
    let (table, key) = (arguments.table.clone(), row.key);
    let explained = Explained { table, key, is_explained: made == now, row: now, events, causes };
    output.print(&explained, text)?;
    Ok(if explained.is_explained { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// The row's key, with the columns of the table's primary key.
async fn key(client: &Object, table: &str, words: &[String]) -> anyhow::Result<RowKey> {
    let sql = "SELECT array_agg(a.attname::text ORDER BY array_position(i.indkey::smallint[], a.attnum))
                 FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                WHERE i.indrelid = to_regclass($1) AND i.indisprimary";
    let columns: Option<Vec<String>> = client.query_one(sql, &[&table]).await?.try_get(0)?;
    let Some(columns) = columns else {
        bail!(Usage(format!("there is no table {table} with a primary key")));
    };
    let mut key = Map::new();
    match (&columns[..], words) {
        ([column], [value]) => {
            let value = value.strip_prefix(&format!("{column}=")).unwrap_or(value);
            key.insert(column.clone(), value.into());
        }
        _ => {
            for column in &columns {
                let value = words.iter().find_map(|word| word.strip_prefix(&format!("{column}=")));
                let Some(value) = value else {
                    let asked: Vec<String> = columns.iter().map(|column| format!("{column}=…")).collect();
                    bail!(Usage(format!("the key of {table} is {}", asked.join(" "))));
                };
                key.insert(column.clone(), value.into());
            }
        }
    }
    Ok(RowKey { table: String::new(), columns, key: Json::Object(key) })
}

fn text(explained: &Explained) -> String {
    let Explained { table, key, row, is_explained, events, causes } = explained;
    let key = escaped(&key.to_string());
    let shown = |row: &Option<Json>| row.as_ref().map_or_else(|| "no row".to_owned(), |row| escaped(&row.to_string()));
    let mut text = format!("{table} {key}: {} made it", counted(*events as u64, "event"));
    for one in causes {
        text += &format!("\n  {}\n    {}", cause(one), one.after.first().map(&shown).unwrap_or_default());
    }
    if !is_explained {
        text += &format!(
            "\nthe read model has {}, which is not what its events make: `millrace rebuild` makes it anew",
            shown(row)
        );
    }
    text
}
