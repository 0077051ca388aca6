//! EC2 Auto Scaling: groups that hold instances, launch what is missing and end what is too much. A group's properties
//! are an object like any other (`resources/group.rs` is CloudFormation's handler of them); what happens to it by itself
//! is its life, here. Scaling policies and alarms set nothing in motion.

mod api;

use super::faults::ResourceWork;
use super::moment::Moment;
use super::resources::{self, GROUP, Launch, launch_of, text};
use super::world::{self, Place, World};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

pub(crate) use api::{call, ended_by_ec2};

/// Groups and instances of one account and Region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AutoScaling {
    /// By name.
    pub(crate) groups: BTreeMap<String, Life>,
    /// All instances there are or lately were, by id. EC2 shows them.
    pub(crate) instances: BTreeMap<String, Instance>,
}

/// What happens to a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) created: Moment,
    pub(crate) stack_name: String,
    pub(crate) logical_id: String,
    /// Its instances by id, those that are ending included.
    pub(crate) members: BTreeMap<String, Member>,
    /// The newest last.
    pub(crate) activities: Vec<Activity>,
    /// Processes that are suspended.
    pub(crate) suspended: BTreeSet<String>,
    /// So many more instances than desired, while a rolling update needs somewhere to go.
    pub(crate) surge: u64,
    /// The group is going: nothing is launched any more.
    pub(crate) is_ending: bool,
    /// Why nothing could be launched the last time.
    pub(crate) trouble: Option<String>,
    /// What CloudFormation waits for.
    pub(crate) wait: Wait,
}

/// What CloudFormation waits for while it works on a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wait {
    /// Signals that must have come in all, and until when; nothing if nobody waits for signals.
    pub(crate) signals: Option<(u64, Moment)>,
    /// After this the group is given up.
    pub(crate) until: Option<Moment>,
    /// How the instances of old versions are replaced, while that lasts.
    pub(crate) rolling: Option<Rolling>,
}

/// `AutoScalingRollingUpdate` (User Guide, "`UpdatePolicy` attribute").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rolling {
    pub(crate) min_in_service: u64,
    pub(crate) batch: u64,
    pub(crate) waits_for_signals: bool,
    pub(crate) pause_seconds: u64,
    /// When the batch that is being waited for must have signalled.
    pub(crate) deadline: Option<Moment>,
}

/// An instance as its group sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) zone: String,
    pub(crate) subnet: Option<String>,
    pub(crate) state: LifecycleState,
    pub(crate) is_healthy: bool,
    pub(crate) is_protected: bool,
    /// The template and its version when it was launched.
    pub(crate) template_id: String,
    pub(crate) template_version: String,
    pub(crate) instance_type: String,
    /// Whether it has told CloudFormation that it is up.
    pub(crate) has_signalled: bool,
    /// In which order instances were launched.
    pub(crate) number: u64,
}

/// `LifecycleState`, as far as instances here come to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LifecycleState {
    Pending,
    InService,
    Terminating,
}

impl LifecycleState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InService => "InService",
            Self::Terminating => "Terminating",
        }
    }
}

/// A scaling activity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Activity {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) cause: String,
    pub(crate) instance: Option<String>,
    pub(crate) started: Moment,
    pub(crate) ended: Option<Moment>,
    /// `InProgress`, `Successful`, `Failed`.
    pub(crate) status: String,
    pub(crate) message: Option<String>,
}

/// An instance as EC2 sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) private_ip: String,
    pub(crate) zone: String,
    pub(crate) subnet: Option<String>,
    pub(crate) image: String,
    /// `t4g.small`.
    pub(crate) kind: String,
    /// `pending`, `running`, `shutting-down`, `terminated`.
    pub(crate) state: String,
    pub(crate) launched: Moment,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) security_groups: Vec<String>,
    pub(crate) profile: Option<String>,
}

