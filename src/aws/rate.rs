//! How many calls a service gets from one run: what is waited for here is not refused there, to us or to our colleagues.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_cloudformation::config::RuntimeComponents;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::time::{Instant, sleep_until};

/// How many calls a service may get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// The time between two calls once the burst is used up.
    interval: Duration,
    /// How many calls may be made at once after a rest.
    burst: u32,
}

/// CloudFormation's limits are for an account and Region, and not published; users tell of five `DescribeStacks` a second. Chosen,
/// not measured. The burst is what an ordinary environment needs for one step of all its stacks.
pub(super) const CLOUDFORMATION: Limit = Limit { interval: Duration::from_millis(50), burst: 20 };

/// Two look-ups a second for an account and Region (AWS CloudTrail API Reference, `LookupEvents`).
pub(super) const CLOUDTRAIL: Limit = Limit { interval: Duration::from_millis(500), burst: 2 };

/// When the next call of one service in one account and Region has its turn.
#[derive(Debug)]
pub(super) struct Rate {
    limit: Limit,
    next: Mutex<Option<Instant>>,
}

impl Rate {
    /// Nothing has been called yet.
    pub(super) fn new(limit: Limit) -> Self {
        Self { limit, next: Mutex::default() }
    }

    /// A client whose every attempt of a call waits for its turn.
    pub(super) fn over(self: Arc<Self>, client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Paced { client, rate: self })
    }

    async fn turn(&self) {
        let turn = {
            // Whoever panicked left a moment that is whole.
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let Limit { interval, burst } = self.limit;
            let rested = now.checked_sub(interval * (burst - 1)).unwrap_or(now);
            let turn = next.map_or(rested, |next| next.max(rested));
            *next = Some(turn + interval);
            turn
        };
        sleep_until(turn).await;
    }
}

#[derive(Debug)]
struct Paced {
    client: SharedHttpClient,
    rate: Arc<Rate>,
}

impl HttpClient for Paced {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(PacedConnector { connector, rate: Arc::clone(&self.rate) })
    }
}

#[derive(Debug)]
struct PacedConnector {
    connector: SharedHttpConnector,
    rate: Arc<Rate>,
}

impl HttpConnector for PacedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, rate) = (self.connector.clone(), Arc::clone(&self.rate));
        HttpConnectorFuture::new(async move {
            rate.turn().await;
            connector.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When calls that are wanted at these milliseconds have their turn.
    async fn check(wanted: &[u64], turns: &[u64]) {
        let (rate, began) = (Rate::new(CLOUDFORMATION), Instant::now());
        let mut had = Vec::new();
        for at in wanted {
            sleep_until(began + Duration::from_millis(*at)).await;
            rate.turn().await;
            had.push(u64::try_from(began.elapsed().as_millis()).expect("tests are short"));
        }
        assert_eq!(had, turns);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_in_turn() {
        let mut turns = vec![0; 20];
        turns.extend([50, 100, 150]);
        check(&[0; 23], &turns).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_gives_back_what_was_used_and_no_more() {
        let mut wanted = vec![0; 20];
        wanted.extend([125; 3]);
        wanted.extend([60_000; 21]);
        let mut turns = vec![0; 20];
        turns.extend([125, 125, 150]);
        turns.extend([60_000; 20]);
        turns.push(60_050);
        check(&wanted, &turns).await;
    }
}
