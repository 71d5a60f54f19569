//! Comparing two builds of a read model, row by row.

use serde::Serialize;
use serde_json::Value as Json;
use tokio_postgres::{GenericClient, Row};

use super::RebuildError;
use crate::checkpoints::identifier;

/// Differing rows that are shown of a table.
const EXAMPLES: i64 = 10;

/// What a comparison of two builds found.
#[derive(Debug, Default, Serialize)]
pub struct Comparison {
    /// The tables that both builds have.
    pub tables: Vec<String>,
    /// Rows of the new build in these tables.
    pub rows: i64,
    /// The tables that differ.
    pub differences: Vec<TableDifference>,
    /// Tables and columns that only one of the builds has.
    pub notes: Vec<String>,
}

/// How a table differs.
#[derive(Debug, Clone, Serialize)]
pub struct TableDifference {
    /// The table.
    pub table: String,
    /// How many rows differ.
    pub rows: i64,
    /// The columns of its primary key; empty when it has none.
    pub key: Vec<String>,
    /// The first of the rows, in the order of their keys.
    pub examples: Vec<Example>,
}

/// A row that differs.
#[derive(Debug, Clone, Serialize)]
pub struct Example {
    /// Its key; all columns when the table has no primary key.
    pub key: Json,
    /// How the live build has it; `None` when it has no such row.
    pub live: Option<Json>,
    /// How the new build has it; `None` when it has no such row.
    pub new: Option<Json>,
}

/// A table in one or both builds.
struct Table {
    name: String,
    in_live: bool,
    in_new: bool,
    key: Vec<String>,
    /// The columns of both builds, as they are compared.
    common: Vec<Column>,
    /// The columns that only one build has: its name, and whether the new build has it.
    single: Vec<(String, bool)>,
}

struct Column {
    name: String,
    /// Whether Postgres can tell two values of its type apart; others are compared as texts.
    has_equality: bool,
}

impl Comparison {
    /// Whether all rows are the same.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Compares two builds, in the schemas `live` and `new`, as the transaction of `client` sees them. Columns and tables that
/// only the new build has are no differences; those that only the live one has are: somebody may read them.
///
/// # Errors
/// When Postgres does not answer.
pub async fn compare(client: &impl GenericClient, live: &str, new: &str) -> Result<Comparison, RebuildError> {
    let mut comparison = Comparison::default();
    for table in tables(client, live, new).await? {
        if !table.in_live {
            comparison.notes.push(format!("the table {} is new", table.name));
            continue;
        }
        if !table.in_new {
            comparison.notes.push(format!("the table {} is gone", table.name));
            comparison.differences.push(TableDifference::without_rows(&table));
            continue;
        }
        let gone = table.single.iter().filter(|(_, in_new)| !in_new).count();
        comparison.notes.extend(table.single.iter().map(|(column, in_new)| {
            format!("the column {column} of {} is {}", table.name, if *in_new { "new" } else { "gone" })
        }));
        let (rows, difference) = table.compare(client, live, new).await?;
        comparison.rows += rows;
        comparison.tables.push(table.name.clone());
        if let Some(difference) = difference {
            comparison.differences.push(difference);
        } else if gone > 0 {
            comparison.differences.push(TableDifference::without_rows(&table));
        }
    }
    Ok(comparison)
}

async fn tables(client: &impl GenericClient, live: &str, new: &str) -> Result<Vec<Table>, RebuildError> {
    let rows = client.query(include_str!("sql/columns.sql"), &[&live, &new]).await?;
    let mut tables: Vec<Table> = Vec::new();
    for row in &rows {
        let (name, column): (String, String) = (row.try_get("table")?, row.try_get("column")?);
        let (in_live, in_new): (bool, bool) = (row.try_get("in_live")?, row.try_get("in_new")?);
        if tables.last().is_none_or(|last| last.name != name) {
            let key: Option<Vec<String>> = row.try_get("key")?;
            let (common, single) = (Vec::new(), Vec::new());
            tables.push(Table { name, in_live: false, in_new: false, key: key.unwrap_or_default(), common, single });
        }
        let Some(table) = tables.last_mut() else { continue };
        table.in_live |= in_live;
        table.in_new |= in_new;
        if in_live && in_new {
            table.common.push(Column { name: column, has_equality: row.try_get("has_equality")? });
        } else {
            table.single.push((column, in_new));
        }
    }
    for table in &mut tables {
        // rows of one build without the key can't be found in the other
        if !table.key.iter().all(|key| table.common.iter().any(|column| column.name == *key)) {
            table.key.clear();
        }
    }
    Ok(tables)
}

impl TableDifference {
    fn without_rows(table: &Table) -> Self {
        Self { table: table.name.clone(), rows: 0, key: table.key.clone(), examples: Vec::new() }
    }
}

impl Table {
    /// How many rows the new build has, and how the table differs.
    async fn compare(
        &self,
        client: &impl GenericClient,
        live: &str,
        new: &str,
    ) -> Result<(i64, Option<TableDifference>), RebuildError> {
        let (live, new) = (self.in_schema(live), self.in_schema(new));
        let count = format!("SELECT count(*) FROM {new}");
        let rows: i64 = client.query_one(&count, &[]).await?.try_get(0)?;
        let differing = if self.key.is_empty() { self.by_row(&live, &new) } else { self.by_key(&live, &new) };
        let count = format!("SELECT count(*) FROM ({differing}) AS differing");
        let differ: i64 = client.query_one(&count, &[]).await?.try_get(0)?;
        if differ == 0 {
            return Ok((rows, None));
        }
        let first = format!("{differing} ORDER BY 1 LIMIT {EXAMPLES}");
        let examples = client.query(&first, &[]).await?;
        let example = |row: &Row| Ok(Example { key: row.try_get(0)?, live: row.try_get(1)?, new: row.try_get(2)? });
        let examples = examples.iter().map(example).collect::<Result<_, tokio_postgres::Error>>()?;
        let (table, key) = (self.name.clone(), self.key.clone());
        Ok((rows, Some(TableDifference { table, rows: differ, key, examples })))
    }

