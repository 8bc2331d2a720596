//! What a handler answers.

use std::error::Error;
use std::io;
use std::mem::ManuallyDrop;

use ::http::{HeaderName, HeaderValue, StatusCode, header};

use super::body::{Body, Streamed};
use super::error::BodyError;
use super::server::upgraded::Upgraded;

/// A response: status, headers and a body.
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
/// # assert_eq!(made.body().as_bytes(), Some(&b"99 bottles"[..]));
/// ```
///
/// A body that is made while it is sent:
///
/// ```
/// use std::io::{self, Read};
/// use kapok::http::{Body, Response};
///
/// let zeros = Response::bytes(Body::from_reader(io::repeat(0).take(1_000_000)));
/// ```
#[derive(Debug)]
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
    /// An informational status (1xx) ends no exchange; the server answers 500 in its place. See
    /// [`Request::send_informational`](crate::http::Request::send_informational).
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

    /// Makes a 500 response with the text `internal error`.
    ///
    /// What `error` says may be secret: the peer does not see it. It goes to the [`Observer`](crate::http::Observer) with the answer,
    /// also if status and body are replaced.
    ///
    /// # Examples
    ///
    /// An error type of one's own:
    ///
    /// ```
    /// use std::io;
    /// use kapok::http::{Response, StatusCode};
    ///
    /// enum AppError {
    ///     Unknown(String),
    ///     Database(io::Error),
    /// }
    ///
    /// impl From<AppError> for Response {
    ///     fn from(error: AppError) -> Self {
    ///         match error {
    ///             AppError::Unknown(name) => Self::text(format!("no such thing: {name}")).with_status(StatusCode::NOT_FOUND),
    ///             AppError::Database(error) => Self::internal_error(error).with_status(StatusCode::SERVICE_UNAVAILABLE),
    ///         }
    ///     }
    /// }
    /// # let response = Response::from(AppError::Database(io::Error::other("secret")));
    /// # assert_eq!(response.body().as_bytes(), Some(&b"internal error"[..]));
    /// ```
    #[must_use]
    pub fn internal_error(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::text(Body::from("internal error").with_error(error.into()))
            .with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Makes a 101 response after which the connection speaks `protocol`: `serve` is called with the stream, on the fiber of the
    /// connection. The connection ends with it, unless it gave the stream to another fiber: then that one has it to itself, and it is
    /// neither counted nor ended by a stop of the server.
    ///
    /// It is right for a request that offers the protocol, see [`Request::upgrades`](crate::http::Request::upgrades); to any other
    /// the server answers 500 in its place. Further headers may be added.
    ///
    /// # Panics
    ///
    /// If the protocol's name is no header value.
    #[must_use]
    #[track_caller]
    pub fn switch(protocol: &'static str, serve: impl FnOnce(Upgraded) + 'static) -> Self {
        Self::new(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::UPGRADE, HeaderValue::from_static(protocol))
            .with_streamed(Streamed::Switch(Box::new(serve)))
    }

    /// Makes a 200 response to `CONNECT`, after which the connection carries what the client and `serve` make of it.
    ///
    /// The handler must have connected to where the request's target says before. To another method than `CONNECT`, which
    /// [`Config::connect`](crate::http::Config::connect) must allow, the server answers 500 in its place.
    #[must_use]
    pub fn tunnel(serve: impl FnOnce(Upgraded) + 'static) -> Self {
        Self::new(StatusCode::OK).with_streamed(Streamed::Switch(Box::new(serve)))
    }

    /// What a handler returns that has written its response already.
    pub(super) fn sent() -> Self {
        Self::new(StatusCode::OK).with_body(Body::sent())
    }

    fn with_streamed(mut self, streamed: Streamed) -> Self {
        self.body = Body::streamed(streamed);
        self
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
        self.body.replace(body.into());
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

    /// Frees what it owns. Most own nothing, which is seen here at less than the cost of the calls that would find it.
    #[inline]
    pub(super) fn free(self) {
        if self.headers.capacity() == 0 && self.body.is_static() {
            let _ = ManuallyDrop::new(self);
        }
    }

    #[inline]
    pub(super) fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// Returns the length that the headers declare, if they do.
    pub(super) fn declared_length(&self) -> Option<u64> {
        let length = |(name, value): &(HeaderName, HeaderValue)| {
            value
                .to_str()
                .ok()
                .filter(|_| name == header::CONTENT_LENGTH)?
                .parse()
                .ok()
        };
        self.headers.iter().find_map(length)
    }
}

impl<R: Into<Self>, E: Into<Self>> From<Result<R, E>> for Response {
    /// Takes whichever it is, so that a handler can use `?`.
    fn from(result: Result<R, E>) -> Self {
        match result {
            Ok(response) => response.into(),
            Err(error) => error.into(),
        }
    }
}

impl From<BodyError> for Response {
    /// Answers 400, 408, 413 or 431, with the error as text.
    fn from(error: BodyError) -> Self {
        Self::text(error.to_string()).with_status(error.status())
    }
}

impl From<io::Error> for Response {
    /// Answers as [`BodyError`] does if there is one inside, else with [`Response::internal_error`].
    fn from(error: io::Error) -> Self {
        match error.downcast::<BodyError>() {
            Ok(error) => error.into(),
            Err(error) => Self::internal_error(error),
        }
    }
}

impl From<Box<dyn Error + Send + Sync>> for Response {
    /// Answers as [`BodyError`] and [`io::Error`] do if it is one, else with [`Response::internal_error`].
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast::<io::Error>() {
            Ok(error) => (*error).into(),
            Err(error) => match error.downcast::<BodyError>() {
                Ok(error) => (*error).into(),
                Err(error) => Self::internal_error(error),
            },
        }
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
        assert_eq!(response.body().as_bytes(), Some(&b"text"[..]));
        assert_eq!(
            response.headers(),
            [
                (header::SET_COOKIE, value("a=b")),
                (header::SET_COOKIE, value("c=d")),
                (header::ETAG, value("\"e\"")),
            ]
        );
    }
}
