//! Response heads.

use ::http::{HeaderValue, Method, StatusCode, header};

use super::date::DATE_LINE_BYTES;
use super::framing::Persistence;
use crate::http::response::Response;

/// Whether the body of a response follows its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyRule {
    /// The peer expects no body, whatever the response has.
    Omit,
    /// The body must follow.
    Send,
}

/// Appends the head of `response`, which answers a request with this `method`, to `output`.
///
/// It says `Connection: close` if the peer or the response wants it, and returns what holds for the connection. Framing is the
/// server's: a `Transfer-Encoding` or `Content-Length` of the response is left out, except that a response to `HEAD` without
/// a body may declare the length that `GET` would give.
///
/// # Source
///
/// RFC 9110 sections 8.6 and 15.3.6, RFC 9112 section 6.3: where a length or a body must not be.
#[inline]
pub(crate) fn encode_head(
    output: &mut Vec<u8>,
    response: &Response,
    method: &Method,
    persistence: Persistence,
    date_line: &[u8; DATE_LINE_BYTES],
) -> (BodyRule, Persistence) {
    let status = response.status();
    encode_status_line(output, status);
    let mut result = HeaderResult {
        persistence,
        has_date: false,
        length: None,
    };
    if !response.headers().is_empty() {
        result = encode_headers(output, response, persistence);
    }
    if !result.has_date {
        output.extend_from_slice(date_line);
    }
    let content_type = response.content_type();
    if !content_type.is_empty() {
        output.extend_from_slice(b"Content-Type: ");
        output.extend_from_slice(content_type.as_bytes());
        output.extend_from_slice(b"\r\n");
    }
    match result.persistence {
        Persistence::Keep => {}
        Persistence::Close => output.extend_from_slice(b"Connection: close\r\n"),
        Persistence::KeepAnnounced => output.extend_from_slice(b"Connection: keep-alive\r\n"),
    }
    let body = response.body();
    let rule = match status {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => BodyRule::Omit,
        StatusCode::RESET_CONTENT => {
            output.extend_from_slice(b"Content-Length: 0\r\n");
            BodyRule::Omit
        }
        _ if status.is_informational() => BodyRule::Omit,
        _ if *method == Method::HEAD => {
            match result.length.filter(|_| body.is_empty()) {
                Some(length) => {
                    output.extend_from_slice(b"Content-Length: ");
                    output.extend_from_slice(length.as_bytes());
                    output.extend_from_slice(b"\r\n");
                }
                None => encode_length(output, body.len()),
            }
            BodyRule::Omit
        }
        _ => {
            encode_length(output, body.len());
            BodyRule::Send
        }
    };
    output.extend_from_slice(b"\r\n");
    (rule, result.persistence)
}

/// Encodes heads that differ from the one before in nothing but the length by copying that one.
///
/// In a batch of answers this is the common case. The copy is taken from the batch itself, so that an idle connection keeps
/// nothing for it.
#[derive(Debug, Default)]
pub(crate) struct HeadRepeater {
    status: StatusCode,
    content_type: &'static str,
    /// Where the last plain head begins in the output.
    start: usize,
    /// Where the digits of its length begin, or 0 if the output has no plain head.
    end: usize,
}

impl HeadRepeater {
    /// Must be called when `output` was emptied.
    #[inline]
    pub(crate) fn forget(&mut self) {
        self.end = 0;
    }

    /// Appends the head of `response` if it differs from the last plain one in nothing but the length, and returns whether.
    ///
    /// The body must follow, and `persistence` holds for the connection.
    #[inline]
    pub(crate) fn repeat(
        &self,
        output: &mut Vec<u8>,
        response: &Response,
        method: &Method,
        persistence: Persistence,
    ) -> bool {
        // The text is static: if it stands at the same place it is the same.
        let is_same = self.end > 0
            && self.status == response.status()
            && std::ptr::eq(self.content_type, response.content_type())
            && is_plain(response, method, persistence);
        if is_same {
            output.extend_from_within(self.start..self.end);
            encode_digits(output, response.body().len());
            output.extend_from_slice(b"\r\n");
        }
        is_same
    }

