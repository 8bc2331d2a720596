//! What a handler is given.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::io;
use std::net::SocketAddr;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};

use super::error::BodyError;
use super::response::Response;
use super::server::incoming::Incoming;
use super::server::reader::BodyReader;
use super::server::writer::BodyWriter;
use super::wire::{BodyLength, Persistence, RequestHead, Requested};
use crate::switchpoint;

/// A request whose head is checked but still the bytes the peer sent, and whose body is read when the handler asks for it.
///
/// Everything that is borrowed from it lives as long as the handler runs. Looking at method, path or a few headers costs no
/// allocation; [`headers`](Self::headers) and [`uri`](Self::uri) are made on first access.
///
/// # Examples
///
/// ```
/// use std::io::{self, Read};
/// use kapok::http::{BodyError, Method, Request, Response, StatusCode};
///
/// fn app(request: &mut Request<'_>) -> Result<Response, BodyError> {
///     Ok(match (request.method(), request.path()) {
///         (&Method::GET, "/agent") => match request.header("user-agent") {
///             Some(agent) => Response::text(String::from_utf8_lossy(agent).into_owned()),
///             None => Response::new(StatusCode::NO_CONTENT),
///         },
///         (&Method::POST, "/length") => Response::text(request.read_body()?.len().to_string()),
///         _ => Response::not_found(),
///     })
/// }
/// # let _ = app;
/// ```
pub struct Request<'a> {
    head: &'a RequestHead,
    /// The bytes `head` was parsed from.
    bytes: &'a [u8],
    made: &'a MadeParts,
    incoming: Incoming<'a>,
    /// The body, if it was read whole.
    whole: Option<&'a [u8]>,
    /// What the server makes of the connection.
    persistence: Persistence,
}

impl<'a> Request<'a> {
    #[inline]
    pub(super) fn new(
        head: &'a RequestHead,
        bytes: &'a [u8],
        made: &'a MadeParts,
        incoming: Incoming<'a>,
        persistence: Persistence,
    ) -> Self {
        Self {
            head,
            bytes,
            made,
            incoming,
            whole: None,
            persistence,
        }
    }

    /// Returns the method.
    ///
    /// A name the server does not know arrives as it is, also in lower case: methods are case-sensitive.
    #[inline]
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.head.method()
    }

    /// Returns the path of the target: what stands before the `?`, still percent-encoded.
    ///
    /// It begins with `/`, except that `OPTIONS *` has the path `*` and `CONNECT` an empty one. It may have `//`, `.` and `..` in it.
    #[inline]
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.head.path(self.bytes)
    }

    /// Returns what stands behind the `?` of the target, still percent-encoded.
    #[inline]
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.head.query(self.bytes)
    }

    /// Returns the target as it was sent, in absolute-form with scheme and authority.
    #[inline]
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.head.target(self.bytes)
    }

    /// Returns the host with its port, as it was sent: that of the target in absolute-form, else that of the `Host` field.
    ///
    /// Only an HTTP/1.0 request can have none.
    #[must_use]
    pub fn host(&self) -> Option<&'a str> {
        self.head.host(self.bytes)
    }

    /// Returns the version, HTTP/1.0 or HTTP/1.1.
    #[inline]
    #[must_use]
    pub fn version(&self) -> Version {
        self.head.version()
    }

    /// Returns the value of the first header field with this name, which may be in any case.
    ///
    /// It is without the blanks around it; bytes above 127 are possible, control bytes other than tab are not. Costs a look at
    /// each field before it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.head.value(self.bytes, name)
    }

    /// Returns all header fields in the order and with the names they were sent.
    #[must_use]
    pub fn raw_headers(&self) -> RawHeaders<'a> {
        RawHeaders {
            head: self.head,
            bytes: self.bytes,
            next: 0,
        }
    }

    /// Returns the header fields as a map, made on first access.
    ///
    /// The table of the map is used again for later requests of the connection; each value costs an allocation.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.made.headers.get_or_init(|| {
            let mut map = self.made.spare.take();
            for (name, value) in self.raw_headers() {
                // Both always succeed: the parser lets through tokens of less than 64 KiB and values without control bytes,
                // which is what these two check.
                if let (Ok(name), Ok(value)) = (
                    HeaderName::from_bytes(name.as_bytes()),
                    HeaderValue::from_bytes(value),
                ) {
                    map.append(name, value);
                }
            }
            map
        })
    }

    /// Returns the target as a URI, made on first access. Costs an allocation.
    #[must_use]
    pub fn uri(&self) -> &'a Uri {
        // Never the default: no target passes the checks of a head that `Uri` refuses.
        self.made
            .uri
            .get_or_init(|| Uri::try_from(self.target()).unwrap_or_default())
    }

    /// Returns the other end's address, if the connection has one.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.incoming.link.stream.peer()
    }

    /// Makes a request of the `http` crate with a copy of everything, the whole body included.
    ///
    /// # Errors
    ///
    /// As [`read_body`](Self::read_body).
    #[switchpoint(
        wakes = "the end of the body, or the timeout",
        cancel = "the rest of the body is not read"
    )]
    pub fn to_http(&mut self) -> Result<::http::Request<Vec<u8>>, BodyError> {
        let mut request = ::http::Request::new(self.read_body()?.to_vec());
        *request.method_mut() = self.method().clone();
        *request.uri_mut() = self.uri().clone();
        *request.version_mut() = self.version();
        *request.headers_mut() = self.headers().clone();
        Ok(request)
    }
}

