//! Says of every difference what it is. Pure.
//!
//! Three kinds of alarm make people stop listening: what AWS changes because it was told to, what is the same in other words, and
//! what was decided long ago. They are told, and wake nobody.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value as Json;

use super::adopt::{Said, is_same};
use super::beyond::beyond;
use super::report::{Class, Ended, Finding, Report, Settled, Unread, days_left};
use super::{Comparison, Detection, Difference, SeenResource, World};
use crate::environment::{Exception, Sources};
use crate::parity::Side;
use crate::template::inputs::plain;

/// What is known beside the detection.
pub struct Known<'a> {
    /// The environment.
    pub environment: &'a str,
    /// Its stacks, in order.
    pub stacks: &'a [String],
    /// What the files say now, stack by stack.
    pub said: &'a BTreeMap<String, Said>,
    /// What its file lets be.
    pub ignores: &'a [Exception],
    /// The texts that places lead into.
    pub sources: &'a Sources,
    /// The day it is.
    pub today: Date,
    /// Whether all of the environment's stacks are looked at, so that what no template says is said by none.
    pub is_whole: bool,
}

/// Judges all that was seen: by CloudFormation, and beside it.
pub fn judge(world: &World, side: &Side, known: &Known<'_>) -> Report {
    let mut report =
        Report { environment: known.environment.to_owned(), stacks: known.stacks.len(), ..Report::default() };
    for label in known.stacks {
        let Some(stack) = world.stacks.get(label) else { continue };
        match &stack.detection {
            Detection::Ended { .. } => {}
            Detection::Impossible { because } => {
                report.unread.push(known.unread(label.clone(), None, because.clone()));
            }
            Detection::NotBegun | Detection::Running => {
                report.unread.push(known.unread(label.clone(), None, "its detection has not ended".to_owned()));
            }
        }
        for resource in &stack.resources {
            known.resource(label, resource, &stack.detection, &mut report);
        }
    }
    let (beyond, unread) = beyond(side, known);
    report.findings.extend(beyond);
    let place = |finding: &Finding| known.stacks.iter().position(|label| *label == finding.stack);
    report.findings.sort_by_key(|finding| (place(finding), finding.resource.clone()));
    let is_new = |unread: &Unread| !report.unread.iter().any(|known| known.path == unread.path);
    let unread: Vec<Unread> = unread.into_iter().filter(is_new).collect();
    report.unread.extend(unread);
    let is_used = |ended: &&Exception| {
        report.findings.iter().any(|finding| finding.no_longer.as_ref().is_some_and(|it| it.path == ended.path.value))
    };
    let ended = known.ignores.iter().filter(|ignore| ignore.until.value < known.today);
    report.ended = ended.filter(|ended| !is_used(ended)).map(|ended| known.ended(ended)).collect();
    report
}

