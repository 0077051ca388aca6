//! Templates: Tera in; rendered template, parameters and tags out. Pure, and offline.
//!
//! The way of a value: [`mod@arguments`] types it and holds it against the schema of [`inputs`]; [`engine`] renders it, guarded by
//! [`quoting`] so that it can never become syntax; [`document`] makes of the text the JSON that CloudFormation is given; [`rules`]
//! says what is wrong with it; [`trace`] finds the template's line for whatever is said.

pub mod arguments;
pub mod compare;
pub mod document;
pub mod engine;
pub mod inputs;
pub mod landing;
pub mod plain;
pub mod quoting;
pub mod resource_types;
pub mod rules;
pub mod secrets;
pub mod sentences;
pub mod tags;
pub mod trace;
pub mod typing;
pub mod wiring;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value as Json;
use tera::Context;

use crate::environment::interpolate::WORDS;
use crate::environment::project::listing;
use crate::environment::source::{Unreadable, read_file, shown};
use crate::environment::{
    Environment, Mistake, Node, Project, Reference, SourceId, Sources, Span, Stack, did_you_mean, yaml,
};
use arguments::{Argument, Given, arguments, known_values};
use document::Document;
use engine::{Engine, Text, unknown_variable};
use inputs::{Inputs, InputsFault};
use quoting::{readable, unguard_node};
use resource_types::ResourceTypes;
use rules::TemplateFault;
use trace::Trace;

/// The folder of templates.
pub const TEMPLATES: &str = "templates";

const STACK_FILE: &str = "stack.yaml";
const INPUTS_FILE: &str = "inputs.yaml";

/// What makes a given parameter true in a template's `{% if %}`, and gives away where it is printed.
const PARAMETER_SIGN: char = '\u{E120}';

/// A template of the project.
pub struct Template {
    /// The name of its folder.
    pub name: String,
    /// Where `inputs.yaml` is, for messages.
    pub inputs_path: String,
    /// What it asks for.
    pub inputs: Inputs,
    /// What is wrong with it by itself.
    pub mistakes: Vec<Mistake>,
    form: Form,
}

/// The two forms of templates.
enum Form {
    /// Rendered by Tera.
    Tera,
    /// CloudFormation as it is.
    Plain { source: SourceId, document: Option<Document> },
}

/// The templates that were asked for, and the parts they share.
pub struct Templates {
    all: BTreeMap<String, Template>,
    /// The names of all templates of the project.
    names: Vec<String>,
    engine: Engine,
    root: PathBuf,
    elsewhere: OnceLock<BTreeSet<String>>,
}

/// What can be wrong with the folder of templates.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum TemplatesFault {
    /// A stack names a template that is not there.
    #[error("there is no template `{0}`")]
    UnknownTemplate(String),
    /// A file that cannot be read.
    #[error("`{path}` {because}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        because: Unreadable,
    },
    /// An empty `stack.yaml` or `inputs.yaml`.
    #[error("`{0}` is empty")]
    Empty(String),
}

/// A stack's template, filled in.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The stack's name in its environment.
    pub stack: String,
    /// As people and other tools should read it: YAML.
    pub yaml: String,
    /// As CloudFormation is given it.
    pub document: Document,
    /// What the template's parameters are given, in the template's order.
    pub parameters: Vec<Parameter>,
}

/// A CloudFormation parameter and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the template.
    pub name: String,
    /// What it is given.
    pub value: ParameterValue,
}

/// What a parameter is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterValue {
    /// Text; lists are joined by commas.
    Text(String),
    /// Something known at deployment.
    Reference(Reference),
}

impl Templates {
    /// Begins, on another core, what every template needs and no file decides. Nothing waits for it that does not need it.
    pub fn prepare() {
        // Without the thread it is done where it is first needed.
        let _ = std::thread::Builder::new().spawn(|| {
            inputs::prepare();
            ResourceTypes::shipped();
        });
    }

