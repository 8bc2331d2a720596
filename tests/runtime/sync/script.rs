//! A program that uses everything is cut off at each of its switchpoints, one run after the other: afterwards all locks are free,
//! all permits back, every message accounted for, and every value dropped.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kapok::net::{TcpListener, TcpStream};
use kapok::sync::channel::{Receiver, Sender, bounded};
use kapok::sync::{
    Barrier, Condvar, Event, Mutex, Notify, OnceLock, Queue, RwLock, RwLockWriteGuard, Semaphore,
    Waitable, oneshot, wait,
};
use kapok::{
    JoinHandle, TimedOut, scope, select, shielded, sleep, spawn, task_group, timeout, yield_now,
};

use super::{LONG, Life, Living, join_all};
use crate::support::on_a_hub;

const MICROSECOND: Duration = Duration::from_micros(1);

/// What the program shares with others.
struct World {
    lock: Mutex<u32>,
    table: RwLock<u32>,
    permits: Arc<Semaphore>,
    changed: (Mutex<u32>, Condvar),
    event: Event,
    notify: Notify,
    queue: Queue<Life>,
    value: OnceLock<Life>,
    living: Living,
    /// The messages that came back, in their order.
    received: RefCell<Vec<usize>>,
    stop: Cell<bool>,
}

impl World {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            lock: Mutex::new(0),
            table: RwLock::new(0),
            permits: Arc::new(Semaphore::new(2)),
            changed: (Mutex::new(0), Condvar::new()),
            event: Event::new(),
            notify: Notify::new(),
            queue: Queue::<Life>::with_limit(3),
            value: OnceLock::new(),
            living: Living::default(),
            received: RefCell::new(Vec::new()),
            stop: Cell::new(false),
        })
    }

    /// Those who contend with the program for everything, until they are stopped.
    fn people(self: &Rc<Self>) -> Vec<JoinHandle<()>> {
        let one = |body: fn(&Self)| {
            let world = Rc::clone(self);
            spawn(move || {
                while !world.stop.get() {
                    body(&world);
                    yield_now();
                }
            })
        };
        vec![
            one(|world| {
                let mut held = world.lock.lock().unwrap();
                yield_now();
                *held += 1;
            }),
            one(|world| {
                let _reading = world.table.read().unwrap();
                yield_now();
            }),
            one(|world| *world.table.write().unwrap() += 1),
            one(|world| {
                let _permit = world.permits.acquire();
                yield_now();
            }),
            one(|world| {
                *world.changed.0.lock().unwrap() += 1;
                world.changed.1.notify_one();
                world.event.set();
                world.notify.notify_one();
                yield_now();
                world.event.clear();
            }),
            one(|world| {
                if let Ok(item) = world.queue.try_get() {
                    yield_now();
                    drop(item);
                    world.queue.task_done();
                }
            }),
        ]
    }
}

/// Hands on what comes, until either side is gone.
fn forward(from: Receiver<Life>, to: Sender<Life>) -> JoinHandle<()> {
    spawn(move || {
        for message in from {
            if to.send(message).is_err() {
                break;
            }
        }
    })
}

fn locks(world: &World) {
    let mut held = world.lock.lock().unwrap();
    *held += 1;
    yield_now();
    drop(held);
    let reading = world.table.read().unwrap();
    yield_now();
    drop(reading);
    let writing = world.table.write().unwrap();
    yield_now();
    let reading = RwLockWriteGuard::downgrade(writing);
    yield_now();
    drop(reading);
    let both = world.permits.acquire_many(2);
    yield_now();
    drop(both);
    let owned = world.permits.acquire_owned();
    let held = world.lock.lock_timeout(LONG).unwrap();
    yield_now();
    drop((owned, held));
    let (number, changed) = &world.changed;
    let before = number.lock().unwrap();
    let end = *before + 2;
    drop(changed.wait_while(before, |number| *number < end).unwrap());
    world.event.wait();
    world.notify.wait();
}

fn messages(world: &World, to: Sender<Life>, from: &Receiver<Life>) {
    let note = |life: Life| world.received.borrow_mut().push(life.1);
    to.send(world.living.one(0)).unwrap();
    note(from.recv().unwrap());
    for number in 1..3 {
        to.send(world.living.one(number)).unwrap();
    }
    for number in 3..5 {
        let mut message = Some(world.living.one(number));
        while message.is_some() {
            select! {
                () = after(LONG) => unreachable!(),
                sent = send(&to, &mut message) => sent.unwrap(),
                life = recv(from) => note(life.unwrap()),
            }
        }
    }
    drop(to);
    from.iter().for_each(note);
    world.queue.put_sized(world.living.one(0), 2).unwrap();
    world.queue.put_sized(world.living.one(0), 3).unwrap();
    world.queue.join();
    let (answer, question) = oneshot::channel();
    let life = world.living.one(7);
    drop(spawn(move || {
        yield_now();
        drop(answer.send(life));
    }));
    assert_eq!(question.recv().unwrap().1, 7);
}

