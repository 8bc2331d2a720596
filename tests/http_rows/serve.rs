//! Serves an input in one way and says what came of it.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;

use kapok::http::{
    BodyError, ConnectionEnd, Request, Response, Upgraded, Version, serve_connection,
};

use crate::allocator::largest_of;
use crate::answers::{read_answers, without_dates};
use crate::peer::{Peer, Stream};
use crate::rows::{After, Row};

/// How an input is cut into what one read returns.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    Nowhere,
    At(usize),
    Everywhere,
}

/// How the handler reads a body.
#[derive(Debug, Clone, Copy)]
pub enum Reading {
    /// With one call that returns it.
    Whole,
    /// Into a buffer that is smaller than most chunks.
    Pieces,
    /// Into a buffer that is larger than most bodies.
    Gulps,
    /// Out of the server's own buffer, a byte less than there is.
    Sips,
}

impl Reading {
    pub const ALL: [Self; 4] = [Self::Whole, Self::Pieces, Self::Gulps, Self::Sips];
}

/// One call of the handler.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    /// As in [`Row::seen`].
    seen: String,
    /// The body's bytes before it broke, which no row names but every cut must leave alike.
    before: Vec<u8>,
    /// The body of the answer, if the handler gave one of its own.
    pub answer: Option<Vec<u8>>,
    /// The peer said that it sends no more requests.
    is_last: bool,
}

impl Call {
    pub fn new(method: &str, answer: Option<&[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            seen: String::new(),
            before: Vec::new(),
            answer: answer.map(<[u8]>::to_vec),
            is_last: false,
        }
    }
}

/// What came of an input.
#[derive(PartialEq, Eq)]
pub struct Outcome {
    after: After,
    calls: Vec<Call>,
    /// Without dates.
    written: Vec<u8>,
    /// What the server says of the end.
    end: String,
    is_left_to_peer: bool,
    is_shut: bool,
}

impl Outcome {
    /// What the handler was called with.
    pub fn seen(&self) -> Vec<String> {
        self.calls.iter().map(|call| call.seen.clone()).collect()
    }

    /// The answers and the end in the words of [`Row::answers`], if they fit each other.
    pub fn answers(&self) -> Result<String, String> {
        let (statuses, is_last) = read_answers(&self.written, &self.calls)?;
        if is_last && self.is_left_to_peer {
            return Err(format!("{statuses}: said to be the last, but {}", self.end));
        }
        // A connection may be dropped at once only if nothing more can come: a reset could destroy the last answer.
        let may_drop = self
            .calls
            .last()
            .is_some_and(|call| call.is_last && call.answer.is_some());
        if is_last && !self.is_shut && !may_drop && !statuses.starts_with("101") {
            return Err(format!("{statuses}: the connection was dropped at once"));
        }
        let end = match self.is_left_to_peer {
            true => "open",
            false if is_last || self.after == After::Silence => "closed",
            // Without a word, which no row wants.
            false => "cut",
        };
        Ok(statuses + end)
    }

    /// Whether the two are the same but for how the stream was parted with, which depends on what had arrived.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.written, &self.calls, &self.end) == (&other.written, &other.calls, &other.end)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = self.written.escape_ascii();
        write!(
            formatter,
            "{:?}, {}, written {written}",
            self.calls, self.end
        )
    }
}

/// Serves `input` by the limits of `row`.
pub fn serve(input: &[u8], row: &Row, cut: Cut, reading: Reading) -> Outcome {
    let calls = Rc::new(RefCell::new(Vec::new()));
    let handler = {
        let calls = Rc::clone(&calls);
        move |request: &mut Request<'_>| answer(request, reading, &calls)
    };
    let peer = Peer::new(input, cut, row.after);
    let stream = Stream(Rc::clone(&peer));
    let (end, largest) = largest_of(|| serve_connection(stream, &row.config, &handler));
    assert!(
        largest < LARGEST_ALLOCATION,
        "{largest} bytes for what the peer only promised"
    );
    assert_eq!(Rc::strong_count(&peer), 1, "the connection lives on");
    Outcome {
        after: row.after,
        calls: calls.take(),
        written: without_dates(&peer.take_written()),
        is_left_to_peer: matches!(end, Ok(ConnectionEnd::PeerClosed)),
        end: format!("{end:?}"),
        is_shut: peer.is_shut(),
    }
}

