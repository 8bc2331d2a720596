//! Peers that are slow: what is cut, when, and how it is told.

use std::io::{self, Read};
use std::time::Duration;

use kapok::http::{Body, BodyError, Config, ConnectionEnd, Request, Response, ServeError};

use crate::peer::{Gate, Peer, describe, get, post, post_chunked, post_sized, serve};
use crate::support::on_a_hub;
use crate::watched::{Event, Events, serve_watched};

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(3600);

/// Limits of time that no test reaches.
fn patient() -> Config {
    Config::new()
        .idle_timeout(LONG)
        .head_timeout(LONG)
        .body_timeout(LONG)
        .write_timeout(LONG)
}

fn check_408(mut peer: Peer) {
    let answer = peer.answer();
    assert_eq!((answer.status(), answer.closes()), (408, true));
    peer.sees_the_end();
}

#[test]
fn a_head_that_does_not_end_in_time_is_answered_408() {
    on_a_hub("head_timeout", || {
        for start in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"] {
            let (mut peer, served) = serve(patient().head_timeout(SHORT), describe);
            peer.send(start);
            check_408(peer);
            match served.join().unwrap().unwrap() {
                ConnectionEnd::Refused(refusal) => assert_eq!(refusal.status().as_u16(), 408),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_head_that_drips_is_cut_as_well() {
    on_a_hub("drip", || {
        let (mut peer, _served) = serve(patient().head_timeout(SHORT), describe);
        peer.send("GET / HTTP/1.1\r\nHost: a\r\nDrip: ");
        // Each byte comes long before the limit; the server ends it all the same.
        use std::io::Write;
        let dripping = peer.stream.try_clone().unwrap();
        let drips = kapok::spawn(move || {
            while (&dripping).write(b"x").is_ok() {
                kapok::park_timeout(Duration::from_millis(1));
            }
        });
        let answer = peer.answer();
        assert_eq!((answer.status(), answer.closes()), (408, true));
        peer.stream.close();
        drips.join().unwrap();
    });
}

#[test]
fn the_answers_before_a_slow_head_are_not_lost() {
    on_a_hub("before", || {
        let (mut peer, _served) = serve(patient().head_timeout(SHORT), describe);
        peer.send(get("/1") + "GET /slow");
        assert_eq!(peer.answer().text(), "GET /1 ");
        check_408(peer);
    });
}

#[test]
fn the_time_of_a_head_ends_with_it() {
    on_a_hub("none after", || {
        let gate = Gate::default();
        let waits = gate.clone();
        let (mut peer, _served) = serve(
            patient().head_timeout(SHORT),
            move |request: &mut Request<'_>| {
                waits.wait();
                describe(request)
            },
        );
        // In two pieces, so that the time runs.
        let request = post("Content-Length: 4\r\n", "");
        peer.send(&request[..20]);
        kapok::yield_now();
        peer.send(&request[20..]);
        // Neither the handler nor the body nor the pause behind them is the head's.
        peer.hears_nothing_for(SHORT * 3);
        gate.open();
        peer.hears_nothing_for(SHORT * 3);
        peer.send("body");
        assert_eq!(peer.answer().text(), "POST / body");
        peer.hears_nothing_for(SHORT * 3);
        assert_eq!(peer.ask(post_sized("next")).text(), "POST / next");
    });
}

fn read_deadlines(event: &Event) -> bool {
    matches!(event, Event::ReadDeadline(..))
}

#[test]
fn each_head_has_its_own_time() {
    on_a_hub("each head", || {
        let (mut peer, _served, events) = serve_watched(patient(), describe);
        for number in 0..3 {
            let before = events.wait_for(0, read_deadlines).len();
            assert_eq!(before, number * 2);
            let request = get("/");
            peer.send(&request[..10]);
            events.wait_for(before + 1, read_deadlines);
            // More of it is no reason to begin anew.
            peer.send(&request[10..20]);
            for _ in 0..10 {
                kapok::yield_now();
            }
            peer.send(&request[20..]);
            assert_eq!(peer.answer().status(), 200);
            let deadlines = events.wait_for(before + 2, read_deadlines);
            assert_eq!(deadlines.len(), before + 2, "{deadlines:?}");
            let left = deadlines[before].time_left().expect("a deadline");
            assert!(left <= LONG && left > LONG - SHORT, "{left:?}");
            assert_eq!(deadlines[before + 1].time_left(), None);
        }
        // A head in one piece sets none.
        let before = events.all().len();
        assert_eq!(peer.ask(get("/")).status(), 200);
        let wrote = |event: &Event| matches!(event, Event::Wrote(_));
        assert!(events.all()[before..].iter().all(wrote));
    });
}

#[test]
fn a_connection_without_requests_ends_without_an_answer() {
    on_a_hub("idle_timeout", || {
        let (mut peer, served) = serve(patient().idle_timeout(SHORT), describe);
        peer.sees_the_end();
        drop(peer);
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::Idle);
        let (mut peer, served) = serve(patient().idle_timeout(SHORT), describe);
        assert_eq!(peer.ask(get("/")).status(), 200);
        peer.sees_the_end();
        drop(peer);
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::Idle);
    });
}

#[test]
fn a_body_that_stops_is_answered_408() {
    on_a_hub("body_timeout", || {
        for request in [
            post("Content-Length: 10\r\n", "four"),
            post("Content-Length: 10\r\n", ""),
            post("Content-Length: 1000000\r\n", "four"),
            post_chunked("4\r\nfour\r\n"),
            post_chunked("100000\r\nfour"),
            post_chunked("4\r\nfour\r\n0\r\nTrailer"),
        ] {
            let (mut peer, served) = serve(patient().body_timeout(SHORT), |r: &mut Request<'_>| {
                let error = r.read_body().expect_err("it stops");
                assert!(matches!(error, BodyError::TimedOut));
                let again = r.body().read(&mut [0]).unwrap_err();
                assert_eq!(again.kind(), io::ErrorKind::TimedOut);
                error
            });
            peer.send(request);
            check_408(peer);
            assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
        }
    });
}

