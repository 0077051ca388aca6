//! Stack policies: what an update may do to which resource (User Guide, "Prevent updates to stack resources"). Once a
//! policy is set, what it does not allow is denied, and a denial beats an allowance.

use serde_json::Value;

/// What an update does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Modify,
    Replace,
    Delete,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Modify => "Update:Modify",
            Self::Replace => "Update:Replace",
            Self::Delete => "Update:Delete",
        }
    }
}

/// Whether a text is a policy at all. `{}` is one (REC).
pub(crate) fn is_valid(text: &str) -> bool {
    let Ok(Value::Object(policy)) = serde_json::from_str(text) else {
        return false;
    };
    policy.iter().all(|(name, value)| match name.as_str() {
        "Statement" => value.as_array().is_some_and(|statements| statements.iter().all(is_valid_statement)),
        "Version" | "Id" => true,
        _ => false,
    })
}

fn is_valid_statement(statement: &Value) -> bool {
    let effect = statement.get("Effect").and_then(Value::as_str);
    let names_action = statement.get("Action").or_else(|| statement.get("NotAction")).is_some();
    let names_resource = statement.get("Resource").or_else(|| statement.get("NotResource")).is_some()
        || statement.get("Condition").is_some();
    matches!(effect, Some("Allow" | "Deny")) && names_action && names_resource
}

/// Why an action is denied, in AWS's words, or `None` if it is allowed.
pub(crate) fn denial(policy: Option<&str>, logical_id: &str, type_name: &str, action: Action) -> Option<String> {
    let policy: Value = serde_json::from_str(policy?).ok()?;
    let statements = policy.get("Statement").and_then(Value::as_array)?;
    let matching =
        statements.iter().enumerate().filter(|(_, statement)| applies(statement, logical_id, type_name, action));
    let mut is_allowed = false;
    for (place, statement) in matching {
        match statement.get("Effect").and_then(Value::as_str) {
            Some("Deny") => return Some(refused(place + 1, action, logical_id)),
            Some("Allow") => is_allowed = true,
            _ => {}
        }
    }
    // AWS's words where no statement matches are not known (?).
    (!is_allowed).then(|| {
        format!(
            "Action denied by stack policy: no statement allows [{}] for resource [LogicalResourceId/{logical_id}]",
            action.as_str()
        )
    })
}

fn refused(number: usize, action: Action, logical_id: &str) -> String {
    format!(
        "Action denied by stack policy: Statement [#{number}] does not allow [{}] for resource [LogicalResourceId/{logical_id}]",
        action.as_str()
    )
}

fn applies(statement: &Value, logical_id: &str, type_name: &str, action: Action) -> bool {
    let matches_action = |patterns: &[&str]| patterns.iter().any(|pattern| matches_pattern(pattern, action.as_str()));
    let resource = format!("LogicalResourceId/{logical_id}");
    let matches_resource = |patterns: &[&str]| patterns.iter().any(|pattern| matches_pattern(pattern, &resource));
    let by_action = match (statement.get("Action"), statement.get("NotAction")) {
        (Some(action), _) => matches_action(&texts(action)),
        (None, Some(action)) => !matches_action(&texts(action)),
        (None, None) => false,
    };
    let by_resource = match (statement.get("Resource"), statement.get("NotResource")) {
        (Some(resource), _) => matches_resource(&texts(resource)),
        (None, Some(resource)) => !matches_resource(&texts(resource)),
        (None, None) => true,
    };
    by_action && by_resource && condition_holds(statement.get("Condition"), type_name)
}

/// `StringEquals` and `StringLike` on `ResourceType` are the only conditions (User Guide).
fn condition_holds(condition: Option<&Value>, type_name: &str) -> bool {
    let Some(operators) = condition.and_then(Value::as_object) else {
        return true;
    };
    operators.iter().all(|(operator, keys)| {
        let types = keys.get("ResourceType").map(texts).unwrap_or_default();
        match operator.as_str() {
            "StringEquals" => types.contains(&type_name),
            "StringLike" => types.iter().any(|pattern| matches_pattern(pattern, type_name)),
            "StringNotEquals" => !types.contains(&type_name),
            "StringNotLike" => !types.iter().any(|pattern| matches_pattern(pattern, type_name)),
            _ => false,
        }
    })
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(entries) => entries.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// `*` stands for any letters.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return true;
    };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{"Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["Update:Replace", "Update:Delete"], "Principal": "*", "Resource": "LogicalResourceId/Data*",
         "Condition": {"StringEquals": {"ResourceType": ["AWS::RDS::DBInstance"]}}}
    ]}"#;

    // cloudformation.md 5: the words of a denial.
    #[test]
    fn a_denial_beats_an_allowance() {
        let denial = |name, type_name, action| denial(Some(POLICY), name, type_name, action);
        assert_eq!(
            denial("Database", "AWS::RDS::DBInstance", Action::Replace).as_deref(),
            Some(
                "Action denied by stack policy: Statement [#2] does not allow [Update:Replace] for resource [LogicalResourceId/Database]"
            )
        );
        assert_eq!(denial("Database", "AWS::RDS::DBInstance", Action::Modify), None);
        assert_eq!(denial("Database", "AWS::SNS::Topic", Action::Replace), None);
        assert_eq!(denial("Other", "AWS::RDS::DBInstance", Action::Replace), None);
    }

    #[test]
    fn what_is_not_allowed_is_denied() {
        let policy =
            r#"{"Statement": [{"Effect": "Allow", "Action": "Update:Modify", "Principal": "*", "Resource": "*"}]}"#;
        assert!(denial(Some(policy), "A", "T", Action::Replace).is_some());
        assert!(denial(None, "A", "T", Action::Replace).is_none());
    }

    // REC: `{}` is an accepted policy.
    #[test]
    fn tells_policies_from_other_json() {
        assert!(is_valid("{}"));
        assert!(is_valid(POLICY));
        assert!(!is_valid("[]"));
        assert!(!is_valid(r#"{"Statement": [{"Effect": "Maybe"}]}"#));
    }

    #[test]
    fn stars_match_any_letters() {
        assert!(matches_pattern("a*c*e", "abcde"));
        assert!(!matches_pattern("a*c*e", "abde"));
        assert!(matches_pattern("*", ""));
    }
}
