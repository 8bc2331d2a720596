//! Response heads that are made once for many answers.

use std::time::Duration;

use ::http::{Method, StatusCode};

use super::date::{DATE_LINE_BYTES, DateLine};
use super::encode::{Coding, Requested, digit_count, encode_digits, encode_head};
use super::framing::Persistence;
use crate::http::response::Response;

/// The `Date` of all responses, and the last plain head, which is copied as long as the next differs in nothing but its length.
///
/// All connections of a hub share one: it stays near the processor, and an idle connection keeps nothing for it.
#[derive(Debug)]
pub(crate) struct HeadCache {
    date: DateLine,
    status: StatusCode,
    content_type: &'static str,
    length: u64,
    /// The whole head, or nothing if there is none.
    head: Vec<u8>,
    /// Where the digits of its length begin.
    length_start: usize,
}

impl HeadCache {
    pub(crate) fn new() -> Self {
        Self {
            date: DateLine::new(),
            status: StatusCode::OK,
            content_type: "",
            length: 0,
            head: Vec::new(),
            length_start: 0,
        }
    }

    /// Sets the time that the next heads tell, from the beginning of 1970.
    #[inline]
    pub(crate) fn set_time(&mut self, since_1970: Duration) {
        if self.date.advance(since_1970) {
            self.head.clear();
        }
    }

    pub(crate) fn date_line(&self) -> &[u8; DATE_LINE_BYTES] {
        self.date.current()
    }

    /// Appends the head of `response` if it differs from the last plain one in nothing but the length, and returns whether.
    ///
    /// The body must follow, and `requested.persistence` holds for the connection.
    #[inline]
    pub(crate) fn repeat(
        &self,
        output: &mut Vec<u8>,
        response: &Response,
        length: u64,
        requested: Requested<'_>,
    ) -> bool {
        // The text is static: if it stands at the same place it is the same.
        let is_same = !self.head.is_empty()
            && self.status == response.status()
            && std::ptr::eq(self.content_type, response.content_type())
            && is_plain(response, requested);
        if is_same && length == self.length {
            output.extend_from_slice(&self.head);
        } else if is_same {
            output.extend_from_slice(&self.head[..self.length_start]);
            encode_digits(output, length);
            output.extend_from_slice(b"\r\n");
        }
        is_same
    }

    /// Does what [`encode_head`] does, and keeps a plain head.
    pub(crate) fn encode(
        &mut self,
        output: &mut Vec<u8>,
        response: &Response,
        length: Option<u64>,
        requested: Requested<'_>,
    ) -> (Coding, Persistence) {
        let start = output.len();
        let result = encode_head(output, response, length, requested, self.date.current());
        if let (Coding::Plain, Some(length)) = (result.0, length)
            && is_plain(response, requested)
        {
            self.head.clear();
            self.head.extend_from_slice(&output[start..]);
            let end_bytes = digit_count(length) + "\r\n\r\n".len();
            self.length_start = self.head.len() - end_bytes;
            (self.status, self.content_type) = (response.status(), response.content_type());
            self.length = length;
        }
        result
    }
}

/// Returns whether status, content type and length are all that a head tells.
#[inline]
fn is_plain(response: &Response, requested: Requested<'_>) -> bool {
    response.headers().is_empty()
        && requested.persistence == Persistence::Keep
        && *requested.method != Method::HEAD
}

#[cfg(test)]
mod tests {
    use ::http::{HeaderValue, Version, header};

    use super::*;
    use crate::http::Body;

    fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    #[test]
    fn repeated_heads_are_those_of_the_whole_encoder() {
        let (mut date, mut cache) = (DateLine::new(), HeadCache::new());
        let (mut repeated, mut expected) = (Vec::new(), Vec::new());
        let plain = || Response::text("a");
        let answers = [
            plain(),
            plain(),
            plain().with_body("b".repeat(1_234)),
            plain().with_body(Body::from_reader(std::io::empty())),
            plain().with_status(StatusCode::NO_CONTENT),
            plain().with_status(StatusCode::NOT_FOUND),
            plain().with_status(StatusCode::NOT_FOUND),
            Response::new(StatusCode::NOT_FOUND),
            Response::html("c"),
            plain().header(header::ETAG, value("d")),
            plain(),
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
                        let length = response.body().len();
                        let requested = Requested {
                            method,
                            version: Version::HTTP_11,
                            persistence,
                        };
                        let whole = encode_head(&mut expected, response, length, requested, line);
                        if let Some(length) = length
                            && cache.repeat(&mut repeated, response, length, requested)
                        {
                            assert_eq!(whole, (Coding::Plain, persistence));
                            repeated_count += 1;
                        } else {
                            let result = cache.encode(&mut repeated, response, length, requested);
                            assert_eq!(result, whole);
                        }
                        assert_eq!(
                            repeated.escape_ascii().to_string(),
                            expected.escape_ascii().to_string()
                        );
                    }
                }
            }
            repeated.clear();
            expected.clear();
            // Sometimes with a new date.
            let time = Duration::from_secs(repeated_count / 7);
            date.advance(time);
            cache.set_time(time);
        }
        assert!(repeated_count > 0);
    }
}
