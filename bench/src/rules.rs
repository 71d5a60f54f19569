//! The ledger three times: with its rules in Rust, with the same rules declared, and without rules.

use clap::ValueEnum;
use millrace::{Log, LogDefinition};
use millrace_domains::ledger::Ledger;
use millrace_schemas::Topic;
use millrace_writer::{DeclaredDomain, Domain, NoRules};
use serde::Serialize;

/// The same rules as the Rust ledger's.
const DECLARED: &str = include_str!("../../tests/declared-ledger/domain.toml");

/// Who decides the commands of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rules {
    /// The ledger in Rust.
    #[default]
    Rust,
    /// The same rules as `domain.toml`.
    Declared,
    /// Nobody: the commands are `Append`s of finished events.
    Append,
}

impl Rules {
    /// The word for it on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The log, with the read models of the ledger.
    pub fn log(self) -> Log {
        let log = match self {
            Self::Rust => Log::new(Ledger),
            Self::Declared => {
                let definition = definition("declared", false).with_stream_types(vec!["account".to_owned()]);
                let domain = DeclaredDomain::load(definition, "domain.toml", DECLARED);
                Log::new(domain.unwrap_or_else(|problems| panic!("the declared ledger is not sound: {problems}")))
            }
            Self::Append => Log::new(NoRules { definition: definition("append", true) }),
        };
        log.with_projectors(millrace_projectors::all)
    }
}

/// Tells a service which of them it works with; services of another program are not told.
pub const VARIABLE: &str = "BENCH_DOMAIN";

/// The log that a service works with.
pub fn of_service() -> Log {
    let told = std::env::var(VARIABLE).ok().and_then(|name| Rules::from_str(&name, false).ok());
    told.unwrap_or_default().log()
}

fn definition(name: &str, with_append: bool) -> LogDefinition {
    let of_topic = |topic: Topic| {
        let records = Ledger.definition().records().iter().filter(move |record| record.topic == topic);
        records.map(|record| &*record.text).collect::<Vec<_>>()
    };
    // the ledger's commands too: the work that fills a log without a writer is made of them
    let commands = of_topic(Topic::Commands).into_iter().chain(with_append.then_some(LogDefinition::APPEND));
    let commands: Vec<&str> = commands.collect();
    let definition = LogDefinition::parse(name, &commands, &of_topic(Topic::Events));
    definition.expect("the ledger's own schemas are sound")
}
