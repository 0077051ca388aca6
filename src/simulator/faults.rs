//! Faults on purpose: calls that are throttled, lost or slow, and resources that fail. A plan is a list of rules; each
//! names what it matches, when, and what happens. Firings are kept for tests to look at.

use super::cloudformation::yaml;
use super::identifiers::Identifiers;
use super::moment::Moment;
use super::refusal::Refusal;
use super::wire::{Call, Delivery, Protocol, Service};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The plan, and what of it has happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Faults {
    rules: Vec<Rule>,
    pub(crate) fired: Vec<Firing>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rule {
    #[serde(flatten)]
    wanted: FaultRule,
    #[serde(default)]
    seen: u64,
    #[serde(default)]
    fired: u64,
    /// What is left to each account, Region and operation of a rule that limits calls.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    buckets: BTreeMap<String, Bucket>,
}

/// A token bucket: it fills with virtual time, and every call takes a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Bucket {
    /// Thousandths of tokens, so that a bucket that fills slowly loses nothing by being looked at often.
    thousandths: u64,
    at: Moment,
}

/// One rule, as it is written. What is left out matches everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultRule {
    service: Option<String>,
    operation: Option<String>,
    stack: Option<String>,
    logical_id: Option<String>,
    #[serde(rename = "type")]
    type_name: Option<String>,
    /// Only the nth match, counted from 1.
    nth: Option<u64>,
    /// At most so many firings.
    times: Option<u64>,
    /// Every so many matches.
    every: Option<u64>,
    /// So many matches in a hundred, by dice from the seed.
    percent: Option<u64>,
    /// Only from this virtual moment on (milliseconds since 1970).
    after: Option<Moment>,
    /// The same for people: only when so many virtual seconds have passed since the plan was given.
    after_seconds: Option<u64>,
    effect: Effect,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    Throttle,
    /// Throttles what goes beyond so many calls in so many virtual seconds, for each account, Region and operation.
    Limit {
        calls: u64,
        seconds: u64,
    },
    Error {
        code: String,
        #[serde(default)]
        message: String,
        status: u16,
    },
    LostResponse,
    LostRequest,
    TruncatedBody,
    Delay {
        milliseconds: u64,
    },
    Hang,
    ExpiredCredentials,
    StaleRead {
        seconds: u64,
    },
    FailResource {
        /// `create`, `update`, `delete`, `rollback`.
        during: Work,
        reason: String,
        /// So many virtual seconds after the work has begun; at once when left out.
        #[serde(default)]
        after_seconds: u64,
    },
    Unreadable,
    /// A stack whose resources have drifted is said to be in sync; its resources tell the truth (roadmap#2283).
    HideDrift,
    /// A change set against drift shows a change of a resource that is in sync (roadmap#2505, #2559).
    PhantomChange {
        /// Whether it is shown as a replacement.
        #[serde(default)]
        replaces: bool,
    },
    /// A database that is created or restored ends in this status instead of `available`, or passes through it for
    /// hours where it is `storage-optimization`; `logical_id` names its identifier here.
    DatabaseStatus {
        status: String,
    },
    /// An Auto Scaling group can launch nothing.
    CannotLaunch {
        #[serde(default = "insufficient")]
        reason: String,
    },
    /// Instances of an Auto Scaling group come up, but never signal and never become healthy.
    NoSignal,
}

fn insufficient() -> String {
    "We currently do not have sufficient capacity in the Availability Zone you requested. Launching EC2 instance failed. (InsufficientInstanceCapacity)".to_owned()
}

/// What was being done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    Create,
    Update,
    Delete,
    Rollback,
}

/// A failure of a resource that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doom {
    pub(crate) reason: String,
    /// How long the work goes on before.
    pub(crate) after_seconds: u64,
}

/// A rule that took effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Firing {
    pub(crate) rule: usize,
    pub(crate) at: Moment,
    pub(crate) subject: String,
}

/// What is to become of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    Deliver(Delivery),
    Refuse(Refusal),
    Lose,
    Stale(u64),
}

impl Verdict {
    pub(crate) fn delivery(&self) -> Delivery {
        match self {
            Self::Deliver(delivery) => *delivery,
            Self::Refuse(_) | Self::Stale(_) => Delivery::Whole,
            Self::Lose => Delivery::Closed,
        }
    }
}

/// A resource in the middle of an operation.
pub(crate) struct ResourceWork<'a> {
    pub(crate) stack: &'a str,
    pub(crate) logical_id: &'a str,
    pub(crate) type_name: &'a str,
    pub(crate) during: Work,
}

