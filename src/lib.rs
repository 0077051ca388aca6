//! greenroom brings whole environments on AWS to life, keeps them true, and copies production when it must be studied.
//!
//! This page is for somebody who opens the code for the first time.
//!
//! # From files to CloudFormation
//!
//! ```text
//! environments/*.yaml ─► environment ─► template ─► rendered templates, parameters, tags
//!                            │             │
//!                            └─────────────┴──► check · explain · diff ──► view ──► human | JSON | …
//! ```
//!
//! - [`environment`] reads files, lays them over each other and keeps, for every value, the place that said it.
//! - [`template`] types values by the schema of a template's inputs, renders, and reads the result as CloudFormation will.
//! - [`check`], [`explain`] and [`diff`] are functions over the two; what they find is data.
//! - [`affected`] compares what comes of all files with what came of them in an earlier revision, which [`mod@git`] reads.
//! - [`commands`] has a file a verb: from what was typed ([`cli`]) to a report. [`view`] is the only code that prints.
//!
//! # From CloudFormation to the cloud
//!
//! ```text
//!                        ┌──► observe ──── World ────► plan ──► Plan ──► drive ──► apply ──┐
//! rendered ─► desired ───┤                              │                                  │
//!                      cloud ◄──────────────────────────┼──────────────────────────────────┘
//!                                                       └──► Event ──► view
//! ```
//!
//! - [`operation`] is the loop that every verb which changes something runs: observe, plan, apply, look again. It keeps no state:
//!   what has been done is read back from the cloud, so a run may be killed anywhere and started again.
//! - [`deploy`] and [`destroy`] are such verbs, in the same files: nouns in `mod.rs`, `observe.rs` looks, `plan.rs` decides and is
//!   pure, `apply.rs` acts. [`status`] is one look, or many; [`log`] is a look back.
//! - [`cancel`] stops updates that run, [`recover`] frees stacks that are stuck: [`recover::ways`] says which ways lead out, as data
//!   that people choose from and that its planner goes.
//! - [`clone`] composes two plans of `deploy`: the target with its database closed, and the target as its file says.
//! - [`reap`] finds the environments whose lifetime is over, by the marks of their stacks, and hands them to [`destroy`]; what extends
//!   a lifetime is brought up as any stack.
//! - [`bootstrap`] says what `deploy` needs before it can send large templates; it is brought up as any stack.
//! - [`drift`] has CloudFormation compare what runs with what was deployed, says of each difference what it is, and finds the value
//!   of a file that would make it right. What it decides is written by [`environment::edit`], or undone by a plan of [`deploy`].
//! - [`parity`] compares what runs in two environments (`diff --live`): it reads both, compares purely, and knows what differs by
//!   nature.
//! - [`permissions`] says which IAM policies a verb needs (`permissions VERB ENV`); a test holds it against the calls that are made.
//! - [`aws`] has the clients, paging and errors, and makes no decision. RDS is told in the registry's words, because what is seen of a
//!   database is rendered, compared and verified as properties of a template.
//! - [`simulator`] is the local cloud. It imports nothing of ours and is reached over HTTP only, like the real one: that wall is
//!   what makes its answers worth believing, and lets other people's clients judge it.
//!
//! # Where decisions live
//!
//! | question | answered in |
//! |---|---|
//! | which keys may a file have, and **which pass to an environment that inherits** | the table in [`environment::shape`]: [`environment::shape::Passes`] says why |
//! | what comes of laying files over each other | [`environment::layers`] |
//! | what type does a value have | [`template::typing`], by the schema of its input |
//! | why can a value never break a template | [`template::quoting`] |
//! | how is a schema's complaint said to a person | [`template::sentences`] |
//! | what is wrong with a rendered template | [`template::rules`] |
//! | which line of the template made a line of the result | [`template::trace`] |
//! | may this step be done now, and if not, what is waited for | `plan.rs` of the verb; what can be said is [`deploy::Reason`] |
//! | would this change lose data | [`deploy::changes`] |
//! | how is a stack stuck, which ways lead out, and what does each lose | [`recover::ways`] |
//! | which operation does an event belong to, and who began it | [`log::history`] |
//! | which chain of resources determined how long it took | [`log::timeline`] |
//! | what would a change set show, if one may not be made | [`deploy::estimate`] |
//! | who uses what a stack hands on, and who goes first when it goes | [`deploy::consumers`] |
//! | what is cleared away of a run that is refused or fails | [`deploy::leftovers`] |
//! | does a stack policy let an update do this | [`environment::stack_policy`] |
//! | what does a change of the files touch, and which of them decide it | [`mod@affected`] |
//! | which commit is an earlier revision compared by | [`git::past`] |
//! | what exactly was approved | [`operation::Approval`] |
//! | what does a sealed plan hold, and which file is one | [`deploy::seal`] |
//! | has anything moved since it was sealed | [`deploy::moved`] |
//! | which snapshot is cloned, and by which way it travels | [`clone::snapshot`] |
//! | what must AWS grant before a clone is begun | [`clone::guards`] |
//! | what does a clone use in a day, and may it | [`clone::daily`] |
//! | what must a twin have in common with its source | [`clone::frozen`] |
//! | how long is too long | [`operation::Pace`] |
//! | what is done about an error code | [`aws::Course`] |
//! | what may differ between twins | [`parity::declared()`] |
//! | is a difference drift, or only looks like it | [`drift::judge()`] |
//! | may this change set undo drift | [`drift::revert`] |
//! | what would a change set do to what was changed by hand | [`deploy::drifted`] |
//! | how is one value of a file changed, and no other byte | [`environment::edit`] |
//! | what may a certificate of destruction claim | [`destroy::evidence`] |
//! | when does an environment end, and where is that recorded | [`deploy::lifetime`] |
//! | is an environment over, and may it go | [`reap::plan`] |
//! | how does a run end | [`error::Exit`] |
//!
//! # Who may import whom
//!
//! `environment` imports nothing of ours, `template` only `environment`; `check`, `explain`, `diff` and `affected` import those two;
//! `operation`, `aws`, `git`, `simulator` and `error` nothing. A planner imports nouns and no client, no clock, no file. `view` imports the reports it
//! prints; `commands` everything. `tests/architecture.rs` holds this, rule by rule, each with its reason.
//!
//! # To add
//!
//! - a key of environment files: a line in the table of [`environment::shape`], and whatever reads it;
//! - a rule for templates: a variant of [`template::rules::TemplateFault`], and a scene in `tests/messages.rs`;
//! - a format for pipelines: a drawing of the one sheet in `view::formats`, to which `check`, `plan` and `drift` are mapped;
//! - a verb: a variant in [`cli::Verb`], a file in [`commands`], a file in `tests/`; one that changes something, a folder with the
//!   four files;
//! - a condition under which something is safe: a reason, its branch in `plan.rs`, and a `check` below it.

pub mod affected;
pub mod aws;
pub mod bootstrap;
pub mod cancel;
pub mod check;
pub mod cli;
pub mod clone;
pub mod commands;
pub mod deploy;
pub mod destroy;
pub mod diff;
pub mod drift;
pub mod environment;
pub mod error;
pub mod explain;
pub mod git;
pub mod log;
pub mod operation;
pub mod parity;
pub mod permissions;
pub mod reap;
pub mod recover;
pub mod simulator;
pub mod status;
pub mod template;
pub mod view;
