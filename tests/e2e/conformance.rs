//! The OTLP conformance suite against the real server, and the page that keeps its table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use daytwo_conformance::{Compression, GoldenConfig, Report, Target, run};
use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, ServerOptions};

const TOKEN: &str = "conformance-token";
const ORIGIN: &str = "https://shop.example";
const PAGE: &str = "docs/conformance.md";

fn target(server: &Server) -> Target {
    Target {
        grpc: server.at.grpc.to_string(),
        http: server.at.http.to_string(),
        query: Some(format!("http://{}", server.at.web)),
        token: Some(TOKEN.to_owned()),
        origin: Some(ORIGIN.to_owned()),
        request_bytes_max: 64 << 20,
        found_within: PATIENCE,
        golden: GoldenConfig { seed: 1, run: 0xDA72_0000_0000_0001, each: 10, compressions: Compression::ALL.to_vec() },
    }
}

fn whole_suite() -> Report {
    let folder = TempDir::new().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    let environment =
        [("BEARER_TOKEN_FILES", token.display().to_string()), ("CORS_ALLOWED_ORIGINS", ORIGIN.to_owned())];
    let environment = environment.map(|(key, value)| (format!("DAYTWO__COLLECTOR__{key}"), value)).to_vec();
    let server = Server::start_with(&ServerOptions { environment, ..ServerOptions::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(target(&server)))
}

/// Scenario: the whole suite, with its golden inputs, against a server of default limits that asks for a token and has named an
/// origin.
/// Guarantees: every case passes, on at least 1,500 golden inputs; no case was left out; the page's table is the one
/// that the suite prints today.
#[test]
fn the_server_conforms() {
    let report = whole_suite();
    assert!(report.is_pass(), "{}", report.to_text());
    assert!(report.golden_inputs >= 1_500, "{}", report.summary());
    assert_eq!(report.skipped, []);
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
