//! The local cloud of a test: the real server in a process of its own, its faults, and what is in it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::proxy::Proxy;
use super::{Ran, Scenario};

/// A project with a local cloud beside it, which ends with the test.
pub(crate) struct Cloud {
    pub(crate) scenario: Scenario,
    server: Child,
    options: Vec<&'static str>,
    proxy: Option<Proxy>,
    port: u16,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.end();
    }
}

impl Cloud {
    /// Starts the cloud of a project; what is unfinished there is finished by looking at it.
    pub(crate) fn of(scenario: Scenario) -> Self {
        Self::with(scenario, &["--page-size", "2"])
    }

    /// Starts it with other options.
    pub(crate) fn with(scenario: Scenario, options: &[&'static str]) -> Self {
        let (server, port) = serve(&scenario, options);
        Self { scenario, server, options: options.to_vec(), proxy: None, port }
    }

    /// Every call goes through a proxy from here on.
    pub(crate) fn watched(mut self) -> Self {
        self.proxy = Some(Proxy::before(self.port));
        self.announce();
        self
    }

    /// The calls since this was asked last, each as it came; none of a cloud that nobody watches.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.proxy.as_ref().map(Proxy::heard).unwrap_or_default()
    }

    fn announce(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.leads_to(self.port);
            let text = json!({"port": proxy.port(), "pid": self.server.id()}).to_string();
            fs::write(self.scenario.root().join(".greenroom/simulator.json"), text).unwrap();
        }
    }

    /// The way every call takes.
    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("a watched cloud")
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Ends the server without warning. Gives all it has kept.
    pub(crate) fn saved(&mut self) -> Vec<u8> {
        self.end();
        fs::read(self.scenario.root().join(".greenroom/state.json")).unwrap_or_default()
    }

    /// Ends the server without warning, and starts it anew with what was saved before.
    pub(crate) fn restore(&mut self, saved: &[u8]) {
        self.end();
        let path = self.scenario.root().join(".greenroom/state.json");
        if saved.is_empty() {
            // There may never have been one.
            let _ = fs::remove_file(path);
        } else {
            fs::write(path, saved).unwrap();
        }
        (self.server, self.port) = serve(&self.scenario, &self.options);
        self.announce();
    }

    /// Changes the project.
    pub(crate) fn edit(&mut self, path: &str, old: &str, new: &str) {
        let text = self.scenario.read(path);
        assert!(text.contains(old), "{path} does not say {old:?}");
        fs::write(self.scenario.root().join(path), text.replacen(old, new, 1)).unwrap();
    }

    /// A command that works on this cloud.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = self.scenario.command(line.split(' ').chain(["--local"]));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, line: &str) -> Ran {
        redacted(self.scenario.ended(self.command(line).output().unwrap()))
    }

    /// Runs a command that must end like this, and gives what it said.
    #[track_caller]
    pub(crate) fn ends(&self, line: &str, code: i32) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(code), "{line}: {ran}");
        ran
    }

    /// `POST /_sim/…`.
    pub(crate) fn control(&self, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).unwrap();
        let head = format!(
            "POST /_sim/{path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    /// What somebody else does to the account of the pair, past greenroom: an operation of CloudFormation with its parameters.
    pub(crate) fn by_hand(&self, operation: &str, parameters: &[(&str, &str)]) -> String {
        self.by_hand_in(["111111111111", "eu-west-1"], ["cloudformation", "2010-05-15"], operation, parameters)
    }

    /// What somebody else does past greenroom: in an account and Region, by a version of a service's query API.
    pub(crate) fn by_hand_in(
        &self,
        [account, region]: [&str; 2],
        [service, version]: [&str; 2],
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> String {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let pairs: String = parameters.iter().map(|(name, value)| format!("&{name}={}", encoded(value))).collect();
        let body = format!("Action={operation}&Version={version}{pairs}");
        self.signed([account, region, service], "content-type: application/x-www-form-urlencoded", &body)
    }

    /// What somebody else does past greenroom to a resource of any type: an operation of Cloud Control.
    pub(crate) fn by_cloud_control(&self, [account, region]: [&str; 2], operation: &str, parameters: &Value) -> String {
        let head = format!("content-type: application/x-amz-json-1.0\r\nx-amz-target: CloudApiService.{operation}");
        self.signed([account, region, "cloudcontrolapi"], &head, &parameters.to_string())
    }

    fn signed(&self, [account, region, service]: [&str; 3], headers: &str, body: &str) -> String {
        let scope = format!("AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/{service}/aws4_request");
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {scope}\r\n{headers}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{body}: {answer}");
        answer
    }

    /// What somebody else asks of S3 in the account of the pair.
    pub(crate) fn s3(&self, method: &str, path: &str, body: &str) {
        let scope = "AWS4-HMAC-SHA256 Credential=111111111111/20260101/eu-west-1/s3/aws4_request";
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {scope}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
    }

    /// What goes wrong from here on.
    pub(crate) fn faults(&self, rules: &Value) {
        self.control("faults", &rules.to_string());
    }

    /// How often an operation was asked for, and answered well.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        let journal = self.control("journal", "");
        let is_meant = |entry: &&Value| entry["operation"] == operation && entry["status"] == 200;
        journal.as_array().unwrap().iter().filter(is_meant).count()
    }

    /// Every operation that was asked for, in order.
    pub(crate) fn operations(&self) -> Vec<String> {
        let journal = self.control("journal", "");
        journal.as_array().unwrap().iter().map(|entry| entry["operation"].as_str().unwrap().to_owned()).collect()
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Other options from the next start on.
    pub(crate) fn choose(&mut self, options: &[&'static str]) {
        self.options = options.to_vec();
    }

    /// Lets time pass until nothing is under way: a change set that nobody waits for any more would still be being computed.
    pub(crate) fn come_to_rest(&self) {
        self.control("advance", "{}");
    }

    /// Everything that matters, without ids and times: two worlds that came about in different ways can be compared.
    pub(crate) fn state(&self) -> Value {
        reduced(&self.control("state", ""))
    }
}

/// An environment of two stacks, the second of which needs the first.
pub(crate) fn pair() -> Scenario {
    Scenario::empty()
        .file("environments/lab.yaml", PAIR)
        .file("templates/store/inputs.yaml", super::STORE_INPUTS)
        .file("templates/store/stack.yaml", PAIR_STORE)
        .file("templates/api/inputs.yaml", PAIR_API_INPUTS)
        .file("templates/api/stack.yaml", PAIR_API)
}

const PAIR: &str = r#"project: demo
account: "111111111111"
region: eu-west-1
stacks:
  store:
    values: {topic: papers}
  api:
    values:
      topic_arn: {output: store.TopicArn}
      level: info
"#;

const PAIR_STORE: &str = r"Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: {{ topic }} of {{ size }}
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: {{ size * 10 }}
Outputs:
  TopicArn:
    Value: !Ref Topic
";

const PAIR_API_INPUTS: &str = r"type: object
required: [topic_arn, level]
properties:
  topic_arn: {type: string, description: Where it sends, x-parameter: TopicArn}
  level: {type: string, description: How much it says}
";

const PAIR_API: &str = r"Parameters:
  TopicArn: {Type: String}
Resources:
  Level:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Value: {{ level }}
  Target:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Value: !Ref TopicArn
Outputs:
  Level:
    Value: !GetAtt Level.Value
";

fn serve(scenario: &Scenario, options: &[&str]) -> (Child, u16) {
    let pace = if options.contains(&"--pace") { &[][..] } else { &["--pace", "auto"] };
    let pace = pace.iter().copied();
    let mut command = scenario.command(std::iter::once("simulate").chain(pace).chain(options.iter().copied()));
    let mut server = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    (server, port.unwrap_or_else(|| panic!("the local cloud says {line:?}")))
}

/// Without what differs from run to run: how long things lasted, and names made up by the cloud.
pub(crate) fn redacted(ran: Ran) -> Ran {
    let clean = |text: String| {
        let text = without_names(&text);
        let text = replaced(&text, r" after [0-9.]+ s\b", " after [time]");
        // As wide as an age is, so is the column.
        let text = replaced(&text, r"[0-9]+ (s|min) old +", "[age]  ");
        let text = replaced(&text, r"[0-9]+ (s|min) old", "[age]");
        replaced(&text, r"127\.0\.0\.1:[0-9]+", "127.0.0.1:[port]")
    };
    Ran { code: ran.code, stdout: clean(ran.stdout), stderr: clean(ran.stderr) }
}

/// Without moments, lengths of time and the bars that stand for them.
pub(crate) fn times_redacted(ran: Ran) -> Ran {
    let clean = |text: String| {
        let text = replaced(&text, r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}Z", "[moment]");
        let text = replaced(&text, r" +━+ +", " ━ ");
        let text = replaced(&text, r" +━+", " ━");
        let text = replaced(&text, r"\br-[0-9a-f]{16}", "r-[name]");
        replaced(&text, r"\+?[0-9.]+ (min [0-9]+ )?s( +|\b)", "[time] ")
    };
    Ran { code: ran.code, stdout: clean(ran.stdout), stderr: clean(ran.stderr) }
}

fn without_names(text: &str) -> String {
    let text = replaced(text, r"\[greenroom [0-9a-f]{16}\]", "[greenroom …]");
    let text = replaced(&text, r"-[0-9A-Z]{12}\b", "-[id]");
    let text = replaced(&text, r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[id]");
    let text = replaced(&text, r"-\[id\]-[A-Za-z0-9]{6}\b", "-[id]");
    let text = replaced(&text, r"bucket-[0-9a-z]{12}\b", "bucket-[id]");
    let text = replaced(&text, r"(targetgroup/[^/]+)/[0-9a-f]{16}\b", "$1/[id]");
    let text = replaced(&text, r"-[0-9]{9}\.([a-z0-9-]+)\.elb", "-[id].$1.elb");
    let text = replaced(&text, r"\bdb-[0-9A-Z]{26}\b", "db-[id]");
    let text = replaced(&text, r"database-[0-9a-z]{12}\b", "database-[id]");
    let text = replaced(&text, r"\.[0-9a-z]{12}\.([a-z0-9-]+)\.rds", ".[id].$1.rds");
    replaced(&text, r"\b(vpc|subnet|rtb|rtbassoc|sg|sgr|igw|vpce|eipalloc|nat)-[0-9a-f]{17}", "$1-[id]")
}

fn replaced(text: &str, pattern: &str, by: &str) -> String {
    Regex::new(pattern).unwrap().replace_all(text, by).into_owned()
}

fn reduced(state: &Value) -> Value {
    let mut all = Map::new();
    for (account, regions) in state["places"].as_object().unwrap() {
        for (region, services) in regions.as_object().unwrap() {
            let stacks = services["cloudformation"]["stacks"].as_object().unwrap();
            let live = stacks.values().filter(|stack| stack["status"] != "DELETE_COMPLETE");
            let mut names: Map<String, Value> = Map::new();
            for stack in live {
                let twice = names.insert(stack["name"].as_str().unwrap().to_owned(), stack_without_ids(stack));
                assert_eq!(twice, None, "two live stacks of one name");
            }
            let mut objects: Vec<(&String, usize)> = services["objects"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(kind, all)| (kind, all.as_object().unwrap().len()))
                .collect();
            objects.retain(|(_, count)| *count > 0);
            let databases = services["rds"]["databases"].as_object().map_or(0, Map::len);
            let here = json!({"stacks": names, "objects": objects, "databases": databases});
            all.insert(format!("{account}/{region}"), here);
        }
    }
    all.retain(|_, here| here != &json!({"stacks": {}, "objects": [], "databases": 0}));
    // Names made up by the cloud differ from run to run; which resource they are made for does not.
    let text = without_names(&Value::Object(all).to_string());
    serde_json::from_str(&text).unwrap()
}

fn stack_without_ids(stack: &Value) -> Value {
    let deployed = &stack["deployed"];
    let resources: Map<String, Value> = stack["resources"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, it)| (name.clone(), only(it, &["type_name", "status", "properties", "tags"])))
        .collect();
    // One that was executed is history, well or badly as it ended.
    let is_left = |it: &&Value| it["execution"] != "EXECUTE_COMPLETE" && it["execution"] != "EXECUTE_FAILED";
    let left: Vec<Value> = stack["change_sets"]
        .as_array()
        .unwrap()
        .iter()
        .filter(is_left)
        .map(|it| only(it, &["name", "status", "execution", "reason"]))
        .collect();
    let begun = ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"];
    let operations: Vec<&Value> = stack["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["physical_id"] == stack["id"])
        .map(|event| &event["status"])
        .filter(|status| begun.iter().any(|begun| *status == begun))
        .collect();
    json!({
        "status": stack["status"],
        "protected": stack["is_protected"],
        "operations": operations,
        "change sets left": left,
        "deployed": only(deployed, &["template", "parameters", "tags", "outputs"]),
        "resources": resources,
    })
}

fn only(value: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|key| ((*key).to_owned(), value[*key].clone())).collect::<Map<_, _>>().into()
}

/// The same world, however often its stacks were tried.
pub(crate) fn without_operations(mut state: Value) -> Value {
    for place in state.as_object_mut().unwrap().values_mut() {
        for stack in place["stacks"].as_object_mut().unwrap().values_mut() {
            stack["operations"] = Value::Null;
        }
    }
    state
}

/// The same world without stacks that were never created and on which nobody has any plans.
pub(crate) fn without_empty_stacks(mut state: Value) -> Value {
    for place in state.as_object_mut().unwrap().values_mut() {
        let stacks = place["stacks"].as_object_mut().unwrap();
        stacks.retain(|_, stack| stack["status"] != "REVIEW_IN_PROGRESS" || stack["change sets left"] != json!([]));
    }
    state
}

/// Runs both at once, and gives how both ended.
pub(crate) fn both(first: &mut Command, second: &mut Command) -> [std::process::Output; 2] {
    let spawn = |command: &mut Command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (first, second) = (spawn(first), spawn(second));
    [first, second].map(|child| child.wait_with_output().unwrap())
}