/// What happens by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Transition {
    /// An instance is up.
    Launched { group: String, instance: String },
    /// An instance is gone.
    Ended { group: String, instance: String },
    /// The group looks whether it has what it should have.
    Look { group: String },
}

/// Before a group that could launch nothing tries again, in virtual seconds. Invented.
const SECONDS_TO_RETRY: u64 = 60;

/// Instances that are gone are shown for an hour (EC2 User Guide, "Terminate instances").
const SECONDS_TERMINATED_SHOWN: u64 = 3_600;

/// A group keeps so many activities (six weeks of them, in AWS).
const ACTIVITIES_MAX: usize = 200;

/// A size of a group, as its properties say it.
pub(crate) fn size(properties: &Map<String, Value>, name: &str) -> u64 {
    text(properties, name).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// How many instances a group should have.
pub(crate) fn desired(properties: &Map<String, Value>) -> u64 {
    text(properties, "DesiredCapacity")
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| size(properties, "MinSize"))
}

impl Life {
    /// Instances that are there or coming.
    pub(crate) fn staying(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.members.iter().filter(|(_, member)| member.state != LifecycleState::Terminating)
    }

    pub(crate) fn in_service(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.members.iter().filter(|(_, member)| member.state == LifecycleState::InService)
    }

    fn is_suspended(&self, process: &str) -> bool {
        self.suspended.contains(process)
    }
}

pub(crate) fn life<'a>(world: &'a World, place: &Place, group: &str) -> Option<&'a Life> {
    world.services_at(place)?.auto_scaling.groups.get(group)
}

pub(crate) fn life_mut<'a>(world: &'a mut World, place: &Place, group: &str) -> Option<&'a mut Life> {
    world.services(place).auto_scaling.groups.get_mut(group)
}

/// Launches what is missing and ends what is too much.
pub(crate) fn reconcile(world: &mut World, place: &Place, group: &str) {
    let Some(properties) = resources::object(world, place, GROUP, group).map(|object| object.properties.clone()) else {
        return;
    };
    let Some(life) = life(world, place, group) else { return };
    let wanted = if life.is_ending { 0 } else { desired(&properties) + life.surge };
    let there = u64::try_from(life.staying().count()).unwrap_or(u64::MAX);
    if there < wanted && !life.is_suspended("Launch") {
        for _ in there..wanted {
            if !launch(world, place, group, &properties) {
                schedule(world, place, SECONDS_TO_RETRY, Transition::Look { group: group.to_owned() });
                return;
            }
        }
    } else if there > wanted && !life.is_suspended("Terminate") {
        let surplus = usize::try_from(there - wanted).unwrap_or(usize::MAX);
        for instance in first_to_go(world, place, group, &properties).into_iter().take(surplus) {
            end(
                world,
                place,
                group,
                &instance,
                "an instance was taken out of service in response to a difference between desired and actual capacity",
            );
        }
    }
}

/// Instances in the order in which they go: those of old versions first, then the oldest.
fn first_to_go(world: &World, place: &Place, group: &str, properties: &Map<String, Value>) -> Vec<String> {
    let wanted = launch_of(world, place, properties).ok();
    let Some(life) = life(world, place, group) else { return Vec::new() };
    let mut all: Vec<(&String, &Member)> = life.staying().collect();
    all.sort_by_key(|(_, member)| (wanted.as_ref().is_some_and(|launch| is_of(member, launch)), member.number));
    all.into_iter().map(|(id, _)| id.clone()).collect()
}

/// Whether an instance was launched as one would be launched now.
pub(crate) fn is_of(member: &Member, launch: &Launch) -> bool {
    member.template_id == launch.template_id && member.template_version == launch.version
}

fn schedule(world: &mut World, place: &Place, seconds: u64, transition: Transition) {
    world.schedule(seconds, world::Transition::AutoScaling(place.clone(), transition));
}

