//! tokio's traits, which need nothing of its runtime.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Async, Pollable};

impl<S: Pollable + Unpin> AsyncRead for Async<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: `poll_receive` only writes, so nothing that is initialised becomes uninitialised.
        let unfilled = unsafe { buffer.unfilled_mut() };
        let count = ready!(self.poll_receive(context, unfilled))?;
        // SAFETY: the system has just written so many bytes at the beginning of that part.
        unsafe { buffer.assume_init(count) };
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: Pollable + Unpin> AsyncWrite for Async<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write_vectored(&self, context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: the stream has no buffer of its own.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}
