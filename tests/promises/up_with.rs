//! A local stack as a user starts it, with more logs in it.

use std::process::Stdio;

use crate::guide::start_of_a_stack;
use crate::service::millrace;
use crate::shell::Shell;
use crate::world::World;

crate::promises![up_starts_the_logs_that_come_along_each_with_its_services];

const UP: &str = "millrace up --with orders,bank --postgres-port 0 --kafka-port 0 --kafka-controller-port 0 \
                  --registry-port 0 --http-port 0";

/// Commands that both logs accept, one that `bank` refuses, and what the streams show then.
const TRY: &str = r#"
millrace send --log orders PlaceOrder '{"order_id": "1", "customer_id": "ada", "currency": "EUR",
  "items": [{"sku": "tea", "quantity": 2, "price_minor": 450}]}'
millrace send --log bank OpenAccount '{"account_id": "a", "owner": "Ada"}'
millrace send --log bank OpenAccount '{"account_id": "b", "owner": "Bob"}'
millrace send --log bank Deposit '{"account_id": "a", "amount_minor": 500}'
for amount in 300 300; do
  millrace send --log bank Transfer '{"transfer_id": "t", "from_account_id": "a", "to_account_id": "b",
    "amount_minor": '$amount'}' || echo "answer $?"
done
millrace stream show --log orders order-1
millrace stream show --log bank account-b
millrace log list
"#;

async fn up_starts_the_logs_that_come_along_each_with_its_services(world: World) {
    let folder = world.stack.data_dir().join(format!("up-{}", world.log));
    let stack = folder.join("stack").display().to_string();
    let mut shell = Shell::new(folder, vec![("MILLRACE_DATA_DIR".to_owned(), stack.clone())]);
    let _down = Down { stack };
    let started = shell.run(UP).await;
    for service in ["orders-writer", "orders-relay", "orders-monitor", "bank-writer", "bank-relay", "bank-monitor"] {
        assert!(started.contains(&format!("{service}: ready")), "{started}");
    }
    // what the guide says starts it again, and says where it is
    let printed = shell.run(&(start_of_a_stack() + TRY)).await;
    for expected in ["OrderPlaced", "900", "TransferReceived", "insufficient_funds", "answer 1"] {
        assert!(printed.contains(expected), "no {expected} in: {printed}");
    }
    assert_eq!(printed.matches("TransferReceived").count(), 1, "{printed}");
    let again = shell.run(UP).await;
    assert!(again.contains("bank-relay: ready"), "{again}");
    let stopped = shell.run("millrace down").await;
    assert!(stopped.contains("stopped bank-writer") && stopped.contains("stopped postgres"), "{stopped}");
}

/// Stops the stack when dropped, for a test that fails: its servers outlive who starts them.
struct Down {
    stack: String,
}

impl Drop for Down {
    fn drop(&mut self) {
        // it has nothing to say when the test has stopped the stack
        let _ = millrace(&[], &["down", "--data-dir", &self.stack]).stdout(Stdio::null()).status();
    }
}
