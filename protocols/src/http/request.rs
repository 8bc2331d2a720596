//! What a handler is given.

use std::cell::{OnceCell, RefCell};
use std::fmt;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use super::wire::RequestHead;

/// A request whose head is checked but still the bytes the peer sent.
///
/// Everything that is borrowed from it lives as long as the handler runs. Looking at method, path or a few headers costs no
/// allocation; [`headers`](Self::headers) and [`uri`](Self::uri) are made on first access.
///
/// # Examples
///
/// ```
/// use kapok::http::{Method, Request, Response, StatusCode};
///
/// fn app(request: &mut Request<'_>) -> Response {
///     match (request.method(), request.path()) {
///         (&Method::GET, "/agent") => match request.header("user-agent") {
///             Some(agent) => Response::text(String::from_utf8_lossy(agent).into_owned()),
///             None => Response::new(StatusCode::NO_CONTENT),
///         },
///         (&Method::POST, "/echo") => Response::bytes(request.body().to_vec()),
///         _ => Response::not_found(),
///     }
/// }
/// # let _ = app;
/// ```
pub struct Request<'a> {
    head: &'a RequestHead,
    /// The bytes `head` was parsed from.
    bytes: &'a [u8],
    body: &'a [u8],
    made: &'a MadeParts,
}

impl<'a> Request<'a> {
    #[inline]
    pub(super) fn new(
        head: &'a RequestHead,
        bytes: &'a [u8],
        body: &'a [u8],
        made: &'a MadeParts,
    ) -> Self {
        Self {
            head,
            bytes,
            body,
            made,
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
    /// It begins with `/`, except that `OPTIONS *` has the path `*`. It may have `//`, `.` and `..` in it.
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

    /// Returns the body, whole.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Makes a request of the `http` crate with a copy of everything.
    #[must_use]
    pub fn to_http(&self) -> ::http::Request<Vec<u8>> {
        let mut request = ::http::Request::new(self.body.to_vec());
        *request.method_mut() = self.method().clone();
        *request.uri_mut() = self.uri().clone();
        *request.version_mut() = self.version();
        *request.headers_mut() = self.headers().clone();
        request
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
            .field("body_bytes", &self.body.len())
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Config;
    use crate::http::wire::{HeadParser, Parsed};

    fn with_request<T>(input: &str, look: impl FnOnce(&Request<'_>) -> T) -> T {
        let mut head = RequestHead::new();
        let parsed = HeadParser::default().parse(input.as_bytes(), &Config::new(), &mut head);
        let Parsed::Complete(end) = parsed else {
            panic!("{parsed:?}")
        };
        let (bytes, body) = input.as_bytes().split_at(end);
        look(&Request::new(&head, bytes, body, &MadeParts::default()))
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
            assert_eq!(request.body(), b"hi");
            assert_eq!(request.raw_headers().len(), 5);
            assert_eq!(request.raw_headers().nth(2), Some(("x-a", &b"2"[..])));
        });
    }

    #[test]
    fn path_and_host_follow_the_form_of_the_target() {
        for (line, path, query, host) in [
            ("GET / HTTP/1.1", "/", None, "field"),
            ("GET /? HTTP/1.1", "/", Some(""), "field"),
            ("OPTIONS * HTTP/1.1", "*", None, "field"),
            (
                "GET http://target:8/a?b HTTP/1.1",
                "/a",
                Some("b"),
                "target:8",
            ),
            ("GET http://target HTTP/1.1", "/", None, "target"),
            ("GET http://target?b HTTP/1.1", "/", Some("b"), "target"),
        ] {
            with_request(&format!("{line}\r\nHost: field\r\n\r\n"), |request| {
                assert_eq!(request.path(), path, "{line}");
                assert_eq!(request.query(), query, "{line}");
                assert_eq!(request.host(), Some(host), "{line}");
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
            request.to_http()
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
        for byte in 0..=u8::MAX {
            for (before, after) in [("a", "b: c"), ("a: b", "c")] {
                let mut input = format!("GET / HTTP/1.0\r\n{before}").into_bytes();
                input.push(byte);
                input.extend_from_slice(format!("{after}\r\n\r\n").as_bytes());
                let mut head = RequestHead::new();
                let parsed = HeadParser::default().parse(&input, &Config::new(), &mut head);
                if parsed == Parsed::Complete(input.len()) {
                    let made = MadeParts::default();
                    assert_eq!(
                        Request::new(&head, &input, b"", &made).headers().len(),
                        1,
                        "{byte}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_was_made_for_one_request_is_gone_for_the_next() {
        let mut made = MadeParts::default();
        let mut head = RequestHead::new();
        for (input, path) in [
            (&b"GET /a HTTP/1.0\r\nA: a\r\n\r\n"[..], "/a"),
            (&b"GET /b HTTP/1.0\r\nB: b\r\n\r\n"[..], "/b"),
        ] {
            made.reset();
            let parsed = HeadParser::default().parse(input, &Config::new(), &mut head);
            assert_eq!(parsed, Parsed::Complete(input.len()));
            let request = Request::new(&head, input, b"", &made);
            assert_eq!(request.uri().path(), path);
            assert_eq!(request.headers().len(), 1);
            assert!(request.headers().contains_key(&path[1..]));
        }
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
