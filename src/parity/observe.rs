//! Reads what runs: every stack's resources, and of the types that matter most their properties. Reads, and decides nothing.
//!
//! A stack that cannot be seen makes the whole look fail. A resource that cannot be read is told as such: the rest is still worth
//! comparing, and nothing passes for equal that nobody saw.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value as Json, json};

use super::{Resource, Seen, SeenStack, Side, Words};
use crate::aws::query::{Element, Query, Service};
use crate::aws::rds::{Database, Rds};
use crate::aws::{Clients, Fault};
use crate::deploy::observe::{Depth, Observer, target};
use crate::deploy::world::{LiveStack, Phase, Wish, World};
use crate::deploy::{Place, desired};
use crate::environment::{Content, Environment};

/// Calls about single resources that are under way at the same time. Accounts share their limits with everybody in them.
const CALLS_AT_ONCE: usize = 4;

/// How many values a filter of EC2 takes at most (EC2 API Reference, "List and filter using the CLI and API").
const FILTER_VALUES_MAX: usize = 200;

/// By id.
type Found = BTreeMap<String, Told>;

/// What AWS tells of a resource.
#[derive(Clone, Debug)]
struct Told {
    seen: Seen,
    /// Names that others may be told, each with what it is the name of: where it is reached, its secret. They are its own, and
    /// known even where the rest cannot be compared.
    names: Vec<(String, &'static str)>,
}

impl From<Seen> for Told {
    fn from(seen: Seen) -> Self {
        Self { seen, names: Vec::new() }
    }
}

/// Looks at an environment.
///
/// # Errors
/// What kept its stacks from being seen.
pub async fn observe(environment: &Environment, clients: &Clients) -> Result<Side, Fault> {
    observe_some(environment, clients, |_| true).await
}

/// Looks at an environment, and only at resources of some types.
///
/// # Errors
/// What kept its stacks from being seen.
pub async fn observe_some(
    environment: &Environment,
    clients: &Clients,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Side, Fault> {
    let wishes: Vec<Wish> = environment.stacks.iter().map(wish).collect();
    let observer = Observer::new(clients);
    let mut world = at_rest(&observer, &wishes).await?;
    let places: BTreeMap<&String, &Place> = wishes.iter().map(|wish| (&wish.label, &wish.place)).collect();
    let existing = world.stacks.iter_mut().filter(|(_, live)| exists(live));
    let existing = existing.filter_map(|(label, live)| Some((*places.get(label)?, live)));
    let looks = stream::iter(existing).map(|(place, live)| observer.look_into(place, live, Depth::Resources));
    looks.buffer_unordered(CALLS_AT_ONCE).try_collect::<()>().await?;
    let mut wanted: BTreeMap<(&Place, String), BTreeSet<String>> = BTreeMap::new();
    for wish in &wishes {
        let Some(live) = world.stacks.get(&wish.label).filter(|live| exists(live)) else { continue };
        for resource in live.resources.iter().filter(|it| !it.is_gone() && is_wanted(&it.kind)) {
            let ids = wanted.entry((&wish.place, resource.kind.clone())).or_default();
            ids.extend(resource.physical_id.clone());
        }
    }
    let mut found: BTreeMap<(&Place, String), Found> = BTreeMap::new();
    for ((place, kind), ids) in wanted {
        let seen = Reading { clients, place }.kind(&kind, &ids).await;
        found.insert((place, kind), seen);
    }
    let mut side = Side { environment: environment.name.to_string(), ..Side::default() };
    let mut meanings = own_words(environment);
    for wish in &wishes {
        let Some(live) = world.stacks.get(&wish.label).filter(|live| exists(live)) else { continue };
        let mut stack = SeenStack { unrest: unrest(live), ..SeenStack::default() };
        for resource in live.resources.iter().filter(|it| !it.is_gone() && is_wanted(&it.kind)) {
            let label = format!("{}/{}", wish.label, resource.logical_id);
            let of_kind = found.get(&(&wish.place, resource.kind.clone()));
            let told = resource.physical_id.as_ref().and_then(|id| of_kind?.get(id)).cloned();
            let no_id = || Seen::Unread { because: format!("it has no id yet ({})", resource.status) };
            let Told { seen, names } = told.unwrap_or_else(|| no_id().into());
            if let Some(id) = &resource.physical_id {
                // A policy may have the id of what it is about.
                meanings.entry(id.clone()).or_insert_with(|| format!("<{label}>"));
            }
            meanings.extend(names.into_iter().map(|(name, what)| (name, format!("<{label} {what}>"))));
            stack.resources.insert(resource.logical_id.clone(), Resource { kind: resource.kind.clone(), seen });
        }
        meanings.insert(live.name.clone(), format!("<stack {}>", wish.label));
        meanings.insert(live.id.clone(), format!("<id of stack {}>", wish.label));
        side.stacks.insert(wish.label.clone(), stack);
    }
    settle(&mut side, &meanings);
    side.words = Words::new(meanings);
    Ok(side)
}

/// How often stacks are looked at that seem to be busy. A list may be of a moment ago, when they were; what is busy in truth still
/// is after that, and is told.
const LOOKS_MAX: usize = 4;

async fn at_rest(observer: &Observer<'_>, wishes: &[Wish]) -> Result<World, Fault> {
    let mut world = observer.look_at(wishes, |_, _| false).await?;
    for _ in 1..LOOKS_MAX {
        if world.stacks.values().all(|live| unrest(live).is_none()) {
            break;
        }
        world = observer.look_at(wishes, |_, _| false).await?;
    }
    Ok(world)
}

fn wish(stack: &crate::environment::Stack) -> Wish {
    Wish { label: stack.name.clone(), stack_name: stack.stack_name.value.clone(), place: desired::place(stack) }
}

fn exists(live: &LiveStack) -> bool {
    !matches!(live.status.phase(), Phase::Gone | Phase::Empty)
}

fn unrest(live: &LiveStack) -> Option<String> {
    (live.status.phase() == Phase::Busy).then(|| format!("stack `{}` is {}", live.name, live.status))
}

/// What the file calls its own.
fn own_words(environment: &Environment) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    for stack in &environment.stacks {
        words.insert(stack.account.value.clone(), "<account>".to_owned());
        words.insert(stack.region.value.clone(), "<region>".to_owned());
        for value in stack.values.iter().filter(|value| value.input.ends_with("dns_name")) {
            if let Content::Scalar(scalar) = &value.node.content {
                words.insert(scalar.text.clone(), format!("<{}/{}>", stack.name, value.input));
            }
        }
    }
    words.insert(environment.name.word(), "<environment>".to_owned());
    words
}

/// Leads groups to the resources that describe them.
fn settle(side: &mut Side, meanings: &BTreeMap<String, String>) {
    let label = |id: &str| Some(meanings.get(id)?.trim_matches(['<', '>']).to_owned());
    for stack in side.stacks.values_mut() {
        for resource in stack.resources.values_mut() {
            let Seen::Properties { elsewhere, .. } = &mut resource.seen else { continue };
            for (_, path) in elsewhere.iter_mut() {
                let (id, rest) = path.split_once('\n').unwrap_or((path, ""));
                *path = label(id).map_or_else(String::new, |label| format!("{label}/{rest}"));
            }
            elsewhere.retain(|(_, path)| !path.is_empty());
        }
    }
}

/// A path below a resource that is known by its id so far.
fn below(id: &str, property: &str) -> String {
    format!("{id}\n{property}")
}

struct Reading<'a> {
    clients: &'a Clients,
    place: &'a Place,
}

