//! The floor of large responses, uploads and short connections: like that of plaintext, it knows its client and parses nothing.

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;

use peers::{ECHO_BUFFER_BYTES, HELLO, LARGE, UPLOAD_BYTES, UPLOAD_CHUNK_BYTES};

use crate::floor::{self, Connection, HEAD_END};

/// What uploads are read into. In smaller pieces they cost more reads; larger ones gain nothing.
const UPLOAD_BUFFER_BYTES: usize = 64 * 1024;

/// Answers every head with 64 KiB.
pub(crate) fn serve_large(address: SocketAddr) -> io::Result<()> {
    let response = response("", LARGE);
    floor::serve(address, ECHO_BUFFER_BYTES, |connection, received| {
        if received.ends_with(HEAD_END) {
            return connection.send(&response);
        }
        ControlFlow::Continue(())
    })
}

/// Answers the first head of a connection and closes it.
pub(crate) fn serve_and_close(address: SocketAddr) -> io::Result<()> {
    let response = response("Connection: close\r\n", HELLO);
    floor::serve(address, ECHO_BUFFER_BYTES, |connection, received| {
        if received.ends_with(HEAD_END) {
            connection.send(&response)?;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
}

/// Answers an upload when as many bytes have followed its head as its body has.
pub(crate) fn serve_upload(address: SocketAddr) -> io::Result<()> {
    serve_bodies(address, UPLOAD_BYTES)
}

/// Answers an upload when as many bytes have followed its head as its chunks have with all that frames them.
pub(crate) fn serve_chunked_upload(address: SocketAddr) -> io::Result<()> {
    let chunks = UPLOAD_BYTES / UPLOAD_CHUNK_BYTES;
    let size_line = format!("{UPLOAD_CHUNK_BYTES:x}\r\n");
    let chunk_bytes = size_line.len() + UPLOAD_CHUNK_BYTES + "\r\n".len();
    serve_bodies(address, chunks * chunk_bytes + "0\r\n\r\n".len())
}

fn serve_bodies(address: SocketAddr, body_bytes: usize) -> io::Result<()> {
    let response = response("", &UPLOAD_BYTES.to_string());
    floor::serve(address, UPLOAD_BUFFER_BYTES, |connection, received| {
        take(connection, received, body_bytes, &response)
    })
}

/// Counts off what was received, which begins with a head where no body is being read.
fn take(
    connection: &mut Connection,
    mut received: &[u8],
    body_bytes: usize,
    response: &[u8],
) -> ControlFlow<()> {
    while !received.is_empty() {
        if connection.body_bytes_left == 0 {
            let mut windows = received.windows(HEAD_END.len());
            let Some(head_end) = windows.position(|window| window == HEAD_END) else {
                return ControlFlow::Break(());
            };
            received = &received[head_end + HEAD_END.len()..];
            connection.body_bytes_left = body_bytes;
        }
        let taken = received.len().min(connection.body_bytes_left);
        received = &received[taken..];
        connection.body_bytes_left -= taken;
        if connection.body_bytes_left == 0 {
            connection.send(response)?;
        }
    }
    ControlFlow::Continue(())
}

/// A whole response with the headers a real server sends, its Date standing still.
fn response(more_headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\n\
         Content-Length: {}\r\n\
         Content-Type: text/plain\r\n\
         Date: Fri, 20 Nov 2026 00:00:00 GMT\r\n\
         {more_headers}\r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}
