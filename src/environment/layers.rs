//! Inheritance: which files an environment is made of, and what comes of laying them over each other.
//!
//! Three rules, each in one function: [`lineage`] (ancestors first, each once), `overlay` (maps merge, lists and references
//! replace, null removes) and the identity rule (what does not pass from a concrete environment is taken out of its layer by
//! [`withhold_identity`], which reads it off the table of keys).

use std::collections::BTreeMap;

use crate::environment::mistake::did_you_mean;
use crate::environment::reference::is_reference;
use crate::environment::shape::{Withheld, withhold_identity, withhold_own};
use crate::environment::{Content, EnvironmentFile, Mistake, Node, SourceId, Span};

/// The files of a project, by name.
pub type Files = BTreeMap<String, EnvironmentFile>;

/// What can be wrong with inheritance.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum LayerFault {
    /// `inherits` names no file.
    #[error("there is no environment `{0}` to inherit from")]
    UnknownParent(String),
    /// A file inherits from itself, perhaps over others.
    #[error("`{0}` inherits from itself: {1}")]
    Cycle(String, String),
    /// A null where nothing is inherited.
    #[error("null removes what a layer below says, but none says `{0}`")]
    NothingToRemove(String),
}

/// The files an environment is made of: ancestors first, itself last, each once.
///
/// An ancestor that is reached twice counts at its first place, so that a diamond's base never undoes its child.
///
/// # Errors
/// Unknown parents and cycles, all of them.
pub fn lineage<'a>(name: &str, files: &'a Files) -> Result<Vec<&'a EnvironmentFile>, Vec<Mistake>> {
    let mut walk = Walk { files, done: Vec::new(), open: Vec::new(), mistakes: Vec::new() };
    if let Some(file) = files.get(name) {
        walk.visit(file);
    }
    if walk.mistakes.is_empty() { Ok(walk.done) } else { Err(walk.mistakes) }
}

struct Walk<'a> {
    files: &'a Files,
    done: Vec<&'a EnvironmentFile>,
    open: Vec<&'a str>,
    mistakes: Vec<Mistake>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, file: &'a EnvironmentFile) {
        self.open.push(&file.name);
        for (parent, span) in &file.parents {
            let Some(parent_file) = self.files.get(parent) else {
                let mistake = Mistake::at(*span, &LayerFault::UnknownParent(parent.clone()));
                let known = || self.files.keys().map(String::as_str).filter(|known| *known != file.name);
                let all = || format!("there are: {}", known().collect::<Vec<_>>().join(", "));
                let alone = || format!("write environments/{parent}.yaml, or take it out");
                let other = if known().next().is_some() { all() } else { alone() };
                let hint = did_you_mean(parent, known()).unwrap_or(other);
                self.mistakes.push(mistake.hint(hint));
                continue;
            };
            if let Some(position) = self.open.iter().position(|open| open == parent) {
                self.mistakes.push(self.cycle(&self.open[position..]));
                continue;
            }
            if !self.done.iter().any(|done| done.name == *parent) {
                self.visit(parent_file);
            }
        }
        self.open.pop();
        self.done.push(file);
    }
}

impl Walk<'_> {
    /// The same mistake wherever the walk came in: from the first of the names, at the place that leads back to it.
    fn cycle(&self, open: &[&str]) -> Mistake {
        let start = open.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(start, _)| start);
        let first = open[start];
        let last = open[(start + open.len() - 1) % open.len()];
        let way: Vec<&str> = open[start..].iter().chain(&open[..start]).copied().chain([first]).collect();
        let fault = LayerFault::Cycle(first.to_string(), way.join(" → "));
        let closing = self.files.get(last).and_then(|file| file.parents.iter().find(|(parent, _)| parent == first));
        let mistake = closing.map_or_else(|| Mistake::new(&fault), |(_, span)| Mistake::at(*span, &fault));
        mistake.hint("one of them must not inherit")
    }
}

/// A layer as it counts for one environment: without what it does not hand on.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The file's name.
    pub name: String,
    /// The file's text.
    pub source: SourceId,
    /// Whether it is abstract.
    pub is_abstract: bool,
    /// What it says.
    pub root: Node,
    /// What it says for itself alone, being an environment of its own.
    pub withheld: Vec<Withheld>,
}

