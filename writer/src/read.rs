//! Reads commands from Kafka's records.

use std::collections::HashSet;
use std::sync::Arc;

use millrace_runtime::kafka::{Fields, Record};
use millrace_runtime::trace::Traceparent;
use millrace_schemas::headers::{
    CAUSATION_ID, CE_ID, CE_SOURCE, CE_TYPE, CLIENT_ADDRESS, CONTENT_TYPE, CORRELATION_ID, EXPECTED_VERSION, JSON,
    TRACEPARENT, USER_ID,
};
use millrace_schemas::{DecodeError, Metadata, Received, Topic, framing};
use millrace_store::command_key;
use rdkafka::Message;

use crate::Domain;
use crate::append::{APPEND, Appends, UNKNOWN_STREAM_TYPE};
use crate::command::{Body, Command, Sender, Unreadable, hash_of_command};
use crate::schemas::Schemas;

/// Longest header value that the writer accepts, in bytes: it copies headers to events and outcomes.
const MAX_HEADER: usize = 200;

/// A batch of records and their commands.
pub struct ReadBatch<C> {
    /// All records, readable or not; those of a partition in order of offset.
    pub records: Vec<Record>,
    /// The commands, each with the index of its record, ascending.
    pub commands: Vec<(usize, Command<C>)>,
    /// The records that are not commands, by their index, ascending.
    pub unreadable: Vec<(usize, Unreadable)>,
}

/// The codes of records that another log definition may be able to read.
const OF_SCHEMAS: [&str; 4] = ["wrong_type", "schema_mismatch", "unknown_schema_id", "foreign_schema"];

/// Why a record did not become a command.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nobody will ever be able to read it.
    #[error("{}", .0.reason)]
    Unreadable(Unreadable),
    /// The registry has not answered for this schema id yet: read it again.
    #[error("the registry has not answered for schema {0}")]
    Away(u32),
}

impl From<Unreadable> for ReadError {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<DecodeError> for Unreadable {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Unreadable { code, reason } => Self::new(code, reason),
            // only a look-up gives this, and those try again until they have an answer
            DecodeError::Transient(error) => Self::new("registry_unavailable", error.to_string()),
        }
    }
}

/// Reads the records of the command topic by one log definition.
pub struct Reader<D> {
    /// The log's rules.
    pub domain: Arc<D>,
    /// The registry's schemas.
    pub schemas: Schemas,
    /// Where the log takes finished events.
    pub appends: Option<Appends>,
    /// The source of records that nobody else is the source of: see [`millrace_schemas::LogName::source`].
    pub own_source: String,
    /// Largest value, in bytes.
    pub max_bytes: usize,
    /// The schema ids of this definition's commands, and those that commands had which it was sure to read.
    pub known: HashSet<u32>,
    /// The schema id of the last command, if it is none of these.
    pub new_id: Option<u32>,
}

impl<D: Domain> Reader<D> {
    /// Reads a record.
    ///
    /// # Errors
    /// Unreadable, with the command id if the record has a readable one; or away, while the registry does not answer.
    pub async fn read(&mut self, record: &Record) -> Result<Command<D::Command>, ReadError> {
        self.new_id = None;
        let fields = Fields::of(&record.message);
        let id = command_id(&fields)?;
        let metadata = self.metadata(&fields, &id).map(Arc::new);
        let known = metadata.as_ref().ok().cloned();
        let named = |mut unreadable: Unreadable| {
            let correlated = || Arc::new(Metadata { correlation_id: Some(id.clone()), ..Metadata::default() });
            let metadata = known.clone().unwrap_or_else(correlated);
            unreadable.sender = Some(Box::new(Sender { command_id: id.clone(), metadata }));
            ReadError::Unreadable(unreadable)
        };
        if fields.unnamed() > 0 {
            return Err(named(Unreadable::new("invalid_header", "The name of a header is not UTF-8.")));
        }
        let metadata = metadata.map_err(named)?;
        let value = value(record, self.max_bytes).map_err(named)?;
        let expected = match header(&fields, EXPECTED_VERSION).map_err(named)? {
            None => Ok(Default::default()),
            Some(text) => text.parse().map_err(|e| Unreadable::new("invalid_expected_version", format!("{e}"))),
        };
        let expected = expected.map_err(named)?;
        let decoded = match self.decode(&fields, value).await {
            Ok(decoded) => decoded,
            Err(ReadError::Unreadable(unreadable)) => return Err(named(unreadable)),
            Err(away) => return Err(away),
        };
        let unreadable = |error: DecodeError| named(error.into());
        decoded.check().map_err(unreadable)?;
        let (body, content) = self.body(&decoded).map_err(named)?;
        let hash = hash_of_command(content, expected);
        Ok(Command { key: command_key(&id), id, hash, body, expected, metadata })
    }

