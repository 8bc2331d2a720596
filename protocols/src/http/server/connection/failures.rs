//! Handlers, readers and observers that fail: what the peer gets then, and what the observer is told.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::SystemTime;

use ::http::StatusCode;

use crate::http::server::testing::{Peer, serve, serve_observed};
use crate::http::server::{Answered, Observer};
use crate::http::{AccessLog, Body, Config, ConnectionEnd, Request, Response, ServeError};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

type Answers = fn(&mut Request<'_>) -> Response;

/// Reads nothing, and panics when it is dropped.
struct PanicsAtTheEnd;

impl Read for PanicsAtTheEnd {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Drop for PanicsAtTheEnd {
    fn drop(&mut self) {
        panic!("a destructor that panics");
    }
}

#[test]
fn a_destructor_that_panics_adds_no_second_answer() {
    let handler = |_: &mut Request<'_>| Response::bytes(Body::sized_reader(PanicsAtTheEnd, 0));
    let mut peer = Peer::new([GET]);
    let end = serve(&mut peer, &handler).expect("served");
    assert_eq!(end, ConnectionEnd::Panicked);
    assert_eq!(peer.statuses(), ["500"]);
}

#[derive(Default)]
struct Log {
    answers: Mutex<Vec<(u16, u64, u64, SystemTime)>>,
    errors: Mutex<Vec<Option<String>>>,
    wholes: Mutex<Vec<bool>>,
    panics: bool,
}

impl Observer for Log {
    fn answered(&self, answered: &Answered<'_>) {
        assert!(!self.panics, "an observer that panics");
        let entry = (
            answered.status().as_u16(),
            answered.received(),
            answered.sent(),
            answered.time(),
        );
        self.answers.lock().expect("not poisoned").push(entry);
        let error = answered.error().map(ToString::to_string);
        self.errors.lock().expect("not poisoned").push(error);
        let mut wholes = self.wholes.lock().expect("not poisoned");
        wholes.push(answered.is_whole());
    }
}

#[test]
fn an_observer_that_panics_adds_no_second_answer() {
    let log = Log {
        panics: true,
        ..Log::default()
    };
    let mut peer = Peer::new([GET]);
    let end = catch_unwind(AssertUnwindSafe(|| {
        serve_observed(&mut peer, &Config::new(), Some(&log), &|_: &mut Request<
            '_,
        >| {
            StatusCode::OK
        })
    }));
    assert_eq!(peer.statuses(), ["200"], "{end:?}");
}

#[test]
fn an_observer_is_told_what_the_handler_read_and_answered() {
    let handler = |request: &mut Request<'_>| match request.upgrades().next() {
        Some(_) => Response::switch("a", drop),
        None => Response::not_found(),
    };
    let log = Log::default();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n";
    let mut peer = Peer::new([post.to_owned() + upgrade]);
    serve_observed(&mut peer, &Config::new(), Some(&log), &handler).expect("served");
    let told: Vec<_> = log
        .answers
        .into_inner()
        .expect("whole")
        .iter()
        .map(|entry| (entry.0, entry.1, entry.2))
        .collect();
    assert_eq!(told, [(404, 0, 9), (101, 0, 0)]);
}

/// Gives `left` bytes and then an error.
struct Fails {
    left: usize,
}

impl Read for Fails {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.left.min(buffer.len());
        self.left -= count;
        match count {
            0 => Err(io::Error::other("a reader that fails")),
            _ => Ok(count),
        }
    }
}

