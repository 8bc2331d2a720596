//! What kapok asks of the kernel, as strace sees it.

#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "no fiber runs in this process")]

#[expect(dead_code, reason = "each test uses a part of it")]
#[path = "support/programs.rs"]
mod programs;
#[path = "support/watchdog.rs"]
mod watchdog;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use programs::{Example, example_path, run};
use watchdog::Watchdog;

const EXCHANGES: usize = 200;

/// A timer is pending here: each connection has an idle timeout.
#[test]
fn a_request_costs_three_calls_with_a_timer_pending() {
    let request = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer_end = b"Hello, World!";
    assert_three_calls("hello_http", request, answer_end);
}

#[test]
fn an_echo_costs_three_calls_without_a_timer() {
    assert_three_calls("echo", b"hello", b"hello");
}

/// One wait, one read and one write for each of many exchanges on one connection.
fn assert_three_calls(example: &str, message: &[u8], answer_end: &[u8]) {
    let _watchdog = Watchdog::new("three calls");
    let mut server = Traced::start(example);
    let mut stream = TcpStream::connect(server.example.address).unwrap();
    for _ in 0..EXCHANGES {
        server.until_it_waits();
        stream.write_all(message).unwrap();
        let (mut buffer, mut length) = ([0; 1024], 0);
        while !buffer[..length].ends_with(answer_end) {
            length += stream.read(&mut buffer[length..]).unwrap();
        }
    }
    server.end();
    let is_answer = |line: &String| line.contains(" sendto(");
    let mut lines = server.trace.lines();
    // The first exchanges make what the later ones use.
    let warm = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is_answer(line))
        .nth(10);
    lines.drain(..warm.expect("there are more").0);
    lines.truncate(lines.iter().rposition(is_answer).expect("there are more"));
    let answers = lines.iter().filter(|line| is_answer(line)).count();
    // A call that is interrupted by another thread's takes a second line when it resumes.
    let calls = lines
        .iter()
        .filter(|line| !line.contains(" resumed>"))
        .count();
    assert_eq!(
        (answers, calls),
        (EXCHANGES - 11, 3 * (EXCHANGES - 11)),
        "{lines:#?}"
    );
    // A wait with a timeout costs the system two readings of its clock more.
    let timed = lines.iter().filter(|line| line.contains("tv_sec=")).count();
    assert_eq!(timed, 0, "{lines:#?}");
    // A process that is stopped before it has set its timer must not be late by that.
    let set = |line: &String| line.contains(" timerfd_settime(");
    let lines = server.trace.lines();
    let settings: Vec<_> = lines.iter().filter(|line| set(line)).collect();
    assert_eq!(settings.len(), usize::from(example == "hello_http"));
    let is_absolute = |line: &&String| line.contains("TFD_TIMER_ABSTIME");
    assert!(settings.iter().all(is_absolute), "{settings:#?}");
}

/// A timer that ends waits is one descriptor more, and waits with timeouts do as well.
#[test]
fn timeouts_need_no_descriptor_of_their_own() {
    let _watchdog = Watchdog::new("no timerfd");
    let mut server = Traced::start_with("hello_http", |strace| {
        strace.args(["-e", "inject=timerfd_create:error=EMFILE"]);
    });
    let mut stream = TcpStream::connect(server.example.address).unwrap();
    for _ in 0..5 {
        server.until_it_waits();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        assert_ne!(stream.read(&mut [0; 1024]).unwrap(), 0);
    }
    server.end();
    let calls = server.trace.lines();
    let with_timeout = |line: &String| line.contains(" epoll_pwait2(") && line.contains("{tv_sec=");
    let timed = calls.iter().filter(|line| with_timeout(line)).count();
    assert!(timed > 1, "{calls:#?}");
    let asked = calls
        .iter()
        .filter(|line| line.contains(" timerfd_create("));
    assert_eq!(asked.count(), 1, "{calls:#?}");
}

fn is_wait(call: &str) -> bool {
    let number = call
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    matches!(number, Some(libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2))
}

