//! For tests: an endpoint that gives prepared answers, one after the other, and writes down what it was asked.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Clients, Settings};

/// An endpoint on this machine; it is gone with the test's runtime.
pub(crate) struct Canned {
    /// Clients that know only this endpoint.
    pub(crate) clients: Clients,
    asked: Arc<Mutex<Vec<String>>>,
}

/// An answer: its HTTP status and its body.
pub(crate) type Answer = (u16, String);

/// What AWS answers when it will not.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"))
}

/// What AWS answers to a call.
pub(crate) fn result(operation: &str, body: &str) -> Answer {
    (200, format!("<{operation}Response><{operation}Result>{body}</{operation}Result></{operation}Response>"))
}

impl Canned {
    /// Answers in this order; the last answer is repeated.
    pub(crate) async fn serve(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be listened on");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut given = 0;
            while let (Ok((stream, _)), Some(answer)) = (listener.accept().await, answers.get(given)) {
                let request = exchange(stream, answer).await;
                book.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                given = (given + 1).min(answers.len() - 1);
            }
        });
        let settings = Settings { endpoint: Some(endpoint), is_local: true, profile: None };
        Self { clients: Clients::new(settings), asked }
    }

    /// The bodies of all calls so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.parts(|(_, body)| body.to_owned())
    }

    /// What stood before these bodies.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.parts(|(head, _)| head.to_owned())
    }

    fn parts(&self, part: impl Fn((&str, &str)) -> String) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter_map(|request| request.split_once("\r\n\r\n")).map(part).collect()
    }
}

/// Reads one request and answers it; the connection ends, so that calls are counted one by one.
async fn exchange(mut stream: TcpStream, (status, body): &Answer) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let date = "date: Wed, 25 Nov 2026 08:09:10 GMT";
    let head = format!("HTTP/1.1 {status} x\r\n{date}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // The caller may be gone; the test says what it makes of that.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    String::from_utf8_lossy(&request).into_owned()
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    body.len() >= length.unwrap_or_default()
}
