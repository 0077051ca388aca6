//! The whole simulated world: one serialisable value, changed only by requests and by time. Nothing here knows of
//! sockets, files or the machine's clock, so that a world can be replayed, killed and compared in tests.

use super::auto_scaling::AutoScaling;
use super::cloudformation::{self, CloudFormation};
use super::control;
use super::faults::{Faults, Verdict};
use super::identifiers::{Identifiers, hex_digest, uuid_from};
use super::moment::Moment;
use super::rds::{self, Rds};
use super::refusal::Refusal;
use super::resources::Object;
use super::s3::{self, Objects, Version};
use super::settings::{Pace, Rules, Settings};
use super::wire::{self, Answer, Call, Request, Service};
use super::{auto_scaling, cloudcontrol, cloudtrail, ec2, kms, load_balancing, secrets_manager, ssm, sts};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of the state file. A newer one is refused; an older one would be converted here.
pub(crate) const STATE_VERSION: u32 = 1;

/// An account and a Region: the boundary of nearly every name in AWS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
}

/// Where resources of services without Regions live.
const GLOBAL: &str = "aws-global";

impl Place {
    pub(crate) fn new(account: &str, region: &str) -> Self {
        Self { account: account.to_owned(), region: region.to_owned() }
    }

    /// Where a resource of this type lives: IAM, S3 and Route 53 know no Regions in their names.
    pub(crate) fn home_of(&self, type_name: &str) -> Self {
        let is_global =
            ["AWS::IAM::", "AWS::S3::", "AWS::Route53::"].iter().any(|prefix| type_name.starts_with(prefix));
        if is_global { Self::new(&self.account, GLOBAL) } else { self.clone() }
    }

    /// `arn:aws:service:region:account:rest`.
    pub(crate) fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region, self.account)
    }
}

/// Everything of one account in one Region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Services {
    pub(crate) cloudformation: CloudFormation,
    /// Live resources as the registry models them: type, then physical id. Direct APIs are views of these.
    pub(crate) objects: BTreeMap<String, BTreeMap<String, Object>>,
    pub(crate) rds: Rds,
    #[serde(default)]
    pub(crate) auto_scaling: AutoScaling,
    /// What lies in buckets, by bucket and key.
    pub(crate) buckets: BTreeMap<String, Objects>,
    /// What lay in them before, by bucket, the oldest first: older versions and delete markers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) versions: BTreeMap<String, Vec<Version>>,
    /// The calls that changed something, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) trail: Vec<cloudtrail::Event>,
}

/// Something that happens by itself when its time comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Transition {
    CloudFormation(Place, cloudformation::Transition),
    Rds(Place, rds::Transition),
    AutoScaling(Place, auto_scaling::Transition),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Due {
    at: Moment,
    sequence: u64,
    transition: Transition,
}

/// A call, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JournalEntry {
    pub(crate) at: Moment,
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) status: u16,
}

/// The journal keeps so many calls; a long test wants them all, a long rehearsal must not grow without end.
const JOURNAL_MAX: usize = 10_000;

/// The simulated world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct World {
    version: u32,
    seed: u64,
    pub(crate) rules: Rules,
    pub(crate) pace: Pace,
    now: Moment,
    sequence: u64,
    requests: u64,
    pub(crate) identifiers: Identifiers,
    agenda: Vec<Due>,
    places: BTreeMap<String, BTreeMap<String, Services>>,
    pub(crate) faults: Faults,
    pub(crate) journal: Vec<JournalEntry>,
    #[serde(skip)]
    is_changed: bool,
    /// Earlier states, kept only while the fault plan has stale reads.
    #[serde(skip)]
    past: Vec<World>,
}

impl World {
    /// A world with nothing in it.
    pub fn new(settings: &Settings, start: Moment) -> Self {
        Self {
            version: STATE_VERSION,
            seed: settings.seed,
            rules: settings.rules.clone(),
            pace: settings.pace,
            now: start,
            sequence: 0,
            requests: 0,
            identifiers: Identifiers::new(settings.seed),
            agenda: Vec::new(),
            places: BTreeMap::new(),
            faults: Faults::default(),
            journal: Vec::new(),
            is_changed: true,
            past: Vec::new(),
        }
    }

