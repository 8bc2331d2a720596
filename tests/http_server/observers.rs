//! What an observer is told, and the lines of the access log.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use kapok::http::{
    AccessLog, Answered, Body, Config, ConnectionEnd, Observer, Request, Response, ServeError,
    Server,
};
use kapok::net::TcpListener;
use kapok::{JoinHandle, spawn};

use crate::peer::{Peer, describe, get, post_sized};
use crate::support::on_a_hub;

/// Notes all it is told, and in which order.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn push(&self, note: String) {
        self.0.lock().unwrap().push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Notes {
    fn opened(&self, peer: Option<SocketAddr>) {
        assert!(peer.is_some());
        self.push("opened".to_owned());
    }

    fn answered(&self, answered: &Answered<'_>) {
        assert!(answered.peer().is_some());
        let age = SystemTime::now().duration_since(answered.time()).unwrap();
        assert!(age < Duration::from_secs(60), "{age:?}");
        let request = answered
            .method()
            .map(|method| format!("{method} {}", answered.target().unwrap()));
        self.push(format!(
            "{} {} {} {}",
            request.as_deref().unwrap_or("refused"),
            answered.status().as_u16(),
            answered.received(),
            answered.sent()
        ));
        assert_eq!(answered.method().is_some(), answered.version().is_some());
        let is_broken = answered.target() == Some("/broken");
        assert_eq!(answered.is_whole(), !is_broken);
        let agent = answered.header("USER-AGENT");
        assert!(agent.is_none_or(|agent| agent == b"tester"));
    }

    fn closed(&self, peer: Option<SocketAddr>, end: &Result<ConnectionEnd, ServeError>) {
        assert!(peer.is_some());
        let end = match end {
            Ok(ConnectionEnd::Refused(refusal)) => format!("refused {}", refusal.status().as_u16()),
            Ok(end) => format!("{end:?}"),
            Err(error) => error.to_string(),
        };
        self.push(format!("closed: {end}"));
    }
}

struct Observed {
    address: SocketAddr,
    listener: TcpListener,
    serving: JoinHandle<io::Result<()>>,
}

fn serve(observer: impl Observer + 'static) -> Observed {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let own = listener.try_clone().unwrap();
    let server = Server::new()
        .observer(observer)
        .config(Config::new().body_bytes_max(10));
    let serving = spawn(move || {
        server.serve(own, |request: &mut Request<'_>| match request.path() {
            "/panic" => panic!("as planned"),
            "/stream" => Response::text(Body::from_reader(&b"streamed"[..])),
            "/broken" => Response::text(Body::sized_reader(&b"half"[..], 8)),
            "/fails" => io::Error::other("no\n\"disk\"").into(),
            "/switch" => Response::switch("a", |_| {}),
            _ => describe(request),
        })
    });
    Observed {
        address,
        listener,
        serving,
    }
}

impl Observed {
    /// Sends `request` and waits until the connection is served to its end.
    fn exchange(&self, request: &str) {
        let mut peer = Peer::connect(self.address);
        peer.send(request);
        peer.end();
        peer.until_broken();
    }

    fn stop(self) {
        self.listener.close();
        self.serving.join().unwrap().unwrap();
    }
}

fn check(request: &str, expected: &[&str]) {
    let notes = Notes::default();
    let observed = serve(notes.clone());
    observed.exchange(request);
    observed.stop();
    assert_eq!(notes.take(), expected, "{request}");
}

#[test]
fn an_observer_is_told_of_connections_and_answers_in_order() {
    on_a_hub("told", || {
        check("", &["opened", "closed: PeerClosed"]);
        check(
            &(get("/a?b") + &post_sized("hello")),
            &[
                "opened",
                "GET /a?b 200 0 9",
                "POST / 200 5 12",
                "closed: PeerClosed",
            ],
        );
        check(
            &get("/stream"),
            &["opened", "GET /stream 200 0 8", "closed: PeerClosed"],
        );
        let last = get("/").replace(
            "Host: a",
            "Host: a\r\nConnection: close\r\nUser-Agent: tester",
        );
        check(&last, &["opened", "GET / 200 0 6", "closed: ServerClosed"]);
        let head = get("/").replace("GET", "HEAD");
        check(&head, &["opened", "HEAD / 200 0 0", "closed: PeerClosed"]);
    });
}

#[test]
fn an_observer_is_told_of_what_went_wrong() {
    on_a_hub("wrong", || {
        check(
            &(get("/") + "BAD\r\n\r\n"),
            &[
                "opened",
                "GET / 200 0 6",
                "refused 400 0 29",
                "closed: refused 400",
            ],
        );
        let too_long = post_sized("longer than ten");
        let notes = Notes::default();
        let observed = serve(notes.clone());
        observed.exchange(&too_long);
        observed.stop();
        let told = notes.take();
        assert!(told[1].starts_with("POST / 413 0 "), "{told:?}");
        assert_eq!(told[2], "closed: ServerClosed");
        let notes = Notes::default();
        let observed = serve(notes.clone());
        observed.exchange(&get("/panic"));
        observed.exchange(&get("/broken"));
        observed.stop();
        let told = notes.take();
        assert!(told.contains(&"closed: Panicked".to_owned()), "{told:?}");
        let broken = "closed: making the body of a response failed".to_owned();
        assert!(told.contains(&broken), "{told:?}");
        assert_eq!(told.iter().filter(|note| *note == "opened").count(), 2);
    });
}

