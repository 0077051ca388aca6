//! What an environment file may say: one table of keys.
//!
//! Everything that depends on a key reads it here: which keys are known, what type they take, **whether a value passes from one
//! environment to another** ([`Passes`]), and the JSON Schema that editors use. To add a key, add a line.

use serde_json::{Value as Json, json};

use crate::environment::mistake::did_you_mean;
use crate::environment::{Content, Entry, Mistake, Node, Span, Style};

/// Whether what a file says holds for the environments that inherit from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// Shape: it passes from every layer.
    Always,
    /// Identity: it passes from abstract layers only.
    ///
    /// "Staging inherits production" means production's shape. Were production's account, protection or stack names to come
    /// along, a deploy of staging would work on production.
    FromAbstract,
    /// It is about the file itself.
    Never,
}

/// A key of an environment file.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Whether it passes to environments that inherit.
    pub passes: Passes,
    /// What it takes.
    pub shape: Shape,
    /// A sentence for people, shown by editors.
    pub about: &'static str,
}

/// What a key takes.
#[derive(Debug)]
pub enum Shape {
    /// Text of a kind.
    Text(Text),
    /// `true` or `false`.
    Boolean,
    /// A number that is not negative.
    Number,
    /// A list.
    List(&'static Shape),
    /// One, or a list of them.
    OneOrList(&'static Shape),
    /// Either of two.
    Either(&'static Shape, &'static Shape),
    /// Names of the user's own, each with the same shape.
    Map(&'static Shape),
    /// Known keys.
    Record(&'static [Key]),
    /// Values of inputs: the schema of the template judges them.
    Values,
    /// Anything: it is handed on as it is.
    Document,
}

/// A kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Any, but not empty.
    Any,
    /// Twelve digits.
    Account,
    /// `ap-southeast-2`.
    Region,
    /// Letters, digits and hyphens, beginning with a letter.
    Name,
    /// `8h`, `2d`, `90m`.
    Duration,
    /// `2027-06-30`.
    Date,
    /// `>=0.1`, `0.2`.
    VersionRange,
    /// One of these words.
    Word(&'static [&'static str]),
}

use Passes::{Always, FromAbstract, Never};

const ANY: Shape = Shape::Text(Text::Any);
const NAME: Shape = Shape::Text(Text::Name);
const ACCOUNT: Shape = Shape::Text(Text::Account);
const REGION: Shape = Shape::Text(Text::Region);
const DURATION: Shape = Shape::Text(Text::Duration);
const DATE: Shape = Shape::Text(Text::Date);
const TEXTS: Shape = Shape::List(&ANY);
const TAGS: Shape = Shape::Map(&ANY);

const fn key(name: &'static str, passes: Passes, shape: Shape, about: &'static str) -> Key {
    Key { name, passes, shape, about }
}

/// The keys of an environment file.
pub static ENVIRONMENT: &[Key] = &[
    key("abstract", Never, Shape::Boolean, "Only inherited from: not an environment by itself."),
    key("about", Never, ANY, "What this environment is for, in a few words."),
    key("requires", Never, Shape::Text(Text::VersionRange), "The versions of greenroom that understand this file."),
    key("inherits", Never, Shape::OneOrList(&NAME), "The files this one builds on; what comes later wins."),
    key("project", Always, NAME, "Part of every name and mark."),
    key("stack_name", Always, ANY, "The pattern of stack names, of ${project}, ${environment} and ${stack}."),
    key("region", Always, REGION, "The AWS Region."),
    key("owner", Always, ANY, "Who answers for it: a mail address or a team."),
    key(
        "tags",
        Always,
        TAGS,
        "Tags of every stack and so of every resource. A changed tag is a change of every resource.",
    ),
    key("account", FromAbstract, ACCOUNT, "The AWS account, in twelve digits."),
    key(
        "protected",
        FromAbstract,
        Shape::Boolean,
        "Termination protection, no destroy, no clone into it, a typed confirmation.",
    ),
    key("lifetime", FromAbstract, DURATION, "How long it lives after its creation: 8h, 2d."),
    key("named", FromAbstract, Shape::Boolean, "Many of a kind: scratch@jane, scratch@pr-812."),
    key("deploy", Always, Shape::Record(DEPLOY), "How stacks are brought to AWS."),
    key("values", Always, Shape::Values, "Values for every stack that declares the input."),
    key("stacks", Always, Shape::Map(&Shape::Record(STACK)), "The stacks, by name; null removes an inherited one."),
    key("drift", FromAbstract, Shape::Record(DRIFT), "What may differ from the template."),
    key(
        "clone_policy",
        FromAbstract,
        Shape::Record(CLONE_POLICY),
        "What may be cloned from here; without it, nothing.",
    ),
    key("clone", FromAbstract, Shape::Record(CLONE), "How this environment is made from another's data."),
    key(
        "differences",
        FromAbstract,
        Shape::List(&Shape::Record(EXCEPTION)),
        "Where this environment differs on purpose.",
    ),
];

static DEPLOY: &[Key] = &[
    key("role", Always, ANY, "The role assumed in the account."),
    key("service_role", Always, ANY, "CloudFormation's own role; it sticks to the stack."),
    key("template_bucket", Always, ANY, "The bucket for templates over 51,200 bytes."),
    key("package_bucket", Always, ANY, "The bucket for function packages."),
    key(
        "capabilities",
        Always,
        Shape::List(&Shape::Text(Text::Word(CAPABILITIES))),
        "What a template may be allowed to do.",
    ),
    key("notify", Always, TEXTS, "ARNs of topics that receive stack events."),
    key("rollback_alarms", Always, TEXTS, "ARNs of alarms that roll an update back."),
    key("stack_policy", Always, Shape::Document, "CloudFormation's stack policy, as a document."),
];

static STACK: &[Key] = &[
    key("template", Always, ANY, "The folder in templates/; the stack's own name if absent."),
    key("values", Always, Shape::Values, "Values of the template's inputs."),
    key("needs", Always, TEXTS, "Stacks that must be up first, though no output says so."),
    key("stack_name", FromAbstract, NAME, "A name it had before greenroom."),
    key("account", FromAbstract, ACCOUNT, "An account of its own, such as a DNS hub's."),
    key("region", Always, REGION, "A Region of its own, such as us-east-1 for a certificate."),
    key("role", Always, ANY, "The role assumed in that account."),
    key("managed", Always, Shape::Boolean, "false: its outputs are read, it is never deployed."),
    key("tags", Always, TAGS, "Tags of this stack, beyond the environment's."),
];

static DRIFT: &[Key] = &[key(
    "ignore",
    FromAbstract,
    Shape::List(&Shape::Record(EXCEPTION)),
    "Differences that are not reported, each with a reason and an end.",
)];

static EXCEPTION: &[Key] = &[
    key("path", FromAbstract, ANY, "STACK/RESOURCE/PROPERTY or STACK/INPUT."),
    key("because", FromAbstract, ANY, "Why, for whoever reads it in a year."),
    key("until", FromAbstract, DATE, "The last day on which it holds."),
];

static CLONE_POLICY: &[Key] = &[
    key("targets", FromAbstract, Shape::List(&NAME), "The environments that may be made from this one's data."),
    key("max_lifetime", FromAbstract, DURATION, "The longest lifetime such an environment may have."),
];

static CLONE: &[Key] = &[
    key("from", FromAbstract, NAME, "The environment whose data it gets."),
    key(
        "snapshot",
        FromAbstract,
        Shape::Either(&ANY, &Shape::Record(SNAPSHOT)),
        "newest, fresh, a snapshot's id, or an age.",
    ),
    key("quiesce", FromAbstract, Shape::Map(&ANY), "By database: the SQL that stops its outboxes and queues, or none."),
    key("share", FromAbstract, TEXTS, "Secrets, topics and names that both environments may use."),
    key(
        "reach",
        FromAbstract,
        TEXTS,
        "From where the quarantined database is reached: CIDR blocks or security groups.",
    ),
    key(
        "key",
        FromAbstract,
        ANY,
        "The KMS key that its data is copied under, by ARN, id or alias; without one it stays as it is, or gets the account's own.",
    ),
    key("max_cost", FromAbstract, Shape::Number, "The most it may cost per day, in the currency of prices.yaml."),
];

static SNAPSHOT: &[Key] =
    &[key("newest_within", FromAbstract, DURATION, "The newest automated snapshot, if it is no older than this.")];

/// What `prices.yaml` may say. All prices are of one Region.
pub static PRICES: &[Key] = &[
    key("currency", Never, ANY, "What the prices are in, such as USD."),
    key(
        "database_hour",
        Never,
        PRICE_LIST,
        "By class, such as db.r7g.xlarge: an hour of one RDS instance; a standby is another.",
    ),
    key("storage_gib_month", Never, PRICE_LIST, "By type, such as gp3: a GiB of database storage for a month."),
    key(
        "iops_month",
        Never,
        PRICE_LIST,
        "By type of storage: one provisioned IOPS for a month, beyond what is included.",
    ),
    key(
        "throughput_mibps_month",
        Never,
        PRICE_LIST,
        "By type of storage: one MiB/s for a month, beyond what is included.",
    ),
    key("snapshot_gib_month", Never, Shape::Number, "A GiB of manual snapshots for a month."),
    key("instance_hour", Never, PRICE_LIST, "By type, such as m7g.xlarge: an hour of one EC2 instance."),
];

const PRICE_LIST: Shape = Shape::Map(&Shape::Number);

/// What CloudFormation calls capabilities (API Reference, `CreateChangeSet`).
pub const CAPABILITIES: &[&str] = &["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];

/// What can be wrong with the shape of a file.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ShapeFault {
    /// A key that no line of the table names.
    #[error("unknown key `{0}`")]
    UnknownKey(String),
    /// Prices in nothing.
    #[error("prices without a currency")]
    NoCurrency,
    /// A list where text is due, and the like.
    #[error("{expected} expected, but this is {found}")]
    WrongType {
        /// What is due.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Text of another kind.
    #[error("{expected} expected, but this is `{text}`")]
    WrongText {
        /// What is due.
        expected: String,
        /// What is there.
        text: String,
    },
    /// Nothing between the quotes.
    #[error("{0} expected, but this is empty")]
    Empty(String),
    /// A tag of CloudFormation's in an environment file.
    #[error("the tag `!{0}` means nothing in an environment file")]
    Tag(String),
    /// Nothing, where nothing can be removed.
    #[error("a value is missing")]
    Nothing,
}

/// Checks a file against the table: every unknown key, every wrong type.
pub fn check(node: &Node, mistakes: &mut Vec<Mistake>) {
    check_record(node, ENVIRONMENT, mistakes);
}

/// Checks `prices.yaml`.
pub fn check_prices(node: &Node, mistakes: &mut Vec<Mistake>) {
    check_record(node, PRICES, mistakes);
}

fn check_shape(node: &Node, shape: &Shape, mistakes: &mut Vec<Mistake>) {
    if let Some(tag) = &node.tag {
        let hint = "templates have tags; here a reference is a map, such as `{output: network.VpcId}`";
        mistakes.push(Mistake::at(node.span, &ShapeFault::Tag(tag.clone())).hint(hint));
        return;
    }
    match shape {
        Shape::Text(kind) => check_text(node, *kind, mistakes),
        Shape::Boolean => check_scalar(node, mistakes, "`true` or `false`", |text, style| {
            style == Style::Plain && matches!(text, "true" | "false")
        }),
        Shape::Number => check_scalar(node, mistakes, "a number", |text, style| {
            style == Style::Plain && text.parse::<f64>().is_ok_and(|number| number.is_finite() && number >= 0.0)
        }),
        Shape::List(item) => match node.as_sequence() {
            Some(items) => check_items(items, item, mistakes),
            None => mistakes.push(wrong_type(node, "a list")),
        },
        Shape::OneOrList(item) => match node.as_sequence() {
            Some(items) => check_items(items, item, mistakes),
            None => check_shape(node, item, mistakes),
        },
        Shape::Either(text, record) => {
            let is_text = matches!(node.content, Content::Scalar(_));
            check_shape(node, if is_text { text } else { record }, mistakes);
        }
        Shape::Map(each) => match node.as_mapping() {
            Some(entries) => check_removable(entries, each, mistakes),
            None => mistakes.push(wrong_type(node, "a map")),
        },
        Shape::Record(keys) => check_record(node, keys, mistakes),
        Shape::Values => match node.as_mapping() {
            Some(entries) => entries.iter().for_each(|entry| check_no_tags(&entry.value, mistakes)),
            None => mistakes.push(wrong_type(node, "a map of inputs and their values")),
        },
        Shape::Document => check_no_tags(node, mistakes),
    }
}

fn check_record(node: &Node, keys: &[Key], mistakes: &mut Vec<Mistake>) {
    let Some(entries) = node.as_mapping() else {
        mistakes.push(wrong_type(node, "a map"));
        return;
    };
    for entry in entries {
        match keys.iter().find(|key| key.name == entry.key) {
            Some(_) if entry.value.is_null() => {}
            Some(key) => check_shape(&entry.value, &key.shape, mistakes),
            None => mistakes.push(unknown_key(entry, keys)),
        }
    }
}

/// Entries of a map may be null: that removes what a layer below says.
fn check_removable(entries: &[Entry], each: &Shape, mistakes: &mut Vec<Mistake>) {
    for entry in entries.iter().filter(|entry| !entry.value.is_null()) {
        check_shape(&entry.value, each, mistakes);
    }
}

fn check_items(items: &[Node], shape: &Shape, mistakes: &mut Vec<Mistake>) {
    for item in items {
        if item.is_null() {
            mistakes.push(Mistake::at(item.span, &ShapeFault::Nothing).label("nothing stands here"));
        } else {
            check_shape(item, shape, mistakes);
        }
    }
}

fn check_no_tags(node: &Node, mistakes: &mut Vec<Mistake>) {
    if let Some(tag) = &node.tag {
        let hint = "templates have tags; here a reference is a map, such as `{output: network.VpcId}`";
        mistakes.push(Mistake::at(node.span, &ShapeFault::Tag(tag.clone())).hint(hint));
    }
    match &node.content {
        Content::Scalar(_) => {}
        Content::Sequence(items) => items.iter().for_each(|item| check_no_tags(item, mistakes)),
        Content::Mapping(entries) => entries.iter().for_each(|entry| check_no_tags(&entry.value, mistakes)),
    }
}

/// YAML 1.1's key for "and all of that".
pub(crate) const MERGE_KEY: &str = "<<";

/// Why it is not read.
pub(crate) const NO_MERGE_KEYS: &str =
    "merge keys are not read; put what is shared into an abstract file and inherit it";

fn unknown_key(entry: &Entry, keys: &[Key]) -> Mistake {
    let mistake = Mistake::at(entry.key_span, &ShapeFault::UnknownKey(entry.key.clone()));
    if entry.key == MERGE_KEY {
        return mistake.hint(NO_MERGE_KEYS);
    }
    let known = || keys.iter().map(|key| key.name);
    let all = || format!("known here: {}", known().collect::<Vec<_>>().join(", "));
    mistake.hint(did_you_mean(&entry.key, known()).unwrap_or_else(all))
}

/// `expected` is a noun with its article: `a list`.
pub(crate) fn wrong_type(node: &Node, expected: &str) -> Mistake {
    Mistake::at(node.span, &ShapeFault::WrongType { expected: expected.into(), found: node.kind().into() })
}

fn check_scalar(node: &Node, mistakes: &mut Vec<Mistake>, expected: &str, fits: impl Fn(&str, Style) -> bool) {
    let Content::Scalar(scalar) = &node.content else {
        mistakes.push(wrong_type(node, expected));
        return;
    };
    if fits(&scalar.text, scalar.style) {
        return;
    }
    if scalar.text.is_empty() {
        mistakes.push(Mistake::at(node.span, &ShapeFault::Empty(expected.into())));
        return;
    }
    let is_quoted = scalar.style != Style::Plain && fits(&scalar.text, Style::Plain);
    let mistake =
        Mistake::at(node.span, &ShapeFault::WrongText { expected: expected.into(), text: scalar.text.clone() });
    mistakes.push(mistake.maybe_hint(is_quoted.then(|| "without the quotes".into())));
}

fn check_text(node: &Node, kind: Text, mistakes: &mut Vec<Mistake>) {
    check_scalar(node, mistakes, kind.expected(), |text, _| kind.fits(text));
    let near = match (kind, node.as_text()) {
        (Text::Word(words), Some(text)) => did_you_mean(text, words.iter().copied()),
        _ => None,
    };
    if let (Some(hint), Some(last)) = (near, mistakes.last_mut().filter(|last| last.span == Some(node.span))) {
        last.hint = Some(hint);
    }
}

impl Text {
    /// Whether `text` is of this kind.
    pub fn fits(self, text: &str) -> bool {
        match self {
            Self::Any => !text.is_empty(),
            Self::Account => text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Region => is_region(text),
            Self::Name => is_name(text),
            Self::Duration => parse_duration(text).is_some(),
            Self::Date => parse_date(text).is_some(),
            Self::VersionRange => semver::VersionReq::parse(text).is_ok(),
            Self::Word(words) => words.contains(&text),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Any => "text",
            Self::Account => "an account of twelve digits",
            Self::Region => "an AWS Region, such as `ap-southeast-2`,",
            Self::Name => "a name of letters, digits and hyphens, beginning with a letter,",
            Self::Duration => "a duration, such as `90m`, `8h` or `2d`,",
            Self::Date => "a date, such as `2027-06-30`,",
            Self::VersionRange => "a range of versions, such as `>=0.1`,",
            Self::Word(_) => "one of the known words",
        }
    }

    fn schema(self) -> Json {
        match self {
            // Editors read `account: 222222222222` and `8.19` as numbers; greenroom keeps their text.
            Self::Any | Self::VersionRange => json!({"type": ["string", "number"]}),
            Self::Account => json!({"type": ["string", "integer"], "pattern": "^[0-9]{12}$"}),
            Self::Region => json!({"type": "string", "pattern": "^[a-z]{2,4}(-[a-z]+)+-[0-9]+$"}),
            Self::Name => json!({"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9-]*$"}),
            Self::Duration => json!({"type": "string", "pattern": "^[0-9]+[mhd]$"}),
            Self::Date => json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
            Self::Word(words) => json!({"enum": words}),
        }
    }
}

/// A name that CloudFormation takes in a stack's name: a letter, then letters, digits and hyphens.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let (Some(last), true) = (parts.last(), parts.len() >= 3) else { return false };
    let words = &parts[..parts.len() - 1];
    words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
        && !last.is_empty()
        && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// Minutes, hours or days.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    let (number, seconds) = match text.split_at_checked(text.len().checked_sub(1)?)? {
        (number, "m") => (number, 60),
        (number, "h") => (number, 3600),
        (number, "d") => (number, 86_400),
        _ => return None,
    };
    let is_digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = number.parse().ok().filter(|count| is_digits && *count > 0)?;
    Some(std::time::Duration::from_secs(count.checked_mul(seconds)?))
}

/// A day of the calendar, `YYYY-MM-DD`.
pub fn parse_date(text: &str) -> Option<jiff::civil::Date> {
    let date: jiff::civil::Date = text.parse().ok()?;
    (date.to_string() == text).then_some(date)
}

/// What a layer must not hand on, because it is an environment of its own: the path, where it stands, what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Keys from the top of the file.
    pub path: Vec<String>,
    /// Where it stands in the layer.
    pub span: Span,
}

