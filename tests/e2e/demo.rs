//! The demo as a newcomer sees it: services appear, the bad release is flagged with its reason, the board shows it.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{PATIENCE, addresses, eventually, get_json, tools_dir};

/// The demo process, killed when dropped.
struct Demo {
    child: Child,
    folder: TempDir,
    web: SocketAddr,
}

impl Demo {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let addr_file = folder.path().join("addresses.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_daytwo"));
        command.arg("demo").arg("--data-dir").arg(folder.path().join("data")).arg("--addr-file").arg(&addr_file);
        command.args(["--port", "0"]).stdin(Stdio::null());
        command.stdout(fs::File::create(folder.path().join("stdout")).unwrap());
        command.stderr(fs::File::create(folder.path().join("stderr")).unwrap());
        let child = command.spawn().unwrap();
        let web = eventually("the demo opens its ports", PATIENCE, || addresses(&addr_file)).web;
        Self { child, folder, web }
    }

    fn deployments(&self) -> Vec<Value> {
        let answer = get_json(self.web, "/api/v1/deployments");
        answer["deployments"].as_array().unwrap().iter().filter(|one| one["kind"] != "first").cloned().collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
            eprintln!("demo said:\n{}\n{}", read("stdout"), read("stderr"));
        }
    }
}

/// Scenario: the demo runs; 30 s in, one operation of one service gets slower by itself; another service gets a harmless release.
/// Guarantees: the bad release is FAIL and OWN on the right operation with its interval and three traces, callers are INHERITED,
/// the harmless release is not FAIL, a bad flag is caught on the one service that it slows and a harmless one accuses nobody, and every page shows it in Chromium without a console error.
#[test]
fn the_bad_release_is_flagged_and_shown() {
    let demo = Demo::start();
    eventually("twelve services appear", PATIENCE, || {
        let services = get_json(demo.web, "/api/v1/services");
        (services["services"].as_array()?.len() >= 10).then_some(())
    });
    let bad = eventually("a release fails", Duration::from_secs(180), || {
        demo.deployments().into_iter().find(|one| one["state"] == "FAIL")
    });
    let (service, version) = (bad["service"].as_str().unwrap(), bad["version"].as_str().unwrap());
    assert_eq!((service, bad["class"].as_str()), ("payment", Some("OWN")), "{bad}");
    let mut detail = get_json(demo.web, &format!("/api/v1/deployments/{service}/{version}"));
    assert_changes(&detail);
    let verdict = detail["verdict"].take();
    assert_own_finding(&verdict);
    assert_callers_inherit(&verdict);
    assert_exemplars_exist(&demo, &verdict);
    let harmless = eventually("the harmless release appears", Duration::from_secs(120), || {
        demo.deployments().into_iter().find(|one| one["service"] != "payment")
    });
    assert_ne!(harmless["state"], "FAIL", "{harmless}");
    assert_flags(&demo);
    assert_pages(&demo);
}

/// The bad flag is a discovery on `search` alone, which owns it; the harmless one accuses nobody.
fn assert_flags(demo: &Demo) {
    let flag = |key: &str| {
        let flags = get_json(demo.web, "/api/v1/flags");
        flags["flags"].as_array().unwrap().iter().find(|one| one["key"] == key).cloned()
    };
    let bad = eventually("the bad flag fails", Duration::from_secs(180), || {
        flag("search-ranking").filter(|flag| flag["state"] == "FAIL")
    });
    assert_eq!((bad["assignment"].as_str(), bad["control"].as_str()), (Some("randomised"), Some("off")), "{bad}");
    let failing: Vec<_> =
        bad["comparisons"][0]["services"].as_array().unwrap().iter().filter(|one| one["state"] == "FAIL").collect();
    assert_eq!(failing.len(), 1, "{bad}");
    assert_eq!((failing[0]["service"].as_str(), failing[0]["class"].as_str()), (Some("search"), Some("OWN")), "{bad}");
    let harmless = flag("spring-banner").unwrap();
    assert_ne!(harmless["state"], "FAIL", "{harmless}");
}

/// The list's changes of quantiles are those of the service's total time.
fn assert_changes(detail: &Value) {
    let findings = detail["verdict"]["findings"].as_array().unwrap();
    let total = findings.iter().find(|one| one["node"] == "total").unwrap_or_else(|| panic!("no total in {detail}"));
    for quantile in ["p50", "p95", "p99"] {
        let of = |side: &str| total[side][quantile].as_f64().unwrap();
        let change = detail["deployment"][format!("{quantile}_change")].as_f64().unwrap();
        assert!((change - (of("after_ms") / of("before_ms") - 1.0)).abs() < 1e-9, "{quantile}: {detail}");
    }
}

fn assert_own_finding(verdict: &Value) {
    let worst = &verdict["findings"][0];
    assert_eq!((worst["node"].as_str(), worst["class"].as_str()), (Some("self"), Some("OWN")), "{worst}");
    let own = verdict["findings"].as_array().unwrap().iter().find(|one| one["operation"] == "POST /charge");
    let own = own.unwrap_or_else(|| panic!("POST /charge is not among the findings: {verdict}"));
    assert_eq!(own["state"], "FAIL", "{own}");
    let number = |key: &str| own[key].as_f64().unwrap_or_else(|| panic!("{key} is missing: {own}"));
    assert!(
        number("ratio_low") > 1.05 && number("ratio_low") <= number("ratio") && number("ratio") <= number("ratio_high"),
        "{own}"
    );
    assert!((1.2..2.2).contains(&number("ratio")), "the effect that was built in is +60 %: {own}");
    // The least from which the rule claims anything.
    assert!(number("traces_before") >= 10.0 && number("traces_after") >= 10.0, "{own}");
}

fn assert_callers_inherit(verdict: &Value) {
    let affected = verdict["affected"].as_array().unwrap();
    assert!(affected.iter().any(|one| one["class"] == "INHERITED"), "{affected:?}");
    assert!(affected.iter().all(|one| one["class"] != "OWN"), "only the culprit owns it: {affected:?}");
}

fn assert_exemplars_exist(demo: &Demo, verdict: &Value) {
    let exemplars = verdict["exemplars"].as_array().unwrap();
    assert!(exemplars.len() >= 3, "{exemplars:?}");
    for exemplar in exemplars {
        get_json(demo.web, &format!("/api/v1/traces/{}", exemplar["trace_id"].as_str().unwrap()));
    }
}

/// Walks the board in Chromium; screenshots stay beside the test tools.
fn assert_pages(demo: &Demo) {
    let output = Command::new("npm")
        .args(["run", "--silent", "test:live"])
        .current_dir(tools_dir().join("ui"))
        .env("DAYTWO_URL", format!("http://{}", demo.web))
        .env("DAYTWO_SHOTS", tools_dir().join("screenshots"))
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}
