//! Limits of a connection.

use std::time::Duration;

/// What a server accepts from a peer, how long it waits for it, and how much it keeps in memory for it.
///
/// Cheap to clone. A value outside of a setter's range is moved to the nearest end of the range.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use kapok::http::Config;
///
/// let config = Config::new().body_bytes_max(64 * 1024).idle_timeout(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// At most [`HEAD_BYTES_CEILING`]: offsets into a head are 16 bits wide.
    pub(super) head_bytes_max: usize,
    /// At most [`HEADER_COUNT_CEILING`]: the parser's slots stand on the stack.
    pub(super) header_count_max: usize,
    /// At most [`TARGET_BYTES_CEILING`]: `http::Uri` takes no more.
    pub(super) target_bytes_max: usize,
    pub(super) extension_methods: bool,
    pub(super) connect: bool,
    pub(super) body_bytes_max: u64,
    pub(super) chunk_extension_bytes_max: usize,
    pub(super) trailer_bytes_max: usize,
    /// At most [`TRAILER_COUNT_CEILING`]: the parser's slots stand on the stack.
    pub(super) trailer_count_max: usize,
    pub(super) drain_bytes_max: u64,
    /// At least 1.
    pub(super) pipelined_max: usize,
    /// At least 1.
    pub(super) requests_max: u64,
    pub(super) idle_timeout: Duration,
    pub(super) head_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) drain_timeout: Duration,
    /// At least 1.
    pub(super) byte_rate_min: u64,
}

impl Config {
    /// Makes a configuration with all defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            head_bytes_max: 16 * 1024,
            header_count_max: 100,
            target_bytes_max: 8 * 1024,
            extension_methods: false,
            connect: false,
            body_bytes_max: 1024 * 1024,
            chunk_extension_bytes_max: 4 * 1024,
            trailer_bytes_max: 4 * 1024,
            trailer_count_max: 32,
            drain_bytes_max: 256 * 1024,
            pipelined_max: 64,
            requests_max: u64::MAX,
            idle_timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(2),
            byte_rate_min: 512,
        }
    }
}

/// # Sizes and counts
impl Config {
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

    /// Limits the bytes of a request body that a handler may read; more are a [`BodyError::TooLong`], answered 413.
    ///
    /// Default is 1 MiB; 0 refuses every body. What [`read_body`] keeps grows as the body arrives, never by what its
    /// `Content-Length` promises. A handler can set another limit for its request with [`limit_body`].
    ///
    /// [`BodyError::TooLong`]: crate::http::BodyError::TooLong
    /// [`read_body`]: crate::http::Request::read_body
    /// [`limit_body`]: crate::http::Request::limit_body
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: u64) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// Limits the chunk extensions of one body to this many bytes in all; more are answered 400. They are checked and thrown away.
    ///
    /// Default is 4 KiB; 0 refuses every extension.
    #[must_use]
    pub fn chunk_extension_bytes_max(mut self, bytes: usize) -> Self {
        self.chunk_extension_bytes_max = bytes;
        self
    }

    /// Limits the trailers of a body to this many bytes; more are answered 431.
    ///
    /// Default is 4 KiB; at most 64 KiB. 0 refuses every trailer.
    #[must_use]
    pub fn trailer_bytes_max(mut self, bytes: usize) -> Self {
        self.trailer_bytes_max = bytes.min(TRAILER_BYTES_CEILING);
        self
    }

    /// Limits the number of trailers of a body; more are answered 431.
    ///
    /// Default is 32, which is also the most.
    #[must_use]
    pub fn trailer_count_max(mut self, count: usize) -> Self {
        self.trailer_count_max = count.min(TRAILER_COUNT_CEILING);
        self
    }

    /// Limits how much of a body that the handler left unread is read and thrown away, so that the connection can live on.
    ///
    /// Default is 256 KiB. A connection ends after its answer if the request has more left, or any part of a chunked body, of which
    /// nobody knows how long it will be.
    #[must_use]
    pub fn drain_bytes_max(mut self, bytes: u64) -> Self {
        self.drain_bytes_max = bytes;
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

    /// Limits how many requests a connection may make; the answer to the last one closes it.
    ///
    /// Default is no limit; at least 1. A limit spreads long-lived clients anew over the hubs, and over the servers behind a
    /// balancer.
    #[must_use]
    pub fn requests_max(mut self, requests: u64) -> Self {
        self.requests_max = requests.max(1);
        self
    }
}

/// # Methods
impl Config {
    /// Lets methods through to the handler that are none of the nine of RFC 9110 and RFC 5789, such as `PROPFIND`.
    ///
    /// Default is no: they are answered 501.
    #[must_use]
    pub fn extension_methods(mut self, allowed: bool) -> Self {
        self.extension_methods = allowed;
        self
    }

