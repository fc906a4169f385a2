//! What the embedded pages promise to whoever serves them.

use super::{asset, deepen, index_html};
use std::borrow::Cow;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The files that the page at the site root refers to.
fn references(page: &str) -> Vec<String> {
    page.split("=\"./").skip(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
}

/// Scenario: read the page and follow each reference in it.
/// Guarantees: a script, a style sheet and an icon are embedded, typed, and cached for ever only when hashed.
#[test]
fn page_refers_to_embedded_files() {
    let page = text(&index_html("/").bytes);
    let found = references(&page);
    assert_eq!(found.len(), 3, "{page}");
    for path in found {
        let file = asset(&path).unwrap_or_else(|| panic!("{path} is not embedded"));
        assert_eq!(file.immutable, path.starts_with("assets/"), "{path}");
        assert_ne!(file.content_type, "application/octet-stream", "{path}");
        assert!(file.etag.starts_with('"') && file.etag.ends_with('"') && file.etag.len() > 10);
    }
}

/// Scenario: ask for the page at the root, one folder down and three folders down.
/// Guarantees: references climb exactly as many folders as the path has, and each depth has its own ETag.
#[test]
fn page_climbs_to_the_root() {
    for (path, climb) in [("/", "./"), ("/slo", "./"), ("/slo/checkout", "../"), ("/deployments/a%2Fb/v1", "../../")] {
        let page = index_html(path);
        assert!(text(&page.bytes).contains(&format!("src=\"{climb}assets/main-")), "{path}");
        assert_eq!(page.etag == index_html("/").etag, climb == "./", "{path}");
        assert!(!page.immutable);
    }
}

/// Scenario: ask for names that are not files to serve.
/// Guarantees: none of them answers, compressed twins and climbing paths included.
#[test]
fn other_names_are_not_found() {
    let script = references(&text(&index_html("/").bytes)).into_iter().find(|path| path.ends_with(".js")).unwrap();
    for path in [
        "",
        "/",
        "index.html",
        "assets",
        "assets/none.js",
        "../Cargo.toml",
        "assets/../index.html",
        &format!("{script}.gz"),
    ] {
        assert_eq!(asset(path), None, "{path}");
    }
}

/// Scenario: read the largest script and its compressed twin.
/// Guarantees: the twin exists, is a gzip file, and is smaller; both spellings of the path find the same file.
#[test]
fn scripts_have_a_compressed_twin() {
    let script = references(&text(&index_html("/").bytes)).into_iter().find(|path| path.ends_with(".js")).unwrap();
    let file = asset(&script).unwrap();
    let packed = file.gzip.clone().unwrap();
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    assert!(packed.len() < file.bytes.len());
    assert!(packed.len() <= 30 * 1024, "entry script is {} bytes compressed", packed.len());
    assert_eq!(asset(&format!("/{script}")), Some(file));
}

/// Scenario: rewrite a page that holds a reference and text that looks like one.
/// Guarantees: only attribute values that begin with `./` change.
#[test]
fn only_references_change() {
    let page = Cow::Borrowed(&b"<a href=\"./x\">see ./y</a><b src=\"/z\">"[..]);
    assert_eq!(text(&deepen(page, 1)), "<a href=\"../x\">see ./y</a><b src=\"/z\">");
}
