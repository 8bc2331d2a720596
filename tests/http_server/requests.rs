//! Bodies of requests: what the handler reads of them.

use std::cell::RefCell;
use std::io::{BufRead, Read};
use std::rc::Rc;

use kapok::http::{BodyError, Config, ConnectionEnd, Request, Response, StatusCode};

use crate::peer::{
    Gate, Peer, describe, exchange, get, post, post_chunked, post_sized, serve, serve_plainly,
    status_of,
};
use crate::support::on_a_hub;

#[test]
fn bytes_behind_the_last_request_are_nobodys_body() {
    on_a_hub("behind", || {
        let request =
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nI should not be read.\r\n";
        let (answer, end) = exchange(Config::new(), request, describe);
        assert!(answer.ends_with(b"GET / "), "{}", answer.escape_ascii());
        assert_eq!(end.unwrap(), ConnectionEnd::ServerClosed);
    });
}

#[test]
fn a_get_may_have_a_body() {
    on_a_hub("get", || {
        let (mut peer, served) = serve_plainly(describe);
        let body = "I am a good request.";
        peer.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}{}",
            body.len(),
            get("/next")
        ));
        assert_eq!(peer.answer().text(), format!("GET / {body}"));
        assert_eq!(peer.answer().text(), "GET /next ");
        peer.end();
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::PeerClosed);
    });
}

#[test]
fn an_empty_line_behind_a_body_is_no_request() {
    on_a_hub("empty line", || {
        let (mut peer, served) = serve_plainly(describe);
        peer.send(post_sized("hello") + "\r\n");
        assert_eq!(peer.answer().text(), "POST / hello");
        let refused = peer.answer();
        assert_eq!((refused.status(), refused.closes()), (400, true));
        peer.was_refused(served);
    });
}

#[test]
fn bodies_of_all_lengths_arrive_whole_in_every_framing() {
    on_a_hub("lengths", || {
        let (mut peer, served) = serve_plainly(|request: &mut Request<'_>| {
            let body = request.read_body()?;
            assert!(body.iter().enumerate().all(|(at, byte)| *byte == at as u8));
            Ok::<_, BodyError>(body.len().to_string())
        });
        for length in [
            0,
            1,
            2,
            1023,
            1024,
            1025,
            4000,
            4095,
            4096,
            4097,
            8192,
            16_384,
            65_535,
            65_536,
            1 << 20,
        ] {
            let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let sized = post(&format!("Content-Length: {length}\r\n"), "");
            assert_eq!(
                peer.ask([sized.as_bytes(), &body].concat()).text(),
                length.to_string()
            );
            for piece in [length, 1000] {
                let mut chunked = post_chunked("").into_bytes();
                for chunk in body.chunks(piece.max(1)) {
                    chunked.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                    chunked.extend_from_slice(chunk);
                    chunked.extend_from_slice(b"\r\n");
                }
                chunked.extend_from_slice(b"0\r\n\r\n");
                assert_eq!(peer.ask(chunked).text(), length.to_string());
            }
        }
        peer.end();
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::PeerClosed);
    });
}

#[test]
fn a_body_that_comes_in_pieces_is_the_same_as_one_that_comes_at_once() {
    on_a_hub("pieces", || {
        let (mut peer, _served) = serve_plainly(describe);
        for request in [
            post_sized("qwert"),
            post_chunked("1\r\nq\r\n2\r\nwe\r\n2;a=\"b\"\r\nrt\r\n0\r\n\r\n"),
        ] {
            for byte in request.as_bytes() {
                peer.send([*byte]);
                kapok::yield_now();
            }
            assert_eq!(peer.answer().text(), "POST / qwert");
            for cut in 0..request.len() {
                peer.send(&request[..cut]);
                kapok::yield_now();
                peer.send(&request[cut..]);
                assert_eq!(peer.answer().text(), "POST / qwert", "cut at {cut}");
            }
        }
    });
}

