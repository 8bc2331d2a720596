//! The Linux driver, straight on epoll.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::{ALARM_TOKEN, Driver, Event, NOTIFY_TOKEN, Notify};

/// Events taken in one wait. A full buffer only means that the next wait returns at once.
const EVENTS: usize = 1024;

pub(super) struct EpollDriver {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    notifier: Arc<EventFd>,
    alarm: Alarm,
    /// Whether the kernel waits to the nanosecond. Without it waits with a timeout last up to a millisecond longer.
    has_nanoseconds: bool,
}

/// What ends waits at a time that was set before them.
enum Alarm {
    /// A hub without long timeouts needs none.
    Unmade,
    Made(OwnedFd),
    /// There was no descriptor to spare, or a sandbox forbids it: the timeouts of waits do as well, and to ask before each wait would cost
    /// more than they do.
    Refused,
}

impl EpollDriver {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let notifier = Arc::new(EventFd(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?));
        // Edge-triggered, so that it need not be read: each write is a new edge.
        epoll::add(
            &epoll,
            &notifier.0,
            EventData::new_u64(NOTIFY_TOKEN),
            EventFlags::IN | EventFlags::ET,
        )?;
        Ok(Self {
            epoll,
            events: Vec::with_capacity(EVENTS),
            notifier,
            alarm: Alarm::Unmade,
            has_nanoseconds: true,
        })
    }

    fn make_alarm(&self) -> io::Result<OwnedFd> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let alarm = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // Edge-triggered, so that it need not be read either.
        let (data, interest) = (
            EventData::new_u64(ALARM_TOKEN),
            EventFlags::IN | EventFlags::ET,
        );
        epoll::add(&self.epoll, &alarm, data, interest)?;
        Ok(alarm)
    }

    /// Waits once, with its events in `self.events`.
    fn wait_once(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.events.clear();
        let result = match timeout.filter(|timeout| self.has_nanoseconds && !timeout.is_zero()) {
            Some(timeout) => match self.wait_nanoseconds(timeout) {
                Err(error) if is_unknown_call(&error) => {
                    self.has_nanoseconds = false;
                    self.wait_milliseconds(Some(timeout))
                }
                result => result,
            },
            None => self.wait_milliseconds(timeout),
        };
        let count = match result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        // SAFETY: the kernel has written the first `count` events, at most as many as there was room for.
        unsafe { self.events.set_len(count) };
        Ok(())
    }

    /// Returns how many events the kernel has written into the room behind `self.events`.
    fn wait_nanoseconds(&mut self, timeout: Duration) -> io::Result<usize> {
        // Longer than any clock runs.
        const FOREVER: i64 = i64::MAX;
        let timeout = libc::timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(FOREVER),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let room = self.events.spare_capacity_mut();
        // SAFETY: the descriptor is an open epoll; the room has its length; the timeout lives as long as the call; the signal
        // mask may be null, and its size is then not looked at.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                room.as_mut_ptr(),
                room.len(),
                &raw const timeout,
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// As [`Self::wait_nanoseconds`], in whole milliseconds, rounded up; none is for ever.
    fn wait_milliseconds(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let milliseconds = timeout.map_or(-1, |timeout| {
            let rounded_up = timeout.as_nanos().div_ceil(1_000_000);
            i32::try_from(rounded_up).unwrap_or(i32::MAX)
        });
        let room = self.events.spare_capacity_mut();
        // SAFETY: the descriptor is an open epoll; the room has its length; the timeout is a number; the signal mask may be null,
        // and its size is then not looked at.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait,
                self.epoll.as_raw_fd(),
                room.as_mut_ptr(),
                room.len(),
                milliseconds,
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}

/// Before Linux 5.11 there is no `epoll_pwait2`, and sandboxes that do not know it forbid it.
fn is_unknown_call(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

impl Driver for EpollDriver {
    fn add(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let interest =
            EventFlags::IN | EventFlags::OUT | EventFlags::PRI | EventFlags::RDHUP | EventFlags::ET;
        let data = EventData::new_u64(token);
        Ok(match epoll::add(&self.epoll, descriptor, data, interest) {
            // A descriptor of this number and file was closed while a duplicate kept the file open, so it was not forgotten.
            Err(Errno::EXIST) => epoll::modify(&self.epoll, descriptor, data, interest),
            result => result,
        }?)
    }

    fn remove(&self, descriptor: BorrowedFd<'_>) {
        // Fails only if the descriptor is not there, which is what is wanted.
        let _ = epoll::delete(&self.epoll, descriptor);
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        report: &mut dyn FnMut(Event),
    ) -> io::Result<bool> {
        self.wait_once(timeout)?;
        let mut is_alarmed = false;
        for event in &self.events {
            let (token, flags) = (event.u64, EventFlags::from_bits_retain(event.events));
            if token >= NOTIFY_TOKEN {
                is_alarmed |= token == ALARM_TOKEN;
                continue;
            }
            let closed = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            let urgent = flags.contains(EventFlags::PRI);
            report(Event {
                token,
                readable: closed || urgent || flags.contains(EventFlags::IN),
                writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
                hides_rest: closed || urgent,
            });
        }
        Ok(is_alarmed)
    }

    fn set_alarm(&mut self, at: Duration) -> bool {
        if let Alarm::Unmade = self.alarm {
            self.alarm = self.make_alarm().map_or(Alarm::Refused, Alarm::Made);
        }
        let (Alarm::Made(alarm), Ok(at)) = (&self.alarm, Timespec::try_from(at)) else {
            return false;
        };
        let time = Itimerspec {
            it_interval: Timespec::default(),
            it_value: at,
        };
        // Not from now on: a process that is stopped here for a while must not be late by that.
        timerfd_settime(alarm, TimerfdTimerFlags::ABSTIME, &time).is_ok()
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }

    fn reports_peer_shutdown(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct EventFd(OwnedFd);

impl Notify for EventFd {
    fn notify(&self) {
        // Full after 2^64 - 2 writes that nobody read: then it is readable, but a write is no edge. Reading it makes room.
        if rustix::io::write(&self.0, &1_u64.to_ne_bytes()) == Err(Errno::AGAIN) {
            let _ = rustix::io::read(&self.0, &mut [0; 8]);
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }
    }
}
