//! KMS: keys to look at. Nothing is encrypted here, and no key policy is evaluated.

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::resources::{self, text};
use super::wire::Call;
use super::world::{Place, World};
use serde_json::{Value, json};

const KEY: &str = "AWS::KMS::Key";
const ALIAS: &str = "AWS::KMS::Alias";

pub(crate) fn call(world: &World, call: &Call) -> Option<Result<Value, Refusal>> {
    match call.operation.as_str() {
        "DescribeKey" => Some(describe(world, &call.place, Parameters(&call.parameters))),
        _ => None,
    }
}

/// By id, alias, or the ARN of either, which may lie in another account.
fn describe(world: &World, place: &Place, parameters: Parameters<'_>) -> Result<Value, Refusal> {
    let asked = parameters.required("KeyId")?;
    let owner = owner(asked).unwrap_or_else(|| place.clone());
    let name = asked.rsplit(':').next().unwrap_or(asked);
    let (id, manager) = match name.strip_prefix("alias/aws/") {
        // Every account has these; their keys are AWS's business.
        Some(service) => (format!("aws-managed-{service}"), "AWS"),
        None => (key_of(world, &owner, name).ok_or_else(|| unknown(&owner, name))?, "CUSTOMER"),
    };
    let key = resources::object(world, &owner, KEY, &id);
    let is_enabled = key.and_then(|key| text(&key.properties, "Enabled")).is_none_or(|truth| truth == "true");
    Ok(json!({"KeyMetadata": {
        "AWSAccountId": owner.account,
        "KeyId": id,
        "Arn": owner.arn("kms", &format!("key/{id}")),
        "Enabled": is_enabled,
        "KeyState": if is_enabled { "Enabled" } else { "Disabled" },
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyManager": manager,
        "KeySpec": "SYMMETRIC_DEFAULT",
        "Origin": "AWS_KMS",
        "MultiRegion": false,
        "Description": key.and_then(|key| text(&key.properties, "Description")).unwrap_or_default(),
    }}))
}

fn owner(asked: &str) -> Option<Place> {
    let mut parts = asked.strip_prefix("arn:")?.split(':').skip(2);
    let (region, account) = (parts.next()?, parts.next()?);
    Some(Place::new(account, region))
}

fn key_of(world: &World, owner: &Place, name: &str) -> Option<String> {
    let id = name.strip_prefix("key/").unwrap_or(name);
    if resources::object(world, owner, KEY, id).is_some() {
        return Some(id.to_owned());
    }
    let alias = resources::object(world, owner, ALIAS, name)?;
    let target = text(&alias.properties, "TargetKeyId")?;
    let id = target.rsplit_once("key/").map_or(target.as_str(), |(_, id)| id);
    Some(id.to_owned())
}

fn unknown(owner: &Place, name: &str) -> Refusal {
    let arn = owner.arn("kms", if name.contains('/') { name.to_owned() } else { format!("key/{name}") }.as_str());
    Refusal::new("NotFoundException", format!("Key '{arn}' does not exist"))
}
