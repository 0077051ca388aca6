//! What can be known of a rendered template without asking AWS: references that lead nowhere, properties that no resource type
//! has, CloudFormation's limits, data without a policy, secrets in clear.

use std::collections::{BTreeMap, BTreeSet};

use crate::environment::{Content, Entry, Mistake, Node, Span, did_you_mean, order};
use crate::template::document::{Document, is_intrinsic, long_name};
use crate::template::resource_types::{Primitive, ResourceType, ResourceTypes, Shape};

/// CloudFormation's limits (User Guide, "CloudFormation quotas").
pub mod limits {
    /// Resources in a template.
    pub const RESOURCES_MAX: usize = 500;
    /// Parameters in a template.
    pub const PARAMETERS_MAX: usize = 200;
    /// Outputs in a template.
    pub const OUTPUTS_MAX: usize = 200;
    /// Mappings in a template.
    pub const MAPPINGS_MAX: usize = 200;
    /// Bytes of a template's description.
    pub const DESCRIPTION_BYTES_MAX: usize = 1024;
    /// Characters of a logical id.
    pub const LOGICAL_ID_CHARACTERS_MAX: usize = 255;
    /// Bytes of a parameter's value.
    pub const PARAMETER_BYTES_MAX: usize = 4096;
    /// Bytes of a template that a call can carry; beyond it, it goes through a bucket.
    pub const TEMPLATE_BODY_BYTES_MAX: usize = 51_200;
    /// EC2 User Guide, "Run commands when you launch an EC2 instance": before it is encoded.
    pub const USER_DATA_BYTES_MAX: usize = 16_384;
    /// Bytes of a template at all.
    pub const TEMPLATE_BYTES_MAX: usize = 1_000_000;
}

