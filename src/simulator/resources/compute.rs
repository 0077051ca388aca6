//! Launch templates with their versions, and what hangs on Auto Scaling groups: policies, hooks, schedules. The groups
//! themselves have a life of their own (`group.rs`).

use super::modelled::{Modelled, made_up, named};
use super::{Failure, Object, Order, object, objects, text};
use crate::simulator::world::{Place, World};
use serde_json::{Map, Value, json};

pub(crate) const TEMPLATE: &str = "AWS::EC2::LaunchTemplate";
pub(crate) const GROUP: &str = "AWS::AutoScaling::AutoScalingGroup";

/// Letters after the prefix of an EC2 id.
const ID_DIGITS: usize = 17;

/// Bytes of user data before they are encoded (EC2 User Guide, "Run commands when you launch an EC2 instance").
const USER_DATA_BYTES_MAX: usize = 16_384;

pub(super) static TYPES: &[Modelled] = &[
    Modelled {
        attributes: |_, order, id| {
            vec![
                ("LaunchTemplateId", id.into()),
                ("LatestVersionNumber", "1".into()),
                ("DefaultVersionNumber", "1".into()),
                (VERSIONS, json!([version(1, &order.properties)])),
            ]
        },
        check: check_template,
        after_update: add_version,
        volatile: &["LatestVersionNumber"],
        ..Modelled::plain(TEMPLATE, 5, |identifiers, _| format!("lt-{}", identifiers.hex(ID_DIGITS)))
    },
    Modelled {
        attributes: |_, _, id| {
            vec![("Arn", id.into()), ("PolicyName", id.rsplit('/').next().unwrap_or_default().into())]
        },
        check: |world, order, _| check_group(world, order),
        ..Modelled::plain("AWS::AutoScaling::ScalingPolicy", 10, |identifiers, order| {
            let group = text(&order.properties, "AutoScalingGroupName").unwrap_or_default();
            let (uuid, name) = (identifiers.uuid(), made_up(identifiers, order));
            let rest = format!("scalingPolicy:{uuid}:autoScalingGroupName/{group}:policyName/{name}");
            order.place.arn("autoscaling", &rest)
        })
    },
    Modelled {
        check: |world, order, _| check_group(world, order),
        ..Modelled::plain("AWS::AutoScaling::LifecycleHook", 10, |identifiers, order| {
            named(identifiers, order, "LifecycleHookName")
        })
    },
    Modelled {
        attributes: |_, _, id| vec![("ScheduledActionName", id.into())],
        check: |world, order, _| check_group(world, order),
        ..Modelled::plain("AWS::AutoScaling::ScheduledAction", 10, made_up)
    },
];

/// The attribute that keeps all versions of a template; `GetAtt` does not give it.
const VERSIONS: &str = "Versions";

fn version(number: usize, properties: &Map<String, Value>) -> Value {
    json!({
        "VersionNumber": number,
        "LaunchTemplateData": properties.get("LaunchTemplateData"),
        "VersionDescription": properties.get("VersionDescription"),
    })
}

