//! Fiber-locals.

use std::cell::{Cell, RefCell};
use std::sync::mpsc;

use kapok::{fiber_local, spawn, yield_now};

use crate::support::on_a_hub;

thread_local! {
    static LOG: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

struct Logs(&'static str);

impl Drop for Logs {
    fn drop(&mut self) {
        // On the fiber's stack: it may wait.
        yield_now();
        LOG.with_borrow_mut(|log| log.push(self.0));
    }
}

struct MakesAnother;

impl Drop for MakesAnother {
    fn drop(&mut self) {
        LATE.with(|_| ());
    }
}

fiber_local! {
    static COUNT: Cell<u32> = Cell::new(1);
    static TWICE: u32 = COUNT.with(Cell::get) * 2;
    static SLOW: u32 = { yield_now(); 5 };
    static DROPPED: Logs = Logs("dropped");
    static EARLY: MakesAnother = MakesAnother;
    static LATE: Logs = Logs("late");
}

// Gruvi 9.
#[test]
fn locals_have_the_shortcuts_of_thread_locals() {
    kapok::fiber_local! {
        static COUNT: Cell<u32> = Cell::new(3);
        static NAMES: RefCell<Vec<&'static str>> = RefCell::new(vec!["first"]);
    }
    on_a_hub("shortcuts", || {
        COUNT.set(COUNT.get() + 1);
        assert_eq!(COUNT.replace(9), 4);
        assert_eq!((COUNT.take(), COUNT.get()), (9, 0));
        NAMES.with_borrow_mut(|names| names.push("second"));
        let other = kapok::spawn(|| NAMES.with_borrow(Vec::len));
        assert_eq!((other.join().unwrap(), NAMES.with_borrow(Vec::len)), (1, 2));
    });
}

#[test]
fn each_fiber_has_its_own() {
    on_a_hub("own", || {
        COUNT.with(|count| count.set(10));
        let fibers: Vec<_> = (0..3)
            .map(|number| {
                spawn(move || {
                    COUNT.with(|count| count.set(count.get() + number));
                    yield_now();
                    COUNT.with(Cell::get)
                })
            })
            .collect();
        let counts: Vec<_> = fibers
            .into_iter()
            .map(|fiber| fiber.join().unwrap())
            .collect();
        assert_eq!(counts, [1, 2, 3]);
        assert_eq!(COUNT.with(Cell::get), 10);
    });
}

#[test]
fn an_initialiser_may_ask_for_others_and_wait() {
    on_a_hub("initialiser", || {
        assert_eq!(spawn(|| TWICE.with(|twice| *twice)).join().unwrap(), 2);
        let both = [
            spawn(|| SLOW.with(|slow| *slow)),
            spawn(|| SLOW.with(|slow| *slow)),
        ];
        for fiber in both {
            assert_eq!(fiber.join().unwrap(), 5);
        }
    });
}

// Gruvi 9.
#[test]
fn they_are_dropped_on_the_fiber_before_it_counts_as_ended() {
    on_a_hub("dropped", || {
        spawn(|| DROPPED.with(|_| ())).join().unwrap();
        assert_eq!(LOG.take(), ["dropped"]);
        spawn(|| EARLY.with(|_| ())).join().unwrap();
        assert_eq!(LOG.take(), ["late"], "made by a destructor of another");
    });
}

#[test]
fn destructors_may_ask_for_values_when_a_thread_ends() {
    struct Asks(mpsc::Sender<u32>);

    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.send(COUNT.get()).unwrap();
        }
    }

    fiber_local! {
        static ASKS: RefCell<Option<Asks>> = RefCell::new(None);
    }

    let (sender, counts) = mpsc::channel();
    for runs_a_hub in [false, true] {
        let sender = sender.clone();
        let thread = std::thread::spawn(move || {
            if runs_a_hub {
                kapok::run(yield_now);
            }
            COUNT.set(3);
            ASKS.with_borrow_mut(|asks| asks.replace(Asks(sender)));
        });
        thread.join().unwrap();
        // They went together: it finds a new one.
        assert_eq!(counts.try_recv(), Ok(1));
    }
}
