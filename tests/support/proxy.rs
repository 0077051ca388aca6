//! Stands between the real binary and the local cloud: counts calls, and ends the caller before or after one of them.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// When the caller ends, counted in calls from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It lives.
    Lives,
    /// It is killed before the call reaches the cloud.
    DiesBefore(usize),
    /// It is killed after the call took effect, before the answer arrives.
    DiesAfter(usize),
}

/// A running proxy; it ends with the test.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    cloud: AtomicU16,
    calls: AtomicUsize,
    fate: Mutex<Fate>,
    caller: Mutex<Option<Child>>,
    heard: Mutex<Vec<String>>,
}

impl Proxy {
    /// Listens, and passes everything on to the cloud at a port.
    pub(crate) fn before(cloud: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            cloud: AtomicU16::new(cloud),
            calls: AtomicUsize::new(0),
            fate: Mutex::new(Fate::Lives),
            caller: Mutex::new(None),
            heard: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&accepting);
                thread::spawn(move || while pass_one(&stream, &shared).is_some() {});
            }
        });
        Self { port, shared }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The calls since this was asked last, each as it came.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.heard.lock().unwrap())
    }

    /// Passes everything on to another port from here on.
    pub(crate) fn leads_to(&self, cloud: u16) {
        self.shared.cloud.store(cloud, Ordering::SeqCst);
    }

    /// Runs a caller to its end or to its fate. Gives the number of calls it made, and its exit code if it lived.
    pub(crate) fn run(&self, caller: Child, fate: Fate) -> (usize, Option<i32>) {
        *self.shared.fate.lock().unwrap() = fate;
        self.shared.calls.store(0, Ordering::SeqCst);
        *self.shared.caller.lock().unwrap() = Some(caller);
        let code = loop {
            let mut caller = self.shared.caller.lock().unwrap();
            if let Some(status) = caller.as_mut().unwrap().try_wait().unwrap() {
                *caller = None;
                break status.code();
            }
            drop(caller);
            thread::sleep(Duration::from_millis(5));
        };
        (self.shared.calls.load(Ordering::SeqCst), code)
    }
}

impl Shared {
    fn kill(&self) {
        if let Some(caller) = self.caller.lock().unwrap().as_mut() {
            // It may have ended by itself in the meantime.
            let _ = caller.kill();
        }
    }
}

/// What the caller says of a connection that it wants to be closed.
const LAST: &[u8] = b"connection: close";

/// Passes one call on; nothing when the connection is over or the caller has met its fate.
fn pass_one(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let request = message(&mut BufReader::new(stream))?;
    let is_counted = !request.starts_with(b"POST /_sim/");
    let number = if is_counted { shared.calls.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
    if is_counted {
        shared.heard.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    }
    let fate = *shared.fate.lock().unwrap();
    if is_counted && fate == Fate::DiesBefore(number) {
        shared.kill();
        return None;
    }
    let mut cloud =
        TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, shared.cloud.load(Ordering::SeqCst)))).ok()?;
    cloud.write_all(&request).ok()?;
    let answer = message(&mut BufReader::new(&cloud))?;
    if is_counted && fate == Fate::DiesAfter(number) {
        shared.kill();
        return None;
    }
    let mut stream = stream;
    stream.write_all(&answer).ok()?;
    let is_last = request.windows(LAST.len()).any(|window| window == LAST);
    (!is_last).then_some(())
}

/// A whole HTTP message, as it came: the head, and as much body as it announces.
fn message(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    let mut length = 0;
    loop {
        let start = whole.len();
        if reader.read_until(b'\n', &mut whole).ok()? == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(&whole[start..]).to_lowercase();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    whole.extend(body);
    Some(whole)
}
