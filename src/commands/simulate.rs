//! `simulate`: the local cloud as a server.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::{Common, Pace as AskedPace, Simulate};
use crate::commands::local::{Address, STATE_FILE, announce, withdraw};
use crate::commands::{Done, Ended, project_root};
use crate::environment::source::sentence;
use crate::error::{Exit, Failure};
use crate::simulator::{Faults, Pace, ServeError, Settings, StoreError, serve};
use crate::view::{Report, View};

pub(super) fn run(common: &Common, request: &Simulate, view: View) -> Ended {
    let root = project_root(common)?;
    let faults = request.faults.as_deref().map(fault_plan).transpose()?;
    let settings = Settings { faults, ..settings(request, root.join(STATE_FILE)) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::new(Exit::Failed, "the local cloud cannot be started").because(error))?;
    runtime.block_on(async {
        let running = serve(settings).await.map_err(refused)?;
        let address = Address { port: running.address().port(), pid: std::process::id() };
        announce(&root, &address)?;
        let notes = vec![
            format!("the local cloud listens on {}", running.url()),
            "it ends with Ctrl-C; nothing in it is real".to_string(),
        ];
        let shown = view.report(&Report::Written { files: Vec::new(), notes }, &crate::environment::Sources::default());
        shown.map_err(|error| Failure::new(Exit::Failed, "stdout cannot be written").because(error))?;
        running.run_until(asked_to_end()).await;
        withdraw(&root, &address);
        Ok(Done::with(Report::Nothing))
    })
}

/// Ctrl-C, or the polite way to end a process.
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without signals only idleness ends it.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn settings(request: &Simulate, state_file: PathBuf) -> Settings {
    let mut settings = Settings {
        port: request.port,
        state_file: Some(state_file),
        idle_seconds: request.idle,
        ..Settings::default()
    };
    settings.seed = request.seed;
    settings.pace = match request.pace {
        AskedPace::Factor(factor) => Pace::Scaled(factor),
        AskedPace::Manual => Pace::Manual,
        AskedPace::Auto => Pace::Auto,
    };
    if let Some(page_size) = request.page_size {
        settings.rules.page_size = page_size.into();
    }
    settings
}

fn fault_plan(path: &Path) -> Result<Faults, Failure> {
    let failure = || Failure::new(Exit::Usage, format!("the fault plan `{}` cannot be read", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failure().because(sentence(&error)))?;
    let hint = "a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each";
    Faults::plan(&text).map_err(|error| failure().because(error).hint(hint))
}

fn refused(error: ServeError) -> Failure {
    let hint = match &error {
        ServeError::Store(StoreError::InUse { .. }) => "another one is running for this project: end it, or use it",
        ServeError::Store(StoreError::Newer { .. }) => {
            "use the greenroom that wrote it, or move it away: then the local cloud begins empty, and nothing real is lost"
        }
        ServeError::Store(StoreError::Damaged { .. }) => {
            "move it away: then the local cloud begins empty, and nothing real is lost"
        }
        ServeError::Store(StoreError::Io { .. }) => "may the project's `.greenroom/` be written, and is there room?",
        ServeError::Listen { .. } => "another port, or none: then the system chooses one",
    };
    Failure::new(Exit::Failed, "the local cloud cannot be served").because(error).hint(hint)
}