    /// Reads templates: those of `wanted` that exist, and the parts that any of them may include.
    pub fn load(project: &mut Project, wanted: &BTreeSet<String>) -> Self {
        let root = project.root.join(TEMPLATES);
        let folders = folders(&root);
        let names: Vec<String> =
            folders.iter().filter(|folder| folder.is_template).map(|folder| folder.name.clone()).collect();
        let mut loader = Loader { project, texts: Vec::new(), mistakes: Vec::new() };
        let mut all: BTreeMap<String, Template> = BTreeMap::new();
        for name in names.iter().filter(|name| wanted.contains(*name)) {
            all.insert(name.clone(), loader.template(&root, name));
        }
        if !loader.texts.is_empty() {
            loader.parts(&root, &folders);
        }
        let Loader { texts, mistakes: mut of_parts, .. } = loader;
        let (engine, mistakes) = Engine::new(texts, &project.sources);
        of_parts.extend(mistakes);
        let mistakes = of_parts;
        let mut templates = Self { all, names, engine, root, elsewhere: OnceLock::new() };
        templates.blame(mistakes, &project.sources);
        templates.check_variables(&project.sources);
        templates
    }

    /// Reads every template of the project.
    pub fn load_all(project: &mut Project) -> Self {
        let folders = folders(&project.root.join(TEMPLATES));
        let templates = folders.into_iter().filter(|folder| folder.is_template);
        Self::load(project, &templates.map(|folder| folder.name).collect())
    }

