//! The five words that text in an environment may hold, and never more: `${project} ${environment} ${stack} ${account} ${region}`.
//!
//! More would be a programming language. What needs logic belongs into a template.

use crate::environment::mistake::did_you_mean;
use crate::environment::{Content, Mistake, Node, Scalar};

/// What the words stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The project's name.
    pub project: String,
    /// The environment's name: `production`, `scratch-jane`.
    pub environment: String,
    /// The stack's name.
    pub stack: String,
    /// Twelve digits.
    pub account: String,
    /// The AWS Region.
    pub region: String,
}

/// The words, in the order people read them.
pub const WORDS: [&str; 5] = ["project", "environment", "stack", "account", "region"];

impl Words {
    /// What a word stands for.
    pub fn get(&self, word: &str) -> Option<&str> {
        match word {
            "project" => Some(&self.project),
            "environment" => Some(&self.environment),
            "stack" => Some(&self.stack),
            "account" => Some(&self.account),
            "region" => Some(&self.region),
            _ => None,
        }
    }
}

/// What can be wrong with a word.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum WordFault {
    /// Another than the five.
    #[error("unknown word `${{{0}}}`")]
    UnknownWord(String),
    /// `${` without `}`.
    #[error("`${{` without its `}}`")]
    NotClosed,
}

/// Replaces the words in `text`; `$${` stands for `${`.
///
/// # Errors
/// The first word that is none of the five.
pub fn interpolate(text: &str, words: &Words) -> Result<String, WordFault> {
    let (replaced, faults) = replaced(text, words);
    faults.into_iter().next().map_or(Ok(replaced), Err)
}

/// The text with its words replaced, and all that is wrong with them.
fn replaced(text: &str, words: &Words) -> (String, Vec<WordFault>) {
    let mut out = String::with_capacity(text.len());
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = (&rest[..start], &rest[start + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some(end) = after.find('}') else {
            faults.push(WordFault::NotClosed);
            rest = after;
            continue;
        };
        match words.get(&after[..end]) {
            Some(word) => out.push_str(word),
            None => faults.push(WordFault::UnknownWord(after[..end].to_string())),
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    (out, faults)
}

/// Replaces the words in every text below `node`. What cannot be replaced stays, with a mistake.
pub fn interpolate_node(node: &mut Node, words: &Words, mistakes: &mut Vec<Mistake>) {
    match &mut node.content {
        Content::Scalar(Scalar { text, .. }) => {
            let (replaced, faults) = replaced(text, words);
            if faults.is_empty() {
                *text = replaced;
            }
            mistakes.extend(faults.iter().map(|fault| mistake(node, fault)));
        }
        Content::Sequence(items) => items.iter_mut().for_each(|item| interpolate_node(item, words, mistakes)),
        Content::Mapping(entries) => {
            entries.iter_mut().for_each(|entry| interpolate_node(&mut entry.value, words, mistakes));
        }
    }
}

fn mistake(node: &Node, fault: &WordFault) -> Mistake {
    let hint = match fault {
        WordFault::UnknownWord(word) => did_you_mean(word, WORDS)
            .unwrap_or_else(|| format!("the words are {}; for the text itself write `$${{{word}}}`", WORDS.join(", "))),
        WordFault::NotClosed => "for the text itself write `$${`".to_string(),
    };
    Mistake::at(node.span, fault).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        Words {
            project: "sync".into(),
            environment: "scratch-jane".into(),
            stack: "db".into(),
            account: "1".into(),
            region: "r".into(),
        }
    }

    #[test]
    fn words_are_replaced() {
        assert_eq!(
            interpolate("${project}-${environment}-${stack}/${account}${region}", &words()).ok().as_deref(),
            Some("sync-scratch-jane-db/1r")
        );
    }

    #[test]
    fn a_doubled_dollar_is_the_text_itself() {
        assert_eq!(interpolate("$${project} $5 $$ ${stack}", &words()).ok().as_deref(), Some("${project} $5 $$ db"));
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["${AWS::Region}", "${}", "${ project }", "${project", "${"] {
            assert!(interpolate(text, &words()).is_err(), "{text}");
        }
    }
}
