//! `permissions`: the least IAM policies that a verb needs.

use crate::cli::{Common, Permissions as Request, Purpose as Asked};
use crate::commands::bootstrap;
use crate::commands::deploy::{Wanted, wanted};
use crate::commands::lines::Written;
use crate::commands::reap::{environments, own_places};
use crate::commands::{Done, Ended, Stop, environment, name, project};
use crate::deploy::desired::place;
use crate::deploy::{Desired, ReadStack};
use crate::environment::Environment;
use crate::error::{Exit, Failure};
use crate::permissions::{Claim, Purpose, Trusted, permissions};
use crate::reap::extension;
use crate::view::Report;

pub(super) fn run(common: &Common, request: &Request) -> Ended {
    let purpose = purpose(request)?;
    let trusted = trusted(request, purpose)?;
    if purpose == Purpose::Bootstrap {
        return of_buckets(common, &request.environment, trusted.as_ref());
    }
    let Wanted { written, desired } = wanted(common, &request.environment, &[])?;
    let source = match purpose {
        Purpose::Clone => Some(source(common, &request.environment)?),
        // The copies of the snapshot that it was made from go with it.
        Purpose::Destroy | Purpose::Reap if written.environment.clone.is_some() => {
            Some(source(common, &request.environment)?)
        }
        Purpose::Plan
        | Purpose::ReadOnlyPlan
        | Purpose::Deploy
        | Purpose::Status
        | Purpose::Destroy
        | Purpose::Reap
        | Purpose::Diff
        | Purpose::Drift { .. }
        | Purpose::Recover
        | Purpose::Cancel
        | Purpose::Log
        | Purpose::Bootstrap => None,
    };
    let source = source.map(|source| source.desired);
    let desired = match purpose {
        Purpose::Reap => reaped(&written, desired)?,
        Purpose::Status | Purpose::Log => with_unmanaged(&written.environment, desired),
        _ => desired,
    };
    let permissions = permissions(purpose, &desired, source.as_ref(), trusted.as_ref());
    Ok(Done { report: Report::Permissions(permissions), sources: written.project.sources, exit: Exit::Done })
}

/// The buckets have stacks of their own, and need nothing of the environment's to be rendered.
fn of_buckets(common: &Common, text: &str, trusted: Option<&Trusted>) -> Ended {
    let project = project(common)?;
    let environment = environment(&project, &name(text)?)?;
    let permissions = permissions(Purpose::Bootstrap, &bootstrap::wanted(&environment)?, None, trusted);
    Ok(Done { report: Report::Permissions(permissions), sources: project.sources, exit: Exit::Done })
}

/// With the stacks that the environment does not manage: they are looked at like its own.
fn with_unmanaged(environment: &Environment, desired: Desired) -> Desired {
    let unmanaged = environment.stacks.iter().filter(|stack| !stack.is_managed);
    let unmanaged = unmanaged.map(|stack| ReadStack {
        label: stack.name.clone(),
        stack_name: stack.stack_name.value.clone(),
        place: place(stack),
    });
    let mut desired = desired;
    desired.read.extend(unmanaged);
    desired
}

/// With the stack that extends a lifetime, and with every place that is looked at: what is over may be in any.
fn reaped(written: &Written, desired: Desired) -> Result<Desired, Stop> {
    let mut desired = desired;
    // It says no more of the stack than that it is there.
    let extension = extension::desired(&written.environment, jiff::Timestamp::UNIX_EPOCH);
    desired.stacks.extend(extension.into_iter().flat_map(|extension| extension.stacks));
    for environment in environments(&written.project)? {
        desired.read.extend(own_places(&environment).into_iter().map(|place| ReadStack {
            label: environment.name.to_string(),
            stack_name: String::new(),
            place,
        }));
    }
    Ok(desired)
}

fn purpose(request: &Request) -> Result<Purpose, Failure> {
    let purpose = match request.purpose {
        Asked::Plan if request.read_only => Purpose::ReadOnlyPlan,
        Asked::Plan => Purpose::Plan,
        Asked::Deploy => Purpose::Deploy,
        Asked::Status | Asked::Outputs => Purpose::Status,
        Asked::Destroy => Purpose::Destroy,
        Asked::Reap => Purpose::Reap,
        Asked::Diff => Purpose::Diff,
        Asked::Clone => Purpose::Clone,
        Asked::Drift => Purpose::Drift { reverts: request.revert, asks_who: request.who },
        Asked::Recover => Purpose::Recover,
        Asked::Cancel => Purpose::Cancel,
        Asked::Log => Purpose::Log,
        Asked::Bootstrap => Purpose::Bootstrap,
    };
    for (is_given, flag, verb, has_it) in [
        (request.read_only, "--read-only", "plan", purpose == Purpose::ReadOnlyPlan),
        (request.revert, "--revert", "drift", matches!(purpose, Purpose::Drift { .. })),
        (request.who, "--who", "drift", matches!(purpose, Purpose::Drift { .. })),
    ] {
        if is_given && !has_it {
            return Err(Failure::new(Exit::Usage, format!("`{flag}` is for `{verb}`")));
        }
    }
    Ok(purpose)
}

fn trusted(request: &Request, purpose: Purpose) -> Result<Option<Trusted>, Failure> {
    let Some(text) = &request.trust else { return Ok(None) };
    let wrong = || {
        Failure::new(Exit::Usage, format!("`--trust {text}` names no pipeline")).hint("write it as `github:ORG/REPO`")
    };
    let repository = text.strip_prefix("github:").ok_or_else(wrong)?;
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    // A star would let in whoever makes a repository of a fitting name.
    if !repository.split_once('/').is_some_and(|(owner, name)| is_name(owner) && is_name(name)) {
        return Err(wrong());
    }
    if request.pull_requests && purpose.changes_something() {
        let what = "a pull request may come from anybody, and this changes what runs";
        return Err(
            Failure::new(Exit::Refused, what).hint("`--branch main`, or a GitHub environment that wants a review")
        );
    }
    let environment = || request.environment.replace('@', "-");
    let claim = match (&request.branch, &request.github_environment) {
        _ if request.pull_requests => Claim::PullRequest,
        (Some(branch), _) => Claim::Branch(branch.clone()),
        (None, Some(name)) => Claim::Environment(name.clone()),
        (None, None) => Claim::Environment(environment()),
    };
    Ok(Some(Trusted { repository: repository.to_owned(), claim }))
}

/// The environment whose data it is.
fn source(common: &Common, target: &str) -> Result<Wanted, Stop> {
    let project = project(common)?;
    let environment = environment(&project, &name(target)?)?;
    let Some(settings) = &environment.clone else {
        let what = format!("`{target}` is made of nobody's data");
        return Err(Failure::new(Exit::Usage, what).hint("say in its file whose: `clone: {from: production}`").into());
    };
    wanted(common, &settings.from.value, &[])
}
