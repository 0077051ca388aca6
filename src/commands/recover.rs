//! `recover`: what is stuck, which way is chosen, and going it.

use std::collections::{BTreeMap, BTreeSet};

use crate::aws::{self, Clients};
use crate::cli::{Common, Recover as Request};
use crate::commands::cloud::{Telling, answer, arrive, ask, block_on, drive, failed, pace, settings};
use crate::commands::deploy::{Consent, consent};
use crate::commands::{Done, Ended, environment, name, project, stacks};
use crate::deploy::World;
use crate::deploy::desired::{named, place};
use crate::deploy::observe::Observer;
use crate::environment::Environment;
use crate::error::{Exit, Failure};
use crate::operation::{Operation, Plan};
use crate::recover::observe::{observe, survey};
use crate::recover::report::{Diagnosis, Recovery, freed};
use crate::recover::ways::{stranded, under_way};
use crate::recover::{Act, Chosen, Reason, Scope, ScopedStack, Step, Stranded, Way, apply, plan};
use crate::view::{Afterwards, Expected, Report, View};

/// A recovery as an operation: the three verbs of `recover`, with clients.
struct Recovering<'a> {
    chosen: &'a [Chosen],
    clients: &'a Clients,
    observer: &'a Observer<'a>,
}

impl Operation for Recovering<'_> {
    type World = World;
    type Step = Step;
    type Reason = Reason;
    type Fault = aws::Fault;

    async fn observe(&self) -> Result<World, aws::Fault> {
        observe(self.clients, self.observer, self.chosen).await
    }

    fn plan(&self, first: &World, now: &World) -> Plan<Step, Reason> {
        plan::plan(self.chosen, first, now)
    }

    async fn apply(&self, step: &Step) -> Result<(), aws::Fault> {
        apply::apply(self.clients, step).await
    }
}

/// What the parts of a run share.
struct Run<'a> {
    scope: &'a Scope,
    is_protected: bool,
    clients: &'a Clients,
    view: View,
}

pub(super) fn run(common: &Common, request: &Request, view: View) -> Ended {
    let project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let consent = consent(&environment, &request.agreement)?;
    let scope = scope(&environment, &request.stacks)?;
    let wishes = choices(&request.choose)?;
    let clients = Clients::new(settings(common, &project.root)?);
    let run = Run { scope: &scope, is_protected: environment.is_protected, clients: &clients, view };
    let report = block_on(run.recover(&wishes, &consent))??;
    Ok(Done { report, sources: project.sources, exit: Exit::Done })
}

fn scope(environment: &Environment, asked: &[String]) -> Result<Scope, Failure> {
    let stacks = stacks(environment, asked)?.into_iter().map(|stack| ScopedStack {
        name: stack.name.clone(),
        stack_name: stack.stack_name.value.clone(),
        place: place(stack),
    });
    Ok(Scope {
        environment: environment.name.to_string(),
        environment_word: environment.name.word(),
        project: environment.project.clone(),
        stacks: stacks.collect(),
        named: named(environment),
        with_strays: asked.is_empty(),
    })
}

/// What `--choose` says: a number by stack, or one for the only stack there is.
fn choices(texts: &[String]) -> Result<BTreeMap<Option<String>, usize>, Failure> {
    let mut choices = BTreeMap::new();
    for text in texts {
        let (stack, number) = match text.split_once('=') {
            Some((stack, number)) => (Some(stack.to_owned()), number),
            None => (None, text.as_str()),
        };
        let Ok(number) = number.parse() else {
            let what = format!("`--choose {text}` names no way");
            return Err(Failure::new(Exit::Usage, what).hint("write its number, `--choose 1`, or `--choose STACK=1`"));
        };
        if choices.insert(stack, number).is_some() {
            let what = format!("`--choose {text}` chooses a second way");
            return Err(Failure::new(Exit::Usage, what).hint("name the stack of each: `--choose STACK=N`"));
        }
    }
    Ok(choices)
}

