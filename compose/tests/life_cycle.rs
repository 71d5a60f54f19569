//! Follows one stack from its first start to its end, with real servers. The test fills the default cache folder if it
//! is empty, and leaves nothing else behind.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use millrace_compose::{Ports, ServiceStart, Silent, Stack, StackError, StackOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_back_after_crashes_and_leaves_nothing_behind() {
    let data_dir = std::env::temp_dir().join(format!("millrace-life-{}", uuid::Uuid::new_v4().simple()));
    let options =
        StackOptions { data_dir: data_dir.clone(), ports: Ports::ANY, short_lived: true, ..StackOptions::default() };
    // A task of its own, so that a panic in there does not keep us from stopping the servers.
    let result = tokio::spawn(live(options)).await;
    let stopped = Stack::down_in(&data_dir, &Silent).await.expect("down after the test");
    assert!(Stack::down_in(&data_dir, &Silent).await.expect("down on nothing").is_empty());
    if let Ok(stack) = Stack::open(&data_dir) {
        stack.destroy().await.expect("nothing runs any more");
    }
    result.expect("the test itself");
    assert_eq!(names(stopped.into_iter().map(|s| s.name)), ["kafka", "postgres", "registry", "sleeper"]);
    assert!(!data_dir.exists());
}

async fn live(options: StackOptions) {
    let data_dir = options.data_dir.clone();
    assert!(matches!(Stack::open(&data_dir), Err(StackError::NoStack { .. })));
    let stack = Stack::up(&options, &Silent).await.expect("first start");
    assert_eq!(running(&stack), ["kafka", "postgres", "registry"]);
    assert!(!format!("{stack:?}").contains(&password(&data_dir)), "Debug prints no password");
    everything_listens_on_the_loopback_only(&stack);

    crashed_servers_come_back(&stack).await;
    what_runs_is_adopted(&options, &stack).await;
    a_service_is_started_once(&stack).await;
    let error = stack.clone().destroy().await.expect_err("it runs");
    assert!(matches!(error, StackError::StillRunning { .. }), "{error}");
}

async fn crashed_servers_come_back(stack: &Stack) {
    for name in ["postgres", "kafka", "registry"] {
        assert_eq!(stack.kill(name).await.expect("kill").len(), 1, "{name}");
    }
    assert!(running(stack).is_empty());
    let stranger = std::process::id();
    std::fs::write(stack.data_dir().join("postgres/postmaster.pid"), format!("{stranger}\n"))
        .expect("a stale pid file");
    stack.start(&Silent).await.expect("start after a crash");
    assert_eq!(running(stack), ["kafka", "postgres", "registry"]);
}

async fn what_runs_is_adopted(options: &StackOptions, stack: &Stack) {
    let before = stack.running();
    let adopted = Stack::up(options, &Silent).await.expect("up again");
    assert_eq!(adopted.running(), before);
    assert_eq!(adopted.addresses(), stack.addresses());
    let elsewhere = Ports { kafka: Some(1), ..Ports::default() };
    let moved = Stack::up(&StackOptions { ports: elsewhere, ..options.clone() }, &Silent).await;
    assert!(matches!(moved, Err(StackError::PortsDiffer { server: "kafka", .. })));
}

async fn a_service_is_started_once(stack: &Stack) {
    let args = ["600".to_owned()];
    let start = || stack.start_service("sleeper", Path::new("sleep"), &args, &[]);
    let ServiceStart::Started { pid } = start().await.expect("start") else { panic!("nothing ran before") };
    assert_eq!(start().await.expect("start again"), ServiceStart::AlreadyRunning { pid });
    assert_eq!(stack.stop("sleeper").await.expect("stop").len(), 1);
    assert!(matches!(start().await, Ok(ServiceStart::Started { .. })));
}

fn everything_listens_on_the_loopback_only(stack: &Stack) {
    let addresses = stack.addresses();
    for address in [&addresses.postgres_url, &addresses.kafka_bootstrap, &addresses.registry_url] {
        let start = address.find("127.0.0.1:").expect("a loopback address");
        let host_and_port = address[start..].split('/').next().expect("host and port");
        TcpStream::connect(host_and_port).expect("it listens there");
        let elsewhere = host_and_port.replace("127.0.0.1", "127.0.0.2");
        assert!(TcpStream::connect(elsewhere).is_err(), "nothing listens on other addresses");
    }
}

fn running(stack: &Stack) -> Vec<String> {
    names(stack.running().into_iter().map(|process| process.name))
}

fn names(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn password(data_dir: &Path) -> String {
    let file: PathBuf = data_dir.join("postgres.password");
    std::fs::read_to_string(file).expect("the password's file").trim().to_owned()
}
