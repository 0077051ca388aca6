//! The gallery: every message a user can meet from the verbs that need no cloud, each once, as it is shown.
//!
//! Read it as the one who is called at three in the morning: is it said once, at the place that must be edited, and does it say
//! what to type?

use expect_test::{Expect, expect};

use crate::support::{LAB, Ran, STORE, STORE_INPUTS, Scenario};

/// Checks the project: what is said to people, that programs are told the same, and that nothing was written.
#[track_caller]
fn check_says(scenario: &Scenario, expected: Expect) {
    let before = scenario.files();
    let ran = scenario.run(["check"]);
    let told = findings(&scenario.run(["check", "--format", "json"]));
    ran.expect(expected);
    let titles = ran.stderr.lines().filter(|line| line.starts_with("error: ") || line.starts_with("warning: ")).count();
    assert_eq!(told.len(), titles, "people and programs are told different things: {told:?}");
    assert_eq!(scenario.files(), before, "a check writes nothing");
}

/// The messages that a program is told.
fn findings(ran: &Ran) -> Vec<String> {
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["message"].as_str().unwrap().to_string()).collect()
}

/// `lab` with one line more.
fn lab_and(line: &str) -> Scenario {
    Scenario::small().lab(&format!("{LAB}{line}\n"))
}

/// `store` with other values.
fn lab_with_values(values: &str) -> Scenario {
    Scenario::small().lab(&LAB.replace("{topic: papers}", values))
}

/// `store` with one resource more.
fn store_and(resource: &str) -> Scenario {
    Scenario::small().store(&STORE.replace("Outputs:", &format!("{resource}\nOutputs:")))
}

// ---- files

