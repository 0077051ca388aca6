//! By what greenroom knows its own: the marks among a stack's tags, the digest at the end of its description, and the names of
//! change sets. All of them follow from what is wanted; none is random or remembered.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::Given;
use crate::template::rules::limits::DESCRIPTION_BYTES_MAX;

/// What the tags that are ours begin with.
pub const TAG_PREFIX: &str = "greenroom:";

/// The tags that say whose data a stack holds: the source's database, the snapshot, of when its data is, who answers for it, and
/// whether it was masked. They are given once, when the data comes, and no file knows them.
pub const PROVENANCE: [&str; 5] = [
    "greenroom:source-database",
    "greenroom:source-snapshot",
    "greenroom:data-as-of",
    "greenroom:owner",
    "greenroom:data",
];

/// The tags that a stack is to have: those wanted, and of those it has what says whose data it holds.
pub fn tags(wanted: &BTreeMap<String, String>, live: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let held = PROVENANCE.iter().filter_map(|key| live?.get_key_value(*key));
    let held = held.map(|(key, value)| (key.clone(), value.clone()));
    held.chain(wanted.iter().map(|(key, value)| (key.clone(), value.clone()))).collect()
}

/// What the names of change sets that are ours begin with.
pub const CHANGE_SET_PREFIX: &str = "r-";

/// Hexadecimal digits of a digest: 64 bits. A clash needs billions of versions of one stack, and would be met by the comparison
/// of parameters and tags beside it.
const DIGEST_CHARACTERS: usize = 16;

/// Whose a stack is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Ours: all three marks are those wanted.
    Us,
    /// Another environment's, by its marks.
    Environment(String),
    /// Nobody's: it bears no marks.
    Nobody,
}

/// Reads the marks of a stack against those wanted.
pub fn owner(live: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> Owner {
    let mark = |tags: &BTreeMap<String, String>, name: &str| tags.get(&format!("{TAG_PREFIX}{name}")).cloned();
    let [project, environment, stack] = ["project", "environment", "stack"].map(|name| mark(live, name));
    let is_ours = ["project", "environment", "stack"].iter().all(|name| mark(live, name) == mark(wanted, name));
    match (is_ours, environment) {
        (true, Some(_)) => Owner::Us,
        (_, Some(environment)) => {
            let parts = [project, Some(environment), stack];
            Owner::Environment(parts.into_iter().flatten().collect::<Vec<_>>().join("/"))
        }
        (_, None) => Owner::Nobody,
    }
}

/// Whether a stack bears the marks of an environment, whichever stack of it it is.
pub fn is_of_environment(tags: &BTreeMap<String, String>, project: &str, environment_word: &str) -> bool {
    let is = |name: &str, wanted: &str| tags.get(&format!("{TAG_PREFIX}{name}")).is_some_and(|value| value == wanted);
    is("project", project) && is("environment", environment_word)
}

/// A digest of texts, each told from the next by its length.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut text = hexadecimal(&hash.finalize());
    text.truncate(DIGEST_CHARACTERS);
    text
}

/// Whether a text is a digest of ours, by its looks.
pub fn is_digest(text: &str) -> bool {
    text.len() == DIGEST_CHARACTERS && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The whole digest of a text.
pub fn whole_digest(text: &[u8]) -> String {
    hexadecimal(&Sha256::digest(text))
}

/// What a change set says it is for: whose it is, and the digest of what it brings about, by which a later run knows that just this
/// was tried before.
pub fn purpose(environment: &str, stack: &str, digest: &str) -> String {
    format!("greenroom: {environment}/{stack} {digest}")
}

/// Whether a change set says that it brings this about.
pub fn is_for(description: &str, digest: &str) -> bool {
    description.starts_with("greenroom: ") && description.rsplit(' ').next() == Some(digest)
}

/// What the keys of templates in a bucket begin with; the bucket's own stack lets them go after a while.
pub const TEMPLATE_KEY_PREFIX: &str = "templates/";

/// The key of a template in a bucket. The same text has the same, another has another: two runs cannot give each other theirs.
pub fn template_key(body: &str) -> String {
    format!("{TEMPLATE_KEY_PREFIX}{}.json", hexadecimal(&Sha256::digest(body.as_bytes())))
}

/// The texts of what parameters are given, for a digest.
pub fn parameter_texts(parameters: &[(String, Given)]) -> impl Iterator<Item = &str> {
    parameters.iter().flat_map(|(name, given)| match given {
        Given::Text(text) => [name.as_str(), "=", text.as_str()],
        Given::Previous => [name.as_str(), "previous", ""],
    })
}

/// What stands at the end of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The digest of what was deployed.
    pub digest: String,
    /// The revision of the repository it was deployed from.
    pub revision: Option<String>,
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.revision {
            Some(revision) => write!(f, "[greenroom {} {revision}]", self.digest),
            None => write!(f, "[greenroom {}]", self.digest),
        }
    }
}