impl Reading<'_> {
    /// Reads all resources of a type.
    async fn kind(&self, kind: &str, ids: &BTreeSet<String>) -> Found {
        match kind {
            "AWS::RDS::DBInstance" => self.each(ids, async |id| self.database(id).await).await,
            "AWS::AutoScaling::AutoScalingGroup" => self.each(ids, async |id| self.group(id).await).await,
            "AWS::EC2::LaunchTemplate" => self.each(ids, async |id| self.launch_template(id).await).await,
            "AWS::ElasticLoadBalancingV2::LoadBalancer" => {
                self.each(ids, async |id| self.load_balancer(id).await).await
            }
            "AWS::ElasticLoadBalancingV2::TargetGroup" => self.each(ids, async |id| self.target_group(id).await).await,
            "AWS::ElasticLoadBalancingV2::Listener" => self.each(ids, async |id| self.listener(id).await).await,
            "AWS::EC2::VPC" => self.network("DescribeVpcs", "vpc-id", ("vpcSet", "vpcId"), ids, vpc).await,
            "AWS::EC2::Subnet" => {
                self.network("DescribeSubnets", "subnet-id", ("subnetSet", "subnetId"), ids, subnet).await
            }
            "AWS::EC2::SecurityGroup" => {
                let list = ("securityGroupInfo", "groupId");
                self.network("DescribeSecurityGroups", "group-id", list, ids, security_group).await
            }
            _ => ids.iter().map(|id| (id.clone(), Seen::Present.into())).collect(),
        }
    }

    /// Reads one by one; one that cannot be read does not hide the others.
    async fn each(&self, ids: &BTreeSet<String>, read: impl AsyncFn(&str) -> Result<Told, Fault>) -> Found {
        let read = &read;
        let one = async |id: &String| {
            let told = match read(id).await {
                Ok(told) => told,
                Err(Fault::Missing { .. }) => Seen::Gone.into(),
                Err(fault) => Seen::Unread { because: fault.to_string() }.into(),
            };
            (id.clone(), told)
        };
        stream::iter(ids).map(one).buffered(CALLS_AT_ONCE).collect().await
    }

    async fn rds(&self) -> Rds {
        self.clients.rds(target(self.place)).await
    }

    async fn query(&self) -> Query {
        self.clients.query(target(self.place)).await
    }

    async fn database(&self, id: &str) -> Result<Told, Fault> {
        let rds = self.rds().await;
        let Some(database) = rds.database(id).await? else { return Ok(Seen::Gone.into()) };
        let address = database.address.clone().map(|address| (address, "address"));
        let secret = database.master_secret.clone().map(|secret| (secret.name, "secret"));
        let names = address.into_iter().chain(secret).collect();
        if database.status != "available" {
            let because = format!("database `{id}` is {}", database.status);
            return Ok(Told { seen: Seen::Unread { because }, names });
        }
        let mut of = of_database(&database);
        let mut elsewhere = Vec::new();
        for group in &database.parameter_groups {
            let family = rds.parameter_group(&group.name).await?.map(|group| group.family);
            of.extend(family.map(|family| ("ParameterGroup/Family".to_owned(), json!(family))));
            for parameter in rds.parameters(&group.name).await? {
                of.insert(format!("ParameterGroup/{}", parameter.name), json!(parameter.value));
            }
            of.insert("ParameterGroup/ApplyStatus".to_owned(), json!(group.status));
            elsewhere.push(("ParameterGroup/".to_owned(), below(&group.name, "Parameters/")));
        }
        for group in &database.option_groups {
            let found = rds.option_group(&group.name).await?;
            for option in found.iter().flat_map(|group| &group.options) {
                let told = json!({"version": option.version, "port": option.port, "settings": option.settings});
                of.insert(format!("OptionGroup/{}", option.name), told);
            }
            elsewhere.push(("OptionGroup/".to_owned(), below(&group.name, "OptionConfigurations/")));
        }
        Ok(Told { seen: Seen::Properties { of, elsewhere }, names })
    }

    async fn group(&self, name: &str) -> Result<Told, Fault> {
        let query = self.query().await;
        let parameters = [("AutoScalingGroupNames.member.1", name)];
        let found =
            query.list(Service::AutoScaling, "DescribeAutoScalingGroups", &parameters, "AutoScalingGroups").await?;
        let Some(group) = found.into_iter().next() else { return Ok(Seen::Gone.into()) };
        let mut of = picked(
            &group,
            &[
                ("MinSize", "MinSize"),
                ("MaxSize", "MaxSize"),
                ("DesiredCapacity", "DesiredCapacity"),
                ("DefaultCooldown", "Cooldown"),
                ("HealthCheckType", "HealthCheckType"),
                ("HealthCheckGracePeriod", "HealthCheckGracePeriod"),
                ("TerminationPolicies", "TerminationPolicies"),
                ("NewInstancesProtectedFromScaleIn", "NewInstancesProtectedFromScaleIn"),
                ("TargetGroupARNs", "TargetGroupARNs"),
                ("LoadBalancerNames", "LoadBalancerNames"),
                ("AvailabilityZones", "AvailabilityZones"),
                ("MixedInstancesPolicy", "MixedInstancesPolicy"),
                ("MaxInstanceLifetime", "MaxInstanceLifetime"),
                ("CapacityRebalance", "CapacityRebalance"),
            ],
        );
        let subnets = group.text_of("VPCZoneIdentifier").unwrap_or_default().split(',').filter(|id| !id.is_empty());
        of.insert("VPCZoneIdentifier".to_owned(), subnets.collect());
        let suspended = group.entries("SuspendedProcesses").filter_map(|process| process.text_of("ProcessName"));
        of.insert("SuspendedProcesses".to_owned(), suspended.collect());
        let mut elsewhere = Vec::new();
        let latest = match group.child("LaunchTemplate") {
            None => None,
            Some(template) => {
                let id = template.text_of("LaunchTemplateId").unwrap_or_default();
                let version = latest_version(&query, id).await?;
                let number = version.text_of("versionNumber").unwrap_or_default().to_owned();
                let wanted = template.text_of("Version").unwrap_or_default();
                let is_latest = wanted == number || wanted == "$Latest";
                of.insert("LaunchTemplate/LaunchTemplateId".to_owned(), json!(id));
                let word = if is_latest { "the latest" } else { "not the latest" };
                of.insert("LaunchTemplate/Version".to_owned(), json!(word));
                elsewhere.push(("Instances/Types".to_owned(), below(id, "LaunchTemplateData/InstanceType")));
                Some(number)
            }
        };
        of.extend(of_instances(&group, latest.as_deref()));
        // A group that nobody scales has as many as it must have.
        for (path, decided_by) in [
            ("Instances/InService", "DesiredCapacity"),
            ("Instances/InService", "MinSize"),
            ("DesiredCapacity", "MinSize"),
        ] {
            elsewhere.push((path.to_owned(), below(name, decided_by)));
        }
        Ok(Seen::Properties { of, elsewhere }.into())
    }

    async fn launch_template(&self, id: &str) -> Result<Told, Fault> {
        let version = latest_version(&self.query().await, id).await?;
        let data = version.child("launchTemplateData").and_then(Element::value);
        let members = data.as_ref().and_then(Json::as_object).into_iter().flatten();
        let of = members.map(|(name, value)| (format!("LaunchTemplateData/{name}"), decoded(name, value))).collect();
        Ok(Seen::Properties { of, elsewhere: Vec::new() }.into())
    }

    async fn load_balancer(&self, arn: &str) -> Result<Told, Fault> {
        let query = self.query().await;
        let parameters = [("LoadBalancerArns.member.1", arn)];
        let found = query.list(Service::LoadBalancing, "DescribeLoadBalancers", &parameters, "LoadBalancers").await?;
        let Some(balancer) = found.into_iter().next() else { return Ok(Seen::Gone.into()) };
        let names = ["Scheme", "Type", "IpAddressType", "SecurityGroups"].map(|name| (name, name));
        let mut of = picked(&balancer, &names);
        let subnets = balancer.entries("AvailabilityZones").filter_map(|zone| zone.text_of("SubnetId"));
        of.insert("Subnets".to_owned(), subnets.collect());
        let names = balancer.text_of("DNSName").map(|name| (name.to_owned(), "address")).into_iter().collect();
        let asked = [("LoadBalancerArn", arn)];
        let told = query.call(Service::LoadBalancing, "DescribeLoadBalancerAttributes", &asked).await?;
        of.extend(attributes(&told, "LoadBalancerAttributes", "Attributes"));
        Ok(Told { seen: Seen::Properties { of, elsewhere: Vec::new() }, names })
    }

    async fn target_group(&self, arn: &str) -> Result<Told, Fault> {
        let query = self.query().await;
        let parameters = [("TargetGroupArns.member.1", arn)];
        let found = query.list(Service::LoadBalancing, "DescribeTargetGroups", &parameters, "TargetGroups").await?;
        let Some(group) = found.into_iter().next() else { return Ok(Seen::Gone.into()) };
        let names = [
            "Protocol",
            "ProtocolVersion",
            "Port",
            "TargetType",
            "HealthCheckEnabled",
            "HealthCheckProtocol",
            "HealthCheckPath",
            "HealthCheckPort",
            "HealthCheckIntervalSeconds",
            "HealthCheckTimeoutSeconds",
            "HealthyThresholdCount",
            "UnhealthyThresholdCount",
            "Matcher",
        ];
        let mut of = picked(&group, &names.map(|name| (name, name)));
        let asked = [("TargetGroupArn", arn)];
        let told = query.call(Service::LoadBalancing, "DescribeTargetGroupAttributes", &asked).await?;
        of.extend(attributes(&told, "TargetGroupAttributes", "Attributes"));
        Ok(Seen::Properties { of, elsewhere: Vec::new() }.into())
    }

    async fn listener(&self, arn: &str) -> Result<Told, Fault> {
        let parameters = [("ListenerArns.member.1", arn)];
        let query = self.query().await;
        let found = query.list(Service::LoadBalancing, "DescribeListeners", &parameters, "Listeners").await?;
        let Some(listener) = found.into_iter().next() else { return Ok(Seen::Gone.into()) };
        let names = ["Port", "Protocol", "SslPolicy", "Certificates", "DefaultActions"].map(|name| (name, name));
        Ok(Seen::Properties { of: picked(&listener, &names), elsewhere: Vec::new() }.into())
    }

    /// Parts of a network are asked for by filter: one that is not there is then no error that hides the others.
    async fn network(
        &self,
        operation: &'static str,
        filter: &str,
        (list, id_name): (&str, &str),
        ids: &BTreeSet<String>,
        read: fn(&Element) -> BTreeMap<String, Json>,
    ) -> Found {
        let query = self.query().await;
        let all: Vec<&String> = ids.iter().collect();
        let read_some = async |some: &[&String]| {
            let names: Vec<String> = (1..=some.len()).map(|number| format!("Filter.1.Value.{number}")).collect();
            let values = names.iter().zip(some).map(|(name, value)| (name.as_str(), value.as_str()));
            let parameters: Vec<(&str, &str)> = [("Filter.1.Name", filter)].into_iter().chain(values).collect();
            query.list(Service::Ec2, operation, &parameters, list).await
        };
        let told: Result<Vec<Vec<Element>>, Fault> =
            stream::iter(all.chunks(FILTER_VALUES_MAX)).then(read_some).try_collect().await;
        let found: BTreeMap<String, BTreeMap<String, Json>> = match &told {
            Err(_) => BTreeMap::new(),
            Ok(pages) => {
                let entries = pages.iter().flatten();
                entries.filter_map(|entry| Some((entry.text_of(id_name)?.to_owned(), read(entry)))).collect()
            }
        };
        let seen = |id: &String| match (&told, found.get(id)) {
            (Err(fault), _) => Seen::Unread { because: fault.to_string() },
            (Ok(_), None) => Seen::Gone,
            (Ok(_), Some(of)) => Seen::Properties { of: of.clone(), elsewhere: Vec::new() },
        };
        ids.iter().map(|id| (id.clone(), seen(id).into())).collect()
    }
}

