//! The rendered template as CloudFormation wants it: JSON, short tags written out, scalars typed by the registry's facts.
//!
//! CloudFormation reads YAML 1.1, in which `no`, `on` and `12:30` are not what they look like; JSON has no such surprises.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use crate::environment::{Content, Entry, Node, Scalar, Span, Style};
use crate::template::resource_types::{Primitive, ResourceType, ResourceTypes, Shape};
use crate::template::typing::number;

/// A rendered template, read.
#[derive(Clone, Debug)]
pub struct Document {
    /// The tree, with places in the rendered text.
    pub root: Node,
    /// What CloudFormation is given.
    pub json: Json,
    /// Where plain scalars are numbers or yes and no, not text.
    others: HashSet<usize>,
}

impl Document {
    /// Reads the tree of a rendered template.
    pub fn new(root: Node) -> Self {
        let mut writer = Writer { types: ResourceTypes::shipped(), others: HashSet::new() };
        let json = writer.template(&root);
        Self { root, json, others: writer.others }
    }

    /// Whether the plain scalar at a place is text.
    pub fn is_text(&self, span: Span) -> bool {
        !self.others.contains(&span.start)
    }

    /// The bytes that CloudFormation is given.
    pub fn body(&self) -> String {
        self.json.to_string()
    }

    /// The entries of a section: `Resources`, `Outputs`.
    pub fn section(&self, name: &str) -> &[Entry] {
        self.root.get(name).and_then(Node::as_mapping).unwrap_or_default()
    }
}

/// What a scalar becomes.
#[derive(Clone, Copy)]
enum Expect<'a> {
    /// Text, whatever it looks like.
    Text,
    /// What it looks like: counts and switches of template attributes, which the registry does not describe.
    Looks,
    /// What the resource type says.
    Shape(&'a ResourceType, &'a Shape),
}

struct Writer {
    types: &'static ResourceTypes,
    others: HashSet<usize>,
}

impl Writer {
    fn template(&mut self, root: &Node) -> Json {
        self.object(root, |writer, entry| match entry.key.as_str() {
            "Resources" => writer.object(&entry.value, |writer, entry| writer.resource(&entry.value)),
            "Parameters" => writer.object(&entry.value, |writer, entry| writer.parameter(&entry.value)),
            _ => writer.value(&entry.value, Expect::Text),
        })
    }

    fn resource(&mut self, node: &Node) -> Json {
        let kind = node.get("Type").and_then(Node::as_text).and_then(|name| self.types.get(name));
        self.object(node, |writer, entry| match entry.key.as_str() {
            "Properties" => writer.object(&entry.value, |writer, entry| {
                let shape = kind.and_then(|kind| Some((kind, kind.properties.get(&entry.key)?)));
                writer.value(&entry.value, shape.map_or(Expect::Text, |(kind, shape)| Expect::Shape(kind, shape)))
            }),
            "CreationPolicy" | "UpdatePolicy" => writer.value(&entry.value, Expect::Looks),
            _ => writer.value(&entry.value, Expect::Text),
        })
    }

    fn parameter(&mut self, node: &Node) -> Json {
        self.object(node, |writer, entry| match entry.key.as_str() {
            "NoEcho" | "MinLength" | "MaxLength" | "MinValue" | "MaxValue" => writer.value(&entry.value, Expect::Looks),
            _ => writer.value(&entry.value, Expect::Text),
        })
    }

    /// A map whose values are written one by one; anything else as it is.
    fn object(&mut self, node: &Node, mut write: impl FnMut(&mut Self, &Entry) -> Json) -> Json {
        match &node.content {
            Content::Mapping(entries) if node.tag.is_none() => {
                let pairs = entries.iter().map(|entry| (entry.key.clone(), write(self, entry)));
                Json::Object(pairs.collect::<Map<_, _>>())
            }
            _ => self.value(node, Expect::Text),
        }
    }

    fn value(&mut self, node: &Node, expect: Expect<'_>) -> Json {
        if let Some(tag) = &node.tag {
            let name = long_name(tag);
            let untagged = Node { tag: None, ..node.clone() };
            let argument = self.argument(&name, &untagged, expect);
            return json!({ name: argument });
        }
        match &node.content {
            Content::Scalar(scalar) => self.scalar(node, scalar, expect),
            Content::Sequence(items) => Json::Array(items.iter().map(|item| self.value(item, expect.item())).collect()),
            Content::Mapping(entries) => self.mapping(entries, expect),
        }
    }

    fn mapping(&mut self, entries: &[Entry], expect: Expect<'_>) -> Json {
        if let [entry] = entries
            && is_intrinsic(&entry.key)
        {
            let argument = self.argument(&entry.key, &entry.value, expect);
            return json!({ entry.key.clone(): argument });
        }
        let pairs =
            entries.iter().map(|entry| (entry.key.clone(), self.value(&entry.value, expect.property(&entry.key))));
        Json::Object(pairs.collect::<Map<_, _>>())
    }

