//! Holds every JSON document that any test sees against the schema that is published for it.
//!
//! A published schema lets names come, because they do. Here it does not: a name that is written and not described is a mistake.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Ran, shipped};

/// By the key that the document has beside `schema`, the file that describes it.
const PUBLISHED: [(&str, &str); 4] = [("findings", "check"), ("plan", "plan"), ("drift", "drift"), ("error", "error")];

static VALIDATORS: LazyLock<BTreeMap<&str, Validator>> = LazyLock::new(|| {
    let validator = |file: &str| {
        let text = std::fs::read_to_string(shipped(&format!("docs/schemas/{file}.json"))).unwrap();
        let mut schema = serde_json::from_str(&text).unwrap();
        close(&mut schema);
        jsonschema::draft202012::new(&schema).unwrap()
    };
    PUBLISHED.iter().map(|(key, file)| (*key, validator(file))).collect()
});

/// Lets no name stand that is not described, but for reasons: what one has depends on it.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            let is_open = map
                .get("properties")
                .is_none_or(|properties| !properties.is_object() || properties.get("reason").is_some());
            if !is_open && map.get("type") == Some(&json!("object")) {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

/// Holds what a run said against the schemas, as far as there are any.
#[track_caller]
pub(super) fn hold(ran: &Ran) {
    let lines = ran.stderr.lines().filter(|line| line.starts_with("{\"schema\":"));
    for text in lines.chain([ran.stdout.as_str()]).filter(|text| text.starts_with('{')) {
        let Ok(document) = serde_json::from_str::<Value>(text) else { continue };
        if document.get("schema").is_none() {
            continue;
        }
        for (_, validator) in VALIDATORS.iter().filter(|(key, _)| document.get(**key).is_some()) {
            let wrong: Vec<String> =
                validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert_eq!(wrong, [""; 0], "{text}");
        }
    }
}
