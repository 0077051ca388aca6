//! `affected`: which stacks of which environments a change of the repository touches.

use std::collections::BTreeSet;

use crate::affected::{AffectedStack, Asked, Key, Outcome, affected, outcome};
use crate::check::Findings;
use crate::cli::{Affected, Common, Entry};
use crate::commands::since::{Copy, Tree, changed, project as past_project, read, tree};
use crate::commands::{Done, Ended, Stop, discreet, project};
use crate::environment::layers::lineage;
use crate::environment::project::load;
use crate::environment::{Project, Sources};
use crate::error::{Exit, Failure};
use crate::view::{AffectedSince, Extent, Report, View};

pub(super) fn run(common: &Common, request: &Affected, view: View) -> Ended {
    let mut project = project(common)?;
    let past = read(&project.root, &request.since, view)?;
    let now = outcome(&mut project, Asked::All);
    let mut findings = Findings::default();
    findings.extend(project.mistakes.clone(), None);
    for (context, mistakes) in now.mistakes() {
        findings.extend(mistakes.to_vec(), Some(&context));
    }
    if !findings.all.is_empty() {
        return Err(Stop::Mistakes(discreet(findings, &project), project.sources));
    }
    let (before_tree, tree) = (tree(past.root()), tree(&project.root));
    let before =
        past_project(&past, &Sources::default()).map(|mut past| outcome(&mut past, Asked::All)).unwrap_or_default();
    let mut affected = affected(&before, &now);
    let decide = Deciding { before: &before_tree, after: &tree, project: &project, now: &now };
    decide.files(&mut affected).map_err(|error| {
        Failure::new(Exit::Failed, "a temporary directory cannot be used")
            .because(error)
            .hint("`TMPDIR` names the directory for what is temporary")
    })?;
    let extent = match (request.details, request.by) {
        (true, _) => Extent::Whole,
        (false, Entry::Stack) => Extent::Stacks,
        (false, Entry::Environment) => Extent::Environments,
    };
    let report = AffectedSince { base: past.base.clone(), affected, extent };
    Ok(Done::with(Report::Affected(report)))
}

/// Finds the files that decide.
struct Deciding<'a> {
    before: &'a Tree,
    after: &'a Tree,
    project: &'a Project,
    now: &'a Outcome,
}

impl Deciding<'_> {
    /// Puts every changed file back by itself and sees which stacks come out otherwise.
    fn files(&self, affected: &mut crate::affected::Affected) -> std::io::Result<()> {
        let changed = changed(self.before, self.after);
        if affected.stacks.is_empty() || changed.is_empty() {
            return Ok(());
        }
        let copy = Copy::of(self.after)?;
        for path in &changed {
            if copy.put(path, self.before.get(path)).is_err() {
                // A file that is a folder now cannot be put back alone.
                let may = affected.stacks.iter_mut().filter(|stack| may_read(self.project, &stack.environment, path));
                may.for_each(|stack| stack.files.push(path.clone()));
                continue;
            }
            if let Ok(mut project) = load(&copy.root()) {
                let may_be = |environment: &str| {
                    may_read(&project, environment, path) || may_read(self.project, environment, path)
                };
                let asked: BTreeSet<Key> =
                    affected.stacks.iter().filter(|stack| may_be(&stack.environment)).map(AffectedStack::key).collect();
                let without = outcome(&mut project, Asked::Only(&asked));
                let decided = affected.stacks.iter_mut().filter(|stack| asked.contains(&stack.key()));
                for stack in decided.filter(|stack| stack.is_decided(self.now, &without)) {
                    stack.files.push(path.clone());
                }
            }
            copy.put(path, self.after.get(path))?;
        }
        // What only several files decide together is laid to all that it may read.
        for stack in affected.stacks.iter_mut().filter(|stack| stack.files.is_empty()) {
            let may = changed.iter().filter(|path| may_read(self.project, &stack.environment, path));
            stack.files = may.cloned().collect();
        }
        Ok(())
    }
}

/// Whether anything of an environment can come from a file: its own and its ancestors', and every template.
fn may_read(project: &Project, environment: &str, path: &str) -> bool {
    let Some(file) = path.strip_prefix("environments/") else { return true };
    let is_in = |name: &str| file.strip_suffix(".yaml") == Some(name);
    // What cannot be followed may lead anywhere.
    is_in(environment) || lineage(environment, &project.files).map_or(true, |all| all.iter().any(|it| is_in(&it.name)))
}
