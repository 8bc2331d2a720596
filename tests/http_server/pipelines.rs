//! Requests that come before their predecessors are answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kapok::http::{Body, Config, ConnectionEnd, Request, Response};

use crate::peer::{Gate, describe, get, post_chunked, post_sized, serve, serve_plainly};
use crate::support::on_a_hub;
use crate::watched::{Event, serve_watched};

#[test]
fn answers_to_a_batch_come_with_one_write() {
    on_a_hub("one write", || {
        let (mut peer, served, events) = serve_watched(Config::new(), describe);
        peer.send(get("/1") + &get("/2") + &post_sized("three"));
        peer.end();
        for text in ["GET /1 ", "GET /2 ", "POST / three"] {
            assert_eq!(peer.answer().text(), text);
        }
        peer.sees_the_end();
        served.join().unwrap().unwrap();
        let writes = events.wait_for(1, |event| matches!(event, Event::Wrote(_)));
        assert_eq!(writes.len(), 1, "{writes:?}");
    });
}

#[test]
fn requests_are_handled_one_after_the_other_and_answered_in_order() {
    on_a_hub("order", || {
        let running = Rc::new(Cell::new(false));
        let order = Rc::new(RefCell::new(Vec::new()));
        let (is_running, noted) = (Rc::clone(&running), Rc::clone(&order));
        let (mut peer, _served) = serve_plainly(move |request: &mut Request<'_>| {
            assert!(!is_running.replace(true), "two at once");
            for _ in 0..request.path().len() * 7 % 5 {
                kapok::yield_now();
            }
            noted.borrow_mut().push(request.path().to_owned());
            is_running.set(false);
            match request.path().len() % 3 {
                0 => Response::text(request.path().to_owned()),
                1 => Response::text(Body::from_reader(std::io::Cursor::new(
                    request.path().to_owned(),
                ))),
                _ => {
                    use std::io::Write;
                    let path = request.path();
                    let (_, mut writer) = request.start_response(Response::text("")).unwrap();
                    writer.write_all(path.as_bytes()).unwrap();
                    writer.finish().unwrap()
                }
            }
        });
        let paths: Vec<_> = (1..200)
            .map(|number| format!("/{}", "x".repeat(number)))
            .collect();
        let sender = paths.clone();
        let mut other = peer.stream.try_clone().unwrap();
        let sending = kapok::spawn(move || {
            use std::io::Write;
            for path in sender {
                other.write_all(get(&path).as_bytes()).unwrap();
            }
        });
        for path in &paths {
            assert_eq!(peer.answer().text(), path);
        }
        sending.join().unwrap();
        assert_eq!(*order.borrow(), paths);
    });
}

#[test]
fn what_follows_a_request_that_closes_is_not_handled() {
    on_a_hub("behind close", || {
        let seen = Rc::new(Cell::new(0));
        let count = Rc::clone(&seen);
        let (mut peer, served) = serve_plainly(move |request: &mut Request<'_>| {
            count.set(count.get() + 1);
            describe(request)
        });
        let closing = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        peer.send(get("/first") + closing + &get("/never").repeat(1000));
        assert!(!peer.answer().closes());
        assert!(peer.answer().closes());
        peer.sees_the_end();
        drop(peer);
        assert_eq!(seen.get(), 2);
        assert_eq!(served.join().unwrap().unwrap(), ConnectionEnd::ServerClosed);
    });
}

#[test]
fn the_answers_before_a_refused_request_arrive() {
    on_a_hub("before a refusal", || {
        let (mut peer, served) = serve_plainly(describe);
        peer.send(get("/1") + &post_chunked("1\r\na\r\n0\r\n\r\n") + "BAD\r\n\r\n" + &get("/2"));
        assert_eq!(peer.answer().text(), "GET /1 ");
        assert_eq!(peer.answer().text(), "POST / a");
        assert_eq!(peer.answer().status(), 400);
        peer.was_refused(served);
    });
}

#[test]
fn after_so_many_answers_they_are_written() {
    on_a_hub("pipelined_max", || {
        for most in [1, 2, 3, 64] {
            let gate = Gate::default();
            let (waits, count) = (gate.clone(), Cell::new(0));
            let config = Config::new().pipelined_max(most);
            let (mut peer, _served) = serve(config, move |_: &mut Request<'_>| {
                count.set(count.get() + 1);
                if count.get() == most + 1 {
                    waits.wait();
                }
                count.get().to_string()
            });
            peer.send(get("/").repeat(most + 2));
            for number in 1..=most {
                assert_eq!(peer.answer().text(), number.to_string());
            }
            gate.open();
            assert_eq!(peer.answer().text(), (most + 1).to_string());
            assert_eq!(peer.answer().text(), (most + 2).to_string());
        }
    });
}

