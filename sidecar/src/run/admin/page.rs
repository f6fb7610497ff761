//! `/`: one page that shows this sidecar, in one file, with nothing from elsewhere.
//!
//! Owns how it is put together and what a browser lets it do. What it shows is in `page/data`; how, in `page/*.js`, which make text
//! nodes of whatever comes from configuration or traffic: there is no markup that such a text could become.

pub(super) mod data;

use std::hash::{BuildHasher, RandomState};

/// `NONCE` stands where each answer has a value of its own.
const PAGE: &str = concat!(
    include_str!("page/head.html"),
    "<style nonce=\"NONCE\">\n",
    include_str!("page/page.css"),
    "</style>\n</head>\n",
    include_str!("page/body.html"),
    "<script nonce=\"NONCE\">\n\"use strict\";\n",
    include_str!("page/words.js"),
    include_str!("page/rates.js"),
    include_str!("page/graph.js"),
    include_str!("page/services.js"),
    include_str!("page/lists.js"),
    include_str!("page/page.js"),
    "</script>\n</body>\n</html>\n",
);

/// Only the style and the script of the page itself; it may ask nobody but us, submit nothing, stand in no frame, and make no
/// markup of text.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// The page, and the policy that goes with it.
pub(super) fn page() -> (String, String) {
    // The standard library seeds each with what the system gives as random.
    let half = || RandomState::new().hash_one(0_u8);
    let nonce = format!("{:016x}{:016x}", half(), half());
    (PAGE.replace("NONCE", &nonce), policy(&nonce))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_stands_alone_and_makes_no_markup_of_text() {
        let (page, policy) = super::page();
        assert_ne!(page, super::page().0, "each answer has a nonce of its own");
        assert!(!page.contains("NONCE") && policy.matches("'nonce-").count() == 2);
        for elsewhere in ["src=", "@import", "url(", "<link", "//cdn", "https://"] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
        for markup in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "DOMParser",
            "createContextualFragment",
        ] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.len() < 64 * 1024, "{} bytes", page.len());
    }
}
