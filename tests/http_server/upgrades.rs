//! Connections that leave HTTP: upgrades and tunnels.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Duration;

use kapok::http::{Config, ConnectionEnd, HeaderValue, Request, Response, StatusCode, header};

use crate::peer::{Gate, describe, get, serve, serve_plainly};
use crate::support::on_a_hub;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: foobar\r\nConnection: upgrade\r\n\r\n";

/// Switches to a protocol that sends one word, and keeps what it reads to the end.
fn switching(
    read: &Rc<RefCell<Vec<u8>>>,
) -> impl Fn(&mut Request<'_>) -> Response + 'static + use<> {
    let read = Rc::clone(read);
    move |_: &mut Request<'_>| {
        let read = Rc::clone(&read);
        Response::switch("foobar", move |mut stream| {
            stream.write_all(b"foo=bar").unwrap();
            stream.read_to_end(&mut read.borrow_mut()).unwrap();
            stream.write_all(b"all read").unwrap();
        })
        .header(header::SERVER, HeaderValue::from_static("own"))
    }
}

#[test]
fn what_comes_behind_the_request_is_read_first() {
    on_a_hub("upgrade", || {
        let read = Rc::default();
        let (mut peer, served) = serve_plainly(switching(&read));
        peer.send(UPGRADE.to_owned() + "eagerly optimistic ");
        let head = peer.head();
        assert_eq!(head.status(), 101);
        assert_eq!(head.field("upgrade"), Some("foobar"));
        assert_eq!(head.field("connection"), Some("upgrade"));
        assert_eq!(head.field("server"), Some("own"));
        assert_eq!(head.field("content-length"), None);
        assert_eq!(head.field("transfer-encoding"), None);
        assert_eq!(peer.exactly(7), b"foo=bar");
        peer.send("bar=foo");
        peer.end();
        assert_eq!(peer.rest(), b"all read");
        assert_eq!(*read.borrow(), b"eagerly optimistic bar=foo");
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::Switched);
    });
}

#[test]
fn answers_before_the_switch_arrive_and_requests_behind_it_are_not_parsed() {
    on_a_hub("in a batch", || {
        let read = Rc::default();
        let switch = switching(&read);
        let (mut peer, _served) = serve_plainly(move |request: &mut Request<'_>| {
            let is_offered = request.upgrades().next().is_some();
            match is_offered {
                true => switch(request),
                false => describe(request),
            }
        });
        peer.send(get("/1") + UPGRADE + &get("/2"));
        assert_eq!(peer.answer().text(), "GET /1 ");
        assert_eq!(peer.head().status(), 101);
        peer.end();
        assert_eq!(peer.rest(), b"foo=barall read");
        assert_eq!(*read.borrow(), get("/2").as_bytes());
    });
}

#[test]
fn a_long_stream_goes_both_ways() {
    on_a_hub("long", || {
        const BYTES: usize = 1 << 20;
        let (mut peer, _served) = serve_plainly(|_: &mut Request<'_>| {
            Response::switch("foobar", |stream| {
                let mut buffer = [0; 1000];
                loop {
                    match (&stream).read(&mut buffer).unwrap() {
                        0 => return,
                        count => (&stream).write_all(&buffer[..count]).unwrap(),
                    }
                }
            })
        });
        // Some of it behind the request, in one write with it.
        let bytes: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
        let mut writer = peer.stream.try_clone().unwrap();
        let sent = [UPGRADE.as_bytes(), &bytes].concat();
        let sending = kapok::spawn(move || writer.write_all(&sent).unwrap());
        assert_eq!(peer.head().status(), 101);
        assert!(peer.exactly(BYTES) == bytes);
        sending.join().unwrap();
        peer.end();
        peer.sees_the_end();
    });
}

#[test]
fn an_offer_that_the_handler_does_not_take_is_ignored() {
    on_a_hub("ignored", || {
        let (mut peer, _served) = serve_plainly(describe);
        for _ in 0..2 {
            let answer = peer.ask(UPGRADE);
            assert_eq!((answer.status(), answer.closes()), (200, false));
        }
    });
}

#[test]
fn the_offered_protocols_are_told_if_the_request_may_be_upgraded() {
    on_a_hub("offers", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            request.upgrades().collect::<Vec<_>>().join("+")
        });
        for (version, lines, expected) in [
            (1, "Connection: upgrade\r\nUpgrade: a\r\n", "a"),
            (
                1,
                "Connection: Upgrade\r\nUpgrade: a, b/1 ,,c\r\nUPGRADE: d\r\n",
                "a+b/1+c+d",
            ),
            (
                1,
                "Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n",
                "websocket",
            ),
            (1, "Upgrade: a\r\n", ""),
            (1, "Connection: upgrade\r\n", ""),
            (0, "Connection: keep-alive, upgrade\r\nUpgrade: a\r\n", ""),
        ] {
            let request = format!("GET / HTTP/1.{version}\r\nHost: a\r\n{lines}\r\n");
            assert_eq!(peer.ask(request).text(), expected, "{lines}");
        }
        let with_body = "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a\r\n\
                         Content-Length: 1\r\n\r\nx";
        assert_eq!(peer.ask(with_body).text(), "");
    });
}

