//! Large responses, uploads and short connections on may_minihttp.

use std::io::{self, BufRead};
use std::net::SocketAddr;

use may_minihttp::{HttpServer, HttpService, Request, Response};
use peers::{HELLO, HELLO_PATH, LARGE, LARGE_PATH, UPLOAD_PATH};

/// Serves each connection in a coroutine.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    // One worker, as every system here has one thread. The harness pins the whole process, so may need not.
    may::config().set_workers(1).set_worker_pin(false);
    HttpServer(Bodies)
        .start(address)?
        .join()
        .map_err(|_| io::Error::other("the accepting coroutine panicked"))
}

#[derive(Clone)]
struct Bodies;

impl HttpService for Bodies {
    fn call(
        &mut self,
        request: Request<'_, '_, '_>,
        response: &mut Response<'_>,
    ) -> io::Result<()> {
        response.header("Content-Type: text/plain");
        match request.path() {
            // The crate looks at no Connection header and closes no connection. To say so is all that can be done here:
            // the client has to close.
            HELLO_PATH => response.header("Connection: close").body(HELLO),
            LARGE_PATH => response.body(LARGE),
            UPLOAD_PATH => response.body_vec(count(request.body())?.to_string().into()),
            _ => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}

/// Counts a body in the buffer the crate has read it into, without a copy of our own.
fn count(mut body: impl BufRead) -> io::Result<usize> {
    let mut count = 0;
    loop {
        let length = body.fill_buf()?.len();
        if length == 0 {
            return Ok(count);
        }
        body.consume(length);
        count += length;
    }
}