#[test]
fn time_that_the_handler_takes_for_itself_is_not_the_bodys() {
    on_a_hub("handler's time", || {
        let gate = Gate::default();
        let waits = gate.clone();
        let (mut peer, _served) = serve(
            patient().body_timeout(SHORT * 10),
            move |r: &mut Request<'_>| {
                let mut first = [0; 4];
                r.body().read_exact(&mut first).unwrap();
                waits.wait();
                describe(r)
            },
        );
        peer.send(post("Content-Length: 8\r\n", "four"));
        peer.hears_nothing_for(SHORT * 12);
        peer.send("more");
        gate.open();
        assert_eq!(peer.answer().text(), "POST / more");
    });
}

/// The times that reads of a body were allowed.
fn allowed(events: &Events, count: usize) -> Vec<Duration> {
    let some = |event: &Event| matches!(event, Event::ReadDeadline(_, Some(_)));
    let found = events.wait_for(count, some);
    found.iter().filter_map(|event| event.time_left()).collect()
}

#[test]
fn a_body_has_more_time_the_more_of_it_has_come() {
    on_a_hub("byte_rate_min", || {
        let config = patient().byte_rate_min(10);
        let (mut peer, _served, events) = serve_watched(config, |request: &mut Request<'_>| {
            let mut all = Vec::new();
            request.body().read_to_end(&mut all).unwrap();
            all.len().to_string()
        });
        peer.send(post("Content-Length: 1000\r\n", ""));
        let first = allowed(&events, 1)[0];
        assert!(first <= LONG && first > LONG - SHORT, "{first:?}");
        peer.send("x".repeat(600));
        // Less what was waited for already.
        let second = allowed(&events, 2)[1];
        let most = LONG + Duration::from_secs(60);
        assert!(
            second <= most && second > most - Duration::from_secs(20),
            "{second:?}"
        );
        peer.send("x".repeat(400));
        assert_eq!(peer.answer().text(), "1000");
    });
}

