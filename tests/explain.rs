//! `explain`: where a value comes from and where it goes.

use expect_test::expect;

use crate::support::{LAB, STORE_INPUTS, Scenario};

/// Three layers: an abstract base, an environment, and one that inherits from it.
fn layers() -> Scenario {
    let base = "abstract: true\nproject: demo\nregion: eu-west-1\nvalues: {size: 2}\nstacks:\n  store: {values: {topic: papers}}\n";
    let lab = "inherits: base\naccount: '111111111111'\nprotected: true\nvalues: {size: 5}\n";
    let twin = "inherits: lab\naccount: '222222222222'\nstacks:\n  store: {values: {topic: twins, size: 7}}\n";
    Scenario::small().lab(lab).file("environments/base.yaml", base).file("environments/twin.yaml", twin)
}

#[test]
fn the_winning_place_every_overridden_one_and_where_it_ends_up() {
    layers().run(["explain", "twin", "store.size"]).expect(expect![[r#"
        exit 0
        -- stdout
        store.size = 7
          How many there are (integer, at least 1)

        said in
          environments/twin.yaml:4:40       7  wins
          environments/lab.yaml:4:16        5  overridden
          environments/base.yaml:4:16       2  overridden
          templates/store/inputs.yaml:5:46  3  overridden

        ends up in
          Topic  AWS::SNS::Topic  DisplayName  changes it in place
    "#]]);
}

#[test]
fn the_same_for_programs() {
    layers().run(["explain", "twin", "store.topic", "--format", "json"]).expect(expect![[r#"
        exit 0
        -- stdout
        {
          "schema": 1,
          "explanation": {
            "path": "store.topic",
            "value": "twins",
            "places": [
              {
                "place": {
                  "path": "environments/twin.yaml",
                  "line": 4,
                  "column": 27
                },
                "text": "twins",
                "standing": "wins"
              },
              {
                "place": {
                  "path": "environments/base.yaml",
                  "line": 6,
                  "column": 27
                },
                "text": "papers",
                "standing": "overridden"
              }
            ],
            "input": {
              "about": "What the topic is called",
              "takes": "text"
            },
            "lands_in": [
              {
                "resource": "Topic",
                "kind": "AWS::SNS::Topic",
                "property": "DisplayName",
                "changing_it": "changes it in place"
              },
              {
                "resource": "Topic",
                "kind": "AWS::SNS::Topic",
                "property": "TopicName",
                "changing_it": "replaces it"
              }
            ]
          }
        }
    "#]]);
}

#[test]
fn identity_is_shown_where_it_stands_and_said_to_hold_for_that_environment_alone() {
    let scenario = layers();
    scenario.run(["explain", "twin", "account"]).expect(expect![[r#"
        exit 0
        -- stdout
        account = 222222222222

        said in
          environments/twin.yaml:2:10  222222222222             wins
          environments/lab.yaml:2:1    account: '111111111111'  holds for that environment alone
    "#]]);
    scenario.run(["explain", "twin", "protected"]).expect(expect![[r#"
        exit 0
        -- stdout
        protected = nothing

        said in
          environments/lab.yaml:3:1  protected: true  holds for that environment alone
    "#]]);
}

#[test]
fn a_default_comes_from_the_template() {
    Scenario::small().run(["explain", "lab", "store.size"]).expect(expect![[r#"
        exit 0
        -- stdout
        store.size = 3
          How many there are (integer, at least 1)

        said in
          templates/store/inputs.yaml:5:46  3  wins

        ends up in
          Topic  AWS::SNS::Topic  DisplayName  changes it in place
    "#]]);
}

#[test]
fn every_value_of_every_stack() {
    layers().run(["explain", "twin"]).expect(expect![[r#"
        exit 0
        -- stdout
        store.topic  twins  environments/twin.yaml:4:27
        store.size   7      environments/twin.yaml:4:40
    "#]]);
}

#[test]
fn a_stack_by_its_name_and_a_key_of_it() {
    let scenario = Scenario::small().lab(&LAB.replace("  store:\n", "  store:\n    region: us-east-1\n"));
    scenario.run(["explain", "lab", "store.region"]).expect(expect![[r#"
        exit 0
        -- stdout
        store.region = us-east-1

        said in
          environments/lab.yaml:6:13  us-east-1  wins
    "#]]);
    scenario.run(["explain", "lab", "store"]).expect(expect![[r#"
        exit 0
        -- stdout
        store = {region: us-east-1, values: {topic: papers}}

        said in
          environments/lab.yaml:6:5  {region: us-east-1, values: {topic: papers}}  wins
    "#]]);
}

#[test]
fn what_is_removed() {
    let scenario = layers().edit("environments/twin.yaml", "size: 7", "size: ~");
    scenario.run(["explain", "twin", "store.size"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: null removes what a layer below says, but none says `stacks.store.values.size`
         --> environments/twin.yaml:4:34
          |
        4 |   store: {values: {topic: twins, size: ~}}
          |                                  ^^^^
          |
          = hint: give it a value, or take the line out
    "#]]);
}

/// Once everything else of the stack was "nothing".
#[test]
fn a_value_beside_a_wrong_one() {
    let scenario = Scenario::small().lab(&LAB.replace("topic: papers", "topic: papers, size: 0"));
    scenario.run(["explain", "lab", "store.topic"]).expect(expect![[r#"
        exit 0
        -- stdout
        store.topic = papers
          What the topic is called (text)

        said in
          environments/lab.yaml:6:21  papers  wins

        where it ends up is not known: the stack's values are wrong
        hint: `greenroom check` says what is wrong
    "#]]);
    scenario.run(["explain", "lab"]).expect(expect![[r#"
        exit 0
        -- stdout
        store.topic  papers  environments/lab.yaml:6:21
        store.size   0       environments/lab.yaml:6:35
    "#]]);
}

#[test]
fn a_default_inside_a_value() {
    let inputs = STORE_INPUTS.to_string()
        + "  limits: {type: object, properties: {min: {type: integer}, max: {type: integer, default: 9}}, description: Bounds}\n";
    let scenario =
        Scenario::small().store_inputs(&inputs).lab(&LAB.replace("topic: papers", "topic: papers, limits: {min: 1}"));
    scenario.run(["explain", "lab", "store.limits.max"]).expect(expect![[r#"
        exit 0
        -- stdout
        store.limits.max = 9
          Bounds (object)

        ends up in no resource of this rendering
    "#]]);
}
