//! Batches of decided commands, ready for [`Log::append`], as the writer makes them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use deadpool_postgres::Client;
use millrace_domains::ledger::{ACCOUNT, AccountOpened, EntryPosted, OpenAccount};
use millrace_schemas::{Metadata, Outcome, OutcomeKind, StreamId, StreamVersion, Token};
use millrace_store::{AppendBatch, Head, Log, NewCommand, NewEvent, StoredSchema, command_key};
use serde::Serialize;
use uuid::Uuid;

use crate::arguments::Skew;
use crate::ledger_schemas::LedgerSchemas;
use crate::work::{ACCOUNTS, CURRENCY, Set, Work, account_id};

/// Makes batches, each on the heads that the batch before it leaves: append them in this order, all of them, and let
/// nobody else append to their partitions.
pub struct Appends {
    log: Log,
    schemas: LedgerSchemas,
    work: Work,
    /// Stream and version of each account.
    accounts: Vec<(StreamId, i64)>,
    heads: BTreeMap<i32, Head>,
    /// The next offset of each partition of the command topic.
    next_offsets: BTreeMap<i32, i64>,
    made: u64,
}

/// A batch while commands are added to it.
#[derive(Default)]
struct Draft {
    commands: Vec<NewCommand>,
    events: Vec<NewEvent>,
    /// The heads before the batch.
    heads: BTreeMap<i32, Head>,
    next_offsets: BTreeMap<i32, i64>,
    /// The same before the batch.
    known_offsets: BTreeMap<i32, i64>,
}

/// An event of a command: the account it is of, its schema and its datum.
struct Decided {
    account: usize,
    schema: i16,
    datum: Vec<u8>,
}

/// The streams of all accounts, by the accounts' numbers.
pub fn streams() -> anyhow::Result<Vec<StreamId>> {
    (0..ACCOUNTS).map(|number| Ok(StreamId::new(ACCOUNT, &account_id(number))?)).collect()
}

