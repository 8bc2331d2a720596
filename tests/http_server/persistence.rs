//! Whether a connection lives on after an answer, and how it ends.

use std::cell::Cell;
use std::rc::Rc;

use kapok::http::{
    Body, Config, ConnectionEnd, HeaderValue, Request, Response, ServeError, header,
};

use crate::peer::{Gate, describe, exchange, get, post_sized, serve, serve_plainly};
use crate::support::on_a_hub;

fn connection(value: &'static str) -> impl Fn(&mut Request<'_>) -> Response {
    move |_: &mut Request<'_>| {
        Response::text("foo").header(header::CONNECTION, HeaderValue::from_static(value))
    }
}

/// Sends a request in this version with this `Connection`; returns what the answer says of it and checks that it is kept.
fn said(version: u8, field: &str, app: impl Fn(&mut Request<'_>) -> Response + 'static) -> String {
    let (mut peer, served) = serve_plainly(app);
    let request = format!("GET / HTTP/1.{version}\r\nHost: a\r\n{field}\r\n");
    let answer = peer.ask(&request);
    let said = answer.field("connection").unwrap_or_default().to_owned();
    if said == "close" {
        peer.sees_the_end();
        drop(peer);
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
    } else {
        assert_eq!(peer.ask(&request).status(), 200);
        peer.end();
        peer.sees_the_end();
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::PeerClosed);
    }
    said
}

#[test]
fn connections_live_on_as_the_version_and_both_sides_say() {
    on_a_hub("keep-alive", || {
        for (version, field, expected) in [
            (1, "", ""),
            (1, "Connection: keep-alive\r\n", ""),
            (1, "Connection: Close\r\n", "close"),
            (1, "Connection: x, cLoSe ,y\r\n", "close"),
            (1, "Connection: keep-alive, close\r\n", "close"),
            (
                1,
                "Connection: keep-alive\r\nConnection: close\r\n",
                "close",
            ),
            (1, "Connection: closed\r\n", ""),
            (1, "Keep-Alive: timeout=1\r\n", ""),
            (0, "", "close"),
            (0, "Connection: keep-alive\r\n", "keep-alive"),
            (0, "Connection: Keep-Alive\r\n", "keep-alive"),
            (0, "Connection: keep-alive, close\r\n", "close"),
            (0, "Connection: close\r\n", "close"),
            (0, "Connection: x\r\n", "close"),
        ] {
            assert_eq!(
                said(version, field, describe),
                expected,
                "1.{version} {field}"
            );
        }
    });
}

#[test]
fn a_handler_ends_a_connection_and_cannot_keep_one() {
    on_a_hub("by the handler", || {
        let keep = "Connection: keep-alive\r\n";
        assert_eq!(said(1, keep, connection("close")), "close");
        assert_eq!(said(1, "", connection("x, close")), "close");
        assert_eq!(said(0, keep, connection("close")), "close");
        assert_eq!(said(0, "", connection("keep-alive")), "close");
        assert_eq!(
            said(1, "Connection: close\r\n", connection("keep-alive")),
            "close"
        );
        assert_eq!(said(1, "", connection("keep-alive")), "");
        assert_eq!(said(0, keep, connection("keep-alive")), "keep-alive");
    });
}

#[test]
fn a_body_without_length_ends_an_old_clients_connection() {
    on_a_hub("1.0 stream", || {
        let stream = |_: &mut Request<'_>| Response::text(Body::from_reader(&b"foo"[..]));
        assert_eq!(said(0, "Connection: keep-alive\r\n", stream), "close");
        assert_eq!(said(1, "Connection: keep-alive\r\n", stream), "");
    });
}

#[test]
fn chunked_and_sized_answers_follow_each_other() {
    on_a_hub("mixed", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| match request.path() {
            "/chunked" => Response::text(Body::from_reader(&b"foo bar baz"[..])),
            _ => Response::text("zar quux"),
        });
        for _ in 0..3 {
            assert_eq!(peer.ask(get("/chunked")).text(), "foo bar baz");
            assert_eq!(peer.ask(get("/quux")).text(), "zar quux");
        }
    });
}

