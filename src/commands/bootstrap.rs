//! `bootstrap`: the buckets that large templates and packages go through.

use std::collections::BTreeSet;

use crate::aws::Clients;
use crate::bootstrap::desired;
use crate::cli::{Bootstrap as Request, Common};
use crate::commands::cloud::{arrive, block_on, failed, settings};
use crate::commands::deploy::{Run, allowed, consent, places};
use crate::commands::lines::Written;
use crate::commands::{Done, Ended, environment, name, project};
use crate::deploy::marks::{Owner, owner};
use crate::deploy::observe::{Observer, look_for_bucket};
use crate::deploy::{BucketStanding, Desired, DesiredStack, LiveStack, Phase};
use crate::environment::Environment;
use crate::error::{Exit, Failure};
use crate::template::Templates;
use crate::view::View;

pub(super) fn run(common: &Common, request: &Request, view: View) -> Ended {
    let mut project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let consent = consent(&environment, &request.agreement)?;
    let wanted = Desired { allowed: allowed(&request.allow, false), ..wanted(&environment)? };
    let clients = Clients::new(settings(common, &project.root)?);
    let templates = Templates::load(&mut project, &BTreeSet::new());
    let written = Written { project, environment, templates };
    let run = Run { written: Some(&written), clients: &clients, view };
    let report = block_on(async {
        arrive(&wanted.environment, &places(&wanted), &clients, view).await?;
        let wanted = to_make(wanted, &clients, view).await?;
        run.converge(wanted, consent).await
    })??;
    Ok(Done { report, sources: written.project.sources, exit: Exit::Done })
}

/// The stacks of the buckets that the environment names.
pub(super) fn wanted(environment: &Environment) -> Result<Desired, Failure> {
    desired(environment).map_err(|fault| Failure::new(Exit::Usage, fault.to_string()).hint(fault.hint()))
}

/// Without the buckets that are there and not of our making: they are used as they are.
async fn to_make(wanted: Desired, clients: &Clients, view: View) -> Result<Desired, Failure> {
    let unseen = |fault| failed(fault, format!("the buckets of `{}` could not be looked at", wanted.environment));
    let world = Observer::new(clients).observe(&wanted).await.map_err(unseen)?;
    let mut stacks = Vec::with_capacity(wanted.stacks.len());
    for stack in &wanted.stacks {
        let standing = look_for_bucket(clients, &stack.place, &stack.name).await.map_err(unseen)?;
        let live = world.stacks.get(&stack.name).filter(|live| live.status.phase() != Phase::Gone);
        // Another project of the account may have made it: its stack stays that project's.
        let is_ours = live.is_some_and(|live| owner(&live.tags, &stack.tags) == Owner::Us);
        let is_ours = is_ours || wanted.allowed.take_over.contains(&stack.name);
        if is_to_be_made(stack, live, standing)? && (is_ours || standing != BucketStanding::Ready) {
            stacks.push(stack.clone());
        } else {
            view.note(&format!(
                "the bucket `{}` was not made for `{}`, and is used as it is",
                stack.name, wanted.project
            ));
        }
    }
    Ok(Desired { stacks, ..wanted })
}

fn is_to_be_made(stack: &DesiredStack, live: Option<&LiveStack>, standing: BucketStanding) -> Result<bool, Failure> {
    let bucket = &stack.name;
    let is_at_rest = live.is_some_and(|live| live.status.phase() == Phase::Steady);
    match standing {
        BucketStanding::Ready => Ok(live.is_some()),
        BucketStanding::Missing if is_at_rest => {
            let what = format!("the bucket `{bucket}` is gone, but its stack `{}` is there", stack.stack_name);
            Err(Failure::new(Exit::Refused, what).hint("delete that stack in the AWS console, and run this again"))
        }
        BucketStanding::Missing => Ok(true),
        BucketStanding::Foreign => {
            let what = format!("the bucket `{bucket}` belongs to another account, or may not be used");
            let hint = "names of buckets are the whole world's: choose another, or get `s3:ListBucket` for it";
            Err(Failure::new(Exit::Refused, what).hint(hint))
        }
        BucketStanding::Elsewhere => {
            let what = format!("the bucket `{bucket}` is in another Region than {}", stack.place.region);
            Err(Failure::new(Exit::Refused, what).hint("have its name say the Region: `NAME-${account}-${region}`"))
        }
    }
}
