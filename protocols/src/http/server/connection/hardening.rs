//! What careless handlers and hostile peers must not bring about: answers too many, answers lost, one request's parts in another.

use std::cell::Cell;
use std::io::{self, BufRead, Read, Write};
use std::time::Duration;

use ::http::{HeaderValue, Method, header};

use super::*;
use crate::http::server::testing::{Peer, serve, serve_with};
use crate::http::{Body, Config, Response};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn trailers_stay_with_their_request() {
    let handler = |request: &mut Request<'_>| {
        let _ = request.read_body();
        format!("{:?}", request.trailers().map(|trailers| trailers.len()))
    };
    let chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Secret: 1\r\n\r\n";
    let mut peer = Peer::new([chunked.to_owned() + GET]);
    serve(&mut peer, &handler).expect("served");
    assert!(peer.received().ends_with("None"), "{}", peer.received());
}

#[test]
fn a_wish_for_100_ends_with_its_request() {
    let handler = |request: &mut Request<'_>| -> io::Result<Response> {
        if request.method() == Method::POST {
            let _ = request.read_body();
            return Ok(Response::new(StatusCode::OK));
        }
        let (_, writer) = request.start_response(Response::new(StatusCode::OK))?;
        writer.finish()
    };
    let expecting = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n";
    let mut peer = Peer::new([expecting.to_owned() + "GET / HTTP/1.0\r\n\r\n"]);
    serve(&mut peer, &handler).expect("served");
    assert_eq!(peer.statuses(), ["100", "200", "200"]);
}

#[test]
fn a_started_answer_opens_no_tunnel() {
    let handler = |request: &mut Request<'_>| {
        let (_, writer) = request.start_response(Response::new(StatusCode::OK))?;
        writer.finish()
    };
    let mut peer = Peer::new(["CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_owned() + GET]);
    let _ = serve_with(&mut peer, &Config::new().connect(true), &handler);
    assert_eq!(peer.statuses()[0], "500");
}

#[test]
fn a_tunnel_begins_at_one_place_however_the_bytes_are_cut() {
    let handler = |_: &mut Request<'_>| {
        Response::tunnel(|mut stream| {
            let mut early = String::new();
            stream.read_to_string(&mut early).expect("read");
            stream.write_all(early.as_bytes()).expect("written");
        })
    };
    let head = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\n";
    let answers = [
        &[head, "helloearly"][..],
        &[head, "hel", "loearly"],
        &[&(head.to_owned() + "helloearly")],
    ]
    .map(|pieces| {
        let mut peer = Peer::new(pieces);
        let _ = serve_with(&mut peer, &Config::new().connect(true), &handler);
        peer.received()
    });
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[test]
fn a_switch_is_a_101() {
    let handler = |_: &mut Request<'_>| Response::switch("a", drop).with_status(StatusCode::OK);
    let mut peer =
        Peer::new(["GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n"]);
    serve(&mut peer, &handler).expect("served");
    assert_eq!(peer.statuses(), ["500"]);
}

#[test]
fn the_longest_times_are_no_panic() {
    let long = Duration::MAX;
    let config = Config::new()
        .idle_timeout(long)
        .head_timeout(long)
        .body_timeout(long)
        .write_timeout(long)
        .drain_timeout(long);
    let post = "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let unread = "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let mut peer = Peer::new([
        post,
        "hello",
        unread,
        "hello",
        "GET ",
        "/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
    let handler = |request: &mut Request<'_>| {
        if request.path() == "/read" {
            request.read_body().expect("whole");
        }
        StatusCode::OK
    };
    serve_with(&mut peer, &config, &handler).expect("served");
    assert_eq!(peer.statuses(), ["200", "200", "200"]);
}

#[test]
fn a_write_that_failed_is_told_even_if_the_handler_goes_on() {
    let last = "GET / HTTP/1.0\r\n\r\n".to_owned();
    let kept = GET.to_owned() + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    for input in [last, kept] {
        let mut peer = Peer::new([input]);
        let script = peer.clone();
        let handler = move |request: &mut Request<'_>| {
            assert_eq!(request.path(), "/");
            let response = Response::new(StatusCode::OK);
            let eight = response.header(header::CONTENT_LENGTH, HeaderValue::from(8));
            let (_, mut writer) = request.start_response(eight)?;
            writer.write_all(b"some")?;
            script.write_error.set(Some(io::ErrorKind::TimedOut));
            let _ = writer.write_all(b"more");
            writer.finish()
        };
        let end = serve(&mut peer, &handler);
        assert!(matches!(end, Err(ServeError::Write(_))), "{end:?}");
    }
}

#[test]
fn a_uri_is_never_the_default() {
    for byte in b'!'..=b'~' {
        let authority = format!("a{}b:80", char::from(byte));
        let input = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        let mut peer = Peer::new([input]);
        let handler = |request: &mut Request<'_>| {
            assert_eq!(request.uri().to_string(), request.target());
            Response::not_found()
        };
        let end = serve_with(&mut peer, &Config::new().connect(true), &handler).expect("served");
        assert_ne!(end, ConnectionEnd::Panicked, "{authority}");
    }
}

