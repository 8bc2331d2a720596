//! The HTTP server driven by programs that nobody here wrote: command-line tools, the clients of Python and Go, proxies, a
//! browser, and an attacker. Each test has a server of its own.
//!
//! What takes long runs only with `KAPOK_FULL=1`, which `tests/run --full` sets.

#![expect(clippy::disallowed_methods, reason = "no fiber runs in this process")]

#[allow(dead_code, reason = "no example is started here")]
#[path = "../support/programs.rs"]
mod programs;
#[path = "../support/watchdog.rs"]
mod watchdog;

mod browser;
mod curl;
mod go;
mod nc;
mod proxies;
mod python;
mod slow_peers;
mod wget;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use programs::{Example, run};
use watchdog::Watchdog;

/// Starts the server that has a path for each thing a server can do: tests/programs/http_server.rs.
fn http_server(arguments: &[&str]) -> Example {
    let program = env!("CARGO_BIN_EXE_http_server");
    Example::start_by(ending_with_us(program), "http_server", arguments)
}

/// A command that the system ends when the test's thread has ended, also if a watchdog has aborted the process.
fn ending_with_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

/// Returns the path of a client's source in this folder.
fn source(name: &str) -> String {
    format!("{}/tests/http_clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns whether tests that take long are wanted; says so if not.
fn is_full(name: &str) -> bool {
    let is_full = std::env::var_os("KAPOK_FULL").is_some();
    if !is_full {
        println!("{name} is left out without KAPOK_FULL=1");
    }
    is_full
}

/// A temporary folder, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kapok-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and returns its path.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.file(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// So many bytes without a pattern that a mistake could keep: all values, and no period that divides a buffer.
fn varied_bytes(count: usize) -> Vec<u8> {
    let step = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    };
    std::iter::repeat(())
        .scan(1, |state, ()| step(state))
        .take(count)
        .collect()
}
