//! From the files to one [`Environment`]: inheritance, required keys, the five words, names and marks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::environment::interpolate::{interpolate, interpolate_node};
use crate::environment::layers::{Layer, Merged, layers, lineage, merge, overlay_values};
use crate::environment::shape::{Withheld, is_name, parse_date, parse_duration};
use crate::environment::{
    ClonePolicy, CloneSettings, Content, DeploySettings, Environment, EnvironmentFile, EnvironmentName, Exception,
    Mistake, Node, Project, SnapshotChoice, Span, Spanned, Stack, StackPolicy, Value, Words,
};

/// How long a stack's name may be (CloudFormation API Reference, `CreateChangeSet`).
pub const STACK_NAME_CHARACTERS_MAX: usize = 128;

/// How many tags a stack takes (CloudFormation User Guide, "CloudFormation quotas").
pub const TAGS_MAX: usize = 50;

/// Which one of many is tried out when nobody says which.
const INSTANCE_TO_TRY: &str = "example";

/// The pattern of stack names where no file gives one.
const STACK_NAME_PATTERN: &str = "${project}-${environment}-${stack}";

/// What can be wrong with an environment as a whole.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum EnvironmentFault {
    /// A key that every environment needs.
    #[error("`{environment}` says no `{key}`")]
    MissingKey {
        /// The environment.
        environment: String,
        /// The key.
        key: &'static str,
    },
    /// A key that a concrete ancestor says, but only for itself.
    #[error("`{environment}` inherits `{ancestor}`, but not its {key}: say `{key}:`")]
    IdentityNotInherited {
        /// The environment.
        environment: String,
        /// The ancestor that is an environment of its own.
        ancestor: String,
        /// The key.
        key: &'static str,
    },
    /// An abstract file used as an environment.
    #[error("`{0}` is abstract: it is only inherited from")]
    Abstract(String),
    /// `scratch` instead of `scratch@jane`.
    #[error("`{0}` stands for many: say which one, `{0}@NAME`")]
    NameNeeded(String),
    /// `production@jane`.
    #[error("`{0}` stands for itself alone: `@{1}` says nothing")]
    NotNamed(String, String),
    /// A stack name that CloudFormation does not take.
    #[error(
        "`{0}` is no name for a stack: letters, digits and hyphens, beginning with a letter, at most {STACK_NAME_CHARACTERS_MAX}"
    )]
    NotAStackName(String),
    /// `../network`: its name is a part of paths and references.
    #[error("`{0}` cannot be what a stack is called here: letters, digits, hyphens and underscores")]
    NotAStack(String),
    /// Two stacks of one environment with one name.
    #[error("the stacks `{0}` and `{1}` would both be called `{2}`")]
    SameStackName(String, String, String),
    /// More tags than a stack takes.
    #[error("{0} tags, the marks included; a stack takes {TAGS_MAX}")]
    TooManyTags(usize),
    /// A tag of AWS's own.
    #[error("tags that begin with `{0}` are not ours to set")]
    ReservedTag(&'static str),
    /// The files ask for another version of greenroom.
    #[error("this file asks for greenroom {wanted}; this is {ours}")]
    OtherVersion {
        /// What the file says.
        wanted: String,
        /// What is running.
        ours: &'static str,
    },
    /// Something that must be said in an entry.
    #[error("`{0}` is missing")]
    MissingPart(&'static str),
}

/// What came of an environment's files.
#[derive(Debug)]
pub struct Resolution {
    /// The environment, as far as it could be made.
    pub environment: Option<Environment>,
    /// All that is wrong with it.
    pub mistakes: Vec<Mistake>,
}

impl Resolution {
    fn failed(mistakes: Vec<Mistake>) -> Self {
        Self { environment: None, mistakes }
    }
}

/// Makes an environment of its files.
pub fn resolve(project: &Project, name: &EnvironmentName) -> Resolution {
    resolve_as(project, name, None)
}

/// The name under which a file is tried out: one of many, where it stands for many.
pub fn name_to_try(project: &Project, file: &str) -> EnvironmentName {
    let merged = lineage(file, &project.files).map(|lineage| merge(&layers(&lineage)));
    let is_named = merged.is_ok_and(|merged| merged.root.get("named").and_then(Node::as_text) == Some("true"));
    EnvironmentName { file: file.to_string(), instance: is_named.then(|| INSTANCE_TO_TRY.to_string()) }
}

/// Makes an environment of its files, but with another's words: so that two differ in meaning only and not by name.
pub fn resolve_as(project: &Project, name: &EnvironmentName, words: Option<&Words>) -> Resolution {
    let file = match project.file(&name.file) {
        Ok(file) => file,
        Err(mistake) => return Resolution::failed(vec![*mistake]),
    };
    let lineage = match lineage(&file.name, &project.files) {
        Ok(lineage) => lineage,
        Err(mut mistakes) => {
            mistakes.extend(file.mistakes.iter().cloned());
            return Resolution::failed(mistakes);
        }
    };
    let mut mistakes: Vec<Mistake> = lineage.iter().flat_map(|file| file.mistakes.iter().cloned()).collect();
    mistakes.extend(lineage.iter().filter_map(|file| other_version(file)));
    if lineage.iter().any(|file| !file.is_readable) {
        // A layer that says nothing would make everything look missing.
        return Resolution::failed(mistakes);
    }
    if file.is_abstract {
        mistakes.push(Mistake::new(&EnvironmentFault::Abstract(file.name.clone())));
        return Resolution::failed(mistakes);
    }
    let layers = layers(&lineage);
    let mut merged = merge(&layers);
    mistakes.append(&mut merged.mistakes);
    let mut resolver = Resolver { name, file, layers: &layers, merged: &merged, words, mistakes };
    resolver.check_name();
    let environment = resolver.environment();
    Resolution { environment, mistakes: resolver.mistakes }
}

fn other_version(file: &EnvironmentFile) -> Option<Mistake> {
    let ours = env!("CARGO_PKG_VERSION");
    let node = file.root.get("requires")?;
    let wanted = semver::VersionReq::parse(node.as_text()?).ok()?;
    let version = semver::Version::parse(ours).ok()?;
    let fault = EnvironmentFault::OtherVersion { wanted: wanted.to_string(), ours };
    (!wanted.matches(&version))
        .then(|| Mistake::at(node.span, &fault).hint("install that version: `cargo install greenroom --version …`"))
}

struct Resolver<'a> {
    name: &'a EnvironmentName,
    file: &'a EnvironmentFile,
    layers: &'a [Layer],
    merged: &'a Merged,
    /// The words of another environment.
    words: Option<&'a Words>,
    mistakes: Vec<Mistake>,
}

