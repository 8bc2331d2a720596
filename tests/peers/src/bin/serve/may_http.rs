//! HTTP on may_minihttp, may's own small server.

use std::io;
use std::net::SocketAddr;

use may_minihttp::{HttpServer, HttpService, Request, Response};
use peers::{HELLO, HELLO_PATH};

/// Serves each connection in a coroutine; the crate adds Content-Length, Date and a Server header by itself.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    // One worker, as every system here has one thread. The harness pins the whole process, so may need not.
    may::config().set_workers(1).set_worker_pin(false);
    HttpServer(Hello)
        .start(address)?
        .join()
        .map_err(|_| io::Error::other("the accepting coroutine panicked"))
}

#[derive(Clone)]
struct Hello;

impl HttpService for Hello {
    fn call(
        &mut self,
        request: Request<'_, '_, '_>,
        response: &mut Response<'_>,
    ) -> io::Result<()> {
        if request.path() == HELLO_PATH {
            // The crate takes a whole header line, and wants it static.
            response.header("Content-Type: text/plain").body(HELLO);
        } else {
            response.status_code(404, "Not Found");
        }
        Ok(())
    }
}
