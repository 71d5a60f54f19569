//! What applying a folder would change, and everything that forbids it. Changes nothing.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use futures::{StreamExt, TryStreamExt, stream};
use millrace_runtime::Settings;
use millrace_runtime::kafka::{TopicSpec, client_config, topic_partitions};
use millrace_schemas::{FolderProblem, LogFolder, LogName, Registry};
use millrace_store::{StoreError, StoredSchema, Tables, tables};

use super::existing::{Existing, of_log};
use super::report::Change;
use super::versions::{NewVersion, new_versions, with_stored_texts};
use crate::migrate::topics;
use crate::output::counted;

/// Requests to the registry at a time.
pub(super) const AT_ONCE: usize = 8;

/// A folder that may be applied, and what it would change.
pub(super) struct Plan {
    /// The folder; a schema that the log has has the log's text.
    pub(super) folder: LogFolder,
    /// In the order in which they are to be made; none when the log is as the folder describes it.
    pub(super) changes: Vec<Change>,
    /// The schemas that the log has, to find the new ones by.
    stored: Vec<StoredSchema>,
}

impl Plan {
    /// Holds a folder against the log, the topics and the registry. The inner error has what forbids to apply it.
    ///
    /// # Errors
    /// When a server does not answer.
    pub(super) async fn make(
        client: &impl GenericClient,
        settings: &Settings,
        name: &LogName,
        folder: LogFolder,
    ) -> anyhow::Result<Result<Self, Vec<FolderProblem>>> {
        let state = tables(client, name).await?;
        if state == Tables::Foreign {
            return Ok(Err(vec![of_log(StoreError::ForeignSchema(name.to_string()).to_string())]));
        }
        let existing = if state == Tables::Missing { None } else { Existing::read(client, name).await? };
        let stored = existing.as_ref().map(|existing| existing.stored.clone()).unwrap_or_default();
        if let Some(other) = existing.as_ref().and_then(|existing| existing.other_log(&folder)) {
            return Ok(Err(vec![other]));
        }
        let folder = match LogFolder::from_files(with_stored_texts(&folder, &stored)) {
            Ok(folder) => folder,
            Err(problems) => return Ok(Err(problems)),
        };
        let mut problems = match &existing {
            Some(existing) => existing.problems(client, &folder).await?,
            None => vec![],
        };
        let topics = partitions_of_topics(settings, name, &folder).await?;
        let needed = existing.as_ref().map_or(folder.partitions, |existing| existing.log.partitions());
        let missing_topics = kept(missing_topics(name, topics, needed, existing.is_some()), &mut problems);
        let new = kept(new_versions(&folder, &stored), &mut problems);
        problems.extend(objections(settings, name, &folder, &new).await?);
        if !problems.is_empty() {
            return Ok(Err(problems));
        }
        let mut changes = Vec::new();
        match &existing {
            None => changes.push(Change::CreateLog { partitions: folder.partitions }),
            Some(_) if state == Tables::Outdated => changes.push(Change::UpdateTables),
            Some(_) => {}
        }
        changes.extend(missing_topics.into_iter().map(|topic| Change::CreateTopic { topic }));
        changes.extend(new.iter().map(|new| new.change(name)));
        if existing.as_ref().is_some_and(Existing::takes_append) && folder.domain().is_some() {
            changes.push(Change::StartRules);
        }
        let files = differing(&existing.map(Existing::files).unwrap_or_default(), &folder.files);
        if !files.is_empty() {
            changes.push(Change::KeepFiles { files });
        }
        Ok(Ok(Self { folder, changes, stored }))
    }

    /// The topics that are to be created.
    pub(super) fn missing_topics(&self, settings: &Settings, log: &LogName) -> Vec<TopicSpec> {
        let is_missing = |spec: &TopicSpec| self.changes.contains(&Change::CreateTopic { topic: spec.name.clone() });
        topics(settings, log, self.folder.partitions).into_iter().filter(is_missing).collect()
    }

    /// The versions that the log lacks; those of one record in their order.
    pub(super) fn new_versions(&self) -> Vec<NewVersion<'_>> {
        // the plan was made only because there are no problems
        new_versions(&self.folder, &self.stored).unwrap_or_default()
    }
}

impl NewVersion<'_> {
    fn change(&self, log: &LogName) -> Change {
        Change::AddSchema { subject: self.record.subject(log), version: self.number }
    }
}

/// What was found; otherwise nothing, and the problems are added.
fn kept<T>(found: Result<Vec<T>, Vec<FolderProblem>>, problems: &mut Vec<FolderProblem>) -> Vec<T> {
    found.unwrap_or_else(|found| {
        problems.extend(found);
        vec![]
    })
}

