//! A world with a caller in front of it, for tests that need no server.

use super::cloudformation::StackStatus;
use super::moment::Moment;
use super::settings::{Pace, Settings};
use super::wire::{Answer, Request};
use super::world::{Place, World};
use serde_json::{Value, json};
use std::fmt::Write;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "ap-southeast-2";

/// The name of the one stack.
pub(crate) const STACK: &str = "s";

/// No operation on a handful of resources takes so many transitions.
const TRANSITIONS_MAX: usize = 5_000;

/// A world with a caller in front of it.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) change_sets: usize,
    /// Whether the world is written down and read back after every step.
    restarts: bool,
}

impl Bench {
    pub(crate) fn new(restarts: bool) -> Self {
        let settings = Settings { pace: Pace::Manual, seed: 11, ..Settings::default() };
        Self { world: World::new(&settings, Moment(1_700_000_000_000)), change_sets: 0, restarts }
    }

    fn restart(&mut self) {
        if self.restarts {
            let text = serde_json::to_string(&self.world).expect("a world can be written");
            self.world = serde_json::from_str(&text).expect("a written world can be read");
        }
    }

    pub(crate) fn call(&mut self, operation: &str, parameters: &[(&str, &str)]) -> (u16, String) {
        self.restart();
        let pairs: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        let answer = self.send(&signed("cloudformation", &format!("Action={operation}&{}", pairs.join("&"))));
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Sends a request at this moment.
    pub(crate) fn send(&mut self, request: &Request) -> Answer {
        let now = self.world.now();
        self.world.handle(request, now)
    }

    /// Lets faults happen, as `/_sim/faults` reads them.
    pub(crate) fn plan_faults(&mut self, plan: &Value) {
        let request = Request { path: "/_sim/faults".into(), body: plan.to_string().into(), ..Request::default() };
        assert_eq!(self.send(&request).status, 200, "the plan is understood");
    }

    /// Makes a change set of the kind the stack needs and executes it as soon as it can be.
    pub(crate) fn deploy(&mut self, template: &Value, stops_on_failure: bool) {
        self.change_sets += 1;
        let name = format!("c{}", self.change_sets);
        let kind = match self.status() {
            None | Some(StackStatus::ReviewInProgress) => "CREATE",
            Some(_) => "UPDATE",
        };
        let body = template.to_string();
        let stack = ("StackName", STACK);
        self.call(
            "CreateChangeSet",
            &[stack, ("ChangeSetName", &name), ("ChangeSetType", kind), ("TemplateBody", &body)],
        );
        self.advance(10);
        let stops = if stops_on_failure { "true" } else { "false" };
        self.call("ExecuteChangeSet", &[stack, ("ChangeSetName", &name), ("DisableRollback", stops)]);
    }

    /// The events of the stack, oldest first: logical id, status, reason.
    pub(crate) fn events(&self) -> Vec<(String, String, String)> {
        let services = self.world.services_at(&Self::place());
        let stacks = services.into_iter().flat_map(|services| services.cloudformation.stacks.values());
        let newest = stacks.max_by_key(|stack| stack.number);
        let events = newest.into_iter().flat_map(|stack| &stack.events);
        let told = events
            .map(|event| (event.logical_id.clone(), event.status.clone(), event.reason.clone().unwrap_or_default()));
        told.collect()
    }

    pub(crate) fn advance(&mut self, seconds: u64) {
        let to = self.world.now().after_seconds(seconds);
        while let Some(next) = self.world.next_transition().filter(|next| *next <= to) {
            self.restart();
            self.world.advance(next);
        }
        self.world.advance(to);
    }

    pub(crate) fn rest(&mut self) -> bool {
        for _ in 0..TRANSITIONS_MAX {
            let Some(next) = self.world.next_transition() else { return true };
            self.restart();
            self.world.advance(next);
        }
        false
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::to_value(&self.world).expect("a world can be written")
    }

    pub(crate) fn place() -> Place {
        Place::new(ACCOUNT, REGION)
    }

    pub(crate) fn stacks(&self) -> Vec<Value> {
        let Some(services) = self.world.services_at(&Self::place()) else { return Vec::new() };
        services.cloudformation.stacks.values().map(|stack| json!(stack)).collect()
    }

    pub(crate) fn status(&self) -> Option<StackStatus> {
        self.world.services_at(&Self::place())?.cloudformation.live_stack(STACK).map(|stack| stack.status)
    }
}

pub(crate) fn signed(service: &str, body: &str) -> Request {
    let scope = format!("AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261125/{REGION}/{service}/aws4_request, Signature=x");
    Request {
        method: "POST".into(),
        path: "/".into(),
        headers: vec![("authorization".into(), scope)],
        body: body.as_bytes().to_vec(),
        ..Request::default()
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}