    /// The templates that were loaded, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.all.values()
    }

    /// The names of all templates of the project, loaded or not.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The template of a stack.
    ///
    /// # Errors
    /// When there is none of that name; with the nearest one.
    pub fn of(&self, stack: &Stack) -> Result<&Template, Box<Mistake>> {
        self.get(&stack.template.value).ok_or_else(|| {
            let name = &stack.template.value;
            let mistake = Mistake::at(stack.template.span, &TemplatesFault::UnknownTemplate(name.clone()));
            let near = did_you_mean(name, self.names.iter().map(String::as_str));
            let hint = near.unwrap_or_else(|| format!("a template is a folder {TEMPLATES}/{name} with a {STACK_FILE}"));
            Box::new(mistake.hint(hint))
        })
    }

    /// The template of that name.
    pub fn get(&self, name: &str) -> Option<&Template> {
        self.all.get(name)
    }

    /// A mistake in a shared part belongs to every template: any of them may include it.
    fn blame(&mut self, mistakes: Vec<Mistake>, sources: &Sources) {
        for mistake in mistakes {
            let path = mistake.span.map(|span| sources.get(span.source).path.clone()).unwrap_or_default();
            let owner = self
                .all
                .values()
                .map(|template| template.name.clone())
                .find(|name| path.starts_with(&format!("{TEMPLATES}/{name}/")));
            match owner.and_then(|name| self.all.get_mut(&name)) {
                Some(template) => template.mistakes.push(mistake),
                None => {
                    for template in self.all.values_mut().filter(|template| matches!(template.form, Form::Tera)) {
                        template.mistakes.push(mistake.clone());
                    }
                }
            }
        }
    }

    /// `{% if typo %}` would be false in silence.
    fn check_variables(&mut self, sources: &Sources) {
        let is_judged = |template: &&mut Template| matches!(template.form, Form::Tera) && !template.inputs.is_unknown();
        for template in self.all.values_mut().filter(is_judged) {
            let inputs = &template.inputs;
            let declared = |name: &str| inputs.get(name).is_some() || WORDS.contains(&name);
            let unknown = self.engine.unknown_variables(&text_name(&template.name), &declared, sources);
            let known = || inputs.all.iter().map(|input| input.name.as_str()).chain(WORDS);
            let mistakes: Vec<Mistake> = unknown
                .into_iter()
                .map(|(variable, span)| unknown_variable(&variable, span, known(), &template.inputs_path))
                .collect();
            template.mistakes.extend(mistakes);
        }
    }

    /// Whether any template of the project declares an input, loaded or not.
    pub fn is_declared(&self, input: &str) -> bool {
        let is_in =
            |template: &Template| template.inputs.get(input).is_some() || template.inputs.renamed(input).is_some();
        self.all.values().any(is_in) || self.elsewhere.get_or_init(|| self.declared_elsewhere()).contains(input)
    }

    fn declared_elsewhere(&self) -> BTreeSet<String> {
        let unloaded = self.names.iter().filter(|name| !self.all.contains_key(*name));
        unloaded.flat_map(|name| declared_in(&self.root.join(name))).collect()
    }

    /// Fills in a stack's template.
    ///
    /// # Errors
    /// All that is wrong with the stack's values, or what kept the template from being rendered.
    pub fn render(
        &self,
        environment: &Environment,
        stack: &Stack,
        sources: &Sources,
    ) -> Result<Rendered, Vec<Mistake>> {
        let template = self.of(stack).map_err(|mistake| vec![*mistake])?;
        let mut mistakes = template.mistakes.clone();
        let arguments = arguments(environment, stack, template, &|input| self.is_declared(input), &mut mistakes);
        if mistakes.iter().any(|mistake| mistake.severity == crate::environment::Severity::Error) {
            return Err(mistakes);
        }
        self.render_with(template, stack, &arguments, sources)
    }

    /// Fills in a template with arguments that are known to be right.
    ///
    /// # Errors
    /// What kept it from being rendered.
    pub fn render_with(
        &self,
        template: &Template,
        stack: &Stack,
        arguments: &[Argument],
        sources: &Sources,
    ) -> Result<Rendered, Vec<Mistake>> {
        match &template.form {
            Form::Plain { source, document } => {
                let Some(document) = document.clone() else { return Err(template.mistakes.clone()) };
                let parameters = parameters(&document, template, arguments);
                let yaml = sources.get(*source).text.clone();
                Ok(Rendered { stack: stack.name.clone(), yaml, document, parameters })
            }
            Form::Tera => self.render_tera(template, stack, arguments, sources),
        }
    }

    fn render_tera(
        &self,
        template: &Template,
        stack: &Stack,
        arguments: &[Argument],
        sources: &Sources,
    ) -> Result<Rendered, Vec<Mistake>> {
        let name = text_name(&template.name);
        let context = context(template, stack, arguments);
        let guarded = self
            .engine
            .render(&name, &context, sources)
            .map_err(|mistake| vec![explained(*mistake, template, stack)])?;
        let traced = |mistakes: Vec<Mistake>| self.traced(mistakes, &name, &context, &guarded, sources);
        let printed = printed_parameters(&guarded, template);
        if !printed.is_empty() {
            return Err(traced(printed));
        }
        let reading = yaml::read(SourceId::RENDERED, &guarded);
        let mut root = match reading.root {
            Some(root) if reading.mistakes.is_empty() && !root.is_null() => root,
            Some(_) | None if !reading.mistakes.is_empty() => return Err(traced(reading.mistakes)),
            Some(_) | None => return Err(vec![Mistake::new(&TemplatesFault::Empty(format!("{TEMPLATES}/{name}")))]),
        };
        unguard_node(&mut root);
        let document = Document::new(root);
        let yaml = readable(&guarded, &document.root, &|span| document.is_text(span));
        let parameters = parameters(&document, template, arguments);
        Ok(Rendered { stack: stack.name.clone(), yaml, document, parameters })
    }

    /// Everything that is wrong with a rendered template, each mistake at the template's own line.
    pub fn check(&self, rendered: &Rendered, stack: &Stack, arguments: &[Argument], sources: &Sources) -> Vec<Mistake> {
        let Some(template) = self.get(&stack.template.value) else { return Vec::new() };
        let mut mistakes = rules::check(&rendered.document);
        mistakes.extend(check_parameters(rendered, template, stack));
        mistakes.extend(check_deployment(rendered, stack));
        mistakes.extend(warnings(template, stack, arguments));
        let is_rendered = |mistake: &Mistake| mistake.span.is_some_and(|span| span.source == SourceId::RENDERED);
        if !mistakes.iter().any(is_rendered) {
            return mistakes;
        }
        match &template.form {
            // The tree of a plain template has its places in its own file.
            Form::Plain { .. } => mistakes,
            Form::Tera => {
                let name = text_name(&template.name);
                let context = context(template, stack, arguments);
                let guarded = self.engine.render(&name, &context, sources).unwrap_or_default();
                self.traced(mistakes, &name, &context, &guarded, sources)
            }
        }
    }

    /// Where a resource of a stack's rendering begins in its template, where that can be told.
    pub fn resource_span(
        &self,
        environment: &Environment,
        stack: &Stack,
        resource: &str,
        sources: &Sources,
    ) -> Option<Span> {
        self.property_span(environment, stack, &[resource], sources)
    }

    /// Where a part of a resource of a stack's rendering begins in its template, where that can be told: the resource's name, then
    /// what lies in it. Of what is not there, that which is nearest.
    pub fn property_span(
        &self,
        environment: &Environment,
        stack: &Stack,
        path: &[&str],
        sources: &Sources,
    ) -> Option<Span> {
        let template = self.get(&stack.template.value)?;
        let arguments = self.arguments(environment, stack)?;
        let rendered = self.render_with(template, stack, &arguments, sources).ok()?;
        let (resource, rest) = path.split_first()?;
        let resource = rendered.document.section("Resources").iter().find(|entry| entry.key == *resource)?;
        let span = nearest_span(resource, rest);
        match &template.form {
            Form::Plain { .. } => Some(span),
            Form::Tera => {
                let (name, context) = (text_name(&template.name), context(template, stack, &arguments));
                let guarded = self.engine.render(&name, &context, sources).ok()?;
                Trace::new(&self.engine, &name, &context, &guarded, sources).span(span, &guarded, sources)
            }
        }
    }

    /// Mistakes in a rendered text, moved to the template's lines.
    fn traced(
        &self,
        mistakes: Vec<Mistake>,
        name: &str,
        context: &Context,
        guarded: &str,
        sources: &Sources,
    ) -> Vec<Mistake> {
        let trace = Trace::new(&self.engine, name, context, guarded, sources);
        mistakes.into_iter().map(|mistake| trace.mistake(mistake, guarded, sources)).collect()
    }

    /// The arguments of a stack, where they are right.
    pub fn arguments(&self, environment: &Environment, stack: &Stack) -> Option<Vec<Argument>> {
        let template = self.get(&stack.template.value)?;
        let mut mistakes = Vec::new();
        let arguments = arguments(environment, stack, template, &|_| true, &mut mistakes);
        mistakes.is_empty().then_some(arguments)
    }
}

