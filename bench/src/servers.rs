//! The servers that the benchmark runs on: those of the settings, or a stack of its own.

use millrace::{at, throw_away};
use millrace_compose::{Console, Progress, Stack, StackOptions};
use millrace_runtime::Settings;

use crate::arguments::BenchArguments;

/// Servers that answer.
pub struct Servers {
    /// The settings with their addresses.
    pub settings: Settings,
    own: Option<StackOptions>,
}

impl Servers {
    /// The servers of the settings if they name Postgres, else a new stack of the benchmark's own.
    ///
    /// # Errors
    /// When a setting is missing, or a server does not start.
    pub async fn find(settings: Settings, arguments: &BenchArguments) -> anyhow::Result<Self> {
        if settings.postgres_url().is_ok() {
            return Ok(Self { settings, own: None });
        }
        let options = throw_away::fresh(&arguments.folders, "-bench").await?;
        match start(&options).await {
            Ok(stack) => Ok(Self { settings: at(&stack, settings), own: Some(options) }),
            Err(error) => {
                Stack::down_in(&options.data_dir, &Console::new()).await?;
                Err(error)
            }
        }
    }

    /// Stops a stack of its own and deletes its data, unless `--keep` says otherwise.
    ///
    /// # Errors
    /// When a process does not end, or a file can't be deleted.
    pub async fn leave(self, keep: bool) -> anyhow::Result<()> {
        let Some(StackOptions { data_dir, .. }) = self.own else { return Ok(()) };
        let console = Console::new();
        if keep {
            console.line(&format!(
                "the stack goes on running; to stop it: millrace down --data-dir {}",
                data_dir.display()
            ));
            return Ok(());
        }
        Stack::down_in(&data_dir, &console).await?;
        Ok(Stack::destroy_in(&data_dir).await?)
    }
}

async fn start(options: &StackOptions) -> anyhow::Result<Stack> {
    let stack = Stack::up(options, &Console::new()).await?;
    throw_away::mark(stack.data_dir())?;
    Ok(stack)
}
