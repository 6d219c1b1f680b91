//! The page at `/`: the newest blocks and how far each has come, live over a WebSocket.

/// Self-contained: no other file, no foreign origin.
pub(crate) const PAGE: &str = include_str!("page.html");