/// Launches one instance; says whether that could be begun.
fn launch(world: &mut World, place: &Place, group: &str, properties: &Map<String, Value>) -> bool {
    let trouble = match launch_of(world, place, properties) {
        Err(failure) => Some(failure.message),
        Ok(_) => no_capacity(world, place, group),
    };
    let launch = launch_of(world, place, properties).ok().filter(|_| trouble.is_none());
    let Some(launch) = launch else {
        let message = trouble.unwrap_or_default();
        note(world, place, group, "Launching a new EC2 instance".to_owned(), None, Some(&message));
        if let Some(life) = life_mut(world, place, group) {
            life.trouble = Some(message);
        }
        return false;
    };
    let id = format!("i-{}", world.identifiers.hex(17));
    let (zone, subnet) = seat(world, place, group, properties);
    let instance_type = text(&launch.data, "InstanceType").unwrap_or_else(|| "m1.small".to_owned());
    let instance = Instance {
        private_ip: free_address(world, place, subnet.as_deref()),
        zone: zone.clone(),
        subnet: subnet.clone(),
        image: text(&launch.data, "ImageId").unwrap_or_default(),
        kind: instance_type.clone(),
        state: "pending".to_owned(),
        launched: world.now(),
        tags: tags(group, properties, &launch),
        security_groups: groups_of(&launch.data),
        profile: launch
            .data
            .get("IamInstanceProfile")
            .and_then(Value::as_object)
            .and_then(|profile| text(profile, "Arn").or_else(|| text(profile, "Name"))),
    };
    let number = world.next_number();
    let member = Member {
        zone,
        subnet,
        state: LifecycleState::Pending,
        is_healthy: true,
        is_protected: text(properties, "NewInstancesProtectedFromScaleIn").as_deref() == Some("true"),
        template_id: launch.template_id,
        template_version: launch.version,
        instance_type,
        has_signalled: false,
        number,
    };
    world.services(place).auto_scaling.instances.insert(id.clone(), instance);
    note(world, place, group, format!("Launching a new EC2 instance: {id}"), Some(&id), None);
    if let Some(life) = life_mut(world, place, group) {
        life.members.insert(id.clone(), member);
        life.trouble = None;
    }
    let seconds = world.rules.durations.instance_in_service;
    schedule(world, place, seconds, Transition::Launched { group: group.to_owned(), instance: id });
    true
}

/// Why a fault lets the group launch nothing.
fn no_capacity(world: &mut World, place: &Place, group: &str) -> Option<String> {
    faulted(world, place, group, super::Faults::launch_failure)
}

/// Whether a fault keeps an instance from ever telling that it is up.
fn is_silent(world: &mut World, place: &Place, group: &str) -> bool {
    faulted(world, place, group, |faults, work, now, dice| faults.is_silent(work, now, dice).then_some(())).is_some()
}

