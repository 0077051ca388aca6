//! Runs the commands of the README, in order, in a copy of the shipped project, and compares what they print.
//!
//! In a `console` block a line `…` stands for any lines, `…` in a line for any text, and `# ends with 2` behind a command for its
//! exit code. What goes to stderr comes first, as on a terminal.

use std::fs;
use std::path::Path;
use std::process::Command;

struct Example {
    command: String,
    exit_code: i32,
    expected: Vec<String>,
}

fn examples() -> Vec<Example> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    let mut examples: Vec<Example> = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        for line in block.split("\n```").next().unwrap_or_default().lines() {
            match line.strip_prefix("$ ") {
                Some(typed) => {
                    let (command, end) = typed.split_once("   # ends with ").unwrap_or((typed, "0"));
                    let exit_code = end.parse().expect("an exit code");
                    examples.push(Example { command: command.to_string(), exit_code, expected: Vec::new() });
                }
                None => examples.last_mut().expect("a command before its output").expected.push(line.to_string()),
            }
        }
    }
    examples
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a readable directory") {
        let path = entry.expect("a readable entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copied file");
        }
    }
}

/// Whether printed lines are the expected ones, `…` standing for any.
fn fits(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "…" => (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..])),
        Some((first, rest)) => printed.first().is_some_and(|line| fits_line(first, line)) && fits(rest, &printed[1..]),
    }
}

/// Whether a line is the expected one, `…` standing for any text.
fn fits_line(expected: &str, printed: &str) -> bool {
    let Some((before, after)) = expected.split_once('…') else { return expected == printed };
    let Some(rest) = printed.strip_prefix(before) else { return false };
    let ends = rest.char_indices().map(|(index, _)| index).chain([rest.len()]);
    ends.into_iter().any(|end| fits_line(after, &rest[end..]))
}

/// Ends the local cloud also when a test fails.
struct Ends<'a>(&'a Path);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        end_local_cloud(self.0);
    }
}

/// Ends the local cloud that the commands started; it would end by itself, but in a directory that is gone.
fn end_local_cloud(project: &Path) {
    let Ok(text) = fs::read_to_string(project.join(".greenroom/simulator.json")) else { return };
    let address: serde_json::Value = serde_json::from_str(&text).expect("an address");
    // It may have ended by itself.
    let _ = Command::new("kill").arg(address["pid"].to_string()).status();
}

#[test]
fn its_commands_print_what_it_says() {
    let directory = tempfile::tempdir().expect("a directory");
    for folder in ["environments", "templates", "sql"] {
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &directory.path().join(folder));
    }
    let binary = env!("CARGO_BIN_EXE_greenroom");
    let examples = examples();
    assert!(examples.len() > 5, "the README shows too little");
    let _ends = Ends(directory.path());
    // The tests are running already.
    for example in examples.iter().filter(|example| !example.command.starts_with("cargo test")) {
        let words = example.command.replace("cargo run -- ", "greenroom ");
        let command =
            words.strip_prefix("greenroom ").map_or_else(|| words.clone(), |rest| format!("'{binary}' {rest}"));
        let output =
            Command::new("sh").arg("-c").arg(&command).current_dir(directory.path()).output().expect("a shell");
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(output.status.code(), Some(example.exit_code), "{}\n{printed}", example.command);
        assert!(
            fits(&example.expected, &lines),
            "{} prints\n{printed}\nbut README.md says\n{}",
            example.command,
            example.expected.join("\n")
        );
    }
}

/// The stack of one's own that it shows is one that works.
#[test]
fn the_stack_of_ones_own_renders() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    let directory = tempfile::tempdir().expect("a directory");
    let blocks = readme.split("```yaml\n# ").skip(1);
    for block in blocks {
        let (path, text) =
            block.split("\n```").next().and_then(|block| block.split_once('\n')).expect("a path and a text");
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    let environment = "project: p\nregion: eu-west-1\naccount: '111111111111'\nstacks: {bucket: {values: {retention_days: 7, topic_arn: {export: topic}}}}\n";
    fs::create_dir(directory.path().join("environments")).expect("a directory");
    fs::write(directory.path().join("environments/e.yaml"), environment).expect("a file");
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_greenroom"))
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .expect("the binary")
    };
    let checked = run(&["check"]);
    assert_eq!(String::from_utf8_lossy(&checked.stderr), "");
    let rendered: serde_json::Value =
        serde_json::from_slice(&run(&["render", "e", "bucket", "--format", "json"]).stdout).expect("JSON");
    let properties = &rendered["Resources"]["Bucket"]["Properties"];
    assert_eq!(properties["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"], 7);
    assert_eq!(properties["NotificationConfiguration"]["TopicConfigurations"][0]["Topic"]["Ref"], "TopicArn");
}