#[test]
fn a_body_is_read_while_it_comes_in() {
    on_a_hub("streamed in", || {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let gate = Gate::default();
        let (handlers, opened) = (Rc::clone(&seen), gate.clone());
        let (mut peer, _served) = serve_plainly(move |request: &mut Request<'_>| {
            let mut body = request.body();
            let mut buffer = [0; 3];
            loop {
                let count = body.read(&mut buffer).unwrap();
                handlers.borrow_mut().extend_from_slice(&buffer[..count]);
                opened.open();
                if count == 0 {
                    assert_eq!(body.read(&mut buffer).unwrap(), 0, "the end stays the end");
                    return "read";
                }
            }
        });
        peer.send(post("Content-Length: 10\r\n", "abc"));
        gate.wait();
        assert_eq!(*seen.borrow(), b"abc", "before the rest was sent");
        peer.send("defghij");
        assert_eq!(peer.answer().text(), "read");
        assert_eq!(*seen.borrow(), b"abcdefghij");
    });
}

#[test]
fn a_body_can_be_read_by_lines_and_then_whole() {
    on_a_hub("lines", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let mut line = String::new();
            request.body().read_line(&mut line).unwrap();
            let first = request.body().fill_buf().unwrap()[0];
            request.body().consume(1);
            assert_eq!(request.body().read(&mut []).unwrap(), 0);
            let rest = request.read_body()?;
            assert_eq!(request.read_body()?, rest, "and the same again");
            assert!(request.body().fill_buf().unwrap().is_empty());
            Ok::<_, BodyError>(format!("{line}{}|{}", first as char, rest.escape_ascii()))
        });
        let lines = "first line\nsecond line\nthird";
        let expected = "first line\ns|econd line\\nthird";
        assert_eq!(peer.ask(post_sized(lines)).text(), expected);
        let chunks =
            "4\r\nfirs\r\n7\r\nt line\n\r\n1\r\ns\r\n11\r\necond line\nthird0\r\n0\r\n\r\n";
        let answer = peer.ask(post_chunked(chunks));
        assert_eq!(answer.text(), format!("{expected}0"));
    });
}

#[test]
fn what_is_known_of_a_body_before_it_is_read() {
    on_a_hub("known", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let copy = format!("{:?}", request.content_length());
            let whole = request.to_http()?;
            assert_eq!(whole.uri(), "/");
            Ok::<_, BodyError>(format!("{copy} {}", whole.body().len()))
        });
        assert_eq!(peer.ask(get("/")).text(), "Some(0) 0");
        assert_eq!(peer.ask(post("", "")).text(), "Some(0) 0");
        assert_eq!(peer.ask(post_sized("")).text(), "Some(0) 0");
        assert_eq!(peer.ask(post_sized("hello")).text(), "Some(5) 5");
        assert_eq!(peer.ask(post_chunked("0\r\n\r\n")).text(), "None 0");
    });
}

/// The body ends too early: the handler is told, the answer says why, and the connection ends.
fn check_cut_short(request: String) {
    let kinds = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&kinds);
    let (mut peer, served) = serve_plainly(move |request: &mut Request<'_>| {
        let error = request.read_body().expect_err("the body has no end");
        assert!(matches!(error, BodyError::Truncated), "{error:?}");
        let again = request.body().read(&mut [0; 8]).expect_err("it stays so");
        noted.borrow_mut().push(again.kind());
        Response::from(error)
    });
    peer.send(&request);
    peer.end();
    let answer = peer.answer();
    assert_eq!((answer.status(), answer.closes()), (400, true), "{request}");
    peer.sees_the_end();
    assert_eq!(*kinds.borrow(), [std::io::ErrorKind::UnexpectedEof]);
    assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
}

#[test]
fn a_body_cut_short_is_an_error_and_never_a_shorter_body() {
    on_a_hub("cut short", || {
        check_cut_short(post("Content-Length: 10\r\n", "12345"));
        check_cut_short(post("Content-Length: 10\r\n", ""));
        let chunked = "5\r\nhello\r\n0\r\n\r\n";
        for length in 0..chunked.len() {
            check_cut_short(post_chunked(&chunked[..length]));
        }
    });
}

