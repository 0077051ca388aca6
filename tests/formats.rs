//! `--format junit|sarif|github|markdown`: what pipelines read. Every document is held against its format's own schema.

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, pair};
use crate::support::{LAB, Ran, Scenario, shipped};

/// The four that are drawn from a sheet.
const DRAWN: [&str; 4] = ["junit", "sarif", "github", "markdown"];

fn broken() -> Scenario {
    Scenario::small().lab(&LAB.replace("topic", "topik"))
}

fn deployed() -> Cloud {
    let cloud = Cloud::with(pair(), &["--page-size", "2", "--pace", "auto"]);
    cloud.ends("deploy lab --yes", 0);
    cloud.come_to_rest();
    cloud
}

/// A value of the environment's file is another than what is deployed.
fn changed() -> Cloud {
    let mut cloud = deployed();
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    cloud
}

/// Somebody has changed something by hand.
fn drifted() -> Cloud {
    let cloud = deployed();
    let body = json!({"account": "111111111111", "region": "eu-west-1", "stack": "demo-lab-store", "logical_id": "Queue",
        "set": {"VisibilityTimeout": 99}});
    cloud.control("touch", &body.to_string());
    cloud
}

/// Every rule of the SARIF schema holds.
#[track_caller]
fn sarif(text: &str) -> Value {
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(shipped("tests/schemas/sarif-2.1.0.json")).unwrap()).unwrap();
    let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let wrong: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert_eq!(wrong, [""; 0], "{text}");
    document
}

/// The counts of JUnit's root: tests, failures, errors. It is XML, and the counts are those of its cases.
#[track_caller]
fn junit(text: &str) -> [usize; 3] {
    let document = roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    let count = |name: &str| root.descendants().filter(|node| node.has_tag_name(name)).count();
    let counted = [count("testcase"), count("failure"), count("error")];
    let said: [usize; 3] = ["tests", "failures", "errors"].map(|name| root.attribute(name).unwrap().parse().unwrap());
    assert_eq!(said, counted, "{text}");
    counted
}

/// Runs it in all four formats; the exit code is the same as for people, and stdout holds the document alone.
fn in_all(cloud: &Cloud, line: &str) -> [Ran; 4] {
    let code = cloud.run(line).code;
    DRAWN.map(|format| {
        let ran = cloud.run(&format!("{line} --format {format}"));
        assert_eq!(ran.code, code, "{format}: {ran}");
        ran
    })
}

#[test]
fn mistakes_of_the_files() {
    let [junit_ran, sarif_ran, github_ran, markdown_ran] =
        DRAWN.map(|format| broken().run(["check", "--format", format]).stdout_only());
    assert_eq!(junit(&junit_ran.stdout)[1..], [1, 0]);
    sarif(&sarif_ran.stdout);
    junit_ran.expect(expect![[""]]);
    sarif_ran.expect(expect![[""]]);
    github_ran.expect(expect![[""]]);
    markdown_ran.expect(expect![[""]]);
}

#[test]
fn a_plan_of_a_broken_file_says_where() {
    let ran = broken().run(["plan", "lab", "--local", "--format", "sarif"]);
    assert_eq!(ran.code, Some(2));
    let result = &sarif(&ran.stdout)["runs"][0]["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"], json!({"uri": "environments/lab.yaml", "uriBaseId": "%SRCROOT%"}));
    assert!(ran.stderr.starts_with("error: "), "{ran}");
}

#[test]
fn a_plan() {
    let cloud = changed();
    let [junit_ran, sarif_ran, github_ran, markdown_ran] = in_all(&cloud, "plan lab").map(|ran| ran.stdout_only());
    assert_eq!(junit(&junit_ran.stdout), [2, 0, 0]);
    sarif(&sarif_ran.stdout);
    junit_ran.expect(expect![[""]]);
    sarif_ran.expect(expect![[""]]);
    github_ran.expect(expect![[""]]);
    markdown_ran.expect(expect![[""]]);
    let told = cloud.ends("plan lab --exit-code --format junit", 4);
    assert_eq!(junit(&told.stdout), [2, 1, 0]);
}