/// Linux before 5.11 does not know the call, and some sandboxes forbid it.
#[test]
fn fibers_sleep_where_the_kernel_has_no_nanosecond_timeouts() {
    let _watchdog = Watchdog::new("no epoll_pwait2");
    let example = example_path("fibers_from_main");
    for error in ["ENOSYS", "EPERM"] {
        let trace = TraceFile::new(error);
        let inject = format!("inject=epoll_pwait2:error={error}");
        let (file, program) = (trace.0.to_string_lossy(), example.to_string_lossy());
        let strace = ["strace", "-f", "-e", &inject, "-o", &file, &program];
        let output = run("env", &[&["-u", "KAPOK_DRIVER"], &strace[..]].concat());
        assert!(output.contains("add up to 500500"), "{output}");
        assert!(output.contains("timeout of 20 ms: Err"), "{output}");
        let calls = trace.lines();
        let of = |name: &str| calls.iter().filter(|line| line.contains(name)).count();
        assert_eq!(of(" epoll_pwait2("), 1, "asked once: {calls:#?}");
        assert!(of(" epoll_pwait(") > 1, "{calls:#?}");
    }
}

/// The connection stays in the system's queue, and no new event tells of it.
#[test]
fn an_accept_that_wants_for_something_is_tried_again_and_told_once() {
    for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
        let told = serve_after_a_failed_accept(error);
        assert_eq!(told.matches("cannot accept").count(), 1, "{error}: {told}");
    }
}

#[test]
fn an_accept_that_a_peer_made_fail_is_passed_over() {
    for error in [
        "ECONNABORTED",
        "EPROTO",
        "ENETDOWN",
        "EHOSTUNREACH",
        "EINTR",
    ] {
        assert_eq!(serve_after_a_failed_accept(error), "", "{error}");
    }
}

/// Lets the first accept of a connection fail, has that connection served, and returns what the server printed as errors.
fn serve_after_a_failed_accept(error: &str) -> String {
    let _watchdog = Watchdog::new("failed accept");
    let errors = TraceFile::new(&format!("{error}-errors"));
    // The first call of all finds nobody.
    let inject = format!("inject=accept4:error={error}:when=2");
    let mut server = Traced::start_with("echo", |strace| {
        let file = std::fs::File::create(&errors.0).unwrap();
        strace.args(["-e", &inject]).stderr(file);
    });
    let mut stream = TcpStream::connect(server.example.address).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    server.end();
    let calls = server.trace.lines();
    assert!(
        calls.iter().any(|line| line.contains("(INJECTED)")),
        "{error}: {calls:#?}"
    );
    errors.lines().concat()
}

/// An example under strace, ended when dropped.
struct Traced {
    example: Example,
    trace: TraceFile,
}

impl Traced {
    fn start(name: &str) -> Self {
        Self::start_with(name, |_| ())
    }

    fn start_with(name: &str, configure: impl FnOnce(&mut Command)) -> Self {
        let trace = TraceFile::new(name);
        let mut strace = Command::new("strace");
        strace.env_remove("KAPOK_DRIVER");
        configure(&mut strace);
        strace
            .args(["-f", "-o"])
            .arg(&trace.0)
            .arg(example_path(name));
        let example = Example::start_by(strace, name, &["--hubs", "1"]);
        Self { example, trace }
    }

    /// A server that finds the next message there when it has sent an answer need not wait.
    fn until_it_waits(&self) {
        let call = PathBuf::from(format!("/proc/{}/syscall", self.process()));
        while !is_wait(&std::fs::read_to_string(&call).unwrap()) {
            std::thread::yield_now();
        }
    }

    /// Each line of a trace begins with the process it is of.
    fn process(&self) -> String {
        let first = self.trace.lines().swap_remove(0);
        first
            .split(' ')
            .next()
            .expect("a line has words")
            .to_owned()
    }

    /// Ends the example. strace ends after it, when it has written everything.
    fn end(&mut self) {
        let _ = Command::new("kill")
            .arg(self.process())
            .stderr(Stdio::null())
            .status();
        let _ = self.example.process.wait();
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // A tracer that is killed would leave what it traces behind.
        self.end();
    }
}

/// A file that is removed in the end.
struct TraceFile(PathBuf);

impl TraceFile {
    fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kapok-{name}-{}-{number}.strace", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for TraceFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