#[test]
fn every_connection_that_was_opened_is_closed() {
    on_a_hub("balanced", || {
        let notes = Notes::default();
        let observed = serve(notes.clone());
        let requests = [
            get("/"),
            get("/panic"),
            get("/broken"),
            "BAD".to_owned(),
            get("/switch").replace("Host: a", "Host: a\r\nConnection: upgrade\r\nUpgrade: a"),
        ];
        for request in requests.iter().cycle().take(100) {
            observed.exchange(request);
        }
        let idle: Vec<_> = (0..10).map(|_| Peer::connect(observed.address)).collect();
        assert_eq!(Peer::connect(observed.address).ask(get("/")).status(), 200);
        observed.stop();
        drop(idle);
        let told = notes.take();
        let count = |word: &str| told.iter().filter(|note| note.starts_with(word)).count();
        assert_eq!(count("opened"), 111);
        assert_eq!(count("closed"), 111);
        assert_eq!(count("closed: Switched"), 20);
    });
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Serves one connection with these bytes and returns the lines of the log without address, time, and duration.
fn lines_of(requests: &str) -> String {
    let lines = Lines::default();
    let observed = serve(AccessLog::new(lines.clone()));
    observed.exchange(requests);
    observed.stop();
    String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
}

/// What stands in the lines between the time and the duration, which are checked.
fn logged(requests: &str) -> Vec<String> {
    lines_of(requests)
        .lines()
        .map(|line| {
            let rest = line.strip_prefix("127.0.0.1 - - [").expect(line);
            let (time, rest) = rest.split_once("] ").unwrap();
            assert_eq!(time.len(), "21/Nov/2026:10:33:17 +0000".len(), "{line}");
            assert!(time.ends_with(" +0000"), "{line}");
            let (rest, duration) = rest.rsplit_once(' ').unwrap();
            assert!(duration.parse::<u64>().is_ok(), "{line}");
            rest.to_owned()
        })
        .collect()
}

#[test]
fn the_access_log_has_a_line_for_each_answer() {
    on_a_hub("log", || {
        let requests = get("/a?b=c")
            + &post_sized("hello").replace(
                "Host: a",
                "Host: a\r\nReferer: http://b/\r\nUser-Agent: curl/7.88.1",
            )
            + "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
            + "BAD\r\n\r\n";
        assert_eq!(
            logged(&requests),
            [
                "\"GET /a?b=c HTTP/1.1\" 200 11 \"-\" \"-\"",
                "\"POST / HTTP/1.1\" 200 12 \"http://b/\" \"curl/7.88.1\"",
                "\"GET / HTTP/1.0\" 200 6 \"-\" \"-\"",
                "\"-\" 400 29 \"-\" \"-\"",
            ]
        );
    });
}

#[test]
fn the_access_log_tells_what_went_wrong() {
    on_a_hub("log of errors", || {
        let text = lines_of(&(get("/fails") + &get("/broken")));
        let [failed, broken] = text.lines().collect::<Vec<_>>()[..] else {
            panic!("two lines of {text}");
        };
        assert!(failed.contains("\" 500 14 \""), "{failed}");
        assert!(failed.ends_with(r#" "no\n\"disk\"""#), "{failed}");
        let ending = " broken off \"making the body of a response failed: \
            the body is 4 bytes shorter than its Content-Length\"";
        assert!(broken.ends_with(ending), "{broken}");
    });
}

#[test]
fn nothing_a_peer_sends_breaks_a_line_of_the_log() {
    on_a_hub("injection", || {
        let agents = "Host: a\r\nUser-Agent: a\" 200 \u{e9}\t\\\r\nReferer: \"\" - [x]";
        let requests = get("/a%0d%0a").replace("Host: a", agents);
        assert_eq!(
            logged(&requests),
            ["\"GET /a%0d%0a HTTP/1.1\" 200 13 \"\\\"\\\" - [x]\" \
                 \"a\\\" 200 \\xc3\\xa9\\t\\\\\""]
        );
    });
}

#[test]
fn a_log_that_cannot_be_written_keeps_nobody_from_an_answer() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    on_a_hub("full", || {
        let observed = serve(AccessLog::new(Full));
        let mut peer = Peer::connect(observed.address);
        for _ in 0..3 {
            assert_eq!(peer.ask(get("/")).status(), 200);
        }
        drop(peer);
        observed.stop();
    });
}

#[test]
fn a_handler_has_the_stack_it_needs() {
    /// Goes `depth` frames of more than a KiB deep.
    fn descend(depth: u32) -> u32 {
        let frame = std::hint::black_box([depth; 256]);
        match depth {
            0 => 0,
            _ => descend(depth - 1) + frame[7] - depth + 1,
        }
    }
    on_a_hub("stack", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, closer) = (
            listener.local_addr().unwrap(),
            listener.try_clone().unwrap(),
        );
        let server = Server::new().stack_size(2 * 1024 * 1024);
        // More than the 128 KiB that a handler has otherwise.
        let handler = |_: &mut Request<'_>| descend(400).to_string();
        let server = spawn(move || server.serve(listener, handler));
        assert_eq!(Peer::connect(address).ask(get("/")).text(), "400");
        closer.close();
        server.join().unwrap().unwrap();
    });
}
