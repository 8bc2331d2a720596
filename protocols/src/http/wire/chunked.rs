//! Chunked bodies: where the data stands in what the peer sends, and the trailers behind it.
//!
//! Every byte of a body passes [`ChunkedDecoder::decode`] once, so that the outcome is the same wherever the input is cut. Sizes
//! are `1*HEXDIG` of at most sixteen digits without blanks, every line ends with CRLF, and extensions are checked against their
//! grammar and thrown away: whatever two parsers could read in two ways is refused.
//!
//! # Source
//!
//! RFC 9112 section 7.1.

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::http::config::{Config, TRAILER_COUNT_CEILING};
use crate::http::error::Refusal;

/// What a piece of input has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// Behind `skipped` bytes stand `length` bytes of data, at least one.
    Data { skipped: usize, length: usize },
    /// Nothing but what stands between the data; all of the input is used.
    NeedMore,
    /// The body ends behind `skipped` bytes.
    End { skipped: usize },
}

/// Decodes one chunked body.
#[derive(Debug)]
pub(crate) struct ChunkedDecoder {
    state: State,
    /// The size of the chunk while its digits come in, then what is left of its data.
    left: u64,
    digits: u8,
    extension_bytes: usize,
    trailers: TrailerSection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the digits of a size.
    Size,
    /// Behind a semicolon.
    NameStart,
    Name,
    /// Behind an equals sign.
    ValueStart,
    Value,
    Quoted,
    /// Behind a backslash in quotes.
    Escaped,
    /// Behind the closing quote.
    QuotedEnd,
    /// Behind the CR of a size line.
    SizeEnd,
    Data,
    /// Behind the data.
    DataEnd,
    /// Behind the CR that follows the data.
    DataLineFeed,
    Trailers,
    Done,
}

impl ChunkedDecoder {
    /// Makes a decoder for the body behind a head.
    pub(crate) fn new() -> Self {
        Self {
            state: State::Size,
            left: 0,
            digits: 0,
            extension_bytes: 0,
            trailers: TrailerSection::default(),
        }
    }

    /// Looks at `input`, which follows what was used up before, up to the next data.
    ///
    /// After [`Decoded::Data`] the data must be reported with [`Self::take`] before the next call.
    pub(crate) fn decode(&mut self, input: &[u8], config: &Config) -> Result<Decoded, Refusal> {
        for (index, byte) in input.iter().enumerate() {
            match self.state {
                State::Data => {
                    return Ok(Decoded::Data {
                        skipped: index,
                        length: self.left.min((input.len() - index) as u64) as usize,
                    });
                }
                State::Done => return Ok(Decoded::End { skipped: index }),
                State::Trailers => {
                    if self.trailers.push(*byte, config)? {
                        self.state = State::Done;
                    }
                }
                _ => self.state = self.next(*byte, config)?,
            }
        }
        Ok(match self.state {
            State::Done => Decoded::End {
                skipped: input.len(),
            },
            _ => Decoded::NeedMore,
        })
    }

    /// Takes note that `count` bytes of the data were used, at most as many as were announced.
    pub(crate) fn take(&mut self, count: usize) {
        self.left -= count as u64;
        if self.left == 0 {
            self.state = State::DataEnd;
        }
    }

    /// Returns how much data is left of the chunk, if the next byte of the input is data.
    pub(crate) fn data_left(&self) -> Option<u64> {
        (self.state == State::Data).then_some(self.left)
    }

    /// Takes the trailers of a body that has ended; `None` if there were none.
    pub(crate) fn take_trailers(&mut self) -> Result<Option<HeaderMap>, Refusal> {
        std::mem::take(&mut self.trailers).parse()
    }

