//! What travels beside the bytes of a unix socket: descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// What the system lets one message carry (`SCM_MAX_FD`).
pub(super) const DESCRIPTORS_MAX: usize = 253;
/// Room for what a socket may be set to tell besides, in front of the descriptors: the sender's credentials, a descriptor of its
/// process, its security context.
const OTHERS_SIZE: usize = 512;
/// A descriptor of the process that sent (`SO_PASSPIDFD`); on other systems the number is of something else.
const SCM_PIDFD: Option<libc::c_int> = if cfg!(target_os = "linux") {
    Some(4)
} else {
    None
};

/// Why a message with descriptors is not even tried.
pub(super) fn check_send(bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let wrong = |reason| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    if descriptors.len() > DESCRIPTORS_MAX {
        return wrong(format!(
            "{} descriptors in one message, {DESCRIPTORS_MAX} at most can be sent",
            descriptors.len()
        ));
    }
    if bytes.is_empty() && !descriptors.is_empty() {
        return wrong(
            "a message of no bytes carries no descriptors: send one byte at least".to_owned(),
        );
    }
    Ok(())
}

/// One attempt to send bytes with descriptors.
pub(super) fn send(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let message = SendAncillaryMessage::ScmRights(descriptors);
    let mut space = vec![MaybeUninit::uninit(); message.size()];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let fits = ancillary.push(message);
        debug_assert!(fits, "invariant: there is room for exactly this message");
    }
    let bytes = [IoSlice::new(bytes)];
    Ok(sendmsg(
        socket,
        &bytes,
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?)
}

/// One attempt to receive bytes with at most so many descriptors, which are closed on exec.
pub(super) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    descriptors_max: usize,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    #[cfg(target_os = "linux")]
    const FLAGS: libc::c_int = libc::MSG_CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    const FLAGS: libc::c_int = 0;
    let room = descriptors_max.min(DESCRIPTORS_MAX);
    let size = rustix::cmsg_space!(ScmRights(room)) + OTHERS_SIZE;
    // Of words, so that it is aligned.
    let mut space = vec![0_u64; size.div_ceil(size_of::<u64>())];
    let mut bytes = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: the record is made of numbers and pointers, which may be zero.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut bytes;
    message.msg_iovlen = 1;
    message.msg_control = space.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&*space) as _;
    // SAFETY: the descriptor is open as long as it is borrowed; the message names memory that may be written, with its lengths, and
    // all of it lives as long as the call.
    let length = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, FLAGS) };
    let Ok(length) = usize::try_from(length) else {
        return Err(io::Error::last_os_error());
    };
    // SAFETY: the call has just received this message, and the space of its control part lives.
    let descriptors = unsafe { take_descriptors(&message) };
    #[cfg(not(target_os = "linux"))]
    for descriptor in &descriptors {
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
    }
    // There may have been room for more than were asked for.
    if descriptors.len() > descriptors_max || message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(too_many(descriptors_max));
    }
    Ok((length, descriptors))
}

/// The descriptors of a message that was just received. One that the system has put in by itself is closed.
///
/// Not by rustix, which knows no such descriptors, and credentials only of processes that this one can see.
///
/// # Safety
///
/// The message is as `recvmsg` left it, what it points to lives, and nobody has taken its descriptors.
#[allow(
    clippy::unnecessary_cast,
    reason = "the lengths have other types elsewhere"
)]
unsafe fn take_descriptors(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut taken = Vec::new();
    let end = message.msg_control.addr() + message.msg_controllen as usize;
    // SAFETY: the caller promises that the control part lives, and that the kernel has set its length to what it wrote.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the macros return a header that lies in the control part as a whole, or null.
        let libc::cmsghdr {
            cmsg_level: level,
            cmsg_type: kind,
            cmsg_len: length,
            ..
        } = unsafe { header.read() };
        // SAFETY: as above; what follows the header is not looked at.
        let data = unsafe { libc::CMSG_DATA(header) };
        // A truncated one may tell its whole length.
        let length = (header.addr() + length as usize)
            .min(end)
            .saturating_sub(data.addr());
        if level == libc::SOL_SOCKET && (kind == libc::SCM_RIGHTS || SCM_PIDFD == Some(kind)) {
            let count = length / size_of::<RawFd>();
            // SAFETY: the kernel has written so many descriptors there, which is aligned as the headers are.
            let numbers = unsafe { std::slice::from_raw_parts(data.cast::<RawFd>(), count) };
            // In place of its own descriptor the kernel may tell an error, which is negative.
            for number in numbers.iter().filter(|number| **number >= 0) {
                // SAFETY: the kernel has made the descriptor for this message, and the caller promises that it is taken once.
                let descriptor = unsafe { OwnedFd::from_raw_fd(*number) };
                if kind == libc::SCM_RIGHTS {
                    taken.push(descriptor);
                }
            }
        }
        // SAFETY: the header is one of this message's.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    taken
}

#[cold]
fn too_many(descriptors_max: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "a message came with more than {descriptors_max} descriptors, or with more than this process may open; all are closed"
        ),
    )
}

/// One attempt to receive bytes alone. Also returns whether something beside the bytes was thrown away: a read stops there, so a
/// short one has not drained the socket then.
#[inline]
pub(super) fn receive_bytes(
    socket: impl AsFd,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<(usize, bool)> {
    let mut none = RecvAncillaryBuffer::new(&mut []);
    let message = recvmsg(socket, buffers, &mut none, RecvFlags::empty())?;
    Ok((message.bytes, message.flags.contains(ReturnFlags::CTRUNC)))
}