#[test]
fn the_last_of_the_allowed_requests_closes() {
    on_a_hub("requests_max", || {
        for allowed in [1, 2, 5] {
            let config = Config::new().requests_max(allowed);
            let (mut peer, served) = serve(config, describe);
            for number in 1..=allowed {
                let answer = peer.ask(post_sized("foo"));
                assert_eq!(answer.closes(), number == allowed, "{number} of {allowed}");
            }
            peer.sees_the_end();
            drop(peer);
            assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
            // The same for those that come at once: no more than that are handled.
            let seen = Rc::new(Cell::new(0));
            let count = Rc::clone(&seen);
            let config = Config::new().requests_max(allowed);
            let (answers, _) = exchange(config, get("/").repeat(9), move |_: &mut Request<'_>| {
                count.set(count.get() + 1);
                "counted"
            });
            assert_eq!(seen.get(), allowed);
            let answers = String::from_utf8(answers).unwrap();
            assert_eq!(answers.matches("HTTP/1.1 200").count() as u64, allowed);
            assert_eq!(answers.matches("Connection: close").count(), 1);
        }
    });
}

#[test]
fn an_end_between_requests_is_quiet_and_one_inside_is_told() {
    on_a_hub("ends", || {
        let (peer, served) = serve_plainly(describe);
        drop(peer);
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::PeerClosed);
        let request = get("/");
        for length in 1..request.len() {
            let (mut peer, served) = serve_plainly(describe);
            peer.send(&request[..length]);
            peer.end();
            // The other half of the stream is still there to be told.
            let answer = peer.answer();
            assert_eq!((answer.status(), answer.closes()), (400, true), "{length}");
            peer.sees_the_end();
            let end = served.join().unwrap().unwrap();
            assert!(
                matches!(end, ConnectionEnd::Refused(_)),
                "{length}: {end:?}"
            );
        }
        let (mut peer, served) = serve_plainly(describe);
        peer.send(get("/first") + "GET /sec");
        peer.end();
        assert_eq!(peer.answer().text(), "GET /first ");
        assert_eq!(peer.answer().status(), 400);
        peer.sees_the_end();
        let end = served.join().unwrap().unwrap();
        assert!(matches!(end, ConnectionEnd::Refused(_)), "{end:?}");
    });
}

#[test]
fn a_peer_that_has_ended_its_side_gets_its_answers() {
    on_a_hub("half close", || {
        let (begun, gate) = (Gate::default(), Gate::default());
        let (begins, waits) = (begun.clone(), gate.clone());
        let (mut peer, served) = serve_plainly(move |request: &mut Request<'_>| {
            begins.open();
            waits.wait();
            describe(request)
        });
        peer.send(get("/1") + &post_sized("two") + &get("/3"));
        peer.end();
        begun.wait();
        gate.open();
        assert_eq!(peer.answer().text(), "GET /1 ");
        assert_eq!(peer.answer().text(), "POST / two");
        let last = peer.answer();
        assert_eq!((last.text(), last.closes()), ("GET /3 ", false));
        peer.sees_the_end();
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::PeerClosed);
    });
}

#[test]
fn a_peer_that_is_gone_when_it_is_answered_ends_its_connection_alone() {
    on_a_hub("gone", || {
        let (begun, gate) = (Gate::default(), Gate::default());
        let (begins, waits) = (begun.clone(), gate.clone());
        let (mut peer, served) = serve_plainly(move |_: &mut Request<'_>| {
            begins.open();
            waits.wait();
            Response::bytes(vec![b'x'; 8 << 20])
        });
        peer.send(get("/"));
        begun.wait();
        drop(peer);
        gate.open();
        let end = served.join().unwrap();
        assert!(matches!(end, Err(ServeError::Write(_))), "{end:?}");
    });
}
