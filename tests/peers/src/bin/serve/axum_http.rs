//! HTTP on axum: by its own `serve`, and its router on a hyper connection.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use peers::{HELLO, HELLO_PATH, HELLO_TYPE};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::hyper_http;

/// Serves by `axum::serve`, the way its documentation shows and most programs use. It leaves no connection setting open.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    // The time driver is on because `axum::serve` sleeps when accepting fails.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?.tap_io(|stream| {
            // On failure the connection works all the same, only slower.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, routes()).await
    })
}

/// Serves the same routes on hyper's own connection, which has the setting for pipelined requests.
pub(crate) fn serve_on_hyper(address: SocketAddr) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(accept(address))
}

async fn accept(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let connections = hyper_http::connection_builder();
    let routes = routes();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(routes.clone());
        tokio::spawn(connections.serve_connection(TokioIo::new(stream), service));
    }
}

fn routes() -> Router {
    Router::new().route(HELLO_PATH, get(hello))
}

async fn hello() -> impl IntoResponse {
    // The plain string alone would be sent as `text/plain; charset=utf-8`: some bytes more than the others send.
    let content_type = HeaderValue::from_static(HELLO_TYPE);
    ([(CONTENT_TYPE, content_type)], HELLO)
}
