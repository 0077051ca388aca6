//! Finds the local cloud of a project, or starts it.
//!
//! A child process serves it, so that it outlives the command that needed it: the next command finds the same cloud, two commands
//! share it, and killing one spares it. It ends by itself when nobody has asked it anything for a minute; its state stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::deploy::Desired;
use crate::environment::source::sentence;
use crate::error::{Exit, Failure};
use crate::template::ParameterValue;

/// Where the local cloud of a project keeps its state.
pub(super) const STATE_FILE: &str = ".greenroom/state.json";

/// Where it says how it is reached.
const ADDRESS_FILE: &str = ".greenroom/simulator.json";

/// Held while it is looked for or started, so that two commands do not start two.
const LOCK_FILE: &str = ".greenroom/starting.lock";

/// What it has to say beyond its answers.
const LOG_FILE: &str = ".greenroom/simulator.log";

/// Seconds without a request after which it ends. Long enough for a person who reads a plan; short enough that nothing is left
/// behind by evening.
const IDLE_SECONDS: u64 = 60;

/// How long an answer to "are you there" may take: the process is on this machine.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);

/// How the local cloud is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Address {
    /// On 127.0.0.1.
    pub(super) port: u16,
    /// The process that serves it.
    pub(super) pid: u32,
}

impl Address {
    /// What the AWS SDK takes as its endpoint.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// The local cloud of a project, started if it is not running.
///
/// # Errors
/// When it cannot be started: its state is damaged or of a newer version, the directory cannot be written.
pub(super) fn find_or_start(root: &Path) -> Result<Address, Failure> {
    let directory = root.join(".greenroom");
    fs::create_dir_all(&directory).map_err(|error| cannot(&directory, &error))?;
    let lock_path = root.join(LOCK_FILE);
    let lock = File::create(&lock_path).map_err(|error| cannot(&lock_path, &error))?;
    lock.lock().map_err(|error| cannot(&lock_path, &error))?;
    match announced(root).filter(is_answering) {
        Some(address) => Ok(address),
        None => start(root),
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("the local cloud needs `{}`", path.display())).because(sentence(error))
}

fn announced(root: &Path) -> Option<Address> {
    serde_json::from_slice(&fs::read(root.join(ADDRESS_FILE)).ok()?).ok()
}

/// Lets the networks stand in the local cloud that an environment's file names as there already: in AWS they are.
///
/// # Errors
/// When the local cloud does not take them.
pub(super) fn stand(root: &Path, desired: &Desired) -> Result<(), Failure> {
    let Some(address) = announced(root) else { return Ok(()) };
    let mut named: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for stack in &desired.stacks {
        let here = named.entry((stack.place.account.clone(), stack.place.region.clone())).or_default();
        let texts = stack.parameters.iter().filter_map(|parameter| match &parameter.value {
            ParameterValue::Text(text) => Some(text),
            ParameterValue::Reference(_) => None,
        });
        let ids =
            texts.flat_map(|text| text.split(',')).filter(|id| id.starts_with("vpc-") || id.starts_with("subnet-"));
        here.extend(ids.map(str::to_owned));
    }
    for ((account, region), ids) in named.into_iter().filter(|(_, ids)| !ids.is_empty()) {
        let body = serde_json::json!({"account": account, "region": region, "ids": ids}).to_string();
        let answer = control(&address, "stand", &body);
        if !answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            return Err(Failure::new(Exit::Failed, "the local cloud does not take the networks that the file names"));
        }
    }
    Ok(())
}

/// Asks the local cloud for what nobody may ask AWS for.
fn control(address: &Address, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, address.port)), HEALTH_PATIENCE)?;
    stream.set_read_timeout(Some(HEALTH_PATIENCE))?;
    let head = format!(
        "POST /_sim/{path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes())?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Whether the local cloud answers there, and not some other program that got the port since.
fn is_answering(address: &Address) -> bool {
    let answer = control(address, "health", "");
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") && answer.contains("\"now\""))
}

/// Starts a server of its own process group, so that Ctrl-C for the command is none for the cloud.
fn start(root: &Path) -> Result<Address, Failure> {
    let failure = || Failure::new(Exit::Failed, "the local cloud cannot be started");
    let program = std::env::current_exe().map_err(|error| failure().because(sentence(&error)))?;
    let log_path = root.join(LOG_FILE);
    let log = File::create(&log_path).map_err(|error| cannot(&log_path, &error))?;
    let mut child = Command::new(program)
        .args(["simulate", "--idle", &IDLE_SECONDS.to_string(), "--project"])
        .arg(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .spawn()
        .map_err(|error| failure().because(sentence(&error)))?;
    // Its first line is printed when it listens; no line at all means that it ended.
    let mut line = String::new();
    let stdout = child.stdout.take().map(BufReader::new);
    let is_up = stdout.is_some_and(|mut stdout| stdout.read_line(&mut line).is_ok_and(|bytes| bytes > 0));
    match announced(root).filter(|address| is_up && address.pid == child.id()) {
        Some(address) => Ok(address),
        None => {
            let said = fs::read_to_string(&log_path).unwrap_or_default();
            let said = said.trim().trim_start_matches("error: ").to_string();
            Err(if said.is_empty() { failure() } else { failure().because(said) })
        }
    }
}

/// Says how this process is reached.
pub(super) fn announce(root: &Path, address: &Address) -> Result<(), Failure> {
    let path = root.join(ADDRESS_FILE);
    let text = serde_json::to_string(address)
        .map_err(|error| Failure::new(Exit::Failed, "an address cannot be written").because(error))?;
    let beside: PathBuf = path.with_extension("json.new");
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path)).map_err(|error| cannot(&path, &error))
}

/// Takes it back, unless another process has taken over since.
pub(super) fn withdraw(root: &Path, address: &Address) {
    if announced(root).as_ref() == Some(address) {
        // Gone is gone; the next one writes its own.
        let _ = fs::remove_file(root.join(ADDRESS_FILE));
    }
}