/// Reads the mark at the end of a description.
pub fn read(description: &str) -> Option<Mark> {
    let (_, inner) = description.strip_suffix(']')?.rsplit_once("[greenroom ")?;
    let mut words = inner.split(' ');
    let digest = words.next().filter(|digest| digest.len() == DIGEST_CHARACTERS)?.to_string();
    Some(Mark { digest, revision: words.next().map(str::to_string) })
}

/// The template with the mark at the end of its description, as CloudFormation is given it. A description that would become too
/// long loses its end, never the mark.
pub fn marked(template: &Json, mark: &Mark) -> String {
    let mark = mark.to_string();
    let mut template = template.clone();
    if let Some(sections) = template.as_object_mut() {
        let own = sections.get("Description").and_then(Json::as_str).unwrap_or_default();
        let room = own.floor_char_boundary(DESCRIPTION_BYTES_MAX.saturating_sub(mark.len() + 1));
        let text = format!("{} {mark}", &own[..room]).trim_start().to_string();
        sections.insert("Description".to_string(), Json::from(text));
    }
    template.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mark() -> Mark {
        Mark { digest: "0123456789abcdef".to_owned(), revision: Some("4f2e1d0".to_owned()) }
    }

    fn tags_of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (format!("greenroom:{key}"), (*value).to_owned())).collect()
    }

    #[test]
    fn whose_data_it_is_stays_and_nothing_else_does() {
        let live = tags_of(&[("source-database", "db-1"), ("stack", "old"), ("data", "unmasked")]);
        let wanted = tags_of(&[("stack", "database"), ("data", "masked")]);
        let expected = tags_of(&[("source-database", "db-1"), ("stack", "database"), ("data", "masked")]);
        assert_eq!(tags(&wanted, Some(&live)), expected);
        assert_eq!(tags(&wanted, None), wanted);
    }

    #[test]
    fn a_mark_is_read_back_from_a_description() {
        let body = marked(&json!({"Description": "A database"}), &mark());
        assert_eq!(body, r#"{"Description":"A database [greenroom 0123456789abcdef 4f2e1d0]"}"#);
        assert_eq!(read("A database [greenroom 0123456789abcdef 4f2e1d0]"), Some(mark()));
        assert_eq!(read("A database"), None);
    }

    #[test]
    fn a_long_description_gives_way_to_the_mark() {
        let body = marked(&json!({"Description": "ä".repeat(600)}), &mark());
        let json: Json = serde_json::from_str(&body).unwrap_or_default();
        let text = json["Description"].as_str().unwrap_or_default();
        assert!(text.len() <= DESCRIPTION_BYTES_MAX, "{}", text.len());
        assert_eq!(read(text), Some(mark()));
    }

    #[test]
    fn a_digest_tells_where_one_text_ends_and_the_next_begins() {
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
        assert_eq!(digest(["a"]).len(), DIGEST_CHARACTERS);
    }

    #[test]
    fn ownership_is_told_by_all_three_marks() {
        let wanted = tags_of(&[("project", "sync"), ("environment", "scratch-jane"), ("stack", "database")]);
        assert_eq!(owner(&wanted, &wanted), Owner::Us);
        assert_eq!(owner(&BTreeMap::new(), &wanted), Owner::Nobody);
        let other = tags_of(&[("project", "sync"), ("environment", "scratch-joe"), ("stack", "database")]);
        assert_eq!(owner(&other, &wanted), Owner::Environment("sync/scratch-joe/database".to_owned()));
    }
}
