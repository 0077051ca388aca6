//! What values of a template mean: Ref, `GetAtt`, Sub and their kin. Pure over what it is given; whether a resource is
//! known yet is the business of the `Lookup`. A null result is `AWS::NoValue` and disappears from lists and objects.

use super::template::{SubPart, Template, attribute_reference, sub_parts};
use crate::simulator::facts::plain;
use crate::simulator::world::Place;
use base64::Engine;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How change sets show what nobody can know before they run.
pub(crate) const KNOWN_AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// Where Ref and `GetAtt` of resources look.
pub(crate) trait Lookup {
    /// What Ref gives; the error is a sentence.
    fn reference(&self, logical_id: &str) -> Result<Value, String>;
    /// What `Fn::GetAtt` gives; the error is a sentence.
    fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, String>;
}

/// The names of the stack a template is evaluated for.
#[derive(Debug, Clone)]
pub(crate) struct StackNames {
    pub(crate) place: Place,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) notification_arns: Vec<String>,
}

/// Everything a value can mean something by.
pub(crate) struct Scope<'a> {
    template: &'a Template,
    parameters: &'a BTreeMap<String, Value>,
    stack: &'a StackNames,
    exports: &'a BTreeMap<String, String>,
    lookup: &'a dyn Lookup,
    conditions: BTreeMap<String, bool>,
}

impl<'a> Scope<'a> {
    /// A scope with its conditions decided.
    pub(crate) fn new(
        template: &'a Template,
        parameters: &'a BTreeMap<String, Value>,
        stack: &'a StackNames,
        exports: &'a BTreeMap<String, String>,
        lookup: &'a dyn Lookup,
    ) -> Result<Self, String> {
        let mut scope = Self { template, parameters, stack, exports, lookup, conditions: BTreeMap::new() };
        let mut left: Vec<(&str, &Value)> = template.conditions().collect();
        // Each round decides at least one condition, or the rest refer to each other in a circle.
        while !left.is_empty() {
            let before = left.len();
            let mut failure = None;
            left.retain(|(name, body)| match scope.truth(body) {
                Ok(truth) => {
                    scope.conditions.insert((*name).to_owned(), truth);
                    false
                }
                Err(error) => {
                    failure = Some(error);
                    true
                }
            });
            if left.len() == before {
                return Err(failure.unwrap_or_else(|| "Template error: circular conditions".to_owned()));
            }
        }
        Ok(scope)
    }

    /// Whether a named condition holds; without a name it does.
    pub(crate) fn holds(&self, condition: Option<&str>) -> Result<bool, String> {
        condition.map_or(Ok(true), |name| {
            self.conditions
                .get(name)
                .copied()
                .ok_or_else(|| format!("Template format error: Unresolved condition dependency {name} in the Resources block of the template"))
        })
    }

    /// The properties of a resource.
    pub(crate) fn properties(&self, properties: Option<&Value>) -> Result<Map<String, Value>, String> {
        match properties.map(|properties| self.evaluate(properties)).transpose()? {
            Some(Value::Object(members)) => Ok(members),
            _ => Ok(Map::new()),
        }
    }

    /// What a value means.
    pub(crate) fn evaluate(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::Object(members) => match function(members) {
                Some((name, argument)) => self.apply(name, argument),
                None => self.evaluate_members(members),
            },
            Value::Array(entries) => {
                let entries: Result<Vec<Value>, String> = entries.iter().map(|entry| self.evaluate(entry)).collect();
                Ok(Value::Array(entries?.into_iter().filter(|entry| !entry.is_null()).collect()))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        }
    }

    fn evaluate_members(&self, members: &Map<String, Value>) -> Result<Value, String> {
        let mut evaluated = Map::new();
        for (name, member) in members {
            let member = self.evaluate(member)?;
            if !member.is_null() {
                evaluated.insert(name.clone(), member);
            }
        }
        Ok(Value::Object(evaluated))
    }