impl Appends {
    /// On a log as [`OwnLog::open`](crate::own_log::OwnLog::open) leaves it: every account is open and has no entry.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn new(log: &Log, client: &Client, work: Work) -> anyhow::Result<Self> {
        Self::on(log, client, work, 1).await
    }

    /// On a log without accounts: for [`Appends::open_accounts`] alone.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn before_opening(log: &Log, client: &Client) -> anyhow::Result<Self> {
        let no_sets = Work::new(0, Skew::Uniform, Vec::new());
        Self::on(log, client, no_sets, 0).await
    }

    async fn on(log: &Log, client: &Client, work: Work, version: i64) -> anyhow::Result<Self> {
        let heads = log.all_heads(client).await?.into_iter().map(|(head, _)| (head.partition, head));
        Ok(Self {
            schemas: LedgerSchemas::read(log, client).await?,
            log: log.clone(),
            work,
            accounts: streams()?.into_iter().map(|stream| (stream, version)).collect(),
            heads: heads.collect(),
            next_offsets: BTreeMap::new(),
            made: 0,
        })
    }

    /// The stream of an account, and its version after all batches that were made.
    pub fn account(&self, number: usize) -> &(StreamId, i64) {
        &self.accounts[number]
    }

    /// The next `sets` entry sets, each a command with two events.
    pub fn batch(&mut self, sets: usize) -> anyhow::Result<AppendBatch> {
        let mut draft = Draft::default();
        for _ in 0..sets {
            let Set { accounts, command } = self.work.next_set();
            let schema = self.schemas.entry_posted;
            let mut events = Vec::with_capacity(accounts.len());
            for (account, entry) in accounts.into_iter().zip(&command.entries) {
                let event = EntryPosted {
                    entry_set_id: command.entry_set_id.clone(),
                    account_id: entry.account_id.clone(),
                    amount_minor: entry.amount_minor,
                    reporting_at: command.reporting_at,
                    description: command.description.clone(),
                    currency: CURRENCY.to_owned(),
                };
                events.push(Decided { account, schema: schema.number, datum: schema.schema.encode(&event)? });
            }
            self.add(&mut draft, self.schemas.post_entry_set, &command, events)?;
        }
        Ok(self.finish(draft))
    }

    /// The commands that open these accounts.
    pub fn open_accounts(&mut self, numbers: Range<usize>) -> anyhow::Result<AppendBatch> {
        let mut draft = Draft::default();
        for account in numbers {
            let (account_id, currency) = (account_id(account), CURRENCY.to_owned());
            let command = OpenAccount { account_id, currency, overdraft_limit_minor: None };
            let OpenAccount { account_id, currency, overdraft_limit_minor } = command.clone();
            let event = AccountOpened { account_id, currency, overdraft_limit_minor };
            let schema = self.schemas.account_opened;
            let event = Decided { account, schema: schema.number, datum: schema.schema.encode(&event)? };
            self.add(&mut draft, self.schemas.open_account, &command, vec![event])?;
        }
        Ok(self.finish(draft))
    }

    /// Adds an accepted command, its outcome and its events.
    fn add(
        &mut self,
        draft: &mut Draft,
        schema: StoredSchema,
        command: &impl Serialize,
        events: Vec<Decided>,
    ) -> anyhow::Result<()> {
        self.made += 1;
        let id = Uuid::now_v7().to_string();
        let mut outcome = Outcome {
            command_id: id.clone(),
            command_type: schema.schema.name.clone(),
            outcome: OutcomeKind::Accepted,
            code: None,
            message: None,
            token: None,
            streams: Vec::with_capacity(events.len()),
            recorded_at: 0,
        };
        let metadata = Arc::new(Metadata {
            correlation_id: Some(id.clone()),
            causation_id: Some(id.clone()),
            source: Some("millrace/bench".to_owned()),
            ..Metadata::default()
        });
        let mut last_positions = BTreeMap::new();
        for (nr, event) in events.into_iter().enumerate() {
            let event = self.place(event, metadata.clone(), &mut draft.heads);
            let version = StreamVersion { stream_id: event.stream_id.to_string(), version: event.version };
            outcome.streams.push(version);
            last_positions.insert(event.partition, event.position);
            if nr == 0 {
                // the command's key is its first stream
                let next = self.next_offsets.entry(event.partition).or_default();
                draft.known_offsets.entry(event.partition).or_insert(*next);
                *next += 1;
                draft.next_offsets.insert(event.partition, *next);
            }
            draft.events.push(event);
        }
        outcome.token = Some(self.tokens(last_positions));
        draft.commands.push(NewCommand {
            key: command_key(&id),
            hash: schema.schema.content_hash(&schema.schema.encode(command)?),
            outcome: outcome.encode_without_time(self.schemas.outcome.schema)?,
        });
        Ok(())
    }

    /// Gives an event the next version of its stream and the next position of its partition.
    fn place(&mut self, event: Decided, metadata: Arc<Metadata>, before: &mut BTreeMap<i32, Head>) -> NewEvent {
        let Decided { account, schema, datum } = event;
        let (stream_id, version) = &mut self.accounts[account];
        *version += 1;
        let partition = self.log.partition_of(stream_id);
        let head = self.heads.entry(partition).or_insert(Head::empty(partition));
        before.entry(partition).or_insert(*head);
        *head = Head { partition, position: head.position + 1, event_id: Uuid::now_v7() };
        NewEvent {
            partition,
            position: head.position,
            stream_id: stream_id.clone(),
            version: *version,
            event_id: head.event_id,
            schema,
            datum,
            metadata,
        }
    }

    fn tokens(&self, last_positions: BTreeMap<i32, i64>) -> String {
        let token = |(partition, position)| Token { log: self.log.name().clone(), partition, position }.to_string();
        last_positions.into_iter().map(token).collect::<Vec<_>>().join(",")
    }

    fn finish(&self, mut draft: Draft) -> AppendBatch {
        draft.events.sort_by_key(|event| (event.partition, event.position));
        AppendBatch {
            heads: draft.heads.into_values().collect(),
            commands: draft.commands,
            outcome_schema: self.schemas.outcome.number,
            events: draft.events,
            next_offsets: draft.next_offsets.into_iter().collect(),
            known_offsets: draft.known_offsets.into_iter().collect(),
        }
    }
}
