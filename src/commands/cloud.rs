//! What the verbs that reach the cloud share: whose account, which clients, and how a run is driven and ends.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::aws::{self, Clients, Settings};
use crate::cli::Common;
use crate::commands::local::find_or_start;
use crate::deploy::Place;
use crate::deploy::observe::target;
use crate::error::{Exit, Failure};
use crate::operation::{self, About, Cause, Event, Hold, Operation, Outcome, Pace, Plan, Subject};
use crate::view::{Afterwards, Board, End, Expected, View};

impl operation::Fault for aws::Fault {
    fn is_momentary(&self) -> bool {
        aws::Fault::is_momentary(self)
    }
}

/// Where calls go: to AWS, or to the local cloud of the project, which is started if it is not running.
///
/// # Errors
/// When the local cloud cannot be started.
pub(super) fn settings(common: &Common, root: &Path) -> Result<Settings, Failure> {
    if !common.local {
        return Ok(Settings { endpoint: None, is_local: false, profile: common.profile.clone() });
    }
    let address = find_or_start(root)?;
    Ok(Settings { endpoint: Some(address.url()), is_local: true, profile: None })
}

/// Waits for what is waited for on the network.
///
/// # Errors
/// When the machine has no threads or sockets left.
pub(super) fn block_on<F: Future>(work: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::new(Exit::Failed, "the network cannot be waited for").because(error))?;
    let done = runtime.block_on(work);
    // A question that Ctrl-C answered still reads the terminal, and is not waited for.
    runtime.shutdown_background();
    Ok(done)
}

/// The accounts that documentation and examples use: one digit twelve times, or counting up.
fn is_placeholder(account: &str) -> bool {
    account == "123456789012" || account.bytes().all(|digit| account.as_bytes().first() == Some(&digit))
}

/// Says where the run works, and makes sure of it before anything else is called.
///
/// # Errors
/// A placeholder account, the wrong account, or what the question ended with.
pub(super) async fn arrive(
    environment: &str,
    places: &BTreeSet<Place>,
    clients: &Clients,
    view: View,
) -> Result<(), Failure> {
    view.note(&whereabouts(environment, places, clients.is_local()));
    for place in places {
        guard(clients, place, view).await?;
    }
    Ok(())
}

/// The first line of a run: what it works on, in which accounts and Regions.
pub(super) fn whereabouts(environment: &str, places: &BTreeSet<Place>, is_local: bool) -> String {
    let joined = |of: &dyn Fn(&Place) -> &str| {
        places.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
    };
    let accounts = if is_local { "local cloud, nothing is real".to_owned() } else { joined(&|it| &it.account) };
    format!("{environment} · {accounts} · {}", joined(&|it| &it.region))
}

/// The question whose account it is, asked as patiently as all others: an answer of "not now" is waited out. Where nothing
/// answers at all, nobody has been met there yet, and that is told at once.
struct Identifying<'a> {
    clients: &'a Clients,
    place: &'a Place,
}

/// There is nothing to do about a question, and no reason not to ask it.
#[derive(Clone, Debug, PartialEq, Serialize)]
enum Nothing {}

impl Display for Nothing {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl About for Nothing {
    fn subject(&self) -> Subject {
        match *self {}
    }
}

impl Operation for Identifying<'_> {
    type World = Result<String, aws::Fault>;
    type Step = Nothing;
    type Reason = Nothing;
    type Fault = aws::Fault;

    async fn observe(&self) -> Result<Self::World, aws::Fault> {
        match self.clients.caller_account(target(self.place)).await {
            Err(fault @ aws::Fault::Throttled { .. }) => Err(fault),
            answer => Ok(answer),
        }
    }

    fn plan(&self, _first: &Self::World, _now: &Self::World) -> Plan<Nothing, Nothing> {
        Plan::Converged
    }

    async fn apply(&self, step: &Nothing) -> Result<(), aws::Fault> {
        match *step {}
    }
}