    /// Lets `CONNECT` through to the handler, as a proxy needs it: see [`Response::tunnel`](crate::http::Response::tunnel).
    ///
    /// Default is no: it is answered 501.
    #[must_use]
    pub fn connect(mut self, allowed: bool) -> Self {
        self.connect = allowed;
        self
    }
}

/// # Times
impl Config {
    /// Limits how long to wait for the peer to send anything at all; a connection between two requests ends then.
    ///
    /// Default is 60 s; the range is 1 ms to a century, as for all times. Costs nothing while bytes are there.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
        self
    }

    /// Limits how long a request head may take from its first bytes to its last; a slower one is answered 408.
    ///
    /// Default is 30 s. Costs nothing for a head that comes in one piece.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
        self
    }

    /// Limits how long reading a body may wait for the peer in all, beyond what [`byte_rate_min`](Self::byte_rate_min) allows for
    /// its bytes; a slower one is a [`BodyError::TimedOut`], answered 408. Time that the handler does not spend waiting is its own.
    ///
    /// Default is 30 s. Costs two looks at the clock a read.
    ///
    /// [`BodyError::TimedOut`]: crate::http::BodyError::TimedOut
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
        self
    }

    /// Limits how long to wait for the peer to take any of an answer, and how long one write may last in all, beyond what
    /// [`byte_rate_min`](Self::byte_rate_min) allows for its bytes. The connection ends then.
    ///
    /// Default is 60 s. Costs nothing while there is room.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
        self
    }

    /// Limits how long to read what is thrown away: the body that a handler left unread, see
    /// [`drain_bytes_max`](Self::drain_bytes_max), and what comes before a connection is closed from this side. The peer would lose the
    /// last answer if that were left unread.
    ///
    /// Default is 2 s.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
        self
    }

    /// Sets how many bytes a second a peer must send of a body, or take of an answer, once the timeout of that is over.
    ///
    /// Default is 512; at least 1. It cuts those who keep a connection busy with a byte now and then.
    #[must_use]
    pub fn byte_rate_min(mut self, bytes: u64) -> Self {
        self.byte_rate_min = bytes.max(1);
        self
    }

    /// Returns the time that `bytes` take at the lowest rate.
    pub(super) fn time_for(&self, bytes: u64) -> Duration {
        Duration::from_millis(bytes.saturating_mul(1_000) / self.byte_rate_min)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// More could not be added to a time of the clock.
const TIMEOUT_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// Offsets into a head are kept as `u16`.
pub(super) const HEAD_BYTES_CEILING: usize = u16::MAX as usize;

/// Slots for the fields of one head stand on the stack of a fiber, 32 bytes each.
pub(super) const HEADER_COUNT_CEILING: usize = 128;

/// The same for the trailers of one body.
pub(super) const TRAILER_COUNT_CEILING: usize = 32;

const TRAILER_BYTES_CEILING: usize = 64 * 1024;

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
            .pipelined_max(0)
            .requests_max(0)
            .byte_rate_min(0)
            .head_timeout(Duration::ZERO);
        assert_eq!(least.head_bytes_max, 64);
        assert_eq!(least.header_count_max, 1);
        assert_eq!(least.target_bytes_max, 1);
        assert_eq!(least.pipelined_max, 1);
        assert_eq!(least.requests_max, 1);
        assert_eq!(least.byte_rate_min, 1);
        assert_eq!(least.head_timeout, TIMEOUT_MIN);
        let most = Config::new()
            .head_bytes_max(usize::MAX)
            .header_count_max(usize::MAX)
            .target_bytes_max(usize::MAX)
            .trailer_bytes_max(usize::MAX)
            .trailer_count_max(usize::MAX)
            .drain_timeout(Duration::MAX);
        assert_eq!(most.head_bytes_max, HEAD_BYTES_CEILING);
        assert_eq!(most.header_count_max, HEADER_COUNT_CEILING);
        assert_eq!(most.target_bytes_max, TARGET_BYTES_CEILING);
        assert_eq!(most.trailer_bytes_max, TRAILER_BYTES_CEILING);
        assert_eq!(most.trailer_count_max, TRAILER_COUNT_CEILING);
        assert_eq!(most.drain_timeout, TIMEOUT_MAX);
    }

    #[test]
    fn bytes_take_their_time_at_the_lowest_rate() {
        let config = Config::new().byte_rate_min(500);
        assert_eq!(config.time_for(1_000), Duration::from_secs(2));
        assert!(config.time_for(u64::MAX) > Duration::from_secs(1_000_000_000));
    }
}