    /// Does what [`encode_head`] does, and takes note of a plain head.
    pub(crate) fn encode(
        &mut self,
        output: &mut Vec<u8>,
        response: &Response,
        method: &Method,
        persistence: Persistence,
        date_line: &[u8; DATE_LINE_BYTES],
    ) -> (BodyRule, Persistence) {
        let start = output.len();
        let result = encode_head(output, response, method, persistence, date_line);
        if result.0 == BodyRule::Send && is_plain(response, method, persistence) {
            let end_bytes = digit_count(response.body().len()) + "\r\n\r\n".len();
            *self = Self {
                status: response.status(),
                content_type: response.content_type(),
                start,
                end: output.len() - end_bytes,
            };
        }
        result
    }
}

/// Returns whether status, content type and length are all that a head tells.
#[inline]
fn is_plain(response: &Response, method: &Method, persistence: Persistence) -> bool {
    response.headers().is_empty() && persistence == Persistence::Keep && *method != Method::HEAD
}

#[inline]
fn encode_status_line(output: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        output.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    output.extend_from_slice(b"HTTP/1.1 ");
    output.extend_from_slice(status.as_str().as_bytes());
    output.push(b' ');
    output.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    output.extend_from_slice(b"\r\n");
}

/// What the headers of a response mean for the rest of its head.
#[derive(Debug)]
struct HeaderResult<'response> {
    persistence: Persistence,
    has_date: bool,
    /// A length the response declares, right in form.
    length: Option<&'response HeaderValue>,
}

fn encode_headers<'response>(
    output: &mut Vec<u8>,
    response: &'response Response,
    persistence: Persistence,
) -> HeaderResult<'response> {
    let mut result = HeaderResult {
        persistence,
        has_date: false,
        length: None,
    };
    for (name, value) in response.headers() {
        if name == header::CONTENT_LENGTH {
            let is_number = !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
            result.length = is_number.then_some(value);
            continue;
        } else if name == header::TRANSFER_ENCODING {
            continue;
        } else if name == header::CONNECTION {
            let mut options = value
                .as_bytes()
                .split(|byte| *byte == b',')
                .map(<[u8]>::trim_ascii);
            if options.any(|option| option.eq_ignore_ascii_case(b"close")) {
                result.persistence = Persistence::Close;
                continue;
            } else if value.as_bytes().eq_ignore_ascii_case(b"keep-alive") {
                continue;
            }
        } else if name == header::DATE {
            if result.has_date {
                continue;
            }
            result.has_date = true;
        }
        output.extend_from_slice(name.as_str().as_bytes());
        output.extend_from_slice(b": ");
        output.extend_from_slice(value.as_bytes());
        output.extend_from_slice(b"\r\n");
    }
    result
}

#[inline]
fn encode_length(output: &mut Vec<u8>, length: usize) {
    output.extend_from_slice(b"Content-Length: ");
    encode_digits(output, length);
}

/// Appends `length` in decimal and CRLF.
#[inline]
fn encode_digits(output: &mut Vec<u8>, length: usize) {
    // Shifted in from the right: what is written last stands in the lowest byte, which comes first.
    let (mut word, mut rest, mut bytes) = (u64::from_le_bytes(*b"\r\n\0\0\0\0\0\0"), length, 2);
    while rest > 9 && bytes < 7 {
        word = word << 8 | u64::from(b'0' + (rest % 10) as u8);
        rest /= 10;
        bytes += 1;
    }
    if rest > 9 {
        return encode_many_digits(output, length);
    }
    word = word << 8 | u64::from(b'0' + rest as u8);
    // Eight bytes always: a copy of fixed length is no call.
    output.extend_from_slice(&word.to_le_bytes());
    output.truncate(output.len() - 8 + bytes + 1);
}

#[cold]
fn encode_many_digits(output: &mut Vec<u8>, length: usize) {
    output.extend_from_slice(length.to_string().as_bytes());
    output.extend_from_slice(b"\r\n");
}

