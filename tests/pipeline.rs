//! Runs what docs/pipeline.md says, as a pipeline would: every piece of shell in it, each job on a machine of its own.
//!
//! A machine is an empty directory, the local cloud, and `greenroom` on the path. Of GitHub's and GitLab's runners as much is here
//! as the page uses: checkouts of the depth that is asked for, matrices, artifacts, outputs, conditions, expressions. Anything else
//! stops the test.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use greenroom::environment::{Node, SourceId, yaml};
use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;

use crate::support::Scenario;
use crate::support::cloud::Cloud;
use crate::support::git::git;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pipeline.md")).unwrap()
}

/// The shell pieces of the page, in order.
fn shell_pieces() -> Vec<String> {
    let page = page();
    page.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

/// The file of the page at this path.
fn file(path: &str) -> Node {
    let page = page();
    let start = format!("```yaml\n# {path}\n");
    let text = page.split(&start).nth(1).unwrap_or_else(|| panic!("the page has no {path}"));
    let reading = yaml::read(SourceId::RENDERED, text.split("\n```\n").next().unwrap());
    assert!(reading.mistakes.is_empty(), "{path}: {:?}", reading.mistakes);
    reading.root.unwrap()
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key).and_then(Node::as_text)
}

fn entries(node: Option<&Node>) -> Vec<(String, String)> {
    let entries = node.and_then(Node::as_mapping).unwrap_or_default();
    entries.iter().map(|entry| (entry.key.clone(), entry.value.as_text().unwrap_or_default().to_owned())).collect()
}

/// How a job or a piece ended, and all that it wrote.
#[derive(Debug)]
struct End {
    job: String,
    code: i32,
    said: String,
}

/// The repository, a cloud, and room for machines.
struct Site {
    cloud: Cloud,
    room: TempDir,
    machines: usize,
}

impl Site {
    /// With production as its file says.
    fn with_production() -> Self {
        let site = Self::new();
        site.cloud.ends("deploy production --confirm production --quiet", 0);
        site
    }

