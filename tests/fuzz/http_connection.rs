//! A connection of arbitrary bytes: the server neither panics nor hangs, its answers are well-formed, and however the bytes are
//! cut the peer gets the same ones.

#![no_main]

use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime};

use kapok::http::{Config, Request, Response, serve_connection};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The first byte says how long the pieces are.
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
});

/// Returns all answers, and how the connection ended.
fn serve(bytes: &[u8], piece_bytes: usize) -> (Vec<u8>, String) {
    let mut peer = Peer {
        bytes,
        piece_bytes,
        answers: Vec::new(),
    };
    // Small limits are reached by small inputs.
    let config = Config::new()
        .head_bytes_max(512)
        .header_count_max(8)
        .target_bytes_max(64)
        .body_bytes_max(128)
        .pipelined_max(4);
    let clock = || SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let end = serve_connection(&mut peer, &config, &describe, clock);
    (peer.answers, format!("{end:?}"))
}

/// Says everything that the server understood.
fn describe(request: &mut Request<'_>) -> Response {
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
    text += &format!("{}", request.body().escape_ascii());
    Response::text(text)
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

struct Peer<'a> {
    bytes: &'a [u8],
    piece_bytes: usize,
    answers: Vec<u8>,
}

impl Read for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.piece_bytes.min(buffer.len()).min(self.bytes.len());
        let (piece, rest) = self.bytes.split_at(length);
        buffer[..length].copy_from_slice(piece);
        self.bytes = rest;
        Ok(length)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answers.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
