//! The hub: one per thread, it runs the thread's fibers one at a time and waits when none can run.
//!
//! # The loop
//!
//! The loop runs on the thread's own stack, inside whatever call parked the **root fiber** ([`Hub::run_until_root_wakes`]):
//!
//! ```text
//! take the first of the run queue ── root? ──> return into the root's call
//!        │ resume it until it parks, yields or ends
//!        │ every 8 resumes: messages? timers due? every 64 resumes or 0.5 ms: events, without waiting
//!        └ queue empty: messages, due timers, then wait for events until the next timer
//! ```
//!
//! No user code runs on it: bodies, results, locals and panic payloads are run and dropped on fibers' stacks.
//!
//! # Who may do what
//!
//! - Everything in a `Hub` is `Cell`s for its own thread. Other threads hold a [`Remote`] and only send messages.
//! - A waker only enqueues. [`switch_out`] is the only function that leaves a fiber, `Worker::resume` the only one that
//!   enters one.
//! - No borrow of hub state is held across a switch.
//!
//! # The end
//!
//! A hub has no destructor that resumes, unwinds or unmaps: the thread's locals may be gone by then, or the destructor may
//! run on a fiber's own stack (`process::exit` in a fiber). [`end`] does that work, on an ordinary stack, once no fiber is
//! left. A thread that ends without it leaks its hub, and says which fibers went with it.

pub(crate) mod cancel;
pub(crate) mod clock;
pub(crate) mod current;
mod deadline_heap;
pub(crate) mod drain;
pub(crate) mod end;
pub(crate) mod inbox;
mod overflow;
pub(crate) mod poller;
pub(crate) mod registration;
pub(crate) mod registry;
pub(crate) mod remote;
pub(crate) mod report;
pub(crate) mod sources;
pub(crate) mod survey;
pub(crate) mod switchpoint;
pub(crate) mod sync_facade;
pub(crate) mod task_timers;
pub(crate) mod tasks;
pub(crate) mod timers;
pub(crate) mod wait_list;
pub(crate) mod waiting;
pub(crate) mod waker;

use std::cell::{Cell, RefCell, RefMut};
use std::io;
use std::time::Duration;

use crate::fiber::FiberSlot;
use crate::fiber::pool::{StackClass, StackPool};
use crate::fiber::slot::{NEVER, Wait, attention, flag};
use crate::fiber::worker::{Signal, Worker};
use crate::slab::Slab;

use clock::Clock;
use current::ThreadRole;
use poller::Driver;
use remote::{Message, Remote};
use sources::Source;
use tasks::Tasks;
use timers::Timers;

/// Resumes between two looks at messages and timers.
const GLANCE_RESUMES: u32 = 8;
/// Glances between two looks at events, if time does not ask for one earlier.
const POLL_GLANCES: u32 = 8;
/// A busy hub looks at events at least this often, as far as its fibers let it.
const POLL_NANOSECONDS: u64 = 500_000;
/// How long the stacks of a burst of fibers stay warm.
const STACKS_WARM_NANOSECONDS: u64 = 1_000_000_000;
/// Between two batches of stacks that are given back: a tenth of the time goes there, for 128,000 stacks a second.
const TRIM_NANOSECONDS: u64 = 2_000_000;
/// Room for messages that an idle inbox keeps.
const MESSAGES_KEPT: usize = 1024;
/// I/O operations that a fiber may complete without waiting before it has to let others run.
const OPERATION_BUDGET: u32 = 128;
/// Timers from here on are mostly timeouts that others push back before they are due: one alarm serves thousands of waits.
const ALARM_MIN: Duration = Duration::from_millis(100);
/// So many bytes moved count as one more operation.
const BYTES_AN_OPERATION: usize = 4096;

pub(crate) struct Hub {
    // What a switch touches, first.
    queue_first: Cell<Option<&'static FiberSlot>>,
    queue_last: Cell<Option<&'static FiberSlot>>,
    root: Cell<Option<&'static FiberSlot>>,
    resumes_left: Cell<u32>,
    glances_left: Cell<u32>,
    budget: Cell<u32>,
    pub(crate) live: Cell<usize>,
    pub(crate) next_serial: Cell<u64>,
    pub(crate) slots: Slab<FiberSlot>,
    pub(crate) stacks: StackPool,
    pub(crate) timers: Timers,

