//! greenroom brings whole environments on AWS to life, keeps them true, and copies production when it must be studied.

pub mod environment;
pub mod operation;