    /// Returns the state behind `byte`, for states of one byte each.
    fn next(&mut self, byte: u8, config: &Config) -> Result<State, Refusal> {
        if matches!(
            self.state,
            State::NameStart
                | State::Name
                | State::ValueStart
                | State::Value
                | State::Quoted
                | State::Escaped
                | State::QuotedEnd
        ) {
            self.extension_bytes += 1;
            if self.extension_bytes > config.chunk_extension_bytes_max {
                return Err(EXTENSIONS_TOO_LONG);
            }
        }
        Ok(match (self.state, byte) {
            (State::Size, b'\r' | b';') if self.digits == 0 => return Err(BAD_SIZE),
            (State::Size, b'\r') => State::SizeEnd,
            (State::Size, b';') => State::NameStart,
            (State::Size, digit) => {
                let digit = char::from(digit).to_digit(16).ok_or(BAD_SIZE)?;
                if self.digits == SIZE_DIGITS_MAX {
                    return Err(BAD_SIZE);
                }
                self.digits += 1;
                self.left = self.left << 4 | u64::from(digit);
                State::Size
            }
            (State::NameStart | State::Name, byte) if is_token(byte) => State::Name,
            (State::Name, b'=') => State::ValueStart,
            (State::ValueStart, b'"') => State::Quoted,
            (State::ValueStart | State::Value, byte) if is_token(byte) => State::Value,
            (State::Quoted, b'"') => State::QuotedEnd,
            (State::Quoted, b'\\') => State::Escaped,
            (State::Quoted | State::Escaped, byte) if is_text(byte) => State::Quoted,
            (State::Name | State::Value | State::QuotedEnd, b';') => State::NameStart,
            (State::Name | State::Value | State::QuotedEnd, b'\r') => State::SizeEnd,
            (State::SizeEnd, b'\n') => {
                self.digits = 0;
                match self.left {
                    0 => State::Trailers,
                    _ => State::Data,
                }
            }
            (State::SizeEnd, _) => return Err(BAD_SIZE_LINE_END),
            (State::DataEnd, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => State::Size,
            (State::DataEnd | State::DataLineFeed, _) => return Err(BAD_DATA_END),
            _ => return Err(BAD_EXTENSION),
        })
    }
}

/// The lines behind the last chunk, kept until the empty one.
#[derive(Debug, Default)]
struct TrailerSection {
    bytes: Vec<u8>,
    line_start: usize,
    lines: usize,
}

impl TrailerSection {
    /// Adds a byte and returns whether it was the last.
    fn push(&mut self, byte: u8, config: &Config) -> Result<bool, Refusal> {
        // The empty line does not count.
        if self.bytes.len() >= config.trailer_bytes_max + 2 {
            return Err(TRAILERS_TOO_LONG);
        }
        let follows_return = self.bytes.last() == Some(&b'\r');
        if (byte == b'\n') != follows_return {
            return Err(BAD_TRAILER_LINE_END);
        }
        self.bytes.push(byte);
        if byte != b'\n' {
            return Ok(false);
        }
        let is_empty = self.bytes.len() - self.line_start == 2;
        if !is_empty {
            self.line_start = self.bytes.len();
            self.lines += 1;
            if self.lines > config.trailer_count_max {
                return Err(TOO_MANY_TRAILERS);
            }
        }
        Ok(is_empty)
    }

    /// Turns the lines into fields.
    fn parse(self) -> Result<Option<HeaderMap>, Refusal> {
        if self.lines == 0 {
            return Ok(None);
        }
        let mut slots = [httparse::EMPTY_HEADER; TRAILER_COUNT_CEILING];
        let Ok(httparse::Status::Complete((_, fields))) =
            httparse::parse_headers(&self.bytes, &mut slots)
        else {
            return Err(BAD_TRAILER);
        };
        let mut map = HeaderMap::with_capacity(fields.len());
        for field in fields {
            let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(field.name.as_bytes()),
                HeaderValue::from_bytes(field.value),
            ) else {
                return Err(BAD_TRAILER);
            };
            if !may_be_trailer(&name) {
                return Err(FORBIDDEN_TRAILER);
            }
            map.append(name, value);
        }
        Ok(Some(map))
    }
}

/// Returns whether a field may stand behind a body. Those for framing, routing, authentication, request modifiers, response
/// control and the content itself may not, since they matter before the body is read: RFC 9110 section 6.5.1.
pub(crate) fn may_be_trailer(name: &HeaderName) -> bool {
    !FORBIDDEN_TRAILERS.contains(&name.as_str())
}

const FORBIDDEN_TRAILERS: [&str; 38] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "www-authenticate",
];

/// What may stand in a name: RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What may stand in quotes: RFC 9110 section 5.6.4.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// As many as a `u64` has.
const SIZE_DIGITS_MAX: u8 = 16;

const BAD_SIZE: Refusal = Refusal::bad_request("a chunk size is not a hexadecimal number");
const BAD_SIZE_LINE_END: Refusal =
    Refusal::bad_request("the line of a chunk size does not end with CRLF");
const BAD_DATA_END: Refusal = Refusal::bad_request("a chunk is longer than its size");
const BAD_EXTENSION: Refusal = Refusal::bad_request("a chunk extension is malformed");
const EXTENSIONS_TOO_LONG: Refusal = Refusal::bad_request("the chunk extensions are too long");
const BAD_TRAILER: Refusal = Refusal::bad_request("a trailer is malformed");
const BAD_TRAILER_LINE_END: Refusal =
    Refusal::bad_request("a line of the trailers does not end with CRLF");
const FORBIDDEN_TRAILER: Refusal =
    Refusal::bad_request("a field is among the trailers that may not be there");