impl Faults {
    /// Reads a plan: a YAML list (JSON is YAML too). An empty list ends all faults.
    ///
    /// # Errors
    /// With a sentence, and the rule it is about, when it is no list of rules or has one that could never take effect.
    pub fn plan(text: &str) -> Result<Self, String> {
        let Value::Array(rules) = yaml::parse(text)? else { return Err("it is no list of rules".to_owned()) };
        let rules = rules.into_iter().zip(1..).map(|(rule, place): (Value, usize)| {
            let rule = serde_json::from_value(rule).map_err(|error| error.to_string());
            let rule: Result<FaultRule, String> = rule.and_then(FaultRule::checked);
            rule.map(Rule::new).map_err(|error| format!("rule {place}: {error}"))
        });
        Ok(Self { rules: rules.collect::<Result<_, _>>()?, fired: Vec::new() })
    }

    /// From this moment on the plan's seconds are counted.
    pub(crate) fn begin(&mut self, now: Moment) {
        for rule in &mut self.rules {
            if let Some(seconds) = rule.wanted.after_seconds.take() {
                rule.wanted.after = Some(now.after_seconds(seconds));
            }
        }
    }

    pub(crate) fn has_stale_reads(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.wanted.effect, Effect::StaleRead { .. }))
    }

    /// What the first rule that matches a call says.
    pub(crate) fn verdict(&mut self, call: &Call, now: Moment, dice: &mut Identifiers) -> Verdict {
        let stack = call.parameters.get("StackName").and_then(Value::as_str);
        for place in 0..self.rules.len() {
            let Some(rule) = self.rules.get_mut(place) else {
                break;
            };
            let matches = !rule.wanted.effect.is_about_resources()
                && agrees(rule.wanted.service.as_deref(), call.service.name())
                && agrees(rule.wanted.operation.as_deref(), &call.operation)
                && rule
                    .wanted
                    .stack
                    .as_deref()
                    .is_none_or(|wanted| stack.is_some_and(|stack| names_stack(stack, wanted)));
            if matches && rule.is_used_up(call, now) && rule.fires(now, dice) {
                let verdict = rule.wanted.effect.verdict(call.service);
                self.note(place, now, &call.operation);
                return verdict;
            }
        }
        Verdict::Deliver(Delivery::Whole)
    }

    /// Why work on a resource fails, if a rule says so.
    pub(crate) fn resource_failure(
        &mut self,
        work: &ResourceWork<'_>,
        now: Moment,
        dice: &mut Identifiers,
    ) -> Option<Doom> {
        for place in 0..self.rules.len() {
            let rule = self.rules.get_mut(place)?;
            let Effect::FailResource { during, reason, after_seconds } = rule.wanted.effect.clone() else {
                continue;
            };
            if during == work.during && rule.is_about(work) && rule.fires(now, dice) {
                self.note(place, now, work.logical_id);
                return Some(Doom { reason, after_seconds });
            }
        }
        None
    }

    /// The terminal status a new database comes to, if a rule says so.
    pub(crate) fn database_status(&mut self, id: &str, now: Moment, dice: &mut Identifiers) -> Option<String> {
        for place in 0..self.rules.len() {
            let rule = self.rules.get_mut(place)?;
            let Effect::DatabaseStatus { status } = rule.wanted.effect.clone() else { continue };
            if agrees(rule.wanted.logical_id.as_deref(), id) && rule.fires(now, dice) {
                self.note(place, now, id);
                return Some(status);
            }
        }
        None
    }

    /// Why an Auto Scaling group launches nothing, if a rule says so.
    pub(crate) fn launch_failure(
        &mut self,
        work: &ResourceWork<'_>,
        now: Moment,
        dice: &mut Identifiers,
    ) -> Option<String> {
        self.first_about(work, now, dice, |effect| match effect {
            Effect::CannotLaunch { reason } => Some(reason.clone()),
            _ => None,
        })
    }

    /// Whether drift detection must not be able to read a resource.
    pub(crate) fn is_unreadable(&mut self, work: &ResourceWork<'_>, now: Moment, dice: &mut Identifiers) -> bool {
        let is_meant = |effect: &Effect| matches!(effect, Effect::Unreadable).then_some(());
        self.first_about(work, now, dice, is_meant).is_some()
    }

    /// Whether a change set against drift shows a change of a resource that is in sync, and whether as a replacement.
    pub(crate) fn phantom_change(
        &mut self,
        work: &ResourceWork<'_>,
        now: Moment,
        dice: &mut Identifiers,
    ) -> Option<bool> {
        self.first_about(work, now, dice, |effect| match effect {
            Effect::PhantomChange { replaces } => Some(*replaces),
            _ => None,
        })
    }

    /// Whether an instance of an Auto Scaling group never tells that it is up.
    pub(crate) fn is_silent(&mut self, work: &ResourceWork<'_>, now: Moment, dice: &mut Identifiers) -> bool {
        let is_meant = |effect: &Effect| matches!(effect, Effect::NoSignal).then_some(());
        self.first_about(work, now, dice, is_meant).is_some()
    }

    fn first_about<Meant>(
        &mut self,
        work: &ResourceWork<'_>,
        now: Moment,
        dice: &mut Identifiers,
        meant: impl Fn(&Effect) -> Option<Meant>,
    ) -> Option<Meant> {
        for place in 0..self.rules.len() {
            let rule = self.rules.get_mut(place)?;
            let Some(found) = meant(&rule.wanted.effect) else { continue };
            if rule.is_about(work) && rule.fires(now, dice) {
                self.note(place, now, work.logical_id);
                return Some(found);
            }
        }
        None
    }

    /// Whether a stack is to be called in sync whatever its resources are.
    pub(crate) fn hides_drift(&mut self, stack: &str, now: Moment, dice: &mut Identifiers) -> bool {
        let is_meant =
            |rule: &Rule| rule.wanted.effect == Effect::HideDrift && agrees(rule.wanted.stack.as_deref(), stack);
        let Some(place) = self.rules.iter().position(is_meant) else { return false };
        let fires = self.rules.get_mut(place).is_some_and(|rule| rule.fires(now, dice));
        if fires {
            self.note(place, now, stack);
        }
        fires
    }

    fn note(&mut self, rule: usize, at: Moment, subject: &str) {
        self.fired.push(Firing { rule, at, subject: subject.to_owned() });
    }
}

