//! Serves a world over HTTP on the loopback interface. One lock around the world: requests are answered one after the
//! other, which is what makes a run repeatable; the lock is not held while an answer travels.

use super::clock::{Clock, machine_now};
use super::settings::Settings;
use super::store::{Store, StoreError};
use super::wire::{Answer, Delivery, Request};
use super::world::World;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Why the local cloud cannot be served.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the sentences say it")]
pub enum ServeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("port {port} on 127.0.0.1 cannot be listened on")]
    Listen { port: u16, source: io::Error },
}

/// A local cloud that is being served. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops taking connections, lets the answers under way go out, and waits for that.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }

    /// Serves until it has been idle for too long, or until `asked` to stop.
    pub async fn run_until(mut self, asked: impl Future<Output = ()>) {
        tokio::select! {
            _ = &mut self.task => return,
            () = asked => {}
        }
        self.stop().await;
    }
}

/// Opens the state, listens on 127.0.0.1 and serves until stopped or idle for too long.
///
/// # Errors
/// When the state file is in use, damaged, newer or unreadable, or the port is taken.
pub async fn serve(settings: Settings) -> Result<Running, ServeError> {
    let (store, stored) = match &settings.state_file {
        Some(path) => {
            let (store, world) = Store::open(path)?;
            (Some(store), world)
        }
        None => (None, None),
    };
    let mut world = stored.unwrap_or_else(|| World::new(&settings, settings.start.unwrap_or_else(machine_now)));
    world.adopt(&settings);
    let clock = Clock::from(world.now(), settings.pace);
    let listening = |source| ServeError::Listen { port: settings.port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await.map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    let cloud = Arc::new(Cloud { inner: Mutex::new(Inner { world, clock, store, last_request: Instant::now() }) });
    let (stop, stopped) = watch::channel(false);
    let idle = settings.idle_seconds.map(Duration::from_secs);
    let task = tokio::spawn(accept(listener, cloud, stopped, idle));
    Ok(Running { address, stop, task })
}

struct Cloud {
    inner: Mutex<Inner>,
}

struct Inner {
    world: World,
    clock: Clock,
    store: Option<Store>,
    last_request: Instant,
}

impl Cloud {
    /// Answers one request; what it changed is on disk before this returns.
    fn answer(&self, request: &Request) -> Answer {
        // A poisoned lock means that a request panicked, which is a bug; the world it left is still the best we have.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        inner.last_request = Instant::now();
        let answer = inner.world.handle(request, inner.clock.now());
        inner.clock.catch_up(inner.world.now());
        let saved = match (&inner.store, inner.world.take_changed()) {
            (Some(store), true) => store.save(&inner.world),
            (Some(_), false) | (None, _) => Ok(()),
        };
        match saved {
            Ok(()) => answer,
            Err(error) => Answer::new(400, "text/plain", format!("the local cloud cannot keep its state: {error}")),
        }
    }

    fn idle_for(&self) -> Duration {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).last_request.elapsed()
    }

    /// Keeps the time that has passed since the last change.
    fn save_time(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        inner.world.advance(inner.clock.now());
        if let Some(store) = &inner.store {
            // Nothing acknowledged is lost if this fails: only the time since the last call.
            let _ = store.save(&inner.world);
        }
    }
}

async fn accept(listener: TcpListener, cloud: Arc<Cloud>, mut stopped: watch::Receiver<bool>, idle: Option<Duration>) {
    /// How often idleness is looked at.
    const LOOK: Duration = Duration::from_millis(500);
    /// How long answers under way may take to go out.
    const PATIENCE: Duration = Duration::from_secs(2);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&cloud), stopped.clone()));
                }
            }
            _ = stopped.changed() => break,
            () = tokio::time::sleep(LOOK) => {
                if idle.is_some_and(|idle| cloud.idle_for() > idle) {
                    break;
                }
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(PATIENCE, async { while connections.join_next().await.is_some() {} }).await;
    cloud.save_time();
}

async fn connection(stream: TcpStream, cloud: Arc<Cloud>, mut stopped: watch::Receiver<bool>) {
    let service = service_fn(move |request| respond(request, Arc::clone(&cloud)));
    let mut connection = std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// The answer will not come: hyper closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
struct Closed;

async fn respond(request: hyper::Request<Incoming>, cloud: Arc<Cloud>) -> Result<hyper::Response<Full<Bytes>>, Closed> {
    let Some(request) = read(request).await else {
        return Err(Closed);
    };
    let cloud = Arc::clone(&cloud);
    // Writing state waits for the disk: not on a thread that serves sockets.
    let answer = tokio::task::spawn_blocking(move || cloud.answer(&request)).await.map_err(|_| Closed)?;
    deliver(answer).await
}

async fn read(request: hyper::Request<Incoming>) -> Option<Request> {
    /// No call of these services carries more, but for objects in S3, of which templates are the largest.
    const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.ok()?.to_bytes().to_vec();
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Some(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body,
    })
}

async fn deliver(answer: Answer) -> Result<hyper::Response<Full<Bytes>>, Closed> {
    let mut body = answer.body;
    let mut promised = None;
    match answer.delivery {
        Delivery::Whole => {}
        Delivery::Closed => return Err(Closed),
        Delivery::Truncated => {
            promised = Some(body.len());
            body.truncate(body.len() / 2);
        }
        Delivery::Delayed(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
        Delivery::Hung => std::future::pending::<()>().await,
    }
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    if let Some(length) = promised {
        response = response.header("content-length", length);
    }
    response.body(Full::new(Bytes::from(body))).map_err(|_| Closed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn ask(address: SocketAddr, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        let length = body.len();
        let request =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn listens_on_the_loopback_interface_only_and_stops_cleanly() {
        let running =
            serve(Settings { start: Some(super::super::Moment(0)), ..Settings::default() }).await.expect("a free port");
        let address = running.address();
        assert!(address.ip().is_loopback());
        let answer = ask(address, "/_sim/health", "").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("1970-01-01T"), "{answer}");
        running.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn ends_by_itself_when_idle() {
        let running = serve(Settings { idle_seconds: Some(0), ..Settings::default() }).await.expect("a free port");
        tokio::time::timeout(Duration::from_secs(10), running.run_until(std::future::pending()))
            .await
            .expect("an idle server ends");
    }

    #[tokio::test]
    async fn a_lost_answer_is_a_closed_connection() {
        let running = serve(Settings::default()).await.expect("a free port");
        let address = running.address();
        ask(address, "/_sim/faults", "- {operation: ListStacks, effect: lost_response}").await;
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        let scope = "AWS4-HMAC-SHA256 Credential=1/2/r/cloudformation/aws4_request";
        let request = format!(
            "POST / HTTP/1.1\r\nhost: x\r\nauthorization: {scope}\r\ncontent-length: 17\r\n\r\nAction=ListStacks"
        );
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
        running.stop().await;
    }
}
