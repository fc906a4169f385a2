//! The web board, embedded: its pages are built by `build.rs` from `app/` and served by the dashboards crate.
//!
//! This crate knows files, not HTTP: [`asset`] finds one by its path under the site root, [`index_html`] gives the page that
//! every other path shows. Names under `assets/` carry a hash of their content, so they may be cached for ever; the page may not.

use std::borrow::Cow;
use std::fmt::Write as _;

use rust_embed::{Embed, EmbeddedFile};

/// What the pages need from `Content-Security-Policy`; serve it with [`index_html`].
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     object-src 'none'; frame-ancestors 'none'; base-uri 'none'";

/// The folder that `build.rs` made or was given.
#[derive(Embed)]
#[folder = "$DAYTWO_UI_EMBED"]
struct Pages;

/// One file to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The content, not compressed.
    pub bytes: Cow<'static, [u8]>,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// A strong `ETag`, quotes included; made from the content.
    pub etag: String,
    /// The same content gzipped, when that is smaller; for `Content-Encoding: gzip`.
    pub gzip: Option<Cow<'static, [u8]>>,
    /// Whether the name changes with the content: `Cache-Control: immutable` if so, else `no-cache`.
    pub immutable: bool,
}

/// Finds the file at `path` below the site root, as in `assets/main-4F2A.js`; a leading slash is allowed.
///
/// The page itself and the compressed twins are not found here.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path == "index.html" || path.ends_with(".gz") {
        return None;
    }
    let file = Pages::get(path)?;
    Some(Asset {
        content_type: content_type(path),
        etag: etag(&file),
        gzip: Pages::get(&format!("{path}.gz")).map(|twin| twin.data),
        immutable: path.starts_with("assets/"),
        bytes: file.data,
    })
}

/// The page for the request path `path` (as it arrived, still percent-encoded), whatever it names: the script in it reads the path.
///
/// Its references are relative, one `../` per folder of `path`, so that the site works under any prefix a proxy adds.
#[must_use]
pub fn index_html(path: &str) -> Asset {
    let (bytes, etag) = match Pages::get("index.html") {
        Some(file) => {
            let depth = path.strip_prefix('/').unwrap_or(path).matches('/').count();
            let etag = if depth == 0 { etag(&file) } else { format!("\"{depth}-{}", &etag(&file)[1..]) };
            (deepen(file.data, depth), etag)
        }
        None => (
            Cow::Borrowed(&b"<!doctype html><title>Daytwo</title><p>No pages in this binary."[..]),
            "\"none\"".to_owned(),
        ),
    };
    Asset { bytes, content_type: "text/html; charset=utf-8", etag, gzip: None, immutable: false }
}

/// Rewrites `./` references to climb `depth` folders.
fn deepen(page: Cow<'static, [u8]>, depth: usize) -> Cow<'static, [u8]> {
    if depth == 0 {
        return page;
    }
    let climb = format!("=\"{}", "../".repeat(depth));
    Cow::Owned(String::from_utf8_lossy(&page).replace("=\"./", &climb).into_bytes())
}

fn etag(file: &EmbeddedFile) -> String {
    let mut text = String::from("\"");
    for byte in file.metadata.sha256_hash().iter().take(12) {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text.push('"');
    text
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
