//! What the programs of this harness share, so that every system does the same work and reports it in the same words.
//!
//! | program | runs | prints |
//! |---|---|---|
//! | `serve` | one server of one system, on one thread, until it is killed | nothing |
//! | `load` | echo clients against a server | rate and latency |
//! | `micro` | the operations of [`mod@bench`] on one system | one `SYSTEM BENCHMARK: N ns` line each |
//! | `idle` | many sleeping tasks on one system | what one of them costs |
//!
//! `compare` starts them and puts their figures side by side.

pub mod bench;
pub mod memory;

/// Size in bytes of the buffer every echo server reads into.
///
/// Equal buffers make equal system calls: a larger one would drain a socket in fewer reads.
pub const ECHO_BUFFER_BYTES: usize = 16 * 1024;

/// The body every HTTP server answers with.
pub const HELLO: &str = "Hello, World!";

/// The path the loads ask for; servers that can route answer on it alone.
pub const HELLO_PATH: &str = "/plaintext";

/// The media type of [`HELLO`].
pub const HELLO_TYPE: &str = "text/plain";

/// The path of the large response.
pub const LARGE_PATH: &str = "/large";

/// The body of the large response: 64 KiB, there from the start, so that no server makes it anew for each request.
pub const LARGE: &str = match str::from_utf8(&[b'x'; 64 * 1024]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

/// The path that takes uploads; each is answered with the number of bytes of its body, in decimal digits.
pub const UPLOAD_PATH: &str = "/upload";

/// How many bytes the body of an upload has.
pub const UPLOAD_BYTES: usize = 1024 * 1024;

/// How many bytes of body stand in one chunk of a chunked upload.
pub const UPLOAD_CHUNK_BYTES: usize = 16 * 1024;
