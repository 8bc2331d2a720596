//! Who may cross threads: the matrix of the design, checked by the compiler.

use std::marker::PhantomData;

use kapok::net::{TcpListener, TcpStream};
use kapok::{Fiber, HubHandle, JoinHandle, NoSwitchGuard, RemoteJoinHandle};

trait Neither {
    const SEND: bool = false;
    const SYNC: bool = false;
}

/// An inherent constant wins over the trait's, and exists only where its bound holds.
#[allow(dead_code, reason = "only its constants are used")]
struct IsSend<T: ?Sized>(PhantomData<T>);
#[allow(dead_code, reason = "only its constants are used")]
struct IsSync<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Neither for IsSend<T> {}
impl<T: ?Sized> Neither for IsSync<T> {}

impl<T: ?Sized + Send> IsSend<T> {
    const SEND: bool = true;
}

impl<T: ?Sized + Sync> IsSync<T> {
    const SYNC: bool = true;
}

macro_rules! crosses {
    ($type:ty, $send:expr, $sync:expr) => {
        assert_eq!(
            (IsSend::<$type>::SEND, IsSync::<$type>::SYNC),
            ($send, $sync),
            stringify!($type)
        );
    };
}

#[test]
fn only_what_holds_numbers_crosses_threads() {
    // The probe itself tells both apart.
    crosses!(u8, true, true);
    crosses!(std::cell::Cell<u8>, true, false);
    crosses!(std::rc::Rc<u8>, false, false);

    crosses!(JoinHandle<u8>, false, false);
    crosses!(NoSwitchGuard, false, false);
    crosses!(RemoteJoinHandle<u8>, true, true);
    crosses!(RemoteJoinHandle<std::cell::Cell<u8>>, true, true);
    crosses!(HubHandle, true, true);
    crosses!(Fiber, true, true);
    crosses!(TcpStream, true, false);
    crosses!(TcpListener, true, false);
    crosses!(kapok::process::Command, true, true);
    crosses!(kapok::process::Child, true, false);
    crosses!(kapok::process::ChildStdin, true, false);
    crosses!(kapok::process::ChildStdout, true, false);
    crosses!(kapok::process::ChildStderr, true, false);
    crosses!(kapok::signal::Signals, true, true);
    crosses!(kapok::fs::File, true, true);
    crosses!(kapok::fs::ReadDir, true, true);
    crosses!(kapok::fs::DirEntry, true, true);
    crosses!(kapok::io::Stdin, true, true);
    crosses!(kapok::io::StdinLock, true, true);
    crosses!(kapok::io::Stdout, true, true);
    crosses!(kapok::net::UdpSocket, true, false);
    crosses!(kapok::net::UnixStream, true, false);
    crosses!(kapok::net::UnixListener, true, false);
    crosses!(kapok::net::UnixDatagram, true, false);
    crosses!(kapok::io::PipeReader, true, false);
    crosses!(kapok::io::PipeWriter, true, false);
    crosses!(kapok::io::Registered<std::os::fd::OwnedFd>, true, false);
    crosses!(
        kapok::io::Registered<std::rc::Rc<std::os::fd::OwnedFd>>,
        false,
        false
    );
    crosses!(kapok::io::Poller, false, false);
    crosses!(kapok::future::Async<TcpStream>, true, false);
    crosses!(kapok::future::Sleep, true, true);
    crosses!(kapok::Running, true, true);
    crosses!(kapok::JoinError, true, true);
    crosses!(kapok::DrainError, true, true);
}
