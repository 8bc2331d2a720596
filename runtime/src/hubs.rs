//! Several hubs: one thread each, started together and stopped together.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::fiber::store;
use crate::hub::Hub;
use crate::hub::cancel;
use crate::hub::drain::{DrainError, Patience, drain_hub, wait_until_empty_or_stopped};
use crate::hub::end::end;
use crate::hub::wait_list::Ticket;
use crate::hub::waiting::Place;
use crate::sync::{Event, Sealed, Waitable};
use crate::task::{HubHandle, park_thread};

/// How many hubs, and their threads' names.
#[derive(Clone, Debug)]
pub struct HubsConfig {
    count: usize,
    name: String,
}

impl HubsConfig {
    /// One hub a processor core.
    #[must_use]
    pub fn new() -> Self {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            count,
            name: "kapok-hub".to_owned(),
        }
    }

    /// Sets the number of hubs. Default is one for each core this process may use; 0 counts as 1. Each is a thread.
    #[must_use]
    pub fn count(mut self, count: usize) -> Self {
        self.count = count.max(1);
        self
    }

    /// Sets the threads' name, which gets a number behind it. Default is `kapok-hub`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

impl Default for HubsConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Hubs that are about to be started.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let running = kapok::Hubs::new(kapok::HubsConfig::new().count(2)).start(|hub| {
///     drop(hub.spawn(|| assert_eq!(kapok::current().name(), None)));
///     Ok(())
/// })?;
/// running.stop(Duration::from_secs(1));
/// running.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "no hub runs before `start`"]
pub struct Hubs {
    config: HubsConfig,
}

impl Hubs {
    /// Hubs as configured.
    pub fn new(config: HubsConfig) -> Self {
        Self { config }
    }

    /// How many there will be.
    #[must_use]
    pub fn count(&self) -> usize {
        self.config.count
    }

    /// Starts the threads. `main` runs once on each, as its root fiber: what it makes may be `!Send`.
    ///
    /// A hub whose `main` has returned goes on until its fibers have ended, or until it is stopped. If one returns an error or
    /// panics, all are stopped, and [`Running::join`] tells. What the closure has captured is dropped when it has returned on all,
    /// by the last hub.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread or the descriptors of a hub; hubs that were started are stopped then.
    ///
    /// # Panics
    ///
    /// If the hubs' name has a NUL.
    pub fn start<M>(self, main: M) -> io::Result<Running>
    where
        M: Fn(HubHandle) -> io::Result<()> + Send + Sync + 'static,
    {
        let count = self.config.count;
        self.start_each(std::iter::repeat_n((), count), move |hub, ()| main(hub))
    }

    /// [`start`](Self::start) for as many hubs as there are `items`, whatever their configured count. Each hub's `main` gets one: its
    /// listener, its part of the data.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and `InvalidInput` if there is no item.
    ///
    /// # Panics
    ///
    /// If the hubs' name has a NUL.
    ///
    /// # Examples
    ///
    /// ```
    /// use kapok::{Hubs, net::{TcpListener, TcpStream}};
    /// use std::time::Duration;
    ///
    /// let hubs = Hubs::default();
    /// let listeners = TcpListener::bind_shared("127.0.0.1:0", hubs.count())?;
    /// let address = listeners[0].local_addr()?;
    /// let running = hubs.start_each(listeners, |_hub, listener| {
    ///     for stream in listener.incoming() {
    ///         drop(stream); // or spawn a fiber for it
    ///     }
    ///     Ok(())
    /// })?;
    /// TcpStream::connect(address)?;
    /// running.stop(Duration::ZERO);
    /// running.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start_each<I, M>(self, items: I, main: M) -> io::Result<Running>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        M: Fn(HubHandle, I::Item) -> io::Result<()> + Send + Sync + 'static,
    {
        let items: Vec<_> = items.into_iter().collect();
        let count = items.len();
        if count == 0 {
            let error = "hubs are started with an item for each, and there is none";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let shared = Arc::new(Shared::default());
        let running = Running {
            shared: Arc::clone(&shared),
        };
        // None is left here: it may be the last, and its destructor is the user's.
        let mains = std::iter::repeat_n(Arc::new(main), count);
        for (number, (item, main)) in items.into_iter().zip(mains).enumerate() {
            let shared = Arc::clone(&shared);
            let name = format!("{}-{number}", self.config.name);
            shared.lock().unended += 1;
            let (started, thread) = (Arc::clone(&shared), std::thread::Builder::new().name(name));
            // One closure, so that what `main` captured goes when it has returned.
            let main = move |hub| main(hub, item);
            let spawned = thread.spawn(move || hub_thread(&shared, number, main));
            if let Err(error) = spawned {
                started.one_less();
                running.stop(Duration::ZERO);
                return Err(error);
            }
        }
        running.wait_until_started(count)?;
        Ok(running)
    }
}

/// Hubs that run. Dropping it leaves them running.
#[derive(Debug)]
#[must_use = "without it the hubs can be neither stopped nor joined"]
pub struct Running {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// A hub has started, or none can.
    changed: Condvar,
    /// All threads have ended.
    ended: Event,
}

#[derive(Debug, Default)]
struct State {
    /// By number, those that have started.
    hubs: BTreeMap<usize, HubHandle>,
    /// Threads that have not started or not ended yet.
    unended: usize,
    refused: Option<io::Error>,
    /// The shortest grace, once stopped.
    stopped: Option<Duration>,
    failure: Option<HubsError>,
}

impl Running {
    /// Asks all hubs to end: their listeners accept no more, their fibers have `grace` to end by themselves, are cancelled
    /// then, and have as long again (a second at least) to unwind. Returns at once; [`Self::join`] waits. A further call can
    /// shorten the grace, not lengthen it.
    ///
    /// Under `panic = "abort"` nothing is unwound: instead all waiting for I/O times out.
    pub fn stop(&self, grace: Duration) {
        self.shared.stop(grace);
    }

    /// The hubs, by their numbers, to spawn on.
    #[must_use]
    pub fn hubs(&self) -> Vec<HubHandle> {
        self.shared.lock().hubs.values().cloned().collect()
    }

    /// Waits until all hubs have ended, and their threads' locals are gone. In a fiber other fibers run meanwhile.
    ///
    /// # Errors
    ///
    /// The first that was wrong: a `main` that failed or panicked, or fibers that did not end after a stop.
    #[kapok_macros::switchpoint_runtime(wakes = "the last hub's end", cancel = "the hubs run on")]
    pub fn join(self) -> Result<(), HubsError> {
        self.shared.ended.wait();
        match self.shared.lock().failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "making a hub takes microseconds: the caller's fibers can wait that long"
    )]
    fn wait_until_started(&self, count: usize) -> io::Result<()> {
        let mut state = self.shared.lock();
        while state.hubs.len() < count && state.refused.is_none() {
            let changed = self.shared.changed.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        }
        match state.refused.take() {
            Some(error) => {
                drop(state);
                self.stop(Duration::ZERO);
                Err(error)
            }
            None => Ok(()),
        }
    }
}

impl Sealed for Running {}

/// Ready when all hubs have ended.
impl Waitable for Running {
    fn is_ready(&self) -> bool {
        self.shared.ended.is_ready()
    }

    unsafe fn enter(&self, place: &Place<()>, ticket: &Ticket, number: u32) -> bool {
        // SAFETY: the same promise.
        unsafe { self.shared.ended.enter(place, ticket, number) }
    }

    fn leave(&self, place: &Place<()>) {
        self.shared.ended.leave(place);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // No user code runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread has ended, or was never started.
    fn one_less(&self) {
        let mut state = self.lock();
        state.unended -= 1;
        if state.unended == 0 {
            self.ended.set();
        }
    }

    fn stop(&self, grace: Duration) {
        let mut state = self.lock();
        state.stopped = Some(state.stopped.map_or(grace, |earlier| earlier.min(grace)));
        for hub in state.hubs.values() {
            hub.stop(grace);
        }
    }
}

thread_local! {
    static END: Cell<Option<ThreadEnd>> = const { Cell::new(None) };
}

/// Tells of the thread's end when it is dropped.
struct ThreadEnd(Arc<Shared>);

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        self.0.one_less();
    }
}

/// What a hub's thread does from its first line to its last.
fn hub_thread<M>(shared: &Arc<Shared>, number: usize, main: M)
where
    M: FnOnce(HubHandle) -> io::Result<()>,
{
    // The thread's first local: the others are dropped before it, and may have something to write or to remove.
    END.set(Some(ThreadEnd(Arc::clone(shared))));
    let hub = match Hub::try_make_for_this_thread() {
        Ok(hub) => hub,
        Err(error) => {
            shared.lock().refused.get_or_insert(error);
            shared.changed.notify_all();
            return;
        }
    };
    let handle = HubHandle::of(hub);
    let mut state = shared.lock();
    state.hubs.insert(number, handle.clone());
    if let Some(grace) = state.stopped {
        handle.stop(grace);
    }
    shared.changed.notify_all();
    drop(state);

    let failure = match catch_unwind(AssertUnwindSafe(|| main(handle))) {
        Ok(Ok(())) => None,
        // An `accept` that was told of the stop.
        Ok(Err(error))
            if error.kind() == io::ErrorKind::ConnectionAborted && hub.is_stopping.get() =>
        {
            None
        }
        Ok(Err(error)) => Some(HubsError::Main { hub: number, error }),
        Err(payload) if cancel::is_cancel(&*payload) => None,
        Err(payload) => {
            store::drop_quietly(payload);
            Some(HubsError::Panicked { hub: number })
        }
    };
    if let Some(failure) = failure {
        shared.lock().failure.get_or_insert(failure);
        shared.stop(Duration::ZERO);
    }
    cancel::unlimit_root(hub);
    wait_until_empty_or_stopped(hub);
    // Fibers are empty, or a stop has set the deadline.
    let grace = shared.lock().stopped.unwrap_or_default();
    let stuck = drain_hub(hub, || hub.stop_deadline.get(), grace, Patience::ToTheEnd).err();
    end(hub);
    if let Some(error) = stuck {
        // What was sent and not received, and what is sent from now on, is told that this hub has ended.
        hub.remote.close().into_iter().for_each(store::drop_quietly);
        let stuck = HubsError::Stuck { hub: number, error };
        shared.lock().failure.get_or_insert(stuck);
        drop(END.take());
        // Frames of the fibers that are left may have lent this thread's locals to other threads: it must not end.
        loop {
            park_thread(None);
        }
    }
}

/// Why hubs did not end well.
#[derive(Debug)]
#[non_exhaustive]
pub enum HubsError {
    /// `main` returned an error.
    Main {
        /// The hub's number.
        hub: usize,
        /// What it returned.
        error: io::Error,
    },
    /// `main` panicked.
    Panicked {
        /// The hub's number.
        hub: usize,
    },
    /// Fibers did not end after a stop; they and their thread are leaked.
    Stuck {
        /// The hub's number.
        hub: usize,
        /// Which fibers.
        error: DrainError,
    },
}

impl fmt::Display for HubsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main { hub, error } => write!(formatter, "hub {hub} failed: {error}"),
            Self::Panicked { hub } => write!(formatter, "the main function of hub {hub} panicked"),
            Self::Stuck { hub, .. } => write!(formatter, "fibers of hub {hub} did not end"),
        }
    }
}

impl std::error::Error for HubsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Main { error, .. } => Some(error),
            Self::Panicked { .. } => None,
            Self::Stuck { error, .. } => Some(error),
        }
    }
}
