//! Signals by number and name.

use std::fmt;

/// A signal of the system, such as [`Signal::SIGTERM`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

/// Signals have numbers from 1 to 64, on systems with fewer to 31.
const NUMBER_MAX: i32 = 64;

macro_rules! signals {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        #[expect(missing_docs, reason = "their names are the system's, and its manual has their meaning")]
        impl Signal {
            $($(#[$meta])* pub const $name: Self = Self(libc::$name);)*

            /// The system's name for it; none for real-time signals and those that few systems have.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

signals! {
    SIGABRT,
    SIGALRM,
    SIGBUS,
    SIGCHLD,
    SIGCONT,
    SIGFPE,
    SIGHUP,
    SIGILL,
    SIGINT,
    SIGIO,
    SIGKILL,
    SIGPIPE,
    SIGPROF,
    SIGQUIT,
    SIGSEGV,
    SIGSTOP,
    SIGSYS,
    SIGTERM,
    SIGTRAP,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGURG,
    SIGUSR1,
    SIGUSR2,
    SIGVTALRM,
    SIGWINCH,
    SIGXCPU,
    SIGXFSZ,
}

impl Signal {
    /// The signal with this number, such as a real-time one; none if it is not from 1 to 64.
    #[must_use]
    pub const fn from_raw(number: i32) -> Option<Self> {
        if 1 <= number && number <= NUMBER_MAX {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// Whether nobody can take it, or it tells of a fault to which no code but a handler on the spot can answer.
    pub(super) fn is_forbidden(self) -> bool {
        // Those below the first that is for programs are the C library's own.
        #[cfg(target_os = "linux")]
        if (32..libc::SIGRTMIN()).contains(&self.0) {
            return true;
        }
        matches!(
            self,
            Self::SIGKILL
                | Self::SIGSTOP
                | Self::SIGILL
                | Self::SIGTRAP
                | Self::SIGBUS
                | Self::SIGFPE
                | Self::SIGSEGV
                | Self::SIGSYS
        )
    }

    /// Its place in a set of signals.
    pub(super) fn bit(self) -> u64 {
        1 << (self.0 - 1)
    }

    pub(super) fn of_lowest_bit(bits: u64) -> Option<Self> {
        Self::from_raw(bits.trailing_zeros() as i32 + 1)
    }

    pub(super) fn all_of(bits: u64) -> impl Iterator<Item = Self> {
        (1..=NUMBER_MAX)
            .map(Self)
            .filter(move |signal| bits & signal.bit() != 0)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
