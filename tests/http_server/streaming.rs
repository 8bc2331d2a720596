//! Responses whose handler writes them piece by piece, also while the request comes in.

use std::io::{self, BufWriter, Read, Write};

use kapok::http::{Config, ConnectionEnd, HeaderValue, Request, Response, StatusCode, header};

use crate::peer::{Gate, get, post, post_chunked, post_sized, serve_plainly};
use crate::support::on_a_hub;
use crate::watched::{Event, serve_watched};

fn echo(request: &mut Request<'_>) -> io::Result<Response> {
    let (mut body, mut writer) = request.start_response(Response::bytes(""))?;
    io::copy(&mut body, &mut writer)?;
    writer.finish()
}

#[test]
fn each_piece_arrives_before_the_next_is_made() {
    on_a_hub("pieces", || {
        let (first, second) = (Gate::default(), Gate::default());
        let gates = [first.clone(), second.clone()];
        let (mut peer, _served) = serve_plainly(move |request: &mut Request<'_>| {
            let (_, mut writer) = request.start_response(Response::text(""))?;
            for gate in &gates {
                writer.write_all(b"piece")?;
                gate.wait();
            }
            writer.finish()
        });
        peer.send(get("/"));
        assert_eq!(peer.head().field("transfer-encoding"), Some("chunked"));
        assert_eq!(peer.exactly(10), b"5\r\npiece\r\n");
        first.open();
        assert_eq!(peer.exactly(10), b"5\r\npiece\r\n");
        second.open();
        assert_eq!(peer.exactly(5), b"0\r\n\r\n");
    });
}

#[test]
fn the_head_goes_out_by_a_flush() {
    on_a_hub("flush", || {
        let gate = Gate::default();
        let waits = gate.clone();
        let (mut peer, _served) = serve_plainly(move |request: &mut Request<'_>| {
            let (_, mut writer) = request.start_response(Response::text(""))?;
            writer.flush()?;
            waits.wait();
            writer.finish()
        });
        peer.send(get("/"));
        assert_eq!(peer.head().status(), 200);
        gate.open();
        assert_eq!(peer.exactly(5), b"0\r\n\r\n");
    });
}

#[test]
fn a_body_goes_back_while_it_comes_in() {
    on_a_hub("both ways", || {
        let (mut peer, _served) = serve_plainly(echo);
        peer.send(post_chunked(""));
        assert_eq!(peer.head().status(), 200);
        for word in ["one", "three", "and a longer one"] {
            peer.send(format!("{:x}\r\n{word}\r\n", word.len()));
            let size = peer.line();
            assert_eq!(usize::from_str_radix(&size, 16).unwrap(), word.len());
            assert_eq!(
                peer.exactly(word.len() + 2),
                format!("{word}\r\n").as_bytes()
            );
        }
        peer.send("0\r\n\r\n");
        assert_eq!(peer.exactly(5), b"0\r\n\r\n");
        let body = "x".repeat(300_000);
        assert_eq!(peer.ask(post_sized(&body)).text(), body);
    });
}

#[test]
fn a_hundred_pieces_are_a_hundred_chunks() {
    on_a_hub("hundred", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let (_, mut writer) = request.start_response(Response::text(""))?;
            for _ in 0..100 {
                writer.write_all(&[b'x'; 1000])?;
                // An empty piece must not be the last chunk.
                assert_eq!(writer.write(b"")?, 0);
            }
            writer.finish()
        });
        peer.send(get("/"));
        peer.head();
        for _ in 0..100 {
            assert_eq!(peer.line(), "3e8");
            assert_eq!(peer.exactly(1002), [&[b'x'; 1000][..], b"\r\n"].concat());
        }
        assert_eq!(peer.exactly(5), b"0\r\n\r\n");
    });
}

#[test]
fn small_writes_are_put_together_by_a_buffer_around_them() {
    on_a_hub("buffered", || {
        let (mut peer, served, events) =
            serve_watched(Config::new(), |request: &mut Request<'_>| {
                let (_, mut writer) = request.start_response(Response::text(""))?;
                {
                    let mut buffered = BufWriter::new(&mut writer);
                    for number in 0..100 {
                        write!(buffered, "{number} ")?;
                    }
                    buffered.flush()?;
                }
                writer.finish()
            });
        assert!(peer.ask(get("/")).text().ends_with(" 98 99 "));
        peer.end();
        served.join().unwrap().unwrap();
        let writes = events.wait_for(1, |event| matches!(event, Event::Wrote(_)));
        assert!(writes.len() <= 3, "{writes:?}");
    });
}