    /// Virtual now.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Whether something happened since the last call of this method that a restart must not forget.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    pub(crate) fn mark_changed(&mut self) {
        self.is_changed = true;
    }

    /// Takes over what the caller chose for this run. The seed and the stored time stay.
    pub(crate) fn adopt(&mut self, settings: &Settings) {
        self.pace = settings.pace;
        self.rules = settings.rules.clone();
        if let Some(faults) = &settings.faults {
            self.plan_faults(faults.clone());
        }
    }

    /// What goes wrong from now on.
    pub(crate) fn plan_faults(&mut self, mut faults: Faults) {
        faults.begin(self.now);
        self.faults = faults;
    }

    /// Forgets everything but the settings.
    pub(crate) fn reset(&mut self) {
        let settings = Settings { seed: self.seed, rules: self.rules.clone(), pace: self.pace, ..Settings::default() };
        *self = Self::new(&settings, self.now);
    }

    pub(crate) fn services(&mut self, place: &Place) -> &mut Services {
        self.places.entry(place.account.clone()).or_default().entry(place.region.clone()).or_default()
    }

    /// The accounts that anything has been asked of.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Reads without making the place exist.
    pub(crate) fn services_at(&self, place: &Place) -> Option<&Services> {
        self.places.get(&place.account)?.get(&place.region)
    }

    /// Every account and Region in which there is something.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        let of = |(account, regions): (&String, &BTreeMap<String, Services>)| -> Vec<Place> {
            regions.keys().map(|region| Place::new(account, region)).collect()
        };
        self.places.iter().flat_map(of).collect::<Vec<_>>().into_iter()
    }

    /// Lets something happen after so many virtual seconds.
    pub(crate) fn schedule(&mut self, seconds: u64, transition: Transition) {
        self.sequence += 1;
        let due = Due { at: self.now.after_seconds(seconds), sequence: self.sequence, transition };
        let place = self.agenda.partition_point(|known| (known.at, known.sequence) <= (due.at, due.sequence));
        self.agenda.insert(place, due);
    }

    /// A number that grows with every use: the order in which things were made.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// When the next transition is due, if one is.
    pub fn next_transition(&self) -> Option<Moment> {
        self.agenda.first().map(|due| due.at)
    }

    /// Lets time pass up to a moment, running what falls due in order of time, then of sequence.
    pub fn advance(&mut self, to: Moment) {
        while self.agenda.first().is_some_and(|due| due.at <= to) {
            let due = self.agenda.remove(0);
            self.now = self.now.max(due.at);
            self.is_changed = true;
            match due.transition {
                Transition::CloudFormation(place, transition) => cloudformation::run(self, &place, transition),
                Transition::Rds(place, transition) => rds::run(self, &place, transition),
                Transition::AutoScaling(place, transition) => auto_scaling::run(self, &place, transition),
            }
        }
        self.now = self.now.max(to);
    }

    /// Lets time pass until nothing is under way any more; says whether that came within so many transitions.
    pub fn come_to_rest(&mut self, transitions_max: usize) -> bool {
        for _ in 0..transitions_max {
            let Some(next) = self.next_transition() else {
                return true;
            };
            self.advance(next);
        }
        self.agenda.is_empty()
    }

    /// Answers one request at a moment.
    pub fn handle(&mut self, request: &Request, now: Moment) -> Answer {
        self.advance(now);
        if let Some(path) = request.path.strip_prefix("/_sim/") {
            let answer = control::answer(self, path, request);
            return wire::dated(answer, self.now);
        }
        self.requests += 1;
        let request_id = uuid_from(&hex_digest(&format!("request:{}:{}", self.seed, self.requests)));
        let answer = match Call::read(request) {
            Ok(call) => self.answer_call(&call, request, &request_id),
            Err((protocol, refusal)) => wire::refused(protocol, &refusal, &request_id),
        };
        wire::dated(answer, self.now)
    }

    fn answer_call(&mut self, call: &Call, request: &Request, request_id: &str) -> Answer {
        let is_read = is_read(&call.operation);
        if self.pace == Pace::Auto
            && is_read
            && matches!(call.service, Service::CloudFormation | Service::Rds | Service::AutoScaling)
            && let Some(next) = self.next_transition()
        {
            self.advance(next);
        }
        let verdict = self.faults_for(call);
        let protocol = call.service.protocol();
        let mut answer = match &verdict {
            Verdict::Refuse(refusal) => wire::refused(protocol, refusal, request_id),
            Verdict::Lose => wire::refused(protocol, &Refusal::new("RequestTimeout", ""), request_id),
            Verdict::Stale(seconds) if is_read => self.stale_answer(*seconds, call, request, request_id),
            Verdict::Stale(_) | Verdict::Deliver(_) => {
                self.is_changed |= !is_read;
                self.dispatch(call, request, request_id)
            }
        };
        answer.delivery = verdict.delivery();
        self.remember(call, answer.status);
        answer
    }

    fn dispatch(&mut self, call: &Call, request: &Request, request_id: &str) -> Answer {
        let reply = match call.service {
            Service::CloudFormation => cloudformation::call(self, call),
            Service::Rds => rds::call(self, call),
            Service::Ec2 => ec2::call(self, call),
            Service::AutoScaling => auto_scaling::call(self, call),
            Service::LoadBalancing => load_balancing::call(self, call),
            Service::Sts => sts::call(call),
            Service::Ssm => ssm::call(self, call),
            Service::Kms => kms::call(self, call),
            Service::CloudControl => cloudcontrol::call(self, call),
            Service::CloudTrail => {
                cloudtrail::catch_up(self, call);
                cloudtrail::call(self, call)
            }
            Service::SecretsManager => secrets_manager::call(self, call),
            Service::S3 => return s3::answer(self, &call.place, request, request_id),
            Service::Other(_) => None,
        };
        let reply: Result<Value, Refusal> =
            reply.unwrap_or_else(|| Err(wire::unknown_operation(call.service.protocol(), &call.operation)));
        if !is_read(&call.operation) && cloudtrail::is_recorded(call.service) {
            let error = reply.as_ref().err().map(|refusal| refusal.code.clone());
            cloudtrail::remember(self, call, error, request_id);
        }
        wire::answer(call.service, &call.operation, reply, request_id)
    }

    fn remember(&mut self, call: &Call, status: u16) {
        if self.journal.len() >= JOURNAL_MAX {
            self.journal.remove(0);
        }
        self.journal.push(JournalEntry {
            at: self.now,
            service: call.service.name().to_owned(),
            operation: call.operation.clone(),
            account: call.place.account.clone(),
            region: call.place.region.clone(),
            status,
        });
    }

    fn faults_for(&mut self, call: &Call) -> Verdict {
        let mut faults = std::mem::take(&mut self.faults);
        let verdict = faults.verdict(call, self.now, &mut self.identifiers);
        self.is_changed |= !matches!(verdict, Verdict::Deliver(wire::Delivery::Whole));
        self.faults = faults;
        if self.faults.has_stale_reads() {
            self.keep_past();
        }
        verdict
    }

    fn keep_past(&mut self) {
        /// Stale reads look at most a few calls back.
        const PAST_MAX: usize = 64;
        let mut snapshot = self.clone();
        snapshot.past = Vec::new();
        self.past.push(snapshot);
        if self.past.len() > PAST_MAX {
            self.past.remove(0);
        }
    }

    fn stale_answer(&mut self, seconds: u64, call: &Call, request: &Request, request_id: &str) -> Answer {
        let wanted = self.now.before_seconds(seconds);
        let earlier = self.past.iter().rev().find(|world| world.now <= wanted).or(self.past.first()).cloned();
        match earlier {
            Some(mut earlier) => earlier.dispatch(call, request, request_id),
            None => self.dispatch(call, request, request_id),
        }
    }
}

/// Whether an operation only looks, by the verb AWS puts first.
fn is_read(operation: &str) -> bool {
    const VERBS: [&str; 7] = ["Describe", "Get", "List", "Lookup", "Validate", "HEAD", "GET"];
    VERBS.iter().any(|verb| operation.starts_with(verb))
}
