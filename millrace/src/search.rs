//! `millrace search QUERY`

use std::process::ExitCode;

use comfy_table::Table;
use millrace_projectors::search::{Hit, find};
use millrace_runtime::{Settings, postgres};

use crate::exit::NO;
use crate::output::{Output, escaped};

/// Runs the command. The answer is no when it finds nothing.
pub async fn run(settings: &Settings, query: &str, limit: u32, output: Output) -> anyhow::Result<ExitCode> {
    let pool = postgres::pool(settings.postgres_url()?, "search", 1)?;
    let client = postgres::connect(&pool, settings.postgres_url()?).await?;
    let hits = find(&**client, query, limit).await?;
    output.print(&hits, |hits| table(hits))?;
    Ok(if hits.is_empty() { ExitCode::from(NO) } else { ExitCode::SUCCESS })
}

fn table(hits: &[Hit]) -> String {
    if hits.is_empty() {
        return "nothing found".to_owned();
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["account", "what", "amount", "currency", "day", "id"]);
    for hit in hits {
        let what = hit.description.clone().unwrap_or_else(|| hit.kind.clone());
        let amount = hit.amount_minor.map(|minor| minor.to_string()).unwrap_or_default();
        let day = hit.reporting_at.map(|at| at.strftime("%F").to_string()).unwrap_or_default();
        table.add_row([&hit.account_id, &what, &amount, &hit.currency, &day, &hit.id].map(|text| escaped(text)));
    }
    table.to_string()
}
