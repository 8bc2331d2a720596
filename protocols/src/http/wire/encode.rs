//! Response heads.

use ::http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};

use super::date::DATE_LINE_BYTES;
use super::framing::Persistence;
use crate::http::response::Response;

/// What the head of a response must know of the request it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requested<'request> {
    pub(crate) method: &'request Method,
    pub(crate) version: Version,
    /// Whether the connection lives on as far as the peer and the server are concerned.
    pub(crate) persistence: Persistence,
}

/// How the body of a response follows its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// The peer expects no body, whatever the response has.
    Omit,
    /// As it is.
    Plain,
    /// In chunks.
    Chunked,
}

/// Appends the head of `response`, whose body has `length` bytes if that is known, to `output`.
///
/// It says `Connection: close` if the peer or the response wants it, or if the end of the connection is the end of the body, and
/// returns what holds for the connection. Framing is the server's: a `Transfer-Encoding` or `Content-Length` of the response is
/// left out, except that a response to `HEAD` without a body may declare the length that `GET` would give.
///
/// # Source
///
/// RFC 9110 sections 8.6 and 15.3.6, RFC 9112 section 6.3: where a length or a body must not be.
#[inline]
pub(crate) fn encode_head(
    output: &mut Vec<u8>,
    response: &Response,
    length: Option<u64>,
    requested: Requested<'_>,
    date_line: &[u8; DATE_LINE_BYTES],
) -> (Coding, Persistence) {
    let status = response.status();
    encode_status_line(output, status);
    let has_no_content = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || status == StatusCode::RESET_CONTENT
        || status.is_informational();
    let is_head = *requested.method == Method::HEAD;
    let may_chunk = requested.version == Version::HTTP_11;
    let mut result = HeaderResult::new(requested.persistence);
    if length.is_none() && !may_chunk && !has_no_content && !is_head {
        result.persistence = Persistence::Close;
    }
    if !response.headers().is_empty() {
        result = encode_headers(output, response.headers(), result);
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
    let coding = if has_no_content {
        if status == StatusCode::RESET_CONTENT {
            output.extend_from_slice(b"Content-Length: 0\r\n");
        }
        Coding::Omit
    } else {
        let declared = result.length.filter(|_| is_head && length == Some(0));
        encode_framing(output, declared, length, may_chunk, is_head)
    };
    output.extend_from_slice(b"\r\n");
    (coding, result.persistence)
}

#[inline]
fn encode_framing(
    output: &mut Vec<u8>,
    declared: Option<&HeaderValue>,
    length: Option<u64>,
    may_chunk: bool,
    is_head: bool,
) -> Coding {
    let coding = match (declared, length) {
        (Some(declared), _) => {
            output.extend_from_slice(b"Content-Length: ");
            output.extend_from_slice(declared.as_bytes());
            output.extend_from_slice(b"\r\n");
            Coding::Plain
        }
        (None, Some(length)) => {
            encode_length(output, length);
            Coding::Plain
        }
        (None, None) if may_chunk => {
            output.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            Coding::Chunked
        }
        (None, None) => Coding::Plain,
    };
    if is_head { Coding::Omit } else { coding }
}

/// Appends an informational response (1xx), which is a head alone.
pub(crate) fn encode_informational(output: &mut Vec<u8>, response: &Response) {
    encode_status_line(output, response.status());
    let result = HeaderResult::new(Persistence::Keep);
    encode_headers(output, response.headers(), result);
    output.extend_from_slice(b"\r\n");
}

/// Appends the head behind which the connection belongs to another protocol: 101, or a 2xx to `CONNECT`.
pub(crate) fn encode_switch(
    output: &mut Vec<u8>,
    response: &Response,
    date_line: &[u8; DATE_LINE_BYTES],
) {
    encode_status_line(output, response.status());
    let result = encode_headers(
        output,
        response.headers(),
        HeaderResult::new(Persistence::Keep),
    );
    if !result.has_date {
        output.extend_from_slice(date_line);
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        output.extend_from_slice(b"Connection: upgrade\r\n");
    }
    output.extend_from_slice(b"\r\n");
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

impl HeaderResult<'_> {
    fn new(persistence: Persistence) -> Self {
        Self {
            persistence,
            has_date: false,
            length: None,
        }
    }
}

fn encode_headers<'response>(
    output: &mut Vec<u8>,
    headers: &'response [(HeaderName, HeaderValue)],
    mut result: HeaderResult<'response>,
) -> HeaderResult<'response> {
    for (name, value) in headers {
        if name == header::CONTENT_LENGTH {
            let is_number = !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
            result.length = is_number.then_some(value);
            continue;
        } else if name == header::TRANSFER_ENCODING {
            continue;
        } else if name == header::CONNECTION {
            let options = value
                .as_bytes()
                .split(|byte| *byte == b',')
                .map(<[u8]>::trim_ascii);
            // Both are the server's to say.
            if options
                .clone()
                .any(|option| option.eq_ignore_ascii_case(b"close"))
            {
                result.persistence = Persistence::Close;
                continue;
            }
            let is_theirs =
                |option: &&[u8]| !option.is_empty() && !option.eq_ignore_ascii_case(b"keep-alive");
            for option in options.filter(is_theirs) {
                output.extend_from_slice(b"connection: ");
                output.extend_from_slice(option);
                output.extend_from_slice(b"\r\n");
            }
            continue;
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
fn encode_length(output: &mut Vec<u8>, length: u64) {
    output.extend_from_slice(b"Content-Length: ");
    encode_digits(output, length);
}

/// Appends `length` in decimal and CRLF.
#[inline]
pub(super) fn encode_digits(output: &mut Vec<u8>, length: u64) {
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
fn encode_many_digits(output: &mut Vec<u8>, length: u64) {
    output.extend_from_slice(length.to_string().as_bytes());
    output.extend_from_slice(b"\r\n");
}

/// Returns the number of digits of `length`.
pub(super) fn digit_count(length: u64) -> usize {
    length.checked_ilog10().unwrap_or_default() as usize + 1
}

#[cfg(test)]
mod tests {
    use ::http::{HeaderName, HeaderValue};

    use super::super::date::DateLine;
    use super::*;
    use crate::http::Body;

    const DATE: &str = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

    fn length_of(response: &Response) -> Option<u64> {
        response.body().len()
    }

    fn encoded(
        response: &Response,
        method: Method,
        version: Version,
        persistence: Persistence,
    ) -> (String, Coding, Persistence) {
        let mut output = Vec::new();
        let requested = Requested {
            method: &method,
            version,
            persistence,
        };
        let (coding, after) = encode_head(
            &mut output,
            response,
            length_of(response),
            requested,
            DateLine::new().current(),
        );
        let text = String::from_utf8(output).expect("the head is text");
        (text.replace(DATE, "{date}"), coding, after)
    }

    fn check(response: Response, method: Method, expected: &str, expected_coding: Coding) {
        let (text, coding, persistence) =
            encoded(&response, method, Version::HTTP_11, Persistence::Keep);
        assert_eq!(text, expected);
        assert_eq!(coding, expected_coding);
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
            Coding::Plain,
        );
        check(
            Response::new(StatusCode::CREATED),
            Method::POST,
            "HTTP/1.1 201 Created\r\n{date}Content-Length: 0\r\n\r\n",
            Coding::Plain,
        );
    }

    #[test]
    fn unknown_statuses_keep_the_space_before_the_reason() {
        let status = StatusCode::from_u16(599).expect("a valid status");
        check(
            Response::new(status),
            Method::GET,
            "HTTP/1.1 599 \r\n{date}Content-Length: 0\r\n\r\n",
            Coding::Plain,
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
                Coding::Omit,
            );
        }
    }

    #[test]
    fn head_gets_the_head_that_get_would() {
        check(
            Response::bytes(vec![0; 1_234]),
            Method::HEAD,
            "HTTP/1.1 200 OK\r\n{date}Content-Type: application/octet-stream\r\nContent-Length: 1234\r\n\r\n",
            Coding::Omit,
        );
        check(
            Response::new(StatusCode::OK).header(header::CONTENT_LENGTH, value("77")),
            Method::HEAD,
            "HTTP/1.1 200 OK\r\n{date}Content-Length: 77\r\n\r\n",
            Coding::Omit,
        );
        check(
            Response::new(StatusCode::OK)
                .with_body("abc")
                .header(header::CONTENT_LENGTH, value("77")),
            Method::HEAD,
            "HTTP/1.1 200 OK\r\n{date}Content-Length: 3\r\n\r\n",
            Coding::Omit,
        );
        check(
            Response::new(StatusCode::OK).header(header::CONTENT_LENGTH, value("7 7")),
            Method::HEAD,
            "HTTP/1.1 200 OK\r\n{date}Content-Length: 0\r\n\r\n",
            Coding::Omit,
        );
    }

    #[test]
    fn framing_is_the_servers() {
        let response = Response::new(StatusCode::OK)
            .header(header::CONTENT_LENGTH, value("5"))
            .header(header::TRANSFER_ENCODING, value("chunked"))
            .header(header::CONNECTION, value("keep-alive, , x"));
        check(
            response,
            Method::GET,
            "HTTP/1.1 200 OK\r\nconnection: x\r\n{date}Content-Length: 0\r\n\r\n",
            Coding::Plain,
        );
    }

    #[test]
    fn a_body_of_unknown_length_is_chunked_or_ends_with_the_connection() {
        let unknown =
            || Response::new(StatusCode::OK).with_body(Body::from_reader(std::io::empty()));
        let chunked = "HTTP/1.1 200 OK\r\n{date}Transfer-Encoding: chunked\r\n\r\n";
        check(unknown(), Method::GET, chunked, Coding::Chunked);
        check(unknown(), Method::HEAD, chunked, Coding::Omit);
        let (text, coding, persistence) = encoded(
            &unknown(),
            Method::GET,
            Version::HTTP_10,
            Persistence::KeepAnnounced,
        );
        assert_eq!(text, "HTTP/1.1 200 OK\r\n{date}Connection: close\r\n\r\n");
        assert_eq!((coding, persistence), (Coding::Plain, Persistence::Close));
    }

    #[test]
    fn heads_without_a_body_have_no_framing() {
        let mut output = Vec::new();
        let hints = Response::new(StatusCode::EARLY_HINTS)
            .header(header::LINK, value("</a>"))
            .header(header::CONTENT_LENGTH, value("5"));
        encode_informational(&mut output, &hints);
        assert_eq!(output, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        output.clear();
        let switch =
            Response::switch("echo", drop).header(header::TRANSFER_ENCODING, value("chunked"));
        encode_switch(&mut output, &switch, DateLine::new().current());
        let text = String::from_utf8_lossy(&output).replace(DATE, "{date}");
        assert_eq!(
            text,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\n{date}Connection: upgrade\r\n\r\n"
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
            Coding::Plain,
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
            let (text, _, after) = encoded(&plain, Method::GET, Version::HTTP_11, persistence);
            assert_eq!(
                text,
                format!("HTTP/1.1 200 OK\r\n{{date}}{line}Content-Length: 0\r\n\r\n")
            );
            assert_eq!(after, persistence);
        }
        let closing = plain.header(header::CONNECTION, value("upgrade, Close"));
        let (text, _, after) = encoded(&closing, Method::GET, Version::HTTP_11, Persistence::Keep);
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\n{date}Connection: close\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(after, Persistence::Close);
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
            u64::MAX,
        ] {
            let mut output = Vec::new();
            encode_length(&mut output, length);
            assert_eq!(output, format!("Content-Length: {length}\r\n").into_bytes());
        }
    }
}
