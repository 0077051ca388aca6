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

/// The counts of `JUnit`'s root: tests, failures, errors. It is XML, and the counts are those of its cases.
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
    junit_ran.expect(expect![[r#"
        exit 2
        -- stdout
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="greenroom check" tests="2" failures="1" errors="0">
          <testsuite name="lab" tests="2" failures="1" errors="0">
            <testcase classname="check.lab" name="environment"/>
            <testcase classname="check.lab" name="store">
              <failure message="`store` lacks the input `topic` (and 1 more)" type="check/missing-input">environments/lab.yaml:5:3: `store` lacks the input `topic`
        templates/store/inputs.yaml:4:3: What the topic is called
        hint: say `topic:` under `stacks.store.values`

        environments/lab.yaml:6:14: the template `store` has no input `topik`
        hint: did you mean `topic`?</failure>
            </testcase>
          </testsuite>
        </testsuites>
    "#]]);
    sarif_ran.expect(expect![[r#"
        exit 2
        -- stdout
        {
          "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
          "version": "2.1.0",
          "runs": [
            {
              "tool": {
                "driver": {
                  "name": "greenroom",
                  "semanticVersion": "0.1.0",
                  "rules": [
                    {
                      "id": "check/missing-input",
                      "shortDescription": {
                        "text": "check: missing input"
                      },
                      "fullDescription": {
                        "text": "found by `greenroom check`: missing input"
                      },
                      "help": {
                        "text": "`greenroom check --help` says what is looked at, and what can be done"
                      }
                    },
                    {
                      "id": "check/unknown-input",
                      "shortDescription": {
                        "text": "check: unknown input"
                      },
                      "fullDescription": {
                        "text": "found by `greenroom check`: unknown input"
                      },
                      "help": {
                        "text": "`greenroom check --help` says what is looked at, and what can be done"
                      }
                    }
                  ]
                }
              },
              "automationDetails": {
                "id": "greenroom check/"
              },
              "columnKind": "unicodeCodePoints",
              "originalUriBaseIds": {
                "%SRCROOT%": {
                  "description": {
                    "text": "the root of the checkout"
                  }
                }
              },
              "invocations": [
                {
                  "executionSuccessful": true,
                  "exitCode": 2
                }
              ],
              "results": [
                {
                  "ruleId": "check/missing-input",
                  "ruleIndex": 0,
                  "level": "error",
                  "message": {
                    "text": "`store` lacks the input `topic`\ntemplates/store/inputs.yaml:4:3: What the topic is called\nhint: say `topic:` under `stacks.store.values`"
                  },
                  "locations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "environments/lab.yaml",
                          "uriBaseId": "%SRCROOT%"
                        },
                        "region": {
                          "startLine": 5,
                          "startColumn": 3,
                          "endLine": 5,
                          "endColumn": 8
                        }
                      }
                    }
                  ],
                  "partialFingerprints": {
                    "greenroom/v1": "c765361904006804f399deaeebf564e4:1"
                  },
                  "relatedLocations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "templates/store/inputs.yaml",
                          "uriBaseId": "%SRCROOT%"
                        },
                        "region": {
                          "startLine": 4,
                          "startColumn": 3
                        }
                      },
                      "id": 0,
                      "message": {
                        "text": "What the topic is called"
                      }
                    }
                  ]
                },
                {
                  "ruleId": "check/unknown-input",
                  "ruleIndex": 1,
                  "level": "error",
                  "message": {
                    "text": "the template `store` has no input `topik`\nhint: did you mean `topic`?"
                  },
                  "locations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "environments/lab.yaml",
                          "uriBaseId": "%SRCROOT%"
                        },
                        "region": {
                          "startLine": 6,
                          "startColumn": 14,
                          "endLine": 6,
                          "endColumn": 19
                        }
                      }
                    }
                  ],
                  "partialFingerprints": {
                    "greenroom/v1": "e1317ed9177a6206bfc919f7a6a62dea:1"
                  }
                }
              ]
            }
          ]
        }
    "#]]);
    github_ran.expect(expect![[r#"
        exit 2
        -- stdout
        ::error file=environments/lab.yaml,line=5,col=3,title=greenroom check/missing-input::`store` lacks the input `topic`%0Atemplates/store/inputs.yaml:4:3: What the topic is called%0Ahint: say `topic:` under `stacks.store.values`
        ::error file=environments/lab.yaml,line=6,col=14,title=greenroom check/unknown-input::the template `store` has no input `topik`%0Ahint: did you mean `topic`?
    "#]]);
    markdown_ran.expect(expect![[r#"
        exit 2
        -- stdout
        ### greenroom check

        2 mistakes

        | | place | what |
        |---|---|---|
        | **error** | <code>environments/lab.yaml:5:3</code> | <code>store</code> lacks the input <code>topic</code><br>templates/store/inputs.yaml:4:3: What the topic is called<br>hint: say <code>topic:</code> under <code>stacks.store.values</code> |
        | **error** | <code>environments/lab.yaml:6:14</code> | the template <code>store</code> has no input <code>topik</code><br>hint: did you mean <code>topic</code>? |
    "#]]);
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
    junit_ran.expect(expect![[r#"
        exit 0
        -- stdout
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="greenroom plan of lab" tests="2" failures="0" errors="0">
          <testsuite name="lab" tests="2" failures="0" errors="0">
            <testcase classname="plan.lab" name="store"/>
            <testcase classname="plan.lab" name="api">
              <system-out>environments/lab.yaml:10:14: `api/Level` (AWS::SSM::Parameter) is changed
        Value: info → debug (environments/lab.yaml:10:14)</system-out>
            </testcase>
          </testsuite>
        </testsuites>
    "#]]);
    sarif_ran.expect(expect![[r#"
        exit 0
        -- stdout
        {
          "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
          "version": "2.1.0",
          "runs": [
            {
              "tool": {
                "driver": {
                  "name": "greenroom",
                  "semanticVersion": "0.1.0",
                  "rules": [
                    {
                      "id": "plan/modify",
                      "shortDescription": {
                        "text": "plan: modify"
                      },
                      "fullDescription": {
                        "text": "found by `greenroom plan`: modify"
                      },
                      "help": {
                        "text": "`greenroom plan --help` says what is looked at, and what can be done"
                      }
                    }
                  ]
                }
              },
              "automationDetails": {
                "id": "greenroom plan of lab/"
              },
              "columnKind": "unicodeCodePoints",
              "originalUriBaseIds": {
                "%SRCROOT%": {
                  "description": {
                    "text": "the root of the checkout"
                  }
                }
              },
              "invocations": [
                {
                  "executionSuccessful": true,
                  "exitCode": 0
                }
              ],
              "results": [
                {
                  "ruleId": "plan/modify",
                  "ruleIndex": 0,
                  "level": "note",
                  "message": {
                    "text": "`api/Level` (AWS::SSM::Parameter) is changed\nValue: info → debug (environments/lab.yaml:10:14)"
                  },
                  "locations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "environments/lab.yaml",
                          "uriBaseId": "%SRCROOT%"
                        },
                        "region": {
                          "startLine": 10,
                          "startColumn": 14
                        }
                      }
                    }
                  ],
                  "partialFingerprints": {
                    "greenroom/v1": "9ef9f6b888cd4ff3ca21d5b461e211b6:1"
                  }
                }
              ]
            }
          ]
        }
    "#]]);
    github_ran.expect(expect![[r#"
        exit 0
        -- stdout
        ::notice file=environments/lab.yaml,line=10,col=14,title=greenroom plan/modify::`api/Level` (AWS::SSM::Parameter) is changed%0AValue: info → debug (environments/lab.yaml:10:14)
    "#]]);
    markdown_ran.expect(expect![[r#"
        exit 0
        -- stdout
        ### greenroom plan of lab

        0 to add, 1 to modify, 0 to replace, 0 to remove

        <details><summary><code>api</code>: modify 1</summary>

        ```text
        api                                                          modify 1
          ~ Level  AWS::SSM::Parameter
              Value  info → debug    environments/lab.yaml:10:14
        ```

        </details>
    "#]]);
    let told = cloud.ends("plan lab --exit-code --format junit", 4);
    assert_eq!(junit(&told.stdout), [2, 1, 0]);
}

#[test]
fn drift() {
    let cloud = drifted();
    let [junit_ran, sarif_ran, github_ran, markdown_ran] = in_all(&cloud, "drift lab").map(|ran| ran.stdout_only());
    assert_eq!(junit(&junit_ran.stdout), [2, 1, 0]);
    sarif(&sarif_ran.stdout);
    junit_ran.expect(expect![[r#"
        exit 4
        -- stdout
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="greenroom drift of lab" tests="2" failures="1" errors="0">
          <testsuite name="lab" tests="2" failures="1" errors="0">
            <testcase classname="drift.lab" name="store">
              <failure message="`store/Queue/VisibilityTimeout`: 30 → 99" type="drift/changed-by-hand">templates/store/inputs.yaml:5:46: `store/Queue/VisibilityTimeout`: 30 → 99
        changed by hand: past CloudFormation, since the last deployment
        hint: `greenroom drift lab` says how to keep it, undo it or let it be</failure>
            </testcase>
            <testcase classname="drift.lab" name="api"/>
          </testsuite>
        </testsuites>
    "#]]);
    sarif_ran.expect(expect![[r#"
        exit 4
        -- stdout
        {
          "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
          "version": "2.1.0",
          "runs": [
            {
              "tool": {
                "driver": {
                  "name": "greenroom",
                  "semanticVersion": "0.1.0",
                  "rules": [
                    {
                      "id": "drift/changed-by-hand",
                      "shortDescription": {
                        "text": "drift: changed by hand"
                      },
                      "fullDescription": {
                        "text": "found by `greenroom drift`: changed by hand"
                      },
                      "help": {
                        "text": "`greenroom drift --help` says what is looked at, and what can be done"
                      }
                    }
                  ]
                }
              },
              "automationDetails": {
                "id": "greenroom drift of lab/"
              },
              "columnKind": "unicodeCodePoints",
              "originalUriBaseIds": {
                "%SRCROOT%": {
                  "description": {
                    "text": "the root of the checkout"
                  }
                }
              },
              "invocations": [
                {
                  "executionSuccessful": true,
                  "exitCode": 4
                }
              ],
              "results": [
                {
                  "ruleId": "drift/changed-by-hand",
                  "ruleIndex": 0,
                  "level": "error",
                  "message": {
                    "text": "`store/Queue/VisibilityTimeout`: 30 → 99\nchanged by hand: past CloudFormation, since the last deployment\nhint: `greenroom drift lab` says how to keep it, undo it or let it be"
                  },
                  "locations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "templates/store/inputs.yaml",
                          "uriBaseId": "%SRCROOT%"
                        },
                        "region": {
                          "startLine": 5,
                          "startColumn": 46
                        }
                      }
                    }
                  ],
                  "partialFingerprints": {
                    "greenroom/v1": "50ed7a25dc6fdc87e23dcea3c437bfe1:1"
                  }
                }
              ]
            }
          ]
        }
    "#]]);
    github_ran.expect(expect![[r#"
        exit 4
        -- stdout
        ::error file=templates/store/inputs.yaml,line=5,col=46,title=greenroom drift/changed-by-hand::`store/Queue/VisibilityTimeout`: 30 → 99%0Achanged by hand: past CloudFormation, since the last deployment%0Ahint: `greenroom drift lab` says how to keep it, undo it or let it be
    "#]]);
    markdown_ran.expect(expect![[r#"
        exit 4
        -- stdout
        ### greenroom drift of lab

        lab: 1 difference; 3 resources in sync, in 2 stacks

        | | place | what |
        |---|---|---|
        | **error** | <code>templates/store/inputs.yaml:5:46</code> | <code>store/Queue/VisibilityTimeout</code>: 30 → 99<br>changed by hand: past CloudFormation, since the last deployment<br>hint: <code>greenroom drift lab</code> says how to keep it, undo it or let it be |

        <details><summary>all that was found</summary>

        ```text
        store
          ~ Queue  AWS::SQS::Queue
              VisibilityTimeout  30 → 99   templates/store/inputs.yaml:5:46
                  changed by hand: past CloudFormation, since the last deployment

        lab: 1 difference; 3 resources in sync, in 2 stacks
        hint: keep it: `greenroom drift lab --adopt store/Queue/VisibilityTimeout`
        hint: undo it: `greenroom drift lab --revert store/Queue`
        hint: let it be: `greenroom drift lab --ignore store/Queue/VisibilityTimeout --until DATE --because TEXT`
        ```

        </details>
    "#]]);
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
                assert!(ran.stdout.starts_with("::error title=greenroom run/failed::111111111111 is a"), "{ran}");
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
                assert!(
                    ran.stdout.lines().all(|line| line.starts_with("::")) && ran.stdout.contains("a%250A"),
                    "{ran}"
                );
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

#[test]
fn what_could_not_be_read_is_an_error_and_no_failure() {
    let cloud = drifted();
    cloud.control("faults", r#"[{"logical_id": "Queue", "effect": "unreadable"}]"#);
    let [junit_ran, sarif_ran, github_ran, markdown_ran] = in_all(&cloud, "drift lab");
    assert_eq!((junit_ran.code, junit(&junit_ran.stdout)), (Some(6), [2, 0, 1]));
    let run = &sarif(&sarif_ran.stdout)["runs"][0];
    assert_eq!(run["invocations"][0], json!({"executionSuccessful": false, "exitCode": 6}));
    let place = &run["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "environments/lab.yaml");
    assert!(github_ran.stdout.starts_with("::error title=greenroom drift/unread::"), "{github_ran}");
    assert!(markdown_ran.stdout.contains("| unknown |"), "{markdown_ran}");
}

#[test]
fn what_is_let_be_is_suppressed_and_fails_nothing() {
    let mut cloud = drifted();
    let ignores = "drift:\n  ignore:\n    - {path: store/Queue, because: a test, until: 2027-06-30}\nstacks:\n";
    cloud.edit("environments/lab.yaml", "stacks:\n", ignores);
    let [junit_ran, sarif_ran, github_ran, _] = in_all(&cloud, "drift lab");
    assert_eq!((junit_ran.code, junit(&junit_ran.stdout)), (Some(0), [2, 0, 0]));
    let result = &sarif(&sarif_ran.stdout)["runs"][0]["results"][0];
    assert_eq!(
        result["suppressions"],
        json!([{"kind": "inSource", "justification": "ignored until 2027-06-30: a test"}])
    );
    assert_eq!(github_ran.stdout, "");
}

#[test]
fn what_deploy_would_refuse_fails() {
    let cloud = Cloud::of(pair());
    cloud.by_hand(
        "CreateStack",
        &[("StackName", "demo-lab-store"), ("TemplateBody", r#"{"Resources":{"Topic":{"Type":"AWS::SNS::Topic"}}}"#)],
    );
    cloud.come_to_rest();
    let [junit_ran, sarif_ran, github_ran, markdown_ran] = in_all(&cloud, "plan lab");
    assert!(junit(&junit_ran.stdout)[1] > 0, "{junit_ran}");
    let results = &sarif(&sarif_ran.stdout)["runs"][0]["results"];
    assert_eq!((&results[0]["ruleId"], &results[0]["level"]), (&json!("plan/refused/not-ours"), &json!("error")));
    assert!(
        github_ran.stdout.starts_with("::error title=greenroom plan/refused/not-ours::deploy will refuse"),
        "{github_ran}"
    );
    assert!(markdown_ran.stdout.contains("| **error** |"), "{markdown_ran}");
}

#[test]
fn json_is_published_for_each_verb() {
    // Whoever runs anything here has its JSON held against `docs/schemas/`; these are the verbs by name.
    let cloud = drifted();
    for line in ["check --format json", "plan lab --format json", "drift lab --format json"] {
        let ran = cloud.run(line);
        assert!(serde_json::from_str::<Value>(&ran.stdout).is_ok(), "{ran}");
    }
    let failed = Scenario::small().run(["plan", "lab", "--format", "json"]);
    assert!(failed.stderr.contains("\"exit_code\":3"), "{failed}");
}