/// The account that calls for a place reach.
async fn caller_account(clients: &Clients, place: &Place, view: View) -> Result<Result<String, aws::Fault>, Failure> {
    let what = format!("the question whether these credentials are for {}", place.account);
    let telling =
        Telling { what, hint: &|_| None, pace: pace(clients), expected: Vec::new(), afterwards: Afterwards::Goes };
    // That a run begins is told by the run that it is asked for.
    let tell = |event: Event| match event {
        Event::Began { .. } => {}
        event => view.event(&event),
    };
    let question = Identifying { clients, place };
    let outcome = Box::pin(operation::drive(&question, telling.pace, interrupted(), tell)).await;
    Ok(ended(outcome, &telling)?.now)
}

/// Makes sure that calls for a place reach its account.
///
/// # Errors
/// A placeholder account, the wrong account, or what the question ended with.
pub(super) async fn guard(clients: &Clients, place: &Place, view: View) -> Result<(), Failure> {
    let account = &place.account;
    if !clients.is_local() && is_placeholder(account) {
        let what = format!("{account} is a placeholder, not an account of yours");
        return Err(Failure::new(Exit::Refused, what)
            .hint("put your account's id into the environment file, or rehearse with `--local`"));
    }
    let seen = caller_account(clients, place, view).await?;
    if seen.as_deref() == Ok(account) {
        return Ok(());
    }
    let refused = match seen {
        Ok(caller) => wrong_account(&caller, account),
        Err(fault @ aws::Fault::NoCredentials { .. }) => unsure(fault, account),
        Err(fault) => return Err(unsure(fault, account)),
    };
    if clients.has_chosen_profile() {
        return Err(refused);
    }
    match aws::profiles::of_account(account).as_slice() {
        [] => Err(refused),
        [profile] => with_profile(clients, place, profile, view).await,
        several => Err(Failure::new(Exit::Refused, format!("several profiles are for {account}"))
            .hint(format!("say which: `--profile {}`", several.join("`, `--profile ")))),
    }
}

/// The only profile for an account is taken without asking, and told.
async fn with_profile(clients: &Clients, place: &Place, profile: &str, view: View) -> Result<(), Failure> {
    let account = &place.account;
    clients.use_profile(account, profile.to_owned());
    match caller_account(clients, place, view).await? {
        Ok(caller) if caller == *account => Ok(()),
        Ok(caller) => Err(wrong_account(&caller, account)),
        Err(aws::Fault::Expired) => {
            let failure = Failure::new(Exit::Failed, format!("the credentials of profile `{profile}` have expired"));
            Err(failure.hint(format!("`aws sso login --profile {profile}`")))
        }
        Err(fault) => Err(unsure(fault, account)),
    }
}

fn wrong_account(caller: &str, account: &str) -> Failure {
    let what = format!("these credentials are for {caller}, but the environment is in {account}");
    Failure::new(Exit::Refused, what).hint(format!("use a profile of {account}: `--profile NAME`"))
}

fn unsure(fault: aws::Fault, account: &str) -> Failure {
    failed(fault, format!("it could not be made sure that these credentials are for {account}"))
}

/// A call that failed, with what to type next where that is known.
pub(super) fn failed(fault: aws::Fault, what: impl Into<String>) -> Failure {
    let hint = match &fault {
        aws::Fault::Expired => Some("`aws sso login`, or get new credentials, then run the command again"),
        aws::Fault::NoCredentials { .. } => Some("`--profile NAME`, or `--local` to rehearse without an account"),
        aws::Fault::Unreachable { .. } => Some("is there a network, and does the endpoint answer?"),
        aws::Fault::Throttled { .. } => Some("run the command again in a minute"),
        aws::Fault::Missing { .. }
        | aws::Fault::Exists { .. }
        | aws::Fault::Overtaken { .. }
        | aws::Fault::Denied { .. }
        | aws::Fault::Invalid { .. }
        | aws::Fault::Other { .. }
        | aws::Fault::Endless { .. }
        | aws::Fault::Barred { .. }
        | aws::Fault::Incomplete { .. } => None,
    };
    let failure = Failure::new(Exit::Failed, what).because(fault);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The first and the last look of a run that reached its goal.
pub(super) struct Reached<World> {
    /// How the world was.
    pub(super) first: World,
    /// How it is.
    pub(super) now: World,
}

/// What a run needs to know beside its operation.
pub(super) struct Telling<'a, Reason> {
    /// What could not be done: `the deployment of scratch@jane`.
    pub(super) what: String,
    /// What may be done about a reason.
    pub(super) hint: &'a dyn Fn(&Reason) -> Option<String>,
    /// Its tempo.
    pub(super) pace: Pace,
    /// The stacks that it may be about, in the order of work.
    pub(super) expected: Vec<Expected>,
    /// Whether its progress is of interest when it is over.
    pub(super) afterwards: Afterwards,
}

