//! Request heads that are refused, and the limits of heads at their borders.

use kapok::http::{Config, ConnectionEnd, Request, Response};

use crate::peer::{Peer, describe, get, serve, serve_plainly};
use crate::support::on_a_hub;

/// Sends a head that is within the limits or one over them: it is answered 200, or with `status` and an end.
fn check(config: &Config, head: &str, status: u16) {
    let counting = |request: &mut Request<'_>| {
        assert_eq!(request.raw_headers().count(), request.headers().len());
        Response::text("taken")
    };
    for pieces in [1, 2] {
        let (mut peer, served) = serve(config.clone(), counting);
        send_in_pieces(&mut peer, head, pieces);
        let answer = peer.answer();
        let shown = &head[..head.len().min(60)];
        assert_eq!(answer.status(), status, "{shown} in {pieces}");
        if status == 200 {
            assert_eq!(answer.text(), "taken");
            continue;
        }
        assert!(answer.closes(), "{shown}");
        peer.sees_the_end();
        drop(peer);
        match served.join().unwrap().unwrap() {
            ConnectionEnd::Refused(refusal) => assert_eq!(refusal.status().as_u16(), status),
            other => panic!("{other:?}"),
        }
    }
}

fn send_in_pieces(peer: &mut Peer, head: &str, pieces: usize) {
    for piece in head.as_bytes().chunks(head.len().div_ceil(pieces)) {
        peer.send(piece);
        for _ in 0..3 {
            kapok::yield_now();
        }
    }
}

/// A head of so many bytes.
fn head_of(bytes: usize) -> String {
    let frame = "GET / HTTP/1.1\r\nHost: a\r\nPad: \r\n\r\n".len();
    format!(
        "GET / HTTP/1.1\r\nHost: a\r\nPad: {}\r\n\r\n",
        "p".repeat(bytes - frame)
    )
}

#[test]
fn a_head_of_the_longest_length_is_taken_and_none_is_longer() {
    on_a_hub("head_bytes_max", || {
        for most in [
            64, 65, 100, 1024, 4095, 4096, 4097, 8192, 16_384, 40_000, 65_535,
        ] {
            let config = Config::new().head_bytes_max(most);
            check(&config, &head_of(most - 1), 200);
            check(&config, &head_of(most), 200);
            check(&config, &head_of(most + 1), 431);
            // The end need not come.
            let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nPad: {}", "p".repeat(most));
            check(&config, &endless, 431);
        }
        check(&Config::new(), &head_of(16_384), 200);
        check(&Config::new(), &head_of(16_385), 431);
        let name = format!("GET / HTTP/1.1\r\n{}: foo\r\n\r\n", "x".repeat(65 * 1024));
        check(&Config::new().head_bytes_max(usize::MAX), &name, 431);
    });
}

#[test]
fn heads_of_the_longest_length_may_follow_each_other() {
    on_a_hub("longest in a row", || {
        for most in [64, 4096, 5000, 16_384] {
            let (mut peer, _served) = serve(Config::new().head_bytes_max(most), describe);
            peer.send(head_of(most).repeat(5));
            for _ in 0..5 {
                assert_eq!(peer.answer().status(), 200, "{most}");
            }
        }
    });
}

#[test]
fn so_many_fields_are_taken_and_no_more() {
    on_a_hub("header_count_max", || {
        for most in [1, 2, 23, 24, 25, 100, 127, 128] {
            let config = Config::new().header_count_max(most);
            let head = |count: usize| {
                let fields = "A: b\r\n".repeat(count - 1);
                format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
            };
            check(&config, &head(most), 200);
            check(&config, &head(most + 1), 431);
        }
    });
}

#[test]
fn so_long_targets_are_taken_and_no_longer() {
    on_a_hub("target_bytes_max", || {
        for most in [1, 2, 10, 1000, 8192, 65_000] {
            let config = Config::new()
                .target_bytes_max(most)
                .head_bytes_max(usize::MAX);
            let head = |length: usize| {
                let target = format!("/{}", "a".repeat(length - 1));
                get(&target)
            };
            check(&config, &head(most), 200);
            check(&config, &head(most + 1), 414);
            // It need not end, if it is too long with any method.
            let endless = format!("GET /{}", "a".repeat(most + 50));
            check(&config, &endless, 414);
        }
        check(&Config::new(), &get(&format!("/{}", "a".repeat(8191))), 200);
        check(&Config::new(), &get(&format!("/{}", "a".repeat(8192))), 414);
        let query = format!("/?{}", "a".repeat(98));
        check(&Config::new().target_bytes_max(100), &get(&query), 200);
        check(&Config::new().target_bytes_max(99), &get(&query), 414);
    });
}

#[test]
fn methods_are_those_that_are_allowed() {
    on_a_hub("methods", || {
        let request = |method: &str| format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        let plain = Config::new();
        let open = Config::new().extension_methods(true);
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
            check(&plain, &request(method), 200);
        }
        for method in ["PROPFIND", "get", "X", "M-SEARCH"] {
            check(&plain, &request(method), 501);
            check(&open, &request(method), 200);
        }
        check(&open, &request(&"M".repeat(1000)), 501);
    });
}

#[test]
fn malformed_heads_are_refused() {
    on_a_hub("malformed", || {
        for (head, status) in [
            ("GE T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: foo\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
                501,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                501,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
            ("GET / HTTP/1.1\nHost: a\n\n", 400),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
            ("GET /\r\n", 400),
            ("\u{16}\u{3}\u{1}\u{0}\u{ee}\u{1}\u{0}", 400),
        ] {
            // Which of two faults is named is the unit tests' business.
            let (mut peer, served) = serve_plainly(describe);
            peer.send(head);
            let answer = peer.answer();
            if head.starts_with("PRI") {
                assert!(matches!(answer.status(), 400 | 501 | 505), "{head:?}");
            } else {
                assert_eq!(answer.status(), status, "{head:?}");
            }
            assert!(answer.closes(), "{head:?}");
            peer.was_refused(served);
        }
    });
}

#[test]
fn a_refused_head_request_is_answered_without_a_body() {
    on_a_hub("HEAD", || {
        let (mut peer, _served) = serve_plainly(describe);
        peer.send("HEAD / HTTP/1.1\r\n\r\n");
        assert_eq!(peer.head().status(), 400);
        peer.sees_the_end();
    });
}
