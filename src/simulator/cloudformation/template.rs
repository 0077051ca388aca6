//! A template as a tree: its sections, what they refer to, and the mistakes CloudFormation finds before it looks at any
//! resource. What values mean is decided in `intrinsics.rs`.

use super::yaml;
use crate::simulator::resources;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A template whose structure was checked.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    root: Map<String, Value>,
}

/// One entry of `Resources`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declaration<'a> {
    pub(crate) logical_id: &'a str,
    pub(crate) type_name: &'a str,
    pub(crate) body: &'a Map<String, Value>,
}

/// A mention of a parameter or resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) target: String,
    pub(crate) attribute: Option<String>,
}

/// Names every template knows (User Guide, "Pseudo parameters reference").
const PSEUDO_PARAMETERS: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NotificationARNs",
    "AWS::NoValue",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

impl<'a> Declaration<'a> {
    pub(crate) fn properties(self) -> Option<&'a Value> {
        self.body.get("Properties")
    }

    pub(crate) fn condition(self) -> Option<&'a str> {
        self.body.get("Condition").and_then(Value::as_str)
    }

    pub(crate) fn policy(self, name: &str) -> Option<String> {
        self.body.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    pub(crate) fn depends_on(self) -> Vec<&'a str> {
        match self.body.get("DependsOn") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

impl Template {
    /// Reads a template; the error is a whole sentence of CloudFormation's.
    pub(crate) fn parse(body: &str) -> Result<Self, String> {
        let value = yaml::parse(body).map_err(|error| {
            if error.contains("aliases") {
                format!("Template format error: {error}")
            } else {
                "Template format error: YAML not well-formed.".to_owned()
            }
        })?;
        let Value::Object(root) = value else {
            return Err("Template format error: unsupported structure.".to_owned());
        };
        let template = Self { root };
        template.check()?;
        Ok(template)
    }

    fn section(&self, name: &str) -> Option<&Map<String, Value>> {
        self.root.get(name).and_then(Value::as_object)
    }

    pub(crate) fn description(&self) -> Option<&str> {
        self.root.get("Description").and_then(Value::as_str)
    }

    pub(crate) fn metadata(&self) -> Option<&Value> {
        self.root.get("Metadata")
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.section("Parameters").into_iter().flatten().map(|(name, body)| (name.as_str(), body))
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&Value> {
        self.section("Parameters")?.get(name)
    }

    pub(crate) fn mapping(&self, name: &str) -> Option<&Value> {
        self.section("Mappings")?.get(name)
    }

    pub(crate) fn conditions(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.section("Conditions").into_iter().flatten().map(|(name, body)| (name.as_str(), body))
    }

    pub(crate) fn outputs(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.section("Outputs").into_iter().flatten().map(|(name, body)| (name.as_str(), body))
    }

    pub(crate) fn resources(&self) -> impl Iterator<Item = Declaration<'_>> {
        self.section("Resources").into_iter().flatten().filter_map(|(name, body)| declaration(name, body))
    }

    pub(crate) fn resource(&self, logical_id: &str) -> Option<Declaration<'_>> {
        let (name, body) = self.section("Resources")?.get_key_value(logical_id)?;
        declaration(name, body)
    }

    fn check(&self) -> Result<(), String> {
        const SECTIONS: [&str; 10] = [
            "AWSTemplateFormatVersion",
            "Description",
            "Metadata",
            "Parameters",
            "Rules",
            "Mappings",
            "Conditions",
            "Transform",
            "Resources",
            "Outputs",
        ];
        let unknown: Vec<&str> = self.root.keys().map(String::as_str).filter(|name| !SECTIONS.contains(name)).collect();
        if !unknown.is_empty() {
            return Err(format!("Invalid template property or properties [{}]", unknown.join(", ")));
        }
        if self.root.contains_key("Transform") {
            return Err("Transforms are not served by the local cloud".to_owned());
        }
        if let Some(path) = null_path(&Value::Object(self.root.clone()), "") {
            return Err(format!("Template format error: [{path}] 'null' values are not allowed in templates"));
        }
        self.check_resources()?;
        self.check_outputs()?;
        self.check_references()?;
        self.order().map(|_| ())
    }

    fn check_resources(&self) -> Result<(), String> {
        let resources = self.section("Resources").filter(|resources| !resources.is_empty());
        let resources = resources.ok_or("Template format error: At least one Resources member must be defined.")?;
        for (name, body) in resources {
            let Some(body) = body.as_object() else {
                return Err("Template format error: [/Resources] resource definition is malformed".to_owned());
            };
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(format!("Template format error: Resource name {name} is non alphanumeric."));
            }
            if body.get("Type").and_then(Value::as_str).is_none() {
                return Err(format!(
                    "Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
                ));
            }
            if body.get("Properties").is_some_and(|properties| !properties.is_object()) {
                return Err(format!("Template format error: [/Resources/{name}/Properties] must be an object"));
            }
        }
        let unknown: BTreeSet<&str> = self
            .resources()
            .map(|declaration| declaration.type_name)
            .filter(|name| resources::of(name).is_none())
            .collect();
        if !unknown.is_empty() {
            let names: Vec<&str> = unknown.into_iter().collect();
            return Err(format!("Template format error: Unrecognized resource types: [{}]", names.join(", ")));
        }
        Ok(())
    }

    fn check_outputs(&self) -> Result<(), String> {
        let is_whole = |body: &Value| body.get("Value").is_some();
        if self.outputs().all(|(_, body)| is_whole(body)) {
            return Ok(());
        }
        Err("Template format error: Every Outputs member must contain a Value object".to_owned())
    }

    fn check_references(&self) -> Result<(), String> {
        let mut missing = BTreeSet::new();
        for declaration in self.resources() {
            let references = declaration.properties().map(references).unwrap_or_default();
            missing.extend(
                references.into_iter().filter(|reference| !self.knows(reference)).map(|reference| reference.target),
            );
            missing.extend(
                declaration.depends_on().into_iter().filter(|name| self.resource(name).is_none()).map(str::to_owned),
            );
        }
        if !missing.is_empty() {
            let names: Vec<String> = missing.into_iter().collect();
            return Err(format!(
                "Template format error: Unresolved resource dependencies [{}] in the Resources block of the template",
                names.join(", ")
            ));
        }
        let missing: BTreeSet<String> = self
            .outputs()
            .flat_map(|(_, body)| references(body))
            .filter(|reference| !self.knows(reference))
            .map(|reference| reference.target)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = missing.into_iter().collect();
        Err(format!("Unresolved resource dependencies [{}] in the Outputs block of the template", names.join(", ")))
    }

    fn knows(&self, reference: &Reference) -> bool {
        let is_resource = self.resource(&reference.target).is_some();
        let is_value =
            self.parameter(&reference.target).is_some() || PSEUDO_PARAMETERS.contains(&reference.target.as_str());
        is_resource || (reference.attribute.is_none() && is_value)
    }

    /// The resources a resource must wait for.
    pub(crate) fn needs(&self, declaration: Declaration<'_>) -> BTreeSet<String> {
        let mentioned =
            declaration.properties().map(references).unwrap_or_default().into_iter().map(|reference| reference.target);
        mentioned
            .chain(declaration.depends_on().into_iter().map(str::to_owned))
            .filter(|name| self.resource(name).is_some())
            .collect()
    }

    /// The resources in an order in which each comes after what it needs.
    pub(crate) fn order(&self) -> Result<Vec<&str>, String> {
        let mut left: BTreeMap<&str, BTreeSet<String>> =
            self.resources().map(|declaration| (declaration.logical_id, self.needs(declaration))).collect();
        let mut order = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let ready: Vec<&str> = left
                .iter()
                .filter(|(_, needs)| needs.iter().all(|name| !left.contains_key(name.as_str())))
                .map(|(name, _)| *name)
                .collect();
            if ready.is_empty() {
                let names: Vec<&str> = left.keys().copied().collect();
                return Err(format!("Circular dependency between resources: [{}]", names.join(", ")));
            }
            left.retain(|name, _| !ready.contains(name));
            order.extend(ready);
        }
        Ok(order)
    }

    /// The capabilities this template needs, with what needs them.
    pub(crate) fn capabilities(&self) -> Option<(&'static str, Vec<&str>)> {
        const NAMED: [(&str, &str); 6] = [
            ("AWS::IAM::Role", "RoleName"),
            ("AWS::IAM::InstanceProfile", "InstanceProfileName"),
            ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
            ("AWS::IAM::User", "UserName"),
            ("AWS::IAM::Group", "GroupName"),
            ("AWS::IAM::UserToGroupAddition", "GroupName"),
        ];
        let of_iam: Vec<Declaration<'_>> =
            self.resources().filter(|declaration| declaration.type_name.starts_with("AWS::IAM::")).collect();
        let is_named = |declaration: &Declaration<'_>| {
            NAMED.iter().any(|(type_name, property)| {
                declaration.type_name == *type_name
                    && declaration.properties().is_some_and(|properties| properties.get(property).is_some())
            })
        };
        let mut types: Vec<&str> = of_iam.iter().map(|declaration| declaration.type_name).collect();
        types.dedup();
        let capability = if of_iam.iter().any(is_named) { "CAPABILITY_NAMED_IAM" } else { "CAPABILITY_IAM" };
        (!of_iam.is_empty()).then_some((capability, types))
    }
}

