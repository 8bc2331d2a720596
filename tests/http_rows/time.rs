//! Rows 42 and 72 with real waiting: peers over TCP that send too slowly or not at all.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok::http::{BodyError, Config, Request, Server};
use kapok::net::{TcpListener, TcpStream};
use kapok::{sleep, spawn};

use crate::watchdog::Watchdog;

/// How patient the server is with anything.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a slow peer waits between two bytes: each of them comes in time, all of them do not.
const PAUSE: Duration = Duration::from_millis(20);

/// What came of a slow peer.
struct Outcome {
    answer: String,
    took: Duration,
    /// What the handler saw of each body.
    seen: Vec<String>,
}

/// Sends `start` and then nothing, or the same byte again and again, until the server ends the connection.
fn serve_slow_peer(start: &'static str, drip: Option<u8>) -> Outcome {
    let _watchdog = Watchdog::new("a slow peer");
    kapok::run(move || {
        let config = Config::new()
            .idle_timeout(PATIENCE)
            .head_timeout(PATIENCE)
            .body_timeout(PATIENCE)
            .drain_timeout(PATIENCE)
            .body_bytes_max(u64::MAX);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let handler = {
            let seen = Rc::clone(&seen);
            move |request: &mut Request<'_>| -> Result<String, BodyError> {
                let body = request.read_body().map(<[u8]>::len);
                seen.borrow_mut().push(format!("{body:?}"));
                body.map(|length| length.to_string())
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(spawn(move || {
            Server::new().config(config).serve(listener, handler)
        }));
        let start_time = Instant::now();
        let stream = Rc::new(TcpStream::connect(address).unwrap());
        (&*stream).write_all(start.as_bytes()).unwrap();
        let dripping = drip.map(|byte| {
            let stream = Rc::clone(&stream);
            spawn(move || {
                while (&*stream).write_all(&[byte]).is_ok() {
                    sleep(PAUSE);
                }
            })
        });
        let mut answer = String::new();
        (&*stream)
            .read_to_string(&mut answer)
            .expect("an end, not a reset");
        let took = start_time.elapsed();
        stream.close();
        if let Some(dripping) = dripping {
            dripping.join().unwrap();
        }
        Outcome {
            answer,
            took,
            seen: seen.take(),
        }
    })
}

#[track_caller]
fn check_timed_out(outcome: &Outcome) {
    let answer = &outcome.answer;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert!(outcome.took >= PATIENCE, "after {:?}", outcome.took);
}

#[test]
fn a_peer_that_says_nothing_gets_no_answer() {
    let outcome = serve_slow_peer("", None);
    assert_eq!(outcome.answer, "");
    assert!(outcome.took >= PATIENCE, "after {:?}", outcome.took);
}

#[test]
fn a_peer_that_falls_silent_between_requests_gets_no_further_answer() {
    let outcome = serve_slow_peer("GET / HTTP/1.1\r\nHost: a\r\n\r\n", None);
    assert!(
        outcome.answer.starts_with("HTTP/1.1 200 "),
        "{}",
        outcome.answer
    );
    assert_eq!(
        outcome.answer.matches("HTTP/1.1").count(),
        1,
        "{}",
        outcome.answer
    );
    assert!(outcome.took >= PATIENCE, "after {:?}", outcome.took);
}

#[test]
fn half_a_head_is_waited_for_so_long() {
    let outcome = serve_slow_peer("GET / HTTP/1.1\r\nHost: a\r\nX: ", None);
    check_timed_out(&outcome);
    assert!(outcome.seen.is_empty());
}

#[test]
fn a_head_that_drips_in_is_waited_for_no_longer() {
    let outcome = serve_slow_peer("GET / HTTP/1.1\r\nHost: a\r\nX: ", Some(b'x'));
    check_timed_out(&outcome);
    assert!(outcome.seen.is_empty());
}

#[test]
fn a_body_that_does_not_come_is_waited_for_so_long() {
    let outcome = serve_slow_peer(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n",
        None,
    );
    check_timed_out(&outcome);
    assert_eq!(outcome.seen.len(), 1);
    assert!(outcome.seen[0].starts_with("Err("), "{}", outcome.seen[0]);
}

#[test]
fn a_body_that_drips_in_is_waited_for_no_longer() {
    for head in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
    ] {
        let outcome = serve_slow_peer(head, Some(b'x'));
        check_timed_out(&outcome);
        assert_eq!(outcome.seen.len(), 1);
        assert!(outcome.seen[0].starts_with("Err("), "{}", outcome.seen[0]);
    }
}
