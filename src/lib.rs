//! greenroom brings whole environments on AWS to life, keeps them true, and copies production when it must be studied.

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