impl FaultRule {
    /// A rule that could never take effect, or would take it where it is not looked for, is a mistake of whoever wrote it.
    fn checked(self) -> Result<Self, String> {
        let named = [
            ("service", self.service.is_some()),
            ("operation", self.operation.is_some()),
            ("stack", self.stack.is_some()),
            ("logical_id", self.logical_id.is_some()),
            ("type", self.type_name.is_some()),
        ];
        let heeded = self.effect.heeded();
        if let Some((unheeded, _)) = named.iter().find(|(name, is_named)| *is_named && !heeded.contains(name)) {
            let heeded = heeded.join("`, `");
            return Err(format!("`{unheeded}` says nothing to this effect, which is told where by `{heeded}`"));
        }
        let counts = [("nth", self.nth), ("times", self.times), ("every", self.every), ("percent", self.percent)];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == Some(0)) {
            return Err(format!("`{name}: 0` never takes effect"));
        }
        if let Some(percent) = self.percent.filter(|percent| *percent > 100) {
            return Err(format!("`percent: {percent}` is more than 100"));
        }
        if self.after.is_some() && self.after_seconds.is_some() {
            return Err("`after` and `after_seconds` say the same, so only one of them can be right".to_owned());
        }
        match &self.effect {
            Effect::Error { status, .. } if !(400..600).contains(status) => {
                Err(format!("`status: {status}` is no error: 400 to 599 are"))
            }
            Effect::Limit { seconds: 0, .. } => Err("`seconds: 0` is no time to count calls in".to_owned()),
            _ => Ok(self),
        }
    }
}

impl Rule {
    fn new(wanted: FaultRule) -> Self {
        Self { wanted, seen: 0, fired: 0, buckets: BTreeMap::new() }
    }

    /// Whether a call finds nothing left of what the rule allows; a rule without a limit allows nothing.
    fn is_used_up(&mut self, call: &Call, now: Moment) -> bool {
        let Effect::Limit { calls, seconds } = self.wanted.effect else { return true };
        let full = calls.saturating_mul(1000);
        let key = format!("{}/{}/{}", call.place.account, call.place.region, call.operation);
        let bucket = self.buckets.entry(key).or_insert(Bucket { thousandths: full, at: now });
        let milliseconds = now.milliseconds_since(bucket.at);
        let filled = milliseconds.saturating_mul(calls) / seconds.max(1);
        bucket.thousandths = bucket.thousandths.saturating_add(filled).min(full);
        bucket.at = now;
        if bucket.thousandths < 1000 {
            return true;
        }
        bucket.thousandths -= 1000;
        false
    }

