//! What a row is, and the words the tables are written in.

use kapok::http::Config;

// One row a line, as tables are read.
#[rustfmt::skip]
pub mod chunks;
#[rustfmt::skip]
pub mod exchanges;
#[rustfmt::skip]
pub mod fields;
#[rustfmt::skip]
pub mod framing;
#[rustfmt::skip]
pub mod limits;
#[rustfmt::skip]
pub mod request_line;

/// One input and what must come of it.
pub struct Row {
    pub number: u8,
    pub name: &'static str,
    pub input: Vec<u8>,
    pub after: After,
    /// The status codes in the order they are sent, with what follows a 101 in quotes, then how the connection ends: `open` if it
    /// was left to the peer to end it, `closed` if the server did.
    pub answers: String,
    /// What the handler was called with: method, path, then the body in quotes or `broken`.
    pub seen: Vec<String>,
    /// Whether the input is also sent with [`NEXT`] behind it.
    pub is_followed: bool,
    pub config: Config,
}

/// What a peer does when it has sent everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It ends its side of the stream.
    End,
    /// It sends nothing more, until the server's patience is over.
    Silence,
}

/// A request that is sent behind the input of a row: an open connection must answer it, a closed one must not.
pub const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
pub const NEXT_SEEN: &str = "GET /next \"\"";

/// Any input.
pub fn row(
    number: u8,
    name: &'static str,
    input: impl Into<Vec<u8>>,
    answers: &str,
    seen: &[&str],
) -> Row {
    Row {
        number,
        name,
        input: input.into(),
        after: After::End,
        answers: answers.to_owned(),
        seen: seen.iter().map(|seen| (*seen).to_owned()).collect(),
        is_followed: true,
        config: Config::new(),
    }
}

/// An input that never gets as far as the handler.
pub fn refused(number: u8, name: &'static str, input: impl Into<Vec<u8>>, status: u16) -> Row {
    row(number, name, input, &format!("{status} closed"), &[])
}

/// An input that is one right request.
pub fn taken(number: u8, name: &'static str, input: impl Into<Vec<u8>>, seen: &str) -> Row {
    row(number, name, input, "200 open", &[seen])
}

/// A right head with a body that is wrong: the handler that reads it is told.
pub fn broken(number: u8, name: &'static str, input: impl Into<Vec<u8>>) -> Row {
    row(number, name, input, "400 closed", &["POST /a broken"])
}

impl Row {
    /// The input is not complete, so nothing may stand behind it.
    pub fn alone(mut self) -> Self {
        self.is_followed = false;
        self
    }

    /// The peer neither sends more nor ends the stream.
    pub fn then_silence(mut self) -> Self {
        self.after = After::Silence;
        self.alone()
    }

    pub fn with_config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }
}

/// A request of this line.
pub fn line(line: &str) -> String {
    format!("{line}\r\nHost: a\r\n\r\n")
}

/// `GET /a` with these further lines, each with its CRLF.
pub fn get(fields: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// `POST /a` with these further lines, each with its CRLF, and what follows the head.
pub fn post(fields: &str, body: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

/// `POST /a` with a chunked body.
pub fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

/// Bytes that are no text, between two texts.
pub fn bytes(before: &str, bytes: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), bytes, after.as_bytes()].concat()
}

/// All rows, in order.
pub fn all() -> Vec<Row> {
    [
        request_line::rows(),
        fields::rows(),
        framing::rows(),
        chunks::rows(),
        exchanges::rows(),
        limits::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
