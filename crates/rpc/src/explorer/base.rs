//! Pages below another place than the root: those of a shard's chain.
//!
//! ```text
//! <a href="/block/7">  ─▶  <a href="/shard/1/block/7">         assets, metrics and the list of shards stay at the root
//! ```
//! Every link of a page is written by a template or by [`html`](super::html), from the root and between quotation
//! marks, and what others wrote can't contain those: so what follows one of [`ATTRIBUTES`] is a link of ours.

use super::frame::Page;

/// What links stand behind.
const ATTRIBUTES: [&str; 5] = ["href=", "action=", "hx-post=", "sse-connect=", "src="];
/// What begins so is at the root only.
const AT_ROOT: [&str; 3] = ["assets/", "metrics\"", "shards\""];

/// A page below a base; an empty one is the root.
pub(super) fn place(page: Page, base: &str) -> Page {
    if base.is_empty() {
        return page;
    }
    Page {
        html: links(&page.html, base),
        location: page.location.map(|location| format!("{base}{location}")),
        ..page
    }
}

/// A text whose links lead below a base.
pub(super) fn links(html: &str, base: &str) -> String {
    let mut placed = String::with_capacity(html.len() + html.len() / 8);
    let mut rest = html;
    while let Some(found) = rest.find("=\"/") {
        let (before, link) = rest.split_at(found + 2);
        placed.push_str(before);
        let is_link = ATTRIBUTES.iter().any(|name| {
            let before = before.strip_suffix('"');
            before.is_some_and(|before| before.ends_with(name))
        });
        let path = link.strip_prefix('/').unwrap_or(link);
        if is_link && !AT_ROOT.iter().any(|root| path.starts_with(root)) {
            placed.push_str(base);
        }
        rest = link;
    }
    placed.push_str(rest);
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_page_lead_below_its_base() {
        for (root, below) in [
            (r#"<a href="/">"#, r#"<a href="/shard/1/">"#),
            (
                r#"<a href="/block/7">7</a>"#,
                r#"<a href="/shard/1/block/7">7</a>"#,
            ),
            (
                r#"<form action="/search"><a href="/pool">"#,
                r#"<form action="/shard/1/search"><a href="/shard/1/pool">"#,
            ),
            (
                r#"<p sse-connect="/live">"#,
                r#"<p sse-connect="/shard/1/live">"#,
            ),
            (
                r#"<a href="/assets/12/x.css">"#,
                r#"<a href="/assets/12/x.css">"#,
            ),
            (r#"<a href="/shards">"#, r#"<a href="/shards">"#),
            (r#"<a href="/metrics">"#, r#"<a href="/metrics">"#),
            // A text of somebody: quotation marks are escaped.
            ("href=&quot;/x", "href=&quot;/x"),
            (r#"title="/x""#, r#"title="/x""#),
            (r##"<a href="#main">"##, r##"<a href="#main">"##),
        ] {
            assert_eq!(links(root, "/shard/1"), below);
        }
    }

    #[test]
    fn at_the_root_nothing_changes() {
        let page = || Page::elsewhere("/block/1".to_owned());
        assert_eq!(place(page(), "").location.as_deref(), Some("/block/1"));
        let below = place(page(), "/shard/2").location;
        assert_eq!(below.as_deref(), Some("/shard/2/block/1"));
    }
}
