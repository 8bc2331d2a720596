//! Who may cross threads, the matrix of the design, and who may be used after a panic was caught, as std's types are. Checked by
//! the compiler.

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use kapok::net::{TcpListener, TcpStream};
use kapok::{Fiber, HubHandle, JoinHandle, NoSwitchGuard, RemoteJoinHandle};

trait Neither {
    const SEND: bool = false;
    const SYNC: bool = false;
    const UNWIND_SAFE: bool = false;
    const REF_UNWIND_SAFE: bool = false;
}

/// An inherent constant wins over the trait's, and exists only where its bound holds.
#[allow(dead_code, reason = "only its constants are used")]
struct IsSend<T: ?Sized>(PhantomData<T>);
#[allow(dead_code, reason = "only its constants are used")]
struct IsSync<T: ?Sized>(PhantomData<T>);
#[allow(dead_code, reason = "only its constants are used")]
struct IsUnwindSafe<T: ?Sized>(PhantomData<T>);
#[allow(dead_code, reason = "only its constants are used")]
struct IsRefUnwindSafe<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Neither for IsSend<T> {}
impl<T: ?Sized> Neither for IsSync<T> {}
impl<T: ?Sized> Neither for IsUnwindSafe<T> {}
impl<T: ?Sized> Neither for IsRefUnwindSafe<T> {}

impl<T: ?Sized + Send> IsSend<T> {
    const SEND: bool = true;
}

impl<T: ?Sized + Sync> IsSync<T> {
    const SYNC: bool = true;
}

impl<T: ?Sized + UnwindSafe> IsUnwindSafe<T> {
    const UNWIND_SAFE: bool = true;
}

impl<T: ?Sized + RefUnwindSafe> IsRefUnwindSafe<T> {
    const REF_UNWIND_SAFE: bool = true;
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
    crosses!(kapok::io::StdoutLock, true, true);
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

macro_rules! unwind_safety {
    ($type:ty) => {
        (
            IsUnwindSafe::<$type>::UNWIND_SAFE,
            IsRefUnwindSafe::<$type>::REF_UNWIND_SAFE,
        )
    };
}

/// Ours, beside std's of the same meaning.
macro_rules! unwinds_as {
    ($($type:ty, $std:ty;)+) => {
        $(assert_eq!(unwind_safety!($type), unwind_safety!($std), stringify!($type));)+
    };
}

macro_rules! unwinds {
    ($($type:ty),+ $(,)?) => {
        $(assert_eq!(unwind_safety!($type), (true, true), stringify!($type));)+
    };
}

/// The bounds of types with a value, seen with one that may be looked at after a panic and one that may not.
macro_rules! unwind_as_with {
    ($($value:ty),+) => {
        $(unwinds_as! {
            kapok::sync::Mutex<$value>, std::sync::Mutex<$value>;
            kapok::sync::MutexGuard<'static, $value>, std::sync::MutexGuard<'static, $value>;
            kapok::sync::RwLock<$value>, std::sync::RwLock<$value>;
            kapok::sync::RwLockReadGuard<'static, $value>, std::sync::RwLockReadGuard<'static, $value>;
            kapok::sync::RwLockWriteGuard<'static, $value>, std::sync::RwLockWriteGuard<'static, $value>;
            kapok::sync::OnceLock<$value>, std::sync::OnceLock<$value>;
            kapok::sync::LazyLock<$value>, std::sync::LazyLock<$value>;
            kapok::sync::LazyLock<u8, $value>, std::sync::LazyLock<u8, $value>;
            kapok::sync::channel::Sender<$value>, std::sync::mpsc::Sender<$value>;
            kapok::sync::channel::Receiver<$value>, std::sync::mpsc::Receiver<$value>;
        })+
    };
}

#[test]
fn what_may_be_used_after_a_panic_is_what_may_be_in_std() {
    // The probe itself tells them apart.
    assert_eq!(unwind_safety!(u8), (true, true));
    assert_eq!(unwind_safety!(Cell<u8>), (true, false));
    assert_eq!(unwind_safety!(&'static Cell<u8>), (false, false));
    assert_eq!(unwind_safety!(&'static mut u8), (false, true));

    unwind_as_with!(u8, Cell<u8>, &'static mut u8, &'static Cell<u8>);
    unwinds_as! {
        kapok::sync::Barrier, std::sync::Barrier;
        kapok::sync::Condvar, std::sync::Condvar;
        kapok::sync::Once, std::sync::Once;
        JoinHandle<u8>, std::thread::JoinHandle<u8>;
        Fiber, std::thread::Thread;
        TcpStream, std::net::TcpStream;
        TcpListener, std::net::TcpListener;
        kapok::net::UdpSocket, std::net::UdpSocket;
        kapok::net::UnixStream, std::os::unix::net::UnixStream;
        kapok::net::UnixListener, std::os::unix::net::UnixListener;
        kapok::net::UnixDatagram, std::os::unix::net::UnixDatagram;
        kapok::io::PipeReader, std::io::PipeReader;
        kapok::io::PipeWriter, std::io::PipeWriter;
        kapok::io::Stdin, std::io::Stdin;
        kapok::io::StdinLock, std::io::StdinLock<'static>;
        kapok::io::Stdout, std::io::Stdout;
        kapok::io::StdoutLock, std::io::StdoutLock<'static>;
        kapok::io::Stderr, std::io::Stderr;
        kapok::fs::File, std::fs::File;
        kapok::fs::OpenOptions, std::fs::OpenOptions;
        kapok::fs::DirBuilder, std::fs::DirBuilder;
        kapok::fs::ReadDir, std::fs::ReadDir;
        kapok::fs::DirEntry, std::fs::DirEntry;
        kapok::process::Command, std::process::Command;
        kapok::process::Child, std::process::Child;
        kapok::process::ChildStdin, std::process::ChildStdin;
        kapok::process::ChildStdout, std::process::ChildStdout;
        kapok::process::ChildStderr, std::process::ChildStderr;
    }
    unwinds!(
        kapok::sync::Event,
        kapok::sync::Notify,
        kapok::sync::Semaphore,
        kapok::sync::Permit<'static>,
        kapok::sync::OwnedPermit,
        HubHandle,
    );
}
