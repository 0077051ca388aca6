//! Stack policies: what an update may do to which resource (CloudFormation User Guide, "Prevent updates to stack resources").
//!
//! A file declares one as a document, and is held to what CloudFormation takes. A policy that is in force already is read as it
//! is. Either is asked the same question: may this update do that? A change set does not ask it; its execution fails half-way.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::environment::mistake::did_you_mean;
use crate::environment::{Content, Mistake, Node, Span};

/// What an update does to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateAction {
    /// It is changed in place.
    Modify,
    /// Another takes its place.
    Replace,
    /// It is removed.
    Delete,
}

impl UpdateAction {
    /// As policies write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modify => "Update:Modify",
            Self::Replace => "Update:Replace",
            Self::Delete => "Update:Delete",
        }
    }
}

/// A stack policy.
#[derive(Clone, Debug, PartialEq)]
pub struct StackPolicy {
    /// As it is sent.
    pub document: Json,
}

/// Why a policy lets something not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// What is not to be done.
    pub action: UpdateAction,
    /// The statement that denies it, counted from 1; nothing where none allows it.
    pub statement: Option<usize>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = self.action.name();
        match self.statement {
            Some(number) => write!(f, "statement {number} of the stack policy denies {action}"),
            None => write!(f, "no statement of the stack policy allows {action}"),
        }
    }
}

/// What can be wrong with a policy in a file.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum StackPolicyFault {
    /// A list, or text.
    #[error("a stack policy is a document with a list `Statement`")]
    NoPolicy,
    /// `Statements`.
    #[error("a stack policy has no `{0}`")]
    UnknownPart(String),
    /// `Efect`.
    #[error("a statement of a stack policy has no `{0}`")]
    UnknownElement(String),
    /// No `Effect`.
    #[error("this statement has no {0}")]
    MissingElement(&'static str),
    /// `Action` and `NotAction`.
    #[error("this statement has both `{0}` and `Not{0}`")]
    Both(&'static str),
    /// `Effect: Permit`.
    #[error("{0}, not `{1}`")]
    Wrong(&'static str, String),
}

const PARTS: [&str; 3] = ["Statement", "Version", "Id"];
const ELEMENTS: [&str; 8] =
    ["Effect", "Action", "NotAction", "Principal", "Resource", "NotResource", "Condition", "Sid"];
const ACTIONS: [&str; 4] = ["Update:Modify", "Update:Replace", "Update:Delete", "Update:*"];
const RESOURCE_PREFIX: &str = "LogicalResourceId/";
const OPERATORS: [&str; 2] = ["StringEquals", "StringLike"];

impl StackPolicy {
    /// Reads what a file declares.
    pub fn read(node: &Node, mistakes: &mut Vec<Mistake>) -> Self {
        check(node, mistakes);
        Self { document: json(node) }
    }

    /// Reads what a stack has, as CloudFormation hands it out; nothing where the text is no policy.
    pub fn parse(text: &str) -> Option<Self> {
        let document: Json = serde_json::from_str(text).ok()?;
        document.is_object().then_some(Self { document })
    }

    /// Why an update may not do this to a resource; nothing where it may. A denial beats an allowance, and what is not allowed is
    /// denied.
    pub fn denial(&self, logical_id: &str, kind: &str, action: UpdateAction) -> Option<Denial> {
        // `{}` is taken as a policy, and nobody has seen it deny anything (?).
        let statements = self.document.get("Statement")?.as_array()?;
        let applying = || {
            let numbered = statements.iter().enumerate();
            numbered.filter(|(_, statement)| applies(statement, logical_id, kind, action))
        };
        let has = |effect: &'static str| {
            move |(_, statement): &(usize, &Json)| statement.get("Effect").and_then(Json::as_str) == Some(effect)
        };
        if let Some((position, _)) = applying().find(has("Deny")) {
            return Some(Denial { action, statement: Some(position + 1) });
        }
        (!applying().any(|it| has("Allow")(&it))).then_some(Denial { action, statement: None })
    }
}

fn applies(statement: &Json, logical_id: &str, kind: &str, action: UpdateAction) -> bool {
    let resource = format!("{RESOURCE_PREFIX}{logical_id}");
    let matches = |name: &str, text: &str| texts(statement.get(name)).iter().any(|pattern| is_like(pattern, text));
    let named = |name: &str, text: &str| {
        if statement.get(name).is_some() { matches(name, text) } else { !matches(&format!("Not{name}"), text) }
    };
    named("Action", action.name()) && named("Resource", &resource) && holds(statement, kind)
}

/// Whether a statement's conditions hold. One that is not known holds where it denies and not where it allows.
fn holds(statement: &Json, kind: &str) -> bool {
    let is_denial = statement.get("Effect").and_then(Json::as_str) == Some("Deny");
    let conditions = statement.get("Condition").and_then(Json::as_object);
    conditions.into_iter().flatten().all(|(operator, keys)| {
        let kinds = texts(keys.get("ResourceType"));
        match operator.as_str() {
            "StringEquals" => kinds.contains(&kind),
            "StringLike" => kinds.iter().any(|pattern| is_like(pattern, kind)),
            _ => is_denial,
        }
    })
}

fn texts(value: Option<&Json>) -> Vec<&str> {
    match value {
        Some(Json::String(text)) => vec![text],
        Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).collect(),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) | None => Vec::new(),
    }
}

