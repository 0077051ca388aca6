//! Whatever is fed to it, it neither panics nor hangs; and no text changes on its way.

use std::fs;

use expect_test::expect;
use greenroom::check::check;
use greenroom::environment::project::load;
use greenroom::environment::resolve::{name_to_try, resolve};
use greenroom::environment::{Content, Node, SourceId, yaml};
use greenroom::template::Templates;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value as Json;

use crate::support::{LAB, STORE, STORE_INPUTS, Scenario};

const TODAY: Date = date(2026, 11, 25);

/// What a careless hand, an editor or a merge does to a file.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Insert(Index, &'static str),
    Cut(Index, Index),
    Double(Index),
    Drop(Index),
    Indent(Index, usize),
    Swap(Index, Index),
}

/// What means something to YAML, to Tera, to CloudFormation or to us.
const SNIPPETS: &[&str] = &[
    "\t",
    "\r\n",
    "\u{feff}",
    "\0",
    "---\n",
    "...\n",
    "- ",
    ": ",
    "? ",
    "&a ",
    "*a",
    "!Ref ",
    "!!int ",
    "| ",
    ">-\n",
    "<<: ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "%YAML 1.1\n",
    "{{ ",
    " }}",
    "{% if x %}",
    "{% endif %}",
    "{% for a in b %}",
    "{% raw %}",
    "{# ",
    "{{resolve:ssm:/x}}",
    "${",
    "${stack}",
    "$${",
    "~",
    "null",
    "yes",
    "7.10",
    "99999999999999999999999",
    "1e999",
    "-.inf",
    "ü",
    "\u{e022}",
    "\u{e0ff}",
    "\u{e100}",
    "\u{2028}",
    "𝄞",
    "{output: a.B}",
    "{secret: a}",
    "{previous: true}",
    "inherits: lab\n",
    "abstract: true\n",
    "named: true\n",
    "stacks: ~\n",
    "$ref: '#'\n",
    "oneOf: []\n",
    "Fn::Sub: x\n",
    "!GetAtt .",
    "!Sub '${.}'",
    "!If [a]",
    "!FindInMap []",
    "!GetAtt []",
];

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(place, byte)| Mutation::Flip(place, byte)),
        (at(), select(SNIPPETS)).prop_map(|(place, text)| Mutation::Insert(place, text)),
        (at(), at()).prop_map(|(from, to)| Mutation::Cut(from, to)),
        at().prop_map(Mutation::Double),
        at().prop_map(Mutation::Drop),
        (at(), 0..9usize).prop_map(|(line, spaces)| Mutation::Indent(line, spaces)),
        (at(), at()).prop_map(|(one, other)| Mutation::Swap(one, other)),
    ]
}

fn mutated(text: &str, mutations: &[Mutation]) -> Vec<u8> {
    mutations.iter().fold(text.as_bytes().to_vec(), |bytes, mutation| apply(&bytes, mutation))
}

fn apply(bytes: &[u8], mutation: &Mutation) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        lines.push(Vec::new());
    }
    let mut all = bytes.to_vec();
    match mutation {
        Mutation::Flip(place, byte) => {
            if !all.is_empty() {
                let place = place.index(all.len());
                all[place] = *byte;
            }
            return all;
        }
        Mutation::Insert(place, text) => {
            let place = place.index(all.len() + 1);
            all.splice(place..place, text.bytes());
            return all;
        }
        Mutation::Cut(from, to) => {
            let (from, to) = (from.index(all.len() + 1), to.index(all.len() + 1));
            all.drain(from.min(to)..from.max(to));
            return all;
        }
        Mutation::Double(line) => {
            let line = line.index(lines.len());
            lines.insert(line, lines[line].clone());
        }
        Mutation::Drop(line) => {
            lines.remove(line.index(lines.len()));
        }
        Mutation::Indent(line, spaces) => {
            let line = line.index(lines.len());
            let text = lines[line].trim_ascii_start().to_vec();
            lines[line] = [vec![b' '; *spaces], text].concat();
        }
        Mutation::Swap(one, other) => {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            lines.swap(one, other);
        }
    }
    lines.concat()
}

/// Loads, checks and renders all there is. What is wrong is of no interest; that it ends is.
fn ends(scenario: &Scenario) {
    let Ok(mut project) = load(scenario.root()) else { return };
    let findings = check(&mut project, TODAY);
    for found in &findings.all {
        if let Some(span) = found.mistake.span {
            let source = project.sources.get(span.source);
            assert!(
                span.start <= span.end && span.end <= source.text.len(),
                "{found:?} is no place of {}",
                source.path
            );
        }
    }
    let templates = Templates::load_all(&mut project);
    for name in project.files.keys().cloned().collect::<Vec<_>>() {
        let Some(environment) = resolve(&project, &name_to_try(&project, &name)).environment else { continue };
        for stack in &environment.stacks {
            // It may be right or wrong.
            let _ = templates.render(&environment, stack, &project.sources);
        }
    }
}

