//! Responses: length, coding, and the fields that are the server's.

use std::io::Read;

use kapok::http::{Body, Config, HeaderName, HeaderValue, Request, Response, StatusCode, header};

use crate::peer::{describe, exchange, get, post_sized, serve_plainly};
use crate::support::on_a_hub;

/// How a handler makes its body of the text `foo bar baz`, or of none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    InMemory,
    Empty,
    FromReader,
    FromEmptyReader,
    SizedReader,
    Started,
    StartedWithLength,
}

const TEXT: &str = "foo bar baz";

fn make(request: &mut Request<'_>, made: Made, fields: &[(HeaderName, &'static str)]) -> Response {
    let response = |mut response: Response| {
        for (name, value) in fields {
            response = response.header(name.clone(), HeaderValue::from_static(value));
        }
        response
    };
    let start = |request: &mut Request<'_>, head: Response| {
        use std::io::Write;
        let (_, mut writer) = request.start_response(head).unwrap();
        for word in ["foo ", "bar ", "baz"] {
            writer.write_all(word.as_bytes()).unwrap();
        }
        writer.finish().unwrap()
    };
    match made {
        Made::InMemory => response(Response::text(TEXT)),
        Made::Empty => response(Response::text("")),
        Made::FromReader => response(Response::text(Body::from_reader(TEXT.as_bytes()))),
        Made::FromEmptyReader => response(Response::text(Body::from_reader(std::io::empty()))),
        Made::SizedReader => response(Response::text(Body::sized_reader(TEXT.as_bytes(), 11))),
        Made::Started => start(request, response(Response::text(""))),
        Made::StartedWithLength => {
            let length = HeaderValue::from_static("11");
            let head = Response::text("").header(header::CONTENT_LENGTH, length);
            start(request, response(head))
        }
    }
}

/// Answers one request, and looks for length, coding and body.
fn check(version: u8, made: Made, fields: &[(HeaderName, &'static str)], framing: &str) {
    let sent: Vec<_> = fields.to_vec();
    let request = format!("GET / HTTP/1.{version}\r\nHost: a\r\nConnection: close\r\n\r\n");
    let (answer, _) = exchange(Config::new(), request, move |request: &mut Request<'_>| {
        make(request, made, &sent)
    });
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let lines: Vec<_> = head
        .lines()
        .filter(|line| {
            let line = line.to_ascii_lowercase();
            line.starts_with("content-length") || line.starts_with("transfer-encoding")
        })
        .collect();
    assert_eq!(lines.join(","), framing, "{version} {made:?} {fields:?}");
    let text = match made {
        Made::Empty | Made::FromEmptyReader => "",
        _ => TEXT,
    };
    let body = match framing {
        "Transfer-Encoding: chunked" => unchunked(body),
        _ => body.to_owned(),
    };
    assert_eq!(body, text, "{version} {made:?} {fields:?}");
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        whole += &rest[..size];
        assert_eq!(&rest[size..size + 2], "\r\n");
        body = &rest[size + 2..];
        if size == 0 {
            assert_eq!(body, "");
            return whole;
        }
    }
}

const CHUNKED: &str = "Transfer-Encoding: chunked";
const ELEVEN: &str = "Content-Length: 11";

#[test]
fn the_server_tells_the_length_if_it_is_known_and_else_chunks() {
    on_a_hub("lengths", || {
        check(1, Made::InMemory, &[], ELEVEN);
        check(1, Made::Empty, &[], "Content-Length: 0");
        check(1, Made::SizedReader, &[], ELEVEN);
        check(1, Made::StartedWithLength, &[], ELEVEN);
        check(1, Made::FromReader, &[], CHUNKED);
        check(1, Made::FromEmptyReader, &[], CHUNKED);
        check(1, Made::Started, &[], CHUNKED);
    });
}