/// The layers of an environment, ancestors first, each without what it does not hand on.
pub fn layers(lineage: &[&EnvironmentFile]) -> Vec<Layer> {
    let last = lineage.len().saturating_sub(1);
    lineage.iter().enumerate().map(|(position, file)| layer(file, position == last)).collect()
}

fn layer(file: &EnvironmentFile, is_itself: bool) -> Layer {
    let mut root = file.root.clone();
    let withheld = if is_itself || file.is_abstract { Vec::new() } else { withhold_identity(&mut root) };
    if !is_itself {
        withhold_own(&mut root);
    }
    Layer { name: file.name.clone(), source: file.source, is_abstract: file.is_abstract, root, withheld }
}

/// Something that a layer took away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Keys from the top.
    pub path: Vec<String>,
    /// Where the null stands.
    pub span: Span,
}

/// All layers laid over each other.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What holds, each value with its place in whichever layer.
    pub root: Node,
    /// What was taken away, in order.
    pub removals: Vec<Removal>,
    /// Nulls that took nothing away.
    pub mistakes: Vec<Mistake>,
}

/// Lays the layers over each other, ancestors first.
pub fn merge(layers: &[Layer]) -> Merged {
    let span = layers.last().map_or(Span::beginning(SourceId::RENDERED), |layer| layer.root.span);
    let mut merged = Merged { root: Node::empty_mapping(span), removals: Vec::new(), mistakes: Vec::new() };
    for layer in layers {
        let mut root = std::mem::replace(&mut merged.root, Node::empty_mapping(span));
        overlay(&mut root, &layer.root, &mut Vec::new(), &mut merged);
        merged.root = root;
    }
    merged
}

/// Lays a stack's own values over the shared ones.
pub fn overlay_values(below: &mut Node, above: &Node) {
    let mut merged = Merged { root: Node::empty_mapping(above.span), removals: Vec::new(), mistakes: Vec::new() };
    overlay(below, above, &mut Vec::new(), &mut merged);
}

/// Lays `above` over `below`: maps merge, everything else replaces, null removes.
fn overlay(below: &mut Node, above: &Node, path: &mut Vec<String>, merged: &mut Merged) {
    if let (Content::Mapping(_), Content::Mapping(entries)) = (&below.content, &above.content)
        && !is_reference(below)
        && !is_reference(above)
    {
        below.span = above.span;
        for entry in entries {
            path.push(entry.key.clone());
            overlay_entry(below, entry, path, merged);
            path.pop();
        }
        return;
    }
    *below = above.clone();
    drop_idle_nulls(below, path, merged);
}

fn overlay_entry(below: &mut Node, entry: &crate::environment::Entry, path: &mut Vec<String>, merged: &mut Merged) {
    let Content::Mapping(entries) = &mut below.content else { return };
    let position = entries.iter().position(|present| present.key == entry.key);
    match (position, entry.value.is_null()) {
        (Some(position), true) => {
            entries.remove(position);
            merged.removals.push(Removal { path: path.clone(), span: entry.key_span });
        }
        (Some(position), false) => {
            entries[position].key_span = entry.key_span;
            overlay(&mut entries[position].value, &entry.value, path, merged);
        }
        (None, true) => merged.mistakes.push(nothing_to_remove(entry, path)),
        (None, false) => {
            let mut added = entry.clone();
            drop_idle_nulls(&mut added.value, path, merged);
            entries.push(added);
        }
    }
}

/// Nulls in a part that is new: there is nothing below that they could remove.
fn drop_idle_nulls(node: &mut Node, path: &mut Vec<String>, merged: &mut Merged) {
    if is_reference(node) {
        return;
    }
    let Content::Mapping(entries) = &mut node.content else { return };
    entries.retain_mut(|entry| {
        path.push(entry.key.clone());
        let is_null = entry.value.is_null();
        if is_null {
            merged.mistakes.push(nothing_to_remove(entry, path));
        } else {
            drop_idle_nulls(&mut entry.value, path, merged);
        }
        path.pop();
        !is_null
    });
}