    pub(crate) sources: Slab<Source>,
    pub(crate) sources_used: Cell<usize>,
    pub(crate) tasks: Tasks,
    driver: RefCell<Option<Box<dyn Driver>>>,
    /// When the driver's alarm goes off; [`NEVER`] if it is not set.
    alarm: Cell<u64>,
    reports_peer_shutdown: Cell<bool>,
    /// [`NEVER`] stands for a time after the last glance, when the hub waited.
    last_poll: Cell<u64>,
    pub(crate) clock: Clock,

    pub(crate) remote: &'static Remote,
    pub(crate) epoch: Cell<u64>,
    received: RefCell<Vec<Message>>,
    pub(crate) is_main_thread: Cell<bool>,
    /// Join handles that have outlived the hub.
    pub(crate) late_handles: Cell<usize>,
    /// Set by a stop: listeners accept no more.
    pub(crate) is_stopping: Cell<bool>,
    /// Set by a stop: until when fibers may end by themselves.
    pub(crate) stop_deadline: Cell<u64>,
    /// Set by a stop without unwinding: every wait for I/O has timed out.
    pub(crate) is_expired: Cell<bool>,
    /// Set while a drain cancels: what is spawned now is cancelled at once.
    pub(crate) is_draining: Cell<bool>,
    /// The root waits for `live` to reach zero.
    pub(crate) root_awaits_drained: Cell<bool>,
    /// The root waits for a stop.
    pub(crate) root_awaits_stop: Cell<bool>,
    /// A fiber was not unwound out of its wait because the thread was unwinding.
    pub(crate) has_deferred: Cell<bool>,
    /// Fibers that wait in the middle of their own unwinding.
    pub(crate) unwinding: Cell<usize>,
}