fn declaration<'a>(name: &'a str, body: &'a Value) -> Option<Declaration<'a>> {
    let body = body.as_object()?;
    let type_name = body.get("Type")?.as_str()?;
    Some(Declaration { logical_id: name, type_name, body })
}

fn null_path(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Null => Some(path.to_owned()),
        Value::Array(entries) => {
            entries.iter().enumerate().find_map(|(place, entry)| null_path(entry, &format!("{path}/{place}")))
        }
        Value::Object(members) => {
            members.iter().find_map(|(name, member)| null_path(member, &format!("{path}/{name}")))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Everything a value mentions through Ref, `Fn::GetAtt` and `Fn::Sub`.
pub(crate) fn references(value: &Value) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<Reference>) {
    match value {
        Value::Array(entries) => entries.iter().for_each(|entry| collect(entry, found)),
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("Ref", Value::String(target)) if members.len() == 1 => {
                        found.insert(Reference { target: target.clone(), attribute: None });
                    }
                    ("Fn::GetAtt", member) if members.len() == 1 => {
                        if let Some((target, attribute)) = attribute_reference(member) {
                            found.insert(Reference { target, attribute: Some(attribute) });
                        }
                        collect(member, found);
                    }
                    ("Fn::Sub", member) if members.len() == 1 => collect_sub(member, found),
                    (_, member) => collect(member, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn collect_sub(value: &Value, found: &mut BTreeSet<Reference>) {
    let (text, own) = match value {
        Value::String(text) => (text.as_str(), None),
        Value::Array(parts) => (parts.first().and_then(Value::as_str).unwrap_or_default(), parts.get(1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return,
    };
    if let Some(own) = own {
        collect(own, found);
    }
    for part in sub_parts(text) {
        if let SubPart::Variable(name) = part
            && own.and_then(|own| own.get(name)).is_none()
        {
            let (target, attribute) = name.split_once('.').map_or((name, None), |(target, rest)| (target, Some(rest)));
            found.insert(Reference { target: target.to_owned(), attribute: attribute.map(str::to_owned) });
        }
    }
}

/// Both spellings of an attribute: `["A", "B.C"]` and `"A.B.C"`.
pub(crate) fn attribute_reference(value: &Value) -> Option<(String, String)> {
    match value {
        Value::String(text) => {
            text.split_once('.').map(|(target, attribute)| (target.to_owned(), attribute.to_owned()))
        }
        Value::Array(parts) => {
            let target = parts.first()?.as_str()?.to_owned();
            let attribute: Option<Vec<&str>> = parts.get(1..)?.iter().map(Value::as_str).collect();
            attribute.map(|attribute| (target, attribute.join(".")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// A piece of the text of `Fn::Sub`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SubPart<'a> {
    Text(&'a str),
    Variable(&'a str),
    /// `${!name}`, which stands for `${name}` itself.
    Literal(&'a str),
}

/// Cuts the text of `Fn::Sub` at its variables.
pub(crate) fn sub_parts(text: &str) -> Vec<SubPart<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else {
            break;
        };
        if !before.is_empty() {
            parts.push(SubPart::Text(before));
        }
        parts.push(name.strip_prefix('!').map_or(SubPart::Variable(name.trim()), SubPart::Literal));
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(SubPart::Text(rest));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> String {
        Template::parse(body).expect_err("the template is wrong")
    }

    // REC: the sentences of `tests/aws/services/cloudformation/api/test_validations` and neighbours.
    #[test]
    fn says_what_is_wrong_in_awss_words() {
        assert_eq!(error("A: ["), "Template format error: YAML not well-formed.");
        assert_eq!(error("Resources: {}"), "Template format error: At least one Resources member must be defined.");
        assert_eq!(
            error("Resources: {A: {Properties: {}}}"),
            "Template format error: [/Resources/A] Every Resources object must contain a Type member."
        );
        assert_eq!(
            error("Resources: {A: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !Ref X}}}"),
            "Template format error: Unresolved resource dependencies [X] in the Resources block of the template"
        );
        assert_eq!(
            error("Resources: {A: {Type: 'AWS::SNS::Topic'}}\nOutputs: {O: {Value: !Ref X}}"),
            "Unresolved resource dependencies [X] in the Outputs block of the template"
        );
        assert_eq!(
            error("Resources: {A: {Type: 'AWS::SNS::Topic'}}\nOutputs: {O: {Description: x}}"),
            "Template format error: Every Outputs member must contain a Value object"
        );
        assert_eq!(
            error("Resources: {A: {Type: 'AWS::Nothing::Here'}}"),
            "Template format error: Unrecognized resource types: [AWS::Nothing::Here]"
        );
        assert_eq!(
            error(
                "Resources: {A: {Type: 'AWS::SNS::Topic', DependsOn: B}, B: {Type: 'AWS::SNS::Topic', DependsOn: A}}"
            ),
            "Circular dependency between resources: [A, B]"
        );
    }

    #[test]
    fn finds_what_sub_mentions_but_not_its_own_variables() {
        let value = serde_json::json!({"Fn::Sub": ["${A}-${B.C}-${D}-${!E}", {"D": {"Ref": "F"}}]});
        let found: Vec<String> = references(&value).into_iter().map(|reference| reference.target).collect();
        assert_eq!(found, ["A", "B", "F"]);
    }
}