#[test]
fn drift() {
    let cloud = drifted();
    let [junit_ran, sarif_ran, github_ran, markdown_ran] = in_all(&cloud, "drift lab").map(|ran| ran.stdout_only());
    assert_eq!(junit(&junit_ran.stdout), [2, 1, 0]);
    sarif(&sarif_ran.stdout);
    junit_ran.expect(expect![[""]]);
    sarif_ran.expect(expect![[""]]);
    github_ran.expect(expect![[""]]);
    markdown_ran.expect(expect![[""]]);
}

#[test]
fn a_failure_is_a_document_too() {
    for format in DRAWN {
        let ran = Scenario::small().run(["plan", "lab", "--format", format]);
        assert_eq!(ran.code, Some(3), "{ran}");
        match format {
            "junit" => assert_eq!(junit(&ran.stdout), [1, 0, 1]),
            "sarif" => {
                let run = &sarif(&ran.stdout)["runs"][0];
                assert_eq!(run["invocations"][0]["executionSuccessful"], false);
                assert_eq!(run["invocations"][0]["exitCode"], 3);
            }
            "github" => {
                assert!(ran.stdout.starts_with("::error title=greenroom run/failed::111111111111 is a"), "{ran}")
            }
            _ => assert!(ran.stdout.starts_with("### greenroom run\n"), "{ran}"),
        }
    }
}

#[test]
fn a_project_within_a_checkout_is_named_from_its_root() {
    let scenario = broken().within("infra");
    std::fs::create_dir(scenario.root().parent().unwrap().join(".git")).unwrap();
    let ran = scenario.run(["check", "--format", "github"]);
    assert!(ran.stdout.contains("file=infra/environments/lab.yaml,line="), "{ran}");
}

#[test]
fn values_never_become_syntax() {
    let topic = r#"'50% <b>&]]>| `x`'"#;
    let scenario =
        || Scenario::small().lab(&LAB.replace("topic: papers", &format!("topik: {topic}, \"a%0A|<&]]>\\u0007`\": 1")));
    for format in DRAWN {
        let ran = scenario().run(["check", "--format", format]);
        assert_eq!(ran.code, Some(2), "{ran}");
        assert!(!ran.stdout.contains('\u{7}'), "{ran}");
        match format {
            "junit" => assert!(junit(&ran.stdout)[1] > 0),
            "sarif" => drop(sarif(&ran.stdout)),
            "github" => {
                assert!(ran.stdout.lines().all(|line| line.starts_with("::")) && ran.stdout.contains("a%250A"), "{ran}")
            }
            _ => assert!(ran.stdout.contains("a%0A&#124;&#60;&#38;&#93;&#93;&#62;"), "{ran}"),
        }
    }
}

#[test]
fn only_what_looks_has_them() {
    Scenario::small().run(["deploy", "lab", "--local", "--yes", "--format", "github"]).expect(expect![[r#"
        exit 2
        -- stdout
        ::error title=greenroom run/failed::this has no such format: `junit`, `sarif`, `github` and `markdown` are for `check`, `plan` and `drift`%0Ahint: `--format json` is for programs, and every verb has it
        -- stderr
        error: this has no such format: `junit`, `sarif`, `github` and `markdown` are for `check`, `plan` and `drift`

        hint: `--format json` is for programs, and every verb has it
    "#]]);
}

#[test]
fn an_unknown_format_names_those_there_are() {
    Scenario::small().run(["check", "--format", "xml"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: invalid value 'xml' for '--format <FORMAT>'
          [possible values: human, json, junit, sarif, github, markdown]

        For more information, try '--help'.
    "#]]);
}

#[test]
fn without_a_terminal_there_is_a_line_a_change_and_nothing_moves() {
    let ran = changed().run("deploy lab --yes");
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(!ran.stderr.contains('\r') && !ran.stderr.contains('\u{1b}'), "{ran}");
    assert!(ran.stderr.lines().all(|line| !line.trim().is_empty()), "{ran}");
}
