//! The API's description is a file in the repository, so that every change of the API is a visible difference.

use std::path::Path;

/// Scenario: the document built from handlers and DTOs against the checked-in one.
/// Guarantees: nobody changes the API without showing it.
#[test]
fn the_document_is_checked_in() {
    let built = daytwo_dashboards::document().unwrap();
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi.json");
    std::fs::write(&new, &built).unwrap();
    let old = std::fs::read_to_string(checked_in).unwrap_or_default();
    assert!(old == built, "the API changed; if that is meant: cp {} dashboards/openapi.json", new.display());
}
