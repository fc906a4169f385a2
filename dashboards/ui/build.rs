//! Builds the web pages with npm and esbuild, in `OUT_DIR` only: the source tree stays clean.
//!
//! Inputs are copied to `OUT_DIR/ui`, packages are installed there when the lock file changed, and `build.mjs` writes
//! `OUT_DIR/ui-dist`, which `src/lib.rs` embeds by the variable `DAYTWO_UI_EMBED`. Nothing is ever embedded silently empty: without
//! npm, with an old Node or without a registry the build stops and names the ways out.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// Everything the pages are made of; a change of any of them builds the pages again.
const INPUTS: [&str; 5] = ["app", "build.mjs", "package.json", "package-lock.json", ".npmrc"];

/// The oldest Node this was tried with; the `engines` field of package.json says the same.
const NODE_OLDEST: (u32, u32) = (20, 19);

/// Shown under every failure.
const WAYS_OUT: [&str; 3] = [
    "1. install Node.js 20.19 or newer with npm (https://nodejs.org) and build again",
    "2. build without pages: cargo build --no-default-features (the HTTP API stays, `/` says so)",
    "3. use pages built elsewhere: DAYTWO_UI_DIST=/folder/with/index.html cargo build",
];

fn main() {
    for input in INPUTS {
        println!("cargo:rerun-if-changed={input}");
    }
    for variable in ["DAYTWO_UI_DIST", "DAYTWO_UI", "DOCS_RS"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    match provide_pages() {
        Ok(folder) => println!("cargo:rustc-env=DAYTWO_UI_EMBED={}", folder.display()),
        Err(problem) => fail(&problem),
    }
}

/// The folder to embed, made or found.
fn provide_pages() -> Result<PathBuf, String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo set no OUT_DIR")?);
    if let Some(prebuilt) = env::var_os("DAYTWO_UI_DIST") {
        return use_prebuilt(Path::new(&prebuilt));
    }
    let skipped = env::var_os("DAYTWO_UI").is_some_and(|value| value == "skip");
    if skipped || env::var_os("DOCS_RS").is_some() {
        return write_stub(&out.join("ui-stub"));
    }
    check_node()?;
    let work = out.join("ui");
    copy_inputs(&work)?;
    install_packages(&work)?;
    let dist = out.join("ui-dist");
    run(node(), &work, &[OsStr::new("build.mjs"), OsStr::new("--out"), dist.as_os_str()])?;
    Ok(dist)
}

fn use_prebuilt(folder: &Path) -> Result<PathBuf, String> {
    let folder =
        fs::canonicalize(folder).map_err(|e| format!("DAYTWO_UI_DIST={} cannot be read: {e}", folder.display()))?;
    if !folder.join("index.html").is_file() {
        return Err(format!("DAYTWO_UI_DIST={} holds no index.html", folder.display()));
    }
    println!("cargo:rerun-if-changed={}", folder.display());
    Ok(folder)
}

/// A page that says it is a stub, for documentation builds and for `DAYTWO_UI=skip`.
fn write_stub(folder: &Path) -> Result<PathBuf, String> {
    let page = "<!doctype html><meta charset=utf-8><title>Daytwo</title>\
        <p>This binary was built with DAYTWO_UI=skip: it has no pages. The API is at <a href=\"./api/v1/status\">api/v1/status</a>.";
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(folder.join("index.html"), page))
        .map_err(|e| format!("cannot write {}: {e}", folder.display()))?;
    Ok(folder.to_path_buf())
}

fn check_node() -> Result<(), String> {
    let output = Command::new("node")
        .arg("--version")
        .output()
        .map_err(|e| format!("the pages need Node.js, and `node --version` failed: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = text.trim_start_matches('v').split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Err(format!("`node --version` answered {text:?}, which is no version"));
    };
    if (major, minor) < NODE_OLDEST {
        let (a, b) = NODE_OLDEST;
        return Err(format!("Node.js {text} is too old for the pages; {a}.{b} or newer is needed"));
    }
    if Command::new(npm()).arg("--version").output().is_err() {
        return Err("Node.js is here but npm is not".to_owned());
    }
    Ok(())
}

/// Copies the inputs afresh and removes what is gone, but keeps `node_modules`.
fn copy_inputs(work: &Path) -> Result<(), String> {
    let attempt = || -> io::Result<()> {
        fs::create_dir_all(work)?;
        for input in INPUTS {
            let (from, to) = (Path::new(input), work.join(input));
            if from.is_dir() {
                if to.exists() {
                    fs::remove_dir_all(&to)?;
                }
                copy_folder(from, &to)?;
            } else {
                fs::copy(from, &to)?;
            }
        }
        Ok(())
    };
    attempt().map_err(|e| format!("cannot copy the page sources to {}: {e}", work.display()))
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // Folders are named too: cargo then notices a file that is new or gone.
        println!("cargo:rerun-if-changed={}", entry.path().display());
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// `npm ci`, only when the lock file differs from the one last installed.
fn install_packages(work: &Path) -> Result<(), String> {
    let stamp = work.join("installed.lock");
    let read = |path: &Path| fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()));
    let lock = read(&work.join("package-lock.json"))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) && work.join("node_modules").is_dir() {
        return Ok(());
    }
    let arguments = ["ci", "--ignore-scripts", "--omit=dev", "--prefer-offline", "--fetch-retries=1"].map(OsStr::new);
    run(Command::new(npm()), work, &arguments)
        .map_err(|problem| format!("{problem}\n(is the npm registry reachable from here?)"))?;
    fs::write(&stamp, lock).map_err(|e| format!("cannot write {}: {e}", stamp.display()))
}

fn npm() -> &'static str {
    if cfg!(windows) { "npm.cmd" } else { "npm" }
}

/// Node without the caller's `NODE_OPTIONS`: a debugger or a preload there must not reach the build.
fn node() -> Command {
    let mut command = Command::new("node");
    command.env_remove("NODE_OPTIONS");
    command
}

fn run(mut command: Command, folder: &Path, arguments: &[&OsStr]) -> Result<(), String> {
    let shown = format!("{} {}", command.get_program().to_string_lossy(), arguments[0].to_string_lossy());
    let output =
        command.args(arguments).current_dir(folder).output().map_err(|e| format!("cannot run `{shown}`: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = said.lines().rev().take(12).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(format!("`{shown}` failed ({}):\n{}", output.status, tail.join("\n")))
}

/// Stops the build with each line as a cargo error.
fn fail(problem: &str) {
    let lines = problem.lines().chain(["The web pages were not built. Ways out:"]).chain(WAYS_OUT);
    for line in lines {
        println!("cargo::error={line}");
    }
}