#[test]
fn malformed_chunks_are_refused_with_the_reason() {
    on_a_hub("malformed", || {
        for chunks in [
            "g\r\nhello\r\n",
            "fffffffffffffffff\r\nhello\r\n",
            "10000000000000005\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "5\nhello\n0\n\n",
            "-5\r\nhello\r\n",
            "0x5\r\nhello\r\n",
            "5\r\nhello!\r\n",
            "5\r\nhell\r\n0\r\n\r\n",
            "0\r\nContent-Length: 5\r\n\r\n",
            "0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "0\r\n: a\r\n\r\n",
        ] {
            let request = post_chunked(chunks) + &get("/smuggled");
            let (answer, end) = exchange(Config::new(), request, describe);
            assert_eq!(status_of(&answer), 400, "{chunks:?}");
            let text = String::from_utf8(answer).unwrap();
            assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
            assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
            assert_eq!(end.unwrap(), ConnectionEnd::ServerClosed);
        }
    });
}

#[test]
fn the_largest_chunk_size_is_too_long_and_no_overflow() {
    on_a_hub("largest", || {
        for size in ["ffffffffffffffff", "7fffffffffffffff", "100001"] {
            let request = post_chunked(&format!("{size}\r\nhello"));
            let (answer, _) = exchange(Config::new(), request, describe);
            assert_eq!(status_of(&answer), 413, "{size}");
        }
        let request = post_chunked("2\r\nab\r\nffffffffffffffff\r\nhello");
        let (answer, _) = exchange(
            Config::new().body_bytes_max(u64::MAX),
            request,
            |r: &mut Request<'_>| {
                let mut buffer = Vec::new();
                r.body().take(7).read_to_end(&mut buffer).map(|_| "seven")
            },
        );
        assert!(status_of(&answer) >= 200);
    });
}

#[test]
fn a_handler_may_go_on_after_a_bad_body_and_answer_as_it_likes() {
    on_a_hub("ignored", || {
        let (mut peer, served) = serve_plainly(|request: &mut Request<'_>| {
            let is_bad = request.read_body().is_err();
            Response::text("teapot").with_status(if is_bad {
                StatusCode::IM_A_TEAPOT
            } else {
                StatusCode::OK
            })
        });
        let answer = peer.ask(post_chunked("x\r\n") + &get("/"));
        assert_eq!((answer.status(), answer.closes()), (418, true));
        peer.sees_the_end();
        drop(peer);
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
    });
}

/// Returns status and whether the connection lives on.
fn ask_for_body(peer: &mut Peer, request: String) -> (u16, bool) {
    let answer = peer.ask(request);
    (answer.status(), !answer.closes())
}

#[test]
fn a_handler_sets_another_limit_for_its_request() {
    on_a_hub("limit_body", || {
        let app = |request: &mut Request<'_>| {
            match request.path() {
                "/large" => request.limit_body(8),
                "/none" => request.limit_body(0),
                _ => {}
            }
            describe(request)
        };
        let to = |path: &str, body: &str| post_sized(body).replacen(" / ", &format!(" {path} "), 1);
        let config = Config::new().body_bytes_max(4);
        let (mut peer, _served) = serve(config.clone(), app);
        assert_eq!(ask_for_body(&mut peer, to("/", "1234")), (200, true));
        assert_eq!(
            ask_for_body(&mut peer, to("/large", "12345678")),
            (200, true)
        );
        assert_eq!(ask_for_body(&mut peer, to("/none", "")), (200, true));
        assert_eq!(ask_for_body(&mut peer, to("/", "12345")), (413, false));
        for (path, body) in [("/large", "123456789"), ("/none", "1")] {
            let (mut peer, _served) = serve(config.clone(), app);
            assert_eq!(ask_for_body(&mut peer, to(path, body)), (413, false));
        }
    });
}
