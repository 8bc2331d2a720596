//! h2 on both ends of a kapok stream.

use std::error::Error;
use std::future::poll_fn;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use interop::{on_a_hub, pattern, serve};
use kapok::block_on;
use kapok::future::Async;
use kapok::net::TcpStream;

type Failure = Box<dyn Error>;

/// Sends as much at a time as the peer's window takes.
async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), Failure> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = poll_fn(|context| stream.poll_capacity(context)).await;
        let room = room.ok_or("the stream was reset")??;
        let part = bytes.split_to(room.min(bytes.len()));
        stream.send_data(part, false)?;
    }
    stream.send_data(Bytes::new(), true)?;
    Ok(())
}

/// Receives all of a body, and gives the window back as it does.
async fn receive(stream: &mut RecvStream) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(part) = stream.data().await {
        let part = part?;
        body.extend_from_slice(&part);
        stream.flow_control().release_capacity(part.len())?;
    }
    Ok(body)
}

/// Answers each request, on a fiber of its own, with its body reversed.
async fn answer(stream: Async<TcpStream>) -> Result<(), Failure> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (request, mut respond) = request?;
        drop(kapok::spawn(move || {
            block_on(async move {
                let mut body = receive(&mut request.into_body()).await?;
                body.reverse();
                let mut stream = respond.send_response(Response::new(()), false)?;
                send(&mut stream, body.into()).await
            })
        }));
    }
    Ok(())
}

#[test]
fn many_streams_of_one_connection_carry_megabytes_both_ways() {
    const STREAMS: usize = 16;
    const BYTES: usize = 2 << 20;
    on_a_hub("many_streams_of_one_connection", || {
        let address = serve(|stream| block_on(answer(stream)).unwrap()).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let (client, connection) = block_on(h2::client::handshake(Async::new(stream))).unwrap();
        let connection = kapok::future::spawn(connection);
        let fibers: Vec<_> = (0..STREAMS)
            .map(|number| {
                let client = client.clone();
                kapok::spawn(move || {
                    block_on(async move {
                        let mut client = client.ready().await?;
                        let request = Request::post("http://interop/").body(())?;
                        let (response, mut stream) = client.send_request(request, false)?;
                        let sent = pattern(number, BYTES + number);
                        // Sends on a fiber beside: the answer must not wait for the end of the request.
                        let sending = kapok::future::spawn({
                            let bytes = Bytes::from(sent.clone());
                            async move { send(&mut stream, bytes).await }
                        });
                        let mut received = receive(&mut response.await?.into_body()).await?;
                        sending.await??;
                        received.reverse();
                        assert!(received == sent, "stream {number} was garbled");
                        Ok::<_, Failure>(())
                    })
                })
            })
            .collect();
        for fiber in fibers {
            fiber.join().unwrap().unwrap();
        }
        drop(client);
        connection.join().unwrap().unwrap();
    });
}

#[test]
fn a_stream_that_is_cut_off_leaves_the_connection_well() {
    on_a_hub("a_stream_that_is_cut_off", || {
        let address = serve(|stream| block_on(answer(stream)).unwrap()).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let (client, connection) = block_on(h2::client::handshake(Async::new(stream))).unwrap();
        drop(kapok::future::spawn(connection));
        let exchange = |body: Option<Bytes>| {
            let client = client.clone();
            block_on(async move {
                let mut client = client.ready().await?;
                let request = Request::post("http://interop/").body(())?;
                let (response, mut stream) = client.send_request(request, false)?;
                if let Some(body) = body {
                    send(&mut stream, body).await?;
                }
                // Without a body the request never ends, and neither does the wait.
                receive(&mut response.await?.into_body()).await
            })
        };
        let cut = kapok::timeout(std::time::Duration::from_millis(10), || exchange(None));
        assert!(matches!(cut, Err(kapok::TimedOut)));
        assert_eq!(exchange(Some(Bytes::from("abc"))).unwrap(), b"cba");
    });
}