    fn apply(&self, function: &str, argument: &Value) -> Result<Value, String> {
        match function {
            "Ref" => self.reference(argument.as_str().unwrap_or_default()),
            "Fn::GetAtt" => self.attribute(argument),
            "Fn::Sub" => self.substitute(argument),
            "Fn::Join" => self.join(argument),
            "Fn::Select" => self.select(argument),
            "Fn::Split" => self.split(argument),
            "Fn::If" => self.choose(argument),
            "Fn::FindInMap" => self.find_in_map(argument),
            "Fn::GetAZs" => self.availability_zones(argument),
            "Fn::Cidr" => self.cidr(argument),
            "Fn::Base64" => {
                let text = self.text(argument)?;
                Ok(known_or(&text, || base64::engine::general_purpose::STANDARD.encode(&text)))
            }
            "Fn::ImportValue" => {
                let name = self.text(argument)?;
                self.exports
                    .get(&name)
                    .cloned()
                    .map(Value::String)
                    .ok_or_else(|| format!("No export named {name} found."))
            }
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" | "Condition" => {
                self.truth_of(function, argument).map(Value::Bool)
            }
            _ => Err(format!("Template error: {function} is not served by the local cloud")),
        }
    }

    fn reference(&self, name: &str) -> Result<Value, String> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        match name {
            "AWS::AccountId" => Ok(Value::from(self.stack.place.account.as_str())),
            "AWS::Region" => Ok(Value::from(self.stack.place.region.as_str())),
            "AWS::Partition" => Ok(Value::from("aws")),
            "AWS::URLSuffix" => Ok(Value::from("amazonaws.com")),
            "AWS::StackId" => Ok(Value::from(self.stack.id.as_str())),
            "AWS::StackName" => Ok(Value::from(self.stack.name.as_str())),
            "AWS::NotificationARNs" => Ok(Value::from(self.stack.notification_arns.clone())),
            "AWS::NoValue" => Ok(Value::Null),
            _ => self.lookup.reference(name),
        }
    }

    fn attribute(&self, argument: &Value) -> Result<Value, String> {
        let argument = match argument {
            Value::Array(parts) => {
                Value::Array(parts.iter().map(|part| self.evaluate(part)).collect::<Result<_, _>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => argument.clone(),
        };
        let (target, attribute) = attribute_reference(&argument)
            .ok_or("Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")?;
        self.lookup.attribute(&target, &attribute)
    }

    fn substitute(&self, argument: &Value) -> Result<Value, String> {
        let (text, own) = match argument {
            Value::String(text) => (text.as_str(), None),
            Value::Array(parts) => {
                (parts.first().and_then(Value::as_str).unwrap_or_default(), parts.get(1).and_then(Value::as_object))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                return Err("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string".to_owned());
            }
        };
        let mut result = String::new();
        for part in sub_parts(text) {
            match part {
                SubPart::Text(text) => result.push_str(text),
                SubPart::Literal(name) => {
                    result.push_str("${");
                    result.push_str(name);
                    result.push('}');
                }
                SubPart::Variable(name) => result.push_str(&self.variable(name, own)?),
            }
        }
        Ok(known_or(&result.clone(), || result))
    }

    fn variable(&self, name: &str, own: Option<&Map<String, Value>>) -> Result<String, String> {
        if let Some(value) = own.and_then(|own| own.get(name)) {
            return self.text(value);
        }
        let value = match name.split_once('.') {
            Some((target, attribute)) => self.lookup.attribute(target, attribute)?,
            None => self.reference(name)?,
        };
        Ok(joined_text(&value))
    }

    fn join(&self, argument: &Value) -> Result<Value, String> {
        let (delimiter, values) = self.pair(argument, "Fn::Join")?;
        let Value::Array(values) = values else {
            return Err("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.".to_owned());
        };
        let parts: Vec<String> = values.iter().map(joined_text).collect();
        let result = parts.join(plain(&delimiter).unwrap_or_default().as_str());
        Ok(known_or(&result.clone(), || result))
    }

    fn select(&self, argument: &Value) -> Result<Value, String> {
        let (position, values) = self.pair(argument, "Fn::Select")?;
        let position = plain(&position).unwrap_or_default();
        let values = match values {
            Value::Array(values) => values,
            Value::String(text) if text == KNOWN_AFTER_APPLY => return Ok(Value::String(text)),
            Value::String(text) => text.split(',').map(Value::from).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
        };
        position
            .parse::<usize>()
            .ok()
            .and_then(|position| values.get(position).cloned())
            .ok_or_else(|| format!("Template error: Fn::Select cannot select nonexistent value at index {position}"))
    }

    fn split(&self, argument: &Value) -> Result<Value, String> {
        let (delimiter, text) = self.pair(argument, "Fn::Split")?;
        let (delimiter, text) = (plain(&delimiter).unwrap_or_default(), plain(&text).unwrap_or_default());
        if text.contains(KNOWN_AFTER_APPLY) {
            return Ok(Value::from(KNOWN_AFTER_APPLY));
        }
        if delimiter.is_empty() {
            return Err("Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.".to_owned());
        }
        Ok(text.split(&delimiter).map(Value::from).collect())
    }

    fn choose(&self, argument: &Value) -> Result<Value, String> {
        let parts = argument.as_array().map_or(&[][..], Vec::as_slice);
        let [condition, yes, no] = parts else {
            return Err(
                "Template error: Fn::If requires a list argument with the first element being a condition".to_owned()
            );
        };
        let holds = self.holds(condition.as_str())?;
        self.evaluate(if holds { yes } else { no })
    }

    fn find_in_map(&self, argument: &Value) -> Result<Value, String> {
        let parts = argument.as_array().map_or(&[][..], Vec::as_slice);
        let (Some(map), Some(top), Some(second)) = (parts.first(), parts.get(1), parts.get(2)) else {
            return Err("Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value".to_owned());
        };
        let (map, top, second) = (self.text(map)?, self.text(top)?, self.text(second)?);
        let found =
            self.template.mapping(&map).and_then(|mapping| mapping.get(&top)).and_then(|entry| entry.get(&second));
        if let Some(found) = found {
            return Ok(found.clone());
        }
        let default = parts.get(3).and_then(|options| options.get("DefaultValue"));
        default.map_or_else(
            || Err(format!("Template error: Unable to get mapping for {map}::{top}::{second}")),
            |default| self.evaluate(default),
        )
    }

    fn availability_zones(&self, argument: &Value) -> Result<Value, String> {
        let region = self.text(argument)?;
        let region = if region.is_empty() { self.stack.place.region.clone() } else { region };
        Ok(["a", "b", "c"].iter().map(|zone| Value::from(format!("{region}{zone}"))).collect())
    }

    fn cidr(&self, argument: &Value) -> Result<Value, String> {
        let wrong = || {
            "Template error: every Fn::Cidr object requires two to three parameters, (1) an IP block, (2) a count and (3) the subnet bits".to_owned()
        };
        let parts = argument.as_array().ok_or_else(wrong)?;
        let (Some(block), Some(count)) = (parts.first(), parts.get(1)) else {
            return Err(wrong());
        };
        let block = self.text(block)?;
        let count: u32 = self.text(count)?.parse().map_err(|_| wrong())?;
        let bits: u32 =
            parts.get(2).map_or(Ok("8".to_owned()), |bits| self.text(bits))?.parse().map_err(|_| wrong())?;
        if block.contains(KNOWN_AFTER_APPLY) {
            let unknown =
                std::iter::repeat_n(Value::from(KNOWN_AFTER_APPLY), usize::try_from(count.min(256)).unwrap_or(0));
            return Ok(unknown.collect());
        }
        blocks(&block, count, bits).ok_or_else(wrong)
    }

    fn pair(&self, argument: &Value, function: &str) -> Result<(Value, Value), String> {
        let parts = argument.as_array().map_or(&[][..], Vec::as_slice);
        let [first, second] = parts else {
            return Err(format!("Template error: every {function} object requires two parameters"));
        };
        Ok((self.evaluate(first)?, self.evaluate(second)?))
    }

    fn text(&self, value: &Value) -> Result<String, String> {
        Ok(joined_text(&self.evaluate(value)?))
    }

    fn truth(&self, value: &Value) -> Result<bool, String> {
        match value {
            Value::Object(members) => match function(members) {
                Some((name, argument)) => self.truth_of(name, argument),
                None => Err("Template error: conditions can only use condition functions".to_owned()),
            },
            Value::Bool(truth) => Ok(*truth),
            Value::String(text) => Ok(text == "true"),
            Value::Null | Value::Number(_) | Value::Array(_) => {
                Err("Template error: conditions can only use condition functions".to_owned())
            }
        }
    }

    fn truth_of(&self, function: &str, argument: &Value) -> Result<bool, String> {
        let parts = argument.as_array().map_or(&[][..], Vec::as_slice);
        match function {
            "Condition" => {
                let name = argument.as_str().unwrap_or_default();
                let unknown = || {
                    format!(
                        "Template format error: Unresolved dependencies [{name}]. Cannot reference resources in the Conditions block of the template"
                    )
                };
                self.conditions.get(name).copied().ok_or_else(unknown)
            }
            "Fn::Equals" => match parts {
                [left, right] => Ok(self.text(left)? == self.text(right)?),
                _ => Err("Template error: every Fn::Equals object requires a list of 2 string parameters.".to_owned()),
            },
            "Fn::Not" => match parts {
                [inner] => Ok(!self.truth(inner)?),
                _ => Err("Template error: every Fn::Not object requires a list of 1 boolean parameter.".to_owned()),
            },
            "Fn::And" => parts.iter().try_fold(true, |all, part| Ok(self.truth(part)? && all)),
            "Fn::Or" => parts.iter().try_fold(false, |any, part| Ok(self.truth(part)? || any)),
            _ => Err(format!("Template error: {function} is not a condition function")),
        }
    }
}

/// An object with one member whose name is a function's.
fn function(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = members.iter().next().filter(|_| members.len() == 1)?;
    (name == "Ref" || name.starts_with("Fn::") || (name == "Condition" && argument.is_string()))
        .then_some((name.as_str(), argument))
}

/// A text that contains something unknown is unknown as a whole (REC: `Fn::Sub` and `Fn::Join` in change sets).
fn known_or(text: &str, known: impl FnOnce() -> String) -> Value {
    if text.contains(KNOWN_AFTER_APPLY) { Value::from(KNOWN_AFTER_APPLY) } else { Value::String(known()) }
}

fn joined_text(value: &Value) -> String {
    match value {
        Value::Array(entries) => entries.iter().map(joined_text).collect::<Vec<_>>().join(","),
        other => plain(other).unwrap_or_default(),
    }
}

/// So many blocks with so many host bits, from the start of an IPv4 block.
fn blocks(block: &str, count: u32, bits: u32) -> Option<Value> {
    let (address, prefix) = block.split_once('/')?;
    let address: std::net::Ipv4Addr = address.parse().ok()?;
    let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
    let is_possible = (1..=256).contains(&count) && bits < 32 && prefix <= 32 - bits;
    if !is_possible {
        return None;
    }
    let room = 1_u64 << (32 - bits - prefix);
    if u64::from(count) > room {
        return None;
    }
    let start = u32::from(address) & u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
    let blocks = (0..count).map(|place| {
        let address = std::net::Ipv4Addr::from(start.wrapping_add(place << bits));
        Value::from(format!("{address}/{}", 32 - bits))
    });
    Some(blocks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Known;

    impl Lookup for Known {
        fn reference(&self, logical_id: &str) -> Result<Value, String> {
            if logical_id == "New" { Ok(KNOWN_AFTER_APPLY.into()) } else { Ok(format!("id-{logical_id}").into()) }
        }
        fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, String> {
            Ok(format!("{logical_id}:{attribute}").into())
        }
    }

    fn evaluate(value: &Value) -> Result<Value, String> {
        let template = Template::parse(
            "Conditions: {Yes: !Equals [!Ref P, p], Both: !And [!Condition Yes, !Not [!Equals [a, b]]]}\n\
             Mappings: {M: {K: {V: mapped}}}\n\
             Parameters: {P: {Type: String}}\n\
             Resources: {R: {Type: 'AWS::SNS::Topic'}}",
        )
        .expect("a good template");
        let parameters = BTreeMap::from([("P".to_owned(), json!("p")), ("L".to_owned(), json!(["x", "y"]))]);
        let stack = StackNames {
            place: Place::new("111111111111", "ap-southeast-2"),
            id: "arn:stack".into(),
            name: "s".into(),
            notification_arns: Vec::new(),
        };
        let exports = BTreeMap::from([("E".to_owned(), "exported".to_owned())]);
        Scope::new(&template, &parameters, &stack, &exports, &Known)?.evaluate(value)
    }

    #[test]
    fn functions_nest() {
        let cases = [
            (json!({"Fn::Join": ["-", [{"Ref": "P"}, {"Fn::GetAtt": "R.Arn"}]]}), json!("p-R:Arn")),
            (
                json!({"Fn::Sub": ["${P}/${R.Endpoint.Port}/${X}/${!Y}/${AWS::Region}", {"X": {"Ref": "R"}}]}),
                json!("p/R:Endpoint.Port/id-R/${Y}/ap-southeast-2"),
            ),
            (json!({"Fn::Select": ["1", {"Fn::GetAZs": ""}]}), json!("ap-southeast-2b")),
            (json!({"Fn::Select": [0, {"Fn::Cidr": ["10.0.0.0/16", 2, 8]}]}), json!("10.0.0.0/24")),
            (json!({"Fn::If": ["Both", {"Fn::Split": [",", "a,b"]}, {"Ref": "AWS::NoValue"}]}), json!(["a", "b"])),
            (json!({"a": {"Fn::If": ["Both", {"Ref": "AWS::NoValue"}, 1]}, "b": 2}), json!({"b": 2})),
            (json!({"Fn::Base64": {"Fn::Sub": "${P}"}}), json!("cA==")),
            (json!({"Fn::FindInMap": ["M", "K", "V"]}), json!("mapped")),
            (json!({"Fn::ImportValue": "E"}), json!("exported")),
        ];
        for (value, expected) in cases {
            assert_eq!(evaluate(&value), Ok(expected), "{value}");
        }
    }

    // REC: test_change_set_fn_sub, test_change_set_fn_join.
    #[test]
    fn a_text_with_something_unknown_is_unknown() {
        assert_eq!(evaluate(&json!({"Fn::Sub": "x-${New}"})), Ok(json!(KNOWN_AFTER_APPLY)));
        assert_eq!(evaluate(&json!({"Fn::Join": ["", ["x", {"Ref": "New"}]]})), Ok(json!(KNOWN_AFTER_APPLY)));
    }

    // REC: test_mappings.
    #[test]
    fn a_missing_mapping_is_named() {
        assert_eq!(
            evaluate(&json!({"Fn::FindInMap": ["M", "K", "X"]})),
            Err("Template error: Unable to get mapping for M::K::X".to_owned())
        );
    }
}