/// # The body
impl<'a> Request<'a> {
    /// Returns the length of the body that the peer has declared: 0 if there is none, `None` if the body is chunked.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        match self.head.body() {
            BodyLength::Known(length) => Some(length),
            BodyLength::Chunked => None,
        }
    }

    /// Sets how many bytes the body may have, in the place of [`Config::body_bytes_max`](crate::http::Config::body_bytes_max).
    pub fn limit_body(&mut self, bytes: u64) {
        self.incoming.limit(bytes);
    }

    /// Returns the body, to read it while it comes in.
    ///
    /// A peer that waits for `100 Continue` gets it when the body is first read. What is left unread is thrown away after the
    /// answer, or the connection ends, see [`Config::drain_bytes_max`](crate::http::Config::drain_bytes_max).
    pub fn body(&mut self) -> BodyReader<'_> {
        BodyReader::new(self.incoming.lend())
    }

    /// Reads the body to its end and returns all of it that was not read before, and the same again if asked again.
    ///
    /// A short body with a `Content-Length` stands in the connection's buffer and costs nothing; a longer one is copied.
    ///
    /// # Errors
    ///
    /// If it is longer than allowed, malformed, cut short or too slow. The error turns into the [`Response`] that fits.
    #[switchpoint(
        wakes = "the end of the body, or the timeout",
        cancel = "the rest of the body is not read"
    )]
    #[inline]
    pub fn read_body(&mut self) -> Result<&'a [u8], BodyError> {
        if self.head.body() == BodyLength::Known(0) {
            return Ok(&[]);
        }
        self.read_some_body()
    }

    #[inline(never)]
    fn read_some_body(&mut self) -> Result<&'a [u8], BodyError> {
        if let Some(whole) = self.whole {
            return Ok(whole);
        }
        let whole = match self.incoming.take_room()? {
            Some(whole) => whole,
            None => {
                let mut bytes = Vec::new();
                self.incoming.read_whole(&mut bytes)?;
                self.made.body.get_or_init(|| bytes)
            }
        };
        self.whole = Some(whole);
        Ok(whole)
    }

    /// Returns the trailers behind a chunked body that was read to its end, if there were any.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.incoming.trailers()
    }
}

impl Request<'_> {
    /// Returns how much of the body the handler has read.
    #[inline]
    pub(super) fn received(&self) -> u64 {
        self.incoming.body.received()
    }

    /// Throws away what is left of the body and already here.
    #[inline]
    pub(super) fn skip_buffered_body(&mut self) {
        if !self.incoming.body.is_ended() {
            self.incoming.skip_buffered();
        }
    }
}

