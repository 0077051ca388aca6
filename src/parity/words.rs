//! What two environments call their own things. A clone's security group has another id than its source's, and both are the
//! same group of the same template: ids, addresses and names of a side are put into words that both sides share.

use regex::Regex;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A side's own names, each with the words that stand for it.
#[derive(Clone, Debug, Default)]
pub struct Words {
    meanings: BTreeMap<String, String>,
    pattern: Option<Regex>,
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.meanings == other.meanings
    }
}

/// A name of one letter would be found everywhere.
const LETTERS_MIN: usize = 2;

impl Words {
    /// From names to what they stand for.
    pub fn new(meanings: BTreeMap<String, String>) -> Self {
        let mut names: Vec<&String> = meanings.keys().filter(|name| name.len() >= LETTERS_MIN).collect();
        // A name may be part of another: the longer one is meant.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let all: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
        let pattern = if all.is_empty() { None } else { Regex::new(&all.join("|")).ok() };
        Self { meanings, pattern }
    }

    /// A text in shared words.
    pub fn shared(&self, text: &str) -> String {
        let Some(pattern) = &self.pattern else { return text.to_owned() };
        let mut shared = String::with_capacity(text.len());
        let mut at = 0;
        for found in pattern.find_iter(text) {
            let is_inside_a_word = text[..found.start()].chars().next_back().is_some_and(char::is_alphanumeric)
                || text[found.end()..].chars().next().is_some_and(char::is_alphanumeric);
            let meaning = self.meanings.get(found.as_str()).filter(|_| !is_inside_a_word);
            shared.push_str(&text[at..found.start()]);
            shared.push_str(meaning.map_or(found.as_str(), String::as_str));
            at = found.end();
        }
        shared.push_str(&text[at..]);
        shared
    }

    /// A value in shared words. Lists of plain values have no order that means anything in what AWS tells.
    pub fn shared_value(&self, value: &Json) -> Json {
        match value {
            Json::String(text) => Json::String(self.shared(text)),
            Json::Array(entries) => {
                let mut entries: Vec<Json> = entries.iter().map(|entry| self.shared_value(entry)).collect();
                entries.sort_by_cached_key(ToString::to_string);
                Json::Array(entries)
            }
            Json::Object(members) => {
                Json::Object(members.iter().map(|(name, value)| (name.clone(), self.shared_value(value))).collect())
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn words(meanings: &[(&str, &str)]) -> Words {
        Words::new(meanings.iter().map(|(name, meaning)| ((*name).to_owned(), (*meaning).to_owned())).collect())
    }

    #[test]
    fn the_longer_name_is_meant() {
        let words = words(&[("sg-1", "<a>"), ("sg-1-old", "<b>"), ("twin", "<environment>")]);
        assert_eq!(
            words.shared("sg-1-old sg-1 sg-12 demo-twin-api twins"),
            "<b> <a> sg-12 demo-<environment>-api twins"
        );
    }

    #[test]
    fn an_order_that_means_nothing_is_no_difference() {
        let words = words(&[("sg-9", "<a>")]);
        assert_eq!(words.shared_value(&json!({"Groups": ["sg-9", "<B>"]})), json!({"Groups": ["<B>", "<a>"]}));
    }
}