    fn argument(&mut self, name: &str, node: &Node, expect: Expect<'_>) -> Json {
        match (name, &node.content) {
            ("Fn::GetAtt", Content::Scalar(scalar)) => match scalar.text.split_once('.') {
                Some((resource, attribute)) => json!([resource, attribute]),
                None => json!([scalar.text]),
            },
            ("Fn::If", Content::Sequence(items)) => {
                let branch = |(position, item): (usize, &Node)| {
                    self.value(item, if position == 0 { Expect::Text } else { expect })
                };
                Json::Array(items.iter().enumerate().map(branch).collect())
            }
            ("Fn::Select" | "Fn::Cidr", _) => self.value(node, Expect::Looks),
            _ => self.value(node, Expect::Text),
        }
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar, expect: Expect<'_>) -> Json {
        if node.is_null() {
            return Json::Null;
        }
        if scalar.style != Style::Plain {
            return Json::String(scalar.text.clone());
        }
        let typed = expect.types().iter().find_map(|kind| typed(&scalar.text, *kind));
        if typed.is_some() {
            self.others.insert(node.span.start);
        }
        typed.unwrap_or_else(|| Json::String(scalar.text.clone()))
    }
}

impl<'a> Expect<'a> {
    fn item(self) -> Self {
        match self {
            Self::Shape(kind, shape) => {
                kind.resolve(shape).items.as_deref().map_or(Self::Text, |items| Self::Shape(kind, items))
            }
            Self::Text | Self::Looks => self,
        }
    }

    fn property(self, name: &str) -> Self {
        match self {
            Self::Shape(kind, shape) => {
                kind.resolve(shape).properties.get(name).map_or(Self::Text, |shape| Self::Shape(kind, shape))
            }
            Self::Text | Self::Looks => self,
        }
    }

    /// The types a scalar may have, text last.
    fn types(self) -> &'a [Primitive] {
        match self {
            Self::Text => &[],
            Self::Looks => &[Primitive::Boolean, Primitive::Integer],
            // Where text is one of the types, text it stays.
            Self::Shape(kind, shape) if kind.resolve(shape).types.contains(&Primitive::String) => &[],
            Self::Shape(kind, shape) => &kind.resolve(shape).types,
        }
    }
}

/// A plain scalar as a number or a yes, if its text is exactly that.
fn typed(text: &str, kind: Primitive) -> Option<Json> {
    match kind {
        Primitive::Boolean => match text {
            "true" => Some(Json::Bool(true)),
            "false" => Some(Json::Bool(false)),
            _ => None,
        },
        Primitive::Integer | Primitive::Number => {
            number(text).filter(|number| number.to_string() == text).map(Json::Number)
        }
        Primitive::String | Primitive::Array | Primitive::Object => None,
    }
}

/// `Sub` is short for `Fn::Sub`; `Ref` and `Condition` are whole names.
pub fn long_name(tag: &str) -> String {
    match tag {
        "Ref" | "Condition" => tag.to_string(),
        _ => format!("Fn::{tag}"),
    }
}

/// Whether a key is a function of CloudFormation's.
pub fn is_intrinsic(key: &str) -> bool {
    key == "Ref" || key.starts_with("Fn::")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::yaml::parsed;

    fn json_of(text: &str) -> Json {
        Document::new(parsed(text)).json
    }

    #[test]
    fn short_tags_are_written_out_at_every_depth() {
        let json = json_of(
            "A: !Join ['', [!Ref B, !GetAtt C.D.E, {Fn::GetAtt: C.D}, !Sub [x, {y: !Select [0, !Split [',', z]]}], !If [c, a, !Base64 b]]]",
        );
        let expected = json!({"A": {"Fn::Join": ["", [
            {"Ref": "B"},
            {"Fn::GetAtt": ["C", "D.E"]},
            {"Fn::GetAtt": ["C", "D"]},
            {"Fn::Sub": ["x", {"y": {"Fn::Select": [0, {"Fn::Split": [",", "z"]}]}}]},
            {"Fn::If": ["c", "a", {"Fn::Base64": "b"}]},
        ]]}});
        assert_eq!(json, expected);
    }

    #[test]
    fn scalars_take_the_type_of_their_property() {
        let json = json_of(
            "Resources: {D: {Type: AWS::RDS::DBInstance, Properties: {MultiAZ: true, Port: 5432, MonitoringInterval: 60, EngineVersion: 16.10, DBName: no}}}",
        );
        let properties = &json["Resources"]["D"]["Properties"];
        assert_eq!(
            properties,
            &json!({"MultiAZ": true, "Port": "5432", "MonitoringInterval": 60, "EngineVersion": "16.10", "DBName": "no"})
        );
    }

    #[test]
    fn without_facts_text_stays_text() {
        let json = json_of(
            "AWSTemplateFormatVersion: 2010-09-09\nResources: {D: {Type: Custom::X, Properties: {A: 012345678901, B: 12:30, C: yes, D: 7.10}}}",
        );
        assert_eq!(
            json["Resources"]["D"]["Properties"],
            json!({"A": "012345678901", "B": "12:30", "C": "yes", "D": "7.10"})
        );
        assert_eq!(json["AWSTemplateFormatVersion"], json!("2010-09-09"));
    }

    #[test]
    fn both_branches_of_a_choice_have_the_type_of_the_property() {
        let json = json_of("Resources: {D: {Type: AWS::RDS::DBInstance, Properties: {MultiAZ: !If [c, true, false]}}}");
        assert_eq!(json["Resources"]["D"]["Properties"]["MultiAZ"], json!({"Fn::If": ["c", true, false]}));
    }
}
