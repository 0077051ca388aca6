//! What CloudFormation's own detection does not see of a stack, and we can read. Pure.
//!
//! It compares what is written in the template, and of some types not even that (User Guide, "Considerations when detecting
//! drift"). So it misses a new version of a launch template, a rule on a security group whose rules stand elsewhere, and every
//! setting of a database that the template leaves to its default.

use serde_json::Value as Json;

use super::adopt::{Said, Saying, is_same};
use super::judge::Known;
use super::report::{Class, Finding, Unread};
use crate::parity::{Resource, Seen, Side};
use crate::template::inputs::plain;

/// The types whose resources are read beyond the detection.
pub const KINDS: &[&str] = &["AWS::RDS::DBInstance", "AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::SecurityGroup"];

/// What a database has that its template leaves out (RDS API Reference, `CreateDBInstance`). `PubliclyAccessible` depends on the
/// network; a database that the world can reach is worth a line in the template.
const DEFAULTS: &[(&str, Option<&str>)] = &[
    ("AutoMinorVersionUpgrade", Some("true")),
    ("BackupRetentionPeriod", Some("1")),
    ("CopyTagsToSnapshot", Some("false")),
    ("DedicatedLogVolume", Some("false")),
    ("DeletionProtection", Some("false")),
    ("EnableCloudwatchLogsExports", Some("[]")),
    ("EnableIAMDatabaseAuthentication", Some("false")),
    ("EnablePerformanceInsights", Some("false")),
    ("MaxAllocatedStorage", None),
    ("MonitoringInterval", Some("0")),
    ("MultiAZ", Some("false")),
    ("PubliclyAccessible", Some("false")),
];

/// Says what differs beyond the detection, and what could not be read.
pub fn beyond(side: &Side, known: &Known<'_>) -> (Vec<Finding>, Vec<Unread>) {
    let (mut findings, mut unread) = (Vec::new(), Vec::new());
    for label in known.stacks {
        let (Some(stack), Some(said)) = (side.stacks.get(label), known.said.get(label)) else { continue };
        for (id, resource) in &stack.resources {
            let path = format!("{label}/{id}");
            match &resource.seen {
                Seen::Properties { of, .. } => {
                    let looked = Looked { known, said, label, id, resource };
                    match resource.kind.as_str() {
                        "AWS::RDS::DBInstance" => findings.extend(looked.database(of)),
                        "AWS::AutoScaling::AutoScalingGroup" => findings.extend(looked.launch_template(of)),
                        "AWS::EC2::SecurityGroup" => findings.extend(looked.rules(of)),
                        _ => {}
                    }
                }
                Seen::Unread { because } => {
                    unread.push(known.unread(path, Some(resource.kind.clone()), because.clone()));
                }
                // What is gone is told by the detection.
                Seen::Present | Seen::Gone => {}
            }
        }
    }
    (findings, unread)
}

type Properties = std::collections::BTreeMap<String, Json>;

/// A resource, and what is said of it.
struct Looked<'a> {
    known: &'a Known<'a>,
    said: &'a Said,
    label: &'a str,
    id: &'a str,
    resource: &'a Resource,
}

impl Looked<'_> {
    fn database(&self, of: &Properties) -> Vec<Finding> {
        let differs = |(name, default): &(&str, Option<&str>)| {
            let is_left_out = self.said.at(self.id, name) == Saying::Nothing;
            let actual = of.get(*name).map(plain);
            let is_default = match (default, &actual) {
                (Some(default), Some(actual)) => is_same(&Saying::Value(Json::from(*default)), Some(actual)),
                // An answer without it says nothing.
                (Some(_) | None, None) => true,
                (None, Some(_)) => false,
            };
            let because = "the template leaves it out, and it is not RDS's default";
            (is_left_out && !is_default).then(|| self.finding(name, default.map(str::to_owned), actual, because))
        };
        DEFAULTS.iter().filter_map(differs).collect()
    }

    /// A group that takes the version which the stack has made, where there is a later one: nobody but a hand can have made it.
    fn launch_template(&self, of: &Properties) -> Option<Finding> {
        let version =
            self.said.template.pointer(&format!("/Resources/{}/Properties/LaunchTemplate/Version", self.id))?;
        let attribute = version.get("Fn::GetAtt")?;
        let template = match attribute {
            Json::String(text) => text.strip_suffix(".LatestVersionNumber")?,
            attribute if attribute.get(1)?.as_str() == Some("LatestVersionNumber") => attribute.get(0)?.as_str()?,
            _ => return None,
        };
        if of.get("LaunchTemplate/Version").and_then(Json::as_str) != Some("not the latest") {
            return None;
        }
        let because = "a later version was made past CloudFormation; the next change of the template builds on neither";
        let (expected, actual) = ("the stack's version".to_owned(), "a later one".to_owned());
        let mut finding = self.finding("LatestVersionNumber", Some(expected), Some(actual), because);
        template.clone_into(&mut finding.resource);
        "AWS::EC2::LaunchTemplate".clone_into(&mut finding.kind);
        self.known.decide(&mut finding);
        Some(finding)
    }

    /// Rules of a group whose template has none of its own, and that no template of the environment has.
    fn rules(&self, of: &Properties) -> Vec<Finding> {
        let mut found = Vec::new();
        for (property, kind) in [
            ("SecurityGroupIngress", "AWS::EC2::SecurityGroupIngress"),
            ("SecurityGroupEgress", "AWS::EC2::SecurityGroupEgress"),
        ] {
            if !self.known.is_whole || self.said.at(self.id, property) != Saying::Nothing {
                continue;
            }
            let declared: Vec<Rule> = self.known.said.values().flat_map(|said| declared(said, kind)).collect();
            let rules = of.get(property).and_then(Json::as_array).into_iter().flatten().flat_map(Rule::of);
            for rule in rules.filter(|rule| !declared.iter().any(|it| it.allows(rule))) {
                if property == "SecurityGroupEgress" && rule.is_the_default_way_out() {
                    continue;
                }
                let because = "no template of this environment has such a rule";
                found.push(self.finding(property, None, Some(rule.to_string()), because));
            }
        }
        found
    }

    fn finding(&self, property: &str, expected: Option<String>, actual: Option<String>, because: &str) -> Finding {
        let mut finding = Finding {
            stack: self.label.to_owned(),
            resource: self.id.to_owned(),
            kind: self.resource.kind.clone(),
            property: Some(property.to_owned()),
            expected,
            actual,
            class: Class::Beyond,
            because: because.to_owned(),
            place: None,
            settled: None,
            no_longer: None,
            who: None,
        };
        self.known.decide(&mut finding);
        finding
    }
}

