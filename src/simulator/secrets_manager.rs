//! Secrets Manager: a view of the `AWS::SecretsManager::Secret` resources of an account and Region.

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::resources::{self, Object, text};
use super::wire::Call;
use super::world::{Place, World};
use serde_json::{Value, json};

type Reply = Result<Value, Refusal>;

const TYPE: &str = "AWS::SecretsManager::Secret";

pub(crate) fn call(world: &World, call: &Call) -> Option<Reply> {
    let (place, parameters) = (&call.place, Parameters(&call.parameters));
    match call.operation.as_str() {
        "GetSecretValue" => Some(get(world, place, parameters)),
        "DescribeSecret" => Some(describe(world, place, parameters)),
        _ => None,
    }
}

/// A secret by ARN or name.
fn find<'a>(world: &'a World, place: &Place, id: &str) -> Option<(&'a String, &'a Object)> {
    let is_meant = |arn: &str, object: &Object| {
        arn == id || name(arn, object) == id || arn.strip_prefix(id).is_some_and(|rest| rest.starts_with('-'))
    };
    resources::objects(world, place, TYPE).find(|(arn, object)| is_meant(arn, object))
}

fn name(arn: &str, object: &Object) -> String {
    let of_arn =
        || arn.rsplit_once(":secret:").and_then(|(_, name)| name.rsplit_once('-')).map(|(name, _)| name.to_owned());
    text(&object.properties, "Name").or_else(of_arn).unwrap_or_default()
}

fn secret_string(object: &Object) -> Option<String> {
    text(&object.properties, "SecretString").or_else(|| text(&object.attributes, "SecretString"))
}

/// A secret, or one key of it, for templates.
pub(crate) fn value(world: &World, place: &Place, id: &str, key: &str) -> Option<String> {
    let secret = secret_string(find(world, place, id)?.1)?;
    if key.is_empty() {
        return Some(secret);
    }
    let members: Value = serde_json::from_str(&secret).ok()?;
    members.get(key).and_then(super::facts::plain)
}

fn not_found() -> Refusal {
    Refusal::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

fn get(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let (arn, object) = find(world, place, parameters.required("SecretId")?).ok_or_else(not_found)?;
    Ok(json!({
        "ARN": arn,
        "Name": name(arn, object),
        "VersionId": super::identifiers::uuid_from(&super::identifiers::hex_digest(&format!("{arn}{:?}", secret_string(object)))),
        "SecretString": secret_string(object),
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": world.now().epoch_seconds(),
    }))
}

fn describe(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let (arn, object) = find(world, place, parameters.required("SecretId")?).ok_or_else(not_found)?;
    Ok(json!({
        "ARN": arn,
        "Name": name(arn, object),
        "Description": object.properties.get("Description"),
        "KmsKeyId": object.properties.get("KmsKeyId"),
        "Tags": object.properties.get("Tags"),
    }))
}
