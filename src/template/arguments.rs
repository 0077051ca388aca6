//! What a stack gives to its template: every input with its value or reference, defaults included, checked against the schema,
//! each mistake at the place where the value was written, in whichever layer.

use serde_json::{Map, Value as Json};

use crate::environment::layers::overlay_values;
use crate::environment::reference::{self, Reference};
use crate::environment::shape::{MERGE_KEY, NO_MERGE_KEYS};
use crate::environment::{Content, Environment, Mistake, Node, Span, Stack, Value, did_you_mean};
use crate::template::Template;
use crate::template::inputs::Input;
use crate::template::sentences::{Sentence, sentences};
use crate::template::typing::Typing;

/// What an input is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A value, known now.
    Value(Json),
    /// Something that is known at deployment.
    Reference(Reference),
}

/// One input and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The input's name.
    pub input: String,
    /// Its value or reference.
    pub given: Given,
    /// Where it is written, piece by piece.
    pub node: Node,
    /// Whether only the template says it.
    pub is_default: bool,
}

/// What can be wrong with the values of a stack.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ArgumentFault {
    /// A value for an input that the template does not declare.
    #[error("the template `{template}` has no input `{input}`")]
    UnknownInput {
        /// The template.
        template: String,
        /// The input.
        input: String,
    },
    /// A shared value that no template declares.
    #[error("no template has an input `{0}`")]
    UnknownSharedInput(String),
    /// An input that must be given and is not.
    #[error("`{stack}` lacks the input `{input}`")]
    MissingInput {
        /// The stack.
        stack: String,
        /// The input.
        input: String,
    },
    /// An output, where the template needs to know the value.
    #[error("{reference} is known only at deployment, but `{input}` shapes the template")]
    ShapeByReference {
        /// The reference as it was written.
        reference: String,
        /// The input.
        input: String,
    },
    /// A reference to a secret in a CloudFormation parameter is fine; an output deep inside a value is not.
    #[error("{0} is known only at deployment and cannot stand inside a value")]
    NestedReference(String),
    /// A password in the file.
    #[error("`{0}` is a secret and must not be written here")]
    SecretInClear(String),
    /// What the schema says.
    #[error("{0}")]
    Schema(String),
    /// A private-use character that rendering needs for itself.
    #[error("this text holds a private-use character, U+{0:04X}, that rendering needs for itself")]
    PrivateUse(u32),
}

/// What a stack gives to its template, in the order of the inputs. What is wrong is added to `mistakes`.
pub fn arguments(
    environment: &Environment,
    stack: &Stack,
    template: &Template,
    is_known_elsewhere: &dyn Fn(&str) -> bool,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Argument> {
    let inputs = &template.inputs;
    for value in &stack.values {
        check_known(value, template, is_known_elsewhere, mistakes);
    }
    let mut judge = Judge { environment, stack, template, mistakes };
    let arguments: Vec<Argument> = inputs.all.iter().filter_map(|input| judge.argument(input)).collect();
    judge.validate(&arguments);
    arguments
}

fn check_known(
    value: &Value,
    template: &Template,
    is_known_elsewhere: &dyn Fn(&str) -> bool,
    mistakes: &mut Vec<Mistake>,
) {
    let inputs = &template.inputs;
    if inputs.is_unknown() || inputs.get(&value.input).is_some() || value.is_shared && is_known_elsewhere(&value.input)
    {
        return;
    }
    let fault = if value.is_shared {
        ArgumentFault::UnknownSharedInput(value.input.clone())
    } else {
        ArgumentFault::UnknownInput { template: template.name.clone(), input: value.input.clone() }
    };
    let hint = match inputs.renamed(&value.input) {
        None if value.input == MERGE_KEY => Some(NO_MERGE_KEYS.to_string()),
        Some(renamed) => Some(format!("it is called `{}` now", renamed.name)),
        None => did_you_mean(&value.input, inputs.all.iter().map(|input| input.name.as_str())),
    };
    let all = format!("`greenroom inputs {}` lists what may be set", template.name);
    mistakes.push(Mistake::at(value.input_span, &fault).hint(hint.unwrap_or(all)));
}

struct Judge<'a> {
    environment: &'a Environment,
    stack: &'a Stack,
    template: &'a Template,
    mistakes: &'a mut Vec<Mistake>,
}