/// # Answering before returning
impl Request<'_> {
    /// Sends an informational response (1xx), such as 103 with `Link` headers, before the final one. A client of HTTP/1.0, which
    /// knows of none, gets nothing.
    ///
    /// `100 Continue` is sent by itself when the body is read.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a status that is not informational, or that is 101; what the stream says if writing fails.
    #[switchpoint(
        wakes = "room in the system's buffer, or the timeout",
        cancel = "a part may have been written"
    )]
    pub fn send_informational(&mut self, response: &Response) -> io::Result<()> {
        let status = response.status();
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            let reason = format!("{status} is not an informational response");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        if self.version() == Version::HTTP_10 {
            return Ok(());
        }
        let mut output = self.incoming.output.borrow_mut();
        output.check_not_started()?;
        output.push_informational(response);
        output.send(self.incoming.link)
    }

    /// Sends the head of `response` and returns the request's body, to read, and the response's, to write: both may go on at once.
    ///
    /// The body of `response` must be empty. If it has a `Content-Length` header so many bytes must be written; else the body is
    /// chunked, and to an HTTP/1.0 client its end is the connection's. The handler must return what
    /// [`BodyWriter::finish`] gives; the response is broken off if it returns anything else.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the response has a body or a status of 1xx, or one of 2xx to `CONNECT`, or if one was started before; what
    /// the stream says if writing fails.
    ///
    /// # Examples
    ///
    /// A handler that sends back what it gets while it comes in:
    ///
    /// ```
    /// use std::io;
    /// use kapok::http::{Request, Response};
    ///
    /// fn echo(request: &mut Request<'_>) -> io::Result<Response> {
    ///     let (mut body, mut writer) = request.start_response(Response::bytes(""))?;
    ///     io::copy(&mut body, &mut writer)?;
    ///     writer.finish()
    /// }
    /// # let _ = echo;
    /// ```
    #[switchpoint(
        wakes = "room in the system's buffer, or the timeout",
        cancel = "a part may have been written"
    )]
    pub fn start_response(
        &mut self,
        mut response: Response,
    ) -> io::Result<(BodyReader<'_>, BodyWriter<'_>)> {
        // The peer would take it for a tunnel, and this side what comes through that for requests.
        let is_tunnel = *self.method() == Method::CONNECT && response.status().is_success();
        let reason = match (response.status().is_informational(), is_tunnel) {
            (true, _) => "an informational response cannot be started",
            (_, true) => "the response that opens a tunnel cannot be started",
            _ => "a response that is started has its body written",
        };
        if response.status().is_informational() || is_tunnel || !response.body().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let (link, output) = (self.incoming.link, self.incoming.output);
        output.borrow().check_not_started()?;
        // After the head it would be too late.
        let is_continued = self.incoming.send_continue()?;
        let requested = Requested {
            method: self.head.method(),
            version: self.head.version(),
            persistence: match link.is_stopping.get() {
                true => Persistence::Close,
                false => self.persistence,
            },
        };
        let mut started = output.borrow_mut();
        let length = response.declared_length();
        started.start(link, &mut response, length, requested);
        // The peer may wait for it before it sends more of the body. After a 100, which it waited for, the head goes with the first
        // piece of the body: haproxy loses a head that comes right behind a 100.
        if !self.incoming.body.is_ended() && !is_continued {
            started.send(link)?;
        }
        drop(started);
        let takes_trailers = self.takes_trailers();
        let writer = BodyWriter::new(output, link, takes_trailers);
        Ok((BodyReader::new(self.incoming.lend()), writer))
    }

    /// Returns the protocols that the peer offers to go on with, in the order it likes them; none if the request cannot be upgraded,
    /// since it is HTTP/1.0, not `GET`, has a body, or does not say `Connection: upgrade`.
    ///
    /// See [`Response::switch`].
    pub fn upgrades(&self) -> impl Iterator<Item = &str> {
        let offered = self.head.offers_upgrade();
        self.raw_headers()
            .filter(move |(name, _)| offered && name.eq_ignore_ascii_case("upgrade"))
            .filter_map(|(_, value)| str::from_utf8(value).ok())
            .flat_map(|value| value.split(',').map(str::trim))
            .filter(|protocol| !protocol.is_empty())
    }

    fn takes_trailers(&self) -> bool {
        let is_trailers = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"trailers");
        self.raw_headers()
            .filter(|(name, _)| name.eq_ignore_ascii_case(header::TE.as_str()))
            .any(|(_, value)| value.split(|byte| *byte == b',').any(is_trailers))
    }
}

impl fmt::Debug for Request<'_> {
    /// Leaves out header values and body, which may be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("method", self.method())
            .field("target", &self.target())
            .field("version", &self.version())
            .field("header_count", &self.head.field_count())
            .field("content_length", &self.content_length())
            .finish_non_exhaustive()
    }
}

/// The header fields of a [`Request`] as they were sent: names in their own case, values as bytes.
#[derive(Clone)]
pub struct RawHeaders<'a> {
    head: &'a RequestHead,
    bytes: &'a [u8],
    next: usize,
}

impl<'a> Iterator for RawHeaders<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.head.field(self.bytes, self.next)?;
        self.next += 1;
        Some(field)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.head.field_count() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for RawHeaders<'_> {}

impl fmt::Debug for RawHeaders<'_> {
    /// Prints the names only: values may be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.clone().map(|(name, _)| name))
            .finish()
    }
}

/// What is made of a head on demand; one for all requests of a connection.
#[derive(Debug, Default)]
pub(super) struct MadeParts {
    headers: OnceCell<HeaderMap>,
    uri: OnceCell<Uri>,
    /// The emptied map of an earlier request, for its allocation.
    spare: RefCell<HeaderMap>,
    /// A whole body that had no place in the connection's buffer.
    body: OnceCell<Vec<u8>>,
}