fn faulted<T>(
    world: &mut World,
    place: &Place,
    group: &str,
    ask: impl FnOnce(&mut super::Faults, &ResourceWork<'_>, Moment, &mut super::identifiers::Identifiers) -> Option<T>,
) -> Option<T> {
    let (stack, logical_id) =
        life(world, place, group).map(|life| (life.stack_name.clone(), life.logical_id.clone()))?;
    let work =
        ResourceWork { stack: &stack, logical_id: &logical_id, type_name: GROUP, during: super::faults::Work::Create };
    let now = world.now();
    let mut faults = std::mem::take(&mut world.faults);
    let found = ask(&mut faults, &work, now, &mut world.identifiers);
    world.faults = faults;
    found
}

/// The subnet, or without subnets the zone, that has the fewest instances of the group.
fn seat(world: &World, place: &Place, group: &str, properties: &Map<String, Value>) -> (String, Option<String>) {
    let listed = |name: &str| -> Vec<String> {
        let list = properties.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let life = life(world, place, group);
    let taken = |is_there: &dyn Fn(&Member) -> bool| {
        life.map_or(0, |life| life.staying().filter(|(_, member)| is_there(member)).count())
    };
    let subnets = listed("VPCZoneIdentifier");
    let subnet = subnets.iter().min_by_key(|subnet| taken(&|member| member.subnet.as_ref() == Some(*subnet)));
    if let Some(subnet) = subnet {
        let object = resources::object(world, place, "AWS::EC2::Subnet", subnet);
        let zone = object.and_then(|object| text(&object.attributes, "AvailabilityZone"));
        return (zone.unwrap_or_else(|| format!("{}a", place.region)), Some(subnet.clone()));
    }
    let zones = listed("AvailabilityZones");
    let zone = zones.iter().min_by_key(|zone| taken(&|member| member.zone == **zone)).cloned();
    (zone.unwrap_or_else(|| format!("{}a", place.region)), None)
}

/// The first address of a subnet that nobody has. AWS keeps the first four and the last (VPC User Guide, "Subnet sizing").
fn free_address(world: &World, place: &Place, subnet: Option<&str>) -> String {
    const FIRST: u32 = 4;
    let block = subnet
        .and_then(|subnet| resources::object(world, place, "AWS::EC2::Subnet", subnet))
        .and_then(|subnet| text(&subnet.properties, "CidrBlock"))
        .unwrap_or_else(|| "172.31.0.0/20".to_owned());
    let Some((first, last)) = resources::address_range(&block) else { return String::new() };
    let instances = world.services_at(place).map(|services| &services.auto_scaling.instances);
    let taken: BTreeSet<&str> = instances
        .into_iter()
        .flatten()
        .filter(|(_, instance)| instance.state != "terminated")
        .map(|(_, instance)| instance.private_ip.as_str())
        .collect();
    let free = (first.saturating_add(FIRST)..last).map(|address| Ipv4Addr::from(address).to_string());
    free.into_iter().find(|address| !taken.contains(address.as_str())).unwrap_or_default()
}

/// Tags of the group that go with its instances, those of the template, and the services' own.
fn tags(group: &str, properties: &Map<String, Value>, launch: &Launch) -> BTreeMap<String, String> {
    let pair = |tag: &Value| {
        let tag = tag.as_object()?;
        Some((text(tag, "Key")?, text(tag, "Value")?))
    };
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let specifications = list(launch.data.get("TagSpecifications"));
    let of_template = specifications
        .iter()
        .filter(|specification| specification.get("ResourceType").and_then(Value::as_str) == Some("instance"))
        .flat_map(|specification| list(specification.get("Tags")));
    let goes_along =
        |tag: &Value| tag.get("PropagateAtLaunch").and_then(resources::plain).is_none_or(|truth| truth == "true");
    let of_group = list(properties.get("Tags")).into_iter().filter(goes_along);
    let mut tags: BTreeMap<String, String> = of_template.chain(of_group).filter_map(|tag| pair(&tag)).collect();
    tags.insert("aws:autoscaling:groupName".to_owned(), group.to_owned());
    tags.insert("aws:ec2launchtemplate:id".to_owned(), launch.template_id.clone());
    tags.insert("aws:ec2launchtemplate:version".to_owned(), launch.version.clone());
    tags
}

fn groups_of(data: &Map<String, Value>) -> Vec<String> {
    let interfaces = data.get("NetworkInterfaces").and_then(Value::as_array).into_iter().flatten();
    let of_interfaces =
        interfaces.filter_map(|interface| interface.get("Groups")).filter_map(Value::as_array).flatten();
    let own = data.get("SecurityGroupIds").and_then(Value::as_array).into_iter().flatten();
    own.chain(of_interfaces).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Ends an instance of a group; what is missing then is launched once it is gone.
pub(crate) fn end(world: &mut World, place: &Place, group: &str, instance: &str, why: &str) -> Option<String> {
    let life = life_mut(world, place, group)?;
    let member = life.members.get_mut(instance)?;
    if member.state == LifecycleState::Terminating {
        return life
            .activities
            .iter()
            .rev()
            .find(|it| it.instance.as_deref() == Some(instance))
            .map(|it| it.id.clone());
    }
    member.state = LifecycleState::Terminating;
    if let Some(instance) = world.services(place).auto_scaling.instances.get_mut(instance) {
        "shutting-down".clone_into(&mut instance.state);
    }
    let id = note(world, place, group, format!("Terminating EC2 instance: {instance}"), Some(instance), None);
    let cause = format!("At {} {why}.", world.now());
    if let Some(activity) = life_mut(world, place, group).and_then(|life| life.activities.last_mut()) {
        activity.cause = cause;
    }
    let seconds = world.rules.durations.instance_end;
    schedule(world, place, seconds, Transition::Ended { group: group.to_owned(), instance: instance.to_owned() });
    id
}

/// Writes an activity: one that has failed where there is a message, otherwise one that has begun.
fn note(
    world: &mut World,
    place: &Place,
    group: &str,
    description: String,
    instance: Option<&str>,
    failure: Option<&str>,
) -> Option<String> {
    let (id, now) = (world.identifiers.uuid(), world.now());
    let life = life_mut(world, place, group)?;
    let activity = Activity {
        id: id.clone(),
        description,
        cause: format!(
            "At {now} an instance was started in response to a difference between desired and actual capacity."
        ),
        instance: instance.map(str::to_owned),
        started: now,
        ended: failure.map(|_| now),
        status: if failure.is_some() { "Failed" } else { "InProgress" }.to_owned(),
        message: failure.map(str::to_owned),
    };
    life.activities.push(activity);
    if life.activities.len() > ACTIVITIES_MAX {
        life.activities.remove(0);
    }
    Some(id)
}

fn conclude(life: &mut Life, instance: &str, now: Moment) {
    let open = life.activities.iter_mut().rev();
    let mut open = open.filter(|activity| activity.instance.as_deref() == Some(instance) && activity.ended.is_none());
    if let Some(activity) = open.next() {
        activity.ended = Some(now);
        "Successful".clone_into(&mut activity.status);
    }
}

/// Runs what is due.
pub(crate) fn run(world: &mut World, place: &Place, transition: Transition) {
    let now = world.now();
    match transition {
        Transition::Launched { group, instance } => {
            let is_silent = is_silent(world, place, &group);
            if let Some(life) = life_mut(world, place, &group)
                && let Some(member) = life.members.get_mut(&instance)
                && member.state == LifecycleState::Pending
            {
                member.state = LifecycleState::InService;
                member.has_signalled = !is_silent;
                conclude(life, &instance, now);
                if let Some(instance) = world.services(place).auto_scaling.instances.get_mut(&instance) {
                    "running".clone_into(&mut instance.state);
                }
            }
        }
        Transition::Ended { group, instance } => {
            if let Some(life) = life_mut(world, place, &group) {
                life.members.remove(&instance);
                conclude(life, &instance, now);
            }
            let instances = &mut world.services(place).auto_scaling.instances;
            if let Some(instance) = instances.get_mut(&instance) {
                "terminated".clone_into(&mut instance.state);
            }
            let shown = |instance: &Instance| {
                instance.state != "terminated" || now <= instance.launched.after_seconds(SECONDS_TERMINATED_SHOWN)
            };
            instances.retain(|id, known| *id == instance || shown(known));
            reconcile(world, place, &group);
        }
        Transition::Look { group } => reconcile(world, place, &group),
    }
}

/// The activity of an instance, as the API shows it.
fn activity_view(group: &str, activity: &Activity) -> Value {
    json!({
        "ActivityId": activity.id,
        "AutoScalingGroupName": group,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started.to_string(),
        "EndTime": activity.ended.map(|moment| moment.to_string()),
        "StatusCode": activity.status,
        "StatusMessage": activity.message,
        "Progress": if activity.ended.is_some() { 100 } else { 50 },
        "Details": "{}",
    })
}
