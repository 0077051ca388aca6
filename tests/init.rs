//! `init`: the shipped project, written anew.

use std::collections::BTreeSet;
use std::fs;

use expect_test::expect;

use crate::support::{SHIPPED_FOLDERS, Scenario, files_below, shipped};

/// A file that is added to the folders and not to the list would be missing from every new project.
#[test]
fn writes_every_file_that_is_shipped() {
    let scenario = Scenario::empty();
    scenario.run(["init", "shop"]).stdout();
    let of_folders = SHIPPED_FOLDERS.iter().flat_map(|folder| files_below(&shipped(folder)));
    let shipped: BTreeSet<String> =
        of_folders.map(|path| path.strip_prefix(shipped("")).unwrap().to_str().unwrap().to_string()).collect();
    let written: BTreeSet<String> =
        scenario.files().iter().map(|file| file.strip_prefix("shop/").unwrap().to_string()).collect();
    assert_eq!(written, shipped);
}

#[test]
fn a_new_project_has_its_own_name_and_no_mistake() {
    let scenario = Scenario::empty();
    scenario.run(["init", "shop"]).stdout();
    scenario.run(["check", "--project", "shop"]).expect_silence();
    assert!(scenario.read("shop/environments/base.yaml").contains("\nproject: shop\n"));
}

#[test]
fn says_what_to_do_next() {
    let ran = Scenario::empty().run(["init", "some/where/shop"]);
    let after_the_files: Vec<&str> = ran.stdout().lines().skip_while(|line| line.starts_with("wrote ")).collect();
    expect![[r#"

        Before the first deploy, say what is yours: accounts, Region, owner, buckets, in environments/*.yaml.
        hint: `cd some/where/shop && greenroom check && greenroom render production database`"#]]
    .assert_eq(&after_the_files.join("\n"));
}

#[test]
fn never_writes_into_what_is_there() {
    let scenario = Scenario::empty().file("shop/notes.txt", "mine");
    scenario.run(["init", "shop"]).expect(expect![[r#"
        exit 3
        -- stderr
        error: `shop` is there already, and not empty

        hint: name a directory that does not exist
    "#]]);
    assert_eq!(scenario.files(), ["shop/notes.txt"]);
}

#[test]
fn a_name_that_no_stack_could_have() {
    let scenario = Scenario::empty();
    scenario.run(["init", "my shop"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: `my shop` cannot be a project's name: letters, digits and hyphens, beginning with a letter

        hint: the name is a part of every stack's name
    "#]]);
    scenario.run(["init", "/"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: `` cannot be a project's name: letters, digits and hyphens, beginning with a letter

        hint: the name is a part of every stack's name
    "#]]);
    assert_eq!(scenario.files(), [""; 0]);
}

#[test]
fn a_directory_that_cannot_be_made() {
    let scenario = Scenario::empty().file("file", "");
    scenario.run(["init", "file/shop"]).expect(expect![[r#"
        exit 1
        -- stderr
        error: a project cannot be written to `file/shop`
          because not a directory

        hint: name a directory that does not exist
    "#]]);
    scenario.run(["init", "file"]).expect(expect![[r#"
        exit 1
        -- stderr
        error: a project cannot be written to `file`
          because not a directory

        hint: name a directory that does not exist
    "#]]);
    assert_eq!(fs::read(scenario.root().join("file")).unwrap(), b"");
}