impl Known<'_> {
    fn resource(&self, stack: &str, resource: &SeenResource, detection: &Detection, report: &mut Report) {
        let path = format!("{stack}/{}", resource.logical_id);
        let unread = |because: &str| self.unread(path.clone(), Some(resource.kind.clone()), because.to_owned());
        match &resource.comparison {
            Comparison::InSync => report.in_sync += 1,
            Comparison::NotChecked => {
                report.unread.push(unread("CloudFormation does not compare resources of this type"));
            }
            Comparison::Unknown => {
                let because = match detection {
                    Detection::Ended { incomplete: Some(because) } => because.clone(),
                    _ => "CloudFormation could not tell".to_owned(),
                };
                report.unread.push(unread(&because));
            }
            Comparison::Deleted => {
                let because = "it is not there any more, and no operation of its stack deleted it".to_owned();
                let verdict = Verdict { class: Class::Deleted, because };
                report.findings.push(self.finding(stack, resource, None, verdict));
            }
            Comparison::Modified { differences } => {
                let mut told: Vec<String> = Vec::new();
                for difference in differences {
                    let (difference, verdict) = verdict(resource, difference);
                    // A list in another order differs at each of its positions, and is one list.
                    if !told.contains(&difference.path) {
                        told.push(difference.path.clone());
                        report.findings.push(self.finding(stack, resource, Some(&difference), verdict));
                    }
                }
            }
        }
    }

    fn finding(
        &self,
        stack: &str,
        resource: &SeenResource,
        difference: Option<&Difference>,
        verdict: Verdict,
    ) -> Finding {
        let shown = |side: fn(&Difference) -> &Option<String>| {
            let value = side(difference?).clone()?;
            Some(if is_secret(&difference?.path, &value) { "(a secret, not shown)".to_owned() } else { value })
        };
        let mut finding = Finding {
            stack: stack.to_owned(),
            resource: resource.logical_id.clone(),
            kind: resource.kind.clone(),
            property: difference.map(|difference| difference.path.clone()),
            expected: shown(|difference| &difference.expected),
            actual: shown(|difference| &difference.actual),
            class: verdict.class,
            because: verdict.because,
            place: None,
            settled: None,
            no_longer: None,
            who: None,
        };
        let is_said = difference.is_some_and(|difference| {
            let said = self.said.get(stack).map(|said| said.at(&resource.logical_id, &difference.path));
            said.is_some_and(|said| is_same(&said, difference.actual.as_deref()))
        });
        if is_said {
            finding.settled = Some(Settled::Adopted);
        } else {
            self.decide(&mut finding);
        }
        finding
    }

    /// Adds what the file has decided about a difference.
    pub(super) fn decide(&self, finding: &mut Finding) {
        let path = finding.path();
        finding.settled = self.ignored(&path);
        let ended = self.ignores.iter().find(|ignore| ignore.until.value < self.today && covers(ignore, &path));
        finding.no_longer = ended.filter(|_| finding.settled.is_none()).map(|ended| self.ended(ended));
    }

    pub(super) fn unread(&self, path: String, kind: Option<String>, because: String) -> Unread {
        let settled = self.ignored(&path);
        Unread { path, kind, because, settled }
    }

    fn ignored(&self, path: &str) -> Option<Settled> {
        let holds = |ignore: &&Exception| ignore.until.value >= self.today && covers(ignore, path);
        let ignore = self.ignores.iter().find(holds)?;
        Some(Settled::Ignored {
            because: ignore.because.clone(),
            until: ignore.until.value.to_string(),
            days_left: days_left(ignore.until.value, self.today),
            place: self.sources.place(ignore.path.span),
        })
    }

    fn ended(&self, ignore: &Exception) -> Ended {
        Ended {
            path: ignore.path.value.clone(),
            on: ignore.until.value.to_string(),
            place: self.sources.place(ignore.path.span),
        }
    }
}

