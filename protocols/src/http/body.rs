//! What stands behind the head of a response.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::Read;

use super::server::upgraded::Upgraded;

/// The body of a [`Response`](super::Response): static bytes, which are never copied before they are sent, owned ones, or what a
/// reader makes while it is sent.
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

    /// Makes a body of all that `reader` gives. What each read gives is sent at once, as a chunk; to an HTTP/1.0 client the body's
    /// end is the connection's.
    ///
    /// The head goes out with what the first read gives. If that fails, the answer is
    /// [`Response::internal_error`](super::Response::internal_error); if a later one does, the connection ends inside the body.
    ///
    /// Costs 32 KiB while it is sent.
    #[must_use]
    pub fn from_reader(reader: impl Read + 'static) -> Self {
        Self::of_source(Box::new(reader), None)
    }

    /// Makes a body of the next `length` bytes that `reader` gives, with a `Content-Length`.
    ///
    /// A reader that gives fewer bytes has failed; see [`Body::from_reader`] for what happens then and for the cost.
    #[must_use]
    pub fn sized_reader(reader: impl Read + 'static, length: u64) -> Self {
        Self::of_source(Box::new(reader), Some(length))
    }

    /// Makes the body of a response that is sent already.
    pub(super) fn sent() -> Self {
        let content = Content::Sent;
        Self { content }
    }

    pub(super) fn streamed(streamed: Streamed) -> Self {
        Self::rare(Rare {
            streamed: Some(streamed),
            bytes: Cow::Borrowed(b""),
            error: None,
        })
    }

    fn rare(rare: Rare) -> Self {
        let content = Content::Rare(Box::new(rare));
        Self { content }
    }

    /// Adds an error that is told on this side.
    pub(super) fn with_error(self, error: Box<dyn Error + Send + Sync>) -> Self {
        let (streamed, bytes) = match self.content {
            Content::Static(bytes) => (None, Cow::Borrowed(bytes)),
            Content::Owned(bytes) => (None, Cow::Owned(bytes)),
            Content::Sent => (None, Cow::Borrowed(&b""[..])),
            Content::Rare(rare) => (rare.streamed, rare.bytes),
        };
        Self::rare(Rare {
            streamed,
            bytes,
            error: Some(error),
        })
    }

    fn of_source(reader: Box<dyn Read>, length: Option<u64>) -> Self {
        Self::streamed(Streamed::Reader(Source { reader, length }))
    }

    /// Returns the bytes, if they are in memory.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Static(bytes) => Some(bytes),
            Content::Owned(bytes) => Some(bytes),
            Content::Sent => None,
            Content::Rare(rare) => rare.as_bytes(),
        }
    }

    /// Returns the number of bytes, if it is known.
    #[inline]
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        match &self.content {
            Content::Static(bytes) => Some(bytes.len() as u64),
            Content::Owned(bytes) => Some(bytes.len() as u64),
            Content::Sent => None,
            Content::Rare(rare) => rare.len(),
        }
    }

    /// Returns whether it is known that there are no bytes.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    #[inline]
    pub(super) fn is_static(&self) -> bool {
        matches!(self.content, Content::Static(_))
    }

    pub(super) fn is_sent(&self) -> bool {
        matches!(self.content, Content::Sent)
    }

    /// Takes another body in the place of this one, but keeps the error.
    #[inline]
    pub(super) fn replace(&mut self, body: Self) {
        *self = match self.take_error() {
            Some(error) => body.with_error(error),
            None => body,
        };
    }

    /// Returns what went wrong, if the body was made because of that.
    pub(super) fn error(&self) -> Option<&(dyn Error + 'static)> {
        match &self.content {
            Content::Rare(rare) => rare.error.as_deref().map(|error| error as _),
            _ => None,
        }
    }

    /// Takes what [`Self::error`] returns.
    pub(super) fn take_error(&mut self) -> Option<Box<dyn Error + Send + Sync>> {
        match &mut self.content {
            Content::Rare(rare) => rare.error.take(),
            _ => None,
        }
    }

    /// Takes what must be done for the body, and leaves it empty; none for a body in memory.
    pub(super) fn take_streamed(&mut self) -> Option<Streamed> {
        match &mut self.content {
            Content::Rare(rare) => rare.streamed.take(),
            _ => None,
        }
    }
}

/// What stands behind the head of a response. Of few kinds, so that a response is dropped without a call.
enum Content {
    Static(&'static [u8]),
    Owned(Vec<u8>),
    /// The handler has written it.
    Sent,
    Rare(Box<Rare>),
}

/// What few responses have.
struct Rare {
    streamed: Option<Streamed>,
    /// The body, unless it is streamed.
    bytes: Cow<'static, [u8]>,
    error: Option<Box<dyn Error + Send + Sync>>,
}

impl Rare {
    fn as_bytes(&self) -> Option<&[u8]> {
        match self.streamed {
            Some(_) => None,
            None => Some(&self.bytes),
        }
    }

    fn len(&self) -> Option<u64> {
        match &self.streamed {
            Some(Streamed::Reader(source)) => source.length,
            Some(_) => None,
            None => Some(self.bytes.len() as u64),
        }
    }
}

/// What the server does behind the head of a response whose body is not in memory.
pub(super) enum Streamed {
    Reader(Source),
    /// The connection is handed over.
    Switch(Box<dyn FnOnce(Upgraded)>),
}

/// Where the bytes of a body come from.
pub(super) struct Source {
    pub(super) reader: Box<dyn Read>,
    pub(super) length: Option<u64>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_bodies_are_not_copied() {
        static TEXT: &str = "static";
        assert_eq!(
            Body::from(TEXT).as_bytes().map(<[u8]>::as_ptr),
            Some(TEXT.as_ptr())
        );
        let owned = vec![1, 2, 3];
        let address = owned.as_ptr();
        assert_eq!(
            Body::from(owned).as_bytes().map(<[u8]>::as_ptr),
            Some(address)
        );
    }

    #[test]
    fn the_length_is_told_where_it_is_known() {
        let of = |body: Body| (body.len(), body.is_empty());
        assert_eq!(of(Body::empty()), (Some(0), true));
        assert_eq!(of(Body::from(vec![0; 3])), (Some(3), false));
        assert_eq!(of(Body::from_reader(&b"abc"[..])), (None, false));
        assert_eq!(of(Body::sized_reader(&b"abc"[..], 2)), (Some(2), false));
        assert_eq!(
            of(Body::from("ab").with_error("why".into())),
            (Some(2), false)
        );
    }

    #[test]
    fn an_error_stays_with_the_body_that_takes_its_place() {
        let mut body = Body::from("text").with_error("why".into());
        body.replace(Body::sized_reader(&b"abc"[..], 3));
        assert_eq!((body.as_bytes(), body.len()), (None, Some(3)));
        assert!(body.take_streamed().is_some() && body.take_streamed().is_none());
        assert_eq!(body.as_bytes(), Some(&b""[..]));
        assert_eq!(body.error().map(ToString::to_string), Some("why".into()));
    }
}