/// What can be wrong with a rendered template.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum TemplateFault {
    /// No resources.
    #[error("a template has at least one entry under `Resources`")]
    NoResources,
    /// A section CloudFormation does not know.
    #[error("`{0}` is no section of a template")]
    UnknownSection(String),
    /// A list where a map is due.
    #[error("{0} is a map, but this is {1}")]
    NotAMap(String, &'static str),
    /// A resource without a type.
    #[error("the resource `{0}` has no `Type`")]
    NoType(String),
    /// `propertys:`.
    #[error("a resource has no attribute `{0}`")]
    UnknownResourceAttribute(String),
    /// `my-resource`.
    #[error("`{0}` is no logical id: letters and digits, at most {max}", max = limits::LOGICAL_ID_CHARACTERS_MAX)]
    NotALogicalId(String),
    /// `AWS::EC2::Vpc`.
    #[error("there is no resource type `{0}`")]
    UnknownType(String),
    /// A property the type does not have.
    #[error("{owner} has no property `{property}`")]
    UnknownProperty {
        /// The type, or the path inside it.
        owner: String,
        /// The property.
        property: String,
    },
    /// A property the type must have.
    #[error("{owner} lacks the property `{property}`")]
    MissingProperty {
        /// The type, or the path inside it.
        owner: String,
        /// The property.
        property: String,
    },
    /// A property AWS sets.
    #[error("`{0}` is set by AWS and cannot be given")]
    ReadOnlyProperty(String),
    /// A list where text is due.
    #[error("`{property}` is {expected}, but this is {found}")]
    WrongPropertyType {
        /// The property.
        property: String,
        /// What it takes.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Null anywhere.
    #[error("CloudFormation takes no nulls, and nothing stands here")]
    Null,
    /// `!Ref` to nothing.
    #[error("there is no parameter or resource `{0}`")]
    UnresolvedReference(String),
    /// `!GetAtt` of nothing.
    #[error("there is no resource `{0}`")]
    UnresolvedResource(String),
    /// `!GetAtt` of an attribute that does not exist.
    #[error("{kind} has no attribute `{attribute}`")]
    UnknownAttribute {
        /// The type.
        kind: String,
        /// The attribute.
        attribute: String,
    },
    /// `!If` on nothing.
    #[error("there is no condition `{0}`")]
    UnresolvedCondition(String),
    /// `!FindInMap` in nothing.
    #[error("there is no mapping `{0}`")]
    UnresolvedMapping(String),
    /// `!Subb`.
    #[error("CloudFormation has no function `{0}`")]
    UnknownFunction(String),
    /// Resources that wait for each other.
    #[error("these resources wait for each other: {0}")]
    Circular(String),
    /// An output without a value.
    #[error("the output `{0}` has no `Value`")]
    NoValue(String),
    /// Beyond a limit.
    #[error("{count} {what}, but CloudFormation takes {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// Data that nobody decided about.
    #[error("`{resource}` holds data and says no `{policy}`")]
    NoPolicy {
        /// Its logical id.
        resource: String,
        /// Which policy.
        policy: &'static str,
    },
    /// A policy CloudFormation does not know.
    #[error("`{0}` is no {1}")]
    UnknownPolicy(String, &'static str),
    /// A password in the template.
    #[error("`{0}` is a secret and must not be written here")]
    SecretInTemplate(String),
    /// A parameter that no input gives.
    #[error("no input gives the parameter `{0}`, and it has no default")]
    ParameterNotGiven(String),
    /// A parameter's name without its declaration.
    #[error("no parameter `{0}` is declared in any rendering of the template")]
    ParameterNotDeclared(String),
    /// `{{ vpc_id }}` where `!Ref VpcId` is meant.
    #[error("`{0}` is a CloudFormation parameter and has no text here")]
    ParameterPrinted(String),
    /// More than 51,200 bytes and no bucket.
    #[error("the template of `{stack}` has {bytes} bytes, more than the {max} that a call can carry", max = limits::TEMPLATE_BODY_BYTES_MAX)]
    NeedsBucket {
        /// The stack.
        stack: String,
        /// The size of what CloudFormation would be given.
        bytes: usize,
    },
    /// The template makes roles and the file does not allow it.
    #[error("the template of `{stack}` needs {capability}")]
    CapabilityMissing {
        /// The stack.
        stack: String,
        /// What it needs.
        capability: &'static str,
    },
    /// User data that EC2 does not take.
    #[error("the user data of `{0}` has {1} bytes or more, but EC2 takes {max}", max = limits::USER_DATA_BYTES_MAX)]
    UserDataTooLong(String, usize),
    /// A parameter value of more than 4,096 bytes.
    #[error("the parameter `{0}` has {1} bytes, but CloudFormation takes {max}", max = limits::PARAMETER_BYTES_MAX)]
    ParameterTooLong(String, usize),
}

/// Types whose loss loses data. A change of the default (`Delete`) must be somebody's decision, so it must be written.
const HOLD_DATA: &[&str] = &[
    "AWS::Backup::BackupVault",
    "AWS::Cognito::UserPool",
    "AWS::DocDB::DBCluster",
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::EC2::Volume",
    "AWS::EFS::FileSystem",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::Elasticsearch::Domain",
    "AWS::FSx::FileSystem",
    "AWS::KMS::Key",
    "AWS::Neptune::DBCluster",
    "AWS::OpenSearchService::Domain",
    "AWS::QLDB::Ledger",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::Redshift::Cluster",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
];

/// Whether losing a resource of this type loses data.
pub fn holds_data(kind: &str) -> bool {
    HOLD_DATA.contains(&kind)
}

/// User Guide, "Template anatomy".
const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];

/// User Guide, "Resource attribute reference".
const RESOURCE_ATTRIBUTES: &[&str] = &[
    "Condition",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
];

/// User Guide, "Pseudo parameters reference".
const PSEUDO_PARAMETERS: &[&str] = &[
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// User Guide, "Intrinsic function reference".
const FUNCTIONS: &[&str] = &[
    "Condition",
    "Fn::And",
    "Fn::Base64",
    "Fn::Cidr",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::ForEach",
    "Fn::GetAZs",
    "Fn::GetAtt",
    "Fn::GetStackOutput",
    "Fn::If",
    "Fn::ImportValue",
    "Fn::Join",
    "Fn::Length",
    "Fn::Not",
    "Fn::Or",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
    "Fn::ToJsonString",
    "Fn::Transform",
    "Ref",
];

/// Checks a rendered template. Places are in the rendered text.
pub fn check(document: &Document) -> Vec<Mistake> {
    let mut checker = Checker {
        document,
        types: ResourceTypes::shipped(),
        is_expanded: document.root.get("Transform").is_some(),
        mistakes: Vec::new(),
        waits: BTreeMap::new(),
        inside: None,
    };
    checker.template();
    checker.mistakes
}

struct Checker<'a> {
    document: &'a Document,
    types: &'static ResourceTypes,
    /// Whether a macro makes more of the template than is written.
    is_expanded: bool,
    mistakes: Vec<Mistake>,
    waits: BTreeMap<String, Vec<String>>,
    /// The resource whose references are being read.
    inside: Option<String>,
}

impl<'a> Checker<'a> {
    fn template(&mut self) {
        let root = &self.document.root;
        let Some(entries) = root.as_mapping() else {
            self.mistakes.push(Mistake::at(root.span, &TemplateFault::NotAMap("a template".into(), root.kind())));
            return;
        };
        for entry in entries.iter().filter(|entry| !SECTIONS.contains(&entry.key.as_str())) {
            let mistake = Mistake::at(entry.key_span, &TemplateFault::UnknownSection(entry.key.clone()));
            self.mistakes.push(mistake.maybe_hint(did_you_mean(&entry.key, SECTIONS.iter().copied())));
        }
        if self.document.section("Resources").is_empty() {
            self.mistakes.push(Mistake::at(root.span, &TemplateFault::NoResources));
        }
        self.limits();
        for entry in self.document.section("Resources") {
            self.resource(entry);
        }
        self.inside = None;
        for entry in self.document.section("Outputs") {
            self.output(entry);
        }
        for entry in self.document.section("Conditions") {
            self.references(&entry.value);
        }
        self.circles();
    }

    fn limits(&mut self) {
        let counted = [
            ("Resources", "resources", limits::RESOURCES_MAX),
            ("Parameters", "parameters", limits::PARAMETERS_MAX),
            ("Outputs", "outputs", limits::OUTPUTS_MAX),
            ("Mappings", "mappings", limits::MAPPINGS_MAX),
        ];
        for (section, what, max) in counted {
            let entries = self.document.section(section);
            if let (Some(beyond), count) = (entries.get(max), entries.len()) {
                self.mistakes.push(
                    Mistake::at(beyond.key_span, &TemplateFault::TooMany { what, count, max }).hint("split the stack"),
                );
            }
            for entry in entries {
                let is_id = !entry.key.is_empty() && entry.key.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if section != "Mappings"
                    && !entry.key.starts_with("Fn::")
                    && (!is_id || entry.key.len() > limits::LOGICAL_ID_CHARACTERS_MAX)
                {
                    self.mistakes.push(Mistake::at(entry.key_span, &TemplateFault::NotALogicalId(entry.key.clone())));
                }
            }
        }
        let description = self.document.root.get("Description");
        if let Some((node, text)) = description.and_then(|node| Some((node, node.as_text()?)))
            && text.len() > limits::DESCRIPTION_BYTES_MAX
        {
            let fault = TemplateFault::TooMany {
                what: "bytes of description",
                count: text.len(),
                max: limits::DESCRIPTION_BYTES_MAX,
            };
            self.mistakes.push(Mistake::at(node.span, &fault));
        }
        let bytes = self.document.body().len();
        if bytes > limits::TEMPLATE_BYTES_MAX {
            let fault =
                TemplateFault::TooMany { what: "bytes of template", count: bytes, max: limits::TEMPLATE_BYTES_MAX };
            self.mistakes.push(Mistake::at(self.document.root.span, &fault).hint("split the stack"));
        }
    }

    fn resource(&mut self, entry: &'a Entry) {
        let (id, node) = (&entry.key, &entry.value);
        if id.starts_with("Fn::") {
            return;
        }
        self.inside = Some(id.clone());
        let Some(attributes) = node.as_mapping() else {
            self.mistakes
                .push(Mistake::at(node.span, &TemplateFault::NotAMap(format!("the resource `{id}`"), node.kind())));
            return;
        };
        for attribute in attributes {
            self.resource_attribute(attribute);
        }
        let Some((type_node, kind)) = node.get("Type").and_then(|node| Some((node, node.as_text()?))) else {
            self.mistakes.push(Mistake::at(entry.key_span, &TemplateFault::NoType(id.clone())));
            return;
        };
        self.policies(entry, kind);
        self.user_data(entry);
        match self.types.get(kind) {
            Some(found) => self.properties(entry, kind, found, node.get("Properties")),
            None => self.unknown_type(type_node, kind),
        }
    }

    fn resource_attribute(&mut self, attribute: &'a Entry) {
        let node = &attribute.value;
        match attribute.key.as_str() {
            "DependsOn" => {
                let names = node.as_sequence().unwrap_or(std::slice::from_ref(node));
                for name in names {
                    self.depends_on(name);
                }
            }
            "Condition" => self.condition(node),
            "DeletionPolicy" | "UpdateReplacePolicy" => self.policy(attribute),
            key if RESOURCE_ATTRIBUTES.contains(&key) => self.references(node),
            key => {
                let mistake =
                    Mistake::at(attribute.key_span, &TemplateFault::UnknownResourceAttribute(key.to_string()));
                self.mistakes.push(mistake.maybe_hint(did_you_mean(key, RESOURCE_ATTRIBUTES.iter().copied())));
            }
        }
    }

    fn policy(&mut self, attribute: &Entry) {
        let is_deletion = attribute.key == "DeletionPolicy";
        let (known, what): (&[&str], _) = if is_deletion {
            (&["Delete", "Retain", "RetainExceptOnCreate", "Snapshot"], "deletion policy")
        } else {
            (&["Delete", "Retain", "Snapshot"], "update replace policy")
        };
        let node = &attribute.value;
        if let Some(text) = node.as_text().filter(|text| node.tag.is_none() && !known.contains(text)) {
            let mistake = Mistake::at(node.span, &TemplateFault::UnknownPolicy(text.to_string(), what));
            self.mistakes.push(mistake.hint(
                did_you_mean(text, known.iter().copied()).unwrap_or_else(|| format!("known: {}", known.join(", "))),
            ));
        }
    }

    fn policies(&mut self, entry: &Entry, kind: &str) {
        // A member of a cluster shares the cluster's storage.
        let is_cluster_member = entry.value.at(["Properties", "DBClusterIdentifier"]).is_some();
        if !holds_data(kind) || is_cluster_member {
            return;
        }
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            if entry.value.get(policy).is_none() {
                let fault = TemplateFault::NoPolicy { resource: entry.key.clone(), policy };
                let hint = format!(
                    "write `{policy}: Retain` (or Snapshot, or Delete): CloudFormation's default would decide for you"
                );
                self.mistakes.push(Mistake::at(entry.key_span, &fault).hint(hint));
            }
        }
    }

    /// A machine whose user data is too long is refused when it is launched, which may be months after the deploy.
    fn user_data(&mut self, entry: &Entry) {
        let paths = [&["Properties", "LaunchTemplateData", "UserData"][..], &["Properties", "UserData"]];
        for node in paths.into_iter().filter_map(|path| entry.value.at(path.iter().copied())) {
            // Text that is encoded already has four letters for three bytes; what functions will print is not known yet.
            let bytes = node
                .as_text()
                .filter(|_| node.tag.is_none())
                .map_or_else(|| text_bytes(node), |text| text.len() / 4 * 3);
            if bytes > limits::USER_DATA_BYTES_MAX {
                let mistake = Mistake::at(node.span, &TemplateFault::UserDataTooLong(entry.key.clone(), bytes));
                self.mistakes.push(mistake.hint("put a part of it into the image, or fetch it from a bucket"));
            }
        }
    }

    /// The facts cover the types of the shipped templates; others may be right. One that is nearly right is not.
    fn unknown_type(&mut self, node: &Node, kind: &str) {
        let near = self.types.types.keys().find(|known| known.eq_ignore_ascii_case(kind));
        if let Some(near) = near {
            let mistake = Mistake::at(node.span, &TemplateFault::UnknownType(kind.to_string()));
            self.mistakes.push(mistake.hint(format!("did you mean `{near}`?")));
        }
    }

    fn properties(&mut self, entry: &'a Entry, kind: &str, found: &'static ResourceType, properties: Option<&'a Node>) {
        let given = match properties {
            None => &[],
            Some(node) if is_function(node) => return,
            Some(node) => match node.as_mapping() {
                Some(given) => given,
                None => {
                    self.mistakes
                        .push(Mistake::at(node.span, &TemplateFault::NotAMap("`Properties`".into(), node.kind())));
                    return;
                }
            },
        };
        for property in given {
            match found.properties.get(&property.key) {
                Some(_) if is_read_only(found, &property.key) => {
                    self.mistakes
                        .push(Mistake::at(property.key_span, &TemplateFault::ReadOnlyProperty(property.key.clone())));
                }
                Some(shape) => self.shape(&property.key, &property.value, found, shape),
                None => self.unknown_property(kind, &property.key, property.key_span, found.properties.keys()),
            }
        }
        for required in found.required.iter().filter(|required| !given.iter().any(|given| &given.key == *required)) {
            let fault = TemplateFault::MissingProperty { owner: kind.to_string(), property: required.clone() };
            self.mistakes.push(Mistake::at(entry.key_span, &fault));
        }
    }

    fn unknown_property<'k>(
        &mut self,
        owner: &str,
        property: &str,
        span: Span,
        known: impl Iterator<Item = &'k String>,
    ) {
        let fault = TemplateFault::UnknownProperty { owner: owner.to_string(), property: property.to_string() };
        self.mistakes.push(Mistake::at(span, &fault).maybe_hint(did_you_mean(property, known.map(String::as_str))));
    }

    fn shape(&mut self, property: &str, node: &'a Node, kind: &'static ResourceType, shape: &'static Shape) {
        self.secret(property, node);
        if is_function(node) || node.is_null() {
            return;
        }
        let shape = kind.resolve(shape);
        let fits = |primitive: Primitive| shape.types.is_empty() || shape.types.contains(&primitive);
        match &node.content {
            Content::Mapping(entries) if fits(Primitive::Object) => {
                self.object(property, node.span, entries, kind, shape);
            }
            Content::Sequence(items) if fits(Primitive::Array) => {
                for item in items {
                    if let Some(each) = shape.items.as_deref() {
                        self.shape(property, item, kind, each);
                    }
                }
            }
            Content::Scalar(scalar) if takes_text(&shape.types, &scalar.text) => {}
            Content::Scalar(scalar) => {
                let is_short = scalar.text.len() <= 60;
                let found = if is_short { format!("`{}`", scalar.text) } else { "text".to_string() };
                self.wrong_type(property, node, shape, found);
            }
            Content::Mapping(_) | Content::Sequence(_) => {
                self.wrong_type(property, node, shape, node.kind().to_string());
            }
        }
    }

    fn wrong_type(&mut self, property: &str, node: &Node, shape: &Shape, found: String) {
        let fault = TemplateFault::WrongPropertyType {
            property: property.to_string(),
            expected: expected(&shape.types),
            found,
        };
        self.mistakes.push(Mistake::at(node.span, &fault));
    }

    fn object(
        &mut self,
        property: &str,
        span: Span,
        entries: &'a [Entry],
        kind: &'static ResourceType,
        shape: &'static Shape,
    ) {
        if shape.types.is_empty() || shape.properties.is_empty() && shape.is_open {
            return;
        }
        for entry in entries {
            match shape.properties.get(&entry.key) {
                Some(inner) => self.shape(&entry.key, &entry.value, kind, inner),
                None if shape.is_open => {}
                None => {
                    self.unknown_property(
                        &format!("`{property}`"),
                        &entry.key,
                        entry.key_span,
                        shape.properties.keys(),
                    );
                }
            }
        }
        for required in shape.required.iter().filter(|required| !entries.iter().any(|given| &given.key == *required)) {
            let fault = TemplateFault::MissingProperty { owner: format!("`{property}`"), property: required.clone() };
            self.mistakes.push(Mistake::at(span, &fault));
        }
    }

    /// Properties that hold a secret, and text that looks like one wherever it stands.
    fn secret(&mut self, property: &str, node: &Node) {
        const SECRETS: &[&str] = &[
            "AuthToken",
            "MasterUserPassword",
            "MasterPassword",
            "Password",
            "SecretString",
            "ClientSecret",
            "PrivateKey",
            "SecretAccessKey",
        ];
        let Some(text) = node.as_text().filter(|_| node.tag.is_none()) else { return };
        let is_dynamic = text.contains("{{resolve:");
        if SECRETS.contains(&property) && !is_dynamic {
            let hint = "use a reference to a secret: `{{resolve:secretsmanager:NAME:SecretString:KEY}}`";
            self.mistakes.push(
                Mistake::at(node.span, &TemplateFault::SecretInTemplate(property.to_string())).hint(hint).concealed(),
            );
        }
    }

    fn output(&mut self, entry: &'a Entry) {
        if entry.key.starts_with("Fn::") {
            return;
        }
        match entry.value.get("Value") {
            Some(_) => self.references(&entry.value),
            None => self.mistakes.push(Mistake::at(entry.key_span, &TemplateFault::NoValue(entry.key.clone()))),
        }
        if let Some(condition) = entry.value.get("Condition") {
            self.condition(condition);
        }
    }

    /// Reads every reference below a node.
    fn references(&mut self, node: &'a Node) {
        if node.is_null() && node.tag.is_none() {
            self.mistakes.push(Mistake::at(node.span, &TemplateFault::Null));
            return;
        }
        if let Some(tag) = &node.tag {
            self.function(&long_name(tag), node, node.span);
            return;
        }
        match &node.content {
            Content::Scalar(_) => {}
            Content::Sequence(items) => items.iter().for_each(|item| self.references(item)),
            Content::Mapping(entries) => match entries.as_slice() {
                [entry] if is_intrinsic(&entry.key) => self.function(&entry.key, &entry.value, entry.key_span),
                entries => entries.iter().for_each(|entry| self.references(&entry.value)),
            },
        }
    }

    fn function(&mut self, name: &str, argument: &'a Node, span: Span) {
        if !FUNCTIONS.contains(&name) && !name.starts_with("Fn::ForEach::") {
            let mistake = Mistake::at(span, &TemplateFault::UnknownFunction(name.to_string()));
            self.mistakes.push(mistake.maybe_hint(did_you_mean(name, FUNCTIONS.iter().copied())));
            return;
        }
        match (name, &argument.content) {
            ("Ref", Content::Scalar(scalar)) => self.reference(&scalar.text, argument.span),
            ("Condition", Content::Scalar(_)) => self.condition(argument),
            ("Fn::GetAtt", _) => self.get_att(argument),
            ("Fn::Sub", _) => self.sub(argument),
            ("Fn::If", Content::Sequence(items)) => {
                if let Some((condition, branches)) = items.split_first() {
                    self.condition(condition);
                    branches.iter().for_each(|branch| self.references(branch));
                }
            }
            ("Fn::FindInMap", Content::Sequence(items)) => {
                items.iter().for_each(|item| self.references(item));
                if let Some(name) = items.first().filter(|node| node.tag.is_none()).and_then(Node::as_text)
                    && !self.document.section("Mappings").iter().any(|entry| entry.key == name)
                {
                    self.mistakes.push(Mistake::at(items[0].span, &TemplateFault::UnresolvedMapping(name.to_string())));
                }
            }
            (_, Content::Sequence(items)) => items.iter().for_each(|item| self.references(item)),
            (_, Content::Mapping(_)) => self.references_of_mapping(argument),
            (_, Content::Scalar(_)) => {}
        }
    }

    fn references_of_mapping(&mut self, node: &'a Node) {
        for entry in node.as_mapping().unwrap_or_default() {
            if is_intrinsic(&entry.key) {
                self.function(&entry.key, &entry.value, entry.key_span);
            } else {
                self.references(&entry.value);
            }
        }
    }

    fn reference(&mut self, name: &str, span: Span) {
        let is_known = PSEUDO_PARAMETERS.contains(&name)
            || self.document.section("Parameters").iter().any(|entry| entry.key == name)
            || self.is_resource(name);
        if is_known || self.is_expanded {
            self.wait_for(name);
            return;
        }
        let parameters = self.document.section("Parameters").iter().map(|entry| entry.key.as_str());
        let resources = self.document.section("Resources").iter().map(|entry| entry.key.as_str());
        let hint = did_you_mean(name, parameters.chain(resources).chain(PSEUDO_PARAMETERS.iter().copied()));
        self.mistakes.push(Mistake::at(span, &TemplateFault::UnresolvedReference(name.to_string())).maybe_hint(hint));
    }

    fn get_att(&mut self, argument: &'a Node) {
        let (resource, attribute) = match &argument.content {
            Content::Scalar(scalar) => match scalar.text.split_once('.') {
                Some((resource, attribute)) => (resource.to_string(), Some(attribute.to_string())),
                None => (scalar.text.clone(), None),
            },
            Content::Sequence(items) => {
                items.iter().skip(1).for_each(|item| self.references(item));
                let text =
                    |position: usize| items.get(position).filter(|node| node.tag.is_none()).and_then(Node::as_text);
                let Some(resource) = text(0) else { return };
                (resource.to_string(), text(1).map(str::to_string))
            }
            Content::Mapping(_) => return,
        };
        self.attribute(&resource, attribute.as_deref(), argument.span);
    }

    fn attribute(&mut self, resource: &str, attribute: Option<&str>, span: Span) {
        if self.is_expanded {
            return;
        }
        let Some(entry) = self.document.section("Resources").iter().find(|entry| entry.key == resource) else {
            let known = self.document.section("Resources").iter().map(|entry| entry.key.as_str());
            let mistake = Mistake::at(span, &TemplateFault::UnresolvedResource(resource.to_string()));
            self.mistakes.push(mistake.maybe_hint(did_you_mean(resource, known)));
            return;
        };
        self.wait_for(resource);
        let kind = entry.value.get("Type").and_then(Node::as_text).unwrap_or_default();
        if let (Some(found), Some(attribute)) = (self.types.get(kind), attribute)
            && !found.is_attribute(attribute)
        {
            let known: Vec<String> = found.read_only.iter().map(|path| path.replace('/', ".")).collect();
            let hint = did_you_mean(attribute, known.iter().map(String::as_str)).unwrap_or_else(|| {
                if known.is_empty() { "it has none".into() } else { format!("it has: {}", known.join(", ")) }
            });
            let fault = TemplateFault::UnknownAttribute { kind: kind.to_string(), attribute: attribute.to_string() };
            self.mistakes.push(Mistake::at(span, &fault).hint(hint));
        }
    }

    fn sub(&mut self, argument: &'a Node) {
        let (text, own): (Option<(&str, Span)>, BTreeSet<&str>) = match &argument.content {
            Content::Scalar(scalar) => (Some((&scalar.text, argument.span)), BTreeSet::new()),
            Content::Sequence(items) => {
                let own = items.get(1).and_then(Node::as_mapping).unwrap_or_default();
                own.iter().for_each(|entry| self.references(&entry.value));
                let text = items.first().and_then(|node| Some((node.as_text()?, node.span)));
                (text, own.iter().map(|entry| entry.key.as_str()).collect())
            }
            Content::Mapping(_) => (None, BTreeSet::new()),
        };
        let Some((text, span)) = text else { return };
        for name in substituted(text).filter(|name| !own.contains(name)) {
            match name.split_once('.') {
                Some((resource, attribute)) => self.attribute(resource, Some(attribute), span),
                None => self.reference(name, span),
            }
        }
    }

    fn condition(&mut self, node: &Node) {
        let Some(name) = node.as_text().filter(|_| node.tag.is_none()) else { return };
        if !self.is_expanded && !self.document.section("Conditions").iter().any(|entry| entry.key == name) {
            let known = self.document.section("Conditions").iter().map(|entry| entry.key.as_str());
            let mistake = Mistake::at(node.span, &TemplateFault::UnresolvedCondition(name.to_string()));
            self.mistakes.push(mistake.maybe_hint(did_you_mean(name, known)));
        }
    }

    fn depends_on(&mut self, node: &Node) {
        let Some(name) = node.as_text() else { return };
        if self.is_resource(name) || self.is_expanded {
            self.wait_for(name);
            return;
        }
        let known = self.document.section("Resources").iter().map(|entry| entry.key.as_str());
        let mistake = Mistake::at(node.span, &TemplateFault::UnresolvedResource(name.to_string()));
        self.mistakes.push(mistake.maybe_hint(did_you_mean(name, known)));
    }

    fn is_resource(&self, name: &str) -> bool {
        self.document.section("Resources").iter().any(|entry| entry.key == name)
    }

    fn wait_for(&mut self, name: &str) {
        if let Some(inside) = &self.inside {
            self.waits.entry(inside.clone()).or_default().push(name.to_string());
        }
    }

    fn circles(&mut self) {
        let names: Vec<String> = self.document.section("Resources").iter().map(|entry| entry.key.clone()).collect();
        if let Err(way) = order::sorted(&names, &self.waits) {
            let first = self.document.section("Resources").iter().find(|entry| Some(&entry.key) == way.first());
            let span = first.map_or(self.document.root.span, |entry| entry.key_span);
            self.mistakes.push(Mistake::at(span, &TemplateFault::Circular(way.join(" → "))));
        }
    }
}

