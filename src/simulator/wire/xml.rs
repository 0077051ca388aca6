//! Writes a tree of values as XML. Members that are null are left out; an empty list stays as an empty element, since
//! AWS always sends some lists and clients tell "none" from "not said".

use serde_json::Value;

/// The members of an object, each as an element. `entry_name` names the entries of a list after the list.
pub(super) fn members(value: &Value, entry_name: &dyn Fn(&str) -> &'static str) -> String {
    let mut text = String::new();
    if let Value::Object(members) = value {
        for (name, member) in members {
            element(&mut text, name, member, entry_name);
        }
    }
    text
}

fn element(text: &mut String, name: &str, value: &Value, entry_name: &dyn Fn(&str) -> &'static str) {
    let content = match value {
        Value::Null => return,
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(content) => escaped(content),
        Value::Array(entries) => {
            let mut list = String::new();
            for entry in entries {
                element(&mut list, entry_name(name), entry, entry_name);
            }
            list
        }
        Value::Object(_) => members(value, entry_name),
    };
    text.push('<');
    text.push_str(name);
    text.push('>');
    text.push_str(&content);
    text.push_str("</");
    text.push_str(name);
    text.push('>');
}

/// Puts the XML declaration before a document.
pub(crate) fn document(body: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}")
}

/// Text that is safe inside an element. A carriage return would be read back as a line feed; characters XML 1.0 cannot
/// carry become U+FFFD.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\r' => safe.push_str("&#xD;"),
            '\n' | '\t' => safe.push(letter),
            control if control < ' ' || control == '\u{fffe}' || control == '\u{ffff}' => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn leaves_out_nulls_and_keeps_empty_lists() {
        let value = json!({"A": null, "B": [], "C": [{"D": true}], "E": "<&\r"});
        assert_eq!(members(&value, &|_| "member"), "<B></B><C><member><D>true</D></member></C><E>&lt;&amp;&#xD;</E>");
    }
}