/// Whether an exception is about a path: the path itself, or all that lies below it.
fn covers(ignore: &Exception, path: &str) -> bool {
    let own = ignore.path.value.trim_end_matches('/');
    path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a value must not be shown: by the name of its property, as it may have been typed in by hand, or because the template
/// has it from a secret.
fn is_secret(path: &str, value: &str) -> bool {
    let name = path.to_ascii_lowercase();
    let is_named = ["password", "passwd", "secret", "token", "privatekey", "private_key", "apikey", "api_key"]
        .iter()
        .any(|word| name.contains(word));
    let is_name_of_one = ["arn", "id", "name", "version"].iter().any(|end| name.ends_with(end));
    value.contains("{{resolve:secretsmanager") || value.contains("{{resolve:ssm-secure") || is_named && !is_name_of_one
}

struct Verdict {
    class: Class,
    because: String,
}

impl Verdict {
    fn false_positive(because: &str) -> Self {
        Self { class: Class::FalsePositive, because: because.to_owned() }
    }

    fn managed(because: String) -> Self {
        Self { class: Class::ManagedByAws, because }
    }
}

/// What a difference is, and the difference as it is to be told: of a list in another order, the list.
fn verdict(resource: &SeenResource, difference: &Difference) -> (Difference, Verdict) {
    if let Some(list) = reordered(resource, &difference.path) {
        return (list, Verdict::false_positive("the same entries in another order, which means nothing here"));
    }
    let verdict = if is_equal(difference) {
        Verdict::false_positive("the same value, written otherwise")
    } else if is_default_in_a_list(resource, difference) {
        Verdict::false_positive("AWS adds its default to an entry of a list that does not say it")
    } else if let Some(because) = managed(resource, difference) {
        Verdict::managed(because)
    } else {
        let because = match (&difference.expected, &difference.actual) {
            (None, _) => "it was added past CloudFormation",
            (_, None) => "it was taken away past CloudFormation",
            (Some(_), Some(_)) => "past CloudFormation, since the last deployment",
        };
        Verdict { class: Class::ChangedByHand, because: because.to_owned() }
    };
    (difference.clone(), verdict)
}

/// Lists whose order says something (registry schemas, `insertionOrder`): what runs first, or is tried first.
const ORDERED: &[&str] = &["Command", "EntryPoint", "TerminationPolicies", "Transitions", "DefaultActions", "Actions"];

/// The outermost list around a path that holds the same entries as expected, in another order.
fn reordered(resource: &SeenResource, path: &str) -> Option<Difference> {
    let (expected, actual) = (resource.expected.as_ref()?, resource.actual.as_ref()?);
    let parts: Vec<&str> = path.split('/').collect();
    (1..parts.len()).find_map(|length| {
        let above = &parts[..length];
        let (expected, actual) = (at(expected, above)?.as_array()?, at(actual, above)?.as_array()?);
        let is_ordered = above.last().is_some_and(|name| ORDERED.contains(name));
        (!is_ordered && expected != actual && has_same_entries(expected, actual)).then(|| Difference {
            path: above.join("/"),
            expected: Some(plain(&Json::from(expected.clone()))),
            actual: Some(plain(&Json::from(actual.clone()))),
        })
    })
}

fn has_same_entries(left: &[Json], right: &[Json]) -> bool {
    let mut rest: Vec<&Json> = right.iter().collect();
    left.len() == right.len()
        && left.iter().all(|entry| {
            let found = rest.iter().position(|other| is_equal_json(entry, other));
            found.map(|position| rest.swap_remove(position)).is_some()
        })
}

fn at<'a>(value: &'a Json, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(value, |value, part| match value {
        Json::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    })
}

/// Whether both sides say the same: numbers, truths, amounts with their units, documents.
fn is_equal(difference: &Difference) -> bool {
    let (Some(expected), Some(actual)) = (&difference.expected, &difference.actual) else { return false };
    is_equal_text(expected, actual)
}

pub(super) fn is_equal_text(left: &str, right: &str) -> bool {
    let is_truth = |text: &str| ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if left == right || is_truth(left) && left.eq_ignore_ascii_case(right) {
        return true;
    }
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    if let (Some(left_number), Some(right_number)) = (number(left), number(right)) {
        // Ids of accounts and the like are no numbers.
        let is_text = |text: &str| text.len() > 1 && text.starts_with('0') && !text.starts_with("0.");
        return !is_text(left) && !is_text(right) && left_number.to_bits() == right_number.to_bits();
    }
    if let (Some(left), Some(right)) = (bytes(left), bytes(right)) {
        return left == right;
    }
    let document =
        |text: &str| serde_json::from_str::<Json>(text).ok().filter(|json| json.is_object() || json.is_array());
    document(left).zip(document(right)).is_some_and(|(left, right)| is_equal_json(&left, &right))
}

/// An amount of memory in bytes: `1024MB`, `1 GB`, `2GiB`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let amount: u64 = text[..digits].parse().ok()?;
    let factor: u64 = match text[digits..].trim().to_ascii_uppercase().as_str() {
        "KB" | "KIB" => 1 << 10,
        "MB" | "MIB" => 1 << 20,
        "GB" | "GIB" => 1 << 30,
        "TB" | "TIB" => 1 << 40,
        _ => return None,
    };
    amount.checked_mul(factor)
}

