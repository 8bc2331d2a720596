//! A peer that sends and reads bytes, and a server for it.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use kapok::http::{
    Config, ConnectionEnd, Handler, Request, Response, ServeError, serve_connection,
};
use kapok::net::{TcpListener, TcpStream};
use kapok::{Fiber, JoinHandle, current, park, spawn};

/// How long a peer waits for bytes that must come, before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is being served.
pub type Served = JoinHandle<Result<ConnectionEnd, ServeError>>;

/// Serves one connection and returns its other end.
pub fn serve(config: Config, handler: impl Handler + 'static) -> (Peer, Served) {
    let (client, server) = pair();
    let served = spawn(move || serve_connection(server, &config, &handler));
    (client, served)
}

/// The same with the default limits.
pub fn serve_plainly(handler: impl Handler + 'static) -> (Peer, Served) {
    serve(Config::new(), handler)
}

/// Sends `request`, and returns all that comes until the server ends the connection, and how that came to its end.
pub fn exchange(
    config: Config,
    request: impl AsRef<[u8]>,
    handler: impl Handler + 'static,
) -> (Vec<u8>, Result<ConnectionEnd, ServeError>) {
    let (mut peer, served) = serve(config, handler);
    peer.send(request);
    let rest = peer.rest();
    // Else the server goes on to wait for what it might send.
    drop(peer);
    (rest, served.join().unwrap())
}

/// Two ends of one connection.
pub fn pair() -> (Peer, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::connect(listener.local_addr().unwrap());
    (peer, listener.accept().unwrap().0)
}

/// A handler that tells what it got: method, target and body.
pub fn describe(request: &mut Request<'_>) -> Response {
    let mut text = format!("{} {} ", request.method(), request.target()).into_bytes();
    match request.read_body() {
        Ok(body) => text.extend_from_slice(body),
        Err(error) => return error.into(),
    }
    Response::bytes(text)
}

/// A request without a body.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A request with these further lines, each ending with CRLF, and a body behind the head.
pub fn post(lines: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}")
}

/// A request with a body of known length.
pub fn post_sized(body: &str) -> String {
    post(&format!("Content-Length: {}\r\n", body.len()), body)
}

/// A request whose body is these bytes of chunks.
pub fn post_chunked(chunks: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", chunks)
}

/// The client's end of a connection.
pub struct Peer {
    pub stream: TcpStream,
    /// Bytes that came behind what was looked at.
    unread: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status line and the fields, without the empty line.
    pub head: String,
    pub body: Vec<u8>,
    /// The lines behind the last chunk.
    pub trailers: String,
}

impl Peer {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Ends this side; the other goes on.
    pub fn end(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads the answer to any request but HEAD and CONNECT.
    pub fn answer(&mut self) -> Answer {
        let head = self.head();
        self.body_behind(head)
    }

    /// Sends a request and reads the answer.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request);
        self.answer()
    }

    /// Reads an answer that is a head alone.
    pub fn head(&mut self) -> Answer {
        let end = loop {
            match find(&self.unread, b"\r\n\r\n") {
                Some(end) => break end,
                None => assert!(self.more() > 0, "an end in the head: {}", self.shown()),
            }
        };
        let head = self.take(end + 4);
        Answer {
            head: String::from_utf8(head[..end].to_vec()).unwrap(),
            body: Vec::new(),
            trailers: String::new(),
        }
    }

    fn body_behind(&mut self, mut answer: Answer) -> Answer {
        let status = answer.status();
        if status < 200 || status == 204 || status == 304 {
            return answer;
        }
        if let Some(length) = answer.field("content-length") {
            let length = length.parse().unwrap();
            answer.body = self.exactly(length);
        } else if answer.field("transfer-encoding") == Some("chunked") {
            self.chunks(&mut answer);
        } else {
            answer.body = self.rest();
        }
        answer
    }

    fn chunks(&mut self, answer: &mut Answer) {
        loop {
            let size = self.line();
            match usize::from_str_radix(&size, 16).unwrap() {
                0 => break,
                size => answer.body.extend(self.exactly(size)),
            }
            assert_eq!(self.line(), "", "behind a chunk");
        }
        loop {
            let line = self.line();
            if line.is_empty() {
                return;
            }
            answer.trailers += &line;
            answer.trailers.push('\n');
        }
    }

    /// Reads to the end of a line.
    pub fn line(&mut self) -> String {
        let end = loop {
            match find(&self.unread, b"\r\n") {
                Some(end) => break end,
                None => assert!(self.more() > 0, "an end in a line: {}", self.shown()),
            }
        };
        let mut line = self.take(end + 2);
        line.truncate(end);
        String::from_utf8(line).unwrap()
    }

    pub fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.more() > 0, "an end in a body: {}", self.shown());
        }
        self.take(length)
    }

    /// Reads what comes until the server ends its side, which it must do without a reset.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// The server ends its side, and nothing comes before.
    pub fn sees_the_end(&mut self) {
        let rest = self.rest();
        assert!(
            rest.is_empty(),
            "something before the end: {}",
            rest.escape_ascii()
        );
    }

    /// The server ends its side, having refused what came last.
    pub fn was_refused(mut self, served: Served) {
        self.sees_the_end();
        drop(self);
        let end = served.join().unwrap().unwrap();
        assert!(matches!(end, ConnectionEnd::Refused(_)), "{end:?}");
    }

    /// The connection is broken off, be it by a reset; returns what came before.
    pub fn until_broken(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 65536];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    break;
                }
            }
        }
        std::mem::take(&mut self.unread)
    }

    /// Nothing comes for a time.
    pub fn hears_nothing_for(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let error = self.stream.read(&mut [0]).expect_err("something came");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(self.shown(), "");
    }

    fn more(&mut self) -> usize {
        let mut buffer = vec![0; 65536];
        let count = self.stream.read(&mut buffer).unwrap_or_else(|error| {
            panic!("{error} behind {}", self.shown());
        });
        self.unread.extend_from_slice(&buffer[..count]);
        count
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.unread.split_off(length);
        std::mem::replace(&mut self.unread, rest)
    }

    fn shown(&self) -> String {
        self.unread[..self.unread.len().min(400)]
            .escape_ascii()
            .to_string()
    }
}

impl Answer {
    pub fn status(&self) -> u16 {
        assert!(self.head.starts_with("HTTP/1.1 "), "{}", self.head);
        self.head[9..12].parse().unwrap()
    }

    /// The value of the only field with this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (found, value) = line.split_once(": ").unwrap();
            found.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = values.next();
        assert_eq!(values.next(), None, "a second {name}: {}", self.head);
        value
    }

    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What stands in a whole answer that the end of the connection follows.
pub fn status_of(answer: &[u8]) -> u16 {
    let line = String::from_utf8_lossy(&answer[..answer.len().min(12)]);
    assert!(line.starts_with("HTTP/1.1 "), "{line:?}");
    line[9..].parse().unwrap()
}

/// What fibers wait at until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Rc<GateState>);

#[derive(Default)]
struct GateState {
    is_open: Cell<bool>,
    waiting: RefCell<Vec<Fiber>>,
}

impl Gate {
    pub fn open(&self) {
        self.0.is_open.set(true);
        for fiber in self.0.waiting.take() {
            fiber.unpark();
        }
    }

    pub fn wait(&self) {
        while !self.0.is_open.get() {
            self.0.waiting.borrow_mut().push(current());
            park();
        }
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}