/// Whether a text is what a pattern says, in which `*` stands for any characters and `?` for one.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Which prefixes of the text the pattern so far can be.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for sign in pattern {
        let before = std::mem::replace(&mut reached, vec![false; text.len() + 1]);
        for end in 0..=text.len() {
            reached[end] = match sign {
                '*' => before[end] || (end > 0 && reached[end - 1]),
                '?' => end > 0 && before[end - 1],
                sign => end > 0 && before[end - 1] && text[end - 1] == sign,
            };
        }
    }
    reached[text.len()]
}

fn check(policy: &Node, mistakes: &mut Vec<Mistake>) {
    let statements = policy.get("Statement").and_then(Node::as_sequence);
    let (Some(parts), Some(statements)) = (policy.as_mapping(), statements) else {
        let hint =
            "`Statement: [{Effect: Allow, Action: \"Update:*\", Principal: \"*\", Resource: \"*\"}]` allows everything";
        mistakes.push(Mistake::at(policy.span, &StackPolicyFault::NoPolicy).hint(hint));
        return;
    };
    for part in parts.iter().filter(|part| !PARTS.contains(&part.key.as_str())) {
        let mistake = Mistake::at(part.key_span, &StackPolicyFault::UnknownPart(part.key.clone()));
        mistakes.push(mistake.maybe_hint(did_you_mean(&part.key, PARTS)));
    }
    statements.iter().for_each(|statement| check_statement(statement, mistakes));
}

fn check_statement(statement: &Node, mistakes: &mut Vec<Mistake>) {
    for element in statement.as_mapping().unwrap_or_default() {
        if !ELEMENTS.contains(&element.key.as_str()) {
            let mistake = Mistake::at(element.key_span, &StackPolicyFault::UnknownElement(element.key.clone()));
            mistakes.push(mistake.maybe_hint(did_you_mean(&element.key, ELEMENTS)));
        }
    }
    let has = |name: &str| statement.get(name).is_some();
    let mut missing = |what| mistakes.push(Mistake::at(statement.span, &StackPolicyFault::MissingElement(what)));
    if !has("Effect") {
        missing("`Effect`: `Allow` or `Deny`");
    }
    if !has("Principal") {
        missing("`Principal`; it is always `\"*\"`");
    }
    if !has("Action") && !has("NotAction") {
        missing("`Action`");
    }
    if !has("Resource") && !has("NotResource") && !has("Condition") {
        missing("`Resource`");
    }
    for name in ["Action", "Resource"] {
        if has(name) && has(&format!("Not{name}")) {
            mistakes.push(Mistake::at(statement.span, &StackPolicyFault::Both(name)));
        }
    }
    let mut judge = |name: &str, is_right: &dyn Fn(&str) -> bool, rule: &'static str| {
        for (text, span) in written(statement.get(name)) {
            if !is_right(&text) {
                mistakes.push(Mistake::at(span, &StackPolicyFault::Wrong(rule, text)));
            }
        }
    };
    judge("Effect", &|text| matches!(text, "Allow" | "Deny"), "`Effect` is `Allow` or `Deny`");
    judge("Principal", &|text| text == "*", "`Principal` is always `\"*\"`");
    let is_action = |text: &str| ACTIONS.contains(&text) || text == "*";
    let is_resource = |text: &str| text == "*" || text.starts_with(RESOURCE_PREFIX);
    for name in ["Action", "NotAction"] {
        judge(name, &is_action, "an action is `Update:Modify`, `Update:Replace`, `Update:Delete` or `Update:*`");
    }
    for name in ["Resource", "NotResource"] {
        judge(name, &is_resource, "a resource is `*` or `LogicalResourceId/NAME`");
    }
    let conditions = statement.get("Condition").and_then(Node::as_mapping).unwrap_or_default();
    for condition in conditions {
        if !OPERATORS.contains(&condition.key.as_str()) {
            let rule = "a condition is `StringEquals` or `StringLike`";
            mistakes.push(Mistake::at(condition.key_span, &StackPolicyFault::Wrong(rule, condition.key.clone())));
        }
        for key in condition.value.as_mapping().unwrap_or_default().iter().filter(|key| key.key != "ResourceType") {
            let rule = "a condition asks for `ResourceType`";
            mistakes.push(Mistake::at(key.key_span, &StackPolicyFault::Wrong(rule, key.key.clone())));
        }
    }
}

/// One text or several, each with its place.
fn written(node: Option<&Node>) -> Vec<(String, Span)> {
    let Some(node) = node else { return Vec::new() };
    let all = node.as_sequence().unwrap_or(std::slice::from_ref(node));
    all.iter().map(|node| (node.as_text().unwrap_or(node.kind()).to_owned(), node.span)).collect()
}

