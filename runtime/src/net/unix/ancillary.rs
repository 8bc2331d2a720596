//! What travels beside the bytes of a unix socket: descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// What the system lets one message carry (`SCM_MAX_FD`).
pub(super) const DESCRIPTORS_MAX: usize = 253;

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
    let room = descriptors_max.min(DESCRIPTORS_MAX);
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(room))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    #[cfg(target_os = "linux")]
    let flags = RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = RecvFlags::empty();
    let mut buffers = [IoSliceMut::new(buffer)];
    let message = recvmsg(socket, &mut buffers, &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for received in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = received {
            descriptors.extend(received);
        }
    }
    #[cfg(not(target_os = "linux"))]
    for descriptor in &descriptors {
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
    }
    // The space is rounded up, so there may be one more than asked for.
    if descriptors.len() > descriptors_max || message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(too_many(descriptors_max));
    }
    Ok((message.bytes, descriptors))
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
