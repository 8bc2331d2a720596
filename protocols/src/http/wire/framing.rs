//! What header fields say of a request's body and of the connection. Its tests are those of heads.

use ::http::{StatusCode, Version};

use crate::http::error::Refusal;

/// Whether a connection lives on after a request, and what its answer must say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// It ends and the answer says so.
    Close,
    /// It lives on, as is usual in HTTP/1.1.
    Keep,
    /// It lives on because an HTTP/1.0 client asked, so the answer must say so.
    KeepAnnounced,
}

/// How the end of a request's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// By its length; 0 is no body.
    Known(u64),
    /// By its last chunk.
    Chunked,
}

/// What the header fields of a request conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) body: BodyLength,
    pub(crate) persistence: Persistence,
    /// The client waits for 100 before it sends the body.
    pub(crate) awaits_continue: bool,
    /// The connection options have `upgrade`, in a version that knows of it.
    pub(crate) offers_upgrade: bool,
}

impl Facts {
    /// What a request without any of the fields means.
    pub(crate) const NONE: Self = Self {
        body: BodyLength::Known(0),
        persistence: Persistence::Close,
        awaits_continue: false,
        offers_upgrade: false,
    };
}

/// What the header fields say of the body and of the connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    content_length: Option<u64>,
    is_chunked: bool,
    expectation: Expectation,
    wants_close: bool,
    wants_keep_alive: bool,
    wants_upgrade: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Expectation {
    #[default]
    None,
    Continue,
    Unknown,
}

impl Framing {
    /// Returns whether a field with a name of this length may be one of those that matter here.
    #[inline]
    pub(super) fn is_concerned(name_bytes: usize) -> bool {
        matches!(name_bytes, 6 | 10 | 14 | 17)
    }

    /// Takes note of a field if it is one of those that matter here.
    ///
    /// `is_tight` says that there is at most one space before the value and nothing behind it. Other blanks are right, but the
    /// two fields that say where a body ends are refused with them: parsers differ here, and no client sends them.
    pub(super) fn note(
        &mut self,
        name: &[u8],
        value: &[u8],
        is_tight: bool,
    ) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = parse_length(value)
                .filter(|_| is_tight)
                .ok_or(Refusal::bad_request("the Content-Length is not a number"))?;
            // Also if they are equal, which RFC 9110 section 8.6 leaves open: an honest client sends one.
            if self.content_length.replace(length).is_some() {
                return Err(Refusal::bad_request("there are two Content-Length fields"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.is_chunked {
                let reason = "there are two Transfer-Encoding fields";
                return Err(Refusal::bad_request(reason));
            }
            if value != b"chunked" || !is_tight {
                return Err(explain_transfer_encoding(value));
            }
            self.is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"expect") {
            let is_known = value.eq_ignore_ascii_case(b"100-continue");
            self.expectation = match self.expectation {
                Expectation::None | Expectation::Continue if is_known => Expectation::Continue,
                _ => Expectation::Unknown,
            };
        } else if name.eq_ignore_ascii_case(b"connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                self.wants_close |= option.eq_ignore_ascii_case(b"close");
                self.wants_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                self.wants_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
            }
        }
        Ok(())
    }

    /// Tells what becomes of the connection, and where the body ends.
    #[inline]
    pub(super) fn conclude(&self, version: Version) -> Result<Facts, Refusal> {
        let is_old = version == Version::HTTP_10;
        let body = self.body(is_old)?;
        // A 1.0 client does not know of expectations, so the field must be ignored: RFC 9110 section 10.1.1.
        if self.expectation == Expectation::Unknown && !is_old {
            return Err(Refusal::new(
                StatusCode::EXPECTATION_FAILED,
                "no other expectation than 100-continue can be met",
            ));
        }
        Ok(Facts {
            body,
            persistence: self.persistence(is_old),
            awaits_continue: self.expectation == Expectation::Continue
                && !is_old
                && body != BodyLength::Known(0),
            // RFC 9110 section 7.8: a 1.0 request cannot upgrade.
            offers_upgrade: self.wants_upgrade && !is_old,
        })
    }

    /// Tells what becomes of the connection: RFC 9112 section 9.3.
    #[inline]
    fn persistence(&self, is_old: bool) -> Persistence {
        if self.wants_close {
            Persistence::Close
        } else if !is_old {
            Persistence::Keep
        } else if self.wants_keep_alive {
            Persistence::KeepAnnounced
        } else {
            Persistence::Close
        }
    }

    /// Tells where the body ends: RFC 9112 section 6.
    #[inline]
    fn body(&self, is_old: bool) -> Result<BodyLength, Refusal> {
        match (self.is_chunked, self.content_length) {
            (false, length) => Ok(BodyLength::Known(length.unwrap_or_default())),
            (true, Some(_)) => Err(Refusal::bad_request(
                "there are Content-Length and Transfer-Encoding",
            )),
            (true, None) if is_old => {
                Err(Refusal::bad_request("HTTP/1.0 has no Transfer-Encoding"))
            }
            (true, None) => Ok(BodyLength::Chunked),
        }
    }
}

/// Parses `1*DIGIT`, RFC 9110 section 8.6: no sign, no blank, no list, no overflow. Leading zeros, which some read as octal, are
/// refused.
fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || (digits.len() > 1 && digits[0] == b'0') {
        return None;
    }
    digits.iter().try_fold(0_u64, |length, digit| {
        let value = u64::from(digit.checked_sub(b'0').filter(|value| *value <= 9)?);
        length.checked_mul(10)?.checked_add(value)
    })
}

/// Tells a coding that is not implemented from what is no list of codings, or one that does not end with `chunked`.
#[cold]
fn explain_transfer_encoding(value: &[u8]) -> Refusal {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let last = codings.next_back().unwrap_or_default();
    let is_plain = |coding: &[u8]| {
        !coding.is_empty() && !is_chunked(coding) && !coding.contains(&b';') && coding.is_ascii()
    };
    let mut others = codings.peekable();
    let is_more_than_chunked = others.peek().is_some() || !is_chunked(last);
    if is_more_than_chunked && others.all(is_plain) && (is_chunked(last) || is_plain(last)) {
        return Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            "no other Transfer-Encoding than chunked is implemented",
        );
    }
    Refusal::bad_request("the Transfer-Encoding is not exactly `chunked`")
}