/// A second environment, which inherits, refers and takes away.
const TWIN: &str = r#"about: As lab, but smaller
inherits: lab
account: "222222222222"
named: true
lifetime: 8h
stacks:
  store: {values: {size: 1, words: [no, 7.10], more: &more {a: {secret: x, key: y}}}}
  other: {template: plain, values: {Size: 2, Old: {previous: true}, Key: {output: lab/store.TopicArn}}, needs: [store]}
differences:
  - {path: store/size, because: it is a twin, until: 2027-01-01}
"#;

const TWIN_INPUTS: &str = r"  words: {type: array, items: {$ref: '#/$defs/word'}, description: Words}
  more: {type: object, additionalProperties: {oneOf: [{type: string}, {type: integer}]}, description: More}
  key: {type: string, x-parameter: Key, x-secret: true, description: A key}
$defs:
  word: {type: string, minLength: 1}
";

const PLAIN: &str = r"Parameters:
  Size: {Type: Number, MinValue: 1}
  Old: {Type: String, NoEcho: true}
  Key: {Type: String, AllowedPattern: '[a-z:]*', Default: ''}
Conditions: {IsOld: !Not [!Equals [!Ref Old, '']]}
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub '${AWS::StackName}-${Size}', DelaySeconds: !Ref Size}}
";

/// Every kind of file there is, and nothing wrong.
fn full() -> Scenario {
    let store = STORE.replace("Outputs:", "{% for word in words | default(value=[]) %}\n  W{{ loop.index }}: {Type: Custom::Word, Properties: {Text: \"{{ word }}\"}}\n{% endfor %}\n{% include \"parts/end.yaml\" %}\nOutputs:");
    Scenario::small()
        .file("environments/twin.yaml", TWIN)
        .store_inputs(&(STORE_INPUTS.to_string() + TWIN_INPUTS))
        .store(&store)
        .file("templates/parts/end.yaml", "  End: {Type: Custom::End, Properties: {Of: {{ topic }}}}\n")
        .file("templates/plain/stack.yaml", PLAIN)
}

const FILES: &[&str] = &[
    "environments/lab.yaml",
    "environments/twin.yaml",
    "templates/store/inputs.yaml",
    "templates/store/stack.yaml",
    "templates/parts/end.yaml",
    "templates/plain/stack.yaml",
];

