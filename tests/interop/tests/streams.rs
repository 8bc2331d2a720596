//! The traits of the `futures` crates, and a combinator that polls only the parts that were woken.

use futures_util::stream::FuturesUnordered;
use futures_util::{AsyncReadExt, AsyncWriteExt, StreamExt};
use interop::{on_a_hub, pattern, serve};
use kapok::block_on;
use kapok::future::Async;
use kapok::net::TcpStream;

#[test]
fn two_hundred_exchanges_are_parts_of_one_future() {
    on_a_hub("two_hundred_exchanges", || {
        let address = serve(|stream| {
            block_on(async {
                let (reader, mut writer) = stream.split();
                futures_util::io::copy(reader, &mut writer).await.unwrap();
                writer.close().await.unwrap();
            });
        })
        .unwrap();
        let exchanges: FuturesUnordered<_> = (0..200)
            .map(|number| async move {
                let stream = Async::new(TcpStream::connect(address).unwrap());
                let (mut reader, mut writer) = stream.split();
                let sent = pattern(number, 100_000);
                let mut received = Vec::new();
                let writing = async {
                    writer.write_all(&sent).await.unwrap();
                    writer.close().await.unwrap();
                };
                let reading = reader.read_to_end(&mut received);
                let ((), count) = futures_util::future::join(writing, reading).await;
                assert_eq!(count.unwrap(), sent.len());
                assert!(received == sent, "exchange {number} was garbled");
            })
            .collect();
        assert_eq!(block_on(exchanges.count()), 200);
    });
}