/// The key or the entry of a list that a path leads to, or comes nearest to.
fn nearest_span(entry: &crate::environment::Entry, path: &[&str]) -> Span {
    let (mut node, mut span) = (&entry.value, entry.key_span);
    for part in path {
        match (node.entry(part), node.at([*part])) {
            (Some(entry), _) => (node, span) = (&entry.value, entry.key_span),
            (None, Some(item)) => (node, span) = (item, item.span),
            (None, None) => break,
        }
    }
    span
}

fn text_name(template: &str) -> String {
    format!("{template}/{STACK_FILE}")
}

/// What the template sees: values that are known, the five words, and of parameters only whether they are given.
fn context(template: &Template, stack: &Stack, arguments: &[Argument]) -> Context {
    let mut context = Context::new();
    for word in WORDS {
        context.insert(word, stack.words.get(word).unwrap_or_default());
    }
    let known = known_values(arguments);
    for argument in arguments {
        let is_parameter = template.inputs.get(&argument.input).is_some_and(|input| input.parameter.is_some());
        match known.get(&argument.input) {
            Some(value) if !is_parameter => context.insert(argument.input.clone(), value),
            Some(value) if is_empty(value) => {}
            Some(_) | None => {
                context.insert(argument.input.clone(), &format!("{PARAMETER_SIGN}{}{PARAMETER_SIGN}", argument.input));
            }
        }
    }
    context
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        Json::Bool(true) | Json::Number(_) => false,
    }
}