fn is_equal_json(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Object(left), Json::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| is_equal_json(value, other)))
        }
        (Json::Array(left), Json::Array(right)) => has_same_entries(left, right),
        // Policies take one entry without its list.
        (Json::Array(only), other) | (other, Json::Array(only)) if only.len() == 1 && !other.is_object() => {
            is_equal_json(&only[0], other)
        }
        (Json::Object(_), _) | (_, Json::Object(_)) => left == right,
        (left, right) => is_equal_text(&plain(left), &plain(right)),
    }
}

/// User Guide, "Considerations when detecting drift": values that AWS fills in within lists count as drift.
fn is_default_in_a_list(resource: &SeenResource, difference: &Difference) -> bool {
    let is_default = |value: &str| matches!(value, "" | "0" | "false" | "[]" | "{}" | "null");
    let (None, Some(actual), Some(expected)) = (&difference.expected, &difference.actual, &resource.expected) else {
        return false;
    };
    let parts: Vec<&str> = difference.path.split('/').collect();
    let is_in_entry = (1..parts.len().saturating_sub(1)).any(|length| {
        let is_list = at(expected, &parts[..length]).is_some_and(Json::is_array);
        is_list && at(expected, &parts[..=length]).is_some_and(Json::is_object)
    });
    is_in_entry && is_default(actual)
}

/// Why AWS changes a property by itself, if it does.
fn managed(resource: &SeenResource, difference: &Difference) -> Option<String> {
    let (expected, actual) = (difference.expected.as_deref(), difference.actual.as_deref());
    if difference.path.starts_with("Tags") && actual.is_some_and(|tag| tag.contains("aws:")) {
        return Some("AWS sets tags that begin with `aws:`".to_owned());
    }
    let whole = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    let property = |side: &Option<Json>, name: &str| side.as_ref()?.get(name).map(plain);
    match (resource.kind.as_str(), difference.path.as_str()) {
        ("AWS::AutoScaling::AutoScalingGroup", "DesiredCapacity") => {
            let bound = |name: &str| whole(property(&resource.actual, name).as_deref());
            let (least, most) = (bound("MinSize")?, bound("MaxSize")?);
            let is_scaled = (least..=most).contains(&whole(actual)?) && least < most;
            is_scaled.then(|| format!("scaling moves it between {least} and {most}"))
        }
        ("AWS::RDS::DBInstance", "AllocatedStorage") => {
            let most = whole(property(&resource.expected, "MaxAllocatedStorage").as_deref())?;
            let is_grown = (whole(expected)?..=most).contains(&whole(actual)?);
            is_grown.then(|| format!("RDS grows it by itself, up to {most} GiB"))
        }
        ("AWS::RDS::DBInstance", "EngineVersion") => {
            let is_upgraded = property(&resource.expected, "AutoMinorVersionUpgrade").as_deref() != Some("false");
            let is_later = is_later_minor(expected?, actual?);
            (is_upgraded && is_later).then(|| "RDS upgrades minor versions in the maintenance window".to_owned())
        }
        _ => None,
    }
}