/// How often what moves by itself is drawn: as often as its picture changes.
const TICK: Duration = Duration::from_millis(100);

/// Waits for the work while the time that passes is shown.
async fn ticking<F: Future + Unpin>(mut work: F, board: &RefCell<Board>) -> F::Output {
    loop {
        let is_live = board.borrow().is_live();
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(TICK), if is_live => board.borrow_mut().tick(),
        }
    }
}

/// How a run ended, as far as a table shows it.
fn end<World, Step: About, Reason: About, Fault>(outcome: &Outcome<World, Step, Reason, Fault>) -> End {
    let stack = |cause: &Cause<Step, Reason, Fault>| match cause {
        Cause::Seen(reason) => reason.subject().stack,
        Cause::Apply { step, .. } | Cause::Fruitless { step, .. } => step.subject().stack,
        Cause::Observe { .. } | Cause::Flaw(_) => None,
    };
    match outcome {
        Outcome::Converged { .. } => End::Reached,
        Outcome::Failed { causes, .. } => End::Stopped { failed: causes.iter().filter_map(stack).collect() },
        Outcome::Refused { .. } | Outcome::Unfinished { .. } | Outcome::Interrupted { .. } => {
            End::Stopped { failed: Vec::new() }
        }
    }
}

/// Drives an operation to its goal, telling what happens.
///
/// # Errors
/// How it ended otherwise.
pub(super) async fn drive<O>(
    operation: &O,
    view: View,
    telling: &Telling<'_, O::Reason>,
) -> Result<Reached<O::World>, Failure>
where
    O: Operation<Fault = aws::Fault>,
    O::Step: Send + Sync + 'static,
    O::Reason: Send + Sync + 'static,
{
    // The SDK's calls are tens of kilobytes each, and would otherwise lie on the stack of every caller above.
    let board = RefCell::new(view.board(&telling.expected, telling.afterwards));
    let report = |event| board.borrow_mut().event(&event);
    let outcome = ticking(Box::pin(operation::drive(operation, telling.pace, interrupted(), report)), &board).await;
    board.into_inner().close(&end(&outcome));
    ended(outcome, telling)
}

fn ended<World, Step: About, Reason: About>(
    outcome: Outcome<World, Step, Reason, aws::Fault>,
    telling: &Telling<'_, Reason>,
) -> Result<Reached<World>, Failure> {
    let Telling { what, hint, .. } = telling;
    match outcome {
        Outcome::Converged { first, now } => Ok(Reached { first, now }),
        Outcome::Refused { because, waiting } => {
            let mut failure = Failure::new(Exit::Refused, format!("{what} is refused"));
            failure.hints = hints(because.iter().filter_map(hint));
            Err(told(failure, because.iter().map(ToString::to_string), &waiting))
        }
        Outcome::Failed { causes, waiting } => {
            let mut failure = Failure::new(Exit::Failed, format!("{what} failed"));
            let seen = causes.iter().filter_map(|cause| match cause {
                Cause::Seen(reason) => hint(reason),
                Cause::Observe { fault } | Cause::Apply { fault, .. } => {
                    failed(fault.clone(), "").hints.into_iter().next()
                }
                Cause::Fruitless { .. } => Some(
                    "does this cloud keep what it is told? run the command again, and look at the stack".to_owned(),
                ),
                Cause::Flaw(_) => None,
            });
            failure.hints = hints(seen);
            Err(told(failure, causes.iter().map(sentence), &waiting))
        }
        Outcome::Unfinished { waiting } => {
            let failure =
                Failure::new(Exit::Unfinished, format!("{what} is unfinished: nothing has moved for a long time"));
            let waited = waiting.iter().filter(|hold| !hold.is_running()).map(line);
            Err(told(failure, waited, &waiting).hint("run the command again to go on waiting"))
        }
        Outcome::Interrupted { waiting } => {
            let failure = Failure::new(Exit::Interrupted, format!("{what} was interrupted"));
            Err(told(failure, [], &waiting).hint("run the command again to go on from here"))
        }
    }
}

