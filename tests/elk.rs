//! The ELK stack's machines: what their user data does, run by the shell it is written for, and real nodes with what it writes.
//!
//! The nodes need Maven and a JDK. Without them the test of real nodes says so and passes; `GREENROOM_REAL_NODES=required` makes
//! that a failure.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Scenario;

/// The user data of a group of an environment, as the instance gets it, CloudFormation's values put in.
fn user_data(environment: &str, group: &str) -> String {
    let scenario = Scenario::shipped();
    let ran = scenario.run(["render", environment, "elk", "--format", "json"]);
    let template: Value = serde_json::from_str(ran.stdout()).expect("a template");
    let template = template.get("template").unwrap_or(&template);
    let data = &template["Resources"][format!("{group}Template")]["Properties"]["LaunchTemplateData"]["UserData"];
    let parts = data["Fn::Base64"]["Fn::Join"][1].as_array().expect("parts");
    let facts = parts[0]["Fn::Sub"].as_str().expect("facts");
    let stack_id = "arn:aws:cloudformation:ap-southeast-2:222222222222:stack/sync-production-elk/0a1b2c3d";
    let facts =
        regex::Regex::new(r"\$\{([A-Za-z:]+)\}").unwrap().replace_all(
            facts,
            |found: &regex::Captures<'_>| match &found[1] {
                "AWS::StackId" => stack_id.to_owned(),
                name => name.replace("::", "-").to_lowercase(),
            },
        );
    facts.into_owned() + parts[1].as_str().expect("the script")
}

/// A machine of a test: its functions, without the call at the end that would bring it up, and services that answer from files.
struct Machine {
    directory: tempfile::TempDir,
    functions: String,
}

/// `aws` of a test: instances from a file, and a parameter that takes the first value only, as the service does.
const AWS: &str = r#"#!/bin/bash
case "$1 $2" in
  "ec2 describe-instances") cat "$CLOUD/instances" ;;
  "ssm get-parameter") cat "$CLOUD/parameter" 2> /dev/null || exit 254 ;;
  "ssm put-parameter") set -o noclobber; for last; do :; done; { echo "$last" > "$CLOUD/parameter"; } 2> /dev/null || exit 254 ;;
  *) echo "nobody expects: $*" >&2; exit 99 ;;
esac
"#;

