//! Claims over the project that is shipped. Whole outputs are compared on small projects: the shipped one's figures change.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::support::Scenario;

/// Every environment that can be deployed, as one would type it.
const ENVIRONMENTS: [&str; 4] = ["production", "staging", "performance", "scratch@jane"];

#[test]
fn nothing_is_wrong_with_it() {
    Scenario::shipped().run(["check"]).expect_silence();
}

#[test]
fn every_environment_is_checked_alone_and_together() {
    let scenario = Scenario::shipped();
    for environment in ENVIRONMENTS {
        scenario.run(["check", environment]).expect_silence();
    }
    scenario.run([["check"].as_slice(), &ENVIRONMENTS].concat()).expect_silence();
}

#[test]
fn every_environment_renders_four_files_a_stack() {
    let scenario = Scenario::shipped();
    for environment in ENVIRONMENTS {
        scenario.run(["render", environment, "--out", "out"]).stdout();
        let graph: serde_json::Value =
            serde_json::from_str(scenario.run(["graph", environment, "--format", "json"]).stdout()).unwrap();
        let stacks = graph["graph"]["stacks"].as_array().unwrap().len();
        let written = scenario.files().iter().filter(|file| file.starts_with("out/")).count();
        assert_eq!(written, stacks * 4, "{environment}");
        std::fs::remove_dir_all(scenario.root().join("out")).unwrap();
    }
}

#[test]
fn every_verb_has_something_to_say_about_it() {
    let scenario = Scenario::shipped();
    let verbs: [&[&str]; 9] = [
        &["inputs"],
        &["explain", "staging"],
        &["explain", "staging", "database.instance_class"],
        &["diff", "production", "staging"],
        &["diff", "scratch@jane", "scratch@joe"],
        &["graph", "production"],
        &["schema"],
        &["completions", "bash"],
        &["man"],
    ];
    for verb in verbs {
        for format in ["human", "json"] {
            let ran = scenario.run(verb.iter().copied().chain(["--format", format]));
            assert!(!ran.stdout().is_empty(), "{verb:?}");
        }
    }
}

#[test]
fn it_is_found_from_a_directory_below() {
    let scenario = Scenario::shipped();
    let output = scenario.command(["check"]).current_dir(scenario.root().join("templates/network")).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

/// `greenroom render … | head -1`: the reader goes, and that is no error.
#[test]
fn a_reader_who_goes_is_no_error() {
    let scenario = Scenario::shipped();
    for verb in [["render", "production", "network"].as_slice(), &["inputs"], &["schema"]] {
        let mut child =
            scenario.command(verb.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""), "{verb:?}");
    }
}

/// Killed at whatever moment: every file that is there is whole, the old one or the new one.
#[test]
fn killed_half_way_leaves_whole_files() {
    let scenario = Scenario::shipped();
    scenario.run(["render", "production", "--out", "new"]).stdout();
    scenario.run(["render", "staging", "--out", "old"]).stdout();
    for spins in (0..20).map(|step| step * 4_000) {
        scenario.run(["render", "staging", "--out", "out"]).stdout();
        let mut child =
            scenario.command(["render", "production", "--out", "out"]).stdout(Stdio::null()).spawn().unwrap();
        (0..spins).for_each(|_| std::thread::yield_now());
        child.kill().unwrap();
        child.wait().unwrap();
        for file in
            scenario.files().iter().filter_map(|file| file.strip_prefix("out/")).filter(|file| !file.starts_with('.'))
        {
            let is_like = |directory: &str| {
                std::fs::read(scenario.root().join(directory).join(file)).ok()
                    == Some(scenario.read(&format!("out/{file}")).into())
            };
            assert!(is_like("old") || is_like("new"), "{file} is neither old nor new");
        }
    }
    scenario.run(["render", "production", "--out", "out"]).stdout();
    let hidden: Vec<String> = scenario.files().into_iter().filter(|file| file.starts_with("out/.")).collect();
    assert_eq!(hidden, [""; 0], "the next run takes over what a killed one left");
}