/// Takes from a concrete layer what does not pass on, and says what that was.
pub fn withhold_identity(root: &mut Node) -> Vec<Withheld> {
    let mut withheld = Vec::new();
    withhold(root, &Shape::Record(ENVIRONMENT), &mut Vec::new(), &mut withheld);
    withheld
}

fn withhold(node: &mut Node, shape: &Shape, path: &mut Vec<String>, withheld: &mut Vec<Withheld>) {
    let Content::Mapping(entries) = &mut node.content else { return };
    entries.retain_mut(|entry| {
        path.push(entry.key.clone());
        let passes = entry_passes(entry, shape, path, withheld);
        if !passes {
            withheld.push(Withheld { path: path.clone(), span: entry.key_span });
        }
        path.pop();
        passes
    });
}

fn entry_passes(entry: &mut Entry, shape: &Shape, path: &mut Vec<String>, withheld: &mut Vec<Withheld>) -> bool {
    match shape {
        Shape::Record(keys) => {
            let Some(key) = keys.iter().find(|key| key.name == entry.key) else { return true };
            if key.passes != Always {
                return false;
            }
            withhold(&mut entry.value, &key.shape, path, withheld);
            true
        }
        Shape::Map(each) => {
            withhold(&mut entry.value, each, path, withheld);
            true
        }
        Shape::Values => {
            // A secret's name is identity too: with production's, staging would log in to production.
            if crate::environment::reference::is_secret(&entry.value) {
                return false;
            }
            withhold(&mut entry.value, &Shape::Values, path, withheld);
            true
        }
        _ => true,
    }
}

