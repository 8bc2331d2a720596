//! Limits of a connection.

use std::time::Duration;

/// What a server accepts from a peer and how much it keeps in memory for it.
///
/// Cheap to clone. A value outside of a setter's range is moved to the nearest end of the range.
///
/// # Examples
///
/// ```
/// use kapok::http::Config;
///
/// let config = Config::new().head_bytes_max(32 * 1024).body_bytes_max(64 * 1024);
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// At most [`HEAD_BYTES_CEILING`]: offsets into a head are 16 bits wide.
    pub(super) head_bytes_max: usize,
    /// At most [`HEADER_COUNT_CEILING`]: the parser's slots stand on the stack.
    pub(super) header_count_max: usize,
    /// At most [`TARGET_BYTES_CEILING`]: `http::Uri` takes no more.
    pub(super) target_bytes_max: usize,
    pub(super) body_bytes_max: usize,
    /// At least 1.
    pub(super) pipelined_max: usize,
    pub(super) idle_timeout: Duration,
    pub(super) write_timeout: Duration,
}

impl Config {
    /// Makes a configuration with all defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            head_bytes_max: 16 * 1024,
            header_count_max: 100,
            target_bytes_max: 8 * 1024,
            body_bytes_max: 1024 * 1024,
            pipelined_max: 64,
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
        }
    }

    /// Limits a request head (request line, header fields and the empty line) to this many bytes; a longer one is answered 431.
    ///
    /// Default is 16 KiB; the range is 64 to 65,535. A peer can make a connection hold a buffer of this size.
    #[must_use]
    pub fn head_bytes_max(mut self, bytes: usize) -> Self {
        self.head_bytes_max = bytes.clamp(64, HEAD_BYTES_CEILING);
        self
    }

    /// Limits the number of header fields of a request; more are answered 431.
    ///
    /// Default is 100; the range is 1 to 128. A connection keeps 8 bytes for each field of the largest head it saw, and a head
    /// of more than 24 fields is parsed with 4 KiB of stack.
    #[must_use]
    pub fn header_count_max(mut self, count: usize) -> Self {
        self.header_count_max = count.clamp(1, HEADER_COUNT_CEILING);
        self
    }

    /// Limits a request target to this many bytes; a longer one is answered 414.
    ///
    /// Default is 8 KiB; the range is 1 to 65,534. It costs no memory of its own: the target is a part of the head and also
    /// counts for [`Self::head_bytes_max`].
    #[must_use]
    pub fn target_bytes_max(mut self, bytes: usize) -> Self {
        self.target_bytes_max = bytes.clamp(1, TARGET_BYTES_CEILING);
        self
    }

    /// Limits a request body to this many bytes; a longer one is answered 413 before any of it is kept.
    ///
    /// Default is 1 MiB; 0 refuses every body. Bodies are buffered whole, so a peer can make a connection hold this much. The
    /// buffer grows as the body arrives, never by what its `Content-Length` promises. Clients that send `Expect: 100-continue`
    /// with large bodies, as curl does, are refused with 417 whatever the limit is.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        // A length that overflows when the head is added could not be buffered on any machine.
        self.body_bytes_max = bytes.min(isize::MAX as usize - HEAD_BYTES_CEILING);
        self
    }

    /// Limits how many pipelined requests are answered before the answers are written.
    ///
    /// Default is 64; at least 1. A larger number saves writes when peers pipeline deeply; the first of these answers then
    /// waits for the last one's handler.
    #[must_use]
    pub fn pipelined_max(mut self, requests: usize) -> Self {
        self.pipelined_max = requests.max(1);
        self
    }

    /// Limits how long a [`Server`](crate::http::Server) waits for the peer to send anything; the connection ends then.
    ///
    /// Default is 60 s; at least 1 ms. Costs nothing while bytes are there.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout.max(TIMEOUT_MIN);
        self
    }

    /// Limits how long a [`Server`](crate::http::Server) waits for the peer to take any of an answer; the connection ends then.
    ///
    /// Default is 60 s; at least 1 ms. Costs nothing while there is room.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout.max(TIMEOUT_MIN);
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// Offsets into a head are kept as `u16`.
pub(super) const HEAD_BYTES_CEILING: usize = u16::MAX as usize;

/// Slots for the fields of one head stand on the stack of a fiber, 32 bytes each.
pub(super) const HEADER_COUNT_CEILING: usize = 128;

/// The longest target `http::Uri` can hold.
pub(super) const TARGET_BYTES_CEILING: usize = u16::MAX as usize - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_the_range_move_to_its_ends() {
        let least = Config::new()
            .head_bytes_max(0)
            .header_count_max(0)
            .target_bytes_max(0)
            .pipelined_max(0);
        assert_eq!(least.head_bytes_max, 64);
        assert_eq!(least.header_count_max, 1);
        assert_eq!(least.target_bytes_max, 1);
        assert_eq!(least.pipelined_max, 1);
        let most = Config::new()
            .head_bytes_max(usize::MAX)
            .header_count_max(usize::MAX)
            .target_bytes_max(usize::MAX)
            .body_bytes_max(usize::MAX);
        assert_eq!(most.head_bytes_max, HEAD_BYTES_CEILING);
        assert_eq!(most.header_count_max, HEADER_COUNT_CEILING);
        assert_eq!(most.target_bytes_max, TARGET_BYTES_CEILING);
        assert!(
            most.head_bytes_max
                .checked_add(most.body_bytes_max)
                .is_some()
        );
    }
}
