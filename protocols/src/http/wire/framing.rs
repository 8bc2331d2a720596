//! What header fields say of a request's body and of the connection. Its tests are those of heads.

use ::http::{StatusCode, Version};

use crate::http::config::Config;
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

/// What the header fields say of the body and of the connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    content_length: Option<u64>,
    has_transfer_encoding: bool,
    has_expectation: bool,
    wants_close: bool,
    wants_keep_alive: bool,
}

impl Framing {
    /// Returns whether a field with a name of this length may be one of those that matter here.
    #[inline]
    pub(super) fn is_concerned(name_bytes: usize) -> bool {
        matches!(name_bytes, 6 | 10 | 14 | 17)
    }

    /// Takes note of a field if it is one of those that matter here.
    pub(super) fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = parse_length(value)
                .ok_or(Refusal::bad_request("the Content-Length is not a number"))?;
            // Also if they are equal, which RFC 9110 section 8.6 leaves open: an honest client sends one.
            if self.content_length.replace(length).is_some() {
                return Err(Refusal::bad_request("there are two Content-Length fields"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.has_transfer_encoding = true;
        } else if name.eq_ignore_ascii_case(b"expect") {
            self.has_expectation = true;
        } else if name.eq_ignore_ascii_case(b"connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                self.wants_close |= option.eq_ignore_ascii_case(b"close");
                self.wants_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        Ok(())
    }

    /// Tells what becomes of the connection, and the length of the body.
    #[inline]
    pub(super) fn conclude(
        &self,
        version: Version,
        config: &Config,
    ) -> Result<(Persistence, usize), Refusal> {
        Ok((self.persistence(version), self.body_bytes(version, config)?))
    }

    /// Tells what becomes of the connection: RFC 9112 section 9.3.
    #[inline]
    fn persistence(&self, version: Version) -> Persistence {
        match version {
            _ if self.wants_close => Persistence::Close,
            Version::HTTP_11 => Persistence::Keep,
            _ if self.wants_keep_alive => Persistence::KeepAnnounced,
            _ => Persistence::Close,
        }
    }

    /// Returns the length of the body: RFC 9112 section 6.
    #[inline]
    fn body_bytes(&self, version: Version, config: &Config) -> Result<usize, Refusal> {
        if self.has_transfer_encoding {
            return Err(match (version, self.content_length) {
                (_, Some(_)) => {
                    Refusal::bad_request("there are Content-Length and Transfer-Encoding")
                }
                (Version::HTTP_10, None) => {
                    Refusal::bad_request("HTTP/1.0 has no Transfer-Encoding")
                }
                _ => Refusal::new(
                    StatusCode::NOT_IMPLEMENTED,
                    "Transfer-Encoding is not implemented",
                ),
            });
        }
        // A 1.0 client does not know of expectations, so the field must be ignored: RFC 9110 section 10.1.1.
        if self.has_expectation && version == Version::HTTP_11 {
            return Err(Refusal::new(
                StatusCode::EXPECTATION_FAILED,
                "expectations are not implemented",
            ));
        }
        let Some(length) = self.content_length else {
            return Ok(0);
        };
        usize::try_from(length)
            .ok()
            .filter(|length| *length <= config.body_bytes_max)
            .ok_or(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too long",
            ))
    }
}

/// Parses `1*DIGIT`, RFC 9110 section 8.6: no sign, no blank, no list, no overflow.
fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |length, digit| {
        let value = u64::from(digit.checked_sub(b'0').filter(|value| *value <= 9)?);
        length.checked_mul(10)?.checked_add(value)
    })
}