impl Judge<'_> {
    fn argument(&mut self, input: &Input) -> Option<Argument> {
        let value = self.stack.value(&input.name);
        let (node, is_default) = match (value, &input.default) {
            (Some(value), Some(default)) => (laid_over(default, &value.node), false),
            (Some(value), None) => (value.node.clone(), false),
            (None, Some(default)) => (default.clone(), true),
            (None, None) => {
                if input.is_required {
                    self.missing(input);
                }
                return None;
            }
        };
        let given = self.given(input, &node, is_default)?;
        Some(Argument { input: input.name.clone(), given, node, is_default })
    }

    fn given(&mut self, input: &Input, node: &Node, is_default: bool) -> Option<Given> {
        match reference::parse(node) {
            Some(Ok(found)) if found.is_known_at_deployment() && input.parameter.is_none() => {
                let fault = ArgumentFault::ShapeByReference { reference: found.to_string(), input: input.name.clone() };
                let hint = "only inputs with `x-parameter` take what is known later; say the value itself";
                self.mistakes.push(Mistake::at(node.span, &fault).hint(hint));
                return None;
            }
            Some(Ok(found)) if found.is_known_at_deployment() => return Some(Given::Reference(found)),
            Some(Err(mistake)) => {
                self.mistakes.push(*mistake);
                return None;
            }
            Some(Ok(_)) | None => {}
        }
        self.check_nested(node);
        let inputs = &self.template.inputs;
        let schema = inputs.schema_of(&input.name);
        if input.is_secret && !is_default && !reference::is_reference(node) && !is_listed(node, schema) {
            let hint = format!("put it into Secrets Manager and write `{}: {{secret: NAME, key: KEY}}`", input.name);
            self.mistakes
                .push(Mistake::at(node.span, &ArgumentFault::SecretInClear(input.name.clone())).hint(hint).concealed());
            return None;
        }
        let mut json = Typing { root: &inputs.schema }.json(node, schema, self.mistakes);
        fill_defaults(&mut json, schema, Typing { root: &inputs.schema });
        Some(Given::Value(json))
    }

    fn check_nested(&mut self, node: &Node) {
        if let Content::Scalar(scalar) = &node.content
            && let Some(private) = scalar.text.chars().find(|character| super::quoting::is_reserved(*character))
        {
            self.mistakes.push(Mistake::at(node.span, &ArgumentFault::PrivateUse(private.into())));
        }
        let children: Vec<&Node> = match &node.content {
            Content::Scalar(_) => return,
            Content::Sequence(items) => items.iter().collect(),
            Content::Mapping(entries) => entries.iter().map(|entry| &entry.value).collect(),
        };
        for child in children {
            match reference::parse(child) {
                Some(Ok(found)) if found.is_known_at_deployment() => {
                    let hint = "make it an input of its own, with `x-parameter`";
                    self.mistakes
                        .push(Mistake::at(child.span, &ArgumentFault::NestedReference(found.to_string())).hint(hint));
                }
                Some(Ok(_)) => {}
                Some(Err(mistake)) => self.mistakes.push(*mistake),
                None => self.check_nested(child),
            }
        }
    }

    fn missing(&mut self, input: &Input) {
        let fault = ArgumentFault::MissingInput { stack: self.stack.name.clone(), input: input.name.clone() };
        let mistake = Mistake::at(self.stack.span, &fault).related(input.span, input.about.clone());
        let path = ["stacks", &self.stack.name, "values", &input.name];
        let withheld = self.environment.layers.iter().rev().find_map(|layer| {
            let found = layer.withheld.iter().find(|withheld| withheld.path.iter().map(String::as_str).eq(path))?;
            Some((layer, found))
        });
        self.mistakes.push(match withheld {
            Some((layer, withheld)) => {
                let own = self.environment.layers.last().map(|own| Span { end: own.root.span.start, ..own.root.span });
                let hint = format!(
                    "`{}` says it for itself: say `stacks.{}.values.{}` here",
                    layer.name, self.stack.name, input.name
                );
                Mistake { span: own.or(mistake.span), ..mistake }
                    .related(withheld.span, "a reference to a secret is not inherited from an environment")
                    .hint(hint)
            }
            None => mistake.hint(format!("say `{}:` under `stacks.{}.values`", input.name, self.stack.name)),
        });
    }

    fn validate(&mut self, arguments: &[Argument]) {
        let Some(validator) = &self.template.inputs.validator else { return };
        let instance = Json::Object(known_values(arguments));
        let errors: Vec<_> = validator.iter_errors(&instance).collect();
        for error in &errors {
            for sentence in sentences(error, &self.template.inputs.schema) {
                self.say(&sentence, arguments);
            }
        }
    }

    fn say(&mut self, sentence: &Sentence, arguments: &[Argument]) {
        let inputs = &self.template.inputs;
        let Some((first, rest)) = sentence.path.split_first() else {
            // `required` has its own message; what is left are rules over several inputs.
            let is_own = inputs
                .all
                .iter()
                .any(|input| input.is_required && sentence.text == format!("`{}` is missing", input.name));
            let is_given = arguments.iter().any(|argument| sentence.text == format!("`{}` is missing", argument.input));
            if !is_own && !is_given {
                self.mistakes.push(with_code(
                    Mistake::at(self.stack.span, &ArgumentFault::Schema(sentence.text.clone())),
                    sentence,
                ));
            }
            return;
        };
        let Some(argument) = arguments.iter().find(|argument| &argument.input == first) else { return };
        if reaches_reference(&argument.node, rest) {
            return;
        }
        let span = span_of(argument, rest, sentence);
        let place = rest.iter().fold(argument.input.clone(), |path, part| format!("{path}.{part}"));
        let mistake =
            Mistake::at(span, &ArgumentFault::Schema(format!("`{}.{place}`: {}", self.stack.name, sentence.text)));
        self.mistakes.push(with_code(mistake, sentence));
    }
}

