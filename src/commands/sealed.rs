//! `plan --out` and `deploy --plan`: a plan as a file, and a deployment that does exactly what is in it.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::aws::Clients;
use crate::cli::{Common, Deploy, Plan as PlanRequest};
use crate::commands::cloud::{arrive, block_on};
use crate::commands::deploy::{Run, Wanted, allowed, places, reached, wanted};
use crate::commands::writing::{NewFile, write};
use crate::commands::{Done, Ended, Stop, current_directory, display};
use crate::deploy::observe::Observer;
use crate::deploy::report::{Preview, preview};
use crate::deploy::seal::{Cloud, Seal, Term, Unreadable, ensure_no_secrets, until};
use crate::deploy::{Desired, Goal};
use crate::environment::Sources;
use crate::environment::project::find;
use crate::environment::shape::parse_duration;
use crate::environment::source::sentence;
use crate::error::{Exit, Failure};
use crate::view::{Report, SealedPlan, View};

/// The longest that a sealed plan may hold: of what is older nobody remembers what was looked at.
const EXPIRY_DAYS_MAX: u64 = 30;

/// The largest file that is read: 20 stacks of the largest templates that CloudFormation takes.
const SEAL_BYTES_MAX: u64 = 20 * 1024 * 1024;

/// Shows what a deployment would do, and seals it.
pub(super) fn seal(common: &Common, request: &PlanRequest, file: &Path, view: View) -> Ended {
    let lasts = lasts(&request.expires)?;
    let Wanted { written, desired } = wanted(common, &request.environment, &request.stacks)?;
    ensure_no_secrets(&desired).map_err(|secret| {
        let hint = "give a reference in its place: `{secret: NAME, key: KEY}`, `{ssm: /path}` or `{previous: true}`";
        Failure::new(Exit::Refused, format!("the plan of `{}` cannot be sealed", desired.environment))
            .because(secret)
            .hint(hint)
    })?;
    let desired = Desired { allowed: allowed(&request.allow, false), goal: Goal::Sealed, ..desired };
    let clients = reached(common, &written.project.root, &desired)?;
    let run = Run { written: Some(&written), clients: &clients, view };
    let (preview, seal) = block_on(async {
        arrive(&desired.environment, &places(&desired), &clients, view).await?;
        let made = told(&clients)?;
        let cloud = if clients.is_local() { Cloud::Local } else { Cloud::Aws };
        let term = Term { cloud, made, expires: made.saturating_add(lasts).map_err(unheard_of)? };
        sealed(&run, kept(desired, term.expires), term).await
    })??;
    let (text, digest) = seal.written();
    write(&[NewFile { path: file.to_owned(), text }])?;
    let is_told = request.exit_code && preview.has_changes();
    let sealed = SealedPlan { preview, file: display(file), expires: seal.expires, digest };
    let exit = if is_told { Exit::Differences } else { Exit::Done };
    Ok(Done { report: Report::Sealed(sealed), sources: written.project.sources, exit })
}

fn lasts(text: &str) -> Result<SignedDuration, Failure> {
    let lasts = parse_duration(text).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`--expires {text}` is no duration")).hint("write it as 30m, 8h or 2d")
    })?;
    if lasts.as_secs() > EXPIRY_DAYS_MAX * 86_400 {
        let what = format!("`--expires {text}` is longer than a sealed plan may hold");
        return Err(Failure::new(Exit::Usage, what).hint(format!("{EXPIRY_DAYS_MAX}d is the most")));
    }
    SignedDuration::try_from(lasts).map_err(unheard_of)
}

/// Thirty days from now are a moment of the calendar, whatever a clock says.
fn unheard_of(error: jiff::Error) -> Failure {
    Failure::new(Exit::Failed, "the end of the seal cannot be told").because(error)
}

/// Every change set says in its name until when it is kept.
fn kept(desired: Desired, expires: Timestamp) -> Desired {
    let mut desired = desired;
    for stack in &mut desired.stacks {
        stack.kept_until = Some(until(expires));
    }
    desired
}