#[test]
fn a_switch_that_was_not_asked_for_is_a_500() {
    on_a_hub("unasked", || {
        let read = Rc::default();
        let (mut peer, mut _served) = serve_plainly(switching(&read));
        for request in [
            get("/"),
            UPGRADE.replace("foobar", "other"),
            UPGRADE.replace("foobar", "foobarbaz"),
            UPGRADE.replace("Connection: upgrade", "Connection: x"),
            UPGRADE.replace("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx"),
            UPGRADE.replace(
                "\r\n\r\n",
                "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ),
            UPGRADE
                .replace("HTTP/1.1", "HTTP/1.0")
                .replace("Connection: upgrade", "Connection: keep-alive, upgrade"),
        ] {
            let answer = peer.ask(&request);
            // A chunked body that nobody reads ends the connection.
            let is_chunked = request.contains("chunked");
            assert_eq!(
                (answer.status(), answer.closes()),
                (500, is_chunked),
                "{request}"
            );
            if is_chunked {
                peer.sees_the_end();
                (peer, _served) = serve_plainly(switching(&read));
            }
        }
        // The name may be in any case, and one of several.
        peer.send(UPGRADE.replace("foobar", "x, FooBar"));
        assert_eq!(peer.head().status(), 101);
        peer.end();
        assert_eq!(peer.rest(), b"foo=barall read");
    });
}

fn tunnel(request: &mut Request<'_>) -> Response {
    match request.path() {
        "" => {
            let target = request.target().to_owned();
            Response::tunnel(move |mut stream| {
                stream.write_all(target.as_bytes()).unwrap();
                std::io::copy(&mut (&stream).take(18), &mut &stream).unwrap();
            })
        }
        _ => Response::text("no tunnel"),
    }
}

#[test]
fn connect_opens_a_tunnel_if_it_is_allowed() {
    on_a_hub("CONNECT", || {
        let (mut peer, served) = serve(Config::new().connect(true), tunnel);
        peer.send(
            get("/")
                + "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\neagerly optimistic",
        );
        assert_eq!(peer.answer().text(), "no tunnel");
        let head = peer.head();
        assert_eq!(head.status(), 200);
        for name in [
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
        ] {
            assert_eq!(head.field(name), None);
        }
        assert_eq!(peer.rest(), b"localhost:80eagerly optimistic");
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::Switched);
    });
}

#[test]
fn connect_is_501_by_default_and_any_other_answer_refuses_the_tunnel() {
    on_a_hub("no CONNECT", || {
        let connect = "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n";
        let (mut peer, _served) = serve_plainly(tunnel);
        let answer = peer.ask(connect);
        assert_eq!((answer.status(), answer.closes()), (501, true));
        peer.sees_the_end();
        // A 2xx of another kind would be taken for a tunnel.
        let allowed = Config::new().connect(true);
        for (status, expected) in [(200, 500), (204, 500), (403, 403), (502, 502)] {
            let (mut peer, _served) = serve(allowed.clone(), move |_: &mut Request<'_>| {
                Response::text("refused").with_status(StatusCode::from_u16(status).unwrap())
            });
            for _ in 0..2 {
                assert_eq!(peer.ask(connect).status(), expected, "{status}");
            }
        }
        let (mut peer, _served) = serve(allowed, |_: &mut Request<'_>| {
            Response::tunnel(|_| unreachable!("nobody asked for a tunnel"))
        });
        assert_eq!(peer.ask(get("/")).status(), 500);
    });
}

#[test]
fn the_limits_of_time_do_not_hold_for_what_follows() {
    on_a_hub("no timeouts", || {
        let short = Duration::from_millis(20);
        let config = Config::new()
            .idle_timeout(short)
            .head_timeout(short)
            .body_timeout(short);
        let gate = Gate::default();
        let begun = gate.clone();
        let (mut peer, served) = serve(config, move |_: &mut Request<'_>| {
            let begun = begun.clone();
            Response::switch("foobar", move |mut stream| {
                begun.open();
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                stream.write_all(&byte).unwrap();
            })
        });
        let (first, rest) = UPGRADE.split_at(30);
        peer.send(first);
        kapok::yield_now();
        peer.send(rest);
        peer.head();
        gate.wait();
        peer.hears_nothing_for(short * 3);
        peer.send("x");
        assert_eq!(peer.rest(), b"x");
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::Switched);
    });
}