fn with_code(mistake: Mistake, sentence: &Sentence) -> Mistake {
    Mistake { code: sentence.code, ..mistake.maybe_hint(sentence.hint.clone()) }
}

/// The template's default is the lowest layer of all.
fn laid_over(default: &Node, value: &Node) -> Node {
    let mut node = default.clone();
    overlay_values(&mut node, value);
    node
}

/// What is known now: the context of the template, and what the schema judges.
pub fn known_values(arguments: &[Argument]) -> Map<String, Json> {
    let known = arguments.iter().filter_map(|argument| match &argument.given {
        Given::Value(value) => Some((argument.input.clone(), value.clone())),
        Given::Reference(_) => None,
    });
    known.collect()
}

/// Whether the schema lists this very word: then it is no secret.
pub(super) fn is_listed(node: &Node, schema: &Json) -> bool {
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten().chain(schema.get("const"));
    listed.into_iter().any(|word| word.as_str() == node.as_text())
}

/// Defaults of keys inside maps, in lists too.
fn fill_defaults<'a>(value: &mut Json, schema: &'a Json, typing: Typing<'a>) {
    let schema = typing.resolve(schema);
    match value {
        Json::Array(items) => {
            for (position, item) in items.iter_mut().enumerate() {
                fill_defaults(item, typing.item(schema, position), typing);
            }
        }
        Json::Object(object) => {
            for (key, schema) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
                match object.get_mut(key) {
                    Some(value) => fill_defaults(value, schema, typing),
                    None => {
                        if let Some(default) = typing.resolve(schema).get("default") {
                            object.insert(key.clone(), default.clone());
                        }
                    }
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Whether the path ends at or below a reference, whose text is not known to the schema.
fn reaches_reference(node: &Node, path: &[String]) -> bool {
    let mut node = node;
    for part in path {
        if reference::is_reference(node) {
            return true;
        }
        let Some(next) = node.at([part.as_str()]) else { return false };
        node = next;
    }
    reference::is_reference(node)
}

fn span_of(argument: &Argument, path: &[String], sentence: &Sentence) -> Span {
    let mut node = &argument.node;
    for (position, part) in path.iter().enumerate() {
        let is_last = position + 1 == path.len();
        if is_last
            && sentence.is_about_key
            && let Some(entry) = node.entry(part)
        {
            return entry.key_span;
        }
        let Some(next) = node.at([part.as_str()]) else { break };
        node = next;
    }
    match (&sentence.misfit, &node.content) {
        (Some(misfit), Content::Scalar(scalar)) if scalar.text.len() == node.span.end - node.span.start => {
            Span { start: node.span.start + misfit.start, end: node.span.start + misfit.end, ..node.span }
        }
        _ => node.span,
    }
}
