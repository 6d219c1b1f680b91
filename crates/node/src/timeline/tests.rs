//! Going back.
