//! The parameters of a call. Query protocols send every scalar as text, JSON protocols as it is: these readers take both.

use super::refusal::Refusal;
use serde_json::Value;

/// Reads members of a structure of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameters<'a>(pub(crate) &'a Value);

impl<'a> Parameters<'a> {
    /// A text that was given and is not empty.
    pub(crate) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A text that must be given.
    pub(crate) fn required(self, name: &str) -> Result<&'a str, Refusal> {
        self.text(name).ok_or_else(|| {
            let mut letters = name.chars();
            let name: String = letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
            Refusal::validation(format!(
                "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
            ))
        })
    }

    /// A truth value that was given.
    pub(crate) fn flag(self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Value::Bool(truth) => Some(*truth),
            Value::String(text) => Some(text.eq_ignore_ascii_case("true")),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(crate) fn number(self, name: &str) -> Option<u64> {
        match self.0.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The entries of a list; none if it was not given or is empty.
    pub(crate) fn list(self, name: &str) -> &'a [Value] {
        self.0.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Whether a list or text was given at all, be it empty.
    pub(crate) fn is_given(self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn texts(self, name: &str) -> Vec<String> {
        self.list(name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    pub(crate) fn structures(self, name: &str) -> impl Iterator<Item = Parameters<'a>> {
        self.list(name).iter().map(Parameters)
    }
}
