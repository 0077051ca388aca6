//! greenroom brings whole environments on AWS to life, keeps them true, and copies production when it must be studied.
//!
//! This page is for somebody who opens the code for the first time.
//!
//! # From files to CloudFormation
//!
//! ```text
//! environments/*.yaml ─► environment ─► template ─► rendered templates, parameters, tags
//!                            │             │
//!                            └─────────────┴──► check · explain · diff ──► view ──► human | JSON
//! ```
//!
//! - [`environment`] reads files, lays them over each other and keeps, for every value, the place that said it.
//! - [`template`] types values by the schema of a template's inputs, renders, and reads the result as CloudFormation will.
//! - [`check`], [`explain`] and [`diff`] are functions over the two; what they find is data.
//! - [`commands`] has a file a verb: from what was typed ([`cli`]) to a report. [`view`] is the only code that prints.
//! - [`operation`] is the loop that every verb which changes something will run: observe, plan, apply, look again.
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
//! | how does a run end | [`error::Exit`] |
//!
//! # Who may import whom
//!
//! `environment` imports nothing of ours, `template` only `environment`; `check`, `explain` and `diff` import those two; `operation`
//! and `error` nothing; `view` the reports it prints; `commands` everything. `tests/architecture.rs` holds this, rule by rule, each
//! with its reason.
//!
//! # To add
//!
//! - a key of environment files: a line in the table of [`environment::shape`], and whatever reads it;
//! - a rule for templates: a variant of [`template::rules::TemplateFault`], and a scene in `tests/messages.rs`;
//! - a verb: a variant in [`cli::Verb`], a file in [`commands`], a file in `tests/`.

pub mod aws;
pub mod check;
pub mod cli;
pub mod commands;
pub mod deploy;
pub mod destroy;
pub mod diff;
pub mod environment;
pub mod error;
pub mod explain;
pub mod operation;
pub mod status;
pub mod template;
pub mod view;