#[test]
fn what_cannot_be_started_is_refused_and_another_answer_is_possible() {
    on_a_hub("refused", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let wrong = match request.path() {
                "/body" => Response::text("has a body"),
                "/1xx" => Response::new(StatusCode::EARLY_HINTS),
                _ => Response::new(StatusCode::SWITCHING_PROTOCOLS),
            };
            let error = request.start_response(wrong).map(drop).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            Response::text("another")
        });
        for path in ["/body", "/1xx", "/101"] {
            assert_eq!(peer.ask(get(path)).text(), "another");
        }
    });
}

#[test]
fn a_response_is_started_once() {
    on_a_hub("once", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let (_, writer) = request.start_response(Response::text(""))?;
            let finished = writer.finish()?;
            let again = request.start_response(Response::text("")).map(drop);
            assert_eq!(again.unwrap_err().kind(), io::ErrorKind::InvalidInput);
            let hints = Response::new(StatusCode::EARLY_HINTS);
            let late = request.send_informational(&hints).unwrap_err();
            assert_eq!(late.kind(), io::ErrorKind::InvalidInput);
            Ok::<_, io::Error>(finished)
        });
        for _ in 0..2 {
            assert_eq!(peer.ask(get("/")).text(), "");
        }
    });
}

#[test]
fn a_finished_response_that_is_not_returned_is_still_whole() {
    on_a_hub("dropped", || {
        let (mut peer, served) = serve_plainly(|request: &mut Request<'_>| {
            let (_, mut writer) = request.start_response(Response::text("")).unwrap();
            writer.write_all(b"whole").unwrap();
            drop(writer.finish().unwrap());
            Response::text("another")
        });
        peer.send(get("/"));
        // Never two answers to one request.
        let came = String::from_utf8(peer.until_broken()).unwrap();
        assert_eq!(came.matches("HTTP/1.1").count(), 1, "{came}");
        assert!(!came.contains("another"), "{came}");
        drop(peer);
        assert!(served.join().unwrap().is_err());
    });
}

#[test]
fn to_an_old_client_the_end_of_the_body_is_that_of_the_connection() {
    on_a_hub("1.0", || {
        let (mut peer, served) = serve_plainly(|request: &mut Request<'_>| {
            let (_, mut writer) = request.start_response(Response::text(""))?;
            writer.write_all(b"one ")?;
            writer.write_all(b"two")?;
            writer.finish()
        });
        peer.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let head = peer.head();
        assert!(head.closes());
        assert_eq!(peer.rest(), b"one two");
        drop(peer);
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
    });
}

#[test]
fn an_answer_that_is_started_before_the_body_is_read_still_drains_or_closes() {
    on_a_hub("unread", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let (_, writer) = request.start_response(Response::text(""))?;
            writer.finish()
        });
        for _ in 0..2 {
            assert!(!peer.ask(post_sized("unread")).closes());
        }
        // The answer's head was out before anybody knew that the body would not be read.
        let answer = peer.ask(post("Content-Length: 1000000\r\n", "x"));
        assert_eq!(answer.text(), "");
        peer.sees_the_end();
    });
}

#[test]
fn a_declared_length_and_a_close_of_the_handlers_own_are_kept() {
    on_a_hub("declared", || {
        let (mut peer, served) = serve_plainly(|request: &mut Request<'_>| {
            let head = Response::text("")
                .header(header::CONTENT_LENGTH, HeaderValue::from_static("8"))
                .header(header::CONNECTION, HeaderValue::from_static("close"));
            let (_, mut writer) = request.start_response(head)?;
            writer.write_all(b"four")?;
            writer.write_all(b"more")?;
            writer.finish()
        });
        let answer = peer.ask(get("/"));
        assert_eq!((answer.text(), answer.closes()), ("fourmore", true));
        assert_eq!(answer.field("content-length"), Some("8"));
        peer.sees_the_end();
        drop(peer);
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
    });
}

#[test]
fn reading_and_writing_may_take_turns() {
    on_a_hub("turns", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let (mut body, mut writer) = request.start_response(Response::bytes(""))?;
            let mut all = Vec::new();
            body.by_ref().take(4).read_to_end(&mut all)?;
            writer.write_all(&all)?;
            all.clear();
            body.read_to_end(&mut all)?;
            writer.write_all(&all)?;
            writer.finish()
        });
        peer.send(post("Content-Length: 9\r\n", "four"));
        peer.head();
        assert_eq!(peer.exactly(9), b"4\r\nfour\r\n");
        peer.send("and m");
        assert_eq!(peer.exactly(15), b"5\r\nand m\r\n0\r\n\r\n");
    });
}
