//! Large responses and uploads on hyper.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use peers::{HELLO_TYPE, LARGE, LARGE_PATH, UPLOAD_PATH};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::hyper_http;

/// Serves each connection in a task, with the settings of the plaintext server.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(accept(address))
}

async fn accept(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let connections = hyper_http::connection_builder();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connections.serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let body = match request.uri().path() {
        // Static: hyper writes it from where it is.
        LARGE_PATH => Bytes::from_static(LARGE.as_bytes()),
        UPLOAD_PATH => count(request.into_body()).await?.to_string().into(),
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    let mut response = Response::new(Full::new(body));
    let content_type = HeaderValue::from_static(HELLO_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

/// Counts a body frame by frame as hyper reads it, so that it is never collected.
async fn count(mut body: Incoming) -> hyper::Result<usize> {
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        count += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(count)
}
