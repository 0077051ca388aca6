//! Values that are not written in the environment but pointed at.
//!
//! Two kinds: what CloudFormation resolves by itself wherever text may stand (`{ssm: …}`, `{secret: …}`), and what is known only
//! at deployment (`{output: …}`, `{export: …}`, `{previous: true}`) and therefore only fits a CloudFormation parameter:
//! rendering stays offline.

use crate::environment::mistake::did_you_mean;
use crate::environment::{EnvironmentName, Mistake, Node, Style};

/// A value that stands somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An output of a stack, of this environment unless another is named.
    Output {
        /// The other environment.
        environment: Option<EnvironmentName>,
        /// The stack's name in its environment file.
        stack: String,
        /// The logical id of the output.
        output: String,
    },
    /// A CloudFormation export of the account and Region.
    Export {
        /// Its name.
        name: String,
    },
    /// What the deployed stack has: for the parameters of adopted stacks and for what is decided once.
    Previous,
    /// A parameter of the Systems Manager parameter store, as text.
    Ssm {
        /// Its name, often a path.
        path: String,
    },
    /// A secret of Secrets Manager.
    Secret {
        /// Its name or ARN.
        name: String,
        /// The key in its JSON document; without one, all of it.
        key: Option<String>,
    },
}

impl Reference {
    /// Whether it is known only once the stack is deployed.
    pub fn is_known_at_deployment(&self) -> bool {
        match self {
            Self::Output { .. } | Self::Export { .. } | Self::Previous => true,
            Self::Ssm { .. } | Self::Secret { .. } => false,
        }
    }

    /// The dynamic reference that CloudFormation resolves (User Guide, "Using dynamic references"), where there is one.
    pub fn dynamic(&self) -> Option<String> {
        match self {
            Self::Ssm { path } => Some(format!("{{{{resolve:ssm:{path}}}}}")),
            Self::Secret { name, key: Some(key) } => {
                Some(format!("{{{{resolve:secretsmanager:{name}:SecretString:{key}}}}}"))
            }
            Self::Secret { name, key: None } => Some(format!("{{{{resolve:secretsmanager:{name}}}}}")),
            Self::Output { .. } | Self::Export { .. } | Self::Previous => None,
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Output { environment: Some(environment), stack, output } => {
                write!(f, "{{output: {environment}/{stack}.{output}}}")
            }
            Self::Output { environment: None, stack, output } => write!(f, "{{output: {stack}.{output}}}"),
            Self::Export { name } => write!(f, "{{export: {name}}}"),
            Self::Previous => f.write_str("{previous: true}"),
            Self::Ssm { path } => write!(f, "{{ssm: {path}}}"),
            Self::Secret { name, key: Some(key) } => write!(f, "{{secret: {name}, key: {key}}}"),
            Self::Secret { name, key: None } => write!(f, "{{secret: {name}}}"),
        }
    }
}

/// What can be wrong with a reference.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ReferenceFault {
    /// `{output: x}` without a stack, and the like.
    #[error("this is not a reference to an output: `{0}`")]
    NotAnOutput(String),
    /// `{ssm: }`.
    #[error("a reference points at one thing, in text")]
    NotText,
    /// `{previous: false}`.
    #[error("`previous` is `true` or not there")]
    NotPrevious,
    /// A key beside the reference.
    #[error("unknown key `{0}` in a reference")]
    UnknownKey(String),
}

/// The keys that make a map a reference.
pub const KINDS: &[&str] = &["output", "export", "previous", "ssm", "secret"];

/// Whether a value is a reference: a map of one of the known kinds. References are replaced as a whole, never merged.
pub fn is_reference(node: &Node) -> bool {
    kind(node).is_some()
}

/// Whether it is a reference to a secret.
pub fn is_secret(node: &Node) -> bool {
    kind(node) == Some("secret")
}

/// A map is a reference if it has the key of one and at most `key` beside it, or a misspelt neighbour of a lone key.
fn kind(node: &Node) -> Option<&'static str> {
    let entries = node.as_mapping().filter(|entries| (1..=2).contains(&entries.len()))?;
    let found = KINDS.iter().copied().find(|kind| entries.iter().any(|entry| entry.key == *kind))?;
    Some(found)
}

/// Reads a reference; nothing if the value is none.
///
/// # Errors
/// When it is one, but not well formed.
pub fn parse(node: &Node) -> Option<Result<Reference, Box<Mistake>>> {
    kind(node).map(|kind| parse_kind(node, kind).map_err(Box::new))
}

