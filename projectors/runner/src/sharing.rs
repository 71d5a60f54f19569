//! Two databases that fill the same read model by one consumer group: each would get a share of the events, and show
//! half the truth without an error.
//!
//! Every member of the group says in its client id which database it fills, and looks who else is a member. So only
//! members that are there count; a read model may be moved, or made anew, at any time.

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{Offsets, group_client_ids};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use tokio_postgres::error::SqlState;

use crate::ProjectorError;

/// Between what a client id is otherwise, and the database.
const MARK: char = '@';

/// This instance's word on the database that it fills.
pub(crate) struct Sharing {
    group: String,
    /// Its name, and the cluster's identifier; `None` where the role may not see that.
    database: Option<String>,
}

impl Sharing {
    /// Asks Postgres which database it is.
    pub(crate) async fn ask(pool: &Pool, group: &str) -> Result<Self, ProjectorError> {
        let client = pool.get().await?;
        let database = match client.query_one(include_str!("sharing/database.sql"), &[]).await {
            Ok(row) => Some(row.try_get(0)?),
            // some providers keep it to themselves
            Err(error) if matches!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE)) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { group: group.to_owned(), database })
    }

    /// Puts the database into the client id.
    pub(crate) fn mark(&self, config: &mut ClientConfig) {
        if let Some(database) = &self.database {
            let client_id = format!("{}{MARK}{database}", config.get("client.id").unwrap_or_default());
            config.set("client.id", client_id);
        }
    }

    /// Looks before joining, so that the members that are there are not disturbed. While Kafka does not answer, it is not
    /// known: [`Sharing::look`] sees it later.
    pub(crate) async fn look_before_joining(&self, config: &ClientConfig) -> Result<(), ProjectorError> {
        self.check(group_client_ids(config).await)
    }

    /// Looks as a member. Where the other one joined while Kafka did not answer, this also ends the one that was there
    /// first; the error says which of them is to go.
    pub(crate) async fn look(&self, offsets: &Offsets) -> Result<(), ProjectorError> {
        if self.database.is_none() {
            return Ok(());
        }
        self.check(offsets.member_client_ids().await)
    }

    fn check(&self, members: Result<Vec<String>, KafkaError>) -> Result<(), ProjectorError> {
        let members = match members {
            Ok(members) => members,
            Err(error) => {
                tracing::debug!(%error, "not seen who is a member of the group");
                return Ok(());
            }
        };
        match self.database.as_deref().and_then(|ours| Some((ours, other_than(ours, &members)?))) {
            Some((ours, other)) => Err(ProjectorError::SharedGroup {
                group: self.group.clone(),
                other: other.to_owned(),
                ours: ours.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// A database that a member of the group fills, other than ours. Members that name none may be anybody's.
fn other_than<'m>(ours: &str, members: &'m [String]) -> Option<&'m str> {
    let databases = members.iter().filter_map(|client_id| client_id.split_once(MARK));
    databases.map(|(_, database)| database).find(|database| *database != ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_fills_another_database_is_seen_and_one_that_names_none_is_not_held_against_it() {
        let members = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let ours = "bank.6a";
        assert_eq!(other_than(ours, &members(&["millrace@bank.6a", "kcat", ""])), None);
        assert_eq!(other_than(ours, &members(&["millrace@bank.6a", "millrace@bank.7f"])), Some("bank.7f"));
        assert_eq!(other_than(ours, &members(&["millrace@staging@x.6a"])), Some("staging@x.6a"));
    }
}
