//! `Expect: 100-continue`.

use std::cell::Cell;
use std::io::Read;
use std::rc::Rc;
use std::time::Duration;

use kapok::http::{BodyError, Config, ConnectionEnd, Request, Response, StatusCode};

use crate::peer::{Gate, describe, get, post, serve, serve_plainly};
use crate::support::on_a_hub;

const EXPECT: &str = "Expect: 100-continue\r\n";
const SHORT: Duration = Duration::from_millis(30);

fn expecting(framing: &str) -> String {
    post(&format!("{EXPECT}{framing}\r\n"), "")
}

#[test]
fn the_client_is_told_to_go_on_when_the_body_is_read() {
    on_a_hub("100", || {
        for (framing, body) in [
            ("Content-Length: 5", "hello"),
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ] {
            let (mut peer, _served) = serve_plainly(describe);
            for _ in 0..3 {
                peer.send(expecting(framing));
                assert_eq!(peer.head().head, "HTTP/1.1 100 Continue");
                peer.send(body);
                let answer = peer.answer();
                assert_eq!((answer.text(), answer.closes()), ("POST / hello", false));
            }
        }
    });
}

#[test]
fn the_expectation_may_be_in_any_case() {
    on_a_hub("case", || {
        let (mut peer, _served) = serve_plainly(describe);
        peer.send(post("EXPECT: 100-Continue\r\nContent-Length: 1\r\n", ""));
        assert_eq!(peer.head().status(), 100);
        peer.send("a");
        assert_eq!(peer.answer().text(), "POST / a");
    });
}

#[test]
fn nothing_is_sent_before_the_handler_reads() {
    on_a_hub("lazy", || {
        let gate = Gate::default();
        let waits = gate.clone();
        let (mut peer, _served) = serve_plainly(move |request: &mut Request<'_>| {
            waits.wait();
            describe(request)
        });
        peer.send(expecting("Content-Length: 5"));
        peer.hears_nothing_for(SHORT);
        gate.open();
        assert_eq!(peer.head().status(), 100);
        peer.send("hello");
        assert_eq!(peer.answer().text(), "POST / hello");
    });
}

#[test]
fn another_answer_instead_closes_the_connection() {
    on_a_hub("refused", || {
        for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
            let seen = Rc::new(Cell::new(0));
            let count = Rc::clone(&seen);
            let (mut peer, served) = serve_plainly(move |_: &mut Request<'_>| {
                count.set(count.get() + 1);
                Response::new(StatusCode::FORBIDDEN)
            });
            let answer = peer.ask(expecting(framing));
            assert_eq!((answer.status(), answer.closes()), (403, true), "{framing}");
            // Whether this is the body or a request nobody can tell.
            peer.send(get("/"));
            peer.sees_the_end();
            drop(peer);
            assert_eq!(seen.get(), 1);
            assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
        }
    });
}

#[test]
fn a_body_that_comes_without_waiting_is_read_as_well() {
    on_a_hub("early body", || {
        let (mut peer, _served) = serve_plainly(describe);
        peer.send(expecting("Content-Length: 5") + "hello");
        // It is told to go on all the same: what is sent must not depend on what has come.
        assert_eq!(peer.head().status(), 100);
        let answer = peer.answer();
        assert_eq!((answer.text(), answer.closes()), ("POST / hello", false));
        // The same in the middle of a batch.
        let chunked = expecting("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n";
        peer.send(get("/1") + &chunked + &get("/2"));
        assert_eq!(peer.answer().text(), "GET /1 ");
        assert_eq!(peer.head().status(), 100);
        assert_eq!(peer.answer().text(), "POST / hello");
        assert_eq!(peer.answer().text(), "GET /2 ");
    });
}

#[test]
fn a_body_that_has_come_unasked_and_is_left_unread_closes() {
    on_a_hub("early and unread", || {
        let (mut peer, _served) = serve_plainly(|_: &mut Request<'_>| "unread");
        let answer = peer.ask(expecting("Content-Length: 5") + "hello" + &get("/"));
        assert_eq!((answer.text(), answer.closes()), ("unread", true));
        peer.sees_the_end();
    });
}

#[test]
fn earlier_answers_go_before_the_100() {
    on_a_hub("in order", || {
        let (mut peer, _served) = serve_plainly(describe);
        peer.send(get("/1") + &expecting("Content-Length: 1"));
        assert_eq!(peer.answer().text(), "GET /1 ");
        assert_eq!(peer.head().status(), 100);
        peer.send("a");
        assert_eq!(peer.answer().text(), "POST / a");
    });
}

#[test]
fn an_expectation_without_a_body_is_ignored() {
    on_a_hub("no body", || {
        let (mut peer, _served) = serve_plainly(describe);
        for lines in [EXPECT.to_owned(), format!("{EXPECT}Content-Length: 0\r\n")] {
            let answer = peer.ask(post(&lines, ""));
            assert_eq!((answer.status(), answer.closes()), (200, false));
        }
    });
}

#[test]
fn an_old_client_gets_no_100() {
    on_a_hub("1.0", || {
        let (mut peer, _served) = serve_plainly(describe);
        peer.send(
            "POST / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\
             Content-Length: 5\r\n\r\n",
        );
        peer.hears_nothing_for(SHORT);
        peer.send("hello");
        assert_eq!(peer.answer().text(), "POST / hello");
        let other = "POST / HTTP/1.0\r\nExpect: other\r\nContent-Length: 1\r\n\r\na";
        assert_eq!(peer.ask(other).text(), "POST / a");
    });
}

#[test]
fn other_expectations_are_refused() {
    on_a_hub("417", || {
        for expectation in ["other", "100-continue, other", "100-continue=1", ""] {
            let (mut peer, _served) = serve_plainly(describe);
            let lines = format!("Expect: {expectation}\r\nContent-Length: 1\r\n");
            let answer = peer.ask(post(&lines, "a"));
            assert_eq!(
                (answer.status(), answer.closes()),
                (417, true),
                "{expectation}"
            );
            peer.sees_the_end();
        }
    });
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_asked_for() {
    on_a_hub("413", || {
        let config = Config::new().body_bytes_max(10);
        let (mut peer, _served) = serve(config, describe);
        let answer = peer.ask(expecting("Content-Length: 11"));
        assert_eq!((answer.status(), answer.closes()), (413, true));
        peer.sees_the_end();
    });
}

#[test]
fn a_handler_that_starts_its_answer_first_still_lets_the_client_go_on() {
    on_a_hub("started", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let (mut body, mut writer) = request.start_response(Response::text("")).unwrap();
            std::io::copy(&mut body, &mut writer).unwrap();
            writer.finish().unwrap()
        });
        for _ in 0..2 {
            peer.send(expecting("Content-Length: 5"));
            assert_eq!(peer.head().status(), 100);
            peer.send("hello");
            let answer = peer.answer();
            assert_eq!((answer.text(), answer.closes()), ("hello", false));
        }
    });
}

#[test]
fn a_client_that_never_goes_on_is_answered_408() {
    on_a_hub("never", || {
        let config = Config::new().body_timeout(SHORT);
        let (mut peer, _served) = serve(config, |request: &mut Request<'_>| {
            let error = request.body().read(&mut [0]).expect_err("nothing came");
            error.downcast::<BodyError>().unwrap()
        });
        peer.send(expecting("Content-Length: 5"));
        assert_eq!(peer.head().status(), 100);
        let answer = peer.answer();
        assert_eq!((answer.status(), answer.closes()), (408, true));
        peer.sees_the_end();
    });
}