#[test]
fn the_framing_is_the_servers_whatever_fields_a_handler_sets() {
    let value = HeaderValue::from_static;
    let bodies: [fn() -> Body; 4] = [
        Body::empty,
        || Body::from("hello"),
        || Body::from_reader(&b"hello"[..]),
        || Body::sized_reader(&b"hello"[..], 5),
    ];
    for (method, body, status) in ["GET", "HEAD"].into_iter().flat_map(|method| {
        let statuses = [200, 204, 205, 304];
        bodies
            .into_iter()
            .flat_map(move |body| statuses.map(|status| (method, body, status)))
    }) {
        let handler = |_: &mut Request<'_>| {
            Response::bytes(body())
                .with_status(StatusCode::from_u16(status).expect("valid"))
                .header(header::CONTENT_LENGTH, value("7"))
                .header(header::TRANSFER_ENCODING, value("chunked"))
        };
        for version in ["1.0", "1.1"] {
            let case = format!("{method} / HTTP/{version}\r\nHost: a\r\n\r\n");
            let mut peer = Peer::new([&case]);
            serve(&mut peer, &handler).expect("served");
            let received = peer.received();
            let (head, sent) = received.split_once("\r\n\r\n").expect("a head");
            let lengths = head.matches("Content-Length").count();
            let chunked = head.matches("Transfer-Encoding").count();
            assert!(lengths + chunked <= 1, "{case}{received}");
            if method == "HEAD" || status != 200 {
                assert_eq!(sent, "", "{case}{received}");
            }
            if status == 204 || status == 304 {
                assert_eq!(lengths + chunked, 0, "{case}{received}");
            }
        }
    }
}

/// A small generator, so that a failure can be repeated: xorshift.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Reads a body by calls of all kinds, to its end or not, and returns what came and whether that was the end.
fn read_anyhow(request: &mut Request<'_>, chance: &mut Chance) -> (Vec<u8>, bool) {
    let mut data = Vec::new();
    loop {
        match chance.below(12) {
            0 if chance.below(4) == 0 => return (data, false),
            1 => {
                data.extend_from_slice(request.read_body().expect("whole"));
                return (data, true);
            }
            2..5 => {
                let mut body = request.body();
                let some = body.fill_buf().expect("data").to_vec();
                if some.is_empty() {
                    return (data, true);
                }
                let count = chance.below(some.len() + 1);
                data.extend_from_slice(&some[..count]);
                body.consume(count);
            }
            kind => {
                let size = match kind {
                    5..8 => 1 + chance.below(20),
                    8..10 => 1 + chance.below(3_000),
                    _ => 20_000,
                };
                let mut buffer = vec![0; size];
                match request.body().read(&mut buffer).expect("data") {
                    0 => return (data, true),
                    count => data.extend_from_slice(&buffer[..count]),
                }
            }
        }
    }
}

