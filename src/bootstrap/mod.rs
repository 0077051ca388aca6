//! `bootstrap`: the buckets that large templates and packages go through, each as a stack of its own, brought up as any other.
//!
//! They belong to no environment. All environments of an account share them, so their stacks bear a mark that no environment can
//! have: none takes them for its own, none lists them as gone from its file, and `destroy` does not see them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::deploy::desired::place;
use crate::deploy::marks::{self, TAG_PREFIX};
use crate::deploy::{Desired, DesiredStack, Place};
use crate::environment::{Environment, SourceId, yaml};
use crate::template::document::Document;
use crate::template::{Parameter, ParameterValue};

/// The template of a bucket, which is the same for everybody.
const TEMPLATE: &str = include_str!("stack.yaml");

/// The mark `greenroom:environment` of these stacks: nothing that can be typed is read as an environment of that name.
const NO_ENVIRONMENT: &str = "@bootstrap";

/// What the names of these stacks begin with.
const STACK_NAME_PREFIX: &str = "greenroom-";

/// Why there is nothing to make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapFault {
    /// The file names no bucket.
    #[error("`{environment}` names no bucket")]
    NoBucket {
        /// The environment.
        environment: String,
    },
    /// `My_Bucket`.
    #[error("`{bucket}` cannot be a bucket's name: lower-case letters, digits, hyphens and dots, 3 to 63 of them")]
    NotAName {
        /// What is to be one.
        bucket: String,
    },
    /// A stack in another account or Region wants a bucket of the same name.
    #[error("the bucket `{bucket}` is wanted in {first} and in {second}, but there is only one of that name")]
    TwoPlaces {
        /// The bucket.
        bucket: String,
        /// Account and Region.
        first: String,
        /// Account and Region.
        second: String,
    },
}

impl BootstrapFault {
    /// What to write instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoBucket { .. } => "say one: `deploy: {template_bucket: NAME-${account}-${region}}`",
            Self::NotAName { .. } => "`deploy.template_bucket` and `deploy.package_bucket` say it",
            Self::TwoPlaces { .. } => "have its name say where it is: `NAME-${account}-${region}`",
        }
    }
}

/// What is wanted: a stack for every bucket that any stack of the environment names.
///
/// # Errors
/// When it names none, or one that cannot be.
pub fn desired(environment: &Environment) -> Result<Desired, BootstrapFault> {
    let mut buckets: BTreeMap<&str, DesiredStack> = BTreeMap::new();
    for stack in environment.stacks.iter().filter(|stack| stack.is_managed) {
        for bucket in [&stack.deploy.template_bucket, &stack.deploy.package_bucket].into_iter().flatten() {
            if !is_bucket_name(bucket) {
                return Err(BootstrapFault::NotAName { bucket: bucket.clone() });
            }
            let place = place(stack);
            let first = buckets
                .entry(bucket)
                .or_insert_with(|| bucket_stack(environment, bucket, place.clone(), stack.deploy.service_role.clone()));
            if (&first.place.account, &first.place.region) != (&place.account, &place.region) {
                let (bucket, first) = (bucket.clone(), whereabouts(&first.place));
                return Err(BootstrapFault::TwoPlaces { bucket, first, second: whereabouts(&place) });
            }
        }
    }
    if buckets.is_empty() {
        return Err(BootstrapFault::NoBucket { environment: environment.name.to_string() });
    }
    let stacks: Vec<DesiredStack> = buckets.into_values().collect();
    let name = |stack: &DesiredStack| {
        let Place { account, region, .. } = &stack.place;
        (account.clone(), region.clone(), stack.stack_name.clone())
    };
    Ok(Desired {
        environment: environment.name.to_string(),
        project: environment.project.clone(),
        is_protected: environment.is_protected,
        named: stacks.iter().map(name).collect::<BTreeSet<_>>(),
        stacks,
        ..Desired::default()
    })
}

/// The same for all environments: what differed would be changed to and fro.
fn bucket_stack(environment: &Environment, bucket: &str, place: Place, service_role: Option<String>) -> DesiredStack {
    let template = template();
    let marks = [("project", environment.project.as_str()), ("environment", NO_ENVIRONMENT), ("stack", bucket)];
    DesiredStack {
        name: bucket.to_owned(),
        stack_name: format!("{STACK_NAME_PREFIX}{}", bucket.replace('.', "-")),
        place,
        template_digest: marks::digest([template.to_string().as_str()]),
        template,
        parameters: vec![Parameter { name: "BucketName".to_owned(), value: ParameterValue::Text(bucket.to_owned()) }],
        tags: marks.into_iter().map(|(mark, value)| (format!("{TAG_PREFIX}{mark}"), value.to_owned())).collect(),
        service_role,
        ..DesiredStack::default()
    }
}

fn template() -> Json {
    let root = yaml::read(SourceId::RENDERED, TEMPLATE).root;
    root.map(|root| Document::new(root).json).unwrap_or_default()
}

fn whereabouts(place: &Place) -> String {
    format!("{}/{}", place.account, place.region)
}

/// S3 User Guide, "General purpose bucket naming rules", as far as letters go.
fn is_bucket_name(text: &str) -> bool {
    let is_letter_or_digit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&text.len())
        && text.bytes().next().is_some_and(is_letter_or_digit)
        && text.bytes().next_back().is_some_and(is_letter_or_digit)
        && text.bytes().all(|byte| is_letter_or_digit(byte) || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::rules;

    #[test]
    fn the_template_has_no_mistake() {
        let reading = yaml::read(SourceId::RENDERED, TEMPLATE);
        assert_eq!(reading.mistakes, []);
        let document = Document::new(reading.root.expect("a template"));
        assert_eq!(rules::check(&document), []);
        assert_eq!(rules::capabilities(&document), Vec::<&str>::new(), "nothing has to be allowed for it");
    }

    #[test]
    fn templates_are_put_where_they_are_let_go_after_a_while() {
        let rules = &template()["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"];
        assert_eq!(rules[0]["Prefix"], marks::TEMPLATE_KEY_PREFIX);
    }

    #[test]
    fn names_of_buckets_are_known() {
        assert!(["abc", "example-cfn-333333333333-ap-southeast-2", "a.b"].into_iter().all(is_bucket_name));
        assert!(!["ab", "My-bucket", "a_b", "-ab", "ab-", &"a".repeat(64)].into_iter().any(is_bucket_name));
    }
}