const TRAILERS_TOO_LONG: Refusal = Refusal::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the trailers are too long",
);
const TOO_MANY_TRAILERS: Refusal = Refusal::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "there are too many trailers",
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` in pieces of `piece_bytes`; returns the data, the trailers, and what is left over.
    fn decode(
        input: &[u8],
        piece_bytes: usize,
    ) -> Result<(Vec<u8>, Option<HeaderMap>, usize), Refusal> {
        let config = Config::new()
            .chunk_extension_bytes_max(64)
            .trailer_bytes_max(64)
            .trailer_count_max(3);
        let mut decoder = ChunkedDecoder::new();
        let (mut data, mut at) = (Vec::new(), 0);
        loop {
            let piece = &input[at..(at + piece_bytes).min(input.len())];
            match decoder.decode(piece, &config)? {
                Decoded::Data { skipped, length } => {
                    at += skipped;
                    assert_eq!(
                        decoder.data_left().map(|left| left.min(length as u64)),
                        Some(length as u64)
                    );
                    data.extend_from_slice(&input[at..at + length]);
                    decoder.take(length);
                    at += length;
                }
                Decoded::NeedMore if piece.is_empty() => panic!("the body does not end"),
                Decoded::NeedMore => at += piece.len(),
                Decoded::End { skipped } => {
                    let trailers = decoder.take_trailers()?;
                    return Ok((data, trailers, input.len() - at - skipped));
                }
            }
        }
    }

    fn check(input: &str, expected: &str) {
        for piece_bytes in 1..=input.len() {
            let (data, _, left) = decode(input.as_bytes(), piece_bytes).expect(input);
            assert_eq!(String::from_utf8_lossy(&data), expected, "{input:?}");
            assert_eq!(left, 0, "{input:?}");
        }
    }

    fn check_refused(input: &str, status: u16) {
        let whole = decode(input.as_bytes(), input.len()).expect_err(input);
        assert_eq!(whole.status().as_u16(), status, "{input:?}");
        for piece_bytes in 1..input.len() {
            assert_eq!(
                decode(input.as_bytes(), piece_bytes),
                Err(whole),
                "{input:?}"
            );
        }
    }

    #[test]
    fn data_is_what_the_sizes_say() {
        check("0\r\n\r\n", "");
        check("5\r\nhello\r\n0\r\n\r\n", "hello");
        check("1\r\na\r\n000A\r\n0123456789\r\n0\r\n\r\n", "a0123456789");
        check("2\r\n\r\n\r\n0\r\n\r\n", "\r\n");
        check("5;a\r\nhello\r\n0;b=c;d=\"e;\\\"\"\r\n\r\n", "hello");
        check("5;a=b;c=\"\td \"\r\nhello\r\n0\r\n\r\n", "hello");
        check("0000000000000005\r\nhello\r\n0\r\n\r\n", "hello");
    }

    #[test]
    fn what_follows_the_body_is_left() {
        let (data, trailers, left) = decode(b"1\r\na\r\n0\r\n\r\nGET / ", 99).expect("decoded");
        assert_eq!((data.as_slice(), trailers, left), (&b"a"[..], None, 6));
    }

    #[test]
    fn sizes_are_hexadecimal_digits_alone() {
        for size in [
            "",
            "g",
            "+5",
            "-5",
            " 5",
            "5 ",
            "0x5",
            "5_0",
            "5\t",
            "\r\n5",
            "00000000000000005",
            "ffffffffffffffff0",
            "5\n",
            "5\r",
            "5\rx",
        ] {
            check_refused(&format!("{size}\r\nhello\r\n0\r\n\r\n"), 400);
        }
    }

    #[test]
    fn data_is_followed_by_crlf() {
        for body in [
            "5\r\nhell\r\n0\r\n\r\n",
            "5\r\nhelloo\r\n",
            "5\r\nhello0\r\n",
            "5\r\nhello\n0",
        ] {
            check_refused(body, 400);
        }
    }

    #[test]
    fn extensions_follow_their_grammar_and_are_limited() {
        for extension in [
            ";",
            ";;a",
            ";[",
            ";a=",
            ";a=;",
            ";a b",
            "; a",
            ";a =b",
            ";a= b",
            ";a=\"b",
            ";a=\"\r\n\"",
            ";a=\"b\"c",
            ";a\n",
            ";a\0",
            ";a=\"\0\"",
            ";a=\"\\\0\"",
            ";\u{e9}",
        ] {
            check_refused(&format!("5{extension}\r\nhello\r\n0\r\n\r\n"), 400);
        }
        check_refused(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(65)), 400);
        check_refused(&"1;a=b\r\nx\r\n".repeat(20), 400);
    }

    #[test]
    fn trailers_become_fields() {
        let input = b"1\r\na\r\n0\r\nX-Sum: 1\r\nx-sum:2\r\n\r\n";
        for piece_bytes in 1..input.len() {
            let (_, trailers, _) = decode(input, piece_bytes).expect("decoded");
            let trailers = trailers.expect("there are some");
            assert_eq!(
                trailers.get_all("x-sum").iter().collect::<Vec<_>>(),
                ["1", "2"]
            );
        }
    }

    #[test]
    fn trailers_are_checked_like_headers_and_limited() {
        for (trailers, status) in [
            ("a\r\n", 400),
            (": b\r\n", 400),
            ("a : b\r\n", 400),
            ("a: b\r\n c\r\n", 400),
            ("a: b\n", 400),
            ("a: b\rc\r\n", 400),
            ("a: \0\r\n", 400),
            ("Content-Length: 1\r\n", 400),
            ("transfer-encoding: chunked\r\n", 400),
            ("Host: a\r\n", 400),
            ("Authorization: a\r\n", 400),
            ("Content-Type: a\r\n", 400),
            ("a: b\r\nc: d\r\ne: f\r\ng: h\r\n", 431),
        ] {
            check_refused(&format!("0\r\n{trailers}\r\n"), status);
        }
        check_refused(&format!("0\r\na: {}\r\n\r\n", "b".repeat(64)), 431);
    }
}
