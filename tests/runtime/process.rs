//! Child processes: their ends, their pipes, their limits.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kapok::process::{Child, Command, CommunicateError, CommunicateLimits, Stdio};
use kapok::signal::Signal;
use kapok::{JoinHandle, spawn, yield_now};

use crate::support::{Watchdog, on_a_hub, stop_ignoring_interrupts};

const SHORT: Duration = Duration::from_millis(20);
const LONG: &str = "1000";

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A child that ends only when it is told to.
fn sleeper() -> Child {
    stop_ignoring_interrupts();
    let mut command = Command::new("sleep");
    command.arg(LONG).kill_on_drop(true).spawn().unwrap()
}

/// A child that lives until it is killed, and a reader that sees its end.
fn watched_sleeper(command: &mut Command) -> (Child, BufReader<io::PipeReader>) {
    let (reader, writer) = io::pipe().unwrap();
    let child = command
        .args(["-c", "echo started; exec sleep 1000"])
        .stdout(writer)
        .spawn()
        .unwrap();
    // The command keeps its own end open until it is given another.
    command.stdout(Stdio::null());
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    (child, reader)
}

// Gruvi 28.
#[test]
fn an_exit_code_is_returned() {
    on_a_hub("exit code", || {
        for code in [0, 1, 77, 255] {
            let status = shell(&format!("exit {code}")).status().unwrap();
            assert_eq!(status.code(), Some(code));
        }
    });
}

#[test]
fn a_command_tells_what_it_was_given() {
    let mut command = Command::new("program");
    command.args(["one", "two"]).arg0("name").current_dir("/");
    command.env("SET", "value").env_remove("REMOVED");
    assert_eq!(command.get_program(), "program");
    let arguments: Vec<_> = command.get_args().collect();
    assert_eq!(arguments, ["one", "two"]);
    let variables: Vec<_> = command.get_envs().collect();
    let [removed, set] = ["REMOVED", "SET"].map(OsStr::new);
    let value = Some(OsStr::new("value"));
    assert_eq!(variables, [(removed, None), (set, value)]);
    assert_eq!(command.get_current_dir(), Some(Path::new("/")));
    assert_eq!(Command::new("other").get_current_dir(), None);
}

#[test]
fn a_program_that_is_missing_is_an_error_of_spawn() {
    on_a_hub("missing", || {
        let error = Command::new("kapok-has-no-such-program").spawn();
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    });
}

// Gruvi 28.
#[test]
fn a_child_that_is_ended_by_a_signal_says_by_which() {
    on_a_hub("signals", || {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
            let mut child = sleeper();
            child.signal(signal).unwrap();
            let status = child.wait().unwrap();
            assert_eq!(status.signal(), Some(signal.as_raw()));
            assert_eq!(status.code(), None);
        }
    });
}

// Gruvi 28.
#[test]
fn a_signal_reaches_all_of_a_childs_group_also_when_the_child_has_ended() {
    on_a_hub("group", || {
        for leader_ends in [false, true] {
            // The pipe ends when the child's own child has gone.
            let (mut reader, writer) = kapok::io::pipe().unwrap();
            let rest = if leader_ends { "" } else { "; wait" };
            let mut command = shell(&format!("sleep {LONG} & echo started{rest}"));
            command.process_group(0).stdout(writer.into_std().unwrap());
            let mut child = command.spawn().unwrap();
            command.stdout(Stdio::null());
            let mut line = [0; 8];
            reader.read_exact(&mut line).unwrap();
            assert_eq!(&line, b"started\n");
            if leader_ends {
                kapok::sync::wait(&[&child], 1);
            }
            child.signal_group(Signal::SIGTERM).unwrap();
            assert_eq!(reader.read(&mut line).unwrap(), 0);
            assert_eq!(child.wait().unwrap().success(), leader_ends);
            // Its number may be another's now.
            child.signal_group(Signal::SIGKILL).unwrap();
        }
    });
}

