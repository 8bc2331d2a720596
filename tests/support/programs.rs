//! Starting the examples as processes of their own, and the tools that drive them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// A running example, killed when dropped.
pub struct Example {
    pub process: Child,
    pub address: SocketAddr,
}

impl Example {
    /// Starts an example that serves an address of the system's choice and prints it in its first line.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_by(Command::new(example_path(name)), name, arguments)
    }

    /// The same with a command that starts the example, such as a tracer; it is given the example's arguments last.
    pub fn start_by(mut command: Command, name: &str, arguments: &[&str]) -> Self {
        let mut process = command
            .arg("127.0.0.1:0")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line
            .split([' ', ';', '\n'])
            .find_map(|word| word.parse().ok());
        let Some(address) = address else {
            let _ = process.kill();
            panic!("{name} printed no address: {line:?}");
        };
        Self { process, address }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Cargo builds the examples beside the tests.
pub fn example_path(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    profile.join("examples").join(name)
}

/// Runs a tool to its end and returns what it printed; it must succeed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs what is missing"));
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(
        status.success(),
        "{program} {arguments:?}: {status}\n{stdout}\n{stderr}"
    );
    stdout.into_owned()
}
