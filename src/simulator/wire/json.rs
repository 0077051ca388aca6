//! AWS's JSON protocols: the operation in `X-Amz-Target`, a JSON body in and out.

use super::Request;
use crate::simulator::refusal::Refusal;
use serde_json::{Map, Value};

/// The operation and its parameters.
pub(super) fn call(request: &Request) -> Result<(String, Value), Refusal> {
    let target = request.header("x-amz-target").unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    if operation.is_empty() {
        return Err(Refusal::new("UnknownOperationException", ""));
    }
    let parameters = if request.body.is_empty() {
        Value::Object(Map::new())
    } else {
        serde_json::from_slice(&request.body).map_err(|_| Refusal::new("SerializationException", ""))?
    };
    Ok((operation, parameters))
}

/// A value without its empty members: AWS leaves out what it does not know.
pub(super) fn body(value: &Value) -> Vec<u8> {
    without_nulls(value).to_string().into_bytes()
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(entries) => Value::Array(entries.iter().map(without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
