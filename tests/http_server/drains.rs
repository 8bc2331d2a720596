//! Bodies the handler leaves unread, and answers that come before a body's end.

use std::io::Read;
use std::time::Duration;

use kapok::http::{Config, ConnectionEnd, Request, Response};
use kapok::spawn;

use crate::peer::{Gate, describe, get, post, post_chunked, post_sized, serve, serve_plainly};
use crate::support::on_a_hub;

fn unread(request: &mut Request<'_>) -> Response {
    match request.path() {
        "/next" => describe(request),
        _ => Response::text("unread"),
    }
}

#[test]
fn a_short_body_that_is_left_unread_is_thrown_away() {
    on_a_hub("thrown away", || {
        let (mut peer, _served) = serve_plainly(unread);
        for request in [
            post_sized("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
            post_sized(""),
            post_sized(&"x".repeat(5000)),
        ] {
            peer.send(request + &get("/next"));
            let answer = peer.answer();
            assert_eq!((answer.text(), answer.closes()), ("unread", false));
            assert_eq!(peer.answer().text(), "GET /next ");
        }
    });
}

#[test]
fn the_rest_of_a_body_may_come_behind_the_answer() {
    on_a_hub("behind the answer", || {
        let (mut peer, _served) = serve_plainly(unread);
        let body = "x".repeat(100_000);
        peer.send(post(
            &format!("Content-Length: {}\r\n", body.len()),
            &body[..10],
        ));
        let answer = peer.answer();
        assert_eq!((answer.text(), answer.closes()), ("unread", false));
        peer.send(&body[10..]);
        assert_eq!(peer.ask(get("/next")).text(), "GET /next ");
    });
}

#[test]
fn a_body_up_to_the_limit_is_drained_and_a_longer_one_closes() {
    on_a_hub("drain_bytes_max", || {
        for limit in [0, 1, 10, 5000, 100_000] {
            for over in [0, 1] {
                let length = limit + over;
                let config = Config::new().drain_bytes_max(limit as u64);
                let (mut peer, served) = serve(config, unread);
                let body = "x".repeat(length);
                let answer = peer.ask(post_sized(&body));
                assert_eq!(answer.text(), "unread");
                assert_eq!(answer.closes(), over == 1, "{length} of {limit}");
                if over == 0 {
                    assert_eq!(peer.ask(get("/next")).text(), "GET /next ");
                    continue;
                }
                peer.sees_the_end();
                drop(peer);
                assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
            }
        }
    });
}

#[test]
fn a_chunked_body_that_is_left_unread_closes() {
    on_a_hub("chunked rest", || {
        let chunks = "5\r\nhello\r\n0\r\n\r\n";
        for cut in 0..=chunks.len() {
            let (mut peer, _served) = serve_plainly(unread);
            let answer = peer.ask(post_chunked(&chunks[..cut]));
            assert_eq!((answer.text(), answer.closes()), ("unread", true));
            peer.send(&chunks[cut..]);
            peer.sees_the_end();
        }
        // One that was read to its end does not.
        let (mut peer, _served) = serve_plainly(describe);
        assert!(!peer.ask(post_chunked(chunks)).closes());
        assert_eq!(peer.ask(get("/next")).text(), "GET /next ");
    });
}

#[test]
fn a_body_read_in_part_is_drained_from_there() {
    on_a_hub("in part", || {
        let config = Config::new().drain_bytes_max(10);
        let (mut peer, _served) = serve(config, |request: &mut Request<'_>| {
            if request.path() == "/next" {
                return describe(request);
            }
            let mut part = [0; 90];
            request.body().read_exact(&mut part).unwrap();
            Response::text("in part")
        });
        assert!(!peer.ask(post_sized(&"x".repeat(100))).closes());
        assert_eq!(peer.ask(get("/next")).text(), "GET /next ");
        assert!(peer.ask(post_sized(&"x".repeat(101))).closes());
        peer.sees_the_end();
    });
}

#[test]
fn a_rest_that_does_not_come_ends_the_connection_in_time() {
    on_a_hub("drain_timeout", || {
        let config = Config::new().drain_timeout(Duration::from_millis(30));
        let (mut peer, served) = serve(config, unread);
        assert!(!peer.ask(post("Content-Length: 10\r\n", "x")).closes());
        peer.sees_the_end();
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
    });
}

/// A client that sends all of a large body before it looks for an answer gets that.
fn check_large_upload(request: Vec<u8>, app: fn(&mut Request<'_>) -> Response, status: u16) {
    let (mut peer, served) = serve_plainly(app);
    let mut other = peer.stream.try_clone().unwrap();
    let sent = Gate::default();
    let all_sent = sent.clone();
    let sender = spawn(move || {
        use std::io::Write;
        let result = other.write_all(&request);
        all_sent.open();
        result
    });
    // As such clients do, not before all is sent.
    sent.wait();
    let answer = peer.answer();
    assert_eq!((answer.status(), answer.closes()), (status, true));
    peer.end();
    peer.sees_the_end();
    sender.join().unwrap().expect("no reset while it is sent");
    served.join().unwrap().unwrap();
}

#[test]
fn an_early_answer_to_a_large_upload_arrives_without_a_reset() {
    on_a_hub("upload", || {
        const BYTES: usize = 10 << 20;
        let mut sized = post(&format!("Content-Length: {BYTES}\r\n"), "").into_bytes();
        sized.resize(sized.len() + BYTES, b'x');
        let mut chunked = post_chunked("").into_bytes();
        for _ in 0..BYTES / 65536 {
            chunked.extend_from_slice(b"10000\r\n");
            chunked.resize(chunked.len() + 65536, b'x');
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        for request in [sized, chunked] {
            check_large_upload(request.clone(), unread, 200);
            // Longer than `body_bytes_max`.
            check_large_upload(request, describe, 413);
        }
        let mut refused = b"GET / HTTP/1.1\r\n\r\n".to_vec();
        refused.resize(BYTES, b'x');
        check_large_upload(refused, describe, 400);
    });
}

#[test]
fn an_answer_is_sent_before_the_rest_of_the_body_comes() {
    on_a_hub("early answer", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let mut first = [0];
            request.body().read_exact(&mut first).unwrap();
            "enough"
        });
        let answer = peer.ask(post("Content-Length: 1000000\r\n", "x"));
        assert_eq!((answer.text(), answer.closes()), ("enough", true));
        peer.sees_the_end();
    });
}