impl Run<'_> {
    async fn recover(&self, wishes: &BTreeMap<Option<String>, usize>, consent: &Consent) -> Result<Report, Failure> {
        let places: BTreeSet<_> = self.scope.stacks.iter().map(|stack| stack.place.clone()).collect();
        arrive(&self.scope.environment, &places, self.clients, self.view).await?;
        let mut seen = self.survey().await?;
        let under_way = under_way(self.scope, &seen);
        if !under_way.is_empty() && !matches!(consent, Consent::DryRun) {
            self.drive(&under_way, "the end of what is under way").await?;
            seen = self.survey().await?;
        }
        let stranded = stranded(self.scope, &seen);
        let diagnosis = Diagnosis { environment: self.scope.environment.clone(), stranded };
        if diagnosis.stranded.is_empty() || matches!(consent, Consent::DryRun) {
            return Ok(Report::Diagnosis(diagnosis));
        }
        let chosen = if wishes.is_empty() {
            self.ask_for(&diagnosis, consent).await?
        } else {
            let chosen = self.wished(&diagnosis, wishes)?;
            if matches!(consent, Consent::Ask) {
                self.view.diagnosis(&diagnosis);
                self.agreed(&chosen).await?;
            }
            chosen
        };
        let gone = self.drive(&chosen, "the recovery").await?;
        let seen = self.survey().await?;
        Ok(Report::Recovery(Recovery {
            environment: self.scope.environment.clone(),
            freed: freed(&self.scope.environment, &chosen, &gone),
            stranded: crate::recover::ways::stranded(self.scope, &seen),
        }))
    }

    async fn survey(&self) -> Result<World, Failure> {
        let seen = survey(self.clients, self.scope).await;
        seen.map_err(|fault| failed(fault, format!("`{}` could not be looked at", self.scope.environment)))
    }

    async fn drive(&self, chosen: &[Chosen], what: &str) -> Result<World, Failure> {
        let observer = Observer::new(self.clients);
        let operation = Recovering { chosen, clients: self.clients, observer: &observer };
        let telling = Telling {
            what: format!("{what} in `{}`", self.scope.environment),
            hint: &|reason: &Reason| reason.hint(&self.scope.environment),
            pace: pace(self.clients),
            expected: chosen.iter().map(|one| Expected { stack: one.stack.clone(), resources: None }).collect(),
            afterwards: Afterwards::Stays,
        };
        Ok(drive(&operation, self.view, &telling).await?.now)
    }

    /// On a terminal: stack by stack. Without one nothing is asked, and the flags that answer are named.
    async fn ask_for(&self, diagnosis: &Diagnosis, consent: &Consent) -> Result<Vec<Chosen>, Failure> {
        self.view.diagnosis(diagnosis);
        let mut chosen = Vec::new();
        for stranded in diagnosis.stranded.iter().filter(|it| it.ways.iter().any(|way| way.closed.is_none())) {
            let question = format!("Which way for `{}`? Type its number, or nothing to leave it:", stranded.stack);
            let Some(given) = answer(self.view, &question).await? else { return Err(self.unanswered(diagnosis)) };
            if given.is_empty() {
                continue;
            }
            let number = given.parse().map_err(|_| not_a_way(stranded, &given))?;
            chosen.push(choose(stranded, number)?);
        }
        if chosen.is_empty() {
            let is_closed = diagnosis.stranded.iter().flat_map(|it| &it.ways).all(|way| way.closed.is_some());
            let what = if is_closed { "every way is closed" } else { "no way was chosen" };
            return Err(Failure::new(Exit::Refused, format!("{what}; nothing was changed")));
        }
        if self.is_protected && matches!(consent, Consent::Ask) {
            self.agreed(&chosen).await?;
        }
        Ok(chosen)
    }

    fn unanswered(&self, diagnosis: &Diagnosis) -> Failure {
        let what = "somebody must choose a way, and there is no terminal to ask on";
        let choices: Vec<String> = match diagnosis.stranded.as_slice() {
            [only] => only
                .ways
                .iter()
                .filter(|way| way.closed.is_none())
                .map(|way| format!("--choose {}", way.number))
                .collect(),
            several => several.iter().map(|it| format!("--choose {}=N", it.stack)).collect(),
        };
        let name = &self.scope.environment;
        let agreement = if self.is_protected { format!("--confirm {name}") } else { "--yes".to_owned() };
        let joined = if diagnosis.stranded.len() == 1 { choices.join("` or `") } else { choices.join(" ") };
        Failure::new(Exit::Refused, what).hint(format!("`{joined}`, and `{agreement}`"))
    }

    fn wished(&self, diagnosis: &Diagnosis, wishes: &BTreeMap<Option<String>, usize>) -> Result<Vec<Chosen>, Failure> {
        let find = |stack: &Option<String>| match (stack, diagnosis.stranded.as_slice()) {
            (Some(stack), all) => all.iter().find(|it| it.stack == *stack).ok_or_else(|| {
                let what = format!("`{stack}` is not stuck");
                let names: Vec<&str> = all.iter().map(|it| it.stack.as_str()).collect();
                Failure::new(Exit::Refused, what).hint(format!("stuck: {}", names.join(", ")))
            }),
            (None, [only]) => Ok(only),
            (None, all) => {
                let names: Vec<String> = all.iter().map(|it| format!("--choose {}=N", it.stack)).collect();
                let what = format!("several stacks of `{}` are stuck", self.scope.environment);
                Err(Failure::new(Exit::Refused, what).hint(format!("say which way for which: `{}`", names.join(" "))))
            }
        };
        wishes.iter().map(|(stack, number)| choose(find(stack)?, *number)).collect()
    }

    async fn agreed(&self, chosen: &[Chosen]) -> Result<(), Failure> {
        let name = &self.scope.environment;
        let acts: Vec<String> = chosen.iter().map(|one| format!("{}: {}", one.stack, one.act)).collect();
        let acts = acts.join("; ");
        if self.is_protected {
            let question = format!("`{name}` is protected. {acts}. Type its name to do this:");
            return ask(self.view, &question, name, &format!("--confirm {name}")).await;
        }
        ask(self.view, &format!("{acts}. Type `yes` to do this:"), "yes", "--yes").await
    }
}

fn not_a_way(stranded: &Stranded, given: &str) -> Failure {
    let known: Vec<String> = stranded.ways.iter().map(|way| way.number.to_string()).collect();
    let what = format!("`{}` has no way {given}", stranded.stack);
    Failure::new(Exit::Refused, what).hint(format!("its ways: {}; nothing was changed", known.join(", ")))
}

fn choose(stranded: &Stranded, number: usize) -> Result<Chosen, Failure> {
    let Some(Way { act, closed, .. }) = stranded.ways.iter().find(|way| way.number == number) else {
        return Err(not_a_way(stranded, &number.to_string()));
    };
    if let Some(closed) = closed {
        let what = format!("this way is closed for `{}`: {closed}", stranded.stack);
        return Err(Failure::new(Exit::Refused, what).hint(hint_of_closed(act)));
    }
    Ok(Chosen {
        stack: stranded.stack.clone(),
        id: stranded.id.clone(),
        place: stranded.place.clone(),
        act: act.clone(),
    })
}

fn hint_of_closed(act: &Act) -> &'static str {
    if act.deletes() {
        "nothing was changed; the ways above it leave the stack where it is"
    } else {
        "nothing was changed"
    }
}
