//! `graph`: the stacks and what flows between them.

use expect_test::{Expect, expect};

use crate::support::{LAB, STORE, STORE_INPUTS, Scenario};

/// A chain, a stack that is only read, one of another environment, and one that is only waited for.
fn flows() -> Scenario {
    let inputs = STORE_INPUTS.to_string() + "  source: {type: string, x-parameter: Source, description: Where from}\n";
    let store =
        STORE.replace("Resources:", "{% if source %}\nParameters: {Source: {Type: String}}\n{% endif %}\nResources:");
    let stacks = r"  reader: {template: store, values: {topic: b, source: {output: store.TopicArn}}}
  old: {managed: false}
  user: {template: store, values: {topic: c, source: {output: old.Url}}, needs: [reader]}
  far-away: {template: store, values: {topic: d, source: {output: twin/store.TopicArn}}}
";
    Scenario::small()
        .store_inputs(&inputs)
        .store(&store)
        .lab(&format!("{LAB}{stacks}"))
        .file("environments/twin.yaml", LAB.replace("1111", "2222"))
}

fn draws(arguments: &[&str], expected: Expect) {
    flows().run([&["graph", "lab"], arguments].concat()).expect(expected);
}

#[test]
fn as_mermaid() {
    draws(
        &[],
        expect![[r#"
            exit 0
            -- stdout
            flowchart LR
              store["store"]
              reader["reader"]
              old(["old"])
              user["user"]
              far_away["far-away"]
              store -->|TopicArn| reader
              old -->|Url| user
              reader -->|needed first| user
              twin_store(["twin/store"]) -->|TopicArn| far_away
        "#]],
    );
}

#[test]
fn as_dot() {
    draws(
        &["--as", "dot"],
        expect![[r#"
            exit 0
            -- stdout
            digraph "lab" {
              rankdir=LR;
              node [shape=box];
              store [label="store"];
              reader [label="reader"];
              old [label="old", style=rounded];
              user [label="user"];
              far_away [label="far-away"];
              store -> reader [label="TopicArn"];
              old -> user [label="Url"];
              reader -> user [label="needed first"];
              twin_store [label="twin/store", style=rounded];
              twin_store -> far_away [label="TopicArn"];
            }
        "#]],
    );
}

#[test]
fn for_programs() {
    draws(
        &["--format", "json"],
        expect![[r#"
            exit 0
            -- stdout
            {
              "schema": 1,
              "graph": {
                "environment": "lab",
                "stacks": [
                  "store",
                  "reader",
                  "old",
                  "user",
                  "far-away"
                ],
                "unmanaged": [
                  "old"
                ],
                "flows": [
                  {
                    "from": "store",
                    "output": "TopicArn",
                    "to": "reader",
                    "input": "source"
                  },
                  {
                    "from": "old",
                    "output": "Url",
                    "to": "user",
                    "input": "source"
                  },
                  {
                    "from": "reader",
                    "output": null,
                    "to": "user",
                    "input": null
                  },
                  {
                    "from_environment": "twin",
                    "from": "store",
                    "output": "TopicArn",
                    "to": "far-away",
                    "input": "source"
                  }
                ]
              }
            }
        "#]],
    );
}

#[test]
fn a_circle_cannot_be_drawn_in_order() {
    let scenario = Scenario::small().lab(&format!("{LAB}    needs: [store]\n"));
    scenario.run(["graph", "lab"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: these stacks wait for each other: store → store
         --> environments/lab.yaml:7:13
          |
        7 |     needs: [store]
          |             ^^^^^
    "#]]);
}