/// A rule of a security group, with one of its sources or targets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    protocol: String,
    from: Option<String>,
    to: Option<String>,
    /// An address block, or the id of a group or a list; nothing where it is not known before it is deployed.
    peer: Option<String>,
}

/// The lists that a permission of EC2 has, and the name of what they hold.
const PEERS: &[(&str, &str)] =
    &[("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"), ("Groups", "GroupId"), ("PrefixListIds", "PrefixListId")];

impl Rule {
    /// A permission as EC2 tells of it: one rule for each of its peers.
    fn of(permission: &Json) -> Vec<Self> {
        let text = |name: &str| permission.get(name).map(plain);
        let protocol = text("IpProtocol").unwrap_or_default();
        let (from, to) = (text("FromPort"), text("ToPort"));
        let peers = PEERS.iter().flat_map(|(list, name)| {
            let entries = permission.get(list).and_then(Json::as_array).into_iter().flatten();
            entries.filter_map(move |entry| entry.get(name).map(plain))
        });
        peers
            .map(|peer| Self { protocol: protocol.clone(), from: from.clone(), to: to.clone(), peer: Some(peer) })
            .collect()
    }

    /// Whether what is declared may be this rule. What is not known of it is not held against it.
    fn allows(&self, rule: &Self) -> bool {
        let is_open = self.protocol == "-1" && rule.protocol == "-1";
        let is_block = |peer: &str| peer.contains('/') || peer.contains(':');
        let has_peer = match (&self.peer, &rule.peer) {
            (Some(declared), Some(peer)) => declared == peer,
            (None, Some(peer)) => !is_block(peer),
            (_, None) => true,
        };
        self.protocol == rule.protocol && (is_open || self.from == rule.from && self.to == rule.to) && has_peer
    }

    fn is_the_default_way_out(&self) -> bool {
        self.protocol == "-1" && self.peer.as_deref().is_some_and(|peer| matches!(peer, "0.0.0.0/0" | "::/0"))
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ports = match (&self.from, &self.to) {
            (Some(from), Some(to)) if from == to => format!(" {from}"),
            (Some(from), Some(to)) => format!(" {from}-{to}"),
            _ => String::new(),
        };
        let protocol = if self.protocol == "-1" { "everything" } else { &self.protocol };
        write!(f, "{protocol}{ports} · {}", self.peer.as_deref().unwrap_or("?"))
    }
}

/// The rules that stand in resources of their own.
fn declared(said: &Said, kind: &str) -> Vec<Rule> {
    let resources = said.template.get("Resources").and_then(Json::as_object);
    let of_kind = resources.into_iter().flatten().filter(|(_, it)| it.get("Type").and_then(Json::as_str) == Some(kind));
    let rule = |(id, _): (&String, &Json)| {
        let value = |name: &str| match said.at(id, name) {
            Saying::Value(value) => Some(plain(&value)),
            Saying::Nothing | Saying::Open => None,
        };
        Rule {
            protocol: value("IpProtocol").unwrap_or_default(),
            from: value("FromPort"),
            to: value("ToPort"),
            peer: value("CidrIp").or_else(|| value("CidrIpv6")),
        }
    };
    of_kind.map(rule).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(protocol: &str, port: &str, peer: Option<&str>) -> Rule {
        let port = Some(port.to_owned());
        Rule { protocol: protocol.to_owned(), from: port.clone(), to: port, peer: peer.map(str::to_owned) }
    }

    #[test]
    fn a_permission_is_a_rule_for_each_of_its_peers() {
        let permission = json!({
            "IpProtocol": "tcp", "FromPort": "22", "ToPort": "22",
            "IpRanges": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "0.0.0.0/0"}], "Groups": [{"GroupId": "sg-1"}],
        });
        let peers = ["10.0.0.0/8", "0.0.0.0/0", "sg-1"];
        assert_eq!(Rule::of(&permission), peers.map(|peer| rule("tcp", "22", Some(peer))));
    }

    #[test]
    fn a_rule_for_a_group_that_is_not_known_yet_speaks_for_no_address() {
        let declared = rule("tcp", "5432", None);
        assert!(declared.allows(&rule("tcp", "5432", Some("sg-1"))));
        assert!(!declared.allows(&rule("tcp", "5432", Some("0.0.0.0/0"))));
        assert!(!declared.allows(&rule("tcp", "22", Some("sg-1"))));
    }
}
