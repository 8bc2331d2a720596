//! What a handler answers.

use std::fmt;

use ::http::{HeaderName, HeaderValue, StatusCode, header};

/// A response: status, headers and a body that is in memory.
///
/// The server adds `Date`, `Content-Length` and what must be said of the connection. A response of static text costs no
/// allocation; other headers than the content type cost one for all of them.
///
/// # Examples
///
/// ```
/// use kapok::http::{Response, StatusCode, header, HeaderValue};
///
/// let plain = Response::text("Hello, World!");
/// let made = Response::text(format!("{} bottles", 99));
/// let moved = Response::new(StatusCode::SEE_OTHER).header(header::LOCATION, HeaderValue::from_static("/new"));
/// # assert_eq!(made.body().as_bytes(), b"99 bottles");
/// ```
#[derive(Debug, Clone)]
pub struct Response {
    status: StatusCode,
    /// Kept apart from the headers because nearly each response has just this one. Empty if there is none or if `headers`
    /// has one, so there are never two.
    content_type: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Body,
}

impl Response {
    /// Makes a response without headers and body.
    ///
    /// An informational status (1xx) ends no exchange; the server answers 500 in its place.
    #[inline]
    #[must_use]
    pub const fn new(status: StatusCode) -> Self {
        Self {
            status,
            content_type: "",
            headers: Vec::new(),
            body: Body::empty(),
        }
    }

    /// Makes a 200 response of plain text in UTF-8.
    #[inline]
    #[must_use]
    pub fn text(body: impl Into<Body>) -> Self {
        Self::of_type("text/plain; charset=utf-8", body.into())
    }

    /// Makes a 200 response of HTML in UTF-8.
    #[inline]
    #[must_use]
    pub fn html(body: impl Into<Body>) -> Self {
        Self::of_type("text/html; charset=utf-8", body.into())
    }

    /// Makes a 200 response of `application/octet-stream`.
    #[inline]
    #[must_use]
    pub fn bytes(body: impl Into<Body>) -> Self {
        Self::of_type("application/octet-stream", body.into())
    }

    /// Makes a 404 response with a short text.
    #[inline]
    #[must_use]
    pub fn not_found() -> Self {
        Self::text("not found").with_status(StatusCode::NOT_FOUND)
    }

    #[inline]
    fn of_type(content_type: &'static str, body: Body) -> Self {
        Self {
            status: StatusCode::OK,
            content_type,
            headers: Vec::new(),
            body,
        }
    }

    /// Adds a header.
    ///
    /// One name may be given several times, as `Set-Cookie` needs, but a second `Content-Type` takes the place of the first.
    /// `Content-Length` and `Transfer-Encoding` are the server's and are left out, except that a `Content-Length` stands in an
    /// answer to `HEAD` that has no body. `Connection: close` ends the connection after this response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if name == header::CONTENT_TYPE {
            self.content_type = "";
            self.headers
                .retain(|(existing, _)| *existing != header::CONTENT_TYPE);
        }
        self.headers.push((name, value));
        self
    }

    /// Replaces the content type by one that is known at compile time, which costs no allocation.
    ///
    /// # Panics
    ///
    /// If the text is not a valid header value; it would be in each run, since the text never changes.
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn with_content_type(mut self, content_type: &'static str) -> Self {
        // Checked here because the encoder copies the text as it is.
        assert!(
            is_header_value(content_type),
            "{content_type:?} is no header value"
        );
        self.headers
            .retain(|(existing, _)| *existing != header::CONTENT_TYPE);
        self.content_type = content_type;
        self
    }

    /// Replaces the status.
    #[inline]
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Replaces the body.
    #[inline]
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Returns the status.
    #[inline]
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the body.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Returns the content type unless it is among [`Self::headers`], else an empty text.
    #[inline]
    pub(super) fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// Returns the headers in the order they were added, without the content type that is kept apart.
    #[inline]
    pub(super) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }
}

impl From<StatusCode> for Response {
    fn from(status: StatusCode) -> Self {
        Self::new(status)
    }
}

