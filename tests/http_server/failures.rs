//! Handlers that panic, and answers that break off.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kapok::http::{
    Answered, Body, Config, ConnectionEnd, HeaderValue, Observer, Request, Response, ServeError,
    Server, header, serve_connection,
};
use kapok::net::TcpListener;
use kapok::spawn;

use crate::peer::{Peer, describe, exchange, get, pair, post_sized, serve_plainly};
use crate::support::on_a_hub;

#[test]
fn a_panic_is_a_500_and_closes() {
    on_a_hub("panic", || {
        let (mut peer, served) = serve_plainly(|request: &mut Request<'_>| match request.path() {
            "/panic" => panic!("as planned"),
            _ => describe(request),
        });
        peer.send(get("/1") + &get("/panic") + &get("/2"));
        assert_eq!(peer.answer().text(), "GET /1 ");
        let answer = peer.answer();
        assert_eq!((answer.status(), answer.closes()), (500, true));
        assert!(!answer.text().contains("planned"), "{}", answer.text());
        peer.sees_the_end();
        drop(peer);
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::Panicked);
    });
}

#[test]
fn a_panic_in_head_has_no_body_and_one_in_the_middle_of_a_body_is_told() {
    on_a_hub("panic variants", || {
        let (mut peer, _served) =
            serve_plainly(|_: &mut Request<'_>| -> Response { panic!("as planned") });
        peer.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(peer.head().status(), 500);
        peer.sees_the_end();
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| -> Response {
            request.body().read_exact(&mut [0; 3]).unwrap();
            panic!("as planned")
        });
        let answer = peer.ask(post_sized("hello"));
        assert_eq!((answer.status(), answer.closes()), (500, true));
        peer.sees_the_end();
    });
}

#[test]
fn the_other_connections_live_on_after_a_panic() {
    on_a_hub("others", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let closing = listener.try_clone().unwrap();
        let server = spawn(move || {
            Server::new().serve(listener, |request: &mut Request<'_>| {
                assert_ne!(request.path(), "/panic", "as planned");
                describe(request)
            })
        });
        let mut steady = Peer::connect(address);
        for _ in 0..20 {
            assert_eq!(steady.ask(get("/")).status(), 200);
            let mut unlucky = Peer::connect(address);
            assert_eq!(unlucky.ask(get("/panic")).status(), 500);
            unlucky.sees_the_end();
        }
        assert_eq!(Peer::connect(address).ask(get("/")).status(), 200);
        closing.close();
        server.join().unwrap().unwrap();
        steady.sees_the_end();
    });
}

/// The body breaks off: what came is not whole by its own framing, and nothing follows.
fn check_broken_off(app: impl Fn(&mut Request<'_>) -> Response + 'static, expected: &str) {
    for version in [0, 1] {
        let mut request = format!("GET / HTTP/1.{version}\r\nHost: a\r\n\r\n");
        request += &get("/next");
        let (mut peer, stream) = pair();
        peer.send(&request);
        // Nobody reads meanwhile, so there is nothing to wait for.
        let config = Config::new().drain_timeout(Duration::from_millis(10));
        let end = serve_connection(stream, &config, &app);
        let came = String::from_utf8(peer.until_broken()).unwrap();
        let (head, body) = came.split_once("\r\n\r\n").unwrap_or((&came, ""));
        assert_eq!(came.matches("HTTP/1.1").count(), 1, "{came}");
        assert!(
            !body.contains("\r\n0\r\n") && !body.starts_with("0\r\n"),
            "{came}"
        );
        if let Some(length) = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
        {
            assert!(body.len() < length.parse().unwrap(), "{came}");
        }
        let end = end.expect_err("it broke off");
        assert_eq!(format!("{end:?}").split('(').next(), Some(expected));
    }
}

#[test]
fn an_answer_that_is_not_finished_breaks_off() {
    on_a_hub("unfinished", || {
        let begin = |request: &mut Request<'_>, length: Option<&'static str>| {
            let mut head = Response::text("");
            if let Some(length) = length {
                let length = HeaderValue::from_static(length);
                head = head.header(header::CONTENT_LENGTH, length);
            }
            let (_, mut writer) = request.start_response(head).unwrap();
            writer.write_all(b"half").unwrap();
        };
        check_broken_off(
            move |request: &mut Request<'_>| -> Response {
                begin(request, None);
                panic!("as planned")
            },
            "Unfinished",
        );
        check_broken_off(
            move |request: &mut Request<'_>| {
                begin(request, None);
                Response::text("forgotten")
            },
            "Unfinished",
        );
        check_broken_off(
            move |request: &mut Request<'_>| {
                begin(request, Some("8"));
                Response::text("forgotten")
            },
            "Unfinished",
        );
    });
}