    fn new() -> Self {
        let cloud = Cloud::with(Scenario::shipped().file(".gitignore", ".greenroom/\n").in_git(), &[]);
        let room = tempfile::tempdir().unwrap();
        let bin = room.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(room.path().join("artifacts")).unwrap();
        symlink(env!("CARGO_BIN_EXE_greenroom"), bin.join("greenroom")).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let install = format!("[ \"$*\" = \"install greenroom --version {version} --locked\" ]");
        // Other people's programs: what they were given is kept.
        let keep = format!("{{ echo \"$0 $*\"; cat comment.md; }} > '{}'", room.path().join("comment").display());
        for (name, script) in [("cargo", install.as_str()), ("gh", &keep), ("curl", &keep)] {
            let path = bin.join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { cloud, room, machines: 0 }
    }

    /// A branch with more room for the API of production.
    fn branch(&mut self) {
        git(self.cloud.scenario.root(), &["switch", "--quiet", "--create", "topic"]);
        self.cloud.edit("environments/production.yaml", "max: 12", "max: 13");
        git(self.cloud.scenario.root(), &["commit", "--quiet", "--all", "--message", "more room"]);
        git(self.cloud.scenario.root(), &["switch", "--quiet", "main"]);
    }

    fn merge(&self) {
        git(self.cloud.scenario.root(), &["merge", "--quiet", "--ff-only", "topic"]);
    }

    /// An empty directory that reaches the cloud.
    fn machine(&mut self) -> PathBuf {
        self.machines += 1;
        let machine = self.room.path().join(format!("machine-{}", self.machines));
        fs::create_dir_all(&machine).unwrap();
        machine
    }

    fn check_out(&self, machine: &Path, branch: &str, depth: &str) {
        let url = format!("file://{}", self.cloud.scenario.root().display());
        let depth = if depth == "0" { "--no-single-branch".to_owned() } else { format!("--depth={depth}") };
        git(machine, &["clone", "--quiet", "--no-local", &depth, "--branch", branch, &url, "."]);
    }

    fn shell(&self, machine: &Path, options: &[&str], script: &str, variables: &[(String, String)]) -> (i32, String) {
        assert!(!script.contains("${{"), "an expression in shell is run as shell, whatever it holds: {script}");
        let address = ".greenroom/simulator.json";
        fs::create_dir_all(machine.join(".greenroom")).unwrap();
        fs::write(machine.join(address), self.cloud.scenario.read(address)).unwrap();
        let path = format!("{}:/usr/bin:/bin", self.room.path().join("bin").display());
        let output = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .args(options)
            .args(["-c", script])
            .current_dir(machine)
            .env_clear()
            .env("PATH", path)
            .env("GREENROOM_LOCAL", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs(variables.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    fn hours_pass(&self, hours: u64) {
        self.cloud.control("advance", &json!({ "seconds": hours * 3_600 }).to_string());
    }

    /// What was commented on the pull request.
    fn comment(&self) -> String {
        let comment = self.room.path().join("comment");
        let text = fs::read_to_string(&comment).unwrap();
        fs::remove_file(comment).unwrap();
        text
    }

    fn changed_by_hand(&self) {
        let parameters = [("AutoScalingGroupName", self.group().as_str()), ("HealthCheckGracePeriod", "999")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let borrowed: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let place = ["222222222222", "ap-southeast-2"];
        self.cloud.by_hand_in(place, ["autoscaling", "2011-01-01"], "UpdateAutoScalingGroup", &borrowed);
    }

    /// The name of the API's group.
    fn group(&self) -> String {
        let answer = self.cloud.by_hand_in(
            ["222222222222", "ap-southeast-2"],
            ["cloudformation", "2010-05-15"],
            "DescribeStackResource",
            &[("StackName", "sync-production-sync-api"), ("LogicalResourceId", "Group")],
        );
        answer.split("<PhysicalResourceId>").nth(1).unwrap().split('<').next().unwrap().to_owned()
    }
}

mod github {
    use super::*;

    /// Runs a workflow for an event, its jobs in order. What is skipped has no end.
    pub(super) fn workflow(site: &mut Site, path: &str, branch: &str, event: &Json) -> Vec<End> {
        let workflow = file(path);
        let mut ends = Vec::new();
        let mut needs = Map::new();
        for job in workflow.get("jobs").and_then(Node::as_mapping).unwrap() {
            let mut context = event.clone();
            context["needs"] = Json::Object(needs.clone());
            let wanted = text(&job.value, "needs").is_none_or(|need| needs.contains_key(need));
            let condition = text(&job.value, "if").unwrap_or("'true'");
            if !wanted || !is_truthy(&evaluate(condition, &context)) {
                continue;
            }
            let mut outputs = Json::Null;
            let mut is_good = true;
            for matrix in matrix(&job.value, &context) {
                context["matrix"] = matrix;
                let (end, said) = run(site, &workflow, &job.key, &job.value, &mut context, branch);
                is_good &= end.code == 0;
                outputs = said;
                ends.push(end);
            }
            if is_good {
                needs.insert(job.key.clone(), json!({ "outputs": outputs }));
            }
        }
        ends
    }

    fn matrix(job: &Node, context: &Json) -> Vec<Json> {
        let Some(matrix) = job.at(["strategy", "matrix"]) else { return vec![Json::Null] };
        if let Some(expression) = matrix.as_text() {
            let matrix: Json = serde_json::from_str(&filled(expression, context)).unwrap();
            assert_eq!(matrix.as_object().unwrap().len(), 1, "any key but `include` is a dimension: {matrix}");
            let include = matrix["include"].as_array().unwrap().clone();
            assert!(!include.is_empty(), "GitHub takes no empty matrix");
            return include;
        }
        let [dimension] = matrix.as_mapping().unwrap() else { panic!("one dimension is enough") };
        let values = dimension.value.as_sequence().unwrap();
        values.iter().map(|value| json!({ dimension.key.clone(): value.as_text() })).collect()
    }

    fn run(site: &mut Site, workflow: &Node, name: &str, job: &Node, context: &mut Json, branch: &str) -> (End, Json) {
        let machine = site.machine();
        let written = site.machine();
        let mut end = End { job: name.to_owned(), code: 0, said: String::new() };
        context["steps"] = json!({});
        for step in job.get("steps").and_then(Node::as_sequence).unwrap() {
            if let Some(action) = text(step, "uses") {
                let with: BTreeMap<String, String> =
                    entries(step.get("with")).into_iter().map(|(key, value)| (key, filled(&value, context))).collect();
                act(site, &machine, action, &with, branch);
                if action.starts_with("aws-actions/configure-aws-credentials@") {
                    let allowed = [job, workflow].iter().find_map(|it| it.get("permissions")).unwrap();
                    assert_eq!(text(allowed, "id-token"), Some("write"), "{name} cannot become a role");
                    assert!(with.contains_key("role-to-assume") && with.contains_key("aws-region"));
                }
                continue;
            }
            let output = written.join(text(step, "id").unwrap_or("output"));
            let own = entries(step.get("env")).into_iter().map(|(key, value)| (key, filled(&value, context)));
            let given = [
                ("GITHUB_OUTPUT", output.clone()),
                ("GITHUB_STEP_SUMMARY", written.join("summary")),
                ("GITHUB_REPOSITORY", "acme/sync".into()),
            ];
            let given = given.into_iter().map(|(key, value)| (key.to_owned(), value.display().to_string()));
            let variables: Vec<(String, String)> = own.chain(given).collect();
            // As the runner does: with `pipefail` only where bash is asked for by name.
            let options = if text(step, "shell") == Some("bash") { &["-eo", "pipefail"][..] } else { &["-e"] };
            let (code, said) = site.shell(&machine, options, text(step, "run").unwrap(), &variables);
            end.said.push_str(&said);
            end.code = code;
            if code != 0 {
                break;
            }
            let outputs: Map<String, Json> = fs::read_to_string(&output)
                .unwrap_or_default()
                .lines()
                .map(|line| line.split_once('=').expect("an output of one line"))
                .map(|(key, value)| (key.to_owned(), json!(value)))
                .collect();
            if let Some(id) = text(step, "id") {
                context["steps"][id] = json!({ "outputs": outputs });
            }
        }
        end.said.push_str(&fs::read_to_string(written.join("summary")).unwrap_or_default());
        let outputs = entries(job.get("outputs")).into_iter();
        let outputs: Map<String, Json> = outputs.map(|(key, value)| (key, json!(filled(&value, context)))).collect();
        (end, Json::Object(outputs))
    }

    fn act(site: &Site, machine: &Path, action: &str, with: &BTreeMap<String, String>, branch: &str) {
        let artifacts = site.room.path().join("artifacts");
        match action.split_once('@').unwrap().0 {
            "actions/checkout" => {
                let _ = fs::remove_dir_all(machine.join(".greenroom"));
                site.check_out(machine, branch, with.get("fetch-depth").map_or("1", String::as_str));
            }
            "actions/upload-artifact" => {
                let to = artifacts.join(&with["name"]);
                fs::create_dir_all(&to).unwrap();
                let names = matching(machine, &with["path"]);
                assert!(!names.is_empty(), "there is no {}", with["path"]);
                for name in names {
                    fs::copy(machine.join(&name), to.join(&name)).unwrap();
                }
            }
            "actions/download-artifact" => {
                let names = match with.get("pattern") {
                    Some(pattern) => {
                        assert_eq!(with.get("merge-multiple").map(String::as_str), Some("true"));
                        matching(&artifacts, pattern)
                    }
                    None => vec![with["name"].clone()],
                };
                assert!(!names.is_empty());
                for from in names.iter().map(|name| artifacts.join(name)) {
                    for name in matching(&from, "*") {
                        fs::copy(from.join(&name), machine.join(&name)).unwrap();
                    }
                }
            }
            "aws-actions/configure-aws-credentials" => {}
            other => panic!("the page uses {other}, which nobody has thought of"),
        }
    }

    /// The names in a directory that fit a pattern with one `*`, in order.
    fn matching(directory: &Path, pattern: &str) -> Vec<String> {
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let fits = |name: &String| {
            if pattern.contains('*') { name.starts_with(start) && name.ends_with(end) } else { name == pattern }
        };
        let mut names: Vec<String> = names.filter(fits).collect();
        names.sort();
        names
    }

    /// A text with its `${{ … }}` evaluated.
    fn filled(text: &str, context: &Json) -> String {
        let Some((before, rest)) = text.split_once("${{") else { return text.to_owned() };
        let (expression, after) = rest.split_once("}}").unwrap();
        let value = match evaluate(expression, context) {
            Json::String(text) => text,
            other => other.to_string(),
        };
        format!("{before}{value}{}", filled(after, context))
    }

    fn is_truthy(value: &Json) -> bool {
        !matches!(value, Json::Null | Json::Bool(false)) && value.as_str() != Some("")
    }

    /// GitHub's expressions, as far as the page goes ("Evaluate expressions in workflows and actions", docs.github.com).
    fn evaluate(expression: &str, context: &Json) -> Json {
        let expression = expression.trim();
        if let Some((left, right)) = expression.split_once(" || ") {
            let left = evaluate(left, context);
            return if is_truthy(&left) { left } else { evaluate(right, context) };
        }
        if let Some((left, right)) = expression.split_once(" && ") {
            let left = evaluate(left, context);
            return if is_truthy(&left) { evaluate(right, context) } else { left };
        }
        for (operator, is_equal) in [(" == ", true), (" != ", false)] {
            if let Some((left, right)) = expression.split_once(operator) {
                return json!((evaluate(left, context) == evaluate(right, context)) == is_equal);
            }
        }
        if let Some(literal) = expression.strip_prefix('\'') {
            return json!(literal.strip_suffix('\'').unwrap());
        }
        if let Some((function, arguments)) = expression.split_once('(') {
            let arguments = arguments.strip_suffix(')').unwrap().split(", ");
            let arguments: Vec<Json> = arguments.map(|argument| evaluate(argument, context)).collect();
            return call(function, &arguments);
        }
        let value = context.pointer(&format!("/{}", expression.replace('.', "/")));
        value.unwrap_or_else(|| panic!("nobody knows {expression} in {context}")).clone()
    }

    fn call(function: &str, arguments: &[Json]) -> Json {
        let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (function, arguments) {
            ("fromJSON", [json]) => serde_json::from_str(json.as_str().unwrap()).unwrap(),
            ("join", [items, separator]) => {
                let items: Vec<String> = items.as_array().unwrap().iter().map(text).collect();
                json!(items.join(separator.as_str().unwrap()))
            }
            ("format", [pattern, values @ ..]) => {
                let filled = values.iter().enumerate().fold(text(pattern), |pattern, (position, value)| {
                    pattern.replace(&format!("{{{position}}}"), &text(value))
                });
                json!(filled)
            }
            _ => panic!("the page uses {function}, which nobody has thought of"),
        }
    }
}

fn pull_request(action: &str) -> Json {
    json!({ "github": {
        "base_ref": "main",
        "token": "token",
        "repository": "acme/sync",
        "event": { "action": action, "number": 812, "pull_request": { "head": { "repo": { "full_name": "acme/sync" } } } },
    } })
}

fn ended(ends: &[End]) -> Vec<(&str, i32)> {
    ends.iter().map(|end| (end.job.as_str(), end.code)).collect()
}

#[test]
fn on_github_a_change_goes_from_pull_request_to_production() {
    let mut site = Site::with_production();
    site.branch();
    let ends = github::workflow(&mut site, ".github/workflows/pull-request.yaml", "topic", &pull_request("opened"));
    assert_eq!(ended(&ends), [("affected", 0), ("plan", 0), ("comment", 0)], "{ends:#?}");
    assert!(ends[0].said.contains("production  sync-api  template  environments/production.yaml"), "{ends:#?}");
    let comment = site.comment();
    assert!(comment.contains("pr comment 812 --repo acme/sync"), "{comment}");
    assert!(comment.contains("### greenroom plan of production"), "{comment}");
    assert!(comment.contains("MaxSize  12 → 13    environments/production.yaml:50:18"), "{comment}");
    assert_eq!(site.cloud.calls("ExecuteChangeSet"), 4, "a pull request changes nothing");

    let push = json!({ "github": {} });
    site.merge();
    let ends = github::workflow(&mut site, ".github/workflows/deploy.yaml", "main", &push);
    assert_eq!(ended(&ends), [("seal", 0), ("deploy", 0)], "{ends:#?}");
    site.cloud.ends("plan production --exit-code", 0);
    let ends = github::workflow(&mut site, ".github/workflows/deploy.yaml", "main", &push);
    assert_eq!(ended(&ends), [("seal", 0)], "nobody is asked where nothing changes: {ends:#?}");

    let ends = github::workflow(&mut site, ".github/workflows/nightly.yaml", "main", &push);
    assert_eq!(ended(&ends), [("drift", 0)], "{ends:#?}");
    let ends_of_hour = github::workflow(&mut site, ".github/workflows/hourly.yaml", "main", &push);
    assert_eq!(ended(&ends_of_hour), [("reap", 0)], "{ends_of_hour:#?}");
    site.changed_by_hand();
    let ends = github::workflow(&mut site, ".github/workflows/nightly.yaml", "main", &push);
    assert_eq!(ended(&ends), [("drift", 4)], "{ends:#?}");
}

#[test]
fn on_github_a_pull_request_has_its_sandbox_and_a_fork_has_nothing() {
    let mut site = Site::new();
    site.branch();
    let path = ".github/workflows/sandbox.yaml";
    let mut fork = pull_request("opened");
    fork["github"]["event"]["pull_request"]["head"]["repo"]["full_name"] = json!("mallory/sync");
    assert!(github::workflow(&mut site, path, "topic", &fork).is_empty());
    let ends = github::workflow(&mut site, ".github/workflows/pull-request.yaml", "topic", &fork);
    assert_eq!(ended(&ends), [("affected", 0)], "{ends:#?}");
    let ends = github::workflow(&mut site, path, "topic", &pull_request("opened"));
    assert_eq!(ended(&ends), [("up", 0)], "{ends:#?}");
    assert!(ends[0].said.contains("http://internal-"), "{ends:#?}");
    let ends = github::workflow(&mut site, path, "topic", &pull_request("closed"));
    assert_eq!(ended(&ends), [("down", 0)], "{ends:#?}");
    assert!(ends[0].said.contains("scratch@pr-812 is destroyed: 4 stacks"), "{ends:#?}");
}

/// A pull request that changes nothing, and one that begins a sandbox's change.
#[test]
fn on_github_a_matrix_is_never_empty_and_a_sandbox_is_planned_by_name() {
    let mut site = Site::new();
    let root = site.cloud.scenario.root().to_owned();
    git(&root, &["branch", "topic"]);
    let path = ".github/workflows/pull-request.yaml";
    let ends = github::workflow(&mut site, path, "topic", &pull_request("opened"));
    assert_eq!(ended(&ends), [("affected", 0)], "{ends:#?}");
    git(&root, &["switch", "--quiet", "topic"]);
    site.cloud.edit("environments/scratch.yaml", "storage_gib: 20", "storage_gib: 30");
    git(&root, &["commit", "--quiet", "--all", "--message", "room"]);
    let ends = github::workflow(&mut site, path, "topic", &pull_request("opened"));
    assert_eq!(ended(&ends), [("affected", 0), ("plan", 0), ("comment", 0)], "{ends:#?}");
    let comment = site.comment();
    assert!(comment.contains("### greenroom plan of scratch@&#8203;pr-812"), "{comment}");
}

/// Runs jobs of the page's `.gitlab-ci.yml`, in the given order, each on a machine of its own.
fn gitlab(site: &mut Site, branch: &str, jobs: &[&str]) -> Vec<End> {
    let pipeline = file(".gitlab-ci.yml");
    let base = git(site.cloud.scenario.root(), &["merge-base", "main", branch]);
    let mut ends = Vec::new();
    for name in jobs {
        let job = pipeline.get(name).unwrap();
        let parent = text(job, "extends").and_then(|parent| pipeline.get(parent));
        let machine = site.machine();
        let mut variables: BTreeMap<String, String> = BTreeMap::new();
        for node in [Some(&pipeline), parent, Some(job)].into_iter().flatten() {
            variables.extend(entries(node.get("variables")));
        }
        let given = [
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", base.as_str()),
            ("CI_MERGE_REQUEST_IID", "812"),
            ("CI_API_V4_URL", "https://gitlab.example.com/api/v4"),
            ("CI_PROJECT_ID", "7"),
            ("COMMENT_TOKEN", "token"),
            ("AWS_TOKEN", "token"),
        ];
        variables.extend(given.map(|(key, value)| (key.to_owned(), value.to_owned())));
        variables.insert("AWS_WEB_IDENTITY_TOKEN_FILE".to_owned(), format!("{}.token", machine.display()));
        if variables.get("GIT_STRATEGY").map(String::as_str) != Some("none") {
            site.check_out(&machine, branch, &variables["GIT_DEPTH"]);
        }
        let artifacts = site.room.path().join("artifacts");
        for file in fs::read_dir(&artifacts).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&file, machine.join(file.file_name().unwrap())).unwrap();
        }
        let lines = [parent.and_then(|parent| parent.get("before_script")), job.get("script")];
        let lines = lines.into_iter().flatten().flat_map(|lines| lines.as_sequence().unwrap());
        let script: String = lines.map(|line| format!("{}\n", line.as_text().unwrap())).collect();
        let variables: Vec<(String, String)> = variables.into_iter().collect();
        let (code, said) = site.shell(&machine, &["-eo", "pipefail"], &script, &variables);
        for path in job.at(["artifacts", "paths"]).and_then(Node::as_sequence).unwrap_or_default() {
            let path = path.as_text().unwrap();
            fs::copy(machine.join(path), artifacts.join(path)).unwrap();
        }
        ends.push(End { job: (*name).to_owned(), code, said });
    }
    ends
}

#[test]
fn on_gitlab_the_same() {
    let mut site = Site::with_production();
    site.branch();
    let jobs = ["check", "plan", "sandbox"];
    let ends = gitlab(&mut site, "topic", &jobs);
    assert_eq!(ended(&ends), jobs.map(|job| (job, 0)), "{ends:#?}");
    assert!(ends[0].said.contains("production  sync-api  template  environments/production.yaml"), "{ends:#?}");
    let comment = site.comment();
    assert!(comment.contains("https://gitlab.example.com/api/v4/projects/7/merge_requests/812/notes"), "{comment}");
    assert!(comment.contains("MaxSize  12 → 13"), "{comment}");
    site.merge();
    let later = ["seal", "deploy", "drift"];
    let ends = gitlab(&mut site, "main", &later);
    assert_eq!(ended(&ends), later.map(|job| (job, 0)), "{ends:#?}");
    site.cloud.ends("plan production --exit-code", 0);
    site.hours_pass(9);
    let last = ["reap", "sandbox-gone"];
    let ends = gitlab(&mut site, "main", &last);
    assert_eq!(ended(&ends), last.map(|job| (job, 0)), "{ends:#?}");
    assert!(ends[0].said.contains("scratch@pr-812"), "{ends:#?}");
    let all = file(".gitlab-ci.yml");
    let has_script = |entry: &&greenroom::environment::Entry| entry.value.get("script").is_some();
    let all = all.as_mapping().unwrap().iter().filter(has_script).count();
    assert_eq!(all, jobs.len() + later.len() + last.len(), "every job is run here");
}

#[test]
fn in_a_shell_the_same() {
    let mut site = Site::with_production();
    site.branch();
    let pieces = shell_pieces();
    let [look, seal, deploy, night, hour, sandbox, sandbox_gone, permissions] = pieces.as_slice() else {
        panic!("a piece more or less: {pieces:#?}")
    };
    let piece = |site: &mut Site, branch: Option<&str>, script: &str| {
        let machine = site.machine();
        branch.iter().for_each(|branch| site.check_out(&machine, branch, "0"));
        let number = [("NUMBER".to_owned(), "812".to_owned())];
        let (code, said) = site.shell(&machine, &["-eu"], script, &number);
        assert_eq!(code, 0, "{script}\n{said}");
        (machine, said)
    };
    let (_, said) = piece(&mut site, Some("topic"), look);
    assert!(said.contains("production  sync-api  template  environments/production.yaml"), "{said}");
    assert!(said.contains("MaxSize  12 → 13\n"), "{said}");
    site.merge();
    let (sealed, said) = piece(&mut site, Some("main"), seal);
    assert!(said.contains("to be approved: production.plan.json"), "{said}");
    let elsewhere = site.machine();
    fs::copy(sealed.join("production.plan.json"), elsewhere.join("production.plan.json")).unwrap();
    let (code, said) = site.shell(&elsewhere, &["-eu"], deploy, &[]);
    assert_eq!(code, 0, "{said}");
    let (_, said) = piece(&mut site, Some("main"), seal);
    assert!(said.contains("nothing to deploy"), "{said}");
    piece(&mut site, Some("main"), night);
    let (_, said) = piece(&mut site, Some("topic"), sandbox);
    assert!(said.contains("http://internal-"), "{said}");
    let (_, said) = piece(&mut site, Some("main"), hour);
    assert!(!said.contains("pr-812 is destroyed"), "its time is not over: {said}");
    piece(&mut site, Some("topic"), sandbox_gone);
    let (_, said) = piece(&mut site, Some("main"), permissions);
    assert!(
        said.contains("repo:acme/sync:pull_request") && said.contains("repo:acme/sync:environment:production"),
        "{said}"
    );
    assert!(said.contains("cloudformation:DetectStackDrift"), "the night has a policy, too: {said}");
}

/// The table of exit codes is that of the program.
#[test]
fn the_exit_codes_are_all_there() {
    use greenroom::error::Exit;
    let all = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::Refused,
        Exit::Differences,
        Exit::Unfinished,
        Exit::CouldNotCheck,
        Exit::Interrupted,
    ];
    let page = page();
    let listed: Vec<u8> =
        page.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect();
    assert_eq!(listed, all.map(Exit::code));
}
