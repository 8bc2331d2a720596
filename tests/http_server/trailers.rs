//! Trailers behind chunked bodies, both ways.

use std::io::{ErrorKind, Read, Write};

use kapok::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};

use crate::peer::{get, post_chunked, post_sized, serve_plainly};
use crate::support::on_a_hub;

fn shown(trailers: Option<&HeaderMap>) -> String {
    let Some(trailers) = trailers else {
        return "none".to_owned();
    };
    let lines = trailers
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_bytes().escape_ascii()));
    lines.collect::<Vec<_>>().join(",")
}

#[test]
fn trailers_are_there_when_the_body_was_read() {
    on_a_hub("in", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            assert!(request.trailers().is_none(), "before the body");
            let mut byte = [0];
            let mut body = request.body();
            let count = body.read(&mut byte).unwrap();
            assert!(count == 0 || body.trailers().is_none(), "in the body");
            body.read_to_end(&mut Vec::new()).unwrap();
            let by_reader = shown(body.trailers());
            assert_eq!(by_reader, shown(request.trailers()));
            assert_eq!(request.headers().get("sum"), None, "they are no headers");
            by_reader
        });
        for (trailers, expected) in [
            ("", "none"),
            ("Sum: 1\r\n", "sum=1"),
            ("sum:\t1 \r\nSUM: 2\r\n", "sum=1,sum=2"),
            ("Empty:\r\n", "empty="),
            ("Sum: \u{e9}\r\n", "sum=\\xc3\\xa9"),
        ] {
            let answer = peer.ask(post_chunked(&format!("5\r\nhello\r\n0\r\n{trailers}\r\n")));
            assert_eq!(answer.text(), expected, "{trailers:?}");
        }
        assert_eq!(peer.ask(post_sized("hello")).text(), "none");
        assert_eq!(
            peer.ask(get("/")).text(),
            "none",
            "not those of the request before"
        );
    });
}

#[test]
fn trailers_come_in_pieces_too() {
    on_a_hub("pieces", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            request.read_body().unwrap();
            shown(request.trailers())
        });
        let request = post_chunked("1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\n");
        for cut in request.len() - 20..request.len() {
            peer.send(&request[..cut]);
            kapok::yield_now();
            peer.send(&request[cut..]);
            assert_eq!(peer.answer().text(), "a=b,c=d");
        }
    });
}

#[test]
fn trailers_that_would_change_the_request_are_refused() {
    on_a_hub("forbidden", || {
        for name in [
            "Content-Length",
            "Transfer-Encoding",
            "Host",
            "Authorization",
            "Content-Type",
            "Content-Encoding",
            "Cookie",
            "Set-Cookie",
            "Trailer",
            "Connection",
            "Expect",
            "Range",
        ] {
            let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
                request
                    .read_body()
                    .map(<[u8]>::len)
                    .map(|length| length.to_string())
            });
            let answer = peer.ask(post_chunked(&format!("1\r\na\r\n0\r\n{name}: 1\r\n\r\n")));
            assert_eq!((answer.status(), answer.closes()), (400, true), "{name}");
            peer.sees_the_end();
        }
    });
}

fn with_trailers(request: &mut Request<'_>) -> std::io::Result<Response> {
    let mut head = Response::text("").header(header::TRAILER, HeaderValue::from_static("x-sum"));
    if request.path() == "/sized" {
        head = head.header(header::CONTENT_LENGTH, HeaderValue::from_static("5"));
    }
    let mut trailers = HeaderMap::new();
    let name = HeaderName::from_static("x-sum");
    trailers.append(name.clone(), HeaderValue::from_static("header data"));
    trailers.append(name, HeaderValue::from_static("2"));
    let (_, mut writer) = request.start_response(head)?;
    writer.write_all(b"hello")?;
    writer.finish_with_trailers(&trailers)
}

#[test]
fn trailers_go_out_to_those_that_say_they_take_them() {
    on_a_hub("out", || {
        let (mut peer, _served) = serve_plainly(with_trailers);
        let sent = "x-sum: header data\nx-sum: 2\n";
        for (version, path, lines, expected) in [
            (1, "/", "TE: trailers\r\n", sent),
            (1, "/", "te: Trailers\r\n", sent),
            (1, "/", "TE: gzip;q=0.5, trailers\r\n", sent),
            (1, "/", "TE: gzip\r\nTE: trailers\r\n", sent),
            (1, "/", "", ""),
            (1, "/", "TE: gzip\r\n", ""),
            (1, "/sized", "TE: trailers\r\n", ""),
            (0, "/", "TE: trailers\r\nConnection: keep-alive\r\n", ""),
        ] {
            let answer = peer.ask(format!(
                "GET {path} HTTP/1.{version}\r\nHost: a\r\n{lines}\r\n"
            ));
            assert_eq!(answer.text(), "hello", "{version} {path} {lines:?}");
            assert_eq!(answer.trailers, expected, "{version} {path} {lines:?}");
        }
    });
}

#[test]
fn head_has_no_trailers() {
    on_a_hub("HEAD", || {
        let (mut peer, _served) = serve_plainly(with_trailers);
        peer.send("HEAD / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n");
        assert_eq!(peer.head().field("transfer-encoding"), Some("chunked"));
        assert_eq!(peer.ask(get("/")).text(), "hello");
    });
}

#[test]
fn a_handler_cannot_send_what_may_not_be_a_trailer() {
    on_a_hub("not allowed", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let mut trailers = HeaderMap::new();
            trailers.insert(header::HOST, HeaderValue::from_static("b"));
            let (_, writer) = request.start_response(Response::text(""))?;
            let error = writer.finish_with_trailers(&trailers).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            Err::<Response, _>(error)
        });
        let answer = peer.ask("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n");
        assert_eq!((answer.status(), answer.field("host")), (500, None));
    });
}
