//! The page that a person reads: one document that loads nothing, the same for everybody. It holds no fact about the
//! process: its script asks `/status` for them, with the token where one is needed.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};

/// The document, and what it may do.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) html: String,
    /// Its own style and script, told by their hashes, and requests to where it comes from. The script may make no markup of
    /// text, whatever it says.
    pub(super) content_security_policy: String,
}

/// The page.
pub(super) static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let script = format!("\"use strict\";\n{}", SCRIPT.concat());
    let html = DOCUMENT.replacen(STYLE_PLACE, STYLE, 1).replacen(SCRIPT_PLACE, &script, 1);
    let content_security_policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(STYLE),
        hash(&script),
    );
    Page { html, content_security_policy }
});

fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

const DOCUMENT: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/page.css");
/// In this order: each part uses those before it.
const SCRIPT: [&str; 6] = [
    include_str!("page/dom.js"),
    include_str!("page/words.js"),
    include_str!("page/sparkline.js"),
    include_str!("page/overview.js"),
    include_str!("page/tables.js"),
    include_str!("page/refresh.js"),
];
const STYLE_PLACE: &str = "/* page.css */";
const SCRIPT_PLACE: &str = "/* script */";

#[cfg(test)]
mod tests {
    use super::*;

    fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
        let (_, rest) = text.split_once(start).expect("the start");
        rest.split_once(end).expect("the end").0
    }

    #[test]
    fn the_policy_admits_the_style_and_the_script_that_are_in_the_document_and_nothing_else() {
        let Page { html, content_security_policy: policy } = &*PAGE;
        for (start, end, source) in
            [("<style>", "</style>", "style-src"), ("<script>", "</script>", "script-src")]
        {
            let expected = format!("{source} '{}';", hash(between(html, start, end)));
            assert!(policy.contains(&expected), "{policy}");
            assert_eq!(html.matches(start).count(), 1);
        }
        assert!(policy.starts_with("default-src 'none';"));
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    }

    #[test]
    fn the_document_names_nothing_outside_of_itself_and_makes_no_markup_of_text() {
        let html = PAGE.html.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["http:", "https:", "//", "src=", "url(", "@import", " style=", " onclick="]
        {
            let found = html.lines().find(|line| {
                let comment = line.trim_start().starts_with("//");
                !comment && line.contains(foreign)
            });
            assert_eq!(found, None, "{foreign}");
        }
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!html.contains(sink), "{sink}");
        }
    }
}
