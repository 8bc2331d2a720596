//! The three servers, as processes of their own.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::programs::{Example, run};

pub const KAPOK: &str = "kapok";
pub const NODE: &str = "node";
pub const GO: &str = "Go";

/// Starts kapok's server for tests.
pub fn start_kapok() -> Example {
    Example::start_by(
        Command::new(env!("CARGO_BIN_EXE_http_server")),
        "http_server",
        &[],
    )
}

/// Starts node's server.
pub fn start_node() -> Example {
    let mut command = Command::new("node");
    // A reference ends with its standard input, so that none is left behind when the test is killed.
    command.arg(source("reference.mjs")).stdin(Stdio::piped());
    Example::start_by(command, NODE, &[])
}

/// Returns the first number of node's version.
pub fn node_version() -> u32 {
    let version = run("node", &["--version"]);
    let major = version.trim_start_matches('v').split('.').next();
    major
        .and_then(|major| major.parse().ok())
        .unwrap_or_else(|| panic!("node has an odd version: {version}"))
}

/// Builds Go's server and starts it. `go run` would leave it behind: what is killed then is not the server.
pub fn start_go() -> Example {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("http_differential_go");
    let program = program
        .to_str()
        .expect("the target folder has a plain name");
    run("go", &["build", "-o", program, &source("reference.go")]);
    let mut command = Command::new(program);
    command.stdin(Stdio::piped());
    Example::start_by(command, GO, &[])
}

fn source(file: &str) -> String {
    format!(
        "{}/tests/http_differential/{file}",
        env!("CARGO_MANIFEST_DIR")
    )
}
