//! What a change of the files touches.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::human::{columns, plural};
use super::{AffectedSince, Extent};
use crate::affected::{AffectedStack, Change};

/// What a pipeline goes through. What is gone is not in it: nothing could be planned for it.
pub(super) fn matrix(since: &AffectedSince) -> Vec<Json> {
    let stays: Vec<&AffectedStack> =
        since.affected.stacks.iter().filter(|stack| stack.change != Change::Gone).collect();
    match since.extent {
        Extent::Stacks | Extent::Whole => stays.iter().map(|stack| json!(stack)).collect(),
        Extent::Environments => {
            stays.chunk_by(|left, right| left.environment == right.environment).filter_map(environment).collect()
        }
    }
}

fn environment(stacks: &[&AffectedStack]) -> Option<Json> {
    let AffectedStack { environment, named, .. } = stacks.first()?;
    let stacks: Vec<&String> = stacks.iter().map(|stack| &stack.stack).collect();
    Some(json!({ "environment": environment, "named": named, "stacks": stacks }))
}

pub(super) fn affected(since: &AffectedSince) -> String {
    let stacks = &since.affected.stacks;
    let mut text = columns(&stacks.iter().map(row).collect::<Vec<_>>(), "");
    if !stacks.is_empty() {
        text.push('\n');
    }
    text.push_str(&summary(since));
    for unknown in &since.affected.not_comparable {
        let short = since.base.short();
        let _ = writeln!(
            text,
            "warning: `{}` cannot be rendered as it was at {short}, so all of it counts: {}",
            unknown.what, unknown.because
        );
    }
    if stacks.iter().any(|stack| stack.change == Change::Gone) {
        text.push_str(
            "what is gone from the files still runs: `deploy ENV --prune` deletes stacks, `destroy ENV` environments\n",
        );
    }
    text
}

fn row(stack: &AffectedStack) -> Vec<String> {
    let change = match stack.change {
        Change::New => "new".to_owned(),
        Change::Changed => stack.differs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Change::NotComparable => "not comparable".to_owned(),
        Change::Gone => "gone".to_owned(),
    };
    vec![stack.environment.clone(), stack.stack.clone(), change, stack.files.join(", ")]
}

fn summary(since: &AffectedSince) -> String {
    let stacks = &since.affected.stacks;
    if stacks.is_empty() {
        return format!("nothing that would be sent differs from {}\n", since.base.short());
    }
    let environments: BTreeSet<&String> = stacks.iter().map(|stack| &stack.environment).collect();
    let counts = [
        (Change::Changed, "changed"),
        (Change::New, "new"),
        (Change::NotComparable, "not comparable"),
        (Change::Gone, "gone"),
    ];
    let counted = counts.iter().filter_map(|(change, word)| {
        let count = stacks.iter().filter(|stack| stack.change == *change).count();
        (count > 0).then(|| format!("{count} {word}"))
    });
    let counted = counted.collect::<Vec<_>>().join(", ");
    format!("{} of {}: {counted}\n", plural(stacks.len(), "stack"), plural(environments.len(), "environment"))
}
