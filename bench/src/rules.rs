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
    /// The log, with the read models of the ledger.
    pub fn log(self) -> Log {
        let log = match self {
            Self::Rust => Log::new(Ledger),
            Self::Declared => {
                let types = ["account".to_owned()];
                let domain = DeclaredDomain::parse(definition("declared", false), &types, "domain.toml", DECLARED);
                Log::new(domain.unwrap_or_else(|problems| panic!("the declared ledger is not sound: {problems}")))
            }
            Self::Append => Log::new(NoRules { definition: definition("append", true) }),
        };
        log.with_projectors(millrace_projectors::all)
    }
}

/// All of them: the services find theirs by the name of the definition.
pub fn logs() -> [Log; 3] {
    [Rules::Rust, Rules::Declared, Rules::Append].map(Rules::log)
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