#[test]
fn a_handlers_own_framing_never_contradicts_the_body() {
    on_a_hub("own framing", || {
        for length in ["11", "0", "5", "99", "none", ""] {
            let fields = [(header::CONTENT_LENGTH, length)];
            check(1, Made::InMemory, &fields, ELEVEN);
            check(1, Made::Empty, &fields, "Content-Length: 0");
            check(1, Made::SizedReader, &fields, ELEVEN);
            check(1, Made::FromReader, &fields, CHUNKED);
        }
        for coding in ["chunked", "gzip", "gzip, chunked", "identity"] {
            let fields = [(header::TRANSFER_ENCODING, coding)];
            check(1, Made::InMemory, &fields, ELEVEN);
            check(1, Made::FromReader, &fields, CHUNKED);
            check(1, Made::Started, &fields, CHUNKED);
            check(1, Made::StartedWithLength, &fields, ELEVEN);
            check(0, Made::InMemory, &fields, ELEVEN);
            check(0, Made::FromReader, &fields, "");
            let both = [
                (header::TRANSFER_ENCODING, coding),
                (header::CONTENT_LENGTH, "11"),
            ];
            check(1, Made::InMemory, &both, ELEVEN);
        }
    });
}

#[test]
fn an_old_client_gets_no_chunks() {
    on_a_hub("1.0", || {
        check(0, Made::InMemory, &[], ELEVEN);
        check(0, Made::Empty, &[], "Content-Length: 0");
        check(0, Made::SizedReader, &[], ELEVEN);
        check(0, Made::StartedWithLength, &[], ELEVEN);
        check(0, Made::FromReader, &[], "");
        check(0, Made::FromEmptyReader, &[], "");
        check(0, Made::Started, &[], "");
    });
}

const KINDS: [Made; 7] = [
    Made::InMemory,
    Made::Empty,
    Made::FromReader,
    Made::FromEmptyReader,
    Made::SizedReader,
    Made::Started,
    Made::StartedWithLength,
];

#[test]
fn head_is_answered_like_get_without_the_body() {
    on_a_hub("HEAD", || {
        for version in [0, 1] {
            for made in KINDS {
                let (mut peer, _served) =
                    serve_plainly(move |request: &mut Request<'_>| make(request, made, &[]));
                let request =
                    format!(" / HTTP/1.{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
                peer.send(format!("HEAD{request}"));
                let head = peer.head();
                // What comes next is the next answer, not a body.
                peer.send(format!("GET{request}"));
                let get = peer.head();
                let framing = |head: &str| {
                    let lines: Vec<_> = head
                        .lines()
                        .filter(|line| line.contains("Length") || line.contains("Encoding"))
                        .map(str::to_owned)
                        .collect();
                    lines
                };
                assert_eq!(
                    framing(&head.head),
                    framing(&get.head),
                    "{version} {made:?}"
                );
                assert_eq!(head.status(), 200);
            }
        }
    });
}

#[test]
fn a_head_answer_without_a_body_may_declare_the_length_of_get() {
    on_a_hub("HEAD length", || {
        let (mut peer, _served) = serve_plainly(|_: &mut Request<'_>| {
            Response::new(StatusCode::OK)
                .header(header::CONTENT_LENGTH, HeaderValue::from_static("1024"))
        });
        peer.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(peer.head().field("content-length"), Some("1024"));
        let answer = peer.ask(get("/"));
        assert_eq!(answer.field("content-length"), Some("0"));
    });
}

#[test]
fn statuses_without_content_have_none_whatever_the_handler_gives() {
    on_a_hub("no content", || {
        for status in [204, 205, 304] {
            for made in KINDS {
                if made == Made::StartedWithLength && status == 205 {
                    continue; // Its own test.
                }
                let status = StatusCode::from_u16(status).unwrap();
                let (mut peer, _served) = serve_plainly(move |request: &mut Request<'_>| {
                    if request.path() == "/next" {
                        return Response::text("next");
                    }
                    match made {
                        Made::Started | Made::StartedWithLength => {
                            let head = Response::new(status);
                            let (_, writer) = request.start_response(head).unwrap();
                            writer.finish().unwrap()
                        }
                        _ => make(request, made, &[]).with_status(status),
                    }
                });
                let answer = peer.ask(get("/"));
                assert_eq!(answer.status(), status.as_u16());
                assert_eq!(answer.field("transfer-encoding"), None, "{status} {made:?}");
                let length = (status == StatusCode::RESET_CONTENT).then_some("0");
                assert_eq!(answer.field("content-length"), length, "{status} {made:?}");
                assert!(!answer.closes(), "{status} {made:?}");
                assert_eq!(peer.ask(get("/next")).text(), "next", "{status} {made:?}");
            }
        }
    });
}