/// Removes what is about the file itself; what an abstract layer hands on is all the rest.
pub fn withhold_own(root: &mut Node) {
    let Content::Mapping(entries) = &mut root.content else { return };
    entries.retain(|entry| !ENVIRONMENT.iter().any(|key| key.name == entry.key && key.passes == Never));
}

/// The JSON Schema (draft 2020-12) of environment files.
///
/// `values` is the schema of the shared values; `stacks` gives, by stack name, the schema of that stack's values.
pub fn json_schema(values: &Json, stacks: &[(String, Json)]) -> Json {
    let mut schema = record_schema(ENVIRONMENT, values);
    let of_stack = |values: &Json| record_schema(STACK, values);
    let named: serde_json::Map<String, Json> =
        stacks.iter().map(|(name, values)| (name.clone(), nullable(of_stack(values)))).collect();
    let any = nullable(of_stack(&json!({"type": "object"})));
    schema["properties"]["stacks"] = json!({
        "description": schema["properties"]["stacks"]["description"],
        "type": ["object", "null"],
        "properties": named,
        "additionalProperties": any,
    });
    let mut whole =
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "An environment of greenroom"});
    if let (Some(whole), Some(schema)) = (whole.as_object_mut(), schema.as_object()) {
        whole.extend(schema.clone());
    }
    whole
}