impl From<&'static str> for Response {
    fn from(text: &'static str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Response {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl<B: Into<Body>> From<::http::Response<B>> for Response {
    /// Takes status, headers and body. Version and extensions have no place here and are dropped.
    fn from(response: ::http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        let mut headers = Vec::with_capacity(parts.headers.len());
        // The map names a field once and leaves the name out for its further values.
        let mut last_name = None;
        for (name, value) in parts.headers {
            last_name = name.or(last_name);
            headers.extend(last_name.clone().map(|name| (name, value)));
        }
        Self {
            status: parts.status,
            content_type: "",
            headers,
            body: body.into(),
        }
    }
}

/// The body of a [`Response`]: static bytes, which are never copied before they are sent, or owned ones.
#[derive(Clone)]
pub struct Body {
    content: Content,
}

impl Body {
    /// Makes a body without bytes.
    #[inline]
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            content: Content::Static(b""),
        }
    }

    /// Returns the bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.content {
            Content::Owned(bytes) => bytes,
            Content::Static(bytes) => bytes,
        }
    }

    /// Returns the number of bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether there are no bytes.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

/// Private, so that bodies which are made while they are sent can become a further variant.
#[derive(Clone)]
enum Content {
    Owned(Vec<u8>),
    Static(&'static [u8]),
}

impl fmt::Debug for Body {
    /// Prints the length only: bodies are long and may be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Body")
            .field("bytes", &self.len())
            .finish_non_exhaustive()
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

impl From<&'static str> for Body {
    #[inline]
    fn from(text: &'static str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<&'static [u8]> for Body {
    #[inline]
    fn from(bytes: &'static [u8]) -> Self {
        Self {
            content: Content::Static(bytes),
        }
    }
}

impl<const N: usize> From<&'static [u8; N]> for Body {
    #[inline]
    fn from(bytes: &'static [u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            content: Content::Owned(bytes),
        }
    }
}

#[inline]
fn is_header_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    #[test]
    fn a_second_content_type_replaces_the_first() {
        let by_header = Response::text("a").header(header::CONTENT_TYPE, value("a/b"));
        assert_eq!(by_header.content_type(), "");
        assert_eq!(by_header.headers(), [(header::CONTENT_TYPE, value("a/b"))]);
        let again = by_header.header(header::CONTENT_TYPE, value("c/d"));
        assert_eq!(again.headers(), [(header::CONTENT_TYPE, value("c/d"))]);
        let apart = again.with_content_type("e/f");
        assert_eq!((apart.content_type(), apart.headers().len()), ("e/f", 0));
    }

    #[test]
    fn a_content_type_with_a_line_end_is_a_panic() {
        let injected = std::panic::catch_unwind(|| {
            Response::text("a").with_content_type("a/b\r\nSet-Cookie: a=b")
        });
        assert!(injected.is_err());
    }

    #[test]
    fn converts_from_the_http_crate_with_repeated_headers() {
        let theirs = ::http::Response::builder()
            .status(StatusCode::ACCEPTED)
            .header(header::SET_COOKIE, "a=b")
            .header(header::SET_COOKIE, "c=d")
            .header(header::ETAG, "\"e\"")
            .body("text")
            .expect("valid parts");
        let response = Response::from(theirs);
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.body().as_bytes(), b"text");
        assert_eq!(
            response.headers(),
            [
                (header::SET_COOKIE, value("a=b")),
                (header::SET_COOKIE, value("c=d")),
                (header::ETAG, value("\"e\"")),
            ]
        );
    }

    #[test]
    fn static_bodies_are_not_copied() {
        static TEXT: &str = "static";
        assert_eq!(
            Response::text(TEXT).body().as_bytes().as_ptr(),
            TEXT.as_ptr()
        );
        let owned = vec![1, 2, 3];
        let address = owned.as_ptr();
        assert_eq!(Response::bytes(owned).body().as_bytes().as_ptr(), address);
    }
}
