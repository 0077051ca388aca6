//! The file of a clone that has none yet: it inherits its source, and says what must differ and why. Pure.
//!
//! It is a proposal: somebody reads it, changes it and keeps it with the others. So every line has its reason beside it, and what
//! nobody can know here (another account, a name that leads elsewhere) stands there to be changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::Date;

use super::outside::{is_name, outside};
use crate::environment::{Environment, Stack};
use crate::template::{Template, Templates};

/// How long a clone lives where its source allows more.
const LIFETIME_HOURS: u64 = 48;

/// How long the differences hold that are written here, in days: long enough for an experiment and its repetition.
const DIFFERENCES_DAYS: i64 = 90;

/// The input that goes with a name: the hosted zone in which it is made.
const ZONE: &str = "hosted_zone_id";

/// What a clone's database says of itself, by the inputs of its template: the input, the value, the reason.
const DATABASE: [(&str, &str, &str); 5] = [
    ("restored", "true", "the data comes with the snapshot"),
    ("deletion_policy", "Delete", "it must leave nothing of the data behind when its time is over"),
    ("deletion_protection", "false", "it must be able to go"),
    ("backup_retention_days", "1", "nobody restores a clone"),
    ("clone_account_ids", "[]", "no clones of clones"),
];

/// Writes the file of a clone. `today` dates what differs.
pub fn proposal(source: &Environment, target: &str, templates: &Templates, today: Date) -> String {
    let name = source.name.to_string();
    let mut text = format!(
        "# A clone of {name}: what is not said here is {name}'s on purpose. Read every line before it is made.\n\
         about: {name}'s twin, for one experiment\n\
         inherits: {name}\n\
         # {name}'s own account. Another keeps its data farther away from its users.\n\
         account: \"{}\"\n",
        source.account.value
    );
    text.push_str(&lifetime(source));
    let mut differing = Vec::new();
    let mut all: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut shared = Vec::new();
    let mut stacks = String::new();
    for stack in source.stacks.iter().filter(|stack| stack.is_managed) {
        let Some(template) = templates.get(&stack.template.value) else { continue };
        let mut values = of_database(template);
        for (input, theirs) in outside(stack) {
            let is_required = template.inputs.get(&input).is_some_and(|input| input.is_required);
            let is_for_all = stack.value(&input).is_some_and(|value| value.is_shared);
            let comment = format!("{name}'s: {theirs}");
            match (is_required, is_name(&input)) {
                (true, true) => values.push((input, renamed(&theirs, target), comment)),
                (true, false) => shared.push(format!("{}.{input}", stack.name)),
                (false, is_name) => {
                    // Not every template that is offered a value for all takes it.
                    if !is_name && template.inputs.get(&input).is_some() {
                        differing.push(format!("{}/{input}", stack.name));
                    }
                    if is_name && stack.value(ZONE).is_some() {
                        values.push((ZONE.to_owned(), "null".to_owned(), "the zone of that name".to_owned()));
                    }
                    let line = ("null".to_owned(), comment);
                    if is_for_all {
                        all.insert(input, line);
                    } else {
                        values.push((input, line.0, line.1));
                    }
                }
            }
        }
        if !values.is_empty() {
            let _ = write!(stacks, "  {}:\n    values:\n", stack.name);
            for (input, value, because) in values {
                let _ = writeln!(stacks, "      {input}: {value} # {because}");
            }
        }
    }
    let _ = write!(text, "\nclone:\n  from: {name}\n  snapshot: {{newest_within: 24h}}\n");
    if !shared.is_empty() {
        let _ = writeln!(text, "  # Both use these. Give the clone its own, unless that is meant.");
        let _ = writeln!(text, "  share: [{}]", shared.join(", "));
    }
    if !all.is_empty() {
        text.push_str("\nvalues:\n");
        for (input, (value, because)) in all {
            let _ = writeln!(text, "  {input}: {value} # {because}");
        }
    }
    if !stacks.is_empty() {
        let _ = write!(text, "\nstacks:\n{stacks}");
    }
    text.push_str(&differences(&differing, &name, today));
    text
}

fn lifetime(source: &Environment) -> String {
    let allowed = source.clone_policy.as_ref().and_then(|policy| policy.max_lifetime).map(|max| max.as_secs() / 3600);
    let hours = allowed.map_or(LIFETIME_HOURS, |allowed| allowed.clamp(1, LIFETIME_HOURS));
    let comment = allowed.map(|allowed| format!("; {} allows {allowed}h", source.name)).unwrap_or_default();
    format!("lifetime: {hours}h # counted from its creation{comment}\n")
}

/// What its template can say of a database that comes from a snapshot.
fn of_database(template: &Template) -> Vec<(String, String, String)> {
    if template.inputs.get("restored").is_none() {
        return Vec::new();
    }
    let said = DATABASE.iter().filter(|(input, ..)| template.inputs.get(input).is_some());
    let mut said: Vec<_> = said.map(|(input, value, because)| [*input, *value, *because].map(str::to_owned)).collect();
    let takes_snapshot = |parameter: &String| parameter.to_lowercase().contains("snapshot");
    let snapshot = template.inputs.all.iter().find(|input| input.parameter.as_ref().is_some_and(takes_snapshot));
    if let Some(input) = snapshot {
        let because = "chosen once by `greenroom clone`; from then on what the stack was made from";
        said.insert(1, [input.name.as_str(), "{previous: true}", because].map(str::to_owned));
    }
    said.into_iter().map(|[input, value, because]| (input, value, because)).collect()
}

/// The same name for somebody else: `api.example.com` is `api-twin.example.com`.
fn renamed(name: &str, target: &str) -> String {
    match name.split_once('.') {
        Some((first, rest)) => format!("{first}-{target}.{rest}"),
        None => format!("{name}-{target}"),
    }
}

fn differences(paths: &[String], source: &str, today: Date) -> String {
    if paths.is_empty() {
        return String::new();
    }
    let until = today.saturating_add(jiff::SignedDuration::from_hours(24 * DIFFERENCES_DAYS));
    let mut text = String::from("\ndifferences:\n");
    for path in paths {
        let _ = write!(text, "  - path: {path}\n    because: it is {source}'s alone\n    until: {until}\n");
    }
    text
}

/// What the source's file still has to say before its clone may be made.
pub fn still_to_say(source: &Environment, target: &str) -> Option<String> {
    let allows = source.clone_policy.as_ref().is_some_and(|policy| policy.targets.iter().any(|it| it == target));
    (!allows).then(|| {
        format!("in environments/{}.yaml: `clone_policy: {{targets: [{target}], max_lifetime: 72h}}`", source.name.file)
    })
}

/// Whether a stack of the environment can be made from a snapshot at all.
pub fn has_database(source: &Environment, templates: &Templates) -> bool {
    let is_such = |stack: &&Stack| {
        templates.get(&stack.template.value).is_some_and(|template| template.inputs.get("restored").is_some())
    };
    source.stacks.iter().filter(|stack| stack.is_managed).any(|stack| is_such(&stack))
}
