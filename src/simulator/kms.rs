//! KMS: keys to look at. Nothing is encrypted here. Of key policies one thing is evaluated: another account must be named.

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
        "GetKeyPolicy" => Some(policy(world, &call.place, Parameters(&call.parameters))),
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
    if owner.account != place.account && !policy_of(world, &owner, &id).contains(&place.account) {
        let message = format!(
            "User: arn:aws:iam::{}:root is not authorized to perform: kms:DescribeKey on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
            place.account
        );
        return Err(Refusal::new("AccessDeniedException", message));
    }
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

/// A key without a policy of its own has one that delegates to IAM (AWS KMS Developer Guide, "Default key policy").
fn policy_of(world: &World, owner: &Place, id: &str) -> String {
    let own = resources::object(world, owner, KEY, id).and_then(|key| key.properties.get("KeyPolicy"));
    let default = || {
        let principal = format!("arn:aws:iam::{}:root", owner.account);
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"},
        ]})
    };
    own.cloned().unwrap_or_else(default).to_string()
}

fn policy(world: &World, place: &Place, parameters: Parameters<'_>) -> Result<Value, Refusal> {
    let asked = parameters.required("KeyId")?;
    let name = asked.rsplit(':').next().unwrap_or(asked);
    let id = key_of(world, place, name).ok_or_else(|| unknown(place, name))?;
    Ok(json!({"Policy": policy_of(world, place, &id), "PolicyName": "default"}))
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
