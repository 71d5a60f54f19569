//! Makes real faults, and waits for their alerts.

use tokio_postgres::Client as Postgres;

use crate::client::{Client, JsonCommand, text_headers};
use crate::load::Load;
use crate::watched::Watched;
use crate::world::{World, wait_until};

/// Labels that choose one of several alerts with the same name.
type Labels = &'static [(&'static str, &'static str)];

const REPORTING: Labels = &[("projector", "reporting")];
const SEARCH: Labels = &[("projector", "search")];

/// SQL that makes every append slow, and SQL that mends it.
const SLOW: &str = "
    CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END';
    CREATE TRIGGER slow BEFORE INSERT ON commands FOR EACH STATEMENT EXECUTE FUNCTION be_slow()";
const FAST: &str = "DROP TRIGGER slow ON commands";
/// SQL that makes an event impossible to apply, and SQL that mends it.
const REFUSE: &str = "ALTER TABLE reporting.account_balances ADD CONSTRAINT refused CHECK (account_id <> 'refused')";
const TAKE: &str = "ALTER TABLE reporting.account_balances DROP CONSTRAINT refused";

pub async fn alerts_fire_when_their_fault_is_made_and_clear_when_it_is_mended(world: World) {
    let mut watched = Watched::start(world).await;
    let client = Client::new(&watched.world);
    let postgres = watched.world.pool(1).get().await.expect("Postgres");
    let accounts: Vec<_> = (0..40).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None)).collect();
    client.send_all(&accounts).await;
    watched.world.wait_for_outcomes(40).await;
    nothing_fires(&watched).await;
    projectors_stop_and_commands_are_bad(&mut watched, &client, &postgres).await;
    relay_and_writer_stop(&mut watched, &client).await;
    watched.world.audit().await;
}

/// Stops `search`, gives `reporting` an event that it can't apply, sends commands that conflict or can't be read, and
/// then makes Postgres slow.
async fn projectors_stop_and_commands_are_bad(watched: &mut Watched, client: &Client, postgres: &Postgres) {
    watched.stop("search").await;
    run(postgres, REFUSE).await;
    client.send(&JsonCommand::open("refused", "refused", None)).await;
    let stale = |n| JsonCommand::close(format!("stale-{n}"), &format!("a{n}")).expecting("no-stream");
    client.send_all(&(0..40).map(stale).collect::<Vec<_>>()).await;
    client.send_raw(Some("account-a0"), Some(b"not a command"), text_headers(&[("ce_id", "bad")])).await;
    let at_once: [(&str, Labels); 4] = [
        ("MillraceConflictsHigh", &[]),
        ("MillraceDeadLetters", &[]),
        ("MillraceProjectorPartitionStopped", REPORTING),
        ("MillraceServiceDown", &[("job", "search")]),
    ];
    let later: [(&str, Labels); 4] = [
        ("MillracePostgresSlow", &[]),
        ("MillraceWriteLatencyHigh", &[]),
        ("MillraceProjectionLagHigh", SEARCH),
        ("MillraceProjectionLagHigh", REPORTING),
    ];
    for (alert, labels) in at_once {
        watched.fires(alert, labels).await;
    }
    run(postgres, SLOW).await;
    let load = Load::start(&watched.world);
    for (alert, labels) in later {
        watched.fires(alert, labels).await;
    }
    drop(load);
    run(postgres, FAST).await;
    run(postgres, TAKE).await;
    watched.start_again("search").await;
    watched.stop("reporting").await;
    watched.start_again("reporting").await;
    for (alert, labels) in at_once.into_iter().chain(later) {
        watched.clears(alert, labels).await;
    }
}

/// Kills the relay while events are committed, then stops the writer while commands come.
async fn relay_and_writer_stop(watched: &mut Watched, client: &Client) {
    watched.kill("relay");
    client.send(&JsonCommand::open("unpublished", "unpublished", None)).await;
    assert_eq!(watched.world.outcome("unpublished").await["outcome"], "accepted");
    watched.stop("writer").await;
    client.send(&JsonCommand::open("unread", "unread", None)).await;
    watched.fires("MillraceRelayStopped", &[]).await;
    watched.fires("MillraceWriterStopped", &[]).await;
    watched.start_again("writer").await;
    watched.start_again("relay").await;
    nothing_fires(watched).await;
}

async fn nothing_fires(watched: &Watched) {
    wait_until("no alert fires", async || {
        let scraped =
            watched.prometheus.query("count(up == 1) == 5 and on () count(millrace_monitor_up == 1) == 2").await;
        let alerts = watched.prometheus.alerts().await;
        scraped.is_ok_and(|values| !values.is_empty()) && !alerts.iter().any(|alert| alert.fires)
    })
    .await;
}

async fn run(postgres: &Postgres, sql: &str) {
    postgres.batch_execute(sql).await.expect("the statement runs");
}
