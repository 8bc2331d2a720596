//! A connection of arbitrary bytes: the server neither panics nor hangs, its answers are well-formed, and however the bytes are
//! cut the peer gets the same ones. Used by a fuzzer, and by a test that replays what that has found worth keeping.

use std::io::{self, Read, Write};

use kapok::http::{BodyError, Config, Request, Response, serve_connection};

use crate::in_memory::InMemory;

/// Panics if it is not so. The first byte says how long the pieces are.
pub fn check(input: &[u8]) {
    let Some((piece_bytes, bytes)) = input.split_first() else {
        return;
    };
    let whole = serve(bytes, usize::MAX);
    check_answers(&whole.0);
    for piece_bytes in [1, usize::from(*piece_bytes).max(2)] {
        let cut = serve(bytes, piece_bytes);
        assert_eq!(
            whole.0.escape_ascii().to_string(),
            cut.0.escape_ascii().to_string()
        );
        assert_eq!(whole.1, cut.1);
    }
}

/// Returns all answers, and how the connection ended.
fn serve(bytes: &[u8], piece_bytes: usize) -> (Vec<u8>, String) {
    let connection = InMemory::new(Peer {
        bytes: bytes.to_vec(),
        used: 0,
        piece_bytes,
        answers: Vec::new(),
    });
    let peer = connection.handle();
    // Small limits are reached by small inputs.
    let config = Config::new()
        .head_bytes_max(512)
        .header_count_max(8)
        .target_bytes_max(64)
        .body_bytes_max(128)
        .chunk_extension_bytes_max(16)
        .trailer_bytes_max(64)
        .trailer_count_max(2)
        .drain_bytes_max(32)
        .pipelined_max(4);
    let end = serve_connection(connection, &config, &describe);
    let answers = std::mem::take(&mut peer.borrow_mut().answers);
    (without_dates(answers), format!("{end:?}"))
}

/// The runs may be a second apart. Only a head has lines that end with CRLF: what a peer sends comes back in other forms.
fn without_dates(answers: Vec<u8>) -> Vec<u8> {
    let mut rest = &answers[..];
    let mut cleaned = Vec::new();
    while let Some(start) = rest.windows(8).position(|bytes| bytes == b"\r\nDate: ") {
        cleaned.extend_from_slice(&rest[..start]);
        rest = &rest[start + "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT".len()..];
    }
    cleaned.extend_from_slice(rest);
    cleaned
}

/// Says everything that the server understood. Leaves some bodies unread.
fn describe(request: &mut Request<'_>) -> Result<Response, BodyError> {
    if request.path().starts_with("/u") {
        return Ok(Response::text("unread"));
    }
    let mut text = format!(
        "{} {:?} {:?} {:?} {:?}\n",
        request.method(),
        request.target(),
        request.path(),
        request.query(),
        request.host()
    );
    for (name, value) in request.raw_headers() {
        assert!(
            request
                .headers()
                .get_all(name)
                .iter()
                .any(|known| known.as_bytes() == value)
        );
        text += &format!("{name}: {}\n", value.escape_ascii());
    }
    assert!(!request.uri().path().is_empty());
    text += &format!("{}", request.read_body()?.escape_ascii());
    for (name, value) in request.trailers().into_iter().flatten() {
        text += &format!("\n{name}: {}", value.as_bytes().escape_ascii());
    }
    Ok(Response::text(text))
}

/// Reads the answers as a client does.
fn check_answers(mut answers: &[u8]) {
    let mut is_last = false;
    while !answers.is_empty() {
        assert!(!is_last, "something follows an answer that closes");
        let end = answers
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .expect("a head ends")
            + 4;
        let head = std::str::from_utf8(&answers[..end]).expect("a head is text");
        assert!(head.starts_with("HTTP/1.1 "), "{head}");
        let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let length =
            value("Content-Length: ").map_or(0, |length| length.parse().expect("a number"));
        is_last = value("Connection: ") == Some("close");
        // Left out after HEAD. Bodies begin with a method or a reason.
        let body = &answers[end..];
        let is_omitted = body.is_empty() || body.starts_with(b"HTTP/1.1 ");
        answers = if is_omitted { body } else { &body[length..] };
    }
}

struct Peer {
    bytes: Vec<u8>,
    used: usize,
    piece_bytes: usize,
    answers: Vec<u8>,
}

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.bytes[self.used..];
        let length = self.piece_bytes.min(buffer.len()).min(rest.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.used += length;
        Ok(length)
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answers.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