fn nothing_to_remove(entry: &crate::environment::Entry, path: &[String]) -> Mistake {
    let mistake = Mistake::at(entry.key_span, &LayerFault::NothingToRemove(path.join(".")));
    match path {
        [stacks, name] if stacks == "stacks" => {
            mistake.hint(format!("a stack that needs no settings is written `{name}: {{}}`"))
        }
        _ => mistake.hint("give it a value, or take the line out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Sources;
    use crate::environment::project::read_environment;

    fn files(texts: &[(&str, &str)]) -> Files {
        let mut sources = Sources::default();
        texts
            .iter()
            .map(|(name, text)| {
                let id = sources.add(format!("{name}.yaml"), (*text).to_string());
                ((*name).to_string(), read_environment(name, id, text))
            })
            .collect()
    }

    fn names(name: &str, files: &Files) -> Vec<String> {
        lineage(name, files).expect("a lineage").iter().map(|file| file.name.clone()).collect()
    }

    fn merged(name: &str, texts: &[(&str, &str)]) -> String {
        let files = files(texts);
        let merged = merge(&layers(&lineage(name, &files).expect("a lineage")));
        assert_eq!(merged.mistakes, []);
        written(&merged.root)
    }

    fn written(node: &Node) -> String {
        match &node.content {
            Content::Scalar(scalar) => scalar.text.clone(),
            Content::Sequence(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
            Content::Mapping(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|entry| format!("{}: {}", entry.key, written(&entry.value))).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    #[test]
    fn ancestors_come_first_and_once() {
        let files = files(&[
            ("base", "abstract: true"),
            ("left", "inherits: base"),
            ("right", "inherits: base"),
            ("child", "inherits: [left, right, base]"),
        ]);
        assert_eq!(names("child", &files), ["base", "left", "right", "child"]);
    }

    #[test]
    fn a_diamonds_base_never_undoes_its_child() {
        let texts = [
            ("base", "abstract: true\nowner: base"),
            ("child", "abstract: true\ninherits: base\nowner: child"),
            ("leaf", "inherits: [child, base]"),
        ];
        assert!(merged("leaf", &texts).contains("owner: child"));
    }

    #[test]
    fn cycles_and_unknown_parents_are_told_with_their_way() {
        let files = files(&[("a", "inherits: b"), ("b", "inherits: [a, bsae]"), ("base", "abstract: true")]);
        let mistakes = lineage("a", &files).expect_err("mistakes");
        let messages: Vec<_> =
            mistakes.iter().map(|mistake| (mistake.message.as_str(), mistake.hint.as_deref())).collect();
        assert_eq!(
            messages,
            [
                ("`a` inherits from itself: a → b → a", Some("one of them must not inherit")),
                ("there is no environment `bsae` to inherit from", Some("did you mean `base`?")),
            ]
        );
    }

    #[test]
    fn maps_merge_lists_replace_null_removes() {
        let texts = [
            ("base", "abstract: true\nvalues: {a: {x: 1, y: 2}, l: [1, 2], gone: 1}"),
            ("leaf", "inherits: base\nvalues: {a: {y: 3}, l: [9], gone: ~}"),
        ];
        assert!(merged("leaf", &texts).contains("values: {a: {x: 1, y: 3}, l: [9]}"));
    }

    #[test]
    fn references_replace_as_a_whole() {
        let texts = [
            ("base", "abstract: true\nvalues: {a: {output: n.V}, b: {x: 1}}"),
            ("leaf", "inherits: base\nvalues: {a: {ssm: /p}, b: {export: E}}"),
        ];
        assert!(merged("leaf", &texts).contains("values: {a: {ssm: /p}, b: {export: E}}"));
    }

    #[test]
    fn identity_passes_from_abstract_files_only() {
        let texts = [
            ("base", "abstract: true\naccount: '111111111111'\nregion: eu-west-1"),
            ("production", "inherits: base\naccount: '222222222222'\nprotected: true\nowner: us"),
            ("staging", "inherits: production"),
        ];
        assert_eq!(
            merged("staging", &texts),
            "{account: 111111111111, region: eu-west-1, owner: us, inherits: production}"
        );
    }

    #[test]
    fn a_null_that_removes_nothing_is_a_mistake() {
        let files = files(&[("leaf", "stacks: {network: , elk: {values: {a: ~}}}")]);
        let merged = merge(&layers(&lineage("leaf", &files).expect("a lineage")));
        let messages: Vec<_> = merged.mistakes.iter().map(|mistake| mistake.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "null removes what a layer below says, but none says `stacks.network`",
                "null removes what a layer below says, but none says `stacks.elk.values.a`",
            ]
        );
    }
}