    fn in_schema(&self, schema: &str) -> String {
        format!("{}.{}", identifier(schema), identifier(&self.name))
    }

    /// The rows that differ, found by the primary key.
    fn by_key(&self, live: &str, new: &str) -> String {
        let columns = self.columns(|column| identifier(&column.name));
        let has_equality = |key: &String| self.common.iter().any(|column| column.name == *key && column.has_equality);
        let same_key = joined(&self.key, " AND ", |key| match has_equality(key) {
            true => format!("l.{0} = n.{0}", identifier(key)),
            false => format!("l.{0}::text = n.{0}::text", identifier(key)),
        });
        let key = joined(&self.key, ", ", |key| {
            format!("'{}', coalesce(to_jsonb(l.{1}), to_jsonb(n.{1}))", escaped(key), identifier(key))
        });
        let first = self.key.first().map(|key| identifier(key)).unwrap_or_default();
        let differ = self.common.iter().map(|column| match column.has_equality {
            true => format!("l.{0} IS DISTINCT FROM n.{0}", identifier(&column.name)),
            false => format!("l.{0}::text IS DISTINCT FROM n.{0}::text", identifier(&column.name)),
        });
        let differ = differ.collect::<Vec<_>>().join(" OR ");
        format!(
            "SELECT jsonb_build_object({key}) AS key,
                    CASE WHEN l.{first} IS NULL THEN NULL ELSE to_jsonb(l) END AS live,
                    CASE WHEN n.{first} IS NULL THEN NULL ELSE to_jsonb(n) END AS new
               FROM (SELECT {columns} FROM {live}) AS l FULL JOIN (SELECT {columns} FROM {new}) AS n ON {same_key}
              WHERE {differ}"
        )
    }

    /// The rows that one build has more often than the other.
    fn by_row(&self, live: &str, new: &str) -> String {
        let columns = self.columns(|column| match column.has_equality {
            true => identifier(&column.name),
            false => format!("{0}::text AS {0}", identifier(&column.name)),
        });
        format!(
            "SELECT to_jsonb(l) AS key, to_jsonb(l) AS live, NULL::jsonb AS new
               FROM (SELECT {columns} FROM {live} EXCEPT ALL SELECT {columns} FROM {new}) AS l
             UNION ALL
             SELECT to_jsonb(n), NULL, to_jsonb(n)
               FROM (SELECT {columns} FROM {new} EXCEPT ALL SELECT {columns} FROM {live}) AS n"
        )
    }

    fn columns(&self, column: impl Fn(&Column) -> String) -> String {
        self.common.iter().map(column).collect::<Vec<_>>().join(", ")
    }
}

fn joined(names: &[String], between: &str, part: impl Fn(&String) -> String) -> String {
    names.iter().map(part).collect::<Vec<_>>().join(between)
}

fn escaped(text: &str) -> String {
    text.replace('\'', "''")
}
