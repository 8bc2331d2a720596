//! The examples that end by themselves: each says what it shows, and does. Servers among them end by Ctrl-C.

#![expect(clippy::disallowed_methods, reason = "no fiber runs in this process")]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/watchdog.rs"]
mod watchdog;

use std::io::{Read, Write};
use std::net::TcpStream;

use programs::Example;
use watchdog::Watchdog;

/// Runs an example to its end and looks for these in what it prints, in this order.
fn assert_prints(example: &str, expected: &[&str]) {
    let _watchdog = Watchdog::new("an example");
    let path = programs::example_path(example);
    let printed = programs::run(path.to_str().unwrap(), &[]);
    let mut rest = printed.as_str();
    for text in expected {
        let Some((_, after)) = rest.split_once(text) else {
            panic!("{example} lacks {text:?} after what came before it:\n{printed}");
        };
        rest = after;
    }
}

#[test]
fn cancellation_cleans_up_and_loses_no_job() {
    assert_prints(
        "cancellation",
        &[
            "job 1 is done",
            "job 2 is done",
            "the worker: cleaned up",
            "join says: it was cancelled",
            "left for the next: [3, 4]",
            "child: cleaned up",
            "child: cleaned up",
            "the parent: cleaned up",
            "the section: Err(TimedOut)",
            "the fiber that waited for it: Err(TimedOut)",
            "the thread has seen the flag",
        ],
    );
}

#[test]
fn fibers_from_main_add_up() {
    assert_prints(
        "fibers_from_main",
        &["1000 fibers slept", "add up to 500500", "Err(TimedOut)"],
    );
}

#[test]
fn sharing_counts_right() {
    assert_prints(
        "sharing",
        &[
            "ann has 300 and bob 1700",
            "10 fibers got their value by 1 look-up",
            "2 hubs counted 100 together",
        ],
    );
}

#[test]
fn threads_and_hubs_work_together_and_stop() {
    assert_prints(
        "threads",
        &[
            "by two hubs: 333833500",
            "by a thread: 2262",
            "a fiber on kapok-hub-",
            "stopped by the time",
            "the producer ended with Ok(())",
        ],
    );
}

#[test]
fn timeouts_end_two_attempts_and_the_fourth_succeeds() {
    assert_prints(
        "timeouts",
        &[
            "attempt 1: the section took longer than its timeout",
            "attempt 2: the section took longer than its timeout",
            "attempt 3: the server is not ready",
            "got \"some bytes\"",
            "no message within 20 ms",
        ],
    );
}

#[test]
fn ctrl_c_ends_the_servers_and_their_connections() {
    let _watchdog = Watchdog::new("servers that end");
    let servers: [(&str, &[&str]); 3] = [
        ("echo", &["--hubs", "1"]),
        ("echo", &["--hubs", "2"]),
        ("own_protocol", &[]),
    ];
    for (name, arguments) in servers {
        let mut server = Example::start(name, arguments);
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(b"kapok\n").unwrap();
        // Whoever is served is late enough: the signal is an event by now.
        stream.read_exact(&mut [0; 5]).unwrap();
        let id = server.id().to_string();
        programs::run("kill", &["-INT", &id]);
        let status = server.process.wait().unwrap();
        assert!(status.success(), "{name} {arguments:?}: {status}");
        // The end or a reset, as the system likes.
        let _ = stream.read_to_end(&mut Vec::new());
    }
}