/// Whether a version is a later one of the same major version.
fn is_later_minor(before: &str, after: &str) -> bool {
    let numbers = |text: &str| text.split('.').map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<u64>>>();
    let (Some(before), Some(after)) = (numbers(before), numbers(after)) else { return false };
    before.first() == after.first() && after > before
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GROUP: &str = "AWS::AutoScaling::AutoScalingGroup";
    const DATABASE: &str = "AWS::RDS::DBInstance";

    /// What one difference of a resource is taken for: the expected and the actual properties, and where they differ.
    fn check(kind: &str, expected: &Json, actual: &Json, path: &str, class: Class) {
        let parts: Vec<&str> = path.split('/').collect();
        let side = |properties: &Json| at(properties, &parts).map(plain);
        let difference = Difference { path: path.to_owned(), expected: side(expected), actual: side(actual) };
        let resource = SeenResource {
            kind: kind.to_owned(),
            expected: Some(expected.clone()),
            actual: Some(actual.clone()),
            ..SeenResource::default()
        };
        let (told, verdict) = verdict(&resource, &difference);
        assert_eq!(verdict.class, class, "{expected} → {actual}: {} {}", told.path, verdict.because);
    }

    #[test]
    fn the_same_in_other_words_is_no_drift() {
        for (expected, actual) in [
            (json!("100"), json!("100.0")),
            (json!("true"), json!("True")),
            (json!("1024MB"), json!("1GB")),
            (json!({"Action": ["a"], "B": "1"}), json!({"B": 1, "Action": "a"})),
        ] {
            check("T", &json!({"P": expected}), &json!({"P": actual}), "P", Class::FalsePositive);
        }
        for (expected, actual) in [
            (json!("100"), json!("101")),
            (json!("012345678901"), json!("12345678901")),
            (json!("1024MB"), json!("2GB")),
            (json!("true"), json!("false")),
            (json!({"Action": "a"}), json!({"Action": ["a", "b"]})),
        ] {
            check("T", &json!({"P": expected}), &json!({"P": actual}), "P", Class::ChangedByHand);
        }
    }

    #[test]
    fn lists_in_another_order_are_the_same_where_order_means_nothing() {
        let lists = |name: &str| (json!({name: ["a", "b"]}), json!({name: ["b", "a"]}));
        let (expected, actual) = lists("SecurityGroupIds");
        check("T", &expected, &actual, "SecurityGroupIds/0", Class::FalsePositive);
        let (expected, actual) = lists("TerminationPolicies");
        check("T", &expected, &actual, "TerminationPolicies/0", Class::ChangedByHand);
        let (expected, actual) = (json!({"L": ["a", "b"]}), json!({"L": ["b", "c"]}));
        check("T", &expected, &actual, "L/0", Class::ChangedByHand);
    }

    #[test]
    fn what_aws_fills_in_within_a_list_is_no_drift() {
        let expected = json!({"L": [{"A": "1"}]});
        check("T", &expected, &json!({"L": [{"A": "1", "B": "false"}]}), "L/0/B", Class::FalsePositive);
        check("T", &expected, &json!({"L": [{"A": "1", "B": "true"}]}), "L/0/B", Class::ChangedByHand);
        check("T", &json!({}), &json!({"B": "false"}), "B", Class::ChangedByHand);
    }

    #[test]
    fn what_aws_does_because_it_was_told_to_is_no_drift() {
        let group = |desired: &str| json!({"MinSize": "1", "MaxSize": "4", "DesiredCapacity": desired});
        check(GROUP, &group("2"), &group("3"), "DesiredCapacity", Class::ManagedByAws);
        check(GROUP, &group("2"), &group("5"), "DesiredCapacity", Class::ChangedByHand);
        let storage = |size: &str| json!({"AllocatedStorage": size, "MaxAllocatedStorage": "100"});
        check(DATABASE, &storage("20"), &storage("50"), "AllocatedStorage", Class::ManagedByAws);
        check(DATABASE, &storage("20"), &storage("200"), "AllocatedStorage", Class::ChangedByHand);
        let version = |version: &str| json!({"EngineVersion": version, "AutoMinorVersionUpgrade": "true"});
        check(DATABASE, &version("16.3"), &version("16.10"), "EngineVersion", Class::ManagedByAws);
        check(DATABASE, &version("16.3"), &version("17.1"), "EngineVersion", Class::ChangedByHand);
        let fixed = |version: &str| json!({"EngineVersion": version, "AutoMinorVersionUpgrade": "false"});
        check(DATABASE, &fixed("16.3"), &fixed("16.4"), "EngineVersion", Class::ChangedByHand);
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(is_secret("Environment/Variables/DB_PASSWORD", "x"));
        assert!(is_secret("Value", "{{resolve:secretsmanager:a:SecretString:b}}"));
        assert!(!is_secret("Environment/Variables/SECRET_ARN", "arn:aws:…"));
        assert!(!is_secret("BackupRetentionPeriod", "7"));
    }
}
