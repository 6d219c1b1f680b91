//! Tests of a whole run.
