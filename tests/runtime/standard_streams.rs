//! The standard streams, of programs that have pipes, files and terminals for them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Child, Command, Output, Stdio};

use crate::support::Watchdog;

fn program(case: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_standard_streams"));
    command.arg(case);
    command
}

fn piped(case: &str) -> Child {
    program(case)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a case with this input.
#[track_caller]
fn run(case: &'static str, input: &[u8]) -> Output {
    let _watchdog = Watchdog::new(case);
    let mut child = piped(case);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[test]
fn lines_are_read_from_a_pipe() {
    let output = run("numbered", b"one\n\nthree");
    assert_eq!(output.stdout, b"0: one\n1: \n2: three\n");
    assert_eq!(output.stderr, b"the end\n");
}

#[test]
fn lines_are_read_from_a_file_and_from_nothing() {
    let _watchdog = Watchdog::new("file");
    let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let output = program("numbered").stdin(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(": [workspace]\n"), "{text}");
    let output = program("numbered").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.stdout, b"");
}

#[test]
fn ten_megabytes_are_copied_intact() {
    let input: Vec<u8> = (0..10_u32 << 18).flat_map(u32::to_le_bytes).collect();
    assert!(run("copy", &input).stdout == input);
}

#[test]
fn what_was_written_last_comes_without_a_flush() {
    assert_eq!(run("unfinished", b"").stdout, b"no line feed");
}

#[test]
fn fibers_take_turns_and_leave_the_rest_to_the_next() {
    let output = run("turns", b"a line\nb line\nno \xff text\nlimited\nrest\n");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "a line\nb line\nlimi|ted\nrest\n"
    );
}

#[test]
fn a_cancelled_reader_loses_no_input() {
    let _watchdog = Watchdog::new("cancelled");
    let mut child = piped("cancelled");
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(line(), "ready\n");
    stdin.write_all(b"half of ").unwrap();
    assert_eq!(line(), "given up\n");
    stdin.write_all(b"a line\nnext").unwrap();
    drop(stdin);
    assert_eq!(line(), "half of a line\n");
    assert_eq!(line(), "next");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_of_everything_that_is_cancelled_loses_no_input() {
    let _watchdog = Watchdog::new("all");
    let mut child = piped("all");
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdin.write_all(b"first\n").unwrap();
    let mut text = String::new();
    stdout.read_line(&mut text).unwrap();
    assert_eq!(text, "given up\n");
    stdin.write_all(b"second\n").unwrap();
    drop(stdin);
    text.clear();
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(text, "first\nsecond\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_hub_goes_on_while_nothing_comes() {
    let _watchdog = Watchdog::new("ticking");
    let mut child = piped("ticking");
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ticked 20\n");
    child.stdin.take().unwrap().write_all(b"at last\n").unwrap();
    line.clear();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "at last\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_hub_goes_on_while_nobody_takes_the_output() {
    let _watchdog = Watchdog::new("stuck");
    let mut child = piped("stuck");
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "still here\n");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout == [b'x'; 1 << 20]);
}

#[test]
fn a_write_that_took_a_part_returns_how_much() {
    let _watchdog = Watchdog::new("nonblocking");
    let mut child = piped("nonblocking");
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "refused\n");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let written: String = (0..50_000).map(|number| format!("{number}\n")).collect();
    assert!(output.stdout == written.as_bytes());
}

#[test]
fn what_is_written_through_a_lock_comes_in_one_piece() {
    let text = String::from_utf8(run("locked", b"").stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 13);
    for number in 0..4 {
        let piece = [0, 1, 2].map(|line| format!("{number} {line}"));
        assert!(lines.windows(3).any(|lines| lines == piece), "{text}");
    }
    // It came while the first had the lock and the others waited.
    assert_eq!(lines[12], "no lock", "{text}");
}

#[test]
fn a_cancelled_writers_lock_is_held_until_its_write_is_done() {
    let _watchdog = Watchdog::new("cancelled lock");
    let mut child = piped("cancelled_lock");
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "given up\n");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let written = output.stdout.strip_suffix(b"next\n").unwrap();
    assert!(written.iter().all(|byte| *byte == b'x'));
    // Whole pieces, as many as were begun.
    assert_eq!(written.len() % (64 * 1024), 0);
}

/// A new pseudo terminal: the side of the one who types, and the program's.
fn pseudo_terminal() -> (File, OwnedFd) {
    let (mut typist, mut program) = (-1, -1);
    // SAFETY: the first two are written to, the others may be null.
    let made = unsafe {
        libc::openpty(
            &raw mut typist,
            &raw mut program,
            std::ptr::null_mut(),
            std::ptr::null(),
            std::ptr::null(),
        )
    };
    assert_eq!(made, 0, "{}", io::Error::last_os_error());
    // SAFETY: the call has opened it, and nobody else has it.
    let typist = unsafe { File::from_raw_fd(typist) };
    // SAFETY: as above.
    let program = unsafe { OwnedFd::from_raw_fd(program) };
    (typist, program)
}

#[test]
fn a_terminal_is_read_and_keeps_its_mode() {
    let _watchdog = Watchdog::new("terminal");
    let (mut typist, terminal) = pseudo_terminal();
    let mut child = program("mode")
        .stdin(terminal)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    typist.write_all(b"typed\n").unwrap();
    let mut text = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(text, "typed\nterminal: true, non-blocking: false\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_terminals_end_of_input_ends_the_lines() {
    let _watchdog = Watchdog::new("end of input");
    let (mut typist, terminal) = pseudo_terminal();
    let child = program("numbered")
        .stdin(terminal)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Control-D at the start of a line.
    typist.write_all(b"first\nsecond\n\x04").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"0: first\n1: second\n");
}
