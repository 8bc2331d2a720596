//! hyper 1 as a server and as a client, and curl against the server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use interop::{Fibers, connect, on_a_hub, pattern, serve};
use kapok::block_on;

const BYTES: usize = 1 << 20;

/// Answers with the request's body, and the path in a field. On the way it waits as async code and as a fiber does.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    kapok::future::sleep(Duration::from_millis(1)).await;
    let fiber = kapok::spawn(move || {
        kapok::sleep(Duration::from_millis(1));
        path
    });
    let path = fiber.await.expect("the fiber does not panic");
    let mut response = Response::new(Full::new(body));
    let path = path.parse().expect("a path is a field's value");
    response.headers_mut().insert("path", path);
    Ok(response)
}

fn serve_http1() -> SocketAddr {
    let address = serve(|stream| {
        let served = hyper::server::conn::http1::Builder::new()
            .timer(Fibers)
            .header_read_timeout(Duration::from_secs(60))
            .serve_connection(TokioIo::new(stream), service_fn(echo));
        block_on(served).unwrap();
    });
    address.unwrap()
}

fn serve_http2() -> SocketAddr {
    let address = serve(|stream| {
        let served = hyper::server::conn::http2::Builder::new(Fibers)
            .timer(Fibers)
            .serve_connection(TokioIo::new(stream), service_fn(echo));
        block_on(served).unwrap();
    });
    address.unwrap()
}

fn request(number: usize) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from(pattern(number, BYTES)));
    Request::post(format!("http://interop/{number}"))
        .header("host", "interop")
        .body(body)
        .unwrap()
}

async fn check(number: usize, response: Response<Incoming>) {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["path"], format!("/{number}"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body == pattern(number, BYTES), "answer {number} is garbled");
}

#[test]
fn http1_connections_are_kept_alive() {
    on_a_hub("http1_connections_are_kept_alive", || {
        let address = serve_http1();
        let fibers: Vec<_> = (0..4)
            .map(|number| {
                kapok::future::spawn(async move {
                    let stream = connect(address).unwrap();
                    let (mut client, connection) =
                        hyper::client::conn::http1::handshake(stream).await.unwrap();
                    let connection = kapok::future::spawn(connection);
                    for turn in 0..5 {
                        let number = 10 * number + turn;
                        check(number, client.send_request(request(number)).await.unwrap()).await;
                    }
                    drop(client);
                    connection.await.unwrap().unwrap();
                })
            })
            .collect();
        for fiber in fibers {
            fiber.join().unwrap();
        }
    });
}

#[test]
fn http2_requests_share_a_connection() {
    on_a_hub("http2_requests_share_a_connection", || {
        let stream = connect(serve_http2()).unwrap();
        let (client, connection) =
            block_on(hyper::client::conn::http2::handshake(Fibers, stream)).unwrap();
        let connection = kapok::future::spawn(connection);
        let fibers: Vec<_> = (0..8)
            .map(|number| {
                let mut client = client.clone();
                kapok::future::spawn(async move {
                    check(number, client.send_request(request(number)).await.unwrap()).await;
                })
            })
            .collect();
        for fiber in fibers {
            fiber.join().unwrap();
        }
        drop(client);
        connection.join().unwrap().unwrap();
    });
}

#[test]
fn a_client_that_sends_no_head_is_cut_by_the_timer() {
    on_a_hub("a_client_that_sends_no_head", || {
        let (told, result) = (
            std::rc::Rc::new(std::cell::RefCell::new(None)),
            kapok::current(),
        );
        let telling = std::rc::Rc::clone(&told);
        let address = serve(move |stream| {
            let served = hyper::server::conn::http1::Builder::new()
                .timer(Fibers)
                .header_read_timeout(Duration::from_millis(10))
                .serve_connection(
                    TokioIo::new(stream),
                    service_fn(async |_| {
                        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                    }),
                );
            *telling.borrow_mut() = Some(block_on(served));
            result.unpark();
        })
        .unwrap();
        let _stream = connect(address).unwrap();
        while told.borrow().is_none() {
            kapok::park();
        }
        assert!(told.take().unwrap().unwrap_err().is_timeout());
    });
}

#[test]
fn curl_speaks_both_to_it() {
    on_a_hub("curl_speaks_both", || {
        // Debian 12's curl cannot use a connection twice that began as HTTP/2 without TLS, not with nginx either.
        for (version, address, requests) in [
            ("--http1.1", serve_http1(), 3),
            ("--http2-prior-knowledge", serve_http2(), 1),
        ] {
            let urls = (0..requests).map(|number| format!("http://{address}/{number}"));
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--fail", "--max-time", "30"])
                .args([version, "--data", "from curl "])
                .args(urls);
            // It waits for curl, which waits for this hub.
            let output = kapok::unblock(move || curl.output()).unwrap();
            let output = output.expect("curl is installed");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{version}: {said}");
            assert_eq!(output.stdout, b"from curl ".repeat(requests), "{version}");
        }
    });
}