/// The storage of all engines but SQL Server and Oracle is spread over four volumes from this size on (RDS User Guide, "Amazon RDS DB
/// instance storage"): crossing it is another disk, not a larger one.
const STRIPED_FROM_GIB: u64 = 400;

fn of_database(database: &Database) -> BTreeMap<String, Json> {
    let mut of: BTreeMap<String, Json> =
        database.properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    of.insert("PendingModifications".to_owned(), json!(database.pending));
    let size = of.get("AllocatedStorage").and_then(Json::as_str).and_then(|size| size.parse::<u64>().ok());
    of.extend(size.map(|size| ("StorageVolumes".to_owned(), json!(if size < STRIPED_FROM_GIB { 1 } else { 4 }))));
    of
}

async fn latest_version(query: &Query, template: &str) -> Result<Element, Fault> {
    let parameters = [("LaunchTemplateId", template), ("LaunchTemplateVersion.1", "$Latest")];
    let list = "launchTemplateVersionSet";
    let found = query.list(Service::Ec2, "DescribeLaunchTemplateVersions", &parameters, list).await?;
    found.into_iter().next().ok_or(Fault::Incomplete { what: "a launch template's latest version" })
}

/// What runs in a group: how many, of which types, and whether each was launched as its template says now.
fn of_instances(group: &Element, latest: Option<&str>) -> BTreeMap<String, Json> {
    let in_service: Vec<&Element> =
        group.entries("Instances").filter(|instance| instance.text_of("LifecycleState") == Some("InService")).collect();
    let types: BTreeSet<&str> = in_service.iter().filter_map(|instance| instance.text_of("InstanceType")).collect();
    let is_old = |instance: &&&Element| {
        let version = instance.child("LaunchTemplate").and_then(|template| template.text_of("Version"));
        latest.is_some_and(|latest| version != Some(latest))
    };
    [
        ("Instances/InService", json!(in_service.len())),
        ("Instances/Types", json!(types)),
        ("Instances/OfAnOlderVersion", json!(in_service.iter().filter(is_old).count())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Some of what an element holds, under the registry's names.
fn picked(element: &Element, names: &[(&str, &str)]) -> BTreeMap<String, Json> {
    let value = |name: &str| element.child(name).and_then(Element::value);
    names.iter().filter_map(|(theirs, ours)| Some(((*ours).to_owned(), value(theirs)?))).collect()
}

fn attributes(told: &Element, name: &str, list: &str) -> BTreeMap<String, Json> {
    let pair = |entry: &Element| {
        let value = entry.text_of("Value").unwrap_or_default();
        Some((format!("{name}/{}", entry.text_of("Key")?), json!(value)))
    };
    told.entries(list).filter_map(pair).collect()
}

/// User data is compared as text: names of its own lie in it.
fn decoded(name: &str, value: &Json) -> Json {
    let text = value.as_str().filter(|_| name == "UserData").and_then(|text| BASE64_STANDARD.decode(text).ok());
    text.and_then(|bytes| String::from_utf8(bytes).ok()).map_or_else(|| value.clone(), Json::String)
}

fn vpc(element: &Element) -> BTreeMap<String, Json> {
    picked(element, &[("cidrBlock", "CidrBlock"), ("instanceTenancy", "InstanceTenancy")])
}

fn subnet(element: &Element) -> BTreeMap<String, Json> {
    let names = [
        ("cidrBlock", "CidrBlock"),
        ("availabilityZoneId", "AvailabilityZoneId"),
        ("mapPublicIpOnLaunch", "MapPublicIpOnLaunch"),
    ];
    picked(element, &names)
}

fn security_group(element: &Element) -> BTreeMap<String, Json> {
    picked(element, &[("ipPermissions", "SecurityGroupIngress"), ("ipPermissionsEgress", "SecurityGroupEgress")])
}
