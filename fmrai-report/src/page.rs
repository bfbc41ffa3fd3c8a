//! The page: one file of HTML that asks nothing of any network.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

use crate::document::Document;
use crate::excerpt::excerpt;

/// The files of our script, in an order in which each uses only those before it. They are one script in the page: within it every
/// name is seen by what follows, and none by anything outside.
const SCRIPT: &[&str] = &[
    include_str!("../page/src/base/dom.js"),
    include_str!("../page/src/base/numbers.js"),
    include_str!("../page/src/base/colours.js"),
    include_str!("../page/src/base/keys.js"),
    include_str!("../page/src/base/state.js"),
    include_str!("../page/src/base/unpack.js"),
    include_str!("../page/src/plots/frame.js"),
    include_str!("../page/src/plots/scatter.js"),
    include_str!("../page/src/plots/heat_map.js"),
    include_str!("../page/src/plots/lines.js"),
    include_str!("../page/src/plots/bars.js"),
    include_str!("../page/src/plots/network.js"),
    include_str!("../page/src/plots/passages.js"),
    include_str!("../page/src/figure/tabulate.js"),
    include_str!("../page/src/figure/table.js"),
    include_str!("../page/src/figure/download.js"),
    include_str!("../page/src/figure/figure.js"),
    include_str!("../page/src/graph/tree.js"),
    include_str!("../page/src/graph/layout.js"),
    include_str!("../page/src/graph/view.js"),
    include_str!("../page/src/pages/parts.js"),
    include_str!("../page/src/pages/overview.js"),
    include_str!("../page/src/pages/model.js"),
    include_str!("../page/src/pages/cards.js"),
    include_str!("../page/src/pages/attention.js"),
    include_str!("../page/src/pages/analysis.js"),
    include_str!("../page/src/pages/frame.js"),
    include_str!("../page/src/live/server.js"),
    include_str!("../page/src/live/pages.js"),
    include_str!("../page/src/live/begin.js"),
    include_str!("../page/src/main.js"),
];

const STYLE: &str = include_str!("../page/src/style.css");

/// The script and the style of every page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The script.
    pub script: String,
    /// The style.
    pub style: &'static str,
}

impl Bundle {
    /// Those of this version.
    #[must_use]
    pub fn new() -> Self {
        let script = format!("\"use strict\";\n(() => {{\n{}}})();\n", SCRIPT.concat());
        Self { script, style: STYLE }
    }
}

impl Default for Bundle {
    fn default() -> Self {
        Self::new()
    }
}

/// A content security policy under which this script and this style run, and nothing else is loaded from anywhere. `connect` is what the
/// script may talk to: nothing in a file, `'self'` on a server.
#[must_use]
pub fn content_security_policy(bundle: &Bundle, connect: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data: blob:; connect-src {connect}; base-uri 'none'; \
         form-action 'none'",
        hash(&bundle.script),
        hash(bundle.style)
    )
}

/// A document as one self-contained page, after [`excerpt`] has cut what would make it heavy. The same document gives the same bytes.
///
/// # Errors
/// What serde says of a document that is no JSON.
pub fn html(document: Document) -> Result<String, serde_json::Error> {
    with_document(document, None)
}

/// One part of such a page, to stand among other things: `only` is its address, such as `["analysis", "attention"]`, `["model"]`, or
/// `["structure"]` for the model without its graph. What else the document holds is not reached from it.
///
/// # Errors
/// As [`html`].
pub fn part_html(document: Document, only: &[&str]) -> Result<String, serde_json::Error> {
    with_document(document, Some(only))
}

/// A page inside of a frame that a notebook shows in its output. The frame has an origin of its own: its script can neither read nor change
/// anything of the notebook.
#[must_use]
pub fn framed(page: &str, title: &str, height: u32) -> String {
    // Within an attribute in double quotes nothing else has a meaning.
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<iframe title=\"{}\" sandbox=\"allow-scripts allow-downloads\" srcdoc=\"{page}\" \
         style=\"display:block;box-sizing:border-box;width:100%;height:{height}px;border:1px solid #8886;border-radius:6px;resize:vertical\">\
         </iframe>",
        escaped(title)
    )
}