#[test]
fn a_peer_that_takes_nothing_is_cut() {
    on_a_hub("write_timeout", || {
        const BYTES: usize = 64 << 20;
        let config = patient().write_timeout(SHORT).byte_rate_min(u64::MAX);
        for kind in 0..3 {
            let (mut peer, served) = serve(config.clone(), move |request: &mut Request<'_>| {
                let zeros = || io::repeat(0).take(BYTES as u64);
                match kind {
                    0 => Response::bytes(vec![0; BYTES]),
                    1 => Response::bytes(Body::from_reader(zeros())),
                    _ => {
                        let (_, mut writer) = request.start_response(Response::bytes("")).unwrap();
                        let error = io::copy(&mut zeros(), &mut writer).expect_err("it is cut");
                        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                        let again = io::Write::write(&mut writer, b"more").unwrap_err();
                        assert_eq!(again.kind(), io::ErrorKind::BrokenPipe);
                        error.into()
                    }
                }
            });
            peer.send(get("/"));
            match served.join().unwrap() {
                Err(ServeError::Write(error)) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    assert!(kind < 2);
                }
                Err(ServeError::Unfinished) => assert_eq!(kind, 2),
                other => panic!("{kind}: {other:?}"),
            }
            assert!(peer.until_broken().len() < BYTES);
        }
    });
}

#[test]
fn a_write_has_the_time_its_bytes_take_at_the_lowest_rate() {
    on_a_hub("write rate", || {
        const BYTES: usize = 32 << 20;
        let config = patient().byte_rate_min(1 << 20);
        let (mut peer, _served, events) = serve_watched(config, |_: &mut Request<'_>| {
            Response::bytes(vec![0; BYTES])
        });
        peer.send(get("/"));
        let deadlines = events.wait_for(1, |event| matches!(event, Event::WriteDeadline(..)));
        let left = deadlines[0].time_left().expect("a deadline");
        let expected = LONG + Duration::from_secs(32);
        assert!(left <= expected + Duration::from_secs(1), "{left:?}");
        assert!(left > expected - Duration::from_secs(20), "{left:?}");
        // It takes all after all, and the deadline is gone.
        assert_eq!(peer.answer().body.len(), BYTES);
        let deadlines = events.wait_for(2, |event| matches!(event, Event::WriteDeadline(..)));
        assert_eq!(deadlines[1].time_left(), None);
        assert_eq!(deadlines.len(), 2);
    });
}

#[test]
fn the_longest_times_are_no_overflow() {
    on_a_hub("longest", || {
        let config = Config::new()
            .idle_timeout(Duration::MAX)
            .head_timeout(Duration::MAX)
            .body_timeout(Duration::MAX)
            .write_timeout(Duration::MAX)
            .drain_timeout(Duration::MAX)
            .byte_rate_min(1);
        let (mut peer, served) = serve(config, |request: &mut Request<'_>| match request.path() {
            "/unread" => Response::text("unread"),
            "/large" => Response::bytes(vec![0; 32 << 20]),
            _ => describe(request),
        });
        let request = post("Content-Length: 5\r\n", "");
        peer.send(&request[..10]);
        kapok::yield_now();
        peer.send(&request[10..]);
        kapok::yield_now();
        peer.send("hello");
        assert_eq!(peer.answer().text(), "POST / hello");
        let unread = request.replacen(" / ", " /unread ", 1);
        assert_eq!(peer.ask(unread).text(), "unread");
        kapok::yield_now();
        peer.send("hello");
        assert_eq!(peer.ask(get("/large")).body.len(), 32 << 20);
        peer.end();
        peer.sees_the_end();
        drop(peer);
        served.join().unwrap().unwrap();
    });
}