impl MadeParts {
    /// Forgets what belongs to the request before.
    #[inline]
    pub(super) fn reset(&mut self) {
        if let Some(mut map) = self.headers.take() {
            map.clear();
            *self.spare.get_mut() = map;
        }
        if self.uri.get().is_some() {
            self.uri = OnceCell::new();
        }
        if self.body.get().is_some() {
            self.body = OnceCell::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::http::server::testing::{Peer, serve};

    /// Has the request that `input` begins with looked at by a handler.
    fn with_request<T>(input: &str, look: impl Fn(&mut Request<'_>) -> T) -> T {
        let seen = RefCell::new(None);
        let handler = |request: &mut Request<'_>| {
            *seen.borrow_mut() = Some(look(request));
            StatusCode::OK
        };
        let mut peer = Peer::new([input]);
        serve(&mut peer, &handler).expect("served");
        seen.into_inner().expect("the request was handled")
    }

    #[test]
    fn parts_are_as_they_were_sent() {
        let input = "POST /a%20b?c=d HTTP/1.1\r\nHOST: h:1\r\nX-A: 1\r\nx-a: \t2 \r\nEmpty:\r\nContent-Length: 2\r\n\r\nhi";
        with_request(input, |request| {
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.target(), "/a%20b?c=d");
            assert_eq!(request.path(), "/a%20b");
            assert_eq!(request.query(), Some("c=d"));
            assert_eq!(request.host(), Some("h:1"));
            assert_eq!(request.version(), Version::HTTP_11);
            assert_eq!(request.header("x-A"), Some(&b"1"[..]));
            assert_eq!(request.header("empty"), Some(&b""[..]));
            assert_eq!(request.header("absent"), None);
            assert_eq!(request.content_length(), Some(2));
            assert_eq!(request.read_body().expect("it is whole"), b"hi");
            assert_eq!(request.read_body().expect("again"), b"hi");
            assert_eq!(request.raw_headers().len(), 5);
            assert_eq!(request.raw_headers().nth(2), Some(("x-a", &b"2"[..])));
        });
    }

    #[test]
    fn path_and_host_follow_the_form_of_the_target() {
        for (line, path, query, field) in [
            ("GET / HTTP/1.1", "/", None, "field"),
            ("GET /? HTTP/1.1", "/", Some(""), "field"),
            ("OPTIONS * HTTP/1.1", "*", None, "field"),
            (
                "GET http://target:8/a?b HTTP/1.1",
                "/a",
                Some("b"),
                "TARGET:8",
            ),
            ("GET http://target HTTP/1.1", "/", None, "target"),
            ("GET http://target?b HTTP/1.1", "/", Some("b"), "target"),
        ] {
            with_request(&format!("{line}\r\nHost: {field}\r\n\r\n"), |request| {
                assert_eq!(request.path(), path, "{line}");
                assert_eq!(request.query(), query, "{line}");
                let host = request.host().expect("there is one");
                assert!(host.eq_ignore_ascii_case(field), "{line}");
            });
        }
        with_request("GET / HTTP/1.0\r\n\r\n", |request| {
            assert_eq!(request.host(), None)
        });
    }

    #[test]
    fn turns_into_a_request_of_the_http_crate() {
        let input =
            "PATCH http://h/a?b HTTP/1.0\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\nhi";
        let request = with_request(input, |request| {
            assert!(std::ptr::eq(request.headers(), request.headers()));
            request.to_http().expect("the body is whole")
        });
        assert_eq!(request.method(), Method::PATCH);
        assert_eq!(request.uri(), "http://h/a?b");
        assert_eq!(request.version(), Version::HTTP_10);
        let values: Vec<_> = request.headers().get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert_eq!(request.into_body(), b"hi");
    }

    #[test]
    fn maps_take_every_name_and_value_that_passes() {
        let counted = Cell::new(0);
        let handler = |request: &mut Request<'_>| {
            assert_eq!(request.headers().len(), 1, "{request:?}");
            counted.set(counted.get() + 1);
        };
        for byte in 0..=u8::MAX {
            for (before, after) in [("a", "b: c"), ("a: b", "c")] {
                let mut input = format!("GET / HTTP/1.0\r\n{before}").into_bytes();
                input.push(byte);
                input.extend_from_slice(format!("{after}\r\n\r\n").as_bytes());
                let answer = |request: &mut Request<'_>| {
                    handler(request);
                    StatusCode::OK
                };
                serve(&mut Peer::new([input]), &answer).expect("served");
            }
        }
        assert!(counted.get() > 256, "{}", counted.get());
    }

    #[test]
    fn debug_shows_no_header_value() {
        let input = "GET / HTTP/1.0\r\nAuthorization: secret\r\n\r\n";
        with_request(input, |request| {
            let shown = format!("{request:?} {:?}", request.raw_headers());
            assert!(shown.contains("Authorization"), "{shown}");
            assert!(!shown.contains("secret"), "{shown}");
        });
    }
}