fn with_document(document: Document, only: Option<&[&str]>) -> Result<String, serde_json::Error> {
    let document = excerpt(document);
    let json = serde_json::to_vec(&document)?;
    // No name and no time: the same bytes whenever they are written.
    let mut packer = GzBuilder::new().write(Vec::new(), Compression::best());
    let packed = packer.write_all(&json).and_then(|()| packer.finish()).map_err(serde_json::Error::io)?;
    let data =
        format!("<script id=\"data\" type=\"application/gzip\">{}</script>\n", STANDARD.encode(packed));
    let only = only.map(serde_json::to_string).transpose()?;
    Ok(page(&document.title, &data, "'none'", only.as_deref()))
}

/// The page without a document: it asks the server that it came from.
#[must_use]
pub fn live_html(title: &str) -> String {
    page(title, "", "'self'", None)
}

fn page(title: &str, data: &str, connect: &str, only: Option<&str>) -> String {
    let bundle = Bundle::new();
    let policy = content_security_policy(&bundle, connect);
    let (title, Bundle { script, style }) = (escaped(title), bundle);
    let only = only.map(|only| format!(" data-only=\"{}\"", escaped(only))).unwrap_or_default();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"{only}>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n\
         <noscript>This report is drawn by a script within this file: please allow it to run. It loads nothing.</noscript>\n\
         {data}<script>{script}</script>\n</body>\n</html>\n"
    )
}

/// A text as HTML.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::document::FORMAT;

    fn document(title: &str) -> Document {
        let mut run = Map::new();
        run.insert("data".into(), json!({ "note": "</script><script>alert(1)</script>" }));
        Document {
            format: FORMAT,
            title: title.into(),
            status: "ok".into(),
            run,
            model: None,
            analyses: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn nothing_of_a_document_is_html() {
        let page = html(document("</title><script>x")).unwrap();
        assert!(page.contains("<title>&lt;/title&gt;&lt;script&gt;x</title>"));
        assert_eq!(page.matches("<script").count(), 2, "the data and ours");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("alert(1)"));
    }

    #[test]
    fn a_frame_holds_a_part_and_nothing_of_it_gets_out() {
        let page = part_html(document("\"><script>x"), &["analysis", "\"'<b>"]).unwrap();
        assert!(page.contains(
            r#"<html lang="en" data-only="[&quot;analysis&quot;,&quot;\&quot;&#39;&lt;b&gt;&quot;]">"#
        ));
        let frame = framed(&page, "a \"b\"", 300);
        assert!(frame.starts_with(
            "<iframe title=\"a &quot;b&quot;\" sandbox=\"allow-scripts allow-downloads\" srcdoc=\""
        ));
        let (_, inside) = frame.split_once("srcdoc=\"").unwrap();
        let (inside, after) = inside.split_once('"').unwrap();
        assert_eq!(inside.replace("&quot;", "\"").replace("&amp;", "&"), page);
        assert!(after.ends_with("></iframe>") && after.len() < 200, "{after}");
    }

    #[test]
    fn the_same_document_gives_the_same_bytes() {
        assert_eq!(html(document("a")).unwrap(), html(document("a")).unwrap());
    }

    #[test]
    fn the_script_could_not_end_its_own_element() {
        let Bundle { script, style } = Bundle::new();
        assert!(!script.to_lowercase().contains("</script") && !script.contains("<!--"));
        assert!(!style.to_lowercase().contains("</style"));
        assert!(!style.contains("url(") && !script.contains("import("), "nothing is loaded");
    }

    #[test]
    fn the_policy_lets_our_script_run_and_nothing_be_loaded() {
        let policy = content_security_policy(&Bundle::new(), "'none'");
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(policy.contains("connect-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}