#[test]
fn a_child_without_a_group_of_its_own_takes_no_signal_for_one() {
    on_a_hub("no group", || {
        let mut child = sleeper();
        let error = child.signal_group(Signal::SIGKILL).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn what_is_sent_after_the_end_is_no_error() {
    on_a_hub("after the end", || {
        let mut child = Command::new("true").spawn().unwrap();
        assert!(child.wait().unwrap().success());
        child.kill().unwrap();
        child.signal(Signal::SIGTERM).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(child.try_wait().unwrap().unwrap().success());
    });
}

// Gruvi 28.
#[test]
fn a_wait_gives_up_after_its_timeout_and_can_be_taken_up_again() {
    on_a_hub("wait timeout", || {
        let mut child = sleeper();
        let start = Instant::now();
        assert_eq!(child.wait_timeout(SHORT).unwrap(), None);
        assert!(start.elapsed() >= SHORT);
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        let status = child.wait_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(status.unwrap().signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn a_cancelled_wait_leaves_the_child_to_be_waited_for() {
    on_a_hub("cancelled wait", || {
        let mut child = sleeper();
        let waited = kapok::timeout(SHORT, || child.wait());
        assert!(waited.is_err());
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn others_run_while_a_fiber_waits_for_a_child() {
    on_a_hub("others", || {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let waiting = spawn(move || child.wait().unwrap());
        for _ in 0..100 {
            kapok::yield_now();
        }
        assert!(!waiting.is_finished());
        drop(stdin);
        assert!(waiting.join().unwrap().success());
    });
}

#[test]
fn a_wait_closes_the_childs_input() {
    on_a_hub("closed input", || {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(child.stdin.is_none());
    });
}

// Gruvi 28.
#[test]
fn output_is_what_the_child_wrote_to_both_streams() {
    on_a_hub("output", || {
        let mut command = shell("echo out; echo err >&2; exit 3");
        // Twice: what `output` sets is not left behind.
        for _ in 0..2 {
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(3));
            assert_eq!(output.stdout, b"out\n");
            assert_eq!(output.stderr, b"err\n");
        }
        let output = command.stdout(Stdio::null()).output().unwrap();
        assert_eq!(output.stdout, b"");
        assert_eq!(output.stderr, b"err\n");
        // Without input.
        assert_eq!(Command::new("cat").output().unwrap().stdout, b"");
    });
}

// Gruvi 28.
#[test]
fn nothing_is_read_from_nor_written_to_null() {
    on_a_hub("null", || {
        let mut child = shell("cat; echo ignored; echo ignored >&2")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_file_is_a_childs_output() {
    on_a_hub("file", || {
        let name = format!("kapok-process-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = kapok::fs::File::create(&path).unwrap();
        let status = Command::new("echo").arg("hello").stdout(file).status();
        let text = kapok::fs::read(&path);
        kapok::fs::remove_file(&path).unwrap();
        assert!(status.unwrap().success());
        assert_eq!(text.unwrap(), b"hello\n");
    });
}

// Gruvi 28.
#[test]
fn a_child_has_the_directory_and_the_variables_it_was_given() {
    on_a_hub("environment", || {
        let output = shell("pwd; echo $KAPOK_TEST; echo $HOME; echo $0")
            .env_clear()
            .env("KAPOK_TEST", "a value")
            .envs([("PATH", "/usr/bin:/bin")])
            .arg("zero")
            .current_dir("/")
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"/\na value\n\nzero\n");
        let output = Command::new("sh")
            .arg0("renamed")
            .args(["-c", "cat /proc/$$/cmdline"])
            .output()
            .unwrap();
        assert!(output.stdout.starts_with(b"renamed\0"));
    });
}

#[test]
fn a_command_of_stds_is_taken_over() {
    on_a_hub("from std", || {
        let mut command = std::process::Command::new("cat");
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"from std").unwrap();
        drop(writer);
        command.stdin(reader);
        let mut command = Command::from(command);
        command.as_std_mut().arg("-");
        assert_eq!(command.output().unwrap().stdout, b"from std");
    });
}

// Gruvi 28.
#[test]
fn descriptors_stand_at_their_numbers_and_no_others_are_inherited() {
    on_a_hub("descriptors", || {
        let (three, mut write_three) = io::pipe().unwrap();
        let (nine, mut write_nine) = io::pipe().unwrap();
        write_three.write_all(b"three").unwrap();
        write_nine.write_all(b"nine").unwrap();
        drop((write_three, write_nine));
        // What this process was started with may be there anyway, and `ls` has one for the directory.
        let list = "exec ls /proc/self/fd";
        let others = shell(list).output().unwrap().stdout;
        let mut command = shell(&format!("cat <&3; cat <&9; echo; {list}"));
        (command.descriptor(&three, 3).unwrap())
            .descriptor(&nine, 9)
            .unwrap();
        drop((three, nine));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("threenine"));
        let numbers: Vec<&str> = lines.collect();
        assert!(numbers.contains(&"3") && numbers.contains(&"9"), "{text}");
        let others = String::from_utf8(others).unwrap();
        assert_eq!(numbers.len(), others.lines().count() + 2, "{text}");
        for number in [-1, 0, 2, 128] {
            let error = Command::new("true").descriptor(io::stdin(), number).err();
            let error = error.expect("such a number is refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&number.to_string()));
        }
    });
}

#[test]
fn a_missing_program_is_told_with_a_descriptor_at_every_low_number() {
    on_a_hub("descriptors and errors", || {
        let mut command = Command::new("kapok-has-no-such-program");
        let (reader, _writer) = io::pipe().unwrap();
        for number in 3..64 {
            command.descriptor(&reader, number).unwrap();
        }
        let error = command.spawn().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_missing_program_is_told_while_a_thread_opens_and_closes_files_at_the_numbers() {
    on_a_hub("descriptors and threads", || {
        let is_over = Arc::new(AtomicBool::new(false));
        let busy = std::thread::spawn({
            let is_over = Arc::clone(&is_over);
            move || {
                while !is_over.load(Ordering::Relaxed) {
                    drop([0; 3].map(|_| File::open("/dev/null").unwrap()));
                }
            }
        });
        let (mut reader, writer) = io::pipe().unwrap();
        for _ in 0..100 {
            let mut command = Command::new("kapok-has-no-such-program");
            for number in 3..64 {
                command.descriptor(&writer, number).unwrap();
            }
            let error = command.spawn().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
        is_over.store(true, Ordering::Relaxed);
        busy.join().unwrap();
        // Nor is what std tells its parent written there.
        drop(writer);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    });
}

/// Bytes in which a piece that is lost or moved is seen.
fn numbers(bytes: usize) -> Vec<u8> {
    (0..bytes as u32 / 4).flat_map(u32::to_le_bytes).collect()
}

// Gruvi 28.
#[test]
fn ten_megabytes_come_through_cat_intact() {
    const BYTES: usize = 10 << 20;
    on_a_hub("communicate", || {
        let input = numbers(BYTES);
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child
            .communicate(&input, &CommunicateLimits::new())
            .unwrap();
        assert!(output.status.success());
        assert!(output.stdout == input);

        // The same by a fiber each.
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let writer = spawn(move || stdin.write_all(&numbers(BYTES)).unwrap());
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).unwrap();
        writer.join().unwrap();
        assert!(bytes == input);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn both_outputs_are_read_at_once_and_to_the_end() {
    on_a_hub("both outputs", || {
        // Each is more than a pipe holds, and the tail comes last.
        let script =
            "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; echo tail >&2; echo tail";
        for _ in 0..20 {
            let output = shell(script).output().unwrap();
            assert_eq!(output.stdout.len(), 300_005);
            assert_eq!(output.stderr.len(), 300_005);
            assert!(output.stdout.ends_with(b"tail\n"));
            assert!(output.stderr.ends_with(b"tail\n"));
        }
    });
}

#[test]
fn a_child_that_wants_no_input_is_no_error() {
    on_a_hub("unwanted input", || {
        let mut child = shell("exec <&-; echo done")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = vec![0; 1 << 20];
        let output = child
            .communicate(&input, &CommunicateLimits::new())
            .unwrap();
        assert_eq!(output.stdout, b"done\n");
        assert!(output.status.success());
    });
}

// Gruvi 28.
#[test]
fn communicate_gives_up_after_its_timeout_with_what_came_before() {
    on_a_hub("communicate timeout", || {
        let mut child = shell("echo before; exec sleep 1000")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut before = Vec::new();
        // The machine may be slow: until the text is there.
        while before.is_empty() {
            let limits = CommunicateLimits::new().timeout(SHORT);
            match child.communicate(b"", &limits) {
                Err(CommunicateError::TimedOut { stdout, .. }) => before.extend(stdout),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(before, b"before\n");
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    });
}

/// Two that write without an end, and a fiber that keeps the hub busy so that there always is something to read.
fn flood() -> (Child, JoinHandle<()>) {
    let child = shell("yes & exec yes >&2")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let busy = spawn(|| {
        loop {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(2) {}
            yield_now();
        }
    });
    (child, busy)
}

#[test]
fn communicate_gives_up_after_its_timeout_while_output_keeps_coming() {
    on_a_hub("communicate flood", || {
        let (mut child, busy) = flood();
        let limits = CommunicateLimits::new()
            .timeout(SHORT)
            .output_bytes_max(1 << 24);
        assert!(matches!(
            child.communicate(b"", &limits),
            Err(CommunicateError::TimedOut { .. })
        ));
        busy.cancel();
    });
}

#[test]
fn communicate_is_cancelled_while_output_keeps_coming() {
    on_a_hub("cancelled flood", || {
        let (mut child, busy) = flood();
        let limits = CommunicateLimits::new().output_bytes_max(1 << 24);
        assert!(kapok::timeout(SHORT, || child.communicate(b"", &limits)).is_err());
        busy.cancel();
    });
}

#[test]
fn communicate_ends_at_its_limit_of_bytes() {
    on_a_hub("communicate limit", || {
        let mut child = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
        let limits = CommunicateLimits::new().output_bytes_max(100_001);
        let Err(error) = child.communicate(b"", &limits) else {
            panic!("`yes` has no end")
        };
        let CommunicateError::TooLong { stdout, stderr } = &error else {
            panic!("{error:?}")
        };
        assert_eq!((stdout.len(), stderr.len()), (100_001, 0));
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::FileTooLarge);
        child.kill().unwrap();
        child.wait().unwrap();

        // What is past the limit is still in the pipe.
        let mut child = Command::new("echo")
            .arg("12345")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let limits = CommunicateLimits::new().output_bytes_max(2);
        let Err(CommunicateError::TooLong { stdout, .. }) = child.communicate(b"", &limits) else {
            panic!("there is more")
        };
        assert_eq!(stdout, b"12");
        let mut rest = String::new();
        (child.stdout.take().unwrap())
            .read_to_string(&mut rest)
            .unwrap();
        assert_eq!(rest, "345\n");

        // As much as the limit is not too much.
        let mut child = Command::new("echo")
            .arg("12345")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let limits = CommunicateLimits::new().output_bytes_max(6);
        assert_eq!(child.communicate(b"", &limits).unwrap().stdout, b"12345\n");
    });
}

#[test]
fn pipes_have_timeouts() {
    on_a_hub("pipe timeouts", || {
        let mut child = Command::new("sleep")
            .arg(LONG)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.as_ref().unwrap();
        stdout.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(stdout.read_timeout(), Some(SHORT));
        let error = (&*stdout).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let stdin = child.stdin.as_ref().unwrap();
        stdin.set_write_timeout(Some(SHORT)).unwrap();
        let error = (&*stdin).write_all(&[0; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = stdin.set_write_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn one_childs_output_is_anothers_input() {
    on_a_hub("pipeline", || {
        let mut first = shell("head -c 1000000 /dev/zero")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = first.stdout.take().unwrap();
        let output = Command::new("wc").arg("-c").stdin(stdout).output().unwrap();
        assert_eq!(output.stdout.trim_ascii(), b"1000000");
        assert!(first.wait().unwrap().success());
    });
}

#[test]
fn a_pipe_goes_back_to_std_and_blocks_there() {
    on_a_hub("into std", || {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        stdout.set_read_timeout(Some(SHORT)).unwrap();
        // It is registered by now.
        assert!((&stdout).read(&mut [0]).is_err());
        let mut stdout = stdout.into_std().unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        stdin.write_all(b"back").unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
        assert_eq!(reader.join().unwrap(), "back");
    });
}

#[test]
fn a_hundred_children_are_waited_for_by_a_hundred_fibers() {
    on_a_hub("a hundred", || {
        let fibers: Vec<_> = (0..100)
            .map(|number| {
                spawn(move || {
                    let status = shell(&format!("read line; exit {number}"))
                        .stdin(Stdio::piped())
                        .spawn()
                        .unwrap()
                        .wait()
                        .unwrap();
                    status.code()
                })
            })
            .collect();
        for (number, fiber) in fibers.into_iter().enumerate() {
            assert_eq!(fiber.join().unwrap(), Some(number as i32));
        }
    });
}

#[test]
fn a_child_may_be_waited_for_on_another_hub() {
    let _watchdog = Watchdog::new("two hubs");
    // Both hubs have children at once, and swap them when they are registered.
    let (left, right) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let hub = |send: std::sync::mpsc::Sender<Child>, receive: std::sync::mpsc::Receiver<Child>| {
        std::thread::spawn(move || {
            kapok::run(move || {
                let mut child = sleeper();
                assert_eq!(child.wait_timeout(SHORT).unwrap(), None);
                send.send(child).unwrap();
                let mut other =
                    kapok::unblock(move || receive.recv_timeout(Duration::from_secs(30)))
                        .unwrap()
                        .unwrap();
                assert_eq!(other.wait_timeout(SHORT).unwrap(), None);
                other.kill().unwrap();
                assert_eq!(other.wait().unwrap().signal(), Some(libc::SIGKILL));
            });
        })
    };
    let first = hub(left.0, right.1);
    let second = hub(right.0, left.1);
    first.join().unwrap();
    second.join().unwrap();
}

#[test]
fn a_cancelled_fiber_takes_its_child_with_it_by_choice() {
    on_a_hub("kill on drop", || {
        let (child, mut reader) = watched_sleeper(Command::new("sh").kill_on_drop(true));
        let fiber = spawn(move || {
            let mut child = child;
            child.wait()
        });
        kapok::yield_now();
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is_cancelled());
        // The end of the stream is the child's end.
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
    });
}

#[test]
fn a_child_that_is_dropped_runs_on() {
    on_a_hub("runs on", || {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        drop(child);
        stdin.write_all(b"still here").unwrap();
        drop(stdin);
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        assert_eq!(text, "still here");
    });
}

#[test]
fn neither_zombies_nor_descriptors_are_left() {
    let _watchdog = Watchdog::new("leftovers");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_children"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(output.stdout, b"nothing is left\n", "{told}");
}