impl Hub {
    /// Makes a hub with nothing open yet.
    fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            queue_first: Cell::new(None),
            queue_last: Cell::new(None),
            root: Cell::new(None),
            resumes_left: Cell::new(GLANCE_RESUMES),
            glances_left: Cell::new(POLL_GLANCES),
            budget: Cell::new(OPERATION_BUDGET),
            live: Cell::new(0),
            next_serial: Cell::new(1),
            slots: Slab::new(),
            stacks: StackPool::new(),
            timers: Timers::default(),
            sources: Slab::new(),
            sources_used: Cell::new(0),
            tasks: Tasks::default(),
            driver: RefCell::new(None),
            alarm: Cell::new(NEVER),
            reports_peer_shutdown: Cell::new(false),
            last_poll: Cell::new(0),
            clock: Clock::new(),
            remote: Remote::new(),
            epoch: Cell::new(0),
            received: RefCell::new(Vec::new()),
            is_main_thread: Cell::new(false),
            late_handles: Cell::new(0),
            is_stopping: Cell::new(false),
            stop_deadline: Cell::new(NEVER),
            is_expired: Cell::new(false),
            is_draining: Cell::new(false),
            root_awaits_drained: Cell::new(false),
            root_awaits_stop: Cell::new(false),
            has_deferred: Cell::new(false),
            unwinding: Cell::new(0),
        }))
    }

    /// The slow half of [`current::hub`].
    ///
    /// # Panics
    ///
    /// Where a hub must not be, and if the system gives no descriptors for one.
    #[cold]
    #[inline(never)]
    pub(crate) fn make_for_this_thread() -> &'static Self {
        match Self::try_make_for_this_thread() {
            Ok(hub) => hub,
            Err(error) => panic!("kapok: this thread gets no hub: {error}"),
        }
    }

    pub(crate) fn try_make_for_this_thread() -> io::Result<&'static Self> {
        if let Some(hub) = current::existing_hub() {
            return Ok(hub);
        }
        let refused = match current::role() {
            ThreadRole::Open => None,
            ThreadRole::BlockingPool => Some(
                "what is given to `unblock` or a `ThreadPool` runs on a pool thread, where no fiber can be spawned",
            ),
            ThreadRole::Ending => Some("the thread's locals are being destroyed"),
        };
        if let Some(reason) = refused {
            return Err(io::Error::other(reason));
        }
        let driver = poller::new_driver()?;
        overflow::install()?;
        let hub = end::take_spare().unwrap_or_else(Self::new);
        hub.reports_peer_shutdown
            .set(driver.reports_peer_shutdown());
        hub.epoch.set(hub.remote.open(driver.notifier()));
        registry::enter(hub.remote, hub.epoch.get());
        hub.driver.replace(Some(driver));
        hub.alarm.set(NEVER);
        hub.is_main_thread.set(current::is_main_thread());
        let root = hub.slots.take();
        root.serial.set(hub.take_serial());
        let (guard_depth, guard_place) = current::bare_guard();
        root.guard_depth.set(guard_depth);
        root.guard_place.set(guard_place);
        root.attention.set(if guard_depth > 0 {
            attention::NO_SWITCH
        } else {
            0
        });
        root.flags.set(0);
        root.deadline.set(NEVER);
        root.scope_deadline.set(NEVER);
        root.shield_depth.set(0);
        root.unparked.set(false);
        root.unwinds.set(false);
        hub.unwinding.set(0);
        hub.root.set(Some(root));
        current::enter(hub, root);
        waker::take_over_thread(root);
        end::watch_this_thread();
        Ok(hub)
    }

    pub(crate) fn root(&self) -> &'static FiberSlot {
        self.root
            .get()
            .expect("invariant: a hub in use has a root fiber")
    }

    #[inline(always)]
    pub(crate) fn take_serial(&self) -> u64 {
        let serial = self.next_serial.get();
        self.next_serial.set(serial + 1);
        serial
    }

    pub(crate) fn reports_peer_shutdown(&self) -> bool {
        self.reports_peer_shutdown.get()
    }

    /// Puts a fiber at the end of the run queue. It must not be in it.
    #[inline(always)]
    pub(crate) fn enqueue(&self, fiber: &'static FiberSlot) {
        fiber.link().set(None);
        match self.queue_last.replace(Some(fiber)) {
            Some(last) => last.link().set(Some(fiber)),
            None => self.queue_first.set(Some(fiber)),
        }
    }

    #[inline(always)]
    fn dequeue(&self) -> Option<&'static FiberSlot> {
        let fiber = self.queue_first.get()?;
        let next = fiber.link().get();
        self.queue_first.set(next);
        if next.is_none() {
            self.queue_last.set(None);
        }
        Some(fiber)
    }

    /// Counts an operation that succeeded without waiting; yields when the fiber has had its share. Returns whether it did.
    #[inline(always)]
    pub(crate) fn spend_budget(&self, fiber: &'static FiberSlot) -> bool {
        let left = self.budget.get();
        self.budget.set(left.wrapping_sub(1));
        if left == 0 {
            cancel::is_calm();
            self.enqueue(fiber);
            switch_out(fiber);
            self.budget.set(OPERATION_BUDGET);
        }
        left == 0
    }

    /// Counts an operation of a task, whose poll must not switch. With none left it is to be polled again later.
    pub(crate) fn take_budget(&self) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        left > 0
    }

    /// Counts the bytes that an operation moved: copying many takes as long as several operations.
    #[inline(always)]
    pub(crate) fn spend_bytes(&self, count: usize) {
        let operations = u32::try_from(count / BYTES_AN_OPERATION).unwrap_or(u32::MAX);
        self.budget
            .set(self.budget.get().saturating_sub(operations));
    }

    /// The hub's loop: runs fibers until somebody wakes the root.
    #[inline(never)]
    fn run_until_root_wakes(&'static self) {
        let root = self.root();
        loop {
            let Some(fiber) = self.dequeue() else {
                self.wait_for_work();
                continue;
            };
            // The root counts too: it may yield in a loop with nobody else there.
            let left = self.resumes_left.get();
            if left == 0 {
                self.glance();
            } else {
                self.resumes_left.set(left - 1);
            }
            if std::ptr::eq(fiber, root) {
                current::set_fiber(root);
                self.budget.set(OPERATION_BUDGET);
                end::watch_again();
                return;
            }
            self.run(fiber);
        }
    }

    #[inline(always)]
    fn run(&'static self, fiber: &'static FiberSlot) {
        let worker = match fiber.worker.get() {
            Some(worker) => worker,
            None => {
                let worker = self.stacks.class(fiber.stack_class.get()).take();
                worker.bind(fiber);
                worker
            }
        };
        current::set_fiber(fiber);
        self.budget.set(OPERATION_BUDGET);
        if worker.resume() == Signal::Done {
            self.finish(fiber, worker);
        }
    }

    /// A body has ended, with everything it owned.
    #[inline(always)]
    fn finish(&self, fiber: &'static FiberSlot, worker: &'static Worker) {
        fiber.worker.set(None);
        fiber.yielder.set(None);
        let class = self.stacks.class(fiber.stack_class.get());
        if class.give_back(worker) {
            self.trim_soon(class, fiber);
        }
        self.timers.disarm(fiber);
        if fiber.unwinds.get() {
            cancel::note_unwinding(self, fiber, false);
        }
        fiber
            .flags
            .set(fiber.flags.get() & (flag::HANDLE | flag::VALUE) | flag::DONE);
        if let Some(joiner) = fiber.joiner.take() {
            wake(self, joiner);
            if fiber.rare.borrow().is_some() {
                self.wake_more_joiners(fiber);
            }
        }
        if !fiber.has(flag::HANDLE) {
            self.release(fiber);
        }
        let live = self.live.get() - 1;
        self.live.set(live);
        if live == 0 && self.root_awaits_drained.get() {
            wake(self, self.root());
        }
    }

    /// More stacks are warm than are kept for good. The next burst is served by those of the last, if it comes within a second.
    ///
    /// A fiber that was unwound has touched pages that it had not while it lived: many that were cancelled at once would take
    /// more memory than they had, so such a stack makes room at once.
    #[cold]
    fn trim_soon(&self, class: &StackClass, fiber: &FiberSlot) {
        if fiber.has(flag::THROWN) {
            class.trim();
        } else if self.timers.trim.get() == NEVER {
            let deadline = self.clock.now().saturating_add(STACKS_WARM_NANOSECONDS);
            self.timers.trim.set(deadline);
        }
    }

    #[cold]
    fn wake_more_joiners(&self, fiber: &FiberSlot) {
        let mut awaiter = None;
        if let Some(rare) = fiber.rare.borrow_mut().as_mut() {
            rare.joiners.drain(..).for_each(|joiner| wake(self, joiner));
            awaiter = rare.awaiter.take();
        }
        if let Some(awaiter) = awaiter {
            self.wake_task(awaiter);
        }
    }

    /// Frees the slot of a fiber that is done and has no handle any more.
    #[inline(always)]
    pub(crate) fn release(&self, fiber: &'static FiberSlot) {
        fiber.serial.set(0);
        self.slots.give_back(fiber);
    }

    /// Looks up from a busy queue.
    #[cold]
    #[inline(never)]
    fn glance(&self) {
        self.resumes_left.set(GLANCE_RESUMES - 1);
        self.wake_deferred();
        self.receive_messages();
        let watches = self.sources_used.get() > 0;
        if !watches && self.timers.is_empty() {
            return;
        }
        let now = self.clock.now();
        self.fire_timers(now);
        let glances = self.glances_left.get();
        self.glances_left.set(glances.saturating_sub(1));
        let last_poll = self.last_poll.get().min(now);
        self.last_poll.set(last_poll);
        if watches && (glances == 0 || now - last_poll >= POLL_NANOSECONDS) {
            self.poll(Some(Duration::ZERO));
            self.last_poll.set(now);
        }
    }

    /// Blocks the thread until there is something to run.
    #[cold]
    #[inline(never)]
    fn wait_for_work(&self) {
        if self.receive_messages() || self.wake_deferred() || self.serve_tasks_left() {
            // They may have woken nobody, and more may come for ever: counted like a resume, so that the rest is looked at too.
            match self.resumes_left.get() {
                0 => self.glance(),
                left => self.resumes_left.set(left - 1),
            }
            return;
        }
        let mut timeout = None;
        if let Some(earliest) = self.timers.earliest()
            && earliest < self.alarm.get()
        {
            let now = self.clock.now();
            if earliest <= now {
                self.fire_timers(now);
                return;
            }
            let left = Duration::from_nanos(earliest - now);
            let set = || (self.driver()).set_alarm(self.clock.system_time(earliest));
            match left >= ALARM_MIN && set() {
                true => self.alarm.set(earliest),
                false => timeout = Some(left),
            }
        }
        if !self.remote.inbox.may_park() {
            return;
        }
        self.poll(timeout);
        self.remote.inbox.unparked();
        // What is due beside events is found by the next glance or the next wait: reading the clock costs as much as a wake.
        if timeout.is_some() && self.queue_first.get().is_none() {
            self.fire_timers(self.clock.now());
        }
    }

    /// Asks the operating system. The time of it is not known until somebody reads the clock.
    fn poll(&self, timeout: Option<Duration>) {
        self.resumes_left.set(GLANCE_RESUMES - 1);
        self.glances_left.set(POLL_GLANCES - 1);
        self.last_poll.set(NEVER);
        match (self.driver()).wait(timeout, &mut |event| self.dispatch(event)) {
            Ok(false) => {}
            Ok(true) => self.alarm.set(NEVER),
            // epoll and kqueue fail only for arguments that are wrong for good: going on would spin.
            Err(error) => panic!("kapok: the hub cannot wait for events: {error}"),
        }
    }

    fn driver(&self) -> RefMut<'_, dyn Driver> {
        RefMut::map(self.driver.borrow_mut(), |driver| {
            driver
                .as_deref_mut()
                .expect("invariant: a hub in use has a driver")
        })
    }

    /// Wakes those whose unwinding was put off, when nobody unwinds any more. Returns whether there were any.
    fn wake_deferred(&self) -> bool {
        if !self.has_deferred.get() || std::thread::panicking() {
            return false;
        }
        self.has_deferred.set(false);
        for fiber in (0..self.slots.len()).filter_map(|index| self.slots.at(index)) {
            if fiber.has(flag::LIVE) && fiber.attention.get() & attention::UNWIND != 0 {
                wake(self, fiber);
            }
        }
        true
    }

    /// Handles what other threads sent. Returns whether there was anything.
    pub(crate) fn receive_messages(&self) -> bool {
        if !self.remote.inbox.is_pending() {
            return false;
        }
        let mut messages = self.received.take();
        self.remote.inbox.receive(&mut messages);
        let any = !messages.is_empty();
        for message in messages.drain(..) {
            self.handle(message);
        }
        messages.shrink_to(MESSAGES_KEPT);
        self.received.replace(messages);
        any
    }

    /// Wakes the fibers and tasks whose timers are due, and arms the timers that the fibers still need.
    fn fire_timers(&self, now: u64) {
        if self.timers.trim.get() <= now {
            let next = match self.stacks.trim() {
                true => now.saturating_add(TRIM_NANOSECONDS),
                false => NEVER,
            };
            self.timers.trim.set(next);
        }
        self.fire_task_timers(now);
        while let Some(fiber) = self.timers.pop_due(now) {
            let mut next = fiber.deadline.get();
            if next <= now {
                fiber.deadline.set(NEVER);
                fiber.set(flag::EXPIRED);
                wake(self, fiber);
                next = NEVER;
            }
            if fiber.scope_deadline.get() != NEVER {
                next = next.min(cancel::expire_scopes(self, fiber, now));
            }
            if next != NEVER {
                self.timers.arm(fiber, next);
            }
        }
    }
}