    fn is_about(&self, work: &ResourceWork<'_>) -> bool {
        agrees(self.wanted.stack.as_deref(), work.stack)
            && agrees(self.wanted.logical_id.as_deref(), work.logical_id)
            && agrees(self.wanted.type_name.as_deref(), work.type_name)
    }

    /// Counts a match and says whether the rule takes effect this time.
    fn fires(&mut self, now: Moment, dice: &mut Identifiers) -> bool {
        if self.wanted.after.is_some_and(|after| now < after) {
            return false;
        }
        self.seen += 1;
        let fires = self.wanted.nth.is_none_or(|nth| self.seen == nth)
            && self.wanted.times.is_none_or(|times| self.fired < times)
            && self.wanted.every.is_none_or(|every| self.seen.is_multiple_of(every.max(1)))
            && self.wanted.percent.is_none_or(|percent| dice.below(100) < percent);
        self.fired += u64::from(fires);
        fires
    }
}

/// Whether a call's `StackName`, a name or an ARN, means a stack.
fn names_stack(given: &str, wanted: &str) -> bool {
    given == wanted || given.contains(&format!(":stack/{wanted}/"))
}

fn agrees(wanted: Option<&str>, found: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

impl Effect {
    /// What of a rule says where this takes effect.
    fn heeded(&self) -> &'static [&'static str] {
        match self {
            Self::HideDrift => &["stack"],
            Self::DatabaseStatus { .. } => &["logical_id"],
            _ if self.is_about_resources() => &["stack", "logical_id", "type"],
            _ => &["service", "operation", "stack"],
        }
    }

    fn is_about_resources(&self) -> bool {
        match self {
            Self::FailResource { .. }
            | Self::Unreadable
            | Self::HideDrift
            | Self::PhantomChange { .. }
            | Self::DatabaseStatus { .. }
            | Self::CannotLaunch { .. }
            | Self::NoSignal => true,
            Self::Throttle
            | Self::Limit { .. }
            | Self::Error { .. }
            | Self::LostResponse
            | Self::LostRequest
            | Self::TruncatedBody
            | Self::Delay { .. }
            | Self::Hang
            | Self::ExpiredCredentials
            | Self::StaleRead { .. } => false,
        }
    }

    fn verdict(&self, service: Service) -> Verdict {
        match self {
            Self::Throttle | Self::Limit { .. } => Verdict::Refuse(throttled(service)),
            Self::Error { code, message, status } => {
                Verdict::Refuse(Refusal::new(code, message.clone()).with_status(*status))
            }
            Self::LostResponse => Verdict::Deliver(Delivery::Closed),
            Self::LostRequest => Verdict::Lose,
            Self::TruncatedBody => Verdict::Deliver(Delivery::Truncated),
            Self::Delay { milliseconds } => Verdict::Deliver(Delivery::Delayed(*milliseconds)),
            Self::Hang => Verdict::Deliver(Delivery::Hung),
            Self::ExpiredCredentials => Verdict::Refuse(expired(service)),
            Self::StaleRead { seconds } => Verdict::Stale(*seconds),
            Self::FailResource { .. }
            | Self::Unreadable
            | Self::HideDrift
            | Self::PhantomChange { .. }
            | Self::DatabaseStatus { .. }
            | Self::CannotLaunch { .. }
            | Self::NoSignal => Verdict::Deliver(Delivery::Whole),
        }
    }
}

/// Each service refuses too many calls in its own words.
fn throttled(service: Service) -> Refusal {
    match service {
        Service::Ec2 => Refusal::new("RequestLimitExceeded", "Request limit exceeded.").with_status(503),
        Service::S3 => Refusal::new("SlowDown", "Please reduce your request rate.").with_status(503),
        Service::Ssm | Service::SecretsManager | Service::Kms | Service::CloudTrail | Service::CloudControl => {
            Refusal::new("ThrottlingException", "Rate exceeded")
        }
        Service::CloudFormation
        | Service::Rds
        | Service::AutoScaling
        | Service::LoadBalancing
        | Service::Sts
        | Service::Other(_) => Refusal::new("Throttling", "Rate exceeded"),
    }
}

fn expired(service: Service) -> Refusal {
    let message = "The security token included in the request is expired";
    match service.protocol() {
        Protocol::Json => Refusal::new("ExpiredTokenException", message),
        Protocol::RestXml => Refusal::new("ExpiredToken", message),
        Protocol::Query | Protocol::Ec2Query => Refusal::new("ExpiredToken", message).with_status(403),
    }
}