#[test]
fn bodies_are_the_same_however_they_are_read_and_cut() {
    for seed in 1..400 {
        let mut chance = Chance(seed);
        let mut input = Vec::new();
        let mut bodies = Vec::new();
        for number in 0..5 {
            let size = [1, 30, 3_000, 20_000, 200_000][chance.below(5)];
            let body: Vec<u8> = (0..chance.below(size))
                .map(|index| (index + number) as u8)
                .collect();
            let padding = "p".repeat(chance.below(4_200) * chance.below(2));
            let head = format!("POST /{number} HTTP/1.1\r\nHost: a\r\nPadding: {padding}p\r\n");
            input.extend_from_slice(head.as_bytes());
            if chance.below(2) == 0 {
                input.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
                );
                input.extend_from_slice(&body);
            } else {
                input.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                let mut rest = &body[..];
                while !rest.is_empty() {
                    let (chunk, behind) = rest.split_at((1 + chance.below(3_000)).min(rest.len()));
                    input.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    input.extend_from_slice(chunk);
                    input.extend_from_slice(b"\r\n");
                    rest = behind;
                }
                input.extend_from_slice(b"0\r\n\r\n");
            }
            bodies.push(body);
        }
        let mut pieces = Vec::new();
        let mut rest = &input[..];
        let piece_max = [2, 100, 5_000, 100_000][chance.below(4)];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((1 + chance.below(piece_max)).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        let handled = Cell::new(0);
        let chance = RefCell::new(chance);
        let handler = |request: &mut Request<'_>| {
            let number: usize = request.path()[1..].parse().expect("a number");
            assert_eq!(number, handled.replace(number + 1), "seed {seed}");
            if chance.borrow_mut().below(4) == 0 {
                // What is left unread of the body is thrown away behind an answer that has promised to go on.
                let started = request.start_response(Response::new(StatusCode::OK));
                let (mut body, writer) = started.expect("started");
                let count = chance.borrow_mut().below(30_000);
                let mut some = Vec::new();
                let _ = body.by_ref().take(count as u64).read_to_end(&mut some);
                assert!(
                    bodies[number].starts_with(&some),
                    "seed {seed}, body {number}"
                );
                return writer.finish().expect("finished");
            }
            let (data, is_end) = read_anyhow(request, &mut chance.borrow_mut());
            match is_end {
                true => assert!(data == bodies[number], "seed {seed}, body {number}"),
                false => assert!(
                    bodies[number].starts_with(&data),
                    "seed {seed}, body {number}"
                ),
            }
            Response::new(StatusCode::OK)
        };
        let mut peer = Peer::new(pieces);
        let end = serve(&mut peer, &handler);
        // A chunked body that is left unread may end the connection.
        assert!(
            matches!(
                end,
                Ok(ConnectionEnd::PeerClosed | ConnectionEnd::ServerClosed)
            ),
            "seed {seed}: {end:?}"
        );
        if let Ok(ConnectionEnd::PeerClosed) = end {
            assert_eq!(handled.get(), 5, "seed {seed}");
        }
    }
}

#[test]
fn what_follows_a_body_that_was_thrown_away_is_not_lost() {
    // The handler answers before it has read anything, so the connection was promised to live on.
    let handler = |request: &mut Request<'_>| -> io::Result<Response> {
        if request.method() == Method::GET {
            return Ok(Response::new(StatusCode::NO_CONTENT));
        }
        let (_, writer) = request.start_response(Response::new(StatusCode::OK))?;
        writer.finish()
    };
    for size in [100, 4_000, 5_000, 20_000, 50_000, 100_000, 200_000] {
        let chunk = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
        let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut peer = Peer::new([format!("{post}{chunk}0\r\n\r\n{GET}{GET}")]);
        let end = serve(&mut peer, &handler);
        let kept = matches!(end, Ok(ConnectionEnd::PeerClosed));
        assert!(
            !kept || peer.statuses() == ["200", "204", "204"],
            "{size}: {end:?} {:?}",
            peer.statuses()
        );
    }
}

#[test]
fn what_is_thrown_away_is_limited_whatever_the_handler_allowed() {
    let handler = |request: &mut Request<'_>| {
        request.limit_body(u64::MAX);
        let (_, writer) = request.start_response(Response::text(""))?;
        writer.finish()
    };
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let body = chunk.repeat(1000) + "0\r\n\r\n";
    let mut peer = Peer::new([head.to_owned() + &body + "GET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
    let end = serve(&mut peer, &handler).expect("served");
    assert_eq!(end, ConnectionEnd::ServerClosed);
    assert_eq!(peer.statuses(), ["200"]);
}
