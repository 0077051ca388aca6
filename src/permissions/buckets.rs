//! What the buckets of a stack are called, as far as the files tell: who empties them is let into these, and into no others.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use crate::deploy::DesiredStack;
use crate::template::ParameterValue;

/// The most characters that a bucket's name may have (S3 User Guide, "General purpose bucket naming rules").
const NAME_MAX: usize = 63;

/// What `CloudFormation` puts behind a name that it makes up, with the hyphen before it.
const RANDOM: usize = 13;

/// How much of a stack's name is still there where a name had to be shortened. How that is done is documented nowhere.
const KEPT: usize = 20;

/// A bucket of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Its name; a star stands for what only `CloudFormation` knows.
    pub(super) name: String,
    /// Whether it outlives its stack whatever happens, so that nobody empties it.
    pub(super) is_retained: bool,
}

/// The buckets of a stack.
pub(super) fn buckets(stack: &DesiredStack) -> Vec<Bucket> {
    let resources = stack.template.get("Resources").and_then(Json::as_object);
    let of_kind = resources.into_iter().flatten().filter(|(_, it)| it["Type"] == "AWS::S3::Bucket");
    let bucket = |(id, resource): (&String, &Json)| Bucket {
        name: match resource.pointer("/Properties/BucketName") {
            Some(name) => said(stack, name),
            None => made_up(&stack.stack_name, id),
        },
        is_retained: resource["DeletionPolicy"] == "Retain",
    };
    of_kind.map(bucket).collect()
}

/// `STACK-RESOURCE-RANDOM` in small letters.
fn made_up(stack: &str, resource: &str) -> String {
    let (stack, resource) = (stack.to_lowercase(), resource.to_lowercase());
    if stack.len() + 1 + resource.len() + RANDOM > NAME_MAX {
        return format!("{}*", stack.chars().take(KEPT).collect::<String>());
    }
    format!("{stack}-{resource}-*")
}

fn said(stack: &DesiredStack, name: &Json) -> String {
    let one = |word: &str| known(stack, word).unwrap_or_else(|| "*".to_owned());
    if let Some(word) = name.get("Ref").and_then(Json::as_str) {
        return one(word);
    }
    let template = name.get("Fn::Sub").map(|sub| sub.get(0).unwrap_or(sub));
    match (name.as_str(), template.and_then(Json::as_str)) {
        (Some(name), _) if !name.contains("{{") => name.to_owned(),
        (None, Some(template)) => {
            static WORD: LazyLock<Regex> =
                LazyLock::new(|| Regex::new(r"\$\{\s*([^}]*?)\s*\}").expect("a constant expression"));
            WORD.replace_all(template, |found: &regex::Captures<'_>| one(&found[1])).into_owned()
        }
        _ => "*".to_owned(),
    }
}

/// What a name in a template stands for, where the files say it.
fn known(stack: &DesiredStack, word: &str) -> Option<String> {
    match word {
        "AWS::AccountId" => Some(stack.place.account.clone()),
        "AWS::Region" => Some(stack.place.region.clone()),
        "AWS::StackName" => Some(stack.stack_name.clone()),
        _ => stack.parameters.iter().find(|parameter| parameter.name == word).and_then(|it| match &it.value {
            ParameterValue::Text(text) => Some(text.clone()),
            ParameterValue::Reference(_) => None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deploy::Place;
    use crate::template::Parameter;

    fn check(properties: &Json, expected: &str) {
        let bucket = json!({"Type": "AWS::S3::Bucket", "Properties": properties});
        let stack = DesiredStack {
            stack_name: "Demo-lab".to_owned(),
            place: Place { account: "111111111111".to_owned(), region: "eu-west-1".to_owned(), role: None },
            template: json!({"Resources": {"Papers": bucket, "Queue": {"Type": "AWS::SQS::Queue"}}}),
            parameters: vec![Parameter { name: "Word".to_owned(), value: ParameterValue::Text("x".to_owned()) }],
            ..DesiredStack::default()
        };
        let names: Vec<String> = buckets(&stack).into_iter().map(|bucket| bucket.name).collect();
        assert_eq!(names, [expected]);
    }

    #[test]
    fn a_bucket_is_known_by_what_the_files_say_of_its_name() {
        check(&json!({"BucketName": "papers"}), "papers");
        check(&json!({"BucketName": {"Ref": "Word"}}), "x");
        check(&json!({"BucketName": {"Ref": "Other"}}), "*");
        let sub = "${Word}-${AWS::AccountId}-${ AWS::Region }-${Queue.Arn}";
        check(&json!({"BucketName": {"Fn::Sub": sub}}), "x-111111111111-eu-west-1-*");
        check(&json!({"BucketName": {"Fn::Sub": ["a-${Mine}", {"Mine": "b"}]}}), "a-*");
        check(&json!({"BucketName": {"Fn::Join": ["-", ["a", "b"]]}}), "*");
        check(&json!({"BucketName": "{{resolve:ssm:name}}"}), "*");
    }

    #[test]
    fn a_name_that_cloudformation_makes_up_begins_with_the_stacks() {
        check(&json!({}), "demo-lab-papers-*");
        assert_eq!(made_up("production-with-a-very-long-name", &"x".repeat(40)), "production-with-a-ve*");
    }

    #[test]
    fn who_outlives_its_stack_is_told_apart() {
        let template = json!({"Resources": {"Papers": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"}}});
        let found = buckets(&DesiredStack { template, ..DesiredStack::default() });
        assert_eq!(found.iter().map(|bucket| bucket.is_retained).collect::<Vec<_>>(), [true]);
    }
}
