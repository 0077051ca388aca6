//! The loop every change goes through.