/// `{{ vpc_id }}`, where the template must say `!Ref VpcId`.
fn printed_parameters(guarded: &str, template: &Template) -> Vec<Mistake> {
    let mut signs = guarded.match_indices(PARAMETER_SIGN).map(|(index, _)| index);
    let mut mistakes = Vec::new();
    while let (Some(start), Some(end)) = (signs.next(), signs.next()) {
        let input = &guarded[start + PARAMETER_SIGN.len_utf8()..end];
        let span = Span { source: SourceId::RENDERED, start, end };
        let parameter = template.inputs.get(input).and_then(|input| input.parameter.clone()).unwrap_or_default();
        let hint = format!("write `!Ref {parameter}`; a template may only test whether it is given");
        mistakes.push(Mistake::at(span, &TemplateFault::ParameterPrinted(input.to_string())).hint(hint));
    }
    mistakes
}

/// Adds to an undefined variable what the template's reader wants to know.
fn explained(mistake: Mistake, template: &Template, stack: &Stack) -> Mistake {
    let note = format!("while rendering `{}` of {}", stack.name, stack.words.environment);
    let name =
        mistake.message.strip_prefix('`').and_then(|text| text.split_once('`')).map(|(name, _)| name.to_string());
    let hint = name.and_then(|name| {
        template
            .inputs
            .get(&name)
            .map(|_| format!("`{name}` may be left out: write `{{% if {name} %}}` around it, or give it a default"))
    });
    mistake.maybe_hint(hint).note(note)
}

/// What the parameters that this rendering declares are given. Others are not sent: CloudFormation would refuse them.
fn parameters(document: &Document, template: &Template, arguments: &[Argument]) -> Vec<Parameter> {
    let given = |name: &str| {
        let input = template.inputs.all.iter().find(|input| input.parameter.as_deref() == Some(name))?;
        arguments.iter().find(|argument| argument.input == input.name)
    };
    let parameter = |name: &str| {
        let value = match &given(name)?.given {
            Given::Value(value) => ParameterValue::Text(parameter_text(value)),
            Given::Reference(reference) => ParameterValue::Reference(reference.clone()),
        };
        Some(Parameter { name: name.to_string(), value })
    };
    document.section("Parameters").iter().filter_map(|entry| parameter(&entry.key)).collect()
}

/// A value as CloudFormation takes it: lists are joined by commas.
fn parameter_text(value: &Json) -> String {
    match value {
        Json::Array(items) => items.iter().map(parameter_text).collect::<Vec<_>>().join(","),
        other => inputs::plain(other),
    }
}

fn check_parameters(rendered: &Rendered, template: &Template, stack: &Stack) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for entry in rendered.document.section("Parameters") {
        let given = rendered.parameters.iter().find(|parameter| parameter.name == entry.key);
        if given.is_none() && entry.value.get("Default").is_none() {
            let mistake = Mistake::at(entry.key_span, &TemplateFault::ParameterNotGiven(entry.key.clone()));
            let known = template.inputs.all.iter().find(|input| input.parameter.as_ref() == Some(&entry.key));
            mistakes.push(match known {
                Some(input) => mistake.hint(format!(
                    "give `{}` a value, or declare the parameter only `{{% if {} %}}`",
                    input.name, input.name
                )),
                None => mistake
                    .hint(format!("give an input of {} the line `x-parameter: {}`", template.inputs_path, entry.key)),
            });
        }
        if let Some(Parameter { value: ParameterValue::Text(text), .. }) = given
            && text.len() > rules::limits::PARAMETER_BYTES_MAX
        {
            mistakes.push(Mistake::at(stack.span, &TemplateFault::ParameterTooLong(entry.key.clone(), text.len())));
        }
    }
    mistakes
}

