//! Sockets, pipes and children among other things that are waited for.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use kapok::io::{Registered, pipe, readable};
use kapok::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use kapok::process::Command;
use kapok::sync::{Event, Waitable, as_completed, channel, wait, wait_timeout};
use kapok::{Hubs, HubsConfig, select, spawn, timeout, yield_now};

use crate::support::{Watchdog, on_a_hub};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

#[test]
fn select_waits_for_a_socket_a_channel_and_the_time() {
    on_a_hub("select sockets", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut here, _) = listener.accept().unwrap();
        let (sender, receiver) = channel::unbounded();
        let mut told = Vec::new();
        for _ in 0..3 {
            let sender = sender.clone();
            let mut writer = there.try_clone().unwrap();
            drop(spawn(move || writer.write_all(b"x").unwrap()));
            select! {
                () = readable(&here) => {
                    assert_eq!(here.read(&mut [0; 8]).unwrap(), 1);
                    told.push("socket");
                },
                () = after(LONG) => unreachable!("it was written to"),
            }
            drop(spawn(move || sender.send(()).unwrap()));
            select! {
                () = readable(&here) => unreachable!("nothing was written"),
                message = recv(&receiver) => {
                    message.unwrap();
                    told.push("channel");
                },
            }
            select! {
                () = readable(&here) => unreachable!("nothing was written"),
                message = recv(&receiver) => unreachable!("nothing was sent: {message:?}"),
                () = after(SHORT) => told.push("time"),
            }
        }
        assert_eq!(told, ["socket", "channel", "time"].repeat(3));
        there.shutdown(std::net::Shutdown::Write).unwrap();
        select! {
            () = readable(&here) => assert_eq!(here.read(&mut [0; 8]).unwrap(), 0),
            () = after(LONG) => unreachable!("the end is ready too"),
        }
        there.write_all(b"y").unwrap_err();
    });
}

#[test]
fn a_listener_and_a_datagram_socket_are_ready_when_something_has_come() {
    on_a_hub("other sockets", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (reader, mut writer) = pipe().unwrap();
        let (listening, receiving, reading) =
            (readable(&listener), readable(&udp), readable(&reader));
        let objects: [&dyn Waitable; 3] = [&listening, &receiving, &reading];
        assert!(wait_timeout(&objects, 1, SHORT).is_empty());
        udp.send_to(b"x", udp.local_addr().unwrap()).unwrap();
        assert_eq!(wait(&objects, 1), [1]);
        let address = listener.local_addr().unwrap();
        let client = spawn(move || TcpStream::connect(address).unwrap());
        assert_eq!(wait(&objects, 2), [0, 1]);
        writer.write_all(b"z").unwrap();
        assert_eq!(as_completed(&objects).count(), 3);
        drop(client.join().unwrap());
    });
}

#[test]
fn a_full_pipe_is_writable_when_somebody_reads() {
    on_a_hub("writable", || {
        let (reader, writer) = std::io::pipe().unwrap();
        let writer = Registered::new(writer).unwrap();
        let block = [0; 4096];
        while writer.get_ref().write(&block).is_ok() {}
        select! {
            () = writable(&writer) => unreachable!("it is full"),
            () = after(SHORT) => {},
        }
        let reading = spawn(move || {
            let mut reader = Registered::new(reader).unwrap().into_inner();
            reader.read_exact(&mut [0; 65536]).unwrap();
            reader
        });
        select! {
            () = writable(&writer) => {},
            () = after(LONG) => unreachable!("it was read from"),
        }
        drop(reading.join().unwrap());
    });
}

#[test]
fn a_closed_socket_is_ready_and_a_cancelled_wait_leaves_it_usable() {
    on_a_hub("closed and cancelled", || {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        for _ in 0..3 {
            let cut_off = timeout(SHORT, || {
                select! {
                    () = readable(&here) => unreachable!("nothing was written"),
                    () = after(LONG) => unreachable!("it is cut off"),
                }
            });
            assert!(cut_off.is_err());
        }
        let echo = spawn(move || {
            let mut byte = [0];
            there.read_exact(&mut byte).unwrap();
            there.write_all(&byte).unwrap();
            there
        });
        here.write_all(b"x").unwrap();
        here.read_exact(&mut [0]).unwrap();
        let closer = here.try_clone().unwrap();
        let closing = spawn(move || closer.close());
        select! {
            () = readable(&here) => assert!(here.read(&mut [0]).is_err()),
            () = after(LONG) => unreachable!("it was closed"),
        }
        closing.join().unwrap();
        drop(echo.join().unwrap());
    });
}

// Gruvi 17.
#[test]
fn children_are_waited_for_with_fibers_and_events() {
    on_a_hub("children", || {
        let mut quick = Command::new("true").spawn().unwrap();
        let mut slow = Command::new("sleep").arg("3600").spawn().unwrap();
        let event = Event::new();
        let fiber = spawn(yield_now);
        {
            let objects: [&dyn Waitable; 5] = [&slow, &event, &quick, &fiber, &quick];
            assert_eq!(wait(&objects, 3), [2, 3, 4]);
            assert_eq!(wait_timeout(&objects, 4, SHORT), [2, 3, 4]);
        }
        assert!(quick.wait().unwrap().success());
        assert!(quick.is_ready(), "it stays so");
        let mut rounds = 0;
        loop {
            select! {
                () = ready(&slow) => break,
                () = after(SHORT) => {
                    rounds += 1;
                    slow.kill().unwrap();
                },
            }
        }
        assert!(rounds >= 1 && !slow.wait().unwrap().success());
        fiber.join().unwrap();
    });
}

#[test]
fn a_listener_is_ready_when_its_hub_stops() {
    let _watchdog = Watchdog::new("a listener of a hub that stops");
    let (tell, told) = channel::unbounded();
    let running = Hubs::new(HubsConfig::new().count(1)).start(move |_hub| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        tell.send(()).unwrap();
        select! {
            () = readable(&listener) => {},
            () = after(LONG) => unreachable!("the hub was stopped"),
        }
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            ErrorKind::ConnectionAborted
        );
        Ok(())
    });
    let running = running.unwrap();
    told.recv().unwrap();
    running.stop(LONG);
    running.join().unwrap();
}
