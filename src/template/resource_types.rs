//! What the registry of AWS says about the resource types we know: their properties, which of them
//! replace the resource when they change, and which can be read back. It holds facts only:
//! defaults, what decides a conditional replacement and what `Ref` returns are behaviour and live
//! with whoever needs them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{LazyLock, OnceLock};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Every resource type we know.
///
/// A type that is missing is unknown to the whole tool; `data/README.md` says how to add one.
#[derive(Debug, Clone)]
pub struct ResourceTypes {
    /// Where the facts are from, as a sentence for people.
    pub source: String,
    /// The types by name, such as `AWS::EC2::VPC`.
    pub types: BTreeMap<&'static str, Facts>,
}

/// The facts of one type, read when they are first asked for.
///
/// A template knows some ten types of fifty; to read all of them takes longer than to render it.
#[derive(Debug, Clone)]
pub struct Facts {
    name: &'static str,
    json: &'static str,
    read: OnceLock<ResourceType>,
}

/// What the registry says about one resource type.
///
/// Property paths are slashed, and `*` stands for any element of a list: `Rules/*/Prefix`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceType {
    /// The properties by name, read-only ones included.
    pub properties: BTreeMap<String, Shape>,
    /// The shapes that [`Shape::reference`] names.
    pub definitions: BTreeMap<String, Shape>,
    /// The properties that every template must give.
    pub required: Vec<String>,
    /// Paths whose change replaces the resource.
    pub create_only: Vec<String>,
    /// Paths whose change may replace the resource; the registry does not say when.
    pub conditional_create_only: Vec<String>,
    /// Paths that AWS fills in and a template may not.
    pub read_only: Vec<String>,
    /// Paths that are never read back, so that drift in them cannot be seen.
    pub write_only: Vec<String>,
    /// The properties that identify a resource, in the order in which Cloud Control joins them with
    /// `|`.
    pub identifier: Vec<String>,
    /// What can be done with the type, sorted.
    pub handlers: Vec<Handler>,
    /// By path, the `JSONata` expressions that are applied to a template's value before it is
    /// compared with the live one. Empty for most types.
    #[serde(default)]
    pub property_transform: BTreeMap<String, String>,
    /// Whether `Fn::GetAtt` takes every property, not only the read-only ones.
    #[serde(skip)]
    pub has_properties_as_attributes: bool,
}

/// What a value looks like.
///
/// Either [`reference`](Self::reference) is set and all else is empty, or it is not;
/// [`ResourceType::resolve`] turns the one into the other.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// The types a value may have: `[Object, String]` for most policy documents. Empty if the
    /// registry does not say, so that any value may stand there.
    #[serde(rename = "type", deserialize_with = "one_or_many")]
    pub types: Vec<Primitive>,
    /// The shape of a list's elements, where the registry gives one.
    pub items: Option<Box<Shape>>,
    /// The properties of an object that have a name of their own.
    pub properties: BTreeMap<String, Shape>,
    /// The properties that an object must have, sorted.
    pub required: Vec<String>,
    /// Whether an object may have more keys than `properties` names.
    #[serde(rename = "open")]
    pub is_open: bool,
    /// The only values allowed; empty if any value is. AWS adds values before the registry lists
    /// them.
    #[serde(rename = "enum")]
    pub values: Vec<serde_json::Value>,
    /// The name of the definition that describes the value instead.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

/// A JSON type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Primitive {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array,
    /// A map from names to values.
    Object,
}

/// Something that can be done with a resource of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handler {
    /// Make one.
    Create,
    /// Delete one.
    Delete,
    /// Find those that exist.
    List,
    /// Read one back; without it drift detection does not check the type.
    Read,
    /// Change one in place; without it every change replaces.
    Update,
}

/// Whether changing a property replaces the resource, in the words of a change set's
/// `RequiresRecreation`.
///
/// Sorted from harmless to worst, so the worst of several is their `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Replaces {
    /// It is changed in place.
    Never,
    /// It depends on more than the property's name.
    Conditionally,
    /// It is replaced.
    Always,
}

static SHIPPED: LazyLock<ResourceTypes> = LazyLock::new(|| {
    ResourceTypes::parse(include_str!("../../data/resource-types.json"))
        .expect("`data/resource-types.json` has the form of `ResourceTypes`; the tests below read it")
});

/// The types that `Fn::GetAtt` reads any property of.
///
/// The registry does not know this, and refusing `!GetAtt Queue.QueueName` would refuse good
/// templates. Source: `_all_property_types` in cfn-lint 1.58.0, `cfnlint/schema/_getatts.py`,
/// limited to the types we know; the `CloudFormation` Template Reference, "Return values" of each
/// type, documents a part of them.
const TYPES_WITH_PROPERTIES_AS_ATTRIBUTES: [&str; 10] = [
    "AWS::AutoScaling::AutoScalingGroup",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBParameterGroup",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SSM::Parameter",
];