#[test]
fn answers_before_one_that_breaks_off_are_sent() {
    let handlers: [Answers; 3] = [
        |_| Response::bytes(Body::from_reader(Fails { left: 1 })),
        |request| {
            let (_, mut writer) = request.start_response(Response::html("")).expect("started");
            writer.write_all(b"half").expect("written");
            Response::text("never")
        },
        |request| {
            let (_, mut writer) = request.start_response(Response::html("")).expect("started");
            writer.write_all(b"half").expect("written");
            panic!("a handler that panics");
        },
    ];
    for handler in handlers {
        let first_then = |request: &mut Request<'_>| match request.path() {
            "/" => Response::text("first"),
            _ => handler(request),
        };
        let mut peer = Peer::new([GET.to_owned() + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"]);
        serve(&mut peer, &first_then).expect_err("broken off");
        assert!(peer.received().contains("first"), "{:?}", peer.received());
        assert_eq!(peer.statuses(), ["200", "200"]);
    }
}

/// A handler that fails before any of its answer is written, and what the peer gets and the observer is told in the place of that.
#[test]
fn an_answer_of_which_nothing_is_written_is_taken_back() {
    type Case = (Answers, &'static str, Option<&'static str>);
    fn start(request: &mut Request<'_>) {
        drop(request.start_response(Response::html("")).expect("started"));
    }
    let fails = Some("a reader that fails");
    let cases: [Case; 8] = [
        (
            |_| Response::bytes(Body::from_reader(Fails { left: 0 })),
            "500",
            fails,
        ),
        (
            |_| Response::bytes(Body::sized_reader(Fails { left: 0 }, 9)),
            "500",
            fails,
        ),
        (
            |_| Response::bytes(Body::sized_reader(io::empty(), 9)),
            "500",
            Some("the body is 9 bytes shorter than its Content-Length"),
        ),
        // Nothing is read of it, so nothing can fail.
        (
            |_| Response::bytes(Body::sized_reader(Fails { left: 0 }, 0)),
            "200",
            None,
        ),
        (
            |request| {
                start(request);
                Response::text("another").with_status(StatusCode::ACCEPTED)
            },
            "202",
            None,
        ),
        (
            |request| {
                start(request);
                io::Error::other("after the head").into()
            },
            "500",
            Some("after the head"),
        ),
        (
            |request| {
                let (_, writer) = request.start_response(Response::html("")).expect("started");
                drop(writer.finish());
                Response::text("another").with_status(StatusCode::ACCEPTED)
            },
            "202",
            None,
        ),
        (
            |request| {
                start(request);
                Response::bytes(Body::from_reader(&b"another"[..]))
            },
            "200",
            None,
        ),
    ];
    for (index, (handler, status, error)) in cases.into_iter().enumerate() {
        let between = |request: &mut Request<'_>| match request.path() {
            "/" => Response::html("around"),
            _ => handler(request),
        };
        let log = Log::default();
        let requests = GET.to_owned() + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n" + GET;
        let mut peer = Peer::new([requests]);
        let end = serve_observed(&mut peer, &Config::new(), Some(&log), &between);
        assert_eq!(end.expect("served"), ConnectionEnd::PeerClosed, "{index}");
        let received = peer.received();
        assert_eq!(
            peer.statuses(),
            ["200", status, "200"],
            "{index}: {received}"
        );
        assert_eq!(received.matches("around").count(), 2, "{received}");
        assert!(received.ends_with("around"), "{received}");
        let told = log.errors.into_inner().expect("whole");
        assert_eq!(told, [None, error.map(str::to_owned), None], "{index}");
    }
    // A panic comes to the same, and ends the connection.
    let handler = |request: &mut Request<'_>| -> Response {
        start(request);
        panic!("a handler that panics")
    };
    let mut peer = Peer::new([GET]);
    assert_eq!(
        serve(&mut peer, &handler).expect("served"),
        ConnectionEnd::Panicked
    );
    assert_eq!(peer.statuses(), ["500"]);
}

#[test]
fn an_observer_is_told_why_there_is_no_right_answer() {
    let cases: [(Answers, &str); 6] = [
        (
            |_| Response::internal_error("its own").with_status(StatusCode::PROCESSING),
            "its own",
        ),
        (|_| io::Error::other("of a stream").into(), "of a stream"),
        (
            |_| {
                Response::internal_error("in words")
                    .with_status(StatusCode::BAD_GATEWAY)
                    .with_body("else")
            },
            "in words",
        ),
        (
            |_| Response::switch("a", drop),
            "the request does not offer this switch",
        ),
        (
            |_| Response::new(StatusCode::PROCESSING),
            "an informational response is no answer",
        ),
        (
            |request| {
                let (_, mut writer) = request.start_response(Response::html("")).expect("started");
                writer.write_all(b"half").expect("written");
                Response::text("never")
            },
            "the handler did not finish the response it had started",
        ),
    ];
    for (handler, error) in cases {
        let log = Log::default();
        let mut peer = Peer::new([GET]);
        let _ = serve_observed(&mut peer, &Config::new(), Some(&log), &handler);
        let told = log.errors.into_inner().expect("whole");
        assert_eq!(told, [Some(error.to_owned())]);
        assert!(!peer.received().contains(error), "{}", peer.received());
    }
}