/// `${Name}` of a text, but not `${!Literal}`.
fn substituted(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("${").filter_map(|(start, _)| {
        let rest = &text[start + 2..];
        let name = rest[..rest.find('}')?].trim();
        (!name.starts_with('!')).then_some(name)
    })
}

fn is_function(node: &Node) -> bool {
    node.tag.is_some() || matches!(node.as_mapping(), Some([entry]) if is_intrinsic(&entry.key))
}

/// The bytes of all text below a node.
fn text_bytes(node: &Node) -> usize {
    let items = node.as_sequence().unwrap_or_default().iter();
    let values = node.as_mapping().unwrap_or_default().iter().map(|entry| &entry.value);
    node.as_text().map_or(0, str::len) + items.chain(values).map(text_bytes).sum::<usize>()
}

fn is_read_only(kind: &ResourceType, property: &str) -> bool {
    kind.read_only.iter().any(|path| path == property)
}

/// CloudFormation turns text into numbers and yes or no where the property wants them.
fn takes_text(types: &[Primitive], text: &str) -> bool {
    let is_number = || text.parse::<f64>().is_ok_and(f64::is_finite) || text.contains("{{resolve:");
    types.is_empty()
        || types.iter().any(|kind| match kind {
            Primitive::String => true,
            Primitive::Integer | Primitive::Number => is_number(),
            Primitive::Boolean => matches!(text, "true" | "false") || text.contains("{{resolve:"),
            Primitive::Array | Primitive::Object => false,
        })
}