/// What would be refused is not sealed, and leaves nothing behind.
async fn sealed(run: &Run<'_>, desired: Desired, term: Term) -> Result<(Preview, Seal), Failure> {
    let observer = Observer::new(run.clients);
    let reached = run.drive(&desired, &observer, "the plan").await?;
    let mut preview = preview(&desired, &reached.now);
    let seal = Seal::of(&desired, &preview, &reached.now, term);
    if let Some(written) = run.written {
        written.locate(&mut preview);
    }
    if preview.refusals.is_empty() {
        return Ok((preview, seal));
    }
    run.view.preview(&preview);
    let environment = desired.environment.clone();
    let withdrawn = Desired { goal: Goal::Withdrawn, ..desired };
    run.drive(&withdrawn, &observer, "the clearing away").await?;
    let mut failure =
        Failure::new(Exit::Refused, format!("the plan of `{environment}` is not sealed: deploy would refuse"));
    failure.reasons = preview.refusals.iter().map(ToString::to_string).collect();
    Err(failure)
}

/// Does what a sealed plan holds, or refuses.
pub(super) fn deploy(common: &Common, request: &Deploy, file: &Path, view: View) -> Ended {
    let seal = read(file)?;
    if let Some(environment) = request.environment.as_ref().filter(|it| **it != seal.environment) {
        let what = format!("`{}` is a plan of `{}`, not of `{environment}`", file.display(), seal.environment);
        return Err(Failure::new(Exit::Refused, what).into());
    }
    let desired = seal.desired().map_err(|error| unreadable(file, error))?;
    let clients = reached(common, &root(common)?, &desired)?;
    let here = if clients.is_local() { Cloud::Local } else { Cloud::Aws };
    if here != seal.cloud {
        return Err(elsewhere(file, seal.cloud).into());
    }
    let run = Run { written: None, clients: &clients, view };
    let report = block_on(async {
        arrive(&desired.environment, &places(&desired), &clients, view).await?;
        ensure_in_time(&seal, &clients)?;
        let observer = Observer::new(&clients);
        if request.agreement.dry_run {
            let desired = Desired { goal: Goal::Sealed, ..desired };
            return run.show(&desired, &observer).await.map(Report::Preview);
        }
        run.deploy(&desired, &observer).await
    })??;
    Ok(Done { report, sources: Sources::default(), exit: Exit::Done })
}

fn elsewhere(file: &Path, made: Cloud) -> Failure {
    let (made_in, here) = match made {
        Cloud::Aws => ("AWS", "the local cloud"),
        Cloud::Local => ("the local cloud", "AWS"),
    };
    let what = format!("`{}` was sealed in {made_in}, and this is {here}", file.display());
    Failure::new(Exit::Refused, what)
}

/// The cloud's own time: whoever has just said whose account this is has told it.
fn told(clients: &Clients) -> Result<Timestamp, Failure> {
    clients.arrived().ok_or_else(|| {
        Failure::new(Exit::Failed, "the cloud does not tell the time, and a sealed plan holds for a time")
    })
}

/// By the cloud's clock: nobody's own says when a seal is over.
fn ensure_in_time(seal: &Seal, clients: &Clients) -> Result<(), Failure> {
    let now = told(clients)?;
    if now < seal.expires {
        return Ok(());
    }
    let what = format!("the sealed plan of `{}` has expired: it held until {}", seal.environment, moment(seal.expires));
    Err(Failure::new(Exit::Refused, what)
        .hint(format!("`greenroom plan {} --out FILE` seals what is to be done now", seal.environment)))
}

/// As it is shown: to the second.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn read(file: &Path) -> Result<Seal, Failure> {
    let cannot = |why: String| {
        Failure::new(Exit::Usage, format!("the sealed plan `{}` cannot be read", file.display())).because(why)
    };
    let size = std::fs::metadata(file).map_err(|error| cannot(sentence(&error)))?.len();
    if size > SEAL_BYTES_MAX {
        return Err(cannot(format!("it has {size} bytes, and no sealed plan has more than {SEAL_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| cannot(sentence(&error)))?;
    Seal::read(&text).map_err(|error| unreadable(file, error))
}

fn unreadable(file: &Path, error: Unreadable) -> Failure {
    let (exit, hint) = match &error {
        Unreadable::Broken(_) | Unreadable::Other => (Exit::Usage, "was all of it brought here?"),
        Unreadable::Version { .. } => (Exit::Usage, "take the greenroom that sealed it, or a newer one"),
        Unreadable::Edited => (Exit::Refused, "seal it anew: a sealed plan is not edited"),
    };
    Failure::new(exit, format!("the sealed plan `{}` cannot be read", file.display())).because(error).hint(hint)
}

/// Where the local cloud is found: a sealed plan needs no project, but one may be near.
fn root(common: &Common) -> Result<PathBuf, Stop> {
    if let Some(directory) = &common.project {
        return Ok(directory.clone());
    }
    let here = current_directory()?;
    Ok(find(&here).unwrap_or(here))
}