/// All that stands in a policy is text, `Version: 2012-10-17` too.
fn json(node: &Node) -> Json {
    match &node.content {
        Content::Scalar(scalar) => Json::String(scalar.text.clone()),
        Content::Sequence(items) => items.iter().map(json).collect(),
        Content::Mapping(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{SourceId, yaml};

    const POLICY: &str = r#"{"Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["Update:Replace", "Update:Delete"], "Principal": "*", "Resource": "*",
         "Condition": {"StringLike": {"ResourceType": ["AWS::RDS::*"]}}},
        {"Effect": "Deny", "NotAction": "Update:Modify", "Principal": "*", "NotResource": "LogicalResourceId/Test?"}
    ]}"#;

    /// The statement that denies it, `none allows` or `allowed`.
    fn verdict(text: &str, logical_id: &str, kind: &str, action: UpdateAction) -> String {
        let policy = StackPolicy::parse(text).expect("a policy");
        match policy.denial(logical_id, kind, action) {
            Some(Denial { statement: Some(number), .. }) => format!("{number} denies"),
            Some(Denial { statement: None, .. }) => "none allows".to_owned(),
            None => "allowed".to_owned(),
        }
    }

    #[test]
    fn a_denial_beats_an_allowance() {
        use UpdateAction::{Delete, Modify, Replace};
        assert_eq!(verdict(POLICY, "Database", "AWS::RDS::DBInstance", Replace), "2 denies");
        assert_eq!(verdict(POLICY, "Database", "AWS::RDS::DBInstance", Modify), "allowed");
        assert_eq!(verdict(POLICY, "Topic", "AWS::SNS::Topic", Delete), "3 denies");
        assert_eq!(verdict(POLICY, "Test1", "AWS::SNS::Topic", Delete), "allowed");
        assert_eq!(verdict(POLICY, "Test12", "AWS::SNS::Topic", Delete), "3 denies");
    }

    #[test]
    fn what_is_not_allowed_is_denied() {
        let policy = r#"{"Statement": [{"Effect": "Allow", "Action": "Update:Modify", "Principal": "*", "Resource": "LogicalResourceId/A*"}]}"#;
        assert_eq!(verdict(policy, "Alarm", "T", UpdateAction::Modify), "allowed");
        assert_eq!(verdict(policy, "Alarm", "T", UpdateAction::Replace), "none allows");
        assert_eq!(verdict(policy, "Queue", "T", UpdateAction::Modify), "none allows");
        assert_eq!(verdict("{}", "Queue", "T", UpdateAction::Modify), "allowed");
    }

    #[test]
    fn a_condition_nobody_knows_denies_and_does_not_allow() {
        let policy = |effect: &str| {
            format!(
                r#"{{"Statement": [{{"Effect": "{effect}", "Action": "*", "Principal": "*", "Condition": {{"DateLessThan": {{}}}}}}]}}"#
            )
        };
        assert_eq!(verdict(&policy("Deny"), "A", "T", UpdateAction::Modify), "1 denies");
        assert_eq!(verdict(&policy("Allow"), "A", "T", UpdateAction::Modify), "none allows");
    }

    fn mistakes(text: &str) -> Vec<String> {
        let root = yaml::read(SourceId::RENDERED, text).root.expect("a document");
        let mut mistakes = Vec::new();
        StackPolicy::read(&root, &mut mistakes);
        mistakes.into_iter().map(|mistake| mistake.message).collect()
    }

    #[test]
    fn a_file_is_held_to_what_cloudformation_takes() {
        assert!(mistakes(POLICY).is_empty(), "{:?}", mistakes(POLICY));
        assert_eq!(mistakes("[]"), ["a stack policy is a document with a list `Statement`"]);
        assert_eq!(
            mistakes(
                "{Statements: [], Statement: [{Efect: Allow, Principal: me, Action: [Update], Resource: Database, NotResource: '*'}]}"
            ),
            [
                "a stack policy has no `Statements`",
                "a statement of a stack policy has no `Efect`",
                "this statement has no `Effect`: `Allow` or `Deny`",
                "this statement has both `Resource` and `NotResource`",
                "`Principal` is always `\"*\"`, not `me`",
                "an action is `Update:Modify`, `Update:Replace`, `Update:Delete` or `Update:*`, not `Update`",
                "a resource is `*` or `LogicalResourceId/NAME`, not `Database`",
            ]
        );
        assert_eq!(
            mistakes(
                "{Statement: [{Effect: Deny, Principal: '*', Action: '*', Condition: {StringNotLike: {Type: x}}}]}"
            ),
            [
                "a condition is `StringEquals` or `StringLike`, not `StringNotLike`",
                "a condition asks for `ResourceType`, not `Type`"
            ]
        );
    }

    #[test]
    fn a_declared_policy_is_sent_as_text() {
        let root = yaml::read(SourceId::RENDERED, "{Version: 2012-10-17, Statement: []}").root.expect("a document");
        let policy = StackPolicy::read(&root, &mut Vec::new());
        assert_eq!(policy.document.to_string(), r#"{"Version":"2012-10-17","Statement":[]}"#);
    }
}
