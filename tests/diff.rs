//! `diff`: what differs between two environments, in meaning.

use expect_test::expect;

use crate::support::{LAB, STORE, Scenario};

/// `lab` and `twin`, which says something else.
fn lab_and_twin(twin: &str) -> Scenario {
    Scenario::small().file("environments/twin.yaml", format!("inherits: lab\naccount: '222222222222'\n{twin}"))
}

#[test]
fn names_and_accounts_are_no_differences() {
    let store = STORE.replace("{{ topic }} of", "{{ environment }} {{ account }}");
    lab_and_twin("").store(&store).run(["diff", "lab", "twin"]).expect(expect![[r#"
        exit 0
        -- stdout
        lab and twin differ in nothing but their names
    "#]]);
}

#[test]
fn values_and_what_they_do_to_the_template() {
    let scenario = lab_and_twin("stacks: {store: {values: {size: 4}}, other: {template: store, values: {topic: b}}}\n");
    scenario.run(["diff", "lab", "twin"]).expect(expect![[r#"
        exit 0
        -- stdout
        store
          size  3 → 4  templates/store/inputs.yaml:5:46 → environments/twin.yaml:3:33
          ~ Topic  AWS::SNS::Topic
              DisplayName  papers of 3 → papers of 4

        other
          only in twin
    "#]]);
}

#[test]
fn the_same_for_programs() {
    let scenario = lab_and_twin("stacks: {store: {values: {size: 4}}}\n");
    scenario.run(["diff", "lab", "twin", "--format", "json"]).expect(expect![[r#"
        exit 0
        -- stdout
        {
          "schema": 1,
          "differences": {
            "environment": "lab",
            "other": "twin",
            "stacks": [
              {
                "stack": "store",
                "values": [
                  {
                    "input": "size",
                    "before": {
                      "value": "3",
                      "place": {
                        "path": "templates/store/inputs.yaml",
                        "line": 5,
                        "column": 46
                      }
                    },
                    "after": {
                      "value": "4",
                      "place": {
                        "path": "environments/twin.yaml",
                        "line": 3,
                        "column": 33
                      }
                    }
                  }
                ],
                "template": {
                  "resources": [
                    {
                      "resource": "Topic",
                      "kind": "AWS::SNS::Topic",
                      "difference": {
                        "changed": [
                          {
                            "path": "DisplayName",
                            "before": "papers of 3",
                            "after": "papers of 4"
                          }
                        ]
                      }
                    }
                  ],
                  "rest": []
                },
                "declared_resources": 0
              }
            ]
          }
        }
    "#]]);
}

#[test]
fn a_declared_difference_is_honoured() {
    let scenario = lab_and_twin(
        "stacks: {store: {values: {size: 4}}}\ndifferences: [{path: store/size, because: it is a twin, until: 2026-11-25}]\n",
    );
    scenario.run(["diff", "lab", "twin", "--exit-code"]).expect(expect![[r#"
        exit 0
        -- stdout
        store
          size  3 → 4  templates/store/inputs.yaml:5:46 → environments/twin.yaml:3:33  declared: it is a twin
          1 resource differs only in what is declared
    "#]]);
}

#[test]
fn a_declared_difference_that_has_ended_is_not() {
    let scenario = lab_and_twin(
        "stacks: {store: {values: {size: 4}}}\ndifferences: [{path: store/size, because: it is a twin, until: 2026-11-24}]\n",
    );
    scenario.run(["diff", "lab", "twin", "--exit-code"]).expect(expect![[r#"
        exit 4
        -- stdout
        store
          size  3 → 4  templates/store/inputs.yaml:5:46 → environments/twin.yaml:3:33
          ~ Topic  AWS::SNS::Topic
              DisplayName  papers of 3 → papers of 4

        warning: `store/size` ended on 2026-11-24 and is not honoured (environments/twin.yaml:4:22)
    "#]]);
}

#[test]
fn a_declared_difference_that_is_not_there() {
    let scenario = lab_and_twin("differences: [{path: store/topic, because: it is a twin, until: 2027-01-01}]\n");
    scenario.run(["diff", "lab", "twin", "--exit-code"]).expect(expect![[r#"
        exit 0
        -- stdout
        lab and twin differ in nothing but their names

        warning: `store/topic` declares a difference that is not there (environments/twin.yaml:3:22)
    "#]]);
}

#[test]
fn a_difference_ends_with_4_only_if_asked() {
    let scenario = lab_and_twin("stacks: {store: {values: {size: 4}}}\n");
    assert_eq!(scenario.run(["diff", "lab", "twin"]).code, Some(0));
    assert_eq!(scenario.run(["diff", "lab", "twin", "--exit-code"]).code, Some(4));
}

#[test]
fn a_property_may_differ_by_declaration() {
    let scenario = lab_and_twin(
        "stacks: {store: {values: {size: 4}}}\ndifferences: [{path: store/Topic/DisplayName, because: so, until: 2027-01-01}]\n",
    );
    scenario.run(["diff", "lab", "twin", "--exit-code"]).expect(expect![[r#"
        exit 4
        -- stdout
        store
          size  3 → 4  templates/store/inputs.yaml:5:46 → environments/twin.yaml:3:33
          1 resource differs only in what is declared
    "#]]);
}

#[test]
fn what_cannot_be_rendered_cannot_be_compared() {
    let scenario = Scenario::small()
        .file("environments/twin.yaml", LAB.replace("1111", "2222").replace("topic: papers", "topic: papers, size: 0"));
    scenario.run(["diff", "lab", "twin"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: `store.size`: at least 1 expected, but this is 0
         --> environments/twin.yaml:6:35
          |
        6 |     values: {topic: papers, size: 0}
          |                                   ^
          |
          = hint: How many there are
    "#]]);
}
