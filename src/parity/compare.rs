//! From two sides to rows. Pure: what was seen and what is declared say it all.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::declared::by_nature;
use super::{Declared, Parity, Resource, Row, Seen, SeenStack, Side, Verdict, Words};
use crate::template::inputs::plain;

/// Compares what runs. `today` ends what is declared until then.
pub fn compare(source: &Side, target: &Side, declared: &[Declared], today: Date) -> Parity {
    let (current, ended): (Vec<&Declared>, Vec<&Declared>) =
        declared.iter().partition(|exception| exception.until >= today);
    let mut comparing = Comparing { source, target, declared: current, ..Comparing::default_of(source, target) };
    let stacks: BTreeSet<&String> = source.stacks.keys().chain(target.stacks.keys()).collect();
    for stack in stacks {
        comparing.stack(stack);
    }
    let Comparing { rows, equal, present_only, used, declared: current, .. } = comparing;
    let undeclared = rows.iter().filter(|row| row.verdict == Verdict::Undeclared).count();
    let unused = current.iter().filter(|exception| !used.contains(exception.path.as_str()));
    let idle = unused.map(|exception| exception.idle(false)).chain(ended.iter().map(|exception| exception.idle(true)));
    Parity {
        source: source.environment.clone(),
        target: target.environment.clone(),
        equal,
        score: score(equal, undeclared),
        present_only,
        idle: idle.collect(),
        rows,
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 properties")]
fn score(equal: usize, undeclared: usize) -> Option<f64> {
    let all = equal + undeclared;
    (all > 0).then(|| equal as f64 / all as f64)
}

/// Enough of a digest to tell two texts apart, and to find the same digest again.
const DIGITS: usize = 12;

/// A value as it is compared and shown. User data may hold secrets: only its digest leaves here.
fn comparable(name: &str, value: &Json, words: &Words) -> Json {
    let shared = words.shared_value(value);
    match shared.as_str().filter(|_| name == "LaunchTemplateData/UserData") {
        None => shared,
        Some(text) => {
            let digest = format!("{:x}", Sha256::digest(text.as_bytes()));
            let head = digest.get(..DIGITS).unwrap_or(&digest);
            Json::String(format!("{} lines, sha256 {head}…", text.lines().count()))
        }
    }
}

struct Comparing<'a> {
    source: &'a Side,
    target: &'a Side,
    declared: Vec<&'a Declared>,
    used: BTreeSet<&'a str>,
    rows: Vec<Row>,
    equal: usize,
    present_only: usize,
}

/// What is compared: its path, and where else it may be declared.
struct Subject<'s> {
    path: String,
    elsewhere: Vec<String>,
    kind: Option<&'s str>,
    by_nature: Option<&'static str>,
}

impl<'a> Comparing<'a> {
    fn default_of(source: &'a Side, target: &'a Side) -> Self {
        Self {
            source,
            target,
            declared: Vec::new(),
            used: BTreeSet::new(),
            rows: Vec::new(),
            equal: 0,
            present_only: 0,
        }
    }

    fn stack(&mut self, name: &str) {
        let (source, target) = (self.source.stacks.get(name), self.target.stacks.get(name));
        let subject = |kind| Subject { path: name.to_owned(), elsewhere: Vec::new(), kind, by_nature: None };
        let (Some(left), Some(right)) = (source, target) else {
            let there = |stack: Option<&SeenStack>| stack.map(|_| "there".to_owned());
            self.differs(subject(None), there(source), there(target));
            return;
        };
        for (side, stack) in [(self.source, left), (self.target, right)] {
            if let Some(unrest) = &stack.unrest {
                self.unknown(subject(None), format!("`{}`: {unrest}", side.environment));
            }
        }
        let resources: BTreeSet<&String> = left.resources.keys().chain(right.resources.keys()).collect();
        for id in resources {
            self.resource(format!("{name}/{id}"), left.resources.get(id), right.resources.get(id));
        }
    }

