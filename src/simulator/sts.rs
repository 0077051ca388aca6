//! STS: who is calling. Roles are assumed by whoever asks; IAM is not evaluated here.

use super::cloudtrail::Caller;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::wire::{Call, SESSION_PREFIX};
use serde_json::{Value, json};

pub(crate) fn call(call: &Call) -> Option<Result<Value, Refusal>> {
    let account = &call.place.account;
    match call.operation.as_str() {
        "GetCallerIdentity" => {
            let caller = Caller::of(call.session.as_deref());
            Some(Ok(json!({"UserId": caller.id(), "Account": account, "Arn": caller.arn(account)})))
        }
        "AssumeRole" => Some(assume_role(Parameters(&call.parameters))),
        _ => None,
    }
}

/// The credentials of an assumed role: their access key is the role's account, so later calls land there.
fn assume_role(parameters: Parameters<'_>) -> Result<Value, Refusal> {
    let role = parameters.required("RoleArn")?;
    let session = parameters.required("RoleSessionName")?;
    let parts: Vec<&str> = role.split(':').collect();
    let [_, _, "iam", _, account, name] = parts[..] else {
        return Err(Refusal::validation(format!("{role} is invalid")));
    };
    let name = name.strip_prefix("role/").unwrap_or(name);
    Ok(json!({
        "Credentials": {
            "AccessKeyId": account,
            "SecretAccessKey": "local",
            "SessionToken": format!("{SESSION_PREFIX}{name}/{session}"),
            "Expiration": "2099-01-01T00:00:00Z",
        },
        "AssumedRoleUser": {
            "AssumedRoleId": format!("AROALOCALCLOUD:{session}"),
            "Arn": format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
        },
    }))
}