#[test]
fn a_file_that_cannot_be_read() {
    check_says(
        &Scenario::small().link("environments/lost.yaml", "nowhere.yaml"),
        expect![[r#"
            exit 2
            -- stderr
            error: `environments/lost.yaml` cannot be read: no such file or directory
        "#]],
    );
}

#[test]
fn a_directory_where_a_file_is_due() {
    check_says(
        &Scenario::small().directory("environments/deep.yaml"),
        expect![[r#"
            exit 2
            -- stderr
            error: `environments/deep.yaml` is not a regular file
        "#]],
    );
}

#[test]
fn a_file_that_is_not_utf8() {
    check_says(
        &Scenario::small().lab("").file("environments/lab.yaml", b"project: caf\xe9\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: `environments/lab.yaml` is not UTF-8: byte 12 is 0xe9
        "#]],
    );
}

#[test]
fn a_template_that_is_not_utf8() {
    check_says(
        &Scenario::small().file("templates/store/stack.yaml", b"Resources: caf\xe9\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: `templates/store/stack.yaml` is not UTF-8: byte 14 is 0xe9
              met in `lab/store`
        "#]],
    );
}

#[test]
fn a_file_beyond_the_limit() {
    check_says(
        &lab_and(&"# ".repeat(2 * 1024 * 1024 + 1)),
        expect![[r#"
            exit 2
            -- stderr
            error: `environments/lab.yaml` is larger than 4 MiB, the most that is read
        "#]],
    );
}

#[test]
fn a_link_out_of_the_project() {
    check_says(
        &Scenario::small().link("environments/host.yaml", "/etc/hostname"),
        expect![[r#"
            exit 2
            -- stderr
            error: `environments/host.yaml` is a link to a place outside the project, /etc/hostname
        "#]],
    );
}

#[test]
fn a_file_of_another_ending() {
    check_says(
        &Scenario::small().file("environments/stage.yml", LAB),
        expect![[r#"
            exit 2
            -- stderr
            error: `environments/stage.yml` is not read: environment files end in `.yaml`

            hint: rename it to `stage.yaml`
        "#]],
    );
}

#[test]
fn a_stack_policy_that_cloudformation_would_not_take() {
    let lab = lab_and(
        "deploy: {stack_policy: {Statement: [{Effect: Deny, Action: Update, Principal: '*', Resource: Topic}]}}",
    );
    check_says(
        &lab,
        expect![[r#"
        exit 2
        -- stderr
        error: an action is `Update:Modify`, `Update:Replace`, `Update:Delete` or `Update:*`, not `Update`
         --> environments/lab.yaml:7:60
          |
        7 | deploy: {stack_policy: {Statement: [{Effect: Deny, Action: Update, Principal: '*', Resource: Topic}]}}
          |                                                            ^^^^^^

        error: a resource is `*` or `LogicalResourceId/NAME`, not `Topic`
         --> environments/lab.yaml:7:94
          |
        7 | deploy: {stack_policy: {Statement: [{Effect: Deny, Action: Update, Principal: '*', Resource: Topic}]}}
          |                                                                                              ^^^^^

        2 mistakes
    "#]],
    );
}

#[test]
fn an_empty_file() {
    check_says(
        &Scenario::small().file("environments/new.yaml", "# nothing yet\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: `environments/new.yaml` is empty
             --> environments/new.yaml:1:1
              |
            1 | # nothing yet
              | ^
              |
              = hint: an environment says at least `inherits:`, or its account, Region and stacks
        "#]],
    );
}

#[test]
fn no_environments_at_all() {
    let scenario = Scenario::empty();
    scenario.run(["check", "--project", "."]).expect(expect![[r#"
        exit 2
        -- stderr
        error: there is no `environments/` in .

        hint: `greenroom init NAME` writes a project to start from
    "#]]);
}

#[test]
fn no_project_here_or_above() {
    Scenario::empty().run(["check"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: there is no `environments/` in [project] or in a directory above it

        hint: `greenroom init NAME` writes a project to start from; `--project DIR` names one
    "#]]);
}

#[test]
fn an_empty_folder_of_environments() {
    check_says(
        &Scenario::empty().directory("environments"),
        expect![[r#"
            exit 2
            -- stderr
            error: `environments/` holds no environment

            hint: `greenroom init NAME` shows what they look like
        "#]],
    );
}

// ---- YAML

#[test]
fn a_tab() {
    check_says(
        &lab_and("tags:\n\tteam: one"),
        expect![[r#"
            exit 2
            -- stderr
            error: a tab cannot indent YAML
             --> environments/lab.yaml:8:1
              |
            8 |     team: one
              | ^^^^
              |
              = hint: indent with spaces
        "#]],
    );
}

#[test]
fn two_documents() {
    check_says(
        &lab_and("---\nproject: other"),
        expect![[r#"
            exit 2
            -- stderr
            error: a second document begins here, but a file holds one
             --> environments/lab.yaml:7:1
              |
            7 | ---
              | ^^^
              |
              = hint: give each document a file of its own
        "#]],
    );
}

#[test]
fn a_key_twice() {
    check_says(
        &lab_and("region: eu-west-2"),
        expect![[r#"
            exit 2
            -- stderr
            error: `region` stands twice in this map
             --> environments/lab.yaml:7:1
              |
            7 | region: eu-west-2
              | ^^^^^^
              |
             ::: environments/lab.yaml:3:1
              |
            3 | region: eu-west-1
              | ------ first here
              |
              = hint: keep one of the two
        "#]],
    );
}

#[test]
fn lines_that_end_as_on_windows() {
    check_says(
        &Scenario::small().lab(&LAB.replace("region", "regoin").replace('\n', "\r\n")),
        expect![[r#"
            exit 2
            -- stderr
            error: `lab` says no `region`
             --> environments/lab.yaml:1:1
              |
            1 | project: demo
              | ^
              |
              = hint: say `region:` here or in a file it inherits

            error: unknown key `regoin`
             --> environments/lab.yaml:3:1
              |
            3 | regoin: eu-west-1
              | ^^^^^^
              |
              = hint: did you mean `region`?

            2 mistakes
        "#]],
    );
}

#[test]
fn an_empty_text() {
    check_says(
        &lab_and("owner: ''"),
        expect![[r#"
            exit 2
            -- stderr
            error: text expected, but this is empty
             --> environments/lab.yaml:7:8
              |
            7 | owner: ''
              |        ^^
        "#]],
    );
}

#[test]
fn text_that_is_not_yaml() {
    check_says(
        &lab_and("about: one: two"),
        expect![[r#"
            exit 2
            -- stderr
            error: this is not YAML: mapping values are not allowed in this context
             --> environments/lab.yaml:7:11
              |
            7 | about: one: two
              |           ^
              |
              = hint: text that holds `: ` must be quoted; a key must be indented like its neighbours
        "#]],
    );
}

#[test]
fn a_bracket_that_is_not_closed() {
    check_says(
        &lab_and("tags: {team: one"),
        expect![[r#"
            exit 2
            -- stderr
            error: this is not YAML: a map in braces: did not find expected ',' or '}'
             --> environments/lab.yaml:8:1
              |
            8 |
              | ^
              |
              = hint: a bracket opened before this is not closed, or text that holds `: ` is not quoted
        "#]],
    );
}

#[test]
fn a_list_where_an_environment_is_due() {
    check_says(
        &Scenario::small().lab("[project, region]\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: a map expected, but this is a list
             --> environments/lab.yaml:1:1
              |
            1 | [project, region]
              | ^^^^^^^^^^^^^^^^^
        "#]],
    );
}

#[test]
fn a_merge_key() {
    check_says(
        &lab_and("tags: &tags {team: one}\nvalues:\n  <<: *tags"),
        expect![[r#"
            exit 2
            -- stderr
            error: no template has an input `<<`
             --> environments/lab.yaml:9:3
              |
            9 |   <<: *tags
              |   ^^
              |
              = hint: merge keys are not read; put what is shared into an abstract file and inherit it
        "#]],
    );
}

#[test]
fn an_alias_of_nothing() {
    check_says(
        &lab_and("tags: *nobody"),
        expect![[r#"
            exit 2
            -- stderr
            error: this alias stands for nothing
             --> environments/lab.yaml:7:7
              |
            7 | tags: *nobody
              |       ^
              |
              = hint: an anchor stands before its aliases, in the same file: `&name`, then `*name`
        "#]],
    );
}

#[test]
fn a_billion_laughs() {
    let mut text = String::from("values:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("  a{level}: &a{level} [{below}]\n"));
    }
    check_says(
        &lab_and(&text),
        expect![[r#"
            exit 2
            -- stderr
            error: the aliases of this file stand for more than 10000 values
              --> environments/lab.yaml:11:47
               |
            11 |   a3: &a3 [*a2, *a2, *a2, *a2, *a2, *a2, *a2, *a2, *a2, *a2]
               |                                               ^^^
        "#]],
    );
}

#[test]
fn a_pit_of_brackets() {
    check_says(
        &lab_and(&format!("tags: {}", "[".repeat(100_000))),
        expect![[r#"
            exit 2
            -- stderr
            error: collections lie more than 64 deep in each other
             --> environments/lab.yaml:7:262
              |
            7 | ...[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...
              |                                                                    ^
        "#]],
    );
}

#[test]
fn a_tag_of_templates() {
    check_says(
        &lab_with_values("{topic: !Ref Papers}"),
        expect![[r#"
            exit 2
            -- stderr
            error: the tag `!Ref` means nothing in an environment file
             --> environments/lab.yaml:6:21
              |
            6 |     values: {topic: !Ref Papers}
              |                     ^^^^^^^^^^^
              |
              = hint: templates have tags; here a reference is a map, such as `{output: network.VpcId}`
        "#]],
    );
}

// ---- the shape of an environment file

#[test]
fn an_unknown_key() {
    check_says(
        &lab_and("acount: '222222222222'\nfoo: bar"),
        expect![[r#"
            exit 2
            -- stderr
            error: unknown key `acount`
             --> environments/lab.yaml:7:1
              |
            7 | acount: '222222222222'
              | ^^^^^^
              |
              = hint: did you mean `account`?

            error: unknown key `foo`
             --> environments/lab.yaml:8:1
              |
            8 | foo: bar
              | ^^^
              |
              = hint: known here: abstract, about, requires, inherits, project, stack_name, region, owner, tags, account, protected, lifetime, named, deploy, values, stacks, drift, clone_policy, clone, differences

            2 mistakes
        "#]],
    );
}

#[test]
fn a_wrong_type() {
    check_says(
        &lab_and("protected: yes\nlifetime: 8 hours\ntags: [a]\nowner: {name: me}"),
        expect![[r#"
            exit 2
            -- stderr
            error: `true` or `false` expected, but this is `yes`
             --> environments/lab.yaml:7:12
              |
            7 | protected: yes
              |            ^^^

            error: a duration, such as `90m`, `8h` or `2d`, expected, but this is `8 hours`
             --> environments/lab.yaml:8:11
              |
            8 | lifetime: 8 hours
              |           ^^^^^^^

            error: a map expected, but this is a list
             --> environments/lab.yaml:9:7
              |
            9 | tags: [a]
              |       ^^^

            error: text expected, but this is a map
              --> environments/lab.yaml:10:8
               |
            10 | owner: {name: me}
               |        ^^^^^^^^^^

            4 mistakes
        "#]],
    );
}

#[test]
fn an_account_of_eleven_digits() {
    check_says(
        &Scenario::small().edit("environments/lab.yaml", "111111111111", "11111111111"),
        expect![[r#"
            exit 2
            -- stderr
            error: an account of twelve digits expected, but this is `11111111111`
             --> environments/lab.yaml:2:10
              |
            2 | account: "11111111111"
              |          ^^^^^^^^^^^^^
        "#]],
    );
}

#[test]
fn a_region_that_is_none() {
    check_says(
        &Scenario::small().edit("environments/lab.yaml", "eu-west-1", "Ireland"),
        expect![[r#"
            exit 2
            -- stderr
            error: an AWS Region, such as `ap-southeast-2`, expected, but this is `Ireland`
             --> environments/lab.yaml:3:9
              |
            3 | region: Ireland
              |         ^^^^^^^
        "#]],
    );
}

#[test]
fn a_capability_that_is_none() {
    check_says(
        &lab_and("deploy: {capabilities: [CAPABILITY_IM]}"),
        expect![[r#"
            exit 2
            -- stderr
            error: one of the known words expected, but this is `CAPABILITY_IM`
             --> environments/lab.yaml:7:25
              |
            7 | deploy: {capabilities: [CAPABILITY_IM]}
              |                         ^^^^^^^^^^^^^
              |
              = hint: did you mean `CAPABILITY_IAM`?
        "#]],
    );
}

#[test]
fn a_missing_key() {
    check_says(
        &Scenario::small().edit("environments/lab.yaml", "region: eu-west-1\n", ""),
        expect![[r#"
            exit 2
            -- stderr
            error: `lab` says no `region`
             --> environments/lab.yaml:1:1
              |
            1 | project: demo
              | ^
              |
              = hint: say `region:` here or in a file it inherits
        "#]],
    );
}

#[test]
fn null_where_a_value_is_due() {
    check_says(
        &Scenario::small().lab(&LAB.replace("{topic: papers}", "\n      topic:")),
        expect![[r#"
            exit 2
            -- stderr
            error: `store` lacks the input `topic`
             --> environments/lab.yaml:5:3
              |
            5 |   store:
              |   ^^^^^
              |
             ::: templates/store/inputs.yaml:4:3
              |
            4 |   topic: {type: string, description: What the topic is called}
              |   ----- What the topic is called
              |
              = hint: say `topic:` under `stacks.store.values`

            error: null removes what a layer below says, but none says `stacks.store.values.topic`
             --> environments/lab.yaml:7:7
              |
            7 |       topic:
              |       ^^^^^
              |
              = hint: give it a value, or take the line out

            2 mistakes
        "#]],
    );
}

#[test]
fn a_stack_without_its_braces() {
    check_says(
        &lab_and("  other:"),
        expect![[r#"
            exit 2
            -- stderr
            error: null removes what a layer below says, but none says `stacks.other`
             --> environments/lab.yaml:7:3
              |
            7 |   other:
              |   ^^^^^
              |
              = hint: a stack that needs no settings is written `other: {}`
        "#]],
    );
}

#[test]
fn null_in_a_list() {
    check_says(
        &lab_and("deploy: {notify: [~]}"),
        expect![[r#"
            exit 2
            -- stderr
            error: a value is missing
             --> environments/lab.yaml:7:19
              |
            7 | deploy: {notify: [~]}
              |                   ^ nothing stands here
        "#]],
    );
}

#[test]
fn an_unknown_word() {
    check_says(
        &lab_with_values("{topic: '${enviroment}-${AWS::Region}'}"),
        expect![[r#"
            exit 2
            -- stderr
            error: unknown word `${AWS::Region}`
             --> environments/lab.yaml:6:21
              |
            6 |     values: {topic: '${enviroment}-${AWS::Region}'}
              |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = hint: did you mean `region`?

            error: unknown word `${enviroment}`
             --> environments/lab.yaml:6:21
              |
            6 |     values: {topic: '${enviroment}-${AWS::Region}'}
              |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = hint: did you mean `environment`?

            2 mistakes
        "#]],
    );
}

#[test]
fn a_word_that_is_not_closed() {
    check_says(
        &lab_with_values("{topic: '${environment'}"),
        expect![[r#"
            exit 2
            -- stderr
            error: `${` without its `}`
             --> environments/lab.yaml:6:21
              |
            6 |     values: {topic: '${environment'}
              |                     ^^^^^^^^^^^^^^^
              |
              = hint: for the text itself write `$${`
        "#]],
    );
}

#[test]
fn a_version_that_is_not_ours() {
    check_says(
        &lab_and("requires: '>=99'"),
        expect![[r#"
            exit 2
            -- stderr
            error: this file asks for greenroom >=99; this is 0.1.0
             --> environments/lab.yaml:7:11
              |
            7 | requires: '>=99'
              |           ^^^^^^
              |
              = hint: install that version: `cargo install greenroom --version …`
        "#]],
    );
}

#[test]
fn a_tag_of_awss_own() {
    check_says(
        &lab_and("tags: {'aws:team': one, 'greenroom:stack': two}"),
        expect![[r#"
            exit 2
            -- stderr
            error: tags that begin with `aws:` are not ours to set
             --> environments/lab.yaml:7:8
              |
            7 | tags: {'aws:team': one, 'greenroom:stack': two}
              |        ^^^^^^^^^^

            error: tags that begin with `greenroom:` are not ours to set
             --> environments/lab.yaml:7:25
              |
            7 | tags: {'aws:team': one, 'greenroom:stack': two}
              |                         ^^^^^^^^^^^^^^^^^

            2 mistakes
        "#]],
    );
}

#[test]
fn more_tags_than_a_stack_takes() {
    let tags: String = (0..50).map(|number| format!("  t{number}: x\n")).collect();
    check_says(
        &lab_and(&format!("tags:\n{tags}")),
        expect![[r#"
            exit 2
            -- stderr
            error: 53 tags, the marks included; a stack takes 50
              --> environments/lab.yaml:57:3
               |
            57 |   t49: x
               |   ^^^
        "#]],
    );
}

#[test]
fn a_name_that_no_stack_can_have() {
    check_says(
        &lab_and("stack_name: ${project}_${stack}"),
        expect![[r#"
            exit 2
            -- stderr
            error: `demo_store` is no name for a stack: letters, digits and hyphens, beginning with a letter, at most 128
             --> environments/lab.yaml:7:13
              |
            7 | stack_name: ${project}_${stack}
              |             ^^^^^^^^^^^^^^^^^^^
        "#]],
    );
}

/// Once `render --out DIR` wrote outside of DIR.
#[test]
fn a_stack_called_like_a_path() {
    let scenario = lab_and("  ../../evil: {template: store, stack_name: evil, values: {topic: a}}");
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: `../../evil` cannot be what a stack is called here: letters, digits, hyphens and underscores
             --> environments/lab.yaml:7:3
              |
            7 |   ../../evil: {template: store, stack_name: evil, values: {topic: a}}
              |   ^^^^^^^^^^
        "#]],
    );
    assert_eq!(scenario.run(["render", "lab", "--out", "out"]).code, Some(2));
}

#[test]
fn two_stacks_of_one_name() {
    check_says(
        &lab_and("  other: {template: store, values: {topic: b}}\nstack_name: ${project}"),
        expect![[r#"
            exit 2
            -- stderr
            error: the stacks `store` and `other` would both be called `demo`
             --> environments/lab.yaml:8:13
              |
            8 | stack_name: ${project}
              |             ^^^^^^^^^^
              |
              = hint: the pattern needs `${stack}`
        "#]],
    );
}

#[test]
fn an_exception_that_is_not_whole() {
    check_says(
        &lab_and(
            "drift:\n  ignore:\n    - {path: store/Topic}\n    - {path: store/Topic, because: so, until: 2026-02-30}",
        ),
        expect![[r#"
            exit 2
            -- stderr
            error: `because` is missing
             --> environments/lab.yaml:9:7
              |
            9 |     - {path: store/Topic}
              |       ^^^^^^^^^^^^^^^^^^^

            error: `until` is missing
             --> environments/lab.yaml:9:7
              |
            9 |     - {path: store/Topic}
              |       ^^^^^^^^^^^^^^^^^^^

            error: a date, such as `2027-06-30`, expected, but this is `2026-02-30`
              --> environments/lab.yaml:10:47
               |
            10 |     - {path: store/Topic, because: so, until: 2026-02-30}
               |                                               ^^^^^^^^^^

            3 mistakes
        "#]],
    );
}

#[test]
fn an_exception_that_has_ended() {
    check_says(
        &lab_and("drift: {ignore: [{path: store/Topic, because: so, until: 2026-11-24}]}"),
        expect![[r#"
            exit 0
            -- stderr
            warning: this exception ended on 2026-11-24
             --> environments/lab.yaml:7:58
              |
            7 | drift: {ignore: [{path: store/Topic, because: so, until: 2026-11-24}]}
              |                                                          ^^^^^^^^^^
              |
              = hint: take it out, or say until when it holds
        "#]],
    );
}

// ---- inheritance

#[test]
fn an_unknown_parent() {
    check_says(
        &lab_and("inherits: [bsae, lob]"),
        expect![[r#"
            exit 2
            -- stderr
            error: there is no environment `bsae` to inherit from
             --> environments/lab.yaml:7:12
              |
            7 | inherits: [bsae, lob]
              |            ^^^^
              |
              = hint: write environments/bsae.yaml, or take it out

            error: there is no environment `lob` to inherit from
             --> environments/lab.yaml:7:18
              |
            7 | inherits: [bsae, lob]
              |                  ^^^
              |
              = hint: write environments/lob.yaml, or take it out

            2 mistakes
        "#]],
    );
}

#[test]
fn cyclic_inheritance() {
    let scenario = Scenario::small()
        .file("environments/a.yaml", "inherits: b\n")
        .file("environments/b.yaml", "inherits: c\n")
        .file("environments/c.yaml", "inherits: a\n");
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: `a` inherits from itself: a → b → c → a
             --> environments/c.yaml:1:11
              |
            1 | inherits: a
              |           ^
              |
              = note: inherited by `a`, `b`
              = hint: one of them must not inherit
        "#]],
    );
}

#[test]
fn a_file_that_inherits_from_itself() {
    check_says(
        &lab_and("inherits: lab"),
        expect![[r#"
            exit 2
            -- stderr
            error: `lab` inherits from itself: lab → lab
             --> environments/lab.yaml:7:11
              |
            7 | inherits: lab
              |           ^^^
              |
              = hint: one of them must not inherit
        "#]],
    );
}

#[test]
fn identity_of_a_concrete_environment() {
    check_says(
        &Scenario::small().file("environments/twin.yaml", "inherits: lab\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: `twin` inherits `lab`, but not its account: say `account:`
             --> environments/twin.yaml:1:1
              |
            1 | inherits: lab
              | ^
              |
             ::: environments/lab.yaml:2:1
              |
            2 | account: "111111111111"
              | ------- `lab` says it for itself
        "#]],
    );
}

#[test]
fn a_secret_of_a_concrete_environment() {
    let inputs = STORE_INPUTS.replace("[topic]", "[topic, password]")
        + "  password: {type: string, x-secret: true, description: What opens it}\n";
    let scenario = lab_with_values("{topic: papers, password: {secret: lab}}")
        .store_inputs(&inputs)
        .file("environments/twin.yaml", "inherits: lab\naccount: '222222222222'\n");
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: `store` lacks the input `password`
             --> environments/twin.yaml:1:1
              |
            1 | inherits: lab
              | ^
              |
             ::: templates/store/inputs.yaml:6:3
              |
            6 |   password: {type: string, x-secret: true, description: What opens it}
              |   -------- What opens it
              |
             ::: environments/lab.yaml:6:29
              |
            6 |     values: {topic: papers, password: {secret: lab}}
              |                             -------- a reference to a secret is not inherited from an environment
              |
              = hint: `lab` says it for itself: say `stacks.store.values.password` here
        "#]],
    );
}

#[test]
fn an_inherited_mistake_is_told_once() {
    let scenario = lab_and("abstract: true\nfoo: bar")
        .file("environments/a.yaml", "inherits: lab\n")
        .file("environments/b.yaml", "inherits: lab\naccount: '222222222222'\n");
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: unknown key `foo`
             --> environments/lab.yaml:8:1
              |
            8 | foo: bar
              | ^^^
              |
              = note: inherited by `a`, `b`
              = hint: known here: abstract, about, requires, inherits, project, stack_name, region, owner, tags, account, protected, lifetime, named, deploy, values, stacks, drift, clone_policy, clone, differences
        "#]],
    );
}

#[test]
fn a_wrong_value_of_a_layer_below() {
    let scenario = lab_with_values("{topic: papers, size: 0}")
        .file("environments/a.yaml", "inherits: lab\naccount: '222222222222'\n")
        .file("environments/b.yaml", "inherits: lab\naccount: '333333333333'\n");
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: `store.size`: at least 1 expected, but this is 0
             --> environments/lab.yaml:6:35
              |
            6 |     values: {topic: papers, size: 0}
              |                                   ^
              |
              = note: inherited by `a/store`, `b/store`
              = hint: How many there are
        "#]],
    );
}

#[test]
fn two_environments_that_are_one_stack() {
    let scenario = lab_and("stack_name: ${project}-${stack}")
        .file("environments/twin.yaml", "inherits: lab\naccount: '111111111111'\n");
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: `lab/store` and `twin/store` are the same stack, `demo-store` in account 111111111111, eu-west-1
             --> environments/lab.yaml:7:13
              |
            7 | stack_name: ${project}-${stack}
              |             ^^^^^^^^^^^^^^^^^^^
              |
              = hint: give one of them another account, Region or `stack_name`
        "#]],
    );
}

#[test]
fn every_name_would_be_the_same_stack() {
    check_says(
        &lab_and("named: true\nstack_name: ${project}-${stack}"),
        expect![[r#"
            exit 2
            -- stderr
            error: every `lab@NAME` would be the same stack, `demo-store`
             --> environments/lab.yaml:8:13
              |
            8 | stack_name: ${project}-${stack}
              |             ^^^^^^^^^^^^^^^^^^^
              |
              = hint: the name needs `${environment}`
        "#]],
    );
}

// ---- what flows

#[test]
fn a_reference_to_nothing() {
    let inputs = STORE_INPUTS.to_string()
        + "  one: {type: string, x-parameter: One, description: One}\n  two: {type: string, x-parameter: Two, description: Two}\n  three: {type: string, x-parameter: Three, description: Three}\n";
    let store = STORE.replace(
        "Resources:",
        "Parameters: {One: {Type: String}, Two: {Type: String}, Three: {Type: String}}\nResources:",
    );
    let scenario = Scenario::small().store_inputs(&inputs).store(&store).lab(&LAB.replace(
        "    values: {topic: papers}",
        "    values: {topic: papers, one: {output: other.Arn}, two: {output: nowhere/stor.Arn}, three: {output: lab/stor.Arn}}\n  other:\n    template: store\n    values: {topic: b, one: a, two: b, three: c}",
    ));
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: the stack `other` has no output `Arn`
             --> environments/lab.yaml:6:34
              |
            6 |     values: {topic: papers, one: {output: other.Arn}, two: {output: nowhere/stor.Arn}, three: {output: lab/stor.Arn}}
              |                                  ^^^^^^^^^^^^^^^^^^^
              |
              = hint: it has: TopicArn

            error: there is no environment `nowhere`
             --> environments/lab.yaml:6:60
              |
            6 |     values: {topic: papers, one: {output: other.Arn}, two: {output: nowhere/stor.Arn}, three: {output: lab/stor.Arn}}
              |                                                            ^^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = hint: there are: lab

            error: `lab` has no stack `stor`
             --> environments/lab.yaml:6:95
              |
            6 |     values: {topic: papers, one: {output: other.Arn}, two: {output: nowhere/stor.Arn}, three: {output: lab/stor.Arn}}
              |                                                                                               ^^^^^^^^^^^^^^^^^^^^^^
              |
              = hint: did you mean `store`?

            3 mistakes
        "#]],
    );
}

#[test]
fn a_stack_that_needs_nothing_there() {
    check_says(
        &lab_and("    needs: [stoer]"),
        expect![[r#"
            exit 2
            -- stderr
            error: `lab` has no stack `stoer`
             --> environments/lab.yaml:7:13
              |
            7 |     needs: [stoer]
              |             ^^^^^
              |
              = hint: did you mean `store`?
        "#]],
    );
}

#[test]
fn stacks_that_wait_for_each_other() {
    check_says(
        &Scenario::small()
            .lab(&format!("{LAB}    needs: [b]\n  b: {{template: store, values: {{topic: b}}, needs: [store]}}\n")),
        expect![[r#"
            exit 2
            -- stderr
            error: these stacks wait for each other: store → b → store
             --> environments/lab.yaml:7:13
              |
            7 |     needs: [b]
              |             ^
        "#]],
    );
}

#[test]
fn a_stack_that_waits_for_itself() {
    check_says(
        &lab_and("    needs: [store]"),
        expect![[r#"
            exit 2
            -- stderr
            error: these stacks wait for each other: store → store
             --> environments/lab.yaml:7:13
              |
            7 |     needs: [store]
              |             ^^^^^
        "#]],
    );
}

#[test]
fn references_that_are_not_whole() {
    let inputs = STORE_INPUTS.replace("topic: {", "topic: {x-parameter: Name, ");
    let store = STORE
        .replace("Resources:", "Parameters: {Name: {Type: String}}\nResources:")
        .replace("{{ topic }}", "!Ref Name")
        .replace("!Ref Name of", "about");
    let one = |reference: &str| {
        lab_with_values(&format!("{{topic: {reference}}}")).store_inputs(&inputs).store(&store).run(["check"]).stderr
    };
    let all = [
        "{output: VpcId}",
        "{output: [a]}",
        "{export: }",
        "{ssm: ''}",
        "{secret: a, kye: b}",
        "{previous: false}",
        "{ssm: a, output: b.C}",
    ];
    expect![[r#"
        error: this is not a reference to an output: `VpcId`
         --> environments/lab.yaml:6:30
          |
        6 |     values: {topic: {output: VpcId}}
          |                              ^^^^^
          |
          = hint: write `{output: STACK.OUTPUT}` or `{output: ENVIRONMENT/STACK.OUTPUT}`

        error: a reference points at one thing, in text
         --> environments/lab.yaml:6:30
          |
        6 |     values: {topic: {output: [a]}}
          |                              ^^^
          |
          = hint: write `{output: STACK.OUTPUT}` or `{output: ENVIRONMENT/STACK.OUTPUT}`

        error: a reference points at one thing, in text
         --> environments/lab.yaml:6:28
          |
        6 |     values: {topic: {export: }}
          |                            ^
          |
          = hint: write `{export: NAME}`

        error: a reference points at one thing, in text
         --> environments/lab.yaml:6:27
          |
        6 |     values: {topic: {ssm: ''}}
          |                           ^^
          |
          = hint: write `{ssm: /path/of/the/parameter}`

        error: unknown key `kye` in a reference
         --> environments/lab.yaml:6:33
          |
        6 |     values: {topic: {secret: a, kye: b}}
          |                                 ^^^
          |
          = hint: did you mean `key`?

        error: `previous` is `true` or not there
         --> environments/lab.yaml:6:32
          |
        6 |     values: {topic: {previous: false}}
          |                                ^^^^^
          |
          = hint: write `{previous: true}`

        error: unknown key `ssm` in a reference
         --> environments/lab.yaml:6:22
          |
        6 |     values: {topic: {ssm: a, output: b.C}}
          |                      ^^^
          |
          = hint: a reference to an output has output
    "#]]
    .assert_eq(&all.map(one).join("\n"));
}

// ---- values

#[test]
fn a_missing_input() {
    check_says(
        &lab_with_values("{}"),
        expect![[r#"
            exit 2
            -- stderr
            error: `store` lacks the input `topic`
             --> environments/lab.yaml:5:3
              |
            5 |   store:
              |   ^^^^^
              |
             ::: templates/store/inputs.yaml:4:3
              |
            4 |   topic: {type: string, description: What the topic is called}
              |   ----- What the topic is called
              |
              = hint: say `topic:` under `stacks.store.values`
        "#]],
    );
}

#[test]
fn an_unknown_input() {
    check_says(
        &lab_with_values("{topic: papers, sise: 4, colour: red}"),
        expect![[r#"
            exit 2
            -- stderr
            error: the template `store` has no input `sise`
             --> environments/lab.yaml:6:29
              |
            6 |     values: {topic: papers, sise: 4, colour: red}
              |                             ^^^^
              |
              = hint: did you mean `size`?

            error: the template `store` has no input `colour`
             --> environments/lab.yaml:6:38
              |
            6 |     values: {topic: papers, sise: 4, colour: red}
              |                                      ^^^^^^
              |
              = hint: `greenroom inputs store` lists what may be set

            2 mistakes
        "#]],
    );
}

#[test]
fn an_unknown_shared_input() {
    check_says(
        &lab_and("values: {topci: x}"),
        expect![[r#"
            exit 2
            -- stderr
            error: no template has an input `topci`
             --> environments/lab.yaml:7:10
              |
            7 | values: {topci: x}
              |          ^^^^^
              |
              = hint: did you mean `topic`?
        "#]],
    );
}

#[test]
fn a_renamed_input() {
    let inputs = STORE_INPUTS.replace("size: {", "size: {x-was: count, ");
    check_says(
        &lab_with_values("{topic: papers, count: 4}").store_inputs(&inputs),
        expect![[r#"
            exit 2
            -- stderr
            error: the template `store` has no input `count`
             --> environments/lab.yaml:6:29
              |
            6 |     values: {topic: papers, count: 4}
              |                             ^^^^^
              |
              = hint: it is called `size` now
        "#]],
    );
}

#[test]
fn wrong_values() {
    let inputs = STORE_INPUTS.to_string()
        + r"  class: {type: string, pattern: '^db\.[a-z0-9]+\.[a-z]+$', examples: [db.r7g.large], description: The kind of machine}
  nat: {type: string, enum: [none, one, per_zone], description: How many ways out}
  ratio: {type: number, description: A share}
  zones: {type: array, minItems: 2, uniqueItems: true, items: {type: string}, description: Where}
  limits: {type: object, required: [min], properties: {min: {type: integer}, max: {type: integer, default: 3}}, additionalProperties: false, description: From and to}
  on: {type: boolean, description: Whether}
";
    let values = r#"{topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}"#;
    check_says(
        &lab_with_values(values).store_inputs(&inputs),
        expect![[r#"
            exit 2
            -- stderr
            error: `store.topic`: text expected, but this is a list
             --> environments/lab.yaml:6:21
              |
            6 |     values: {topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}
              |                     ^^^

            error: `store.size`: a whole number expected, but this is "4"
             --> environments/lab.yaml:6:32
              |
            6 |     values: {topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}
              |                                ^^^
              |
              = hint: without the quotes

            error: `store.class`: `db.r7g.large` expected, "r7g.large" lacks "db."
             --> environments/lab.yaml:6:44
              |
            6 |     values: {topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}
              |                                            ^^^^^^^^^
              |
              = hint: The kind of machine

            error: `store.nat`: `none`, `one` or `per_zone` expected, but this is "per_zoen"
             --> environments/lab.yaml:6:60
              |
            6 |     values: {topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}
              |                                                            ^^^^^^^^
              |
              = hint: did you mean `per_zone`?

            error: as a number, `7.10` would become `7.1`
             --> environments/lab.yaml:6:77
              |
            6 |     values: {topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}
              |                                                                             ^^^^
              |
              = hint: write it as `7.1`

            error: `store.zones`: at least 2 elements expected, but there is 1
             --> environments/lab.yaml:6:90
              |
            6 |     values: {topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}
              |                                                                                          ^^^
              |
              = hint: Where

            error: `store.limits`: `min` is missing
             --> environments/lab.yaml:6:103
              |
            6 |     values: {topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}
              |                                                                                                       ^^^^^^^^^^^^^^^^^

            error: `store.limits.mx`: unknown key `mx`
             --> environments/lab.yaml:6:104
              |
            6 |     values: {topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}
              |                                                                                                        ^^
              |
              = hint: did you mean `max`?

            error: `store.limits.max`: a whole number expected, but this is 9.5
             --> environments/lab.yaml:6:116
              |
            6 |     values: {topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}
              |                                                                                                                    ^^^

            error: `store.on`: `true` or `false` expected, but this is "yes"
             --> environments/lab.yaml:6:126
              |
            6 |     values: {topic: [a], size: "4", class: r7g.large, nat: per_zoen, ratio: 7.10, zones: [a], limits: {mx: 1, max: 9.5}, on: yes}
              |                                                                                                                              ^^^

            10 mistakes
        "#]],
    );
}

#[test]
fn a_rule_over_several_inputs() {
    let inputs = STORE_INPUTS.to_string()
        + "if: {properties: {size: {const: 1}}, required: [size]}\nthen: {properties: {topic: {enum: [single]}}}\n";
    check_says(
        &lab_with_values("{topic: papers, size: 1}").store_inputs(&inputs),
        expect![[r#"
            exit 2
            -- stderr
            error: `store.topic`: `single` expected, but this is "papers"
             --> environments/lab.yaml:6:21
              |
            6 |     values: {topic: papers, size: 1}
              |                     ^^^^^^
        "#]],
    );
}

/// `store` with an input that is a secret.
fn store_with_a_secret() -> String {
    STORE_INPUTS.to_string() + "  password: {type: string, x-secret: true, x-was: pwd, description: What opens it}\n"
}

#[test]
fn a_secret_in_clear() {
    let scenario = lab_with_values("{topic: papers, password: hunter2hunter2, sise: 4, size: x}");
    check_says(
        &scenario.store_inputs(&store_with_a_secret()),
        expect![[r#"
            exit 2
            -- stderr
            error: `password` is a secret and must not be written here
             --> environments/lab.yaml:6:39
              |
            6 |     values: {topic: papers, password: **************, sise: 4, size: x}
              |                                       ^^^^^^^^^^^^^^
              |
              = hint: put it into Secrets Manager and write `password: {secret: NAME, key: KEY}`

            error: the template `store` has no input `sise`
             --> environments/lab.yaml:6:55
              |
            6 |     values: {topic: papers, password: **************, sise: 4, size: x}
              |                                                       ^^^^
              |
              = hint: did you mean `size`?

            error: `store.size`: a whole number expected, but this is "x"
             --> environments/lab.yaml:6:70
              |
            6 |     values: {topic: papers, password: **************, sise: 4, size: x}
              |                                                                      ^

            3 mistakes
        "#]],
    );
}

/// Once `explain` printed it, and so did every verb that stopped at another mistake of the same line before it judged values.
#[test]
fn a_secret_in_clear_is_nowhere_to_be_read() {
    let values = [
        "{password: hunter2, topic: papers}",
        "{password: hunter2, topic: papers, sise: 4, size: x}",
        "{password: hunter2, topic: '${unknown}'}",
        "{password: hunter2, topic: !Ref X}",
        "{password: [hunter2], topic: papers, sise: 4}",
        "{password: {scret: hunter2}, topic: papers, sise: 4}",
        "{pasword: hunter2, topic: papers}",
        "{pwd: hunter2, topic: papers}",
        "{password: hunter2, topic: a: b}",
        "{password: hunter2, topic: papers, topic: papers}",
        "{topic: papers, note: \"AKIAHUNTER2HUNTER222\"}",
    ];
    let verbs: [&[&str]; 9] = [
        &["check"],
        &["check", "lab"],
        &["render", "lab"],
        &["explain", "lab"],
        &["explain", "lab", "store.password"],
        &["explain", "lab", "stacks"],
        &["explain", "lab", "stacks.store.values"],
        &["diff", "lab", "twin"],
        &["graph", "lab"],
    ];
    for values in values {
        let scenario = lab_with_values(values)
            .store_inputs(&store_with_a_secret())
            .file("environments/twin.yaml", "inherits: lab\naccount: '222222222222'\n");
        for verb in verbs {
            for format in ["human", "json"] {
                let ran = scenario.run(verb.iter().copied().chain(["--format", format]));
                assert!(!ran.to_string().to_lowercase().contains("hunter2"), "{values} {verb:?} {ran}");
            }
        }
    }
}

#[test]
fn a_secret_by_its_look() {
    check_says(
        &lab_with_values("{topic: AKIAABCDEFGHIJKLMNOP, sise: 1}"),
        expect![[r#"
            exit 2
            -- stderr
            error: this looks like a secret
             --> environments/lab.yaml:6:21
              |
            6 |     values: {topic: ********************, sise: 1}
              |                     ^^^^^^^^^^^^^^^^^^^^
              |
              = hint: take it out, and revoke it: it is in the repository's history

            error: the template `store` has no input `sise`
             --> environments/lab.yaml:6:43
              |
            6 |     values: {topic: ********************, sise: 1}
              |                                           ^^^^
              |
              = hint: did you mean `size`?

            2 mistakes
        "#]],
    );
}

#[test]
fn a_secret_by_its_look_in_a_template() {
    check_says(
        &store_and("  Key: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: AKIAABCDEFGHIJKLMNOP}}"),
        expect![[r#"
            exit 2
            -- stderr
            error: this looks like a secret
             --> templates/store/stack.yaml:7:70
              |
            7 |   Key: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: ********************}}
              |                                                                      ^^^^^^^^^^^^^^^^^^^^
              |
              = hint: take it out, and revoke it: it is in the repository's history
        "#]],
    );
}

#[test]
fn a_password_in_a_template() {
    check_says(
        &store_and(
            "  Key: {Type: AWS::SecretsManager::Secret, DeletionPolicy: Retain, UpdateReplacePolicy: Retain, Properties: {SecretString: hunter2, Nmae: x}}",
        ),
        expect![[r#"
            exit 2
            -- stderr
            error: `SecretString` is a secret and must not be written here
             --> templates/store/stack.yaml:7:124
              |
            7 |   Key: {Type: AWS::SecretsManager::Secret, DeletionPolicy: Retain, UpdateReplacePolicy: Retain, Properties: {SecretString: *******, N...
              |                                                                                                                            ^^^^^^^
              |
              = note: met in `lab/store`
              = hint: use a reference to a secret: `{{resolve:secretsmanager:NAME:SecretString:KEY}}`

            error: AWS::SecretsManager::Secret has no property `Nmae`
             --> templates/store/stack.yaml:7:133
              |
            7 | ...dateReplacePolicy: Retain, Properties: {SecretString: *******, Nmae: x}}
              |                                                                   ^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `Name`?

            2 mistakes
        "#]],
    );
}

#[test]
fn shape_by_a_reference_known_at_deployment() {
    check_says(
        &lab_with_values("{topic: {output: store.TopicArn}}"),
        expect![[r#"
            exit 2
            -- stderr
            error: these stacks wait for each other: store → store
             --> environments/lab.yaml:6:21
              |
            6 |     values: {topic: {output: store.TopicArn}}
              |                     ^^^^^^^^^^^^^^^^^^^^^^^^

            error: {output: store.TopicArn} is known only at deployment, but `topic` shapes the template
             --> environments/lab.yaml:6:21
              |
            6 |     values: {topic: {output: store.TopicArn}}
              |                     ^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = hint: only inputs with `x-parameter` take what is known later; say the value itself

            2 mistakes
        "#]],
    );
}

#[test]
fn a_reference_known_at_deployment_inside_a_value() {
    let inputs = STORE_INPUTS.to_string() + "  list: {type: array, items: {type: string}, description: Some}\n";
    check_says(
        &lab_with_values("{topic: a, list: [{export: x}]}").store_inputs(&inputs),
        expect![[r#"
            exit 2
            -- stderr
            error: {export: x} is known only at deployment and cannot stand inside a value
             --> environments/lab.yaml:6:31
              |
            6 |     values: {topic: a, list: [{export: x}]}
              |                               ^^^^^^^^^^^
              |
              = hint: make it an input of its own, with `x-parameter`
        "#]],
    );
}

#[test]
fn a_character_that_rendering_needs() {
    check_says(
        &lab_with_values("{topic: \"a\u{e022}b\"}"),
        expect![[r#"
            exit 2
            -- stderr
            error: this text holds a private-use character, U+E022, that rendering needs for itself
             --> environments/lab.yaml:6:21
              |
            6 |     values: {topic: "ab"}
              |                     ^^^^^
        "#]],
    );
}

// ---- inputs.yaml

#[test]
fn inputs_that_are_no_schema() {
    check_says(
        &Scenario::small().store_inputs("topic: the name\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: the inputs of a template are a JSON Schema with `properties`
             --> templates/store/inputs.yaml:1:1
              |
            1 | topic: the name
              | ^
              |
              = note: met in `lab/store`
              = hint: write `type: object`, then `properties:` with an entry for each input
        "#]],
    );
}

#[test]
fn inputs_that_are_empty() {
    check_says(
        &Scenario::small().store_inputs("# later\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: `templates/store/inputs.yaml` is empty
             --> templates/store/inputs.yaml:1:1
              |
            1 | # later
              | ^
              |
              = note: met in `lab/store`
              = hint: a template that asks for nothing says `properties: {}`
        "#]],
    );
}

#[test]
fn broken_inputs() {
    let inputs = r"type: object
required: [topic, nobody]
properties:
  topic: {type: string, default: x}
  Size: {type: integr, description: How many}
  stack: {type: string, description: Reserved}
  a: {type: string, x-parameter: one_two, x-secret: yes, x-replace: Topic, description: A}
  b: {type: string, x-parameter: Same, x-was: {a: b}, description: B}
  c: {type: string, x-parameter: Same, description: C}
";
    check_says(
        &Scenario::small().store_inputs(inputs),
        expect![[r#"
            exit 2
            -- stderr
            error: no input declares `size`
             --> templates/store/stack.yaml:6:38
              |
            6 |       DisplayName: {{ topic }} of {{ size }}
              |                                      ^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `Size`?

            error: `nobody` is required but not declared
             --> templates/store/inputs.yaml:2:19
              |
            2 | required: [topic, nobody]
              |                   ^^^^^^
              |
              = note: met in `lab/store`

            error: the input `topic` has no description
             --> templates/store/inputs.yaml:4:3
              |
            4 |   topic: {type: string, default: x}
              |   ^^^^^
              |
              = note: met in `lab/store`
              = hint: say in a sentence what it is and what depends on it

            error: `topic` has a default and is required: one of the two is never true
             --> templates/store/inputs.yaml:4:34
              |
            4 |   topic: {type: string, default: x}
              |                                  ^
              |
              = note: met in `lab/store`

            error: `Size` cannot be a variable of a template: lower-case letters, digits and `_`, beginning with a letter
             --> templates/store/inputs.yaml:5:3
              |
            5 |   Size: {type: integr, description: How many}
              |   ^^^^
              |
              = note: met in `lab/store`

            error: this is no JSON Schema: there is no type `integr`
             --> templates/store/inputs.yaml:5:16
              |
            5 |   Size: {type: integr, description: How many}
              |                ^^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `integer`?

            error: `stack` is one of the five words and has its value already
             --> templates/store/inputs.yaml:6:3
              |
            6 |   stack: {type: string, description: Reserved}
              |   ^^^^^
              |
              = note: met in `lab/store`
              = hint: templates may use `stack` without declaring it

            error: `one_two` cannot be the name of a CloudFormation parameter: letters and digits only
             --> templates/store/inputs.yaml:7:34
              |
            7 |   a: {type: string, x-parameter: one_two, x-secret: yes, x-replace: Topic, description: A}
              |                                  ^^^^^^^
              |
              = note: met in `lab/store`

            error: `x-secret` takes `true` or `false`
             --> templates/store/inputs.yaml:7:53
              |
            7 |   a: {type: string, x-parameter: one_two, x-secret: yes, x-replace: Topic, description: A}
              |                                                     ^^^
              |
              = note: met in `lab/store`

            error: unknown word `x-replace`
             --> templates/store/inputs.yaml:7:58
              |
            7 |   a: {type: string, x-parameter: one_two, x-secret: yes, x-replace: Topic, description: A}
              |                                                          ^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `x-replaces`?

            error: `x-was` takes a name or a list of names
             --> templates/store/inputs.yaml:8:47
              |
            8 |   b: {type: string, x-parameter: Same, x-was: {a: b}, description: B}
              |                                               ^^^^^^
              |
              = note: met in `lab/store`

            error: the inputs `b` and `c` are both the parameter `Same`
             --> templates/store/inputs.yaml:9:3
              |
            9 |   c: {type: string, x-parameter: Same, description: C}
              |   ^
              |
             ::: templates/store/inputs.yaml:8:3
              |
            8 |   b: {type: string, x-parameter: Same, x-was: {a: b}, description: B}
              |   - first here
              |
              = note: met in `lab/store`

            12 mistakes
        "#]],
    );
}

/// Once such a schema was left aside in silence, and no value of the template was judged at all.
#[test]
fn inputs_that_cannot_judge() {
    let lost = "  a: {$ref: 'https://example.com/a.json', description: A}\n  b: {$ref: '#/$defs/b', description: B}\n";
    check_says(
        &Scenario::small().store_inputs(&(STORE_INPUTS.to_string() + lost)),
        expect![[r#"
            exit 2
            -- stderr
            error: `https://example.com/a.json` leads to nothing in this file
             --> templates/store/inputs.yaml:6:13
              |
            6 |   a: {$ref: 'https://example.com/a.json', description: A}
              |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: write `#/$defs/NAME`, and define NAME under `$defs:`

            error: `#/$defs/b` leads to nothing in this file
             --> templates/store/inputs.yaml:7:13
              |
            7 |   b: {$ref: '#/$defs/b', description: B}
              |             ^^^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: write `#/$defs/NAME`, and define NAME under `$defs:`

            2 mistakes
        "#]],
    );
    let pattern = "  a: {type: string, pattern: '(((', description: A}\n";
    check_says(
        &Scenario::small().store_inputs(&(STORE_INPUTS.to_string() + pattern)),
        expect![[r#"
            exit 2
            -- stderr
            error: this is no JSON Schema: "(((" is not a "regex"
             --> templates/store/inputs.yaml:6:30
              |
            6 |   a: {type: string, pattern: '(((', description: A}
              |                              ^^^^^
              |
              = note: met in `lab/store`
        "#]],
    );
}

/// Once it was followed until the stack ran over.
#[test]
fn an_input_that_is_an_alternative_of_itself() {
    let inputs =
        STORE_INPUTS.to_string() + "  a: {anyOf: [{$ref: '#/properties/a'}, {type: integer}], description: A}\n";
    check_says(
        &lab_with_values("{topic: papers, a: {k: [1]}}").store_inputs(&inputs),
        expect![[r#"
            exit 0
        "#]],
    );
}

#[test]
fn a_parameter_that_no_rendering_declares() {
    let inputs =
        STORE_INPUTS.to_string() + "  key: {type: string, x-parameter: Key, x-replaces: Nothing, description: A key}\n";
    check_says(
        &lab_with_values("{topic: a, key: b}").store_inputs(&inputs),
        expect![[r#"
            exit 2
            -- stderr
            error: no parameter `Key` is declared in any rendering of the template
             --> templates/store/inputs.yaml:6:3
              |
            6 |   key: {type: string, x-parameter: Key, x-replaces: Nothing, description: A key}
              |   ^^^

            error: no rendering of the template has a resource `Nothing`
             --> templates/store/inputs.yaml:6:3
              |
            6 |   key: {type: string, x-parameter: Key, x-replaces: Nothing, description: A key}
              |   ^^^

            2 mistakes
        "#]],
    );
}

#[test]
fn a_parameter_that_no_input_gives() {
    check_says(
        &Scenario::small().store(&STORE.replace("Resources:", "Parameters: {Key: {Type: String}}\nResources:")),
        expect![[r#"
            exit 2
            -- stderr
            error: no input gives the parameter `Key`, and it has no default
             --> templates/store/stack.yaml:1:14
              |
            1 | Parameters: {Key: {Type: String}}
              |              ^^^
              |
              = note: met in `lab/store`
              = hint: give an input of templates/store/inputs.yaml the line `x-parameter: Key`
        "#]],
    );
}

#[test]
fn a_schema_of_yesterday() {
    check_says(
        &Scenario::small().file("environments/.schema.json", "{}\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: `environments/.schema.json` is out of date

            hint: `greenroom schema --write` renews it
        "#]],
    );
}

// ---- templates

#[test]
fn an_unknown_template() {
    check_says(
        &lab_and("  stroe: {}\n  shop: {template: stor}"),
        expect![[r#"
            exit 2
            -- stderr
            error: there is no template `stroe`
             --> environments/lab.yaml:7:3
              |
            7 |   stroe: {}
              |   ^^^^^
              |
              = hint: did you mean `store`?

            error: there is no template `stor`
             --> environments/lab.yaml:8:20
              |
            8 |   shop: {template: stor}
              |                    ^^^^
              |
              = hint: did you mean `store`?

            2 mistakes
        "#]],
    );
}

#[test]
fn a_template_that_does_not_parse() {
    check_says(
        &store_and("  Other: {{ topic"),
        expect![[r#"
            exit 2
            -- stderr
            error: this is not a template: found identifier but expected }}
             --> templates/store/stack.yaml:8:1
              |
            8 | Outputs:
              | ^^^^^^^
              |
              = note: met in `lab/store`
              = hint: something that opens before this is not closed: `{{ }}`, `{% if %}`, `{% for %}`
        "#]],
    );
}

#[test]
fn a_loop_that_is_not_closed() {
    check_says(
        &store_and("  {% for a in [1, 2] %}"),
        expect![[r#"
            exit 2
            -- stderr
            error: this is not a template: unexpected end of input
              --> templates/store/stack.yaml:11:1
               |
            11 |
               | ^
               |
               = note: met in `lab/store`
               = hint: something that opens before this is not closed: `{{ }}`, `{% if %}`, `{% for %}`
        "#]],
    );
}

#[test]
fn an_unknown_filter() {
    check_says(
        &store_and("  Other: {{ topic | uper }}\n  Third: {{ topic | lowr }}"),
        expect![[r#"
            exit 2
            -- stderr
            error: this is not a template: unknown filter `uper`
             --> templates/store/stack.yaml:7:21
              |
            7 |   Other: {{ topic | uper }}
              |                     ^^^^
              |
              = note: met in `lab/store`

            error: this is not a template: unknown filter `lowr`
             --> templates/store/stack.yaml:8:21
              |
            8 |   Third: {{ topic | lowr }}
              |                     ^^^^
              |
              = note: met in `lab/store`

            2 mistakes
        "#]],
    );
}

#[test]
fn a_part_that_is_not_there() {
    check_says(
        &store_and("{% include \"parts/alram.yaml\" %}"),
        expect![[r#"
            exit 2
            -- stderr
            error: this is not a template: unknown template `parts/alram.yaml`
             --> templates/store/stack.yaml:7:12
              |
            7 | {% include "parts/alram.yaml" %}
              |            ^^^^^^^^^^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: a part is a file below templates/, named from there
        "#]],
    );
}

#[test]
fn a_part_that_includes_itself() {
    check_says(
        &store_and("{% include \"parts/a.yaml\" %}").file("templates/parts/a.yaml", "{% include \"parts/a.yaml\" %}"),
        expect![[r#"
            exit 2
            -- stderr
            error: this is not a template: it includes itself: parts/a.yaml → parts/a.yaml
             --> templates/parts/a.yaml:1:1
              |
            1 | {% include "parts/a.yaml" %}
              | ^
              |
              = note: met in `lab/store`
        "#]],
    );
}

/// Once it was read and nothing was said, and the text came out changed.
#[test]
fn a_part_with_a_character_that_rendering_needs() {
    let part = "  Part: {Type: Custom::Part, Properties: {Text: a\u{e022}b}}\n";
    check_says(
        &store_and("{% include \"parts/a.yaml\" %}").file("templates/parts/a.yaml", part),
        expect![[r#"
            exit 2
            -- stderr
            error: this text holds a private-use character, U+E022, that rendering needs for itself
             --> templates/parts/a.yaml:1:50
              |
            1 |   Part: {Type: Custom::Part, Properties: {Text: ab}}
              |                                                  ^
              |
              = note: met in `lab/store`
        "#]],
    );
}

#[test]
fn a_part_that_is_nearly_there() {
    check_says(
        &store_and("{% include \"parts/alram.yaml\" %}").file("templates/parts/alarm.yaml", ""),
        expect![[r#"
            exit 2
            -- stderr
            error: this is not a template: unknown template `parts/alram.yaml`
             --> templates/store/stack.yaml:7:12
              |
            7 | {% include "parts/alram.yaml" %}
              |            ^^^^^^^^^^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `parts/alarm.yaml`?
        "#]],
    );
}

/// Once one template that extends another took the places of the mistakes of all templates away.
#[test]
fn a_mistake_in_a_template_that_extends_another() {
    let scenario = lab_and("  other: {values: {topic: b}}")
        .store("{% extends \"parts/base.yaml\" %}\n{% block resources %}\n  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref Topci}}\n{% endblock %}\n")
        .file("templates/parts/base.yaml", "Resources:\n{% block resources %}{% endblock %}\nOutputs: {One: {Value: !Ref Tpic}}\n")
        .file("templates/other/inputs.yaml", STORE_INPUTS)
        .file("templates/other/stack.yaml", STORE.replace("!Ref Topic", "!Ref Topik"));
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: there is no parameter or resource `Topik`
             --> templates/other/stack.yaml:9:12
              |
            9 |     Value: !Ref Topik
              |            ^^^^^^^^^^
              |
              = note: met in `lab/other`
              = hint: did you mean `Topic`?

            error: there is no parameter or resource `Topci`
             --> templates/store/stack.yaml:3:58
              |
            3 |   Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref Topci}}
              |                                                          ^^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `Topic`?

            error: there is no parameter or resource `Tpic`
             --> templates/parts/base.yaml:3:24
              |
            3 | Outputs: {One: {Value: !Ref Tpic}}
              |                        ^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `Topic`?

            3 mistakes
        "#]],
    );
}

/// Once it was printed in another order in every run, and every deploy was a change.
#[test]
fn all_variables_at_once() {
    check_says(
        &store_and("  # {{ __tera_context }}"),
        expect![[r#"
            exit 2
            -- stderr
            error: `__tera_context` has another order in every run
             --> templates/store/stack.yaml:7:8
              |
            7 |   # {{ __tera_context }}
              |        ^^^^^^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: print what is wanted, one by one
        "#]],
    );
}

#[test]
fn an_undeclared_variable() {
    check_says(
        &store_and("  # {{ topci }}"),
        expect![[r#"
            exit 2
            -- stderr
            error: no input declares `topci`
             --> templates/store/stack.yaml:7:8
              |
            7 |   # {{ topci }}
              |        ^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `topic`?
        "#]],
    );
}

#[test]
fn an_undeclared_variable_in_an_if() {
    check_says(
        &store_and("  {% if colour == \"red\" %}{% endif %}"),
        expect![[r#"
            exit 2
            -- stderr
            error: no input declares `colour`
             --> templates/store/stack.yaml:7:9
              |
            7 |   {% if colour == "red" %}{% endif %}
              |         ^^^^^^
              |
              = note: met in `lab/store`
              = hint: declare it in templates/store/inputs.yaml
        "#]],
    );
}

#[test]
fn a_variable_that_is_not_given() {
    let inputs = STORE_INPUTS.to_string() + "  key: {type: string, description: A key}\n";
    check_says(
        &store_and("  # {{ key }}").store_inputs(&inputs),
        expect![[r#"
            exit 2
            -- stderr
            error: `key` is not given a value
             --> templates/store/stack.yaml:7:8
              |
            7 |   # {{ key }}
              |        ^^^
              |
              = note: while rendering `store` of lab
              = note: met in `lab/store`
              = hint: `key` may be left out: write `{% if key %}` around it, or give it a default
        "#]],
    );
}

#[test]
fn a_filter_that_fails() {
    check_says(
        &store_and("  # {{ topic | int }}"),
        expect![[r#"
            exit 2
            -- stderr
            error: the template cannot be rendered: the string `papers` cannot be converted to an int in base 10
             --> templates/store/stack.yaml:7:16
              |
            7 |   # {{ topic | int }}
              |                ^^^
              |
              = note: while rendering `store` of lab
              = note: met in `lab/store`
        "#]],
    );
}

#[test]
fn a_parameter_that_is_printed() {
    let inputs = STORE_INPUTS.replace("topic: {", "topic: {x-parameter: Name, ");
    check_says(
        &Scenario::small().store_inputs(&inputs),
        expect![[r#"
            exit 2
            -- stderr
            error: `topic` is a CloudFormation parameter and has no text here
             --> templates/store/stack.yaml:5:7
              |
            5 |       TopicName: {{ topic }}
              |       ^^^^^^^^^^^^^^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: write `!Ref Name`; a template may only test whether it is given

            error: `topic` is a CloudFormation parameter and has no text here
             --> templates/store/stack.yaml:6:7
              |
            6 |       DisplayName: {{ topic }} of {{ size }}
              |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: write `!Ref Name`; a template may only test whether it is given

            2 mistakes
        "#]],
    );
}

#[test]
fn rendered_text_that_is_not_yaml() {
    check_says(
        &store_and("  Other: a: {{ topic }}"),
        expect![[r#"
            exit 2
            -- stderr
            error: this is not YAML: mapping values are not allowed in this context
             --> templates/store/stack.yaml:7:3
              |
            7 |   Other: a: {{ topic }}
              |   ^^^^^^^^^^^^^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: text that holds `: ` must be quoted; a key must be indented like its neighbours
        "#]],
    );
}

#[test]
fn a_rendered_key_twice() {
    check_says(
        &store_and("  {% for a in [1, 2] %}\n  Twin: {Type: Custom::Twin}\n  {% endfor %}"),
        expect![[r#"
            exit 2
            -- stderr
            error: `Twin` stands twice in this map
             --> templates/store/stack.yaml:8:3
              |
            8 |   Twin: {Type: Custom::Twin}
              |   ^^^^
              |
             ::: templates/store/stack.yaml:8:3
              |
            8 |   Twin: {Type: Custom::Twin}
              |   ---- first here
              |
              = note: met in `lab/store`
              = hint: keep one of the two
        "#]],
    );
}

#[test]
fn nothing_rendered() {
    check_says(
        &Scenario::small().store("{# nothing yet #}\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: `templates/store/stack.yaml` is empty
              met in `lab/store`
        "#]],
    );
}

#[test]
fn two_tags_in_a_row() {
    check_says(
        &store_and("  Data: !Base64 !Sub x"),
        expect![[r#"
            exit 2
            -- stderr
            error: two short tags cannot follow each other
             --> templates/store/stack.yaml:7:17
              |
            7 |   Data: !Base64 !Sub x
              |                 ^
              |
              = note: met in `lab/store`
              = hint: write the outer one in full, on a line of its own: `Fn::Base64:`
        "#]],
    );
}

#[test]
fn references_that_lead_nowhere() {
    let resource = r#"  Other:
    Type: AWS::SNS::Topic
    DependsOn: Topik
    Condition: IsNew
    Properties:
      TopicName: !Ref Topci
      DisplayName: !Sub "${Tpic} ${Topic.Arm} ${!Literal}"
      KmsMasterKeyId: !GetAtt Topic.TopicAr
      FifoTopic: !If [IsNew, !Subb a, !FindInMap [Sizes, a, b]]"#;
    check_says(
        &store_and(resource),
        expect![[r#"
            exit 2
            -- stderr
            error: there is no resource `Topik`
             --> templates/store/stack.yaml:9:16
              |
            9 |     DependsOn: Topik
              |                ^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `Topic`?

            error: there is no condition `IsNew`
              --> templates/store/stack.yaml:10:16
               |
            10 |     Condition: IsNew
               |                ^^^^^
               |
               = note: met in `lab/store`

            error: there is no parameter or resource `Topci`
              --> templates/store/stack.yaml:12:18
               |
            12 |       TopicName: !Ref Topci
               |                  ^^^^^^^^^^
               |
               = note: met in `lab/store`
               = hint: did you mean `Topic`?

            error: AWS::SNS::Topic has no attribute `Arm`
              --> templates/store/stack.yaml:13:20
               |
            13 |       DisplayName: !Sub "${Tpic} ${Topic.Arm} ${!Literal}"
               |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               |
               = note: met in `lab/store`
               = hint: it has: TopicArn

            error: there is no parameter or resource `Tpic`
              --> templates/store/stack.yaml:13:20
               |
            13 |       DisplayName: !Sub "${Tpic} ${Topic.Arm} ${!Literal}"
               |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               |
               = note: met in `lab/store`
               = hint: did you mean `Topic`?

            error: AWS::SNS::Topic has no attribute `TopicAr`
              --> templates/store/stack.yaml:14:23
               |
            14 |       KmsMasterKeyId: !GetAtt Topic.TopicAr
               |                       ^^^^^^^^^^^^^^^^^^^^^
               |
               = note: met in `lab/store`
               = hint: did you mean `TopicArn`?

            error: there is no condition `IsNew`
              --> templates/store/stack.yaml:15:23
               |
            15 |       FifoTopic: !If [IsNew, !Subb a, !FindInMap [Sizes, a, b]]
               |                       ^^^^^
               |
               = note: met in `lab/store`

            error: CloudFormation has no function `Fn::Subb`
              --> templates/store/stack.yaml:15:30
               |
            15 |       FifoTopic: !If [IsNew, !Subb a, !FindInMap [Sizes, a, b]]
               |                              ^^^^^^^
               |
               = note: met in `lab/store`
               = hint: did you mean `Fn::Sub`?

            error: there is no mapping `Sizes`
              --> templates/store/stack.yaml:15:51
               |
            15 |       FifoTopic: !If [IsNew, !Subb a, !FindInMap [Sizes, a, b]]
               |                                                   ^^^^^
               |
               = note: met in `lab/store`

            9 mistakes
        "#]],
    );
}

#[test]
fn resources_that_wait_for_each_other() {
    let resources = "  A: {Type: Custom::A, Properties: {Of: !Ref B}}\n  B: {Type: Custom::B, DependsOn: A}";
    check_says(
        &store_and(resources),
        expect![[r#"
            exit 2
            -- stderr
            error: these resources wait for each other: A → B → A
             --> templates/store/stack.yaml:7:3
              |
            7 |   A: {Type: Custom::A, Properties: {Of: !Ref B}}
              |   ^
              |
              = note: met in `lab/store`
        "#]],
    );
}

#[test]
fn properties_that_are_wrong() {
    let resource = r"  Network:
    Type: AWS::EC2::VPC
    Properties: {CidrBlok: 10.0.0.0/16, EnableDnsSupport: maybe, Tags: {Name: x}, VpcId: vpc-1}
  Rule:
    Type: AWS::EC2::SecurityGroup
    Properties: {SecurityGroupIngress: [{FromPort: ssh, ToProt: 22}], InstanceTenancy: default}
  Nothing:
    Type: AWS::SNS::Topic
    Properties: {TopicName: }";
    check_says(
        &store_and(resource),
        expect![[r#"
            exit 2
            -- stderr
            error: AWS::EC2::VPC has no property `CidrBlok`
             --> templates/store/stack.yaml:9:18
              |
            9 |     Properties: {CidrBlok: 10.0.0.0/16, EnableDnsSupport: maybe, Tags: {Name: x}, VpcId: vpc-1}
              |                  ^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `CidrBlock`?

            error: `EnableDnsSupport` is `true` or `false`, but this is `maybe`
             --> templates/store/stack.yaml:9:59
              |
            9 |     Properties: {CidrBlok: 10.0.0.0/16, EnableDnsSupport: maybe, Tags: {Name: x}, VpcId: vpc-1}
              |                                                           ^^^^^
              |
              = note: met in `lab/store`

            error: `Tags` is a list, but this is a map
             --> templates/store/stack.yaml:9:72
              |
            9 |     Properties: {CidrBlok: 10.0.0.0/16, EnableDnsSupport: maybe, Tags: {Name: x}, VpcId: vpc-1}
              |                                                                        ^^^^^^^^^
              |
              = note: met in `lab/store`

            error: `VpcId` is set by AWS and cannot be given
             --> templates/store/stack.yaml:9:83
              |
            9 |     Properties: {CidrBlok: 10.0.0.0/16, EnableDnsSupport: maybe, Tags: {Name: x}, VpcId: vpc-1}
              |                                                                                   ^^^^^
              |
              = note: met in `lab/store`

            error: AWS::EC2::SecurityGroup lacks the property `GroupDescription`
              --> templates/store/stack.yaml:10:3
               |
            10 |   Rule:
               |   ^^^^
               |
               = note: met in `lab/store`

            error: `SecurityGroupIngress` lacks the property `IpProtocol`
              --> templates/store/stack.yaml:12:41
               |
            12 |     Properties: {SecurityGroupIngress: [{FromPort: ssh, ToProt: 22}], InstanceTenancy: default}
               |                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^
               |
               = note: met in `lab/store`

            error: `FromPort` is a whole number, but this is `ssh`
              --> templates/store/stack.yaml:12:52
               |
            12 |     Properties: {SecurityGroupIngress: [{FromPort: ssh, ToProt: 22}], InstanceTenancy: default}
               |                                                    ^^^
               |
               = note: met in `lab/store`

            error: `SecurityGroupIngress` has no property `ToProt`
              --> templates/store/stack.yaml:12:57
               |
            12 |     Properties: {SecurityGroupIngress: [{FromPort: ssh, ToProt: 22}], InstanceTenancy: default}
               |                                                         ^^^^^^
               |
               = note: met in `lab/store`
               = hint: did you mean `ToPort`?

            error: AWS::EC2::SecurityGroup has no property `InstanceTenancy`
              --> templates/store/stack.yaml:12:71
               |
            12 |     Properties: {SecurityGroupIngress: [{FromPort: ssh, ToProt: 22}], InstanceTenancy: default}
               |                                                                       ^^^^^^^^^^^^^^^
               |
               = note: met in `lab/store`

            error: CloudFormation takes no nulls, and nothing stands here
              --> templates/store/stack.yaml:15:27
               |
            15 |     Properties: {TopicName: }
               |                           ^
               |
               = note: met in `lab/store`

            10 mistakes
        "#]],
    );
}

#[test]
fn what_is_no_resource() {
    let resources = r"  Text: hello
  Untyped: {Properties: {}}
  my-topic: {Type: AWS::SNS::Topic, Propertys: {}}
  Nearly: {Type: AWS::SNS::topic}";
    check_says(
        &store_and(resources),
        expect![[r#"
            exit 2
            -- stderr
            error: the resource `Text` is a map, but this is text
             --> templates/store/stack.yaml:7:9
              |
            7 |   Text: hello
              |         ^^^^^
              |
              = note: met in `lab/store`

            error: the resource `Untyped` has no `Type`
             --> templates/store/stack.yaml:8:3
              |
            8 |   Untyped: {Properties: {}}
              |   ^^^^^^^
              |
              = note: met in `lab/store`

            error: `my-topic` is no logical id: letters and digits, at most 255
             --> templates/store/stack.yaml:9:3
              |
            9 |   my-topic: {Type: AWS::SNS::Topic, Propertys: {}}
              |   ^^^^^^^^
              |
              = note: met in `lab/store`

            error: a resource has no attribute `Propertys`
             --> templates/store/stack.yaml:9:37
              |
            9 |   my-topic: {Type: AWS::SNS::Topic, Propertys: {}}
              |                                     ^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `Properties`?

            error: there is no resource type `AWS::SNS::topic`
              --> templates/store/stack.yaml:10:18
               |
            10 |   Nearly: {Type: AWS::SNS::topic}
               |                  ^^^^^^^^^^^^^^^
               |
               = note: met in `lab/store`
               = hint: did you mean `AWS::SNS::Topic`?

            5 mistakes
        "#]],
    );
}

#[test]
fn what_is_no_template() {
    check_says(
        &Scenario::small().store("Resource: {}\nOutputs: {One: {Description: x}}\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: `Resource` is no section of a template
             --> templates/store/stack.yaml:1:1
              |
            1 | Resource: {}
              | ^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `Resources`?

            error: a template has at least one entry under `Resources`
             --> templates/store/stack.yaml:1:1
              |
            1 | Resource: {}
              | ^^^^^^^^^^^^
              |
              = note: met in `lab/store`

            error: the output `One` has no `Value`
             --> templates/store/stack.yaml:2:11
              |
            2 | Outputs: {One: {Description: x}}
              |           ^^^
              |
              = note: met in `lab/store`

            3 mistakes
        "#]],
    );
}

#[test]
fn a_template_that_is_a_list() {
    check_says(
        &Scenario::small().store("- {{ topic }}\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: a template is a map, but this is a list
             --> templates/store/stack.yaml:1:1
              |
            1 | - {{ topic }}
              | ^^^^^^^^^^^^^
              |
              = note: met in `lab/store`
        "#]],
    );
}

#[test]
fn user_data_that_ec2_does_not_take() {
    let long = "x".repeat(16_400);
    let lab = store_and(&format!(
        "  Template:\n    Type: AWS::EC2::LaunchTemplate\n    Properties:\n      LaunchTemplateData:\n        UserData:\n          Fn::Base64:\n            Fn::Join: [\"\", [\"#!/bin/bash\", {long}]]\n"
    ));
    check_says(
        &lab,
        expect![[r#"
        exit 2
        -- stderr
        error: the user data of `Template` has 16411 bytes or more, but EC2 takes 16384
          --> templates/store/stack.yaml:12:11
           |
        12 |           Fn::Base64:
           |           ^^^^^^^^^^^
           |
           = note: met in `lab/store`
           = hint: put a part of it into the image, or fetch it from a bucket
    "#]],
    );
}

#[test]
fn data_without_a_policy() {
    check_says(
        &store_and("  Papers: {Type: AWS::S3::Bucket, DeletionPolicy: Retian}"),
        expect![[r#"
            exit 2
            -- stderr
            error: `Papers` holds data and says no `UpdateReplacePolicy`
             --> templates/store/stack.yaml:7:3
              |
            7 |   Papers: {Type: AWS::S3::Bucket, DeletionPolicy: Retian}
              |   ^^^^^^
              |
              = note: met in `lab/store`
              = hint: write `UpdateReplacePolicy: Retain` (or Snapshot, or Delete): CloudFormation's default would decide for you

            error: `Retian` is no deletion policy
             --> templates/store/stack.yaml:7:51
              |
            7 |   Papers: {Type: AWS::S3::Bucket, DeletionPolicy: Retian}
              |                                                   ^^^^^^
              |
              = note: met in `lab/store`
              = hint: did you mean `Retain`?

            2 mistakes
        "#]],
    );
}

#[test]
fn more_than_cloudformation_takes() {
    let outputs = r#"{% for n in range(end=200) %}
  O{{ n }}: {Value: x}
{% endfor %}
Description: "{% for n in range(end=1025) %}x{% endfor %}"
Mappings:
{% for n in range(end=201) %}
  M{{ n }}: {a: {b: c}}
{% endfor %}
"#;
    let resources = "{% for n in range(end=500) %}\n  T{{ n }}: {Type: Custom::T}\n{% endfor %}";
    check_says(
        &Scenario::small().store(&(STORE.replace("Outputs:", &format!("{resources}\nOutputs:")) + outputs)),
        expect![[r#"
            exit 2
            -- stderr
            error: 501 resources, but CloudFormation takes 500
             --> templates/store/stack.yaml:8:3
              |
            8 |   T{{ n }}: {Type: Custom::T}
              |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = note: met in `lab/store`
              = hint: split the stack

            error: 201 outputs, but CloudFormation takes 200
              --> templates/store/stack.yaml:14:3
               |
            14 |   O{{ n }}: {Value: x}
               |   ^^^^^^^^^^^^^^^^^^^^
               |
               = note: met in `lab/store`
               = hint: split the stack

            error: 1025 bytes of description, but CloudFormation takes 1024
              --> templates/store/stack.yaml:16:1
               |
            16 | Description: "{% for n in range(end=1025) %}x{% endfor %}"
               | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               |
               = note: met in `lab/store`

            error: 201 mappings, but CloudFormation takes 200
              --> templates/store/stack.yaml:19:3
               |
            19 |   M{{ n }}: {a: {b: c}}
               |   ^^^^^^^^^^^^^^^^^^^^^
               |
               = note: met in `lab/store`
               = hint: split the stack

            4 mistakes
        "#]],
    );
}

#[test]
fn a_template_that_needs_a_bucket() {
    let resource =
        "  Long: {Type: Custom::Long, Properties: {Text: \"{% for n in range(end=5200) %}0123456789{% endfor %}\"}}";
    check_says(
        &store_and(resource),
        expect![[r#"
            exit 2
            -- stderr
            error: the template of `store` has 52219 bytes, more than the 51200 that a call can carry
             --> environments/lab.yaml:5:3
              |
            5 |   store:
              |   ^^^^^
              |
              = hint: name a bucket for it: `deploy.template_bucket`
        "#]],
    );
}

#[test]
fn a_parameter_that_is_too_long() {
    let inputs = STORE_INPUTS.to_string() + "  key: {type: string, x-parameter: Key, description: A key}\n";
    let store = STORE.replace("Resources:", "Parameters: {Key: {Type: String}}\nResources:");
    check_says(
        &lab_with_values(&format!("{{topic: a, key: {}}}", "k".repeat(4097))).store_inputs(&inputs).store(&store),
        expect![[r#"
            exit 2
            -- stderr
            error: the parameter `Key` has 4097 bytes, but CloudFormation takes 4096
             --> environments/lab.yaml:5:3
              |
            5 |   store:
              |   ^^^^^
        "#]],
    );
}

#[test]
fn a_capability_that_is_missing() {
    check_says(
        &store_and("  Role: {Type: AWS::IAM::Role, Properties: {RoleName: x, AssumeRolePolicyDocument: {}}}"),
        expect![[r#"
            exit 2
            -- stderr
            error: the template of `store` needs CAPABILITY_NAMED_IAM
             --> environments/lab.yaml:5:3
              |
            5 |   store:
              |   ^^^^^
              |
              = hint: allow it: `deploy.capabilities: [CAPABILITY_NAMED_IAM]`
        "#]],
    );
}

#[test]
fn all_capabilities_that_are_missing() {
    let role = "  Role: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}\nOutputs:";
    let store = format!("Transform: AWS::LanguageExtensions\n{}", STORE.replace("Outputs:", role));
    check_says(
        &Scenario::small().store(&store),
        expect![[r#"
        exit 2
        -- stderr
        error: the template of `store` needs CAPABILITY_AUTO_EXPAND
         --> environments/lab.yaml:5:3
          |
        5 |   store:
          |   ^^^^^
          |
          = hint: allow it: `deploy.capabilities: [CAPABILITY_AUTO_EXPAND]`

        error: the template of `store` needs CAPABILITY_IAM
         --> environments/lab.yaml:5:3
          |
        5 |   store:
          |   ^^^^^
          |
          = hint: allow it: `deploy.capabilities: [CAPABILITY_IAM]`

        2 mistakes
    "#]],
    );
}

// ---- plain templates

#[test]
fn a_plain_template_and_its_parameters() {
    let plain = r"Parameters:
  Size: {Type: Number, MinValue: 1, Description: How many}
  Kind: {Type: String, AllowedValues: [small, large], Default: small}
  Name: {Type: String, AllowedPattern: '[a-z]+'}
  Password: {Type: String, NoEcho: true}
  Ids: {Type: 'List<AWS::EC2::Subnet::Id>'}
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref Nmae}}
";
    let scenario = lab_and("  old: {values: {Size: 0, Kind: big, Name: A1, Password: hunter2, Ids: [a, b], Szie: 1}}")
        .file("templates/old/stack.yaml", plain);
    assert!(!scenario.run(["check"]).to_string().contains("hunter2"));
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: `old.Size`: at least 1 expected, but this is 0
             --> environments/lab.yaml:7:24
              |
            7 |   old: {values: {Size: 0, Kind: big, Name: A1, Password: *******, Ids: [a, b], Szie: 1}}
              |                        ^
              |
              = hint: How many

            error: `old.Kind`: `small` or `large` expected, but this is "big"
             --> environments/lab.yaml:7:33
              |
            7 |   old: {values: {Size: 0, Kind: big, Name: A1, Password: *******, Ids: [a, b], Szie: 1}}
              |                                 ^^^

            error: `old.Name`: something else expected, in "A1" the "A" does not fit
             --> environments/lab.yaml:7:44
              |
            7 |   old: {values: {Size: 0, Kind: big, Name: A1, Password: *******, Ids: [a, b], Szie: 1}}
              |                                            ^

            error: `Password` is a secret and must not be written here
             --> environments/lab.yaml:7:58
              |
            7 |   old: {values: {Size: 0, Kind: big, Name: A1, Password: *******, Ids: [a, b], Szie: 1}}
              |                                                          ^^^^^^^
              |
              = hint: put it into Secrets Manager and write `Password: {secret: NAME, key: KEY}`

            error: the template `old` has no input `Szie`
             --> environments/lab.yaml:7:80
              |
            7 |   old: {values: {Size: 0, Kind: big, Name: A1, Password: *******, Ids: [a, b], Szie: 1}}
              |                                                                                ^^^^
              |
              = hint: did you mean `Size`?

            5 mistakes
        "#]],
    );
}

#[test]
fn a_plain_template_that_is_empty() {
    check_says(
        &lab_and("  old: {}").file("templates/old/stack.yaml", ""),
        expect![[r#"
            exit 2
            -- stderr
            error: `templates/old/stack.yaml` is empty
             --> templates/old/stack.yaml:1:1
              |
            1 |
              | ^
              |
              = note: met in `lab/old`
        "#]],
    );
}

#[test]
fn a_plain_template_that_is_not_yaml() {
    check_says(
        &lab_and("  old: {}").file("templates/old/stack.yaml", "Resources: {A: b: c}\n"),
        expect![[r#"
            exit 2
            -- stderr
            error: this is not YAML: a map in braces: did not find expected ',' or '}'
             --> templates/old/stack.yaml:1:17
              |
            1 | Resources: {A: b: c}
              |                 ^
              |
              = note: met in `lab/old`
              = hint: a bracket opened before this is not closed, or text that holds `: ` is not quoted
        "#]],
    );
}

/// Java's patterns are not all ours; once one of them switched every check of the template's parameters off.
#[test]
fn a_plain_template_with_a_pattern_that_we_do_not_understand() {
    let plain = "Parameters:\n  Name: {Type: String, AllowedPattern: '[a-z&&[^x]]++[[('}\n  Size: {Type: Number, MaxValue: 1}\nResources: {Topic: {Type: AWS::SNS::Topic}}\n";
    check_says(
        &lab_and("  old: {values: {Name: x, Size: 2}}").file("templates/old/stack.yaml", plain),
        expect![[r#"
            exit 2
            -- stderr
            error: `old.Size`: at most 1 expected, but this is 2
             --> environments/lab.yaml:7:33
              |
            7 |   old: {values: {Name: x, Size: 2}}
              |                                 ^
        "#]],
    );
}

// ---- clones

#[test]
fn clones_that_may_not_be() {
    let scenario = lab_and("clone_policy: {targets: [twin, nobody], max_lifetime: 2h}")
        .file("environments/twin.yaml", "inherits: lab\naccount: '222222222222'\nlifetime: 3h\nclone: {from: lab, quiesce: {store: sql/none.sql}}\n")
        .file("environments/other.yaml", "inherits: lab\naccount: '333333333333'\nclone: {from: lab}\n")
        .file("environments/third.yaml", "inherits: lab\naccount: '444444444444'\nlifetime: 3h\nclone: {from: lba}\n");
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: there is no environment `nobody`
             --> environments/lab.yaml:7:25
              |
            7 | clone_policy: {targets: [twin, nobody], max_lifetime: 2h}
              |                         ^^^^^^^^^^^^^^

            error: `lab` may not be cloned into `other`
             --> environments/other.yaml:3:15
              |
            3 | clone: {from: lab}
              |               ^^^
              |
              = hint: environments/lab.yaml must agree: `clone_policy: {targets: [other], max_lifetime: 72h}`

            error: `other` is a clone and says no `lifetime`
             --> environments/other.yaml:3:15
              |
            3 | clone: {from: lab}
              |               ^^^
              |
              = hint: production's data must not lie about for ever: say `lifetime: 48h`

            error: there is no environment `lba`
             --> environments/third.yaml:4:15
              |
            4 | clone: {from: lba}
              |               ^^^
              |
              = hint: did you mean `lab`?

            error: `lab` lets its clones live 2 hours, but this says 3 hours
             --> environments/twin.yaml:3:11
              |
            3 | lifetime: 3h
              |           ^^

            error: there is no file `sql/none.sql`
             --> environments/twin.yaml:4:29
              |
            4 | clone: {from: lab, quiesce: {store: sql/none.sql}}
              |                             ^^^^^^^^^^^^^^^^^^^^^

            6 mistakes
        "#]],
    );
}

// ---- many at once

#[test]
fn a_mistake_in_each_of_five_files_is_five_carets_in_one_run() {
    let scenario = Scenario::small()
        .lab(&LAB.replace("region:", "regoin:"))
        .file(
            "environments/second.yaml",
            LAB.replace("topic: papers", "topic: papers, sise: 1").replace("1111", "2222"),
        )
        .store_inputs(&STORE_INPUTS.replace("minimum: 1", "minimum: one"))
        .file("templates/plain/stack.yaml", "Resources:\n\tA: b\n")
        .file("templates/third/inputs.yaml", STORE_INPUTS)
        .file("templates/third/stack.yaml", STORE.replace("{{ size }}", "{{ szie }}"));
    check_says(
        &scenario,
        expect![[r#"
            exit 2
            -- stderr
            error: `lab` says no `region`
             --> environments/lab.yaml:1:1
              |
            1 | project: demo
              | ^
              |
              = hint: say `region:` here or in a file it inherits

            error: unknown key `regoin`
             --> environments/lab.yaml:3:1
              |
            3 | regoin: eu-west-1
              | ^^^^^^
              |
              = hint: did you mean `region`?

            error: the template `store` has no input `sise`
             --> environments/second.yaml:6:29
              |
            6 |     values: {topic: papers, sise: 1}
              |                             ^^^^
              |
              = hint: did you mean `size`?

            error: a tab cannot indent YAML
             --> templates/plain/stack.yaml:2:1
              |
            2 |     A: b
              | ^^^^
              |
              = hint: indent with spaces

            error: this is no JSON Schema: "one" is not of type "number"
             --> templates/store/inputs.yaml:5:34
              |
            5 |   size: {type: integer, minimum: one, default: 3, description: How many there are}
              |                                  ^^^
              |
              = note: met in `second/store`

            error: no input declares `szie`
             --> templates/third/stack.yaml:6:38
              |
            6 |       DisplayName: {{ topic }} of {{ szie }}
              |                                      ^^^^
              |
              = hint: did you mean `size`?

            6 mistakes
        "#]],
    );
}

// ---- what was typed

/// Everything that is said to what was typed, one after the other.
fn said(scenario: &Scenario, all: &[&[&str]]) -> String {
    let one = |arguments: &&[&str]| {
        let ran = scenario.run(arguments.iter().copied());
        assert_eq!(ran.code, Some(2), "{arguments:?} {ran}");
        format!("$ greenroom {}\n{ran}", arguments.join(" "))
    };
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_no_command() {
    expect![[r#"
        $ greenroom chekc
        exit 2
        -- stderr
        error: unrecognized subcommand 'chekc'

          tip: some similar subcommands exist: 'schema', 'check'

        Usage: greenroom [OPTIONS] <COMMAND>

        For more information, try '--help'.

        $ greenroom render
        exit 2
        -- stderr
        error: the following required arguments were not provided:
          <ENVIRONMENT>

        Usage: greenroom render <ENVIRONMENT> [STACKS]...

        For more information, try '--help'.

        $ greenroom render lab --otu x
        exit 2
        -- stderr
        error: unexpected argument '--otu' found

          tip: to pass '--otu' as a value, use '-- --otu'

        Usage: greenroom render <ENVIRONMENT> [STACKS]...

        For more information, try '--help'.

        $ greenroom check --format xml
        exit 2
        -- stderr
        error: invalid value 'xml' for '--format <FORMAT>'
          [possible values: human, json, junit, sarif, github, markdown]

        For more information, try '--help'.

        $ greenroom chekc --format json
        exit 2
        -- stderr
        {"schema":1,"error":{"message":"unrecognized subcommand 'chekc'","causes":[],"reasons":[],"still_running":[],"hints":["`greenroom --help` lists the verbs"],"exit_code":2}}

        $ greenroom render --format=json
        exit 2
        -- stderr
        {"schema":1,"error":{"message":"the following required arguments were not provided: <ENVIRONMENT>","causes":[],"reasons":[],"still_running":[],"hints":["`greenroom --help` lists the verbs"],"exit_code":2}}
    "#]].assert_eq(&said(
        &Scenario::small(),
        &[
            &["chekc"],
            &["render"],
            &["render", "lab", "--otu", "x"],
            &["check", "--format", "xml"],
            &["chekc", "--format", "json"],
            &["render", "--format=json"],
        ],
    ));
}

#[test]
fn names_of_nothing() {
    expect![[r#"
        $ greenroom render lba
        exit 2
        -- stderr
        error: there is no environment `lba`

        hint: did you mean `lab`?

        $ greenroom render lab stroe
        exit 2
        -- stderr
        error: `lab` has no stack `stroe`

        hint: did you mean `store`?

        $ greenroom check lba
        exit 2
        -- stderr
        error: there is no environment `lba`

        hint: did you mean `lab`?

        $ greenroom explain lab store.topci
        exit 2
        -- stderr
        error: `lab` has nothing called `store.topci`

        hint: did you mean `topic`?

        $ greenroom explain lab nothing.at.all
        exit 2
        -- stderr
        error: `lab` has nothing called `nothing.at.all`

        hint: `greenroom explain lab` lists every value

        $ greenroom diff lab production
        exit 2
        -- stderr
        error: there is no environment `production`

        hint: there are: lab

        $ greenroom graph ../lab
        exit 2
        -- stderr
        error: `../lab` is not the name of an environment

        hint: write `production`, or `scratch@NAME` for one of many

        $ greenroom inputs stroe
        exit 2
        -- stderr
        error: there is no template `stroe`

        hint: did you mean `store`?

        $ greenroom check --project elsewhere
        exit 2
        -- stderr
        error: there is no `environments/` in elsewhere

        hint: `greenroom init NAME` writes a project to start from

        $ greenroom render lba --format json
        exit 2
        -- stdout
        {
          "schema": 1,
          "findings": [
            {
              "severity": "error",
              "code": "unknown-environment",
              "message": "there is no environment `lba`",
              "place": null,
              "label": "",
              "related": [],
              "notes": [],
              "met_in": [
                "lba"
              ],
              "hint": "did you mean `lab`?"
            }
          ]
        }

        $ greenroom render lab stroe --format json
        exit 2
        -- stderr
        {"schema":1,"error":{"message":"`lab` has no stack `stroe`","causes":[],"reasons":[],"still_running":[],"hints":["did you mean `store`?"],"exit_code":2}}
    "#]].assert_eq(&said(
        &Scenario::small(),
        &[
            &["render", "lba"],
            &["render", "lab", "stroe"],
            &["check", "lba"],
            &["explain", "lab", "store.topci"],
            &["explain", "lab", "nothing.at.all"],
            &["diff", "lab", "production"],
            &["graph", "../lab"],
            &["inputs", "stroe"],
            &["check", "--project", "elsewhere"],
            &["render", "lba", "--format", "json"],
            &["render", "lab", "stroe", "--format", "json"],
        ],
    ));
}

#[test]
fn one_of_many() {
    let scenario = lab_and("named: true").file("environments/base.yaml", "abstract: true\n");
    let all: &[&[&str]] = &[&["render", "lab"], &["render", "lab@"], &["render", "lab@Jane Doe"], &["render", "base"]];
    expect![[r#"
        $ greenroom render lab
        exit 2
        -- stderr
        error: `lab` stands for many: say which one, `lab@NAME`

        $ greenroom render lab@
        exit 2
        -- stderr
        error: `` cannot follow the `@`: lower-case letters, digits and hyphens, at most 32

        hint: write `production`, or `scratch@NAME` for one of many

        $ greenroom render lab@Jane Doe
        exit 2
        -- stderr
        error: `Jane Doe` cannot follow the `@`: lower-case letters, digits and hyphens, at most 32

        hint: write `production`, or `scratch@NAME` for one of many

        $ greenroom render base
        exit 2
        -- stderr
        error: `base` is abstract: it is only inherited from
    "#]]
    .assert_eq(&said(&scenario, all));
    expect![[r#"
        $ greenroom render lab@jane
        exit 2
        -- stderr
        error: `lab` stands for itself alone: `@jane` says nothing
    "#]]
    .assert_eq(&said(&Scenario::small(), &[&["render", "lab@jane"]]));
}

#[test]
fn too_much_for_one_stdout() {
    let scenario = lab_and("  other: {template: store, values: {topic: b}}\n  third: {managed: false}");
    expect![[r#"
        $ greenroom render lab
        exit 2
        -- stderr
        error: 2 stacks do not fit on one stdout

        hint: name one of store, other, or write them all: `--out DIR`

        $ greenroom render lab third
        exit 2
        -- stderr
        error: `lab/third` is not managed: its outputs are read, nothing is rendered
    "#]]
    .assert_eq(&said(&scenario, &[&["render", "lab"], &["render", "lab", "third"]]));
}