impl Resolver<'_> {
    fn root(&self) -> &Node {
        &self.merged.root
    }

    fn check_name(&mut self) {
        let is_named = self.root().get("named").and_then(Node::as_text) == Some("true");
        let fault = match (&self.name.instance, is_named) {
            (None, true) => EnvironmentFault::NameNeeded(self.name.file.clone()),
            (Some(instance), false) => EnvironmentFault::NotNamed(self.name.file.clone(), instance.clone()),
            (Some(_), true) | (None, false) => return,
        };
        self.mistakes.push(Mistake::new(&fault));
    }

    fn environment(&mut self) -> Option<Environment> {
        let project = self.required("project");
        let region = self.required("region");
        let account = self.required("account");
        if self.root().get("stacks").is_none() {
            self.missing("stacks");
        }
        let (project, region, account) = (project?, region?, account?);
        let words = self.words.cloned().unwrap_or_else(|| Words {
            project: project.value.clone(),
            environment: self.name.word(),
            stack: String::new(),
            account: account.value.clone(),
            region: region.value.clone(),
        });
        let lifetime = self.root().get("lifetime").and_then(duration);
        let is_protected = self.root().get("protected").and_then(Node::as_text) == Some("true");
        let marks = Marks {
            lifetime: lifetime.as_ref().and_then(|_| self.merged.root.get("lifetime")).and_then(Node::as_text),
        };
        let stacks = self.stacks(&words, &marks);
        let environment = Environment {
            name: self.name.clone(),
            about: self.text("about"),
            project: project.value,
            account,
            region,
            owner: self.text("owner"),
            is_protected,
            lifetime,
            stacks,
            drift_ignores: self.exceptions(["drift", "ignore"].as_slice()),
            clone_policy: self.clone_policy(),
            clone: self.clone_settings(),
            differences: self.exceptions(["differences"].as_slice()),
            layers: self.layers.to_vec(),
            document: self.merged.root.clone(),
        };
        Some(environment)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.root().get(key).and_then(Node::as_text).map(str::to_string)
    }

    /// A key that must be there. One of a wrong type has its mistake already.
    fn required(&mut self, key: &'static str) -> Option<Spanned<String>> {
        match self.root().get(key) {
            None => {
                self.missing(key);
                None
            }
            Some(node) => node.as_text().map(|text| Spanned { value: text.to_string(), span: node.span }),
        }
    }

    fn missing(&mut self, key: &'static str) {
        let environment = self.name.file.clone();
        let beginning = self.file.root.span;
        let beginning = Span { end: beginning.start, ..beginning };
        if let Some((layer, withheld)) = self.withheld(&[key]) {
            let fault = EnvironmentFault::IdentityNotInherited { environment, ancestor: layer.name.clone(), key };
            self.mistakes.push(
                Mistake::at(beginning, &fault).related(withheld.span, format!("`{}` says it for itself", layer.name)),
            );
            return;
        }
        let mistake = Mistake::at(beginning, &EnvironmentFault::MissingKey { environment, key });
        let removal = self.merged.removals.iter().rev().find(|removal| removal.path == [key]);
        self.mistakes.push(match removal {
            Some(removal) => mistake.related(removal.span, "removed here"),
            None => mistake.hint(format!("say `{key}:` here or in a file it inherits")),
        });
    }

    /// What the nearest concrete ancestor says at a path, for itself alone.
    fn withheld(&self, path: &[&str]) -> Option<(&Layer, &Withheld)> {
        self.layers.iter().rev().find_map(|layer| {
            let withheld = layer
                .withheld
                .iter()
                .find(|withheld| withheld.path.iter().map(String::as_str).eq(path.iter().copied()))?;
            Some((layer, withheld))
        })
    }

    fn stacks(&mut self, words: &Words, marks: &Marks<'_>) -> Vec<Stack> {
        let merged = self.merged;
        let entries = merged.root.get("stacks").and_then(Node::as_mapping).unwrap_or_default();
        let mut stacks: Vec<Stack> = Vec::with_capacity(entries.len());
        let mut names: BTreeMap<(String, String, String), String> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.value.as_mapping().is_some()) {
            if !is_stack(&entry.key) {
                self.mistakes.push(Mistake::at(entry.key_span, &EnvironmentFault::NotAStack(entry.key.clone())));
                continue;
            }
            let Some(stack) = self.stack(&entry.key, entry.key_span, &entry.value, words, marks) else { continue };
            let key = (stack.account.value.clone(), stack.region.value.clone(), stack.stack_name.value.clone());
            if let Some(other) = names.insert(key, stack.name.clone()) {
                let fault = EnvironmentFault::SameStackName(other, stack.name.clone(), stack.stack_name.value.clone());
                self.mistakes.push(Mistake::at(stack.stack_name.span, &fault).hint("the pattern needs `${stack}`"));
            }
            stacks.push(stack);
        }
        stacks
    }

    fn stack(&mut self, name: &str, span: Span, node: &Node, words: &Words, marks: &Marks<'_>) -> Option<Stack> {
        let own = |key: &str| node.get(key).and_then(spanned);
        let environment = |key: &str| self.root().get(key).and_then(spanned);
        let words = Words {
            stack: name.to_string(),
            account: own("account").map_or_else(|| words.account.clone(), |own| own.value),
            region: own("region").map_or_else(|| words.region.clone(), |own| own.value),
            ..words.clone()
        };
        let account = own("account").or_else(|| environment("account"))?;
        let region = own("region").or_else(|| environment("region"))?;
        let stack_name = self.stack_name(node, span, &words)?;
        let deploy_role = self.root().at(["deploy", "role"]).and_then(spanned);
        let role = own("role").or(deploy_role).map(|role| self.replaced(&role, &words));
        let tags = self.tags(node, &words, marks);
        Some(Stack {
            name: name.to_string(),
            span,
            template: own("template").unwrap_or(Spanned { value: name.to_string(), span }),
            is_managed: node.get("managed").and_then(Node::as_text) != Some("false"),
            stack_name,
            account,
            region,
            role,
            tags,
            deploy: self.deploy_settings(&words),
            needs: node
                .get("needs")
                .and_then(Node::as_sequence)
                .unwrap_or_default()
                .iter()
                .filter_map(spanned)
                .collect(),
            values: self.values(node, &words),
            words,
        })
    }

    fn stack_name(&mut self, node: &Node, span: Span, words: &Words) -> Option<Spanned<String>> {
        let default = Spanned { value: STACK_NAME_PATTERN.to_string(), span };
        let written = node.get("stack_name").or_else(|| self.root().get("stack_name"));
        let is_default = written.is_none();
        let pattern = match written {
            Some(node) => spanned(node)?,
            None => default,
        };
        let before = self.mistakes.len();
        let name = Spanned { value: self.replaced(&pattern, words), span: pattern.span };
        let is_replaced = before == self.mistakes.len();
        if is_replaced && (!is_name(&name.value) || name.value.len() > STACK_NAME_CHARACTERS_MAX) {
            let mistake = Mistake::at(name.span, &EnvironmentFault::NotAStackName(name.value.clone()));
            let hint = is_default.then(|| format!("it is made as `{STACK_NAME_PATTERN}`: say another `stack_name:`"));
            self.mistakes.push(mistake.maybe_hint(hint));
        }
        Some(name)
    }

    fn replaced(&mut self, text: &Spanned<String>, words: &Words) -> String {
        let mut node = Node::text(text.value.clone(), text.span);
        interpolate_node(&mut node, words, &mut self.mistakes);
        node.as_text().unwrap_or_default().to_string()
    }

    fn tags(&mut self, stack: &Node, words: &Words, marks: &Marks<'_>) -> BTreeMap<String, String> {
        let mut tags = BTreeMap::new();
        let merged = self.merged;
        let written = [merged.root.get("tags"), stack.get("tags")];
        let mut place = None;
        for entry in written.into_iter().flatten().filter_map(Node::as_mapping).flatten() {
            place = Some(entry.key_span);
            if let Some(reserved) = ["aws:", "greenroom:"].into_iter().find(|reserved| entry.key.starts_with(reserved))
            {
                self.mistakes.push(Mistake::at(entry.key_span, &EnvironmentFault::ReservedTag(reserved)));
            }
            if let Some(value) = spanned(&entry.value) {
                let value = self.replaced(&value, words);
                tags.insert(entry.key.clone(), value);
            }
        }
        tags.extend(marks.tags(words));
        if let (Some(place), true) = (place, tags.len() > TAGS_MAX) {
            self.mistakes.push(Mistake::at(place, &EnvironmentFault::TooManyTags(tags.len())));
        }
        tags
    }

    fn deploy_settings(&mut self, words: &Words) -> DeploySettings {
        let Some(mut node) = self.root().get("deploy").cloned() else { return DeploySettings::default() };
        // A stack policy is a document of CloudFormation's: its `${…}` are not ours.
        let stack_policy = node.get("stack_policy").map(|policy| StackPolicy::read(policy, &mut self.mistakes));
        if let Content::Mapping(entries) = &mut node.content {
            entries.retain(|entry| entry.key != "stack_policy");
        }
        interpolate_node(&mut node, words, &mut self.mistakes);
        let text = |key: &str| node.get(key).and_then(Node::as_text).map(str::to_string);
        let texts = |key: &str| node.get(key).map(texts).unwrap_or_default();
        DeploySettings {
            service_role: text("service_role"),
            template_bucket: text("template_bucket"),
            package_bucket: text("package_bucket"),
            capabilities: texts("capabilities"),
            notify: texts("notify"),
            rollback_alarms: texts("rollback_alarms"),
            stack_policy,
        }
    }

    /// The environment's shared values with the stack's own laid over them.
    fn values(&mut self, stack: &Node, words: &Words) -> Vec<Value> {
        let shared = self.root().get("values").filter(|node| node.as_mapping().is_some()).cloned();
        let own = stack.get("values").filter(|node| node.as_mapping().is_some());
        let mut all = shared.unwrap_or_else(|| Node::empty_mapping(stack.span));
        if let Some(own) = own {
            overlay_values(&mut all, own);
        }
        interpolate_node(&mut all, words, &mut self.mistakes);
        let Content::Mapping(entries) = all.content else { return Vec::new() };
        let is_own = |input: &str| own.is_some_and(|own| own.entry(input).is_some());
        let value = |entry: crate::environment::Entry| Value {
            is_shared: !is_own(&entry.key),
            input: entry.key,
            input_span: entry.key_span,
            node: entry.value,
        };
        entries.into_iter().map(value).collect()
    }

    fn exceptions(&mut self, path: &[&str]) -> Vec<Exception> {
        let merged = self.merged;
        let items = merged.root.at(path.iter().copied()).and_then(Node::as_sequence).unwrap_or_default();
        items.iter().filter(|item| item.as_mapping().is_some()).filter_map(|item| self.exception(item)).collect()
    }

    fn exception(&mut self, item: &Node) -> Option<Exception> {
        let path = self.part(item, "path");
        let because = self.part(item, "because");
        let until = self.part(item, "until");
        let until = until?;
        let date = parse_date(&until.value)?;
        Some(Exception { path: path?, because: because?.value, until: Spanned { value: date, span: until.span } })
    }

    /// A key that an entry of a list must have.
    fn part(&mut self, item: &Node, key: &'static str) -> Option<Spanned<String>> {
        if item.get(key).is_none() {
            self.mistakes.push(Mistake::at(item.span, &EnvironmentFault::MissingPart(key)));
        }
        item.get(key).and_then(spanned)
    }

    fn clone_policy(&self) -> Option<ClonePolicy> {
        let node = self.root().get("clone_policy")?;
        let max_lifetime = node.get("max_lifetime").and_then(duration).map(|duration| duration.value);
        Some(ClonePolicy { targets: node.get("targets").map(texts).unwrap_or_default(), max_lifetime })
    }

    fn clone_settings(&mut self) -> Option<CloneSettings> {
        let merged = self.merged;
        let node = merged.root.get("clone").filter(|node| node.as_mapping().is_some())?;
        let from = self.part(node, "from")?;
        let snapshot = node.get("snapshot").map_or(SnapshotChoice::Newest { within: None }, snapshot_choice);
        let quiesce = node.get("quiesce").and_then(Node::as_mapping).unwrap_or_default();
        let quiesce =
            quiesce.iter().filter_map(|entry| Some((entry.key.clone(), entry.value.as_text()?.to_string()))).collect();
        let list = |key: &str| node.get(key).map(texts).unwrap_or_default();
        let max_cost = node.get("max_cost").and_then(Node::as_text).and_then(|text| text.parse().ok());
        let key = node.get("key").and_then(Node::as_text).map(str::to_owned);
        Some(CloneSettings { from, snapshot, quiesce, share: list("share"), reach: list("reach"), max_cost, key })
    }
}