#[test]
fn a_body_that_is_shorter_than_its_length_breaks_off() {
    on_a_hub("short", || {
        check_broken_off(
            |_: &mut Request<'_>| Response::text(Body::sized_reader(&b"half"[..], 8)),
            "Body",
        );
        check_broken_off(
            |request: &mut Request<'_>| {
                let length = HeaderValue::from_static("8");
                let head = Response::text("").header(header::CONTENT_LENGTH, length);
                let (_, mut writer) = request.start_response(head).unwrap();
                writer.write_all(b"half").unwrap();
                let error = writer.finish().unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                error.into()
            },
            "Unfinished",
        );
    });
}

#[test]
fn a_body_never_runs_over_its_length() {
    on_a_hub("overrun", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            if request.path() == "/sized" {
                return Response::text(Body::sized_reader(&b"longer"[..], 4));
            }
            let length = HeaderValue::from_static("4");
            let head = Response::text("").header(header::CONTENT_LENGTH, length);
            let (_, mut writer) = request.start_response(head).unwrap();
            writer.write_all(b"lo").unwrap();
            let error = writer.write_all(b"nge").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            writer.write_all(b"ng").unwrap();
            writer.write_all(b"").unwrap();
            assert!(writer.write(b"e").is_err());
            writer.finish().unwrap()
        });
        for path in ["/sized", "/started", "/sized"] {
            assert_eq!(peer.ask(get(path)).text(), "long", "{path}");
        }
    });
}

/// What it has got is a broken answer, whatever the handler makes of the error, and its next request is not handled for nothing.
#[test]
fn a_peer_that_goes_away_in_a_download_is_answered_no_more() {
    on_a_hub("goes away", || {
        let (told, handled) = (Told::default(), Rc::new(Cell::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let closing = listener.try_clone().unwrap();
        let (observer, count) = (told.clone(), Rc::clone(&handled));
        let server = spawn(move || {
            let handler = move |request: &mut Request<'_>| -> io::Result<Response> {
                count.set(count.get() + 1);
                let (_, mut writer) = request.start_response(Response::bytes(""))?;
                writer.write_all(&vec![b'x'; 64 << 20])?;
                writer.finish()
            };
            Server::new().observer(observer).serve(listener, handler)
        });
        let mut peer = Peer::connect(address);
        peer.send(get("/file") + &get("/next"));
        assert_eq!(peer.head().status(), 200);
        drop(peer);
        closing.close();
        server.join().unwrap().unwrap();
        assert_eq!(*told.0.lock().unwrap(), ["200 false", "closed false"]);
        assert_eq!(handled.get(), 1);
    });
}

/// Notes of each answer and each end of a connection whether it is as it should be.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Observer for Told {
    fn answered(&self, answered: &Answered<'_>) {
        let note = format!("{} {}", answered.status().as_u16(), answered.is_whole());
        self.0.lock().unwrap().push(note);
    }

    fn closed(&self, _: Option<SocketAddr>, end: &Result<ConnectionEnd, ServeError>) {
        (self.0.lock().unwrap()).push(format!("closed {}", end.is_ok()));
    }
}

struct Failing(Vec<u8>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::Error::other("as planned"));
        }
        let count = self.0.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0.drain(..count);
        Ok(count)
    }
}

#[test]
fn a_body_whose_reader_fails_breaks_off() {
    on_a_hub("reader fails", || {
        for bytes in [4, 100_000] {
            check_broken_off(
                move |_: &mut Request<'_>| {
                    Response::text(Body::from_reader(Failing(vec![b'x'; bytes])))
                },
                "Body",
            );
            check_broken_off(
                move |_: &mut Request<'_>| {
                    let reader = Failing(vec![b'x'; bytes]);
                    Response::text(Body::sized_reader(reader, bytes as u64 + 1))
                },
                "Body",
            );
        }
        // Not reached: the length is there before it fails.
        let (mut peer, _served) = serve_plainly(|_: &mut Request<'_>| {
            Response::text(Body::sized_reader(Failing(vec![b'x'; 4]), 4))
        });
        assert_eq!(peer.ask(get("/")).text(), "xxxx");
    });
}

#[test]
fn errors_turn_into_answers() {
    on_a_hub("errors", || {
        let (answer, end) = exchange(Config::new(), get("/"), |_: &mut Request<'_>| {
            let secret = io::Error::other("secret");
            let result: Result<Response, io::Error> = Err(secret);
            Response::from(result).header(header::CONNECTION, HeaderValue::from_static("close"))
        });
        let text = String::from_utf8(answer).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 500 ") && !text.contains("secret"),
            "{text}"
        );
        assert_eq!(end.unwrap(), ConnectionEnd::ServerClosed);
        let config = Config::new().body_bytes_max(1);
        let (answer, _) = exchange(config, post_sized("ab"), |request: &mut Request<'_>| {
            let mut text = String::new();
            request.body().read_to_string(&mut text)?;
            Ok::<_, io::Error>(text)
        });
        assert!(answer.starts_with(b"HTTP/1.1 413 "));
    });
}
