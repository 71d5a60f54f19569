//! The log as it is, and what its past forbids a folder.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use millrace_schemas::{FolderProblem, LogFolder, LogName, Topic};
use millrace_store::{Log, StoredDefinition, StoredSchema};

use super::open::open;
use crate::output::counted;

/// Most names of events in a message.
const NAMES_SHOWN: usize = 10;

/// A log that exists.
pub(super) struct Existing {
    pub(super) log: Log,
    /// Every version of every record.
    pub(super) stored: Vec<StoredSchema>,
    /// The definition that was applied last; `None` when nobody has applied a folder to the end.
    definition: Option<StoredDefinition>,
}

impl Existing {
    /// Reads the log; `None` when its creation was broken off.
    pub(super) async fn read(client: &impl GenericClient, name: &LogName) -> anyhow::Result<Option<Self>> {
        let Some(log) = open(client, name).await? else { return Ok(None) };
        let stored = log.stored_schemas(client).await?;
        let definition = log.newest_definition(client).await?;
        Ok(Some(Self { log, stored, definition }))
    }

    /// The files that were applied last.
    pub(super) fn files(self) -> BTreeMap<String, String> {
        self.definition.map(|definition| definition.files).unwrap_or_default()
    }

    /// Whether a definition without rules was applied last.
    pub(super) fn takes_append(&self) -> bool {
        self.definition.as_ref().is_some_and(|definition| !definition.files.contains_key(LogFolder::DOMAIN))
    }

    /// The problem of a folder that describes another log. Everything else that would be found follows from it.
    pub(super) fn other_log(&self, folder: &LogFolder) -> Option<FolderProblem> {
        let (log, created, says) = (self.log.name(), self.log.definition(), &folder.definition.name);
        if created == says {
            return None;
        }
        let (difference, also) = match self.difference(folder) {
            Some(difference) => (difference, String::new()),
            None => {
                let write = format!("; or, if this is the folder of log {log}, write name = \"{created}\"");
                ("their event types are the same".to_owned(), write)
            }
        };
        Some(of_log(format!(
            "log {log} was created from the definition {created}, and this one is {says}; {difference}: apply it under \
             a name that no log has, with --as{also}"
        )))
    }

    /// In which event types the folder and the log differ.
    fn difference(&self, folder: &LogFolder) -> Option<String> {
        let events = |topic: Topic| topic == Topic::Events;
        let schemas = self.stored.iter().map(|stored| stored.schema);
        let has: BTreeSet<&str> = schemas.filter(|schema| events(schema.topic)).map(|schema| &*schema.name).collect();
        let records = folder.definition.records().iter();
        let says: BTreeSet<&str> = records.filter(|record| events(record.topic)).map(|record| &*record.name).collect();
        let only = |who: &str, ones: &BTreeSet<&str>, others: &BTreeSet<&str>| {
            let names: Vec<&str> = ones.difference(others).copied().collect();
            let more = if names.len() > NAMES_SHOWN { ", …" } else { "" };
            let shown = names.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
            (!names.is_empty()).then(|| format!("only the {who} has the events {shown}{more}"))
        };
        let differences: Vec<String> =
            [only("log", &has, &says), only("folder", &says, &has)].into_iter().flatten().collect();
        (!differences.is_empty()).then(|| differences.join(", "))
    }

    /// What the log's past has fixed, and the folder says otherwise.
    pub(super) async fn problems(
        &self,
        client: &impl GenericClient,
        folder: &LogFolder,
    ) -> anyhow::Result<Vec<FolderProblem>> {
        let (name, mut problems) = (self.log.name(), Vec::new());
        if self.log.partitions() != folder.partitions {
            let (has, says) = (self.log.partitions(), folder.partitions);
            problems.push(of_log(format!(
                "partitions is {says}, and log {name} was created with {has}, which is for ever: write partitions = \
                 {has}, or make a new log, under another name, with --as"
            )));
        }
        problems.extend(self.lost_stream_types(client, folder).await?);
        let has_rules = self.definition.is_some() && !self.takes_append();
        if has_rules && folder.domain().is_none() {
            let file = LogFolder::DOMAIN.to_owned();
            let problem = format!(
                "the file is missing, and log {name} has rules: without them anybody could Append past them; put the \
                 file back"
            );
            problems.push(FolderProblem { file, problem });
        }
        Ok(problems)
    }

    /// Types of streams that the log has, and the folder does not name any more.
    async fn lost_stream_types(
        &self,
        client: &impl GenericClient,
        folder: &LogFolder,
    ) -> anyhow::Result<Vec<FolderProblem>> {
        let applied = self.definition.as_ref().and_then(|definition| definition.files.get(LogFolder::LOG));
        if applied == folder.files.get(LogFolder::LOG) {
            return Ok(vec![]); // so are the types, and counting reads every stream
        }
        let lost = self.log.streams_of_other_types(client, &folder.definition.stream_types).await?;
        let problem = |(kind, count): (String, u64)| {
            let (log, streams) = (self.log.name(), counted(count, "stream"));
            of_log(format!("stream_types lacks \"{kind}\", and log {log} has {streams} of that type: put it back"))
        };
        Ok(lost.into_iter().map(problem).collect())
    }
}

/// A problem of `log.toml`.
pub(super) fn of_log(problem: String) -> FolderProblem {
    FolderProblem { file: LogFolder::LOG.to_owned(), problem }
}