fn record_schema(keys: &[Key], values: &Json) -> Json {
    let properties: serde_json::Map<String, Json> = keys
        .iter()
        .map(|key| {
            let mut schema = nullable(shape_schema(&key.shape, values));
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("description".into(), key.about.into());
            }
            (key.name.to_string(), schema)
        })
        .collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn shape_schema(shape: &Shape, values: &Json) -> Json {
    match shape {
        Shape::Text(kind) => kind.schema(),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Number => json!({"type": "number", "minimum": 0}),
        Shape::List(item) => json!({"type": "array", "items": shape_schema(item, values)}),
        Shape::OneOrList(item) => {
            let item = shape_schema(item, values);
            json!({"anyOf": [item.clone(), {"type": "array", "items": item}]})
        }
        Shape::Either(left, right) => json!({"anyOf": [shape_schema(left, values), shape_schema(right, values)]}),
        Shape::Map(each) => json!({"type": "object", "additionalProperties": nullable(shape_schema(each, values))}),
        Shape::Record(keys) => record_schema(keys, values),
        Shape::Values => values.clone(),
        Shape::Document => json!({}),
    }
}

/// Null removes what a layer below says, so every key takes it.
fn nullable(schema: Json) -> Json {
    let Json::Object(mut object) = schema else { return schema };
    if object.is_empty() {
        return Json::Object(object);
    }
    match object.get_mut("type") {
        Some(Json::String(kind)) => {
            let kind = kind.clone();
            object.insert("type".into(), json!([kind, "null"]));
        }
        Some(Json::Array(kinds)) if !kinds.contains(&json!("null")) => kinds.push(json!("null")),
        Some(_) => {}
        None => return json!({"anyOf": [object, {"type": "null"}]}),
    }
    Json::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{Sources, yaml};

    fn messages(text: &str) -> Vec<String> {
        let mut sources = Sources::default();
        let id = sources.add("a.yaml".into(), text.into());
        let mut mistakes = Vec::new();
        check(&yaml::read(id, text).root.expect("a document"), &mut mistakes);
        let place = |mistake: &Mistake| mistake.span.map(|span| sources.place(span).to_string()).unwrap_or_default();
        mistakes.iter().map(|mistake| format!("{} {}", place(mistake), mistake.message)).collect()
    }

    #[test]
    fn every_mistake_of_a_file_is_told() {
        let text = "acount: '1'\naccount: 123\nprotected: yes\nlifetime: 8 hours\nstacks: {a: {value: 1}}\ntags: [a]\ninherits: [~]\n";
        assert_eq!(
            messages(text),
            [
                "a.yaml:1:1 unknown key `acount`",
                "a.yaml:2:10 an account of twelve digits expected, but this is `123`",
                "a.yaml:3:12 `true` or `false` expected, but this is `yes`",
                "a.yaml:4:11 a duration, such as `90m`, `8h` or `2d`, expected, but this is `8 hours`",
                "a.yaml:5:14 unknown key `value`",
                "a.yaml:6:7 a list expected, but this is a list".replace("a list expected", "a map expected").as_str(),
                "a.yaml:7:12 a value is missing",
            ]
        );
    }

    #[test]
    fn durations_have_one_unit_and_are_not_zero() {
        assert_eq!(parse_duration("90m").map(|it| it.as_secs()), Some(5400));
        assert_eq!(parse_duration("2d").map(|it| it.as_secs()), Some(172_800));
        for text in ["", "h", "0h", "-1h", "+1h", "1.5h", "8", "8 h", "99999999999999999999d", "1w", "ü"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_days_of_the_calendar() {
        assert!(parse_date("2028-02-29").is_some());
        for text in ["2027-02-29", "2027-6-1", "20270601", "2027-06-30T00:00", ""] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn identity_is_withheld_and_shape_is_not() {
        let text = "account: '222222222222'\nregion: eu-west-1\nstacks: {db: {stack_name: x, values: {a: 1, password: {secret: p}, deep: {b: {secret: q}}}}}\n";
        let mut sources = Sources::default();
        let id = sources.add("a.yaml".into(), text.into());
        let mut root = yaml::read(id, text).root.expect("a document");
        let paths: Vec<String> = withhold_identity(&mut root).into_iter().map(|it| it.path.join(".")).collect();
        assert_eq!(paths, ["account", "stacks.db.stack_name", "stacks.db.values.password", "stacks.db.values.deep.b"]);
        assert!(root.at(["stacks", "db", "values", "a"]).is_some());
        assert!(root.get("region").is_some());
    }
}