fn children(world: &World) {
    let (lives, barrier) = (
        [1, 2].map(|number| world.living.one(number)),
        Barrier::new(3),
    );
    scope(|scope| {
        for life in &lives {
            scope.spawn(|| {
                let _held = world.lock.lock().unwrap();
                yield_now();
                barrier.wait();
                life.1
            });
        }
        let _own = world.living.one(3);
        let late = scope.spawn(|| sleep(MICROSECOND));
        barrier_is_reached(world, &barrier);
        wait(&[&late as &dyn Waitable], 1);
    });
    let failed: Result<(), Life> = task_group(|group| {
        group.spawn(|| {
            let _life = world.living.one(4);
            sleep(LONG);
            Ok(())
        });
        group.spawn(|| {
            let _reading = world.table.read().unwrap();
            yield_now();
            Err::<(), _>(world.living.one(5))
        });
        let _permit = world.permits.acquire();
        sleep(LONG);
        Ok(())
    });
    assert_eq!(failed.unwrap_err().1, 5);
    let late = timeout(MICROSECOND, || {
        let _held = world.lock.lock().unwrap();
        sleep(LONG);
    });
    assert_eq!(late, Err(TimedOut));
    let value = world.value.get_or_init(|| {
        yield_now();
        world.living.one(8)
    });
    assert_eq!(value.1, 8);
}

/// The locks that the other two hold in turn let them get there.
fn barrier_is_reached(world: &World, barrier: &Barrier) {
    let _life = world.living.one(6);
    // One of them waits for the lock that the other one has while it is at the barrier: not all can be there.
    let met = timeout(MICROSECOND * 100, || barrier.wait());
    assert!(met.is_err());
    scope(|scope| {
        scope.spawn(|| barrier.wait());
        barrier.wait();
    });
    // And the last one, with the two that are left.
    scope(|scope| {
        scope.spawn(|| barrier.wait());
        barrier.wait();
    });
}

fn network(world: &World, address: SocketAddr) {
    let _life = world.living.one(9);
    let mut stream = TcpStream::connect(address).unwrap();
    let mut answer = [0; 4];
    for _ in 0..2 {
        stream.write_all(b"echo").unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"echo");
    }
    shielded(yield_now);
    sleep(MICROSECOND);
}

/// Answers everybody until it is cancelled.
fn echo_server() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(move || {
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            drop(spawn(move || {
                let mut bytes = [0; 16];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    if stream.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
            }));
        }
    });
    (address, server)
}

/// One run, which `cut` may break off. Returns whether it got to its end.
fn run(address: SocketAddr, cut: impl FnOnce(Box<dyn FnOnce()>) -> bool) -> bool {
    let world = World::new();
    let mut people = world.people();
    let (to, inner) = bounded(1);
    let (outer, from) = bounded(0);
    people.push(forward(inner, outer));
    let whole = cut(Box::new({
        let world = Rc::clone(&world);
        move || {
            let _life = world.living.one(10);
            locks(&world);
            messages(&world, to, &from);
            children(&world);
            network(&world, address);
        }
    }));
    world.stop.set(true);
    join_all(people);
    // What the program detached, and what it has left in the queue.
    for _ in 0..4 {
        yield_now();
    }
    while world.queue.try_get().is_ok() {
        world.queue.task_done();
    }
    assert!(world.lock.try_lock().is_ok() && world.table.try_write().is_ok());
    assert!(world.changed.0.try_lock().is_ok());
    assert_eq!(world.permits.available(), 2);
    assert_eq!(world.queue.unfinished_tasks(), 0);
    let received = world.received.take();
    assert!(
        received.iter().copied().eq(0..received.len()),
        "{received:?}"
    );
    assert!(!whole || received.len() == 5);
    assert_eq!(
        world.living.count(),
        usize::from(world.value.get().is_some())
    );
    whole
}

/// Runs with `cut(0)`, `cut(1)` and so on until a run gets to its end, after more than `least`.
fn cut_everywhere(least: u32, cut: impl Fn(u32, Box<dyn FnOnce()>) -> bool) {
    let (address, server) = echo_server();
    assert!(run(address, |program| {
        program();
        true
    }));
    let whole = (0..20_000).find(|turn| run(address, |program| cut(*turn, program)));
    assert!(whole.expect("it ends some time") > least);
    server.cancel();
    assert!(server.join().unwrap_err().is_cancelled());
}

#[test]
fn a_cancel_at_any_switchpoint_leaves_everything_in_order() {
    on_a_hub("cancel anywhere", || {
        cut_everywhere(50, |turn, program| {
            let fiber = spawn(program);
            for _ in 0..turn {
                yield_now();
            }
            fiber.cancel();
            match fiber.join() {
                Ok(()) => true,
                Err(error) => {
                    assert!(error.is_cancelled(), "{error:?}");
                    false
                }
            }
        });
    });
}

#[test]
fn a_group_that_fails_at_any_switchpoint_leaves_everything_in_order() {
    on_a_hub("failure anywhere", || {
        cut_everywhere(50, |turn, program| {
            let is_through = Cell::new(false);
            let result = task_group(|group| {
                group.spawn(|| {
                    for _ in 0..turn {
                        yield_now();
                    }
                    if is_through.get() { Ok(()) } else { Err(()) }
                });
                program();
                is_through.set(true);
                Ok(())
            });
            result.is_ok()
        });
    });
}

#[test]
fn a_timeout_at_any_time_leaves_everything_in_order() {
    on_a_hub("timeout anywhere", || {
        cut_everywhere(5, |turn, program| {
            timeout(MICROSECOND * turn, program).is_ok()
        });
    });
}