/// How often the local cloud is looked at: its time flies, nobody shares it, and a look takes it a millisecond.
const LOCAL_PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];

/// The tempo of a run.
pub(super) fn pace(clients: &Clients) -> Pace {
    if !clients.is_local() {
        return Pace::default();
    }
    let [shortest_pause, longest_pause] = LOCAL_PAUSES;
    Pace { shortest_pause, longest_pause, ..Pace::default() }
}

/// Ctrl-C.
pub(super) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without the signal there is nothing to wait for, and nobody has interrupted.
        std::future::pending::<()>().await;
    }
}

/// A cause with its own cause, in one line.
fn sentence<Step: Display + std::fmt::Debug, Reason: Display + std::fmt::Debug>(
    cause: &Cause<Step, Reason, aws::Fault>,
) -> String {
    match cause {
        Cause::Observe { fault } | Cause::Apply { fault, .. } => format!("{cause}: {fault}"),
        Cause::Seen(_) | Cause::Fruitless { .. } | Cause::Flaw(_) => cause.to_string(),
    }
}

/// Each hint once, in order.
fn hints(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    all.filter(|hint| seen.insert(hint.clone())).collect()
}

/// Adds why, and what still runs in the cloud.
fn told<Reason: About>(
    failure: Failure,
    reasons: impl IntoIterator<Item = String>,
    waiting: &[Hold<Reason>],
) -> Failure {
    let mut failure = failure;
    failure.reasons = reasons.into_iter().collect();
    failure.still_running = waiting.iter().filter(|hold| hold.is_running()).map(line).collect();
    failure
}

fn line<Reason: About>(hold: &Hold<Reason>) -> String {
    match hold.subject().stack {
        Some(stack) => format!("{stack}: {hold}"),
        None => hold.to_string(),
    }
}

/// What is answered on the terminal; nothing where there is none.
///
/// # Errors
/// When Ctrl-C is the answer.
pub(super) async fn answer(view: View, question: &str) -> Result<Option<String>, Failure> {
    let asked = question.to_owned();
    let answered = tokio::task::spawn_blocking(move || view.ask(&asked));
    tokio::select! {
        // After a run Ctrl-C no longer ends the process by itself.
        () = interrupted() => Err(Failure::new(Exit::Interrupted, "interrupted; nothing was changed")),
        given = answered => Ok(given.ok().flatten()),
    }
}

/// Asks on the terminal; without one nothing is asked, and the flag that answers is named.
///
/// # Errors
/// When the answer is another, nobody is there to answer, or Ctrl-C is the answer.
pub(super) async fn ask(view: View, question: &str, answer: &str, flag: &str) -> Result<(), Failure> {
    match self::answer(view, question).await? {
        None => {
            let what = "this needs a confirmation, and there is no terminal to ask on";
            Err(Failure::new(Exit::Refused, what).hint(format!("`{flag}` answers it")))
        }
        Some(given) if given == answer => Ok(()),
        Some(_) => Err(Failure::new(Exit::Refused, "not confirmed; nothing was changed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_examples_are_known() {
        assert!(["222222222222", "000000000000", "123456789012"].iter().all(|account| is_placeholder(account)));
        assert!(!is_placeholder("210987654321"));
    }

    #[test]
    fn the_first_line_says_where_a_run_works() {
        let place = Place { account: "333333333333".to_owned(), region: "ap-southeast-2".to_owned(), role: None };
        let places: BTreeSet<Place> = [place].into();
        assert_eq!(whereabouts("staging", &places, false), "staging · 333333333333 · ap-southeast-2");
        assert_eq!(
            whereabouts("scratch@jane", &places, true),
            "scratch@jane · local cloud, nothing is real · ap-southeast-2"
        );
    }
}