/// How many references in a row are followed. The shipped facts have chains of one; a circle of
/// references, which describes nothing, would otherwise never end.
const REFERENCES_MAX: usize = 8;

impl ResourceTypes {
    /// Returns the facts that are built in, read once on first use.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// Finds a type by its name, such as `AWS::EC2::VPC`.
    pub fn get(&self, type_name: &str) -> Option<&ResourceType> {
        self.types.get(type_name).map(Deref::deref)
    }

    fn parse(json: &'static str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            source: String,
            #[serde(borrow)]
            types: BTreeMap<&'static str, &'static RawValue>,
        }
        let file: File = serde_json::from_str(json)?;
        let facts = |(name, json): (&'static str, &'static RawValue)| {
            (name, Facts { name, json: json.get(), read: OnceLock::new() })
        };
        Ok(Self { source: file.source, types: file.types.into_iter().map(facts).collect() })
    }
}

impl Deref for Facts {
    type Target = ResourceType;

    fn deref(&self) -> &ResourceType {
        self.read.get_or_init(|| {
            let mut read: ResourceType = serde_json::from_str(self.json).expect(
                "every type of `data/resource-types.json` has the form of `ResourceType`; the tests below read it",
            );
            read.has_properties_as_attributes = TYPES_WITH_PROPERTIES_AS_ATTRIBUTES.contains(&self.name);
            read
        })
    }
}

impl ResourceType {
    /// Finds the shape at a path below the resource's properties, with references resolved on the
    /// way and at its end.
    ///
    /// An element of a list is written as its number or as `*`. Nothing is found below an open
    /// object's free keys: what they hold, the facts do not say.
    pub fn shape_at(&self, path: &[&str]) -> Option<&Shape> {
        let (first, rest) = path.split_first()?;
        let start = self.resolve(self.properties.get(*first)?);
        rest.iter().try_fold(start, |shape, segment| Some(self.resolve(shape.child(segment)?)))
    }

    /// Follows references until a shape describes itself.
    ///
    /// A reference to nothing, or in a circle, is returned as it is; the shipped facts have
    /// neither.
    pub fn resolve<'a>(&'a self, shape: &'a Shape) -> &'a Shape {
        let mut resolved = shape;
        for _ in 0..REFERENCES_MAX {
            let Some(definition) = resolved.reference.as_ref().and_then(|name| self.definitions.get(name)) else {
                return resolved;
            };
            resolved = definition;
        }
        resolved
    }

    /// Tells whether `Fn::GetAtt` takes this attribute name, such as `Endpoint.Address`.
    ///
    /// Attributes are the read-only properties and what lies below them, the identifier, and for
    /// some types every property that can be read back.
    pub fn is_attribute(&self, name: &str) -> bool {
        let path: Vec<&str> = name.split('.').collect();
        // Fn::GetAtt does not look into lists.
        if path.iter().any(|segment| is_element(segment)) || self.shape_at(&path).is_none() {
            return false;
        }
        let is_within = |paths: &[String]| paths.iter().any(|fact| Overlap::of(fact, &path).covers());
        is_within(&self.read_only)
            || is_within(&self.identifier)
            || (self.has_properties_as_attributes && !is_within(&self.write_only))
    }

    /// Tells whether a change of this property replaces the resource.
    ///
    /// `property` is a name or a path (`DnsOptions/PrivateDnsPreference`), with list elements as
    /// numbers or `*`. Where only a part of the property replaces, the answer is
    /// [`Replaces::Conditionally`]: ask again with the path of what has changed. A type without
    /// update handler is always replaced. A property we do not know never replaces; unknown
    /// properties are the template checks' business.
    pub fn replaces(&self, property: &str) -> Replaces {
        if !self.handlers.contains(&Handler::Update) {
            return Replaces::Always;
        }
        let path: Vec<&str> = property.split('/').collect();
        let worst = |paths: &[String]| paths.iter().map(|fact| Overlap::of(fact, &path)).max();
        match (worst(&self.create_only), worst(&self.conditional_create_only)) {
            (Some(Overlap::Whole), _) => Replaces::Always,
            (Some(Overlap::Part), _) | (_, Some(Overlap::Whole | Overlap::Part)) => Replaces::Conditionally,
            (Some(Overlap::None) | None, Some(Overlap::None) | None) => Replaces::Never,
        }
    }
}

impl Shape {
    /// Finds the shape of a property, or of a list's elements, without resolving references.
    fn child(&self, segment: &str) -> Option<&Shape> {
        let element = || self.items.as_deref().filter(|_| is_element(segment));
        self.properties.get(segment).or_else(element)
    }
}