impl Machine {
    fn of(environment: &str, group: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let script = user_data(environment, group);
        let (functions, call) = script.trim_end().rsplit_once('\n').expect("a call at the end");
        assert!(["elasticsearch", "logstash", "kibana"].contains(&call), "the script ends with {call:?}");
        let machine = Self { functions: functions.to_owned(), directory };
        machine.command("aws", AWS);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A command that stands before the machine's own.
    fn command(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        fs::create_dir_all(self.path("bin")).unwrap();
        let file = self.path("bin").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn masters(&self, ids: &[(&str, &str)]) {
        let lines: String = ids.iter().map(|(id, address)| format!("{id}\t{address}\n")).collect();
        fs::write(self.path("instances"), lines).unwrap();
    }

    /// Runs a piece of shell after the functions, as an instance of this id.
    fn shell(&self, id: &str, piece: &str) -> Output {
        let script = format!(
            "{}\nINSTANCE={id} ADDRESS=127.0.5.1 ZONE=ap-southeast-2a SETTINGS={}\n{piece}\n",
            self.functions,
            self.directory.path().display()
        );
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        Command::new("bash")
            .arg("-c")
            .arg(script)
            .env("PATH", path)
            .env("CLOUD", self.directory.path())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn says(&self, id: &str, piece: &str) -> String {
        let output = self.shell(id, piece);
        assert!(output.status.success(), "{piece}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

const MASTERS: [(&str, &str); 3] = [("i-0a", "127.0.5.1"), ("i-0b", "127.0.5.2"), ("i-0c", "127.0.5.3")];

#[test]
fn user_data_fits_into_what_ec2_takes() {
    for environment in ["production", "staging", "scratch@ci"] {
        let groups = if environment == "scratch@ci" {
            &["Node", "Logstash", "Kibana"][..]
        } else {
            &["Masters", "DataNodes", "Logstash", "Kibana"]
        };
        for group in groups {
            let bytes = user_data(environment, group).len();
            assert!(bytes < 16_384, "{environment}/{group} has {bytes} bytes");
        }
    }
}

#[test]
fn the_first_formation_is_written_once_whoever_writes() {
    let machine = Machine::of("production", "Masters");
    machine.masters(&MASTERS[..2]);
    assert!(!machine.shell("i-0a", "formation").status.success(), "two of three are no formation");
    machine.masters(&MASTERS);
    assert_eq!(machine.says("i-0a", "formation"), "i-0a,i-0b,i-0c\n");
    machine.masters(&[("i-0b", "127.0.5.2"), ("i-0c", "127.0.5.3"), ("i-0d", "127.0.5.4")]);
    assert_eq!(machine.says("i-0d", "formation"), "i-0a,i-0b,i-0c\n", "a later look changes nothing");
}

#[test]
fn only_those_who_formed_the_cluster_carry_its_setting() {
    let machine = Machine::of("production", "Masters");
    let carried = |id: &str, roles: &str| {
        let text = machine.says(id, &format!("ROLES='{roles}' FORMED_BY=i-0a,i-0b,i-0c; configuration"));
        text.lines().filter(|line| line.starts_with("cluster.initial")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(carried("i-0b", "master"), ["cluster.initial_master_nodes: [i-0a,i-0b,i-0c]"]);
    assert_eq!(carried("i-0d", "master"), Vec::<String>::new(), "a replacement joins");
    assert_eq!(carried("i-0b", "data, ingest"), Vec::<String>::new(), "data nodes form nothing");
}

#[test]
fn a_replacement_with_the_first_formations_setting_does_not_start() {
    let machine = Machine::of("production", "Masters");
    fs::write(machine.path("elasticsearch.yml"), "node.name: i-0d\ncluster.initial_master_nodes: [i-0a, i-0b, i-0c]\n")
        .unwrap();
    let check = "check_configuration $SETTINGS/elasticsearch.yml";
    let refused = machine.shell("i-0d", check);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(
        said.contains("refused: cluster.initial_master_nodes names i-0a, i-0b, i-0c, and this is i-0d, a replacement"),
        "{said}"
    );
    assert!(machine.shell("i-0b", check).status.success(), "one that formed the cluster starts again");
    fs::write(machine.path("elasticsearch.yml"), "node.name: i-0d\n").unwrap();
    assert!(machine.shell("i-0d", check).status.success());
    let unit = user_data("production", "Masters");
    assert!(
        unit.contains("ExecStartPre=$COMMANDS/elk-check $SETTINGS/elasticsearch.yml"),
        "it is asked before every start"
    );
}

#[test]
fn an_empty_answer_does_not_forget_the_others() {
    let machine = Machine::of("production", "DataNodes");
    machine.masters(&MASTERS);
    machine.says("i-0e", "write_seeds");
    machine.masters(&[]);
    assert!(!machine.shell("i-0e", "write_seeds").status.success());
    assert_eq!(fs::read_to_string(machine.path("unicast_hosts.txt")).unwrap(), "127.0.5.1\n127.0.5.2\n127.0.5.3\n");
}

#[test]
fn commands_that_live_on_need_nothing_of_the_boot_script() {
    let machine = Machine::of("production", "Masters");
    machine.masters(&MASTERS);
    machine.says("i-0a", "COMMANDS=$SETTINGS; install_command elk-seeds masters write_seeds");
    let installed = machine.path("elk-seeds");
    let path = format!("{}:{}", machine.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let ran =
        Command::new("bash").arg(&installed).env("PATH", path).env("CLOUD", machine.directory.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(machine.path("unicast_hosts.txt").exists());
}

#[test]
fn the_disk_for_data_is_the_one_that_nothing_is_on() {
    let machine = Machine::of("production", "DataNodes");
    let lsblk = |rows: &str| machine.command("lsblk", &format!("#!/bin/bash\ncat << 'END'\n{rows}\nEND\n"));
    lsblk("/dev/nvme0n1 disk  \n/dev/nvme0n1p1 part /dev/nvme0n1 xfs\n/dev/nvme1n1 disk  ");
    assert_eq!(machine.says("i-0e", "blank_disk"), "/dev/nvme1n1\n");
    lsblk("/dev/nvme0n1 disk  \n/dev/nvme0n1p1 part /dev/nvme0n1 xfs\n/dev/nvme1n1 disk  xfs");
    assert_eq!(machine.says("i-0e", "blank_disk"), "", "a disk that has something on it is nobody's to format");
}

#[test]
fn trying_again_has_an_end() {
    let machine = Machine::of("production", "Kibana");
    let piece = "tries=0; fails() { tries=$((tries + 1)); return 1; }; retry 3 0 fails || true; echo $tries";
    assert_eq!(machine.says("i-0f", piece), "3\n");
    let piece = "tries=0; third() { tries=$((tries + 1)); [ $tries = 3 ]; }; retry 9 0 third; echo $tries";
    assert_eq!(machine.says("i-0f", piece), "3\n");
}

#[test]
fn a_data_node_without_a_disk_for_data_does_not_start() {
    let machine = Machine::of("production", "DataNodes");
    machine.command("lsblk", "#!/bin/bash\necho '/dev/nvme0n1 disk  '\necho '/dev/nvme0n1p1 part /dev/nvme0n1 xfs'");
    let refused = machine.shell("i-0e", "prepare_disk");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&refused.stderr),
        "boot: there is no blank disk for data, and the root volume is not for them\n"
    );
    assert_eq!(machine.says("i-0a", "ROLES=master; prepare_disk; echo on"), "on\n", "a master keeps little");
}

/// CloudFormation refuses signals for what it does not make or change just now: every replacement would end here.
#[test]
fn a_signal_that_nobody_waits_for_ends_no_boot() {
    for group in ["Masters", "Logstash", "Kibana"] {
        let machine = Machine::of("production", group);
        machine.command("cfn-signal", "#!/bin/bash\nexit 1");
        machine.command("sleep", "#!/bin/bash");
        let piece = "trap 'echo trapped' ERR; signal 0 'it answers'; echo on";
        assert_eq!(machine.says("i-0f", piece), "on\n", "{group}");
    }
}

#[test]
fn a_port_is_asked_without_being_sent_anything() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let machine = Machine::of("production", "Logstash");
    assert_eq!(machine.says("i-0f", &format!("listens {port} && echo yes")), "yes\n");
    let (mut asked, _) = listener.accept().unwrap();
    assert_eq!(std::io::Read::read(&mut asked, &mut [0; 8]).unwrap(), 0);
    drop(listener);
    assert!(!machine.shell("i-0f", &format!("listens {port}")).status.success());
}

#[test]
fn logstash_makes_a_repeat_harmless() {
    let machine = Machine::of("production", "Logstash");
    let pipeline = machine.says("i-0f", "pipeline");
    for line in [
        "http {",
        "document_id => \"%{event_id}\"",
        "action => \"create\"",
        "index => \"%{[@metadata][index]}-%{+YYYY.MM.dd}\"",
        "hosts => [\"https://${ELK_NAME}:9200\"]",
    ] {
        assert!(pipeline.contains(line), "{line} is not in\n{pipeline}");
    }
    let settings = machine.says("i-0f", "settings");
    assert!(
        settings.contains("dead_letter_queue.enable: true") && settings.contains("queue.type: persisted"),
        "{settings}"
    );
    let kibana = Machine::of("production", "Kibana").says("i-0f", "settings");
    assert!(kibana.contains("server.publicBaseUrl: https://elk.sync.example.internal\n"), "{kibana}");
}

// ---- real nodes

/// A node, which ends with the test.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn es_cluster() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/es-cluster/es-cluster")
}

/// Whether real nodes can be started here; says why not.
fn can_start_nodes(family: &str, version: &str) -> bool {
    let built = Command::new(es_cluster()).args(["build", family, version]).output().unwrap();
    if built.status.success() {
        return true;
    }
    let why = String::from_utf8_lossy(&built.stderr).into_owned();
    assert!(std::env::var_os("GREENROOM_REAL_NODES").is_none(), "{family} {version}: {why}");
    #[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tested")]
    {
        eprintln!("skipped, no real nodes of {family} {version}: {}", why.trim());
    }
    false
}

/// A group of nodes on loopback addresses of its own, with the settings that the user data writes.
struct Nodes {
    family: &'static str,
    version: &'static str,
    /// `127.0.5`.
    net: &'static str,
    machines: [Machine; 2],
}

impl Nodes {
    /// Starts a node with what its user data writes: addresses are loopback ones, paths its own, security left out because these
    /// builds have none.
    fn start(&self, id: &str, number: u8, roles: &str) -> Node {
        let machine = if roles == "master" { &self.machines[0] } else { &self.machines[1] };
        let address = format!("{}.{number}", self.net);
        let home = machine.path(id);
        fs::create_dir_all(home.join("config")).unwrap();
        let formed = if roles == "master" { "FORMED_BY=$(formation)" } else { "FORMED_BY=" };
        let zone = ["a", "b", "c"][usize::from(number) % 3];
        let settings = format!("SETTINGS={}/config; ADDRESS={address} ZONE=zone-{zone}", home.display());
        let written = machine.says(id, &format!("{settings}; {formed}; write_seeds; configuration > $SETTINGS/whole.yml; check_configuration $SETTINGS/whole.yml; cat $SETTINGS/whole.yml"));
        assert!(written.contains(&format!("node.roles: [{roles}]")), "{written}");
        let kept: String = written
            .lines()
            .filter(|line| !["xpack.", "path.", "s3."].iter().any(|left_out| line.starts_with(left_out)))
            .map(|line| format!("{line}\n"))
            .collect();
        let config = home.join("settings.yml");
        fs::write(&config, kept).unwrap();
        let mut command = Command::new(es_cluster());
        command.args(["node", self.family, self.version, "--name", id, "--ip", &address]);
        command.arg("--home").arg(&home).arg("--config").arg(&config).stdout(Stdio::piped()).stderr(Stdio::piped());
        Node(command.spawn().unwrap())
    }

    fn ask(&self, number: u8, path: &str) -> Option<Value> {
        let url = format!("http://{}.{number}:9200/{path}", self.net);
        let output = Command::new("curl").args(["-sf", "-m", "10", &url]).output().ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Asks until the answer is what it should be: a cluster forms in its own time.
    fn until(&self, number: u8, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        const PATIENCE: Duration = Duration::from_mins(3);
        let begun = Instant::now();
        loop {
            match self.ask(number, path) {
                Some(answer) if is_right(&answer) => return answer,
                last => assert!(begun.elapsed() < PATIENCE, "{path}: {last:?}"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Waits until a node says that it answers.
fn ready(node: &mut Node) {
    let output = node.0.stdout.take().expect("a pipe");
    let line = BufReader::new(output).lines().map_while(Result::ok).find(|line| line.starts_with("READY"));
    assert!(line.is_some(), "a node did not start: {:?}", node.0.wait());
}

fn form_a_cluster(family: &'static str, version: &'static str, net: &'static str) {
    if !can_start_nodes(family, version) {
        return;
    }
    let machines = ["Masters", "DataNodes"].map(|group| Machine::of("production", group));
    let nodes = Nodes { family, version, net, machines };
    let address = |number: u8| format!("{net}.{number}");
    let masters: Vec<(String, String)> = (1..=3).map(|number| (format!("i-m{number}"), address(number))).collect();
    let see = |masters: &[(String, String)]| {
        let pairs: Vec<(&str, &str)> = masters.iter().map(|(id, address)| (id.as_str(), address.as_str())).collect();
        nodes.machines.iter().for_each(|machine| machine.masters(&pairs));
    };
    see(&masters);
    let mut running: Vec<Node> = (1..=3).map(|number| nodes.start(&format!("i-m{number}"), number, "master")).collect();
    running.extend((11..=13).map(|number| nodes.start(&format!("i-d{number}"), number, "data, ingest")));
    running.iter_mut().for_each(ready);
    let has =
        |count: usize| move |answer: &Value| answer["nodes"].as_object().is_some_and(|nodes| nodes.len() == count);
    let all = nodes.until(2, "_nodes?filter_path=nodes.*.name,nodes.*.roles,nodes.*.attributes.zone", has(6));
    let mut told: Vec<String> = all["nodes"]
        .as_object()
        .unwrap()
        .values()
        .map(|node| {
            let roles: Vec<&str> = node["roles"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            format!(
                "{} {} {}",
                node["name"].as_str().unwrap(),
                node["attributes"]["zone"].as_str().unwrap(),
                roles.join("+").replace("cluster_manager", "master")
            )
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "i-d11 zone-c data+ingest",
            "i-d12 zone-a data+ingest",
            "i-d13 zone-b data+ingest",
            "i-m1 zone-b master",
            "i-m2 zone-c master",
            "i-m3 zone-a master"
        ]
    );
    let cluster = nodes.ask(2, "").expect("an answer")["cluster_uuid"].clone();

    // One goes, with its disk. The one that comes is not on the list, so it can only join.
    drop(running.remove(0));
    see(&[masters[1].clone(), masters[2].clone(), ("i-m4".to_owned(), address(4))]);
    let mut replacement = nodes.start("i-m4", 4, "master");
    assert!(
        !fs::read_to_string(nodes.machines[0].path("i-m4").join("settings.yml")).unwrap().contains("initial_master")
    );
    ready(&mut replacement);
    let all = nodes.until(4, "_nodes?filter_path=nodes.*.name", has(6));
    let names: Vec<&str> =
        all["nodes"].as_object().unwrap().values().filter_map(|node| node["name"].as_str()).collect();
    assert!(names.contains(&"i-m4") && !names.contains(&"i-m1"), "{names:?}");
    assert_eq!(nodes.ask(4, "").expect("an answer")["cluster_uuid"], cluster, "it is the same cluster");
    running.push(replacement);
}

#[test]
fn elasticsearch_nodes_form_one_cluster_and_a_replacement_joins_it() {
    form_a_cluster("es", "7.17.29", "127.0.5");
}

#[test]
fn opensearch_nodes_form_one_cluster_and_a_replacement_joins_it() {
    form_a_cluster("os", "2.19.4", "127.0.6");
}
