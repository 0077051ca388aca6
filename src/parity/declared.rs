//! What may differ: what the files declare, and what differs by the nature of a second environment.

use jiff::civil::Date;

use crate::diff::IdleException;
use crate::environment::{Environment, Sources};
use crate::template::Templates;
use crate::template::landing::landings;

/// A declared difference, and what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// As it is written.
    pub path: String,
    /// Why.
    pub because: String,
    /// The last day on which it holds.
    pub until: Date,
    /// Where it stands.
    pub place: crate::environment::Place,
    /// The paths of what it covers, with all that is below them.
    pub covers: Vec<String>,
}

impl Declared {
    /// Whether it covers a path.
    pub fn covers(&self, path: &str) -> bool {
        let is_below = |cover: &String| {
            path.strip_prefix(cover.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.covers.iter().any(is_below)
    }

    pub(super) fn idle(&self, ended: bool) -> IdleException {
        IdleException {
            path: self.path.clone(),
            place: self.place.clone(),
            ended: ended.then(|| self.until.to_string()),
        }
    }
}

/// What the files of both sides declare. An input is followed to the properties that it ends up in on either side: one that is
/// not given ends up nowhere, and that is the difference.
pub fn declared(sides: [&Environment; 2], templates: &Templates, sources: &Sources) -> Vec<Declared> {
    let of = |environment: &Environment| -> Vec<Declared> {
        let all = environment.differences.iter();
        all.map(|exception| Declared {
            path: exception.path.value.clone(),
            because: exception.because.clone(),
            until: exception.until.value,
            place: sources.place(exception.path.span),
            covers: sides.iter().flat_map(|side| covered(&exception.path.value, side, templates, sources)).collect(),
        })
        .collect()
    };
    sides.into_iter().flat_map(of).collect()
}

fn covered(path: &str, environment: &Environment, templates: &Templates, sources: &Sources) -> Vec<String> {
    let mut covers = vec![path.to_owned()];
    let parts: Vec<&str> = path.split('/').collect();
    let [stack, input, rest @ ..] = parts.as_slice() else { return covers };
    let stack = environment.stack(stack).filter(|stack| stack.is_managed);
    let Some((stack, template)) = stack.and_then(|stack| Some((stack, templates.get(&stack.template.value)?))) else {
        return covers;
    };
    let arguments = templates.arguments(environment, stack);
    if let (Some(input), Some(arguments)) = (template.inputs.get(input), arguments) {
        let found = landings(templates, template, stack, &arguments, input, rest, sources);
        covers.extend(found.into_iter().map(|landing| match landing.property {
            Some(property) => format!("{}/{}/{property}", stack.name, landing.resource),
            None => format!("{}/{}", stack.name, landing.resource),
        }));
    }
    covers
}

/// A property that differs by nature: its type, its path (`""` for the resource's being there), and why.
type ByNature = (&'static str, &'static str, &'static str);

const NAME: &str = "a name of its own";
const NETWORK: &str = "a network of its own";
const KEPT: &str = "data is kept and guarded where it belongs";
const TAGS: &str = "tags of its own";

/// What no two environments have in common. Whether these things mean the same is compared elsewhere: a group by its contents, a
/// key by whether there is one.
const BY_NATURE: &[ByNature] = &[
    ("AWS::RDS::DBInstance", "DBInstanceIdentifier", NAME),
    ("AWS::RDS::DBInstance", "KmsKeyId", NAME),
    ("AWS::RDS::DBInstance", "PerformanceInsightsKMSKeyId", NAME),
    ("AWS::RDS::DBInstance", "MonitoringRoleArn", NAME),
    ("AWS::RDS::DBInstance", "DBParameterGroupName", NAME),
    ("AWS::RDS::DBInstance", "OptionGroupName", NAME),
    ("AWS::RDS::DBInstance", "DBSubnetGroupName", NETWORK),
    ("AWS::RDS::DBInstance", "VPCSecurityGroups", NETWORK),
    ("AWS::RDS::DBInstance", "AvailabilityZone", NETWORK),
    ("AWS::RDS::DBInstance", "BackupRetentionPeriod", KEPT),
    ("AWS::RDS::DBInstance", "DeletionProtection", KEPT),
    ("AWS::AutoScaling::AutoScalingGroup", "VPCZoneIdentifier", NETWORK),
    ("AWS::AutoScaling::AutoScalingGroup", "AvailabilityZones", NETWORK),
    ("AWS::EC2::LaunchTemplate", "LaunchTemplateData/SecurityGroupIds", NETWORK),
    ("AWS::EC2::LaunchTemplate", "LaunchTemplateData/TagSpecifications", TAGS),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "SecurityGroups", NETWORK),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "Subnets", NETWORK),
    ("AWS::ElasticLoadBalancingV2::Listener", "Certificates", NAME),
    ("AWS::Route53::RecordSet", "", NAME),
];

/// Why a property differs by nature, or without one the resource's being there, if it does.
pub(super) fn by_nature(kind: &str, property: Option<&str>) -> Option<&'static str> {
    let is_below = |name: &str| match property {
        None => name.is_empty(),
        Some(property) => {
            let rest = property.strip_prefix(name).filter(|_| !name.is_empty());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    };
    BY_NATURE.iter().find(|(of, name, _)| *of == kind && is_below(name)).map(|(_, _, because)| *because)
}
