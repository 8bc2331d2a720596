//! Finds where a request head ends, in input that may arrive in pieces.

use ::http::StatusCode;

use super::words::line_feeds;
use crate::http::config::Config;
use crate::http::error::Refusal;

/// Looks for the empty line that ends a head.
///
/// It remembers what it has seen, so a head that drips in byte by byte is still looked through only once. Every line feed
/// passes here, hence three rules that concern lines are checked here and at once, since a peer that sends only line feeds
/// would never be found to end its head: each line ends with CRLF, their number is limited, and so is the length of the first.
///
/// A refusal depends on the bytes up to the one at fault and on nothing behind it. That is what makes the outcome the same
/// wherever the input was cut.
///
/// An empty line before the request line, which RFC 9112 section 2.2 would have ignored, is refused: honest clients of this
/// century send none, and whoever hides a request behind another's body begins with one.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// Bytes already looked through.
    scanned: usize,
    /// Where the line begins that `scanned` is in.
    line_start: usize,
    /// Complete lines: the request line and header fields.
    lines: usize,
    /// Length of the request line with its CRLF, once it is complete.
    request_line: usize,
}

impl HeadScan {
    /// Looks through what is new in `input`, which begins with all the bytes given before, and returns the head's length.
    #[inline]
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        config: &Config,
    ) -> Result<Option<usize>, Refusal> {
        let window = &input[..input.len().min(config.head_bytes_max)];
        let mut at = self.scanned;
        while let Some(chunk) = window.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let mut marks = line_feeds(u64::from_le_bytes(*chunk));
            while marks != 0 {
                let index = at + marks.trailing_zeros() as usize / 8;
                if let Some(end) = self.end_line(window, index, config)? {
                    return Ok(Some(end));
                }
                marks &= marks - 1;
            }
            at += 8;
        }
        for index in at..window.len() {
            if window[index] == b'\n'
                && let Some(end) = self.end_line(window, index, config)?
            {
                return Ok(Some(end));
            }
        }
        self.scanned = window.len();
        if self.lines == 0 && window.len() > request_line_max(config) {
            return Err(TARGET_TOO_LONG);
        }
        if input.len() >= config.head_bytes_max {
            return Err(HEAD_TOO_LONG);
        }
        Ok(None)
    }

    /// Takes note of the line feed at `index` and returns the head's length if it ends there.
    #[inline]
    fn end_line(
        &mut self,
        window: &[u8],
        index: usize,
        config: &Config,
    ) -> Result<Option<usize>, Refusal> {
        let after = index + 1;
        let length = after - self.line_start;
        if self.lines == 0 && length > request_line_max(config) {
            return Err(TARGET_TOO_LONG);
        }
        if length == 1 || window[index - 1] != b'\r' {
            return Err(BARE_LINE_FEED);
        }
        self.line_start = after;
        if length > 2 {
            if self.lines == 0 {
                self.request_line = length;
            } else if self.lines > config.header_count_max {
                return Err(TOO_MANY_FIELDS);
            }
            self.lines += 1;
            return Ok(None);
        }
        if self.lines == 0 {
            return Err(EMPTY_FIRST_LINE);
        }
        Ok(Some(after))
    }

    /// Returns whether nothing was looked through yet.
    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        self.scanned == 0
    }

    /// Returns the length of the request line with its CRLF, or `None` while it is incomplete.
    #[inline]
    pub(super) fn request_line(&self) -> Option<usize> {
        (self.request_line > 0).then_some(self.request_line)
    }

    /// Returns the number of complete header lines.
    #[inline]
    pub(super) fn fields(&self) -> usize {
        self.lines.saturating_sub(1)
    }
}

/// The longest request line: method, two spaces, target, version and CRLF.
#[inline]
fn request_line_max(config: &Config) -> usize {
    config.target_bytes_max + METHOD_BYTES_MAX + 2 + "HTTP/1.1\r\n".len()
}

/// The longest method. The longest registered one, `UPDATEREDIRECTREF`, has 17 bytes.
pub(super) const METHOD_BYTES_MAX: usize = 32;

const BARE_LINE_FEED: Refusal = Refusal::bad_request("a line of the head does not end with CRLF");
const HEAD_TOO_LONG: Refusal = Refusal::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the head is too long",
);
pub(super) const TARGET_TOO_LONG: Refusal =
    Refusal::new(StatusCode::URI_TOO_LONG, "the request target is too long");
const EMPTY_FIRST_LINE: Refusal = Refusal::bad_request("an empty line stands before the request");
const TOO_MANY_FIELDS: Refusal = Refusal::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "there are too many header fields",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_looked_at_once() {
        let config = Config::new();
        let mut scan = HeadScan::default();
        assert_eq!(scan.advance(b"GET / HTTP/1.1\r\nHost", &config), Ok(None));
        // The bytes before are replaced: a second look would find the bare line feeds and refuse.
        let swapped = b"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n: a\r\n\r\n";
        assert_eq!(scan.advance(swapped, &config), Ok(Some(swapped.len())));
    }
}