/// What the template's author wants to be said about these values.
fn warnings(template: &Template, stack: &Stack, arguments: &[Argument]) -> Vec<Mistake> {
    let context = context(template, stack, arguments);
    let judged = template.inputs.warnings.iter().filter_map(|warning| {
        let text = format!("{{% if {} %}}{}{{% endif %}}", warning.condition, warning.about);
        match Engine::say(&text, &context) {
            Ok(said) if said.is_empty() => None,
            Ok(said) => {
                let argument = arguments.iter().find(|argument| argument.input == warning.at);
                let span = argument.map_or(stack.span, |argument| argument.node.span);
                Some(
                    Mistake::at(span, &InputsFault::Warned(said))
                        .related(warning.span, "the template's rule")
                        .warning(),
                )
            }
            Err(error) => Some(Mistake::at(warning.span, &InputsFault::CannotWarn(error))),
        }
    });
    judged.collect()
}

/// What stands in the way of a deployment and can be known now.
fn check_deployment(rendered: &Rendered, stack: &Stack) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let bytes = rendered.document.body().len();
    if bytes > rules::limits::TEMPLATE_BODY_BYTES_MAX && stack.deploy.template_bucket.is_none() {
        let fault = TemplateFault::NeedsBucket { stack: stack.name.clone(), bytes };
        mistakes.push(Mistake::at(stack.span, &fault).hint("name a bucket for it: `deploy.template_bucket`"));
    }
    for capability in rules::capabilities(&rendered.document) {
        if rules::allows(&stack.deploy.capabilities, capability) {
            continue;
        }
        let fault = TemplateFault::CapabilityMissing { stack: stack.name.clone(), capability };
        mistakes.push(Mistake::at(stack.span, &fault).hint(format!("allow it: `deploy.capabilities: [{capability}]`")));
    }
    mistakes
}

/// A folder of `templates/`.
struct Folder {
    name: String,
    path: PathBuf,
    is_template: bool,
}

fn folders(root: &Path) -> Vec<Folder> {
    let paths = listing(root).unwrap_or_default();
    let folder = |path: PathBuf| Folder {
        name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        is_template: path.join(STACK_FILE).exists(),
        path,
    };
    paths.into_iter().filter(|path| path.is_dir()).map(folder).collect()
}

/// The inputs of a template that is not loaded: only their names.
fn declared_in(folder: &Path) -> Vec<String> {
    let names = |file: &str, section: &str| {
        let text = std::fs::read_to_string(folder.join(file)).ok()?;
        let root = yaml::read(SourceId::RENDERED, &text).root?;
        Some(root.get(section)?.as_mapping()?.iter().map(|entry| entry.key.clone()).collect())
    };
    names(INPUTS_FILE, "properties").or_else(|| names(STACK_FILE, "Parameters")).unwrap_or_default()
}

struct Loader<'a> {
    project: &'a mut Project,
    texts: Vec<Text>,
    /// What is wrong with parts.
    mistakes: Vec<Mistake>,
}