fn expected(types: &[Primitive]) -> String {
    let words = types.iter().map(|kind| match kind {
        Primitive::String => "text",
        Primitive::Integer => "a whole number",
        Primitive::Number => "a number",
        Primitive::Boolean => "`true` or `false`",
        Primitive::Array => "a list",
        Primitive::Object => "a map",
    });
    words.collect::<Vec<_>>().join(" or ")
}

/// The capabilities that a template needs for certain (User Guide, "Acknowledging IAM resources in CloudFormation templates").
pub fn capabilities(document: &Document) -> Vec<&'static str> {
    const NAMES: &[&str] = &["RoleName", "UserName", "GroupName", "ManagedPolicyName", "InstanceProfileName"];
    let makes_identities =
        |entry: &&Entry| kind(entry).starts_with("AWS::IAM::") && kind(entry) != "AWS::IAM::ServiceLinkedRole";
    let identities: Vec<&Entry> = document.section("Resources").iter().filter(makes_identities).collect();
    let is_named = |entry: &&Entry| NAMES.iter().any(|name| entry.value.at(["Properties", name]).is_some());
    let about_identities = match (identities.iter().any(is_named), identities.is_empty()) {
        (true, _) => Some("CAPABILITY_NAMED_IAM"),
        (false, false) => Some("CAPABILITY_IAM"),
        (false, true) => None,
    };
    let about_macros = document.root.get("Transform").map(|_| "CAPABILITY_AUTO_EXPAND");
    about_identities.into_iter().chain(about_macros).collect()
}

/// Whether a template stands for resources that are not in it: a macro makes some, a nested stack has some. What those need
/// cannot be told.
pub fn has_hidden_resources(document: &Document) -> bool {
    let is_stack = |entry: &Entry| kind(entry) == "AWS::CloudFormation::Stack";
    document.root.get("Transform").is_some() || document.section("Resources").iter().any(is_stack)
}

fn kind(entry: &Entry) -> String {
    entry.value.get("Type").and_then(Node::as_text).unwrap_or_default().to_string()
}

/// Whether a list of allowed capabilities covers a needed one.
pub fn allows(capabilities: &[String], needed: &str) -> bool {
    let has = |name: &str| capabilities.iter().any(|capability| capability == name);
    has(needed) || needed == "CAPABILITY_IAM" && has("CAPABILITY_NAMED_IAM")
}