/// [`Hub::spend_budget`] for the running fiber, if this thread has fibers.
#[inline(always)]
pub(crate) fn spend_here() {
    if let (Some(hub), Some(fiber)) = (current::existing_hub(), current::fiber()) {
        hub.spend_budget(fiber);
    }
}

/// Makes a fiber of this hub run again. It only enqueues.
#[inline(always)]
pub(crate) fn wake(hub: &Hub, fiber: &'static FiberSlot) {
    let flags = fiber.flags.get();
    if flags & flag::PARKED != 0 {
        fiber.flags.set(flags & !flag::PARKED);
        hub.enqueue(fiber);
    } else {
        fiber.flags.set(flags | flag::TOKEN);
    }
}

/// Takes the running fiber off the processor until it is resumed. **The only place where one stack is left for another**:
/// whoever calls it has put the fiber where somebody will find it.
///
/// Inlined into every call that parks: a `call`/`ret` pair that straddles a switch would mispredict the processor's return
/// stack, at two to three times the cost of the switch itself.
#[inline(always)]
pub(crate) fn switch_out(fiber: &'static FiberSlot) {
    match fiber.yielder.get() {
        Some(yielder) => yielder.suspend(Signal::Switched),
        None => current::hub().run_until_root_wakes(),
    }
}

/// Parks the running fiber until it is woken. Returns at once if it was woken since it last parked; may return for no reason,
/// so every caller looks at what it waits for again.
#[inline(always)]
pub(crate) fn park(fiber: &'static FiberSlot, wait: Wait) {
    if fiber.take(flag::TOKEN) {
        return;
    }
    fiber.set(flag::PARKED);
    fiber.wait.set(wait);
    switch_out(fiber);
}

/// [`park`] up to a deadline. Returns whether it has passed.
#[inline(always)]
pub(crate) fn park_until(
    hub: &'static Hub,
    fiber: &'static FiberSlot,
    wait: Wait,
    deadline: u64,
) -> bool {
    if deadline == NEVER {
        park(fiber, wait);
        return false;
    }
    fiber.deadline.set(deadline);
    hub.timers.arm(fiber, deadline);
    park(fiber, wait);
    fiber.deadline.set(NEVER);
    fiber.take(flag::EXPIRED)
}