/// Answers with the method, the path, the body's length and the body; says in `calls` what was asked.
fn answer(
    request: &mut Request<'_>,
    reading: Reading,
    calls: &RefCell<Vec<Call>>,
) -> Result<Response, BodyError> {
    let path = request.path().to_owned();
    let mut call = Call::new(request.method().as_str(), None);
    call.seen = format!("{} {path}", call.method);
    let is_old = request.version() == Version::HTTP_10;
    let connection = request.header("connection").unwrap_or_default();
    let connection = connection.to_ascii_lowercase();
    let has = |option: &str| {
        connection
            .split(|byte| *byte == b',')
            .any(|each| each.trim_ascii() == option.as_bytes())
    };
    call.is_last = has("close") || (is_old && !has("keep-alive"));
    let response = answer_call(request, &path, reading, &mut call);
    calls.borrow_mut().push(call);
    response
}

fn answer_call(
    request: &mut Request<'_>,
    path: &str,
    reading: Reading,
    call: &mut Call,
) -> Result<Response, BodyError> {
    if path == "/upgrade" && request.upgrades().any(|protocol| protocol == "echo") {
        return Ok(Response::switch("echo", |mut stream: Upgraded| {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            stream.write_all(&bytes).unwrap();
        }));
    }
    let mut body = Vec::new();
    if path == "/part" {
        let mut start = [0; 3];
        request.body().read_exact(&mut start).unwrap();
        call.seen += &format!(" {:?}", String::from_utf8_lossy(&start));
    } else if !matches!(path, "/upgrade" | "/unread") {
        body = match read_body(request, reading, &mut call.before) {
            Ok(body) => body,
            Err(error) => {
                call.seen += " broken";
                return Err(error);
            }
        };
        call.seen += &format!(" {:?}", String::from_utf8_lossy(&body));
        if let Some(value) = request.header("x") {
            call.seen += &format!(" X of {} bytes", value.len());
        }
        if let Some(value) = request.trailers().and_then(|trailers| trailers.get("x")) {
            call.seen += &format!(" trailer X of {} bytes", value.len());
        }
    }
    let text = format!("{} {path} {}\n", call.method, body.len());
    let text = [text.as_bytes(), &body].concat();
    call.answer = Some(text.clone());
    Ok(Response::bytes(text))
}

fn read_body(
    request: &mut Request<'_>,
    reading: Reading,
    before: &mut Vec<u8>,
) -> Result<Vec<u8>, BodyError> {
    let piece_bytes = match reading {
        Reading::Whole => return request.read_body().map(<[u8]>::to_vec),
        Reading::Pieces => 7,
        Reading::Gulps => 64 * 1024,
        Reading::Sips => 0,
    };
    let (mut body, mut buffer) = (request.body(), vec![0; piece_bytes]);
    loop {
        let result = match piece_bytes {
            0 => sip(&mut body, before),
            _ => body
                .read(&mut buffer)
                .inspect(|count| before.extend_from_slice(&buffer[..*count])),
        };
        match result {
            Ok(0) => return Ok(std::mem::take(before)),
            Ok(_) => {}
            Err(error) => return Err(error.downcast().expect("an error of the body")),
        }
    }
}

/// Takes all but one of the bytes that are there, and the last one if it is alone.
fn sip(body: &mut impl BufRead, into: &mut Vec<u8>) -> io::Result<usize> {
    let bytes = body.fill_buf()?;
    let count = (bytes.len() - 1.min(bytes.len())).max(1).min(bytes.len());
    into.extend_from_slice(&bytes[..count]);
    body.consume(count);
    Ok(count)
}

/// Well over the longest input, far under what row 42 promises.
const LARGEST_ALLOCATION: usize = 4 * 1024 * 1024;