/// The tags by which greenroom knows what is its own. Only what never changes: a changed tag is a change of every resource.
struct Marks<'a> {
    lifetime: Option<&'a str>,
}

impl Marks<'_> {
    fn tags(&self, words: &Words) -> impl Iterator<Item = (String, String)> {
        let lifetime = self.lifetime.map(|lifetime| ("lifetime", lifetime.to_string()));
        [("project", words.project.clone()), ("environment", words.environment.clone()), ("stack", words.stack.clone())]
            .into_iter()
            .chain(lifetime)
            .map(|(mark, value)| (format!("greenroom:{mark}"), value))
    }
}

/// Files are called after stacks, and `{output: ENVIRONMENT/STACK.OUTPUT}` splits at `/` and `.`.
fn is_stack(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn snapshot_choice(node: &Node) -> SnapshotChoice {
    match node.as_text() {
        Some("newest") => SnapshotChoice::Newest { within: None },
        Some("fresh") => SnapshotChoice::Fresh,
        Some(id) => SnapshotChoice::Id(id.to_string()),
        None => SnapshotChoice::Newest {
            within: node.get("newest_within").and_then(duration).map(|duration| duration.value),
        },
    }
}

fn spanned(node: &Node) -> Option<Spanned<String>> {
    node.as_text().map(|text| Spanned { value: text.to_string(), span: node.span })
}

fn texts(node: &Node) -> Vec<String> {
    node.as_sequence().unwrap_or_default().iter().filter_map(Node::as_text).map(str::to_string).collect()
}

fn duration(node: &Node) -> Option<Spanned<Duration>> {
    let value = parse_duration(node.as_text()?)?;
    Some(Spanned { value, span: node.span })
}

/// Whether the name of a stack tells one `scratch@NAME` from the other.
pub fn mentions_instance(environment: &Environment, stack: &Stack) -> bool {
    let document = &environment.document;
    let own = document.at(["stacks", &stack.name, "stack_name"]);
    let pattern = own.or_else(|| document.get("stack_name")).and_then(Node::as_text).unwrap_or(STACK_NAME_PATTERN);
    let sign = Words { environment: "\u{1}".into(), ..Words::default() };
    interpolate(pattern, &sign).is_ok_and(|name| name.contains(&sign.environment))
}