/// All versions of a launch template, the first one first.
pub(crate) fn versions(template: &Object) -> &[Value] {
    template.attributes.get(VERSIONS).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Makes a version of a launch template the latest.
pub(crate) fn push_version(template: &mut Object, data: Option<&Value>, description: Option<&Value>) -> usize {
    let number = versions(template).len() + 1;
    let new = json!({"VersionNumber": number, "LaunchTemplateData": data, "VersionDescription": description});
    if let Some(all) = template.attributes.get_mut(VERSIONS).and_then(Value::as_array_mut) {
        all.push(new);
    }
    template.attributes.insert("LatestVersionNumber".to_owned(), number.to_string().into());
    number
}

/// A change of the data is a new version; the old ones stay.
fn add_version(world: &mut World, order: &Order, before: &Map<String, Value>) {
    let is_same = |name: &str| match (before.get(name), order.properties.get(name)) {
        (Some(before), Some(after)) => super::equal(before, after),
        (before, after) => before == after,
    };
    let id = order.physical_id.clone().unwrap_or_default();
    if is_same("LaunchTemplateData") && is_same("VersionDescription") {
        return;
    }
    if let Some(template) = super::object_mut(world, &order.place, TEMPLATE, &id) {
        let of = |name: &str| order.properties.get(name);
        push_version(template, of("LaunchTemplateData"), of("VersionDescription"));
    }
}

fn check_template(world: &World, order: &Order, own_id: Option<&str>) -> Result<(), Failure> {
    if let Some(name) = text(&order.properties, "LaunchTemplateName") {
        let is_taken = objects(world, &order.place, TEMPLATE).any(|(id, other)| {
            Some(id.as_str()) != own_id && text(&other.properties, "LaunchTemplateName").as_deref() == Some(&name)
        });
        if is_taken {
            return Err(Failure::new(
                "AlreadyExists",
                "Launch template name already in use. (Service: Ec2, Status Code: 400)",
            ));
        }
    }
    let data = order.properties.get("LaunchTemplateData").and_then(Value::as_object);
    let user_data = data.and_then(|data| text(data, "UserData")).unwrap_or_default();
    // Base64 takes four letters for three bytes.
    if user_data.len() / 4 * 3 > USER_DATA_BYTES_MAX {
        return Err(Failure::new(
            "InvalidRequest",
            "User data is limited to 16384 bytes (Service: Ec2, Status Code: 400)",
        ));
    }
    Ok(())
}

fn check_group(world: &World, order: &Order) -> Result<(), Failure> {
    let name = text(&order.properties, "AutoScalingGroupName").unwrap_or_default();
    if object(world, &order.place, GROUP, &name).is_some() {
        return Ok(());
    }
    Err(Failure::new(
        "InvalidRequest",
        format!("AutoScalingGroup name not found - null {name} (Service: AutoScaling, Status Code: 400)"),
    ))
}

/// What a launch template says in one version.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) template_id: String,
    pub(crate) version: String,
    pub(crate) data: Map<String, Value>,
}

/// The launch template and version that a group's specification means now.
pub(crate) fn launch_of(world: &World, place: &Place, properties: &Map<String, Value>) -> Result<Launch, Failure> {
    let mixed = || properties.get("MixedInstancesPolicy")?.get("LaunchTemplate")?.get("LaunchTemplateSpecification");
    let specification = properties.get("LaunchTemplate").or_else(mixed).and_then(Value::as_object);
    let invalid =
        |message: String| Failure::new("InvalidRequest", format!("{message} (Service: AutoScaling, Status Code: 400)"));
    let Some(specification) = specification else {
        return Err(invalid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.".to_owned()));
    };
    let (id, name) = (text(specification, "LaunchTemplateId"), text(specification, "LaunchTemplateName"));
    let mut all = objects(world, place, TEMPLATE);
    let found = all.find(|(known, template)| {
        id.as_ref() == Some(*known) || (name.is_some() && name == text(&template.properties, "LaunchTemplateName"))
    });
    let Some((template_id, template)) = found else {
        return Err(invalid(
            "You must use a valid fully-formed launch template. The specified launch template does not exist."
                .to_owned(),
        ));
    };
    let wanted = match text(specification, "Version").as_deref() {
        None | Some("$Default") => text(&template.attributes, "DefaultVersionNumber").unwrap_or_default(),
        Some("$Latest") => text(&template.attributes, "LatestVersionNumber").unwrap_or_default(),
        Some(number) => number.to_owned(),
    };
    let version = wanted.parse::<usize>().ok().and_then(|number| versions(template).get(number.checked_sub(1)?));
    let Some(version) = version else {
        return Err(invalid(format!(
            "You must use a valid fully-formed launch template. The specified launch template version {wanted} does not exist."
        )));
    };
    let data = version.get("LaunchTemplateData").and_then(Value::as_object).cloned().unwrap_or_default();
    Ok(Launch { template_id: template_id.clone(), version: wanted, data })
}