#[test]
fn an_informational_status_as_the_answer_is_a_500() {
    on_a_hub("1xx", || {
        for status in [100, 101, 102, 103, 199] {
            let status = StatusCode::from_u16(status).unwrap();
            for made in KINDS {
                if matches!(made, Made::Started | Made::StartedWithLength) {
                    continue;
                }
                let (mut peer, _served) = serve_plainly(move |request: &mut Request<'_>| {
                    make(request, made, &[]).with_status(status)
                });
                for _ in 0..2 {
                    let answer = peer.ask(get("/"));
                    assert_eq!(answer.status(), 500, "{status} {made:?}");
                    assert!(!answer.closes() || made == Made::FromReader);
                }
            }
        }
    });
}

#[test]
fn each_answer_has_one_date() {
    on_a_hub("date", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let own = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
            let response = Response::text("dated");
            match request.path() {
                "/own" => response.header(header::DATE, own),
                "/twice" => response
                    .header(header::DATE, own.clone())
                    .header(header::DATE, own),
                _ => response,
            }
        });
        let old = "Sun, 06 Nov 1994 08:49:37 GMT";
        for path in ["/", "/own", "/twice", "/"] {
            let answer = peer.ask(get(path));
            let date = answer.field("date").expect("a date");
            assert_eq!(date.len(), old.len());
            assert!(date.ends_with(" GMT"));
            assert_eq!(date == old, path.len() > 1, "{path}: {date}");
        }
        let refused = peer.ask("GET /\r\n\r\n");
        assert!(refused.field("date").is_some());
    });
}

#[test]
fn fields_arrive_in_order_and_repeated() {
    on_a_hub("fields", || {
        let (mut peer, _served) = serve_plainly(|_: &mut Request<'_>| {
            Response::html("a")
                .header(header::SET_COOKIE, HeaderValue::from_static("a=b"))
                .header(header::SET_COOKIE, HeaderValue::from_static("c=d"))
                .header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))
                .header(header::CONNECTION, HeaderValue::from_static("x-own"))
                .header(
                    header::SERVER,
                    HeaderValue::from_bytes(b"\xe9t\xe9").unwrap(),
                )
        });
        peer.send(get("/"));
        let head = String::from_utf8_lossy(&peer.exactly(17)).into_owned();
        assert_eq!(head, "HTTP/1.1 200 OK\r\n");
        let mut lines = Vec::new();
        for _ in 0..5 {
            let line = match lines.len() {
                4 => {
                    String::from_utf8_lossy(&peer.exactly("server: \0\0\0\r\n".len())).into_owned()
                }
                _ => peer.line(),
            };
            lines.push(line.trim_end().to_owned());
        }
        assert_eq!(lines[0], "set-cookie: a=b");
        assert_eq!(lines[1], "set-cookie: c=d");
        assert_eq!(lines[2], "content-type: text/plain");
        assert_eq!(lines[3], "connection: x-own");
        assert_eq!(lines[4], "server: \u{fffd}t\u{fffd}");
    });
}

#[test]
fn large_bodies_of_each_kind_arrive_whole() {
    on_a_hub("large", || {
        const BYTES: usize = 3 << 20;
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let pattern = || std::io::repeat(b'x').take(BYTES as u64);
            match request.path() {
                "/memory" => Response::bytes(vec![b'x'; BYTES]),
                "/sized" => Response::bytes(Body::sized_reader(pattern(), BYTES as u64)),
                _ => Response::bytes(Body::from_reader(pattern())),
            }
        });
        for path in ["/memory", "/sized", "/chunked", "/memory"] {
            let answer = peer.ask(get(path));
            assert_eq!(answer.body.len(), BYTES, "{path}");
            assert!(answer.body.iter().all(|byte| *byte == b'x'));
        }
    });
}

#[test]
fn an_unknown_status_has_an_empty_reason() {
    on_a_hub("599", || {
        let (mut peer, _served) =
            serve_plainly(|_: &mut Request<'_>| Response::new(StatusCode::from_u16(599).unwrap()));
        assert!(peer.ask(get("/")).head.starts_with("HTTP/1.1 599 \r\n"));
    });
}

#[test]
fn an_old_client_is_answered_in_the_servers_version() {
    on_a_hub("version", || {
        let (answer, _) = exchange(Config::new(), "GET / HTTP/1.0\r\n\r\n", describe);
        let text = String::from_utf8(answer).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        let (mut peer, _served) = serve_plainly(describe);
        assert_eq!(peer.ask(post_sized("a")).text(), "POST / a");
    });
}