/// How much of a property a fact about a path is about. Sorted, so that the most is the `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Overlap {
    /// The fact is about something else.
    None,
    /// The fact is about something below the property.
    Part,
    /// The fact is about the property, or about something that it belongs to.
    Whole,
}

impl Overlap {
    fn of(fact: &str, path: &[&str]) -> Self {
        let fact: Vec<&str> = fact.split('/').collect();
        let is_same = |(ours, theirs): (&&str, &&str)| ours == theirs || (is_element(ours) && is_element(theirs));
        if !fact.iter().zip(path).all(is_same) {
            return Self::None;
        }
        if fact.len() > path.len() { Self::Part } else { Self::Whole }
    }

    fn covers(self) -> bool {
        self == Self::Whole
    }
}

/// Whether a path's segment stands for an element of a list. No property's name is a number.
fn is_element(segment: &str) -> bool {
    segment == "*" || (!segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reads `"string"` like `["string"]`.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Primitive>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(Primitive),
        Many(Vec<Primitive>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(primitive) => vec![primitive],
        OneOrMany::Many(primitives) => primitives,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(type_name: &str) -> &'static ResourceType {
        ResourceTypes::shipped().get(type_name).expect("the tests ask for types we ship")
    }

    /// Every shape of a type, however deep, without following references.
    fn shapes(resource_type: &ResourceType) -> Vec<&Shape> {
        let mut found: Vec<&Shape> =
            resource_type.properties.values().chain(resource_type.definitions.values()).collect();
        let mut next = 0;
        while let Some(shape) = found.get(next).copied() {
            found.extend(shape.properties.values());
            found.extend(shape.items.as_deref());
            next += 1;
        }
        found
    }

    #[test]
    fn the_shipped_file_is_sorted() {
        let json = include_str!("../../data/resource-types.json");
        let names: Vec<&str> =
            json.lines().filter_map(|line| line.strip_prefix("    \"")?.strip_suffix("\": {")).collect();
        assert_eq!(names.len(), ResourceTypes::shipped().types.len());
        assert!(names.is_sorted());
    }

    #[test]
    fn every_list_of_paths_is_sorted() {
        for (name, resource_type) in &ResourceTypes::shipped().types {
            assert!(resource_type.handlers.is_sorted(), "handlers of {name}");
            for paths in [
                &resource_type.required,
                &resource_type.create_only,
                &resource_type.conditional_create_only,
                &resource_type.read_only,
                &resource_type.write_only,
            ] {
                assert!(paths.is_sorted(), "{name}: {paths:?}");
            }
        }
    }

    #[test]
    fn every_reference_leads_to_a_shape() {
        for (name, resource_type) in &ResourceTypes::shipped().types {
            for shape in shapes(resource_type) {
                assert_eq!(resource_type.resolve(shape).reference, None, "in {name}");
            }
        }
    }

    #[test]
    fn only_a_shape_that_says_nothing_has_no_type() {
        for (name, resource_type) in &ResourceTypes::shipped().types {
            for shape in shapes(resource_type).into_iter().filter(|shape| shape.reference.is_none()) {
                assert!(!shape.types.is_empty() || *shape == Shape::default(), "in {name}: {shape:?}");
            }
        }
    }

    #[test]
    fn every_path_leads_to_a_shape() {
        for (name, resource_type) in &ResourceTypes::shipped().types {
            for path in [
                &resource_type.required,
                &resource_type.create_only,
                &resource_type.conditional_create_only,
                &resource_type.read_only,
                &resource_type.write_only,
                &resource_type.identifier,
            ]
            .into_iter()
            .flatten()
            .chain(resource_type.property_transform.keys())
            {
                let segments: Vec<&str> = path.split('/').collect();
                assert!(resource_type.shape_at(&segments).is_some(), "{name} has no {path}");
            }
        }
    }

    #[test]
    fn knows_every_type_whose_properties_are_attributes() {
        for name in TYPES_WITH_PROPERTIES_AS_ATTRIBUTES {
            assert!(facts(name).has_properties_as_attributes);
        }
    }

    // Each needs a rule of ours for when it is changed in place, so a new one must not slip in.
    #[test]
    fn a_database_has_these_conditional_properties_and_no_others() {
        assert_eq!(
            facts("AWS::RDS::DBInstance").conditional_create_only,
            [
                "AutoMinorVersionUpgrade",
                "AvailabilityZone",
                "BackupRetentionPeriod",
                "DBClusterSnapshotIdentifier",
                "DBParameterGroupName",
                "DBSnapshotIdentifier",
                "Engine",
                "MultiAZ",
                "PerformanceInsightsKMSKeyId",
                "PreferredMaintenanceWindow",
                "RestoreTime",
                "SourceDBClusterIdentifier",
                "SourceDBInstanceAutomatedBackupsArn",
                "SourceDBInstanceIdentifier",
                "SourceDbiResourceId",
                "UseLatestRestorableTime",
            ]
        );
    }

    #[test]
    fn tells_what_replaces() {
        let cases = [
            ("AWS::EC2::VPC", "CidrBlock", Replaces::Always),
            ("AWS::EC2::VPC", "InstanceTenancy", Replaces::Conditionally),
            ("AWS::EC2::VPC", "EnableDnsSupport", Replaces::Never),
            ("AWS::RDS::DBInstance", "KmsKeyId", Replaces::Always),
            ("AWS::RDS::DBInstance", "MultiAZ", Replaces::Conditionally),
            ("AWS::RDS::DBInstance", "StorageType", Replaces::Never),
            ("AWS::AutoScaling::AutoScalingGroup", "LaunchTemplate", Replaces::Conditionally),
            ("AWS::AutoScaling::AutoScalingGroup", "LaunchTemplate/Version", Replaces::Conditionally),
            ("AWS::EC2::LaunchTemplate", "LaunchTemplateData", Replaces::Never),
            ("AWS::EC2::VPCEndpoint", "DnsOptions/PrivateDnsPreference", Replaces::Always),
            ("AWS::EC2::VPCEndpoint", "DnsOptions/DnsRecordIpType", Replaces::Never),
        ];
        for (type_name, property, expected) in cases {
            assert_eq!(facts(type_name).replaces(property), expected, "{type_name} {property}");
        }
    }

    #[test]
    fn a_property_replaces_conditionally_if_only_a_part_of_it_does() {
        assert_eq!(facts("AWS::EC2::VPCEndpoint").replaces("DnsOptions"), Replaces::Conditionally);
    }

    #[test]
    fn everything_replaces_a_type_that_cannot_be_updated() {
        assert_eq!(facts("AWS::Lambda::Permission").replaces("Action"), Replaces::Always);
        assert_eq!(facts("AWS::EC2::SubnetRouteTableAssociation").replaces("SubnetId"), Replaces::Always);
    }

    #[test]
    fn an_inline_policy_cannot_be_read_back() {
        assert!(!facts("AWS::IAM::Policy").handlers.contains(&Handler::Read));
    }

    #[test]
    fn finds_a_shape_inside_lists_and_references() {
        let size = facts("AWS::EC2::LaunchTemplate")
            .shape_at(&["LaunchTemplateData", "BlockDeviceMappings", "0", "Ebs", "VolumeSize"])
            .expect("volumes have a size");
        assert_eq!(size.types, [Primitive::Integer]);
    }

    #[test]
    fn finds_nothing_where_nothing_is() {
        let template = facts("AWS::EC2::LaunchTemplate");
        assert_eq!(template.shape_at(&[]), None);
        assert_eq!(template.shape_at(&["LaunchTemplateData", "Nonsense"]), None);
        assert_eq!(template.shape_at(&["LaunchTemplateData", "0"]), None);
    }

    #[test]
    fn a_policy_document_is_an_object_or_text() {
        let document = facts("AWS::S3::BucketPolicy").shape_at(&["PolicyDocument"]).expect("policies have a document");
        assert_eq!(document.types, [Primitive::Object, Primitive::String]);
        assert!(document.is_open);
    }

    #[test]
    fn tells_attributes_from_properties() {
        let cases = [
            ("AWS::RDS::DBInstance", "Endpoint.Address", true),
            ("AWS::RDS::DBInstance", "Endpoint.Nonsense", false),
            ("AWS::RDS::DBInstance", "MasterUserPassword", false),
            ("AWS::EC2::LaunchTemplate", "LatestVersionNumber", true),
            ("AWS::EC2::LaunchTemplate", "LaunchTemplateName", false),
            ("AWS::IAM::Role", "Arn", true),
            ("AWS::IAM::Role", "RoleName", true),
            ("AWS::IAM::Role", "Path", false),
            ("AWS::SQS::Queue", "QueueName", true),
            ("AWS::EC2::SecurityGroup", "VpcId", true),
            ("AWS::EC2::SecurityGroup", "Tags.0", false),
            ("AWS::S3::Bucket", "MetadataConfiguration.Destination.TableBucketArn", true),
        ];
        for (type_name, name, expected) in cases {
            assert_eq!(facts(type_name).is_attribute(name), expected, "{type_name} {name}");
        }
    }

    #[test]
    fn a_circle_of_references_ends() {
        let mut resource_type = facts("AWS::EC2::VPC").clone();
        let circle = Shape { reference: Some("Circle".to_owned()), ..Shape::default() };
        resource_type.definitions.insert("Circle".to_owned(), circle.clone());
        assert_eq!(resource_type.resolve(&circle), &circle);
    }
}