/// Returns the number of digits of `length`.
fn digit_count(length: usize) -> usize {
    length.checked_ilog10().unwrap_or_default() as usize + 1
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use ::http::{HeaderName, HeaderValue};

    use super::super::date::DateLine;
    use super::*;

    const DATE: &str = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

    fn encoded(
        response: &Response,
        method: Method,
        persistence: Persistence,
    ) -> (String, BodyRule, Persistence) {
        let mut output = Vec::new();
        let (rule, after) = encode_head(
            &mut output,
            response,
            &method,
            persistence,
            DateLine::new().current(),
        );
        let text = String::from_utf8(output).expect("the head is text");
        (text.replace(DATE, "{date}"), rule, after)
    }

    fn check(response: Response, method: Method, expected: &str, expected_rule: BodyRule) {
        let (text, rule, persistence) = encoded(&response, method, Persistence::Keep);
        assert_eq!(text, expected);
        assert_eq!(rule, expected_rule);
        assert_eq!(persistence, Persistence::Keep);
    }

    fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    #[test]
    fn a_body_has_type_and_length() {
        check(
            Response::text("Hello, World!"),
            Method::GET,
            "HTTP/1.1 200 OK\r\n{date}Content-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n\r\n",
            BodyRule::Send,
        );
        check(
            Response::new(StatusCode::CREATED),
            Method::POST,
            "HTTP/1.1 201 Created\r\n{date}Content-Length: 0\r\n\r\n",
            BodyRule::Send,
        );
    }

    #[test]
    fn unknown_statuses_keep_the_space_before_the_reason() {
        let status = StatusCode::from_u16(599).expect("a valid status");
        check(
            Response::new(status),
            Method::GET,
            "HTTP/1.1 599 \r\n{date}Content-Length: 0\r\n\r\n",
            BodyRule::Send,
        );
    }

    #[test]
    fn statuses_without_content_have_no_body() {
        for (status, head) in [
            (StatusCode::CONTINUE, "HTTP/1.1 100 Continue\r\n{date}\r\n"),
            (
                StatusCode::NO_CONTENT,
                "HTTP/1.1 204 No Content\r\n{date}\r\n",
            ),
            (
                StatusCode::NOT_MODIFIED,
                "HTTP/1.1 304 Not Modified\r\n{date}\r\n",
            ),
            (
                StatusCode::RESET_CONTENT,
                "HTTP/1.1 205 Reset Content\r\n{date}Content-Length: 0\r\n\r\n",
            ),
        ] {
            check(
                Response::new(status).with_body("body"),
                Method::GET,
                head,
                BodyRule::Omit,
            );
        }
    }

    #[test]
    fn head_gets_the_head_that_get_would() {
        check(
            Response::bytes(vec![0; 1_234]),
            Method::HEAD,
            "HTTP/1.1 200 OK\r\n{date}Content-Type: application/octet-stream\r\nContent-Length: 1234\r\n\r\n",
            BodyRule::Omit,
        );
        check(
            Response::new(StatusCode::OK).header(header::CONTENT_LENGTH, value("77")),
            Method::HEAD,
            "HTTP/1.1 200 OK\r\n{date}Content-Length: 77\r\n\r\n",
            BodyRule::Omit,
        );
        check(
            Response::new(StatusCode::OK)
                .with_body("abc")
                .header(header::CONTENT_LENGTH, value("77")),
            Method::HEAD,
            "HTTP/1.1 200 OK\r\n{date}Content-Length: 3\r\n\r\n",
            BodyRule::Omit,
        );
        check(
            Response::new(StatusCode::OK).header(header::CONTENT_LENGTH, value("7 7")),
            Method::HEAD,
            "HTTP/1.1 200 OK\r\n{date}Content-Length: 0\r\n\r\n",
            BodyRule::Omit,
        );
    }

    #[test]
    fn framing_is_the_servers() {
        let response = Response::new(StatusCode::OK)
            .header(header::CONTENT_LENGTH, value("5"))
            .header(header::TRANSFER_ENCODING, value("chunked"))
            .header(header::CONNECTION, value("keep-alive"));
        check(
            response,
            Method::GET,
            "HTTP/1.1 200 OK\r\n{date}Content-Length: 0\r\n\r\n",
            BodyRule::Send,
        );
    }

    #[test]
    fn headers_keep_their_order_and_a_date_of_the_handler_wins() {
        let response = Response::new(StatusCode::OK)
            .header(header::SET_COOKIE, value("a=b"))
            .header(header::DATE, value("Sun, 06 Nov 1994 08:49:37 GMT"))
            .header(HeaderName::from_static("x-more"), value("1"))
            .header(header::SET_COOKIE, value("c=d"));
        check(
            response,
            Method::GET,
            "HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-more: 1\r\n\
             set-cookie: c=d\r\nContent-Length: 0\r\n\r\n",
            BodyRule::Send,
        );
    }

    #[test]
    fn the_fate_of_the_connection_is_said() {
        let plain = Response::new(StatusCode::OK);
        for (persistence, line) in [
            (Persistence::Keep, ""),
            (Persistence::Close, "Connection: close\r\n"),
            (Persistence::KeepAnnounced, "Connection: keep-alive\r\n"),
        ] {
            let (text, _, after) = encoded(&plain, Method::GET, persistence);
            assert_eq!(
                text,
                format!("HTTP/1.1 200 OK\r\n{{date}}{line}Content-Length: 0\r\n\r\n")
            );
            assert_eq!(after, persistence);
        }
        let closing = plain.header(header::CONNECTION, value("upgrade, Close"));
        let (text, _, after) = encoded(&closing, Method::GET, Persistence::Keep);
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\n{date}Connection: close\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(after, Persistence::Close);
    }

    #[test]
    fn repeated_heads_are_those_of_the_whole_encoder() {
        let (mut date, mut repeater) = (DateLine::new(), HeadRepeater::default());
        let (mut repeated, mut expected) = (Vec::new(), Vec::new());
        let plain = Response::text("a");
        let answers = [
            plain.clone(),
            plain.clone(),
            plain.clone().with_body("b".repeat(1_234)),
            plain.clone().with_status(StatusCode::NO_CONTENT),
            plain.clone().with_status(StatusCode::NOT_FOUND),
            plain.clone().with_status(StatusCode::NOT_FOUND),
            Response::new(StatusCode::NOT_FOUND),
            Response::html("c"),
            plain.clone().header(header::ETAG, value("d")),
            plain,
        ];
        let mut repeated_count = 0;
        // Each answer after each other, with each method and fate of the connection.
        for (first, second) in answers
            .iter()
            .flat_map(|first| answers.iter().map(move |second| (first, second)))
        {
            for method in [Method::GET, Method::HEAD] {
                for persistence in [
                    Persistence::Keep,
                    Persistence::Close,
                    Persistence::KeepAnnounced,
                ] {
                    for (response, method, persistence) in [
                        (first, &method, persistence),
                        (second, &Method::GET, Persistence::Keep),
                        (second, &method, persistence),
                    ] {
                        let line = date.current();
                        let whole = encode_head(&mut expected, response, method, persistence, line);
                        if repeater.repeat(&mut repeated, response, method, persistence) {
                            assert_eq!(whole, (BodyRule::Send, persistence));
                            repeated_count += 1;
                        } else {
                            let result =
                                repeater.encode(&mut repeated, response, method, persistence, line);
                            assert_eq!(result, whole);
                        }
                        assert_eq!(
                            repeated.escape_ascii().to_string(),
                            expected.escape_ascii().to_string()
                        );
                    }
                }
            }
            // A new batch with a new date.
            repeated.clear();
            expected.clear();
            repeater.forget();
            let second = date.current()[30].into();
            date.at(UNIX_EPOCH + Duration::from_secs(second));
        }
        assert!(repeated_count > 0);
    }

    #[test]
    fn lengths_are_decimal() {
        for length in [
            0,
            9,
            10,
            99,
            100,
            65_536,
            99_999,
            100_000,
            999_999,
            1_000_000,
            usize::MAX,
        ] {
            let mut output = Vec::new();
            encode_length(&mut output, length);
            assert_eq!(output, format!("Content-Length: {length}\r\n").into_bytes());
        }
    }
}