    /// Whether another definition of the log may read the last record differently: it has a schema that is new here, or
    /// one that this definition can't read; or it names streams of a type that this definition does not have.
    pub fn may_be_of_another_definition(&self, read: &Result<Command<D::Command>, ReadError>) -> bool {
        let is_misfit = match read {
            Err(ReadError::Unreadable(unreadable)) => OF_SCHEMAS.contains(&unreadable.code),
            Ok(Command { body: Body::Append(Err(rejection)), .. }) => rejection.code == UNKNOWN_STREAM_TYPE,
            _ => false,
        };
        self.new_id.is_some() || is_misfit
    }

    /// Notes that there was no other definition when the last record had come: its schema is not new any more.
    pub fn was_of_this_definition(&mut self) {
        self.known.extend(self.new_id.take());
    }

    /// The command, and the hash of its content.
    fn body(&self, decoded: &Received<'_>) -> Result<(Body<D::Command>, [u8; 16]), Unreadable> {
        let name = decoded.name();
        if let (APPEND, Some(appends)) = (name, &self.appends) {
            let (append, hash) = appends.read(decoded)?;
            return Ok((Body::Append(append), hash));
        }
        let command = self.domain.read_command(decoded);
        let command = command.ok_or_else(|| {
            let known = self.domain.definition().names(Topic::Commands).join(", ");
            Unreadable::new("wrong_type", format!("{name} is not one of the log's commands: {known}"))
        })?;
        Ok((Body::Decide(command?), decoded.content_hash()))
    }

    /// What the headers say of the command's origin.
    fn metadata(&self, fields: &Fields<'_>, id: &str) -> Result<Metadata, Unreadable> {
        let owned = |name| header(fields, name).map(|value| value.map(ToOwned::to_owned));
        // W3C Trace Context: a receiver drops an invalid traceparent
        let traceparent = header(fields, TRACEPARENT)?.and_then(|text| text.parse::<Traceparent>().ok());
        Ok(Metadata {
            correlation_id: Some(owned(CORRELATION_ID)?.unwrap_or_else(|| id.to_owned())),
            causation_id: Some(owned(CAUSATION_ID)?.unwrap_or_else(|| id.to_owned())),
            user_id: owned(USER_ID)?,
            // who hands on an event's header names the log: then nobody else is the source, as readers of the topic see it
            source: owned(CE_SOURCE)?.filter(|source| *source != self.own_source),
            client_address: owned(CLIENT_ADDRESS)?,
            traceparent: traceparent.map(|traceparent| traceparent.to_string()),
        })
    }

    async fn decode<'a>(&mut self, fields: &Fields<'_>, value: &'a [u8]) -> Result<Received<'a>, ReadError> {
        let json = header(fields, CONTENT_TYPE)?.is_some_and(|content_type| {
            let media_type = content_type.split(';').next().unwrap_or_default();
            media_type.trim().eq_ignore_ascii_case(JSON)
        });
        let decoded = if json {
            let name = header(fields, CE_TYPE)?;
            let name = name.ok_or_else(|| Unreadable::new("no_type", "A JSON command needs the header ce_type."))?;
            match &self.appends {
                Some(appends) if name == APPEND => appends.receive_json(value),
                _ => self.schemas.codec().receive_json(Topic::Commands, name, value),
            }
        } else {
            if let Ok((id, _)) = framing::unframe(value) {
                self.schemas.find(id).await.ok_or(ReadError::Away(id))??;
                self.new_id = (!self.known.contains(&id)).then_some(id);
            }
            // asks nobody: the codec knows the schema by now
            self.schemas.codec().receive(Topic::Commands, value).await
        };
        decoded.map_err(|error| match error {
            DecodeError::Unreadable { code: "no_magic_byte", reason } if value.first() == Some(&b'{') => {
                let hint = format!("{reason}; JSON needs the header content-type: {JSON}");
                Unreadable::new("no_magic_byte", hint).into()
            }
            error => Unreadable::from(error).into(),
        })
    }
}

fn command_id(fields: &Fields<'_>) -> Result<String, Unreadable> {
    match header(fields, CE_ID)? {
        Some("") | None => Err(Unreadable::new(
            "no_command_id",
            "There is no command id: set the header ce_id, the same each time the command is sent.",
        )),
        Some(id) => Ok(id.to_owned()),
    }
}

fn value(record: &Record, max_bytes: usize) -> Result<&[u8], Unreadable> {
    match record.message.payload() {
        None => Err(Unreadable::new("no_value", "The record has no value.")),
        Some(value) if value.len() > max_bytes => {
            let reason = format!("The value has {} bytes; a command has at most {max_bytes}.", value.len());
            Err(Unreadable::new("oversized", reason))
        }
        Some(value) => Ok(value),
    }
}

/// The text of a header; it must be short and have no control characters. If a name comes twice, the last one counts.
fn header<'r>(fields: &Fields<'r>, name: &str) -> Result<Option<&'r str>, Unreadable> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let invalid = |problem: &str| Unreadable::new("invalid_header", format!("The header {name} {problem}."));
    if value.len() > MAX_HEADER {
        return Err(invalid("is longer than 200 bytes"));
    }
    let text = std::str::from_utf8(value).map_err(|_| invalid("is not UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(invalid("has a control character"));
    }
    Ok(Some(text))
}
