//! Which types may be used after a panic was caught around them: those whose twins in std may.
//!
//! The compiler would refuse most of them for the cells they keep their own books in. A panic of the user's code never leaves
//! those half changed: no code but kapok's runs while they are. What a user's value may have suffered, locks tell by their
//! poison, as std's do; so the value's own type does not matter there, and does where there is no poison.

use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::io::{PipeReader, PipeWriter};
use crate::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use crate::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use crate::sync::channel::{Receiver, Sender};
use crate::sync::{
    Barrier, Condvar, Event, LazyLock, Mutex, MutexGuard, Notify, Once, OnceLock, RwLock,
    RwLockReadGuard, RwLockWriteGuard, Semaphore,
};

macro_rules! unwind_safe {
    ($($type:ty),+ $(,)?) => {
        $(
            impl UnwindSafe for $type {}
            impl RefUnwindSafe for $type {}
        )+
    };
}

unwind_safe!(Barrier, Condvar, Event, Notify, Once, Semaphore);
unwind_safe!(TcpListener, TcpStream, UdpSocket);
unwind_safe!(UnixDatagram, UnixListener, UnixStream);
unwind_safe!(PipeReader, PipeWriter);
unwind_safe!(Child, ChildStderr, ChildStdin, ChildStdout);

impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}
impl<T: ?Sized> UnwindSafe for MutexGuard<'_, T> {}
impl<T: ?Sized> RefUnwindSafe for MutexGuard<'_, T> {}

impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}
impl<T: ?Sized + RefUnwindSafe> UnwindSafe for RwLockReadGuard<'_, T> {}
impl<T: ?Sized + RefUnwindSafe> RefUnwindSafe for RwLockReadGuard<'_, T> {}
impl<T: ?Sized> UnwindSafe for RwLockWriteGuard<'_, T> {}
impl<T: ?Sized> RefUnwindSafe for RwLockWriteGuard<'_, T> {}

impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe + RefUnwindSafe> RefUnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
impl<T: UnwindSafe + RefUnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