    fn resource(&mut self, path: String, source: Option<&Resource>, target: Option<&Resource>) {
        let kind = source.or(target).map(|resource| resource.kind.as_str());
        let subject = Subject { path, elsewhere: Vec::new(), kind, by_nature: None };
        let (Some(left), Some(right)) = (source, target) else {
            let there = |resource: Option<&Resource>| resource.map(|_| "there".to_owned());
            let subject = Subject { by_nature: kind.and_then(|kind| by_nature(kind, None)), ..subject };
            self.differs(subject, there(source), there(target));
            return;
        };
        if left.kind != right.kind {
            self.differs(subject, Some(left.kind.clone()), Some(right.kind.clone()));
            return;
        }
        match (&left.seen, &right.seen) {
            (Seen::Unread { because }, _) => self.unknown(subject, format!("`{}`: {because}", self.source.environment)),
            (_, Seen::Unread { because }) => self.unknown(subject, format!("`{}`: {because}", self.target.environment)),
            (Seen::Gone, Seen::Gone) => self.unknown(subject, "it is gone on both sides".to_owned()),
            (Seen::Present, Seen::Present) => {
                self.present_only += 1;
                self.equal += 1;
            }
            (Seen::Properties { of: left, elsewhere }, Seen::Properties { of: right, elsewhere: other }) => {
                let elsewhere: BTreeSet<(&String, &String)> =
                    elsewhere.iter().chain(other).map(|(a, b)| (a, b)).collect();
                self.properties(&subject, left, right, &elsewhere);
            }
            (left, right) => {
                let word = |seen: &Seen| match seen {
                    Seen::Gone => "gone".to_owned(),
                    Seen::Present | Seen::Properties { .. } | Seen::Unread { .. } => "there".to_owned(),
                };
                self.differs(subject, Some(word(left)), Some(word(right)));
            }
        }
    }

    fn properties(
        &mut self,
        resource: &Subject<'_>,
        source: &BTreeMap<String, Json>,
        target: &BTreeMap<String, Json>,
        elsewhere: &BTreeSet<(&String, &String)>,
    ) {
        let names: BTreeSet<&String> = source.keys().chain(target.keys()).collect();
        for name in names {
            let left = source.get(name).map(|value| comparable(name, value, &self.source.words));
            let right = target.get(name).map(|value| comparable(name, value, &self.target.words));
            if left == right {
                self.equal += 1;
                continue;
            }
            let also = elsewhere
                .iter()
                .filter_map(|(prefix, path)| name.strip_prefix(prefix.as_str()).map(|rest| format!("{path}{rest}")));
            let subject = Subject {
                path: format!("{}/{name}", resource.path),
                elsewhere: also.collect(),
                kind: resource.kind,
                by_nature: resource.kind.and_then(|kind| by_nature(kind, Some(name))),
            };
            self.differs(subject, left.as_ref().map(plain), right.as_ref().map(plain));
        }
    }

    fn differs(&mut self, subject: Subject<'_>, source: Option<String>, target: Option<String>) {
        let covers = |exception: &&&Declared| {
            exception.covers(&subject.path) || subject.elsewhere.iter().any(|path| exception.covers(path))
        };
        let verdict = match (self.declared.iter().find(covers).copied(), subject.by_nature) {
            (Some(exception), _) => {
                self.used.insert(&exception.path);
                Verdict::Declared { because: exception.because.clone(), until: Some(exception.until.to_string()) }
            }
            (None, Some(because)) => Verdict::Declared { because: because.to_owned(), until: None },
            (None, None) => Verdict::Undeclared,
        };
        self.rows.push(Row { path: subject.path, kind: subject.kind.map(str::to_owned), source, target, verdict });
    }

    fn unknown(&mut self, subject: Subject<'_>, because: String) {
        let verdict = Verdict::NotComparable { because };
        let kind = subject.kind.map(str::to_owned);
        self.rows.push(Row { path: subject.path, kind, source: None, target: None, verdict });
    }
}
