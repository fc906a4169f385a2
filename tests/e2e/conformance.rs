//! The OTLP conformance suite against the real server, and the page that keeps its table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use daytwo_conformance::{Compression, GoldenConfig, Report, Target, run};
use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, ServerOptions};

const TOKEN: &str = "conformance-token";
const PAGE: &str = "docs/conformance.md";

fn target(server: &Server) -> Target {
    Target {
        grpc: server.at.grpc.to_string(),
        http: server.at.http.to_string(),
        query: Some(format!("http://{}", server.at.web)),
        token: Some(TOKEN.to_owned()),
        origin: None,
        request_bytes_max: 64 << 20,
        found_within: PATIENCE,
        golden: GoldenConfig { seed: 1, run: 0xDA72_0000_0000_0001, each: 10, compressions: Compression::ALL.to_vec() },
    }
}

fn whole_suite() -> Report {
    let folder = TempDir::new().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    let files = ("DAYTWO__COLLECTOR__BEARER_TOKEN_FILES".to_owned(), token.display().to_string());
    let server = Server::start_with(&ServerOptions { environment: vec![files], ..ServerOptions::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(target(&server)))
}

/// Scenario: the whole suite, with its golden inputs, against a server of default limits that asks for a token.
/// Guarantees: every case passes, on at least 1,500 golden inputs; only what the page names was not tried; its table is
/// the one that the suite prints today.
#[test]
fn the_server_conforms() {
    let report = whole_suite();
    assert!(report.is_pass(), "{}", report.to_text());
    assert!(report.golden_inputs >= 1_500, "{}", report.summary());
    let skipped: BTreeSet<&str> = report.skipped.iter().map(|skipped| skipped.item).collect();
    assert_eq!(skipped, BTreeSet::from(["O-60", "O-61"]), "{:?}", report.skipped);
    let page = read_page();
    let printed = report.to_markdown();
    assert!(page.contains(&printed), "{PAGE} has another table; print it as the page says. It has to be:\n{printed}");
}

/// Scenario: the page of the suite.
/// Guarantees: each item of the checklist is in one of its two tables, and none that the checklist does not have; files
/// that it names are there.
#[test]
fn the_page_knows_every_item() {
    let page = read_page();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| O-")?.split(' ').next());
    let named: BTreeSet<String> = rows.map(|number| format!("O-{number}")).collect();
    let checklist: BTreeSet<String> = daytwo_conformance::ITEMS.iter().map(|item| (*item).to_owned()).collect();
    assert_eq!(named, checklist);
    let files = page.split('`').filter(|text| text.contains('/') && text.ends_with(".rs"));
    let missing: Vec<&str> = files.filter(|file| !Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

fn read_page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap()
}
