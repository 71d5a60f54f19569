//! The arguments of `millrace events`.

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The filters and the limit of `millrace events`.
#[derive(Debug, Default, Args)]
pub struct EventsArguments {
    /// Only events of this type, such as EntryPosted. Give it several times for several types.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only events of this stream, such as account-42.
    #[arg(long, value_name = "ID", conflicts_with_all = ["partition", "from"])]
    pub stream: Option<String>,
    /// Only events of this partition.
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// Only events from this position of the partition on.
    #[arg(long, value_name = "POSITION", requires = "partition", value_parser = clap::value_parser!(i64).range(1..))]
    pub from: Option<i64>,
    /// Only events recorded at this time or later: RFC 3339, or a date, which means its first moment in UTC.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<Timestamp>,
    /// Only events recorded before this time: RFC 3339, or a date, which means its first moment in UTC.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<Timestamp>,
    /// Only events with this correlation id.
    #[arg(long, value_name = "ID")]
    pub correlation: Option<String>,
    /// Only events of commands that were sent on behalf of this user.
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// End after so many events.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// Parses a moment. Refuses a time without an offset: it would be another moment on another machine.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    // not parse(): it would also accept a time of day, and drop it
    let day = Date::strptime("%Y-%m-%d", text).and_then(|day| day.to_zoned(TimeZone::UTC));
    day.map(|day| day.timestamp())
        .map_err(|_| "it must be a time such as 2026-11-24T20:15:00Z, or a date such as 2026-11-24".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn a_moment_is_a_time_with_its_offset_or_a_day() {
        for (text, expected) in [
            ("2026-11-24T20:15:00Z", Some("2026-11-24T20:15:00Z")),
            ("2026-11-24T20:15:00.25+02:00", Some("2026-11-24T18:15:00.25Z")),
            ("2026-11-24", Some("2026-11-24T00:00:00Z")),
            ("2026-11-24T20:15:00", None),
            ("2026-11-31", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(time(text).ok().map(|time| time.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_position_needs_its_partition_and_neither_goes_with_a_stream() {
        let parse = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["millrace", "events"], arguments].concat()).ok()?;
            if let Command::Events(arguments) = cli.command { Some(arguments) } else { None }
        };
        assert_eq!(parse(&["--type", "A", "--type", "B"]).map(|found| found.types.len()), Some(2));
        assert_eq!(parse(&["--partition", "3", "--from", "17"]).and_then(|found| found.from), Some(17));
        assert!(parse(&["--partition", "3"]).is_some());
        for refused in [
            &["--from", "17"][..],
            &["--partition", "3", "--from", "0"],
            &["--partition", "-1"],
            &["--stream", "account-1", "--partition", "3"],
            &["--since", "noon"],
        ] {
            assert!(parse(refused).is_none(), "{refused:?}");
        }
    }
}