/// A part of it may have gone out.
#[test]
fn an_answer_whose_first_write_failed_is_not_taken_back() {
    let handlers: [Answers; 2] = [
        |request| {
            let started = request.start_response(Response::html(""));
            let (_, mut writer) = started.expect("started");
            writer
                .write_all(b"half")
                .expect_err("the peer is gone")
                .into()
        },
        |request| {
            let started = request.start_response(Response::html(""));
            let (_, mut writer) = started.expect("started");
            writer.write_all(b"half").expect_err("the peer is gone");
            panic!("a handler that panics");
        },
    ];
    for handler in handlers {
        let log = Log::default();
        let mut peer = Peer::new([GET.to_owned() + GET]);
        peer.write_error.set(Some(io::ErrorKind::ConnectionReset));
        let end = serve_observed(&mut peer, &Config::new(), Some(&log), &handler);
        assert!(matches!(end, Err(ServeError::Unfinished)), "{end:?}");
        // The second request is not handled for nothing.
        let wholes = log.wholes.into_inner().expect("whole");
        assert!(wholes.iter().all(|is_whole| !is_whole) && wholes.len() < 2);
        assert!(peer.is_aborted.get());
    }
}

#[test]
fn the_first_error_is_the_one_that_is_told() {
    let cases: [(Answers, &str); 3] = [
        (
            |request| {
                let started = request.start_response(Response::html(""));
                let (_, mut writer) = started.expect("started");
                writer.write_all(b"half").expect("written");
                io::Error::other("the first").into()
            },
            "200",
        ),
        (
            |_| {
                let body = Body::from_reader(Fails { left: 0 });
                Response::internal_error("the first").with_body(body)
            },
            "500",
        ),
        (
            |request| {
                let head = Response::internal_error("the first").with_body("");
                let (_, mut writer) = request.start_response(head).expect("started");
                writer.write_all(b"explained").expect("written");
                writer.finish().expect("finished")
            },
            "500",
        ),
    ];
    for (handler, status) in cases {
        let log = Log::default();
        let mut peer = Peer::new([GET]);
        let _ = serve_observed(&mut peer, &Config::new(), Some(&log), &handler);
        assert_eq!(peer.statuses(), [status]);
        let told = log.errors.into_inner().expect("whole");
        assert_eq!(told, [Some("the first".to_owned())]);
    }
}

#[test]
fn a_cancel_before_anything_is_written_resets_nothing() {
    type Case = (fn(&mut Request<'_>), bool);
    let handlers: [Case; 2] = [
        (
            |request| drop(request.start_response(Response::html("")).expect("started")),
            false,
        ),
        (
            |request| {
                let started = request.start_response(Response::html(""));
                let (_, mut writer) = started.expect("started");
                writer.write_all(b"half").expect("written");
            },
            true,
        ),
    ];
    for (begin, is_aborted) in handlers {
        let peer = Peer::new([GET]);
        let mut own = peer.clone();
        let serving = crate::spawn(move || {
            let handler = |request: &mut Request<'_>| -> Response {
                begin(request);
                crate::park();
                Response::text("never")
            };
            serve(&mut own, &handler)
        });
        crate::yield_now();
        serving.cancel();
        assert!(serving.join().is_err());
        assert_eq!(peer.is_aborted.get(), is_aborted);
    }
}

#[derive(Debug)]
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

impl Error for Unprintable {}

#[test]
fn an_error_that_cannot_be_printed_is_logged_without_words() {
    let log = AccessLog::new(io::sink());
    let mut peer = Peer::new([GET.to_owned() + GET]);
    let handler = |_: &mut Request<'_>| Response::internal_error(Unprintable);
    serve_observed(&mut peer, &Config::new(), Some(&log), &handler).expect("served");
    assert_eq!(peer.statuses(), ["500", "500"]);
}