impl Loader<'_> {
    fn read(&mut self, path: &Path, mistakes: &mut Vec<Mistake>) -> Option<(SourceId, String)> {
        let path_shown = shown(&self.project.root, path);
        match read_file(&self.project.root, path) {
            Ok(text) => {
                let source = self.project.sources.add(path_shown, text.clone());
                if let Some((index, character)) =
                    text.char_indices().find(|(_, character)| quoting::is_reserved(*character))
                {
                    let span = Span { source, start: index, end: index + character.len_utf8() };
                    mistakes.push(Mistake::at(span, &arguments::ArgumentFault::PrivateUse(character.into())));
                }
                Some((source, text))
            }
            Err(because) => {
                mistakes.push(Mistake::new(&TemplatesFault::Unreadable { path: path_shown, because }));
                None
            }
        }
    }

    fn template(&mut self, root: &Path, name: &str) -> Template {
        let folder = root.join(name);
        let mut mistakes = Vec::new();
        let stack_text = self.read(&folder.join(STACK_FILE), &mut mistakes);
        let inputs_file = folder.join(INPUTS_FILE);
        let is_plain = !inputs_file.exists();
        let (inputs, form) = if is_plain {
            self.plain(stack_text, &mut mistakes)
        } else {
            if let Some((source, _)) = stack_text {
                self.texts.push(Text { name: text_name(name), source });
            }
            (self.inputs(&inputs_file, &mut mistakes), Form::Tera)
        };
        let inputs_path = format!("{TEMPLATES}/{name}/{}", if is_plain { STACK_FILE } else { INPUTS_FILE });
        Template { name: name.to_string(), inputs_path, inputs, mistakes, form }
    }

    fn inputs(&mut self, path: &Path, mistakes: &mut Vec<Mistake>) -> Inputs {
        let Some((source, text)) = self.read(path, mistakes) else { return Inputs::none() };
        let reading = yaml::read(source, &text);
        if reading.root.is_none() && reading.mistakes.is_empty() {
            let path = self.project.sources.get(source).path.clone();
            let mistake = Mistake::at(Span::beginning(source), &TemplatesFault::Empty(path));
            mistakes.push(mistake.hint("a template that asks for nothing says `properties: {}`"));
        }
        mistakes.extend(reading.mistakes);
        match reading.root {
            Some(root) => inputs::read(&root, mistakes),
            None => Inputs::none(),
        }
    }

    fn plain(&mut self, text: Option<(SourceId, String)>, mistakes: &mut Vec<Mistake>) -> (Inputs, Form) {
        let Some((source, text)) = text else {
            let inputs = plain::inputs(&Node::text("", Span::beginning(SourceId::RENDERED)));
            return (inputs, Form::Plain { source: SourceId::RENDERED, document: None });
        };
        let reading = yaml::read(source, &text);
        let is_empty = reading.root.as_ref().is_none_or(Node::is_null);
        if is_empty && reading.mistakes.is_empty() {
            let path = self.project.sources.get(source).path.clone();
            mistakes.push(Mistake::at(Span::beginning(source), &TemplatesFault::Empty(path)));
        }
        mistakes.extend(reading.mistakes);
        let root = reading.root.filter(|root| !root.is_null());
        let inputs = plain::inputs(root.as_ref().unwrap_or(&Node::text("", Span::beginning(source))));
        (inputs, Form::Plain { source, document: root.map(Document::new) })
    }

    /// Everything else below `templates/` that is text may be included.
    fn parts(&mut self, root: &Path, folders: &[Folder]) {
        for folder in folders {
            let is_loaded = self.texts.iter().any(|text| text.name == text_name(&folder.name));
            if folder.is_template && !is_loaded {
                continue;
            }
            let mut mistakes = Vec::new();
            for path in files_below(&folder.path, 0) {
                let name = shown(root, &path);
                let is_own = folder.is_template
                    && (name == text_name(&folder.name) || name.ends_with(&format!("/{INPUTS_FILE}")));
                if is_own {
                    continue;
                }
                // What cannot be read cannot be included; who includes it is told.
                if let Some((source, _)) = self.read(&path, &mut mistakes) {
                    self.texts.push(Text { name, source });
                }
            }
            self.mistakes.extend(mistakes.into_iter().filter(|mistake| mistake.span.is_some()));
        }
    }
}

/// How deep parts may lie below their folder; a link that leads back up would never end.
const PARTS_DEPTH_MAX: usize = 4;

fn files_below(directory: &Path, depth: usize) -> Vec<PathBuf> {
    if depth > PARTS_DEPTH_MAX {
        return Vec::new();
    }
    let paths = listing(directory).unwrap_or_default();
    paths.into_iter().flat_map(|path| if path.is_dir() { files_below(&path, depth + 1) } else { vec![path] }).collect()
}