fn parse_kind(node: &Node, kind: &'static str) -> Result<Reference, Mistake> {
    let known: &[&str] = if kind == "secret" { &["secret", "key"] } else { &[kind] };
    for entry in node.as_mapping().unwrap_or_default() {
        if !known.contains(&entry.key.as_str()) {
            let mistake = Mistake::at(entry.key_span, &ReferenceFault::UnknownKey(entry.key.clone()));
            let all = || format!("a reference to {} has {}", article(kind), known.join(" and "));
            return Err(mistake.hint(did_you_mean(&entry.key, known.iter().copied()).unwrap_or_else(all)));
        }
    }
    let value = node.get(kind).unwrap_or(node);
    let not_text = || Mistake::at(value.span, &ReferenceFault::NotText).hint(example(kind));
    let text = value.as_text().filter(|text| !text.is_empty()).ok_or_else(not_text)?.to_string();
    match kind {
        "output" => parse_output(value, &text),
        "export" => Ok(Reference::Export { name: text }),
        "ssm" => Ok(Reference::Ssm { path: text }),
        "secret" => {
            let key = match node.get("key") {
                None => None,
                Some(key) => {
                    Some(key.as_text().ok_or_else(|| Mistake::at(key.span, &ReferenceFault::NotText))?.to_string())
                }
            };
            Ok(Reference::Secret { name: text, key })
        }
        _ if text == "true" && is_plain(value) => Ok(Reference::Previous),
        _ => Err(Mistake::at(value.span, &ReferenceFault::NotPrevious).hint(example(kind))),
    }
}

fn parse_output(node: &Node, text: &str) -> Result<Reference, Mistake> {
    let fault = || Mistake::at(node.span, &ReferenceFault::NotAnOutput(text.to_string())).hint(example("output"));
    let (environment, rest) = match text.split_once('/') {
        Some((environment, rest)) => (Some(environment), rest),
        None => (None, text),
    };
    let (stack, output) =
        rest.split_once('.').filter(|(stack, output)| !stack.is_empty() && !output.is_empty()).ok_or_else(fault)?;
    let environment = match environment {
        Some(name) => Some(name.parse::<EnvironmentName>().map_err(|_| fault())?),
        None => None,
    };
    Ok(Reference::Output { environment, stack: stack.into(), output: output.into() })
}

fn is_plain(node: &Node) -> bool {
    matches!(&node.content, crate::environment::Content::Scalar(scalar) if scalar.style == Style::Plain)
}

fn article(kind: &str) -> &'static str {
    match kind {
        "output" => "an output",
        "export" => "an export",
        "ssm" => "a parameter of the parameter store",
        "secret" => "a secret",
        _ => "the deployed value",
    }
}

fn example(kind: &str) -> &'static str {
    match kind {
        "output" => "write `{output: STACK.OUTPUT}` or `{output: ENVIRONMENT/STACK.OUTPUT}`",
        "export" => "write `{export: NAME}`",
        "ssm" => "write `{ssm: /path/of/the/parameter}`",
        "secret" => "write `{secret: NAME, key: KEY}`",
        _ => "write `{previous: true}`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::yaml::parsed;

    #[test]
    fn references_read_as_they_are_written() {
        for text in [
            "{output: network.VpcId}",
            "{output: staging/elk.LogstashUrl}",
            "{output: scratch@jane/elk.LogstashUrl}",
            "{export: a:b}",
            "{previous: true}",
            "{ssm: /a/b}",
            "{secret: a, key: b}",
            "{secret: a}",
        ] {
            let reference = parse(&parsed(text)).expect("a reference").expect("a good one");
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn broken_references_are_told() {
        for (text, message) in [
            ("{output: VpcId}", "this is not a reference to an output: `VpcId`"),
            ("{output: [a]}", "a reference points at one thing, in text"),
            ("{secret: }", "a reference points at one thing, in text"),
            ("{previous: false}", "`previous` is `true` or not there"),
            ("{secret: a, kye: b}", "unknown key `kye` in a reference"),
            ("{ssm: a, key: b}", "unknown key `key` in a reference"),
        ] {
            let mistake = parse(&parsed(text)).expect("a reference").expect_err("a broken one");
            assert_eq!(mistake.message, message);
        }
    }

    #[test]
    fn maps_of_other_keys_are_values() {
        assert_eq!(parse(&parsed("{min: 1, max: 2}")), None);
        assert_eq!(parse(&parsed("{}")), None);
        assert_eq!(parse(&parsed("text")), None);
    }

    #[test]
    fn dynamic_references_are_what_cloudformation_resolves() {
        let secret = Reference::Secret { name: "db".into(), key: Some("password".into()) };
        assert_eq!(secret.dynamic().as_deref(), Some("{{resolve:secretsmanager:db:SecretString:password}}"));
        assert_eq!(Reference::Ssm { path: "/a".into() }.dynamic().as_deref(), Some("{{resolve:ssm:/a}}"));
    }
}
