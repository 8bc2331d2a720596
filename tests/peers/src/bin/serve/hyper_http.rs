//! HTTP on hyper, without a router above it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use peers::{HELLO, HELLO_PATH, HELLO_TYPE};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// Serves each connection in a task; hyper adds Content-Length and Date by itself.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    // One thread without work stealing, and no time driver: nothing here sleeps.
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(accept(address))
}

async fn accept(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let connections = connection_builder();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connections.serve_connection(TokioIo::new(stream), service_fn(hello)));
    }
}

/// The settings of a connection, also used for axum on hyper.
pub(crate) fn connection_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Answers to requests that arrived together leave together.
    builder.pipeline_flush(true);
    builder
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != HELLO_PATH {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    }
    // Static body and header value: neither is copied or checked again for each request.
    let mut response = Response::new(Full::new(Bytes::from_static(HELLO.as_bytes())));
    let content_type = HeaderValue::from_static(HELLO_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}