/// The log's topics with the number of partitions that each has; 0 when it does not exist.
async fn partitions_of_topics(
    settings: &Settings,
    log: &LogName,
    folder: &LogFolder,
) -> anyhow::Result<Vec<(String, usize)>> {
    let names: Vec<String> = topics(settings, log, folder.partitions).into_iter().map(|topic| topic.name).collect();
    let partitions = topic_partitions(&client_config(settings)?, &names).await?;
    Ok(names.into_iter().zip(partitions).collect())
}

/// The topics that do not exist.
///
/// # Errors
/// Those of events and outcomes that have another number of partitions than the log: their partitions are the log's. A
/// writer takes any number of partitions for commands and dead letters.
fn missing_topics(
    log: &LogName,
    topics: Vec<(String, usize)>,
    needed: u32,
    log_exists: bool,
) -> Result<Vec<String>, Vec<FolderProblem>> {
    let of_log_partitions = [log.events_topic(), log.outcomes_topic()];
    let (mut missing, mut problems) = (Vec::new(), Vec::new());
    for (topic, actual) in topics {
        if actual == 0 {
            missing.push(topic);
        } else if actual != needed as usize && of_log_partitions.contains(&topic) {
            let has = format!("topic {topic} exists and has {}", counted(actual as u64, "partition"));
            problems.push(of_log(match log_exists {
                true if actual < needed as usize => format!(
                    "{has}, and log {log} has {needed} for ever: give it {needed}, with kafka-topics.sh --alter \
                     --partitions {needed}"
                ),
                true => format!(
                    "{has}, and log {log} has {needed} for ever: somebody has changed the topic, and Kafka can't take \
                     partitions away; apply the folder under another name, with --as, or restore the topic"
                ),
                false => format!(
                    "{has}, and partitions is {needed}: write partitions = {actual}, or, if the topic is somebody else's, \
                     apply the folder under another name, with --as"
                ),
            }));
        }
    }
    if problems.is_empty() { Ok(missing) } else { Err(problems) }
}

/// What the registry has against the new versions, which fit those of the log. So it has others: of an apply that was
/// broken off, or of somebody else.
async fn objections(
    settings: &Settings,
    log: &LogName,
    folder: &LogFolder,
    new: &[NewVersion<'_>],
) -> anyhow::Result<Vec<FolderProblem>> {
    let registry = Registry::new(settings.registry_url()?)?;
    let registry = &registry;
    let asked = stream::iter(new.iter().map(|new| new.record)).map(|record| async move {
        let subject = record.subject(log);
        let objections = registry.objections(&subject, &record.text).await?;
        let file = folder.file_of(record).unwrap_or(LogFolder::LOG);
        let problem = |objection: String| FolderProblem {
            file: file.to_owned(),
            problem: format!(
                "it fits the versions of log {log}, and the registry has another one under the subject {subject}: \
                 {objection}: make it fit that one too, or make a record with a new name"
            ),
        };
        anyhow::Ok(objections.into_iter().map(problem).collect::<Vec<_>>())
    });
    Ok(asked.buffered(AT_ONCE).try_collect::<Vec<_>>().await?.concat())
}

/// The paths of the files that one side lacks or has otherwise.
fn differing(kept: &BTreeMap<String, String>, files: &BTreeMap<String, String>) -> Vec<String> {
    let changed = files.iter().filter_map(|(path, text)| match kept.get(path) {
        None => Some(format!("{path} (new)")),
        Some(before) if before != text => Some(format!("{path} (changed)")),
        Some(_) => None,
    });
    let gone = kept.keys().filter(|path| !files.contains_key(*path)).map(|path| format!("{path} (gone)"));
    changed.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(partitions: [usize; 4], log_exists: bool) -> Result<Vec<String>, String> {
        let log: LogName = "orders".parse().unwrap();
        let names = ["commands", "events", "outcomes", "dead-letters"].map(|topic| format!("orders.{topic}"));
        let topics = names.into_iter().zip(partitions).collect();
        missing_topics(&log, topics, 3, log_exists)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn only_events_and_outcomes_need_the_logs_number_of_partitions() {
        assert_eq!(missing([5, 3, 3, 1], true), Ok(vec![]));
        assert_eq!(missing([5, 0, 3, 0], true), Ok(vec!["orders.events".to_owned(), "orders.dead-letters".to_owned()]));
        let refused = missing([5, 5, 5, 1], false).unwrap_err();
        assert_eq!(refused.lines().count(), 2, "{refused}");
        assert!(refused.contains("topic orders.events exists and has 5 partitions, and partitions is 3"), "{refused}");
    }

    #[test]
    fn nobody_is_told_to_delete_a_topic() {
        for partitions in [1, 5] {
            for log_exists in [true, false] {
                let refused = missing([3, partitions, 3, 3], log_exists).unwrap_err();
                assert!(!refused.contains("delete"), "{refused}");
            }
        }
    }
}
