//! `affected` and `diff --since`: what a change of the repository touches.

use std::fs;
use std::path::Path;

use expect_test::expect;

use crate::support::git::git;
use crate::support::{LAB, Ran, STORE, STORE_INPUTS, Scenario};

/// `lab`, and `twin` that inherits it, kept in git.
fn lab_and_twin() -> Scenario {
    Scenario::small().file("environments/twin.yaml", "inherits: lab\naccount: '222222222222'\n").in_git()
}

fn affected(scenario: &Scenario, since: &str) -> Ran {
    scenario.run(["affected", "--since", since])
}

#[test]
fn a_value_touches_those_that_inherit_it_committed_or_not() {
    let scenario = lab_and_twin().edit("environments/lab.yaml", "papers", "books");
    let uncommitted = affected(&scenario, "HEAD");
    uncommitted.expect(expect![[r#"
        exit 0
        -- stdout
        lab   store  template  environments/lab.yaml
        twin  store  template  environments/lab.yaml

        2 stacks of 2 environments: 2 changed
        -- stderr
        compared with HEAD (9e53d6079831)
    "#]]);
    let committed = affected(&scenario.commit("books"), "HEAD~1");
    assert_eq!(committed.stdout, uncommitted.stdout);
}

#[test]
fn what_leads_to_the_same_touches_nothing() {
    let reordered = "# The lab.\nstacks:\n  store: {values: {size: 3, topic: 'papers'}}\nregion: eu-west-1\naccount: \"111111111111\"\nproject: demo\n";
    let store = format!("# What we keep.\n{STORE}");
    affected(&lab_and_twin().lab(reordered).store(&store), "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        nothing that would be sent differs from 9e53d6079831
        -- stderr
        compared with HEAD (9e53d6079831)
    "#]]);
}

#[test]
fn of_changed_files_only_those_that_decide_are_named() {
    let scenario = lab_and_twin()
        .edit("environments/lab.yaml", "project: demo", "about: Papers\nproject: demo")
        .edit("environments/twin.yaml", "account", "owner: jane@example.com\naccount")
        .edit("templates/store/inputs.yaml", "default: 3", "default: 4");
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        lab   store  template  templates/store/inputs.yaml
        twin  store  template  templates/store/inputs.yaml

        2 stacks of 2 environments: 2 changed
        -- stderr
        compared with HEAD (9e53d6079831)
    "#]]);
}

#[test]
fn each_part_of_what_is_sent_counts() {
    let scenario = lab_and_twin().lab(
        "project: demo\naccount: '999999999999'\nregion: eu-west-2\nprotected: true\ntags: {team: x}\nstack_name: x-${environment}-${stack}\ndeploy: {role: r, notify: ['arn:aws:sns:eu-west-2:111111111111:t']}\nstacks: {store: {values: {topic: papers}}}\n",
    );
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        lab   store  tags, stack name, account, region, role, deploy settings, protection  environments/lab.yaml
        twin  store  tags, stack name, region, role, deploy settings                       environments/lab.yaml

        2 stacks of 2 environments: 2 changed
        -- stderr
        compared with HEAD (9e53d6079831)
    "#]]);
}

#[test]
fn a_part_that_a_template_includes_counts_also_when_git_does_not_know_it_yet() {
    let with_part = STORE.replace("{{ topic }} of", "{% include \"parts/name.txt\" %} of");
    let scenario = Scenario::small()
        .file("templates/parts/name.txt", "old")
        .file("templates/parts/other.txt", "other")
        .store(&with_part)
        .in_git()
        .file("templates/parts/name.txt", "new")
        .file("templates/parts/other.txt", "another");
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        lab  store  template  templates/parts/name.txt

        1 stack of 1 environment: 1 changed
        -- stderr
        compared with HEAD (b1578904d29e)
    "#]]);
    let scenario = lab_and_twin().file("templates/parts/name.txt", "new").store(&with_part);
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        lab   store  template  templates/parts/name.txt, templates/store/stack.yaml
        twin  store  template  templates/parts/name.txt, templates/store/stack.yaml

        2 stacks of 2 environments: 2 changed
        -- stderr
        compared with HEAD (9e53d6079831)
    "#]]);
}

#[test]
fn a_file_that_became_a_folder() {
    let with = |part: &str| STORE.replace("{{ topic }} of", &format!("{{% include \"parts/{part}\" %}} of"));
    let scenario = Scenario::small().file("templates/parts/name", "old").store(&with("name")).in_git();
    fs::remove_file(scenario.root().join("templates/parts/name")).unwrap();
    let scenario = scenario.file("templates/parts/name/long", "new").store(&with("name/long"));
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        lab  store  template  templates/parts/name, templates/parts/name/long, templates/store/stack.yaml

        1 stack of 1 environment: 1 changed
        -- stderr
        compared with HEAD (70aed628c7a0)
    "#]]);
}

#[test]
fn what_is_new_and_what_is_gone() {
    let scenario = lab_and_twin()
        .file(
            "environments/attic.yaml",
            format!("{LAB}  cellar: {{template: store, values: {{topic: wine}}}}\n").replace("demo", "attic"),
        )
        .commit("attic")
        .git(&["rm", "--quiet", "environments/twin.yaml"])
        .edit("environments/attic.yaml", "cellar", "loft")
        .file("environments/field.yaml", "inherits: lab\naccount: '333333333333'\n");
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        attic  cellar  gone  environments/attic.yaml
        attic  loft    new   environments/attic.yaml
        field  store   new   environments/field.yaml
        twin   store   gone  environments/twin.yaml

        4 stacks of 3 environments: 2 new, 2 gone
        what is gone from the files still runs: `deploy ENV --prune` deletes stacks, `destroy ENV` environments
        -- stderr
        compared with HEAD (3716e6580b74)
    "#]]);
    let asked = ["affected", "--since", "HEAD", "--format", "json"];
    scenario.run(asked).expect(expect![[r#"
        exit 0
        -- stdout
        {"include":[{"environment":"attic","stack":"loft","change":"new","named":false,"files":["environments/attic.yaml"]},{"environment":"field","stack":"store","change":"new","named":false,"files":["environments/field.yaml"]}]}
    "#]]);
    scenario.run(asked.into_iter().chain(["--by", "environment"])).expect(expect![[r#"
        exit 0
        -- stdout
        {"include":[{"environment":"attic","named":false,"stacks":["loft"]},{"environment":"field","named":false,"stacks":["store"]}]}
    "#]]);
    scenario.run(asked.into_iter().chain(["--details"])).expect(expect![[r#"
        exit 0
        -- stdout
        {
          "schema": 1,
          "affected": {
            "base": {
              "since": "HEAD",
              "commit": "3716e6580b74f6a350e696d8f922aaea4d8b3d67",
              "relation": "itself"
            },
            "stacks": [
              {
                "environment": "attic",
                "stack": "cellar",
                "change": "gone",
                "named": false,
                "files": [
                  "environments/attic.yaml"
                ]
              },
              {
                "environment": "attic",
                "stack": "loft",
                "change": "new",
                "named": false,
                "files": [
                  "environments/attic.yaml"
                ]
              },
              {
                "environment": "field",
                "stack": "store",
                "change": "new",
                "named": false,
                "files": [
                  "environments/field.yaml"
                ]
              },
              {
                "environment": "twin",
                "stack": "store",
                "change": "gone",
                "named": false,
                "files": [
                  "environments/twin.yaml"
                ]
              }
            ]
          }
        }
    "#]]);
}

#[test]
fn nothing_is_an_empty_matrix() {
    lab_and_twin().run(["affected", "--since", "HEAD", "--format", "json"]).expect(expect![[r#"
        exit 0
        -- stdout
        {"include":[]}
    "#]]);
}

/// One row for all of `scratch@NAME`: the files cannot know who there is.
#[test]
fn an_environment_that_stands_for_many_is_told_of_once() {
    let scenario = Scenario::small().lab(&format!("named: true\n{LAB}")).in_git().edit(
        "environments/lab.yaml",
        "papers",
        "'books-${environment}'",
    );
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        lab  store  template  environments/lab.yaml

        1 stack of 1 environment: 1 changed
        -- stderr
        compared with HEAD (7e92e7222aeb)
    "#]]);
    scenario.run(["affected", "--since", "HEAD", "--format", "json"]).expect(expect![[r#"
        exit 0
        -- stdout
        {"include":[{"environment":"lab","stack":"store","change":"changed","named":true,"differs":["template"],"files":["environments/lab.yaml"]}]}
    "#]]);
}

/// Others have gone on in `main`: that is not undone by a branch that does not have it yet.
#[test]
fn a_branch_is_compared_with_where_it_left_the_other() {
    let scenario = lab_and_twin()
        .git(&["switch", "--quiet", "--create", "topic"])
        .edit("environments/twin.yaml", "account", "stacks: {store: {values: {size: 9}}}\naccount")
        .commit("size")
        .git(&["switch", "--quiet", "main"])
        .edit("environments/lab.yaml", "papers", "books")
        .commit("books")
        .git(&["switch", "--quiet", "topic"]);
    affected(&scenario, "main").expect(expect![[r#"
        exit 0
        -- stdout
        twin  store  template  environments/twin.yaml

        1 stack of 1 environment: 1 changed
        -- stderr
        compared with 9e53d6079831, where this branch left main
    "#]]);
}

#[test]
fn of_what_has_no_commit_in_common_the_revision_itself_is_compared() {
    let scenario = lab_and_twin()
        .git(&["switch", "--quiet", "--orphan", "other"])
        .file("environments/lab.yaml", LAB.replace("papers", "books"))
        .file("templates/store/inputs.yaml", STORE_INPUTS)
        .file("templates/store/stack.yaml", STORE)
        .commit("another beginning");
    affected(&scenario, "main").expect(expect![[r#"
        exit 0
        -- stdout
        lab   store  template  environments/lab.yaml
        twin  store  gone      environments/twin.yaml

        2 stacks of 2 environments: 1 changed, 1 gone
        what is gone from the files still runs: `deploy ENV --prune` deletes stacks, `destroy ENV` environments
        -- stderr
        compared with main (9e53d6079831), which has no commit in common with this branch
    "#]]);
}

#[test]
fn before_there_was_a_project_everything_is_new() {
    let scenario = Scenario::empty().file("README.md", "soon").in_git();
    let scenario = scenario
        .file("environments/lab.yaml", LAB)
        .file("templates/store/inputs.yaml", STORE_INPUTS)
        .file("templates/store/stack.yaml", STORE);
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        lab  store  new  environments/lab.yaml, templates/store/inputs.yaml, templates/store/stack.yaml

        1 stack of 1 environment: 1 new
        -- stderr
        compared with HEAD (3fa2ad260a38)
    "#]]);
}

#[test]
fn what_could_not_be_rendered_as_it_was_counts_as_affected() {
    let scenario = lab_and_twin()
        .edit("environments/twin.yaml", "inherits: lab", "inherits: lap")
        .file("environments/alone.yaml", LAB.replace("demo", "alone"))
        .commit("broken")
        .edit("environments/twin.yaml", "inherits: lap", "inherits: lab");
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        twin  store  not comparable  environments/twin.yaml

        1 stack of 1 environment: 1 not comparable
        warning: `twin` cannot be rendered as it was at 8791540f3e61, so all of it counts: there is no environment `lap` to inherit from
        -- stderr
        compared with HEAD (8791540f3e61)
    "#]]);
    let scenario = lab_and_twin().store("Resources: {{ nothing }}\n").commit("broken").store(STORE);
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        lab   store  not comparable  templates/store/stack.yaml
        twin  store  not comparable  templates/store/stack.yaml

        2 stacks of 2 environments: 2 not comparable
        warning: `lab/store` cannot be rendered as it was at e2c54772ffeb, so all of it counts: no input declares `nothing`
        warning: `twin/store` cannot be rendered as it was at e2c54772ffeb, so all of it counts: no input declares `nothing`
        -- stderr
        compared with HEAD (e2c54772ffeb)
    "#]]);
}

#[test]
fn what_cannot_be_rendered_now_is_a_mistake() {
    let scenario = lab_and_twin().edit("environments/lab.yaml", "papers", "[papers]");
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 2
        -- stderr
        compared with HEAD (9e53d6079831)
        error: `store.topic`: text expected, but this is a list
         --> environments/lab.yaml:6:21
          |
        6 |     values: {topic: [papers]}
          |                     ^^^^^^^^
          |
          = note: inherited by `twin/store`
    "#]]);
}

/// The project is one folder of a repository that holds much else, links between its own folders included.
#[test]
fn a_project_in_a_folder_of_the_checkout() {
    let scenario =
        Scenario::small().file("shared/stack.yaml", STORE).file("templates/store/stack.yaml", "").within("cloud/app");
    fs::remove_file(scenario.root().join("templates/store/stack.yaml")).unwrap();
    let scenario = scenario.link("templates/store/stack.yaml", "../../shared/stack.yaml");
    let top = scenario.root().parent().unwrap().parent().unwrap().to_owned();
    git(&top, &["init", "--quiet", "--initial-branch=main"]);
    let scenario = scenario.commit("begin");
    fs::create_dir_all(top.join("environments")).unwrap();
    fs::write(top.join("environments/other.yaml"), "not ours").unwrap();
    let scenario = scenario.edit("shared/stack.yaml", " of ", " and ");
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        lab  store  template  templates/store/stack.yaml

        1 stack of 1 environment: 1 changed
        -- stderr
        compared with HEAD (bf8b46bd3f35)
    "#]]);
    let from_above =
        scenario.command(["affected", "--since", "HEAD", "--project", "cloud/app"]).current_dir(&top).output();
    assert_eq!(scenario.ended(from_above.unwrap()), affected(&scenario, "HEAD"));
}

/// What a checkout writes is compared, not what git stores: line endings, filters and keywords are its business.
#[test]
fn what_a_checkout_makes_of_a_file_is_no_change() {
    let scenario = Scenario::small()
        .file(".gitattributes", "*.txt ident\n")
        .file("templates/parts/name.txt", "$Id$")
        .store(&STORE.replace("{{ topic }} of {{ size }}", "'{% include \"parts/name.txt\" %}'"))
        .in_git();
    fs::remove_file(scenario.root().join("templates/parts/name.txt")).unwrap();
    let scenario = scenario.git(&["checkout", "--quiet", "--", "templates"]);
    assert!(scenario.read("templates/parts/name.txt").starts_with("$Id: "));
    affected(&scenario, "HEAD").expect(expect![[r#"
        exit 0
        -- stdout
        nothing that would be sent differs from 3f95ec77569a
        -- stderr
        compared with HEAD (3f95ec77569a)
    "#]]);
}

/// A hook of git's is where people check before they push: its directory and index are set for other work.
#[test]
fn works_inside_a_hook() {
    let scenario = lab_and_twin().edit("environments/lab.yaml", "papers", "books");
    let mut command = scenario.command(["affected", "--since", "HEAD"]);
    command.env("GIT_DIR", "/nowhere").env("GIT_INDEX_FILE", "/nowhere/index").env("GIT_WORK_TREE", "/nowhere");
    assert_eq!(scenario.ended(command.output().unwrap()), affected(&scenario, "HEAD"));
}

/// Every file below the repository and the temporary directory.
fn everything(scenario: &Scenario, temporary: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |path: String| {
        let bytes = fs::read(scenario.root().join(&path)).unwrap();
        (path, bytes)
    };
    let mut all: Vec<(String, Vec<u8>)> = scenario.files().into_iter().map(read).collect();
    all.extend(fs::read_dir(temporary).unwrap().map(|it| (it.unwrap().path().display().to_string(), Vec::new())));
    all
}

#[test]
fn no_file_is_touched_and_none_is_left() {
    let scenario = lab_and_twin().edit("environments/lab.yaml", "papers", "books").git(&["add", "--all"]);
    let temporary = tempfile::tempdir().unwrap();
    let before = everything(&scenario, temporary.path());
    for (since, code) in [("HEAD", 0), ("nowhere", 2)] {
        for verb in [&["affected"][..], &["diff", "lab"][..]] {
            let mut command = scenario.command(verb.iter().copied().chain(["--since", since]));
            let ran = scenario.ended(command.env("TMPDIR", temporary.path()).output().unwrap());
            assert_eq!(ran.code, Some(code), "{ran}");
            assert!(everything(&scenario, temporary.path()) == before, "{ran}");
        }
    }
}

#[test]
fn revisions_that_are_none() {
    let scenario = lab_and_twin();
    affected(&scenario, "nowhere").expect(expect![[r#"
        exit 2
        -- stderr
        error: git knows no revision `nowhere`

        hint: `git branch --all` lists branches; `git fetch origin` brings what is missing
    "#]]);
    scenario.run(["affected", "--since=--output=x"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: `--output=x` is no revision

        hint: write a branch, a tag or a commit: `--since origin/main`
    "#]]);
    scenario.run(["affected", "--since="]).expect(expect![[r#"
        exit 2
        -- stderr
        error: `` is no revision

        hint: write a branch, a tag or a commit: `--since origin/main`
    "#]]);
    affected(&scenario, "HEAD..HEAD").expect(expect![[r#"
        exit 2
        -- stderr
        error: git knows no revision `HEAD..HEAD`

        hint: `git branch --all` lists branches; `git fetch origin` brings what is missing
    "#]]);
    affected(&scenario, "HEAD:environments").expect(expect![[r#"
        exit 2
        -- stderr
        error: git knows no revision `HEAD:environments`

        hint: `git branch --all` lists branches; `git fetch origin` brings what is missing
    "#]]);
    affected(&scenario, "0000000000000000000000000000000000000000").expect(expect![[r#"
        exit 2
        -- stderr
        error: git knows no revision `0000000000000000000000000000000000000000`

        hint: this is how a pipeline says that a branch is new; compare with where it began: `--since origin/main`
    "#]]);
}

#[test]
fn a_folder_that_is_no_checkout() {
    let scenario = Scenario::small();
    let mut command = scenario.command(["affected", "--since", "HEAD"]);
    command.env("GIT_CEILING_DIRECTORIES", scenario.root().parent().unwrap());
    scenario.ended(command.output().unwrap()).expect(expect![[r#"
        exit 2
        -- stderr
        error: [project] is no git checkout

        hint: `--since` wants a project that is kept in git
    "#]]);
}

#[test]
fn a_machine_without_git() {
    let scenario = lab_and_twin();
    let mut command = scenario.command(["affected", "--since", "HEAD"]);
    scenario.ended(command.env("PATH", "/nowhere").output().unwrap()).expect(expect![[r#"
        exit 1
        -- stderr
        error: git is not installed

        hint: install git; earlier revisions are read through it
    "#]]);
}

#[test]
fn a_clone_that_is_too_shallow() {
    let origin = lab_and_twin()
        .git(&["switch", "--quiet", "--create", "topic"])
        .edit("environments/lab.yaml", "papers", "books")
        .commit("books")
        .edit("environments/lab.yaml", "books", "maps")
        .commit("maps");
    let clone = |arguments: &[&str]| {
        let place = Scenario::empty();
        let url = format!("file://{}", origin.root().display());
        git(place.root(), &[&["clone", "--quiet", "--branch=topic", "--no-local"], arguments, &[&url, "."]].concat());
        place
    };
    affected(&clone(&["--depth=1"]), "origin/main").expect(expect![[r#"
        exit 2
        -- stderr
        error: git knows no revision `origin/main`

        hint: fetch the whole history: `fetch-depth: 0` of actions/checkout, `GIT_DEPTH: 0` in GitLab, `git fetch --unshallow`
    "#]]);
    affected(&clone(&["--depth=1", "--no-single-branch"]), "origin/main").expect(expect![[r#"
        exit 2
        -- stderr
        error: this clone is too shallow to tell where it left `origin/main`

        hint: fetch the whole history: `fetch-depth: 0` of actions/checkout, `GIT_DEPTH: 0` in GitLab, `git fetch --unshallow`
    "#]]);
    affected(&clone(&[]), "origin/main").expect(expect![[r#"
        exit 0
        -- stdout
        lab   store  template  environments/lab.yaml
        twin  store  template  environments/lab.yaml

        2 stacks of 2 environments: 2 changed
        -- stderr
        compared with origin/main (9e53d6079831)
    "#]]);
}

fn diff(scenario: &Scenario, more: &[&str]) -> Ran {
    scenario.run(["diff", "lab", "--since", "HEAD"].into_iter().chain(more.iter().copied()))
}

#[test]
fn an_environment_is_compared_with_what_it_was() {
    let scenario = lab_and_twin()
        .edit("environments/lab.yaml", "region:", "tags: {team: x}\nstack_name: x-${stack}\nprotected: true\nregion:")
        .edit("environments/lab.yaml", "stacks:", "deploy: {notify: ['arn:aws:sns:eu-west-1:111111111111:t']}\nstacks:")
        .edit("environments/lab.yaml", "papers", "books")
        .edit("templates/store/stack.yaml", "Outputs:", "  Other:\n    Type: AWS::SNS::Topic\nOutputs:");
    diff(&scenario, &["--exit-code"]).expect(expect![[r#"
        exit 4
        -- stdout
        store
          topic  papers → books  environments/lab.yaml:6:21 → environments/lab.yaml:10:21
          ~ deploy/notify/0  nothing → arn:aws:sns:eu-west-1:111111111111:t
          ~ protected  false → true
          ~ stack_name  demo-lab-store → x-store
          ~ tags/team  nothing → x
          + Other  AWS::SNS::Topic
          ~ Topic  AWS::SNS::Topic
              DisplayName  papers of 3 → books of 3
              TopicName  papers → books
        -- stderr
        compared with HEAD (9e53d6079831)
    "#]]);
    diff(&scenario, &["--format", "json"]).expect(expect![[r#"
        exit 0
        -- stdout
        {
          "schema": 1,
          "differences": {
            "environment": "lab at 9e53d6079831",
            "other": "lab",
            "since": "9e53d6079831fd82c31f1c2afd903588a5452b93",
            "stacks": [
              {
                "stack": "store",
                "values": [
                  {
                    "input": "topic",
                    "before": {
                      "value": "papers",
                      "place": {
                        "path": "environments/lab.yaml",
                        "line": 6,
                        "column": 21
                      }
                    },
                    "after": {
                      "value": "books",
                      "place": {
                        "path": "environments/lab.yaml",
                        "line": 10,
                        "column": 21
                      }
                    }
                  }
                ],
                "settings": [
                  {
                    "path": "deploy/notify/0",
                    "after": "arn:aws:sns:eu-west-1:111111111111:t"
                  },
                  {
                    "path": "protected",
                    "before": false,
                    "after": true
                  },
                  {
                    "path": "stack_name",
                    "before": "demo-lab-store",
                    "after": "x-store"
                  },
                  {
                    "path": "tags/team",
                    "after": "x"
                  }
                ],
                "template": {
                  "resources": [
                    {
                      "resource": "Other",
                      "kind": "AWS::SNS::Topic",
                      "difference": "added"
                    },
                    {
                      "resource": "Topic",
                      "kind": "AWS::SNS::Topic",
                      "difference": {
                        "changed": [
                          {
                            "path": "DisplayName",
                            "before": "papers of 3",
                            "after": "books of 3"
                          },
                          {
                            "path": "TopicName",
                            "before": "papers",
                            "after": "books"
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
fn what_an_environment_declares_to_differ_from_others_it_does_not_from_itself() {
    let declared = format!("{LAB}differences: [{{path: store/topic, because: they are rare, until: 2027-01-01}}]\n");
    let scenario = Scenario::small().lab(&declared).in_git().edit("environments/lab.yaml", "papers", "books");
    diff(&scenario, &["--exit-code"]).expect(expect![[r#"
        exit 4
        -- stdout
        store
          topic  papers → books  environments/lab.yaml:6:21 → environments/lab.yaml:6:21
          ~ Topic  AWS::SNS::Topic
              DisplayName  papers of 3 → books of 3
              TopicName  papers → books
        -- stderr
        compared with HEAD (16c44b7bd042)
    "#]]);
}

#[test]
fn stacks_that_came_and_went() {
    let scenario = lab_and_twin().edit("environments/lab.yaml", "  store:", "  other:\n    template: store");
    diff(&scenario, &["--exit-code"]).expect(expect![[r#"
        exit 4
        -- stdout
        store
          only in lab at 9e53d6079831

        other
          only in lab
        -- stderr
        compared with HEAD (9e53d6079831)
    "#]]);
    let scenario = scenario.file("environments/new.yaml", LAB.replace("demo", "new"));
    scenario.run(["diff", "new", "--since", "HEAD", "--exit-code"]).expect(expect![[r#"
        exit 4
        -- stdout
        store
          only in new
        -- stderr
        compared with HEAD (9e53d6079831)
    "#]]);
}

#[test]
fn nothing_has_changed() {
    diff(&lab_and_twin().edit("environments/lab.yaml", "project", "owner: jane\nproject"), &["--exit-code"]).expect(
        expect![[r#"
            exit 0
            -- stdout
            lab at 9e53d6079831 and now differ in nothing that would be sent
            -- stderr
            compared with HEAD (9e53d6079831)
        "#]],
    );
}

#[test]
fn what_it_was_cannot_be_rendered() {
    let scenario = lab_and_twin().store("Resources: {{ nothing }}\n").commit("broken").store(STORE);
    diff(&scenario, &["--exit-code"]).expect(expect![[r#"
        exit 6
        -- stderr
        compared with HEAD (e2c54772ffeb)
        error: `lab` cannot be rendered as it was at e2c54772ffeb
          no input declares `nothing`

        hint: compare with another revision, or with what is deployed: `greenroom plan`
    "#]]);
    let scenario = scenario.commit("mended").edit("environments/lab.yaml", "region", "reign").commit("broken");
    diff(&scenario.lab(LAB), &[]).expect(expect![[r#"
        exit 6
        -- stderr
        compared with HEAD (bf7e6c447d06)
        error: `lab` cannot be rendered as it was at bf7e6c447d06
          unknown key `reign`
          `lab` says no `region`

        hint: compare with another revision, or with what is deployed: `greenroom plan`
    "#]]);
}

#[test]
fn one_of_many_is_compared_by_its_name() {
    let scenario =
        Scenario::small().lab(&format!("named: true\n{LAB}")).in_git().edit("environments/lab.yaml", "papers", "books");
    scenario.run(["diff", "lab@jane", "--since", "HEAD"]).expect(expect![[r#"
        exit 0
        -- stdout
        store
          topic  papers → books  environments/lab.yaml:7:21 → environments/lab.yaml:7:21
          ~ Topic  AWS::SNS::Topic
              DisplayName  papers of 3 → books of 3
              TopicName  papers → books
        -- stderr
        compared with HEAD (7e92e7222aeb)
    "#]]);
    scenario.run(["diff", "lab", "--since", "HEAD"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: `lab` stands for many: say which one, `lab@NAME`
    "#]]);
}

#[test]
fn since_is_instead_of_another_environment() {
    let scenario = lab_and_twin();
    scenario.run(["diff", "lab", "twin", "--since", "HEAD"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: the argument '[OTHER]' cannot be used with '--since <REV>'

        Usage: greenroom diff <ENVIRONMENT> <OTHER>

        For more information, try '--help'.
    "#]]);
    scenario.run(["diff", "lab"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: the following required arguments were not provided:
          <OTHER>

        Usage: greenroom diff <ENVIRONMENT> <OTHER>

        For more information, try '--help'.
    "#]]);
}
