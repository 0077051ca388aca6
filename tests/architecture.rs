//! Holds the import rules: each with its reason, which is what a broken one prints.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which of our modules a module may import, and why not more.
const RULES: &[(&str, &[&str], &str)] = &[
    ("environment", &[], "what files mean must not depend on what is done with them"),
    ("template", &["environment"], "rendering is pure: files in, templates out"),
    ("operation", &[], "the loop knows no operation"),
    ("simulator", &[], "the local cloud is reached over HTTP only, so that other people's clients can judge it"),
    ("error", &[], "every verb fails in the same words, so the words know no verb"),
    ("check", &["environment", "template"], "findings are data; nothing is printed and nothing is called"),
    ("explain", &["environment", "template"], "explanations are data; nothing is printed and nothing is called"),
    ("diff", &["environment", "template", "explain"], "differences are data; nothing is printed and nothing is called"),
    (
        "affected",
        &["environment", "template"],
        "what a change touches is data; nothing is printed and nothing is called",
    ),
    ("git", &[], "an earlier revision is files in a directory; what they mean is another's question"),
    ("aws", &[], "the way to AWS is the same for all that go it"),
    (
        "deploy",
        &["aws", "environment", "operation", "template"],
        "an operation is its nouns, a pure planner, and the two that reach the cloud",
    ),
    (
        "parity",
        &["aws", "deploy", "diff", "environment", "template"],
        "what runs is read by the looks of `deploy`, and compared by what the files declare",
    ),
    (
        "destroy",
        &["aws", "deploy", "operation"],
        "what goes is what was deployed; it shares the nouns and the looks of `deploy`",
    ),
    (
        "drift",
        &["aws", "deploy", "environment", "operation", "parity", "template"],
        "what has drifted is seen by the looks of `deploy`, and judged by what the files say",
    ),
    (
        "clone",
        &["aws", "deploy", "environment", "operation", "parity", "template"],
        "a clone is two deployments and a snapshot; it shares the nouns, looks and plans of `deploy`, and is compared in the end",
    ),
    (
        "bootstrap",
        &["deploy", "environment", "template"],
        "what is wanted is data; it is brought up by what brings up everything",
    ),
    (
        "cancel",
        &["aws", "deploy", "operation"],
        "what stops is what was deployed; it shares the nouns and the looks of `deploy`",
    ),
    (
        "recover",
        &["aws", "deploy", "operation"],
        "what is stuck was deployed; it shares the nouns and the looks of `deploy`",
    ),
    (
        "reap",
        &["aws", "deploy", "destroy", "environment", "template"],
        "what is over is seen by the looks of `deploy`, and goes by `destroy`",
    ),
    (
        "log",
        &["aws", "deploy", "environment"],
        "what happened is read by the looks of `deploy`, and told without a decision",
    ),
    (
        "permissions",
        &["aws", "clone", "deploy", "drift", "environment", "template"],
        "what must be allowed follows from what is wanted; nothing is asked",
    ),
    ("status", &["deploy", "environment"], "a status is what a look of `deploy` shows"),
    ("cli", &[], "what was typed is not yet what was meant"),
    (
        "view",
        &[
            "affected",
            "cancel",
            "check",
            "clone",
            "deploy",
            "destroy",
            "diff",
            "drift",
            "environment",
            "error",
            "explain",
            "git",
            "log",
            "operation",
            "parity",
            "reap",
            "recover",
            "permissions",
            "status",
            "template",
        ],
        "the view prints reports and decides nothing",
    ),
    (
        "commands",
        &[
            "affected",
            "aws",
            "bootstrap",
            "cancel",
            "check",
            "cli",
            "clone",
            "deploy",
            "destroy",
            "diff",
            "drift",
            "environment",
            "error",
            "explain",
            "git",
            "log",
            "operation",
            "parity",
            "reap",
            "recover",
            "permissions",
            "simulator",
            "status",
            "template",
            "view",
        ],
        "verbs compose everything else",
    ),
];

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a readable directory") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The module a file belongs to: `src/view/human.rs` is `view`.
fn module(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).expect("a file below src");
    let first = relative.iter().next().expect("a first part").to_string_lossy();
    first.trim_end_matches(".rs").to_string()
}

/// Every `crate::NAME` in the code of a file, comments left out, and with it every name in `crate::{…}`.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    code.match_indices("crate::")
        .filter(|(start, _)| !code[..*start].ends_with('$'))
        .map(|(start, found)| &code[start + found.len()..])
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => {
                list.split('}').next().unwrap_or_default().split(',').map(|name| name.trim().to_string()).collect()
            }
            None => vec![rest.to_string()],
        })
        .map(|name| name.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect())
        .filter(|name: &String| !name.is_empty())
        .collect()
}

#[test]
fn modules_import_only_what_they_may() {
    let mut broken = Vec::new();
    for path in rust_files(&root().join("src")) {
        let module = module(&path);
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let Some((_, allowed, reason)) = RULES.iter().find(|(name, _, _)| *name == module) else {
            broken.push(format!("{}: `{module}` has no rule in tests/architecture.rs", path.display()));
            continue;
        };
        for import in imports(&fs::read_to_string(&path).expect("a readable file")) {
            if import != module && !allowed.contains(&import.as_str()) {
                broken.push(format!("{}: `{module}` imports `{import}`, but {reason}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_the_view_and_main_print() {
    let prints = ["println!", "print!(", "eprintln!", "eprint!(", "stdout()", "stderr()"];
    for path in rust_files(&root().join("src")) {
        let text = fs::read_to_string(&path).expect("a readable file");
        let may = ["view", "main"].contains(&module(&path).as_str());
        assert!(
            may || !prints.iter().any(|print| text.contains(print)),
            "{} prints: that is the view's work",
            path.display()
        );
    }
}

/// Of an operation's files, two reach the cloud; all others are the same without it.
#[test]
fn only_looking_and_acting_reach_the_cloud() {
    let reaching = ["aws_sdk", "crate::aws", "Clients"];
    for module in ["cancel", "clone", "deploy", "destroy", "drift", "log", "parity", "reap", "recover", "status"] {
        for path in rust_files(&root().join("src").join(module)) {
            let may = path.ends_with("observe.rs") || path.ends_with("apply.rs");
            let text = fs::read_to_string(&path).expect("a readable file");
            for word in reaching {
                assert!(may || !text.contains(word), "{} says `{word}`: it decides, or it is data", path.display());
            }
        }
    }
}

/// Planners must give the same plan for the same world: no clock, no files, no waiting.
#[test]
fn planners_are_pure() {
    let impure = [".await", "tokio::", "std::fs", "std::env", "std::time", "SystemTime", "Instant::now"];
    for path in
        rust_files(&root().join("src")).iter().filter(|path| path.ends_with("plan.rs") || path.ends_with("compare.rs"))
    {
        let text = fs::read_to_string(path).expect("a readable file");
        for word in impure {
            assert!(!text.contains(word), "{} says `{word}`: a planner decides from its world alone", path.display());
        }
    }
}

#[test]
fn no_test_file_is_forgotten() {
    let main = fs::read_to_string(root().join("tests/main.rs")).expect("tests/main.rs");
    for entry in fs::read_dir(root().join("tests")).expect("tests") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let is_module = path.extension().is_some_and(|ending| ending == "rs") || path.join("mod.rs").exists();
        assert!(
            !is_module || name == "main" || main.contains(&format!("mod {name};")),
            "tests/main.rs does not name `{name}`"
        );
    }
}