/// What the properties start from must be right, or they would only ever see the first mistake.
#[test]
fn the_project_that_is_mutated_is_right() {
    full().run(["check"]).expect(expect![[r#"
        exit 0
    "#]]);
}

/// As many as fit into a few seconds of an unoptimised build; `PROPTEST_CASES=100000` looks further.
fn cases(few: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(few), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn mutated_files_never_panic(file in select(FILES), mutations in prop::collection::vec(mutation(), 1..5)) {
        let scenario = full();
        let bytes = mutated(&scenario.read(file), &mutations);
        ends(&scenario.file(file, bytes));
    }

    #[test]
    fn random_text_never_panics(file in select(FILES), text in "[ \\t\\n:{}\\[\\],#&*!|>'\"%@`a-c0-1~$<.=\\-é\u{e000}]{0,80}") {
        ends(&full().file(file, text));
    }

    #[test]
    fn random_bytes_never_panic(file in select(FILES), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        ends(&full().file(file, bytes));
    }

}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn places_of_any_yaml_are_in_it(text in "([ \\n\\-:a-cé𝄞'\"&*!|>{}\\[\\],#?~]|\\r\\n){0,60}") {
        let mut sources = greenroom::environment::Sources::default();
        let id = sources.add("a.yaml".into(), text.clone());
        let reading = yaml::read(id, &text);
        let mut spans: Vec<_> = reading.mistakes.iter().filter_map(|mistake| mistake.span).collect();
        reading.root.iter().for_each(|root| collect(root, &mut spans));
        for span in spans {
            prop_assert!(text.get(span.start..span.end).is_some(), "{span:?} in {text:?}");
        }
    }

    #[test]
    fn a_value_never_changes_its_text(value in any_text()) {
        let (json, yaml) = rendered(&value);
        let expected: Json = serde_json::json!({
            "Bare": value, "Single": value, "Double": value, "Within": format!("a {value} z"),
            "List": [value, "x"], "Map": {"k": value}, "Sub": {"Fn::Sub": value}, "Block": format!("{value}\n"),
        });
        prop_assert_eq!(&json, &expected, "as JSON");
        prop_assert_eq!(texts(&yaml::read(SourceId::RENDERED, &yaml).root.unwrap()), expected, "as YAML:\n{}", yaml);
    }
}

fn collect(node: &Node, spans: &mut Vec<greenroom::environment::Span>) {
    spans.push(node.span);
    match &node.content {
        Content::Scalar(_) => {}
        Content::Sequence(items) => items.iter().for_each(|item| collect(item, spans)),
        Content::Mapping(entries) => entries.iter().for_each(|entry| {
            spans.push(entry.key_span);
            collect(&entry.value, spans);
        }),
    }
}

/// Text of every kind, of one line and of several, but for what YAML cannot hold.
fn any_text() -> impl Strategy<Value = String> {
    let hard = select(vec![
        "",
        " ",
        "no",
        "~",
        "7.10",
        "012345678901",
        "12:30",
        "- a",
        "a: b",
        "a #b",
        "{a}",
        "[a",
        "'",
        "\"",
        "\\",
        "!Ref a",
        "*a",
        "&a",
        "%",
        "@",
        "{{resolve:ssm:/a}}",
        "{{ a }}",
        "{% a %}",
        "${AWS::Region}",
        "line one\nline two",
        "\n",
        "a\n\nb\n",
        "  a\n b",
        "---",
        "...",
        "=",
        "<<",
        "\t",
        "a\t",
        "ä",
        "𝄞",
        "\u{85}",
        "\u{2028}",
        "\u{a0}a",
    ])
    .prop_map(str::to_string);
    let soup = "[ -~\\n\\täé\u{a0}]{0,12}";
    prop_oneof![2 => hard.clone(), 3 => soup, 1 => (hard, soup).prop_map(|(a, b)| a + &b)]
}

/// Resources that print a value in every place a value can stand in, and what came of it: the properties, and the readable YAML.
const PLACES: &str = r#"Resources:
  Print:
    Type: Custom::Print
    Properties:
      Bare: {{ value }}
      Single: '{{ value }}'
      Double: "{{ value }}"
      Within: a {{ value }} z
      List: [{{ value }}, x]
      Map: {k: {{ value }}}
      Sub: !Sub {{ value }}
      Block: |
        {{ value }}
"#;

fn rendered(value: &str) -> (Json, String) {
    let written = serde_json::to_string(&value.replace("${", "$${")).unwrap();
    let scenario = Scenario::small()
        .lab(&LAB.replace("{topic: papers}", &format!("{{value: {written}}}")))
        .store_inputs("type: object\nproperties: {value: {type: string, description: Anything}}\n")
        .store(PLACES);
    let mut project = load(scenario.root()).unwrap();
    let templates = Templates::load_all(&mut project);
    let resolution = resolve(&project, &"lab".parse().unwrap());
    let environment = resolution.environment.unwrap();
    let rendered = templates.render(&environment, &environment.stacks[0], &project.sources).unwrap();
    (rendered.document.json["Resources"]["Print"]["Properties"].clone(), rendered.yaml)
}

/// The properties in a tree that was read again, tags written out.
fn texts(root: &Node) -> Json {
    fn json(node: &Node) -> Json {
        let plain = match &node.content {
            Content::Scalar(scalar) => Json::String(scalar.text.clone()),
            Content::Sequence(items) => items.iter().map(json).collect(),
            Content::Mapping(entries) => entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect(),
        };
        match &node.tag {
            Some(tag) => serde_json::json!({ format!("Fn::{tag}"): plain }),
            None => plain,
        }
    }
    json(root.at(["Resources", "Print", "Properties"]).unwrap())
}

/// Maps that iterate at random made every deploy a change.
#[test]
fn rendering_is_the_same_to_the_byte_in_every_process() {
    let entries: String = (0..40).map(|number| format!("k{number}: v{number}, ")).collect();
    let tags: String = (0..30).map(|number| format!("t{number}: x, ")).collect();
    let scenario = Scenario::small()
        .lab(&format!("{}tags: {{{tags}}}\n", LAB.replace("{topic: papers}", &format!("{{map: {{{entries}}}}}"))))
        .store_inputs("type: object\nproperties: {map: {type: object, description: Many}}\n")
        .store("Resources:\n{% for key, value in map %}\n  {{ key }}: {Type: Custom::One, Properties: {Value: {{ value }}}}\n{% endfor %}\n");
    let once = |directory: &str| {
        scenario.run(["render", "lab", "--out", directory]).stdout();
        scenario
            .files()
            .iter()
            .filter(|file| file.starts_with(directory))
            .map(|file| fs::read(scenario.root().join(file)).unwrap())
            .collect::<Vec<_>>()
    };
    let (first, second) = (once("one"), once("two"));
    assert_eq!(first.len(), 4);
    assert!(first == second, "two processes, two results");
}