#[test]
fn long_answers_are_written_before_all_requests_are_answered() {
    on_a_hub("long answers", || {
        let gate = Gate::default();
        let (waits, count) = (gate.clone(), Cell::new(0));
        let config = Config::new().pipelined_max(usize::MAX);
        let (mut peer, _served) = serve(config, move |_: &mut Request<'_>| {
            count.set(count.get() + 1);
            if count.get() == 10 {
                waits.wait();
            }
            Response::bytes(vec![b'x'; 10_000])
        });
        peer.send(get("/").repeat(12));
        // 64 KiB are seven of these.
        for _ in 0..7 {
            assert_eq!(peer.answer().body.len(), 10_000);
        }
        gate.open();
        for _ in 7..12 {
            assert_eq!(peer.answer().body.len(), 10_000);
        }
    });
}

#[test]
fn a_peer_that_pipelines_without_end_and_never_reads_costs_a_bounded_memory() {
    on_a_hub("backpressure", || {
        let seen = Rc::new(Cell::new(0_usize));
        let count = Rc::clone(&seen);
        let (peer, served) = serve_plainly(move |_: &mut Request<'_>| {
            count.set(count.get() + 1);
            Response::bytes(vec![b'x'; 30_000])
        });
        // The peer's writes stop when the server's do: both buffers are full.
        let batch = get("/").repeat(100);
        let mut sent = 0;
        loop {
            use std::io::Write;
            let pause = std::time::Duration::from_millis(100);
            peer.stream.set_write_timeout(Some(pause)).unwrap();
            match (&peer.stream).write(batch.as_bytes()) {
                Ok(count) => sent += count,
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
                    break;
                }
            }
            assert!(sent < 1 << 30, "the server takes requests without end");
        }
        let handled = seen.get();
        assert!(handled < sent / get("/").len(), "{handled} of {sent} bytes");
        drop(peer);
        served.join().unwrap().unwrap_err();
    });
}

/// Requests of all kinds whose heads and bodies end at each place around the borders of the server's buffer.
#[test]
fn requests_may_be_split_at_any_border_of_the_buffer() {
    on_a_hub("borders", || {
        const FIRST: usize = 4096;
        for end in (FIRST - 40..FIRST + 40).chain(2 * FIRST - 3..2 * FIRST + 3) {
            for kind in 0..3 {
                let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
                    let body = request.read_body().unwrap().to_vec();
                    Response::bytes(body)
                });
                let first = match kind {
                    0 => padded(&get("/"), end),
                    1 => {
                        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
                        padded(head, end - 9) + "nine here"
                    }
                    _ => {
                        let head =
                            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
                        padded(head, end - 19) + "9\r\nnine here\r\n0\r\n\r\n"
                    }
                };
                assert_eq!(first.len(), end);
                peer.send(first + &post_sized("second") + &get("/third") + &post_sized("fourth"));
                let body = if kind == 0 { "" } else { "nine here" };
                for expected in [body, "second", "", "fourth"] {
                    assert_eq!(peer.answer().text(), expected, "{kind} up to {end}");
                }
            }
        }
    });
}

/// Lengthens a head by a field.
fn padded(head: &str, length: usize) -> String {
    let value = "p".repeat(length - head.len() - "Pad: \r\n".len());
    head.replacen("\r\n\r\n", &format!("\r\nPad: {value}\r\n\r\n"), 1)
}

#[test]
fn a_stream_of_requests_cut_at_each_multiple_of_the_buffer_is_answered_whole() {
    on_a_hub("stream", || {
        let request = post_sized("0123456789abcdef");
        let count = 20_000 / request.len();
        let all = request.repeat(count);
        for piece in [4095, 4096, 4097, 1024, 8192, 61] {
            let (mut peer, _served) = serve_plainly(describe);
            for bytes in all.as_bytes().chunks(piece) {
                peer.send(bytes);
                kapok::yield_now();
            }
            for _ in 0..count {
                assert_eq!(peer.answer().text(), "POST / 0123456789abcdef", "{piece}");
            }
        }
    });
}
