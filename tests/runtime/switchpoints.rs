//! The guard: what it says, when it speaks, and whose it is.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use kapok::net::{TcpListener, TcpStream};
use kapok::{NoSwitchGuard, assert_no_switchpoints, sleep, spawn, yield_now};

use crate::support::on_a_hub;

/// The message of the panic that `section` ends with.
fn message(section: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(section)).expect_err("it must panic");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[kapok::switchpoint(wakes = "nothing, it never waits", cancel = "nothing is left")]
fn marked() -> u8 {
    7
}

#[test]
fn both_places_are_named() {
    on_a_hub("places", || {
        let told = message(|| assert_no_switchpoints(|| sleep(Duration::ZERO)));
        let line = line!() - 1;
        assert!(told.contains("`kapok_runtime::time::sleep`"), "{told}");
        let place = format!("{}:{line}:", file!());
        assert_eq!(
            told.matches(&place).count(),
            2,
            "the call's and the guard's place: {told}"
        );
    });
}

#[test]
fn a_marked_function_is_told_by_its_name_even_if_it_would_not_wait() {
    on_a_hub("marked", || {
        assert_eq!(marked(), 7);
        let told = message(|| assert_no_switchpoints(|| assert_eq!(marked(), 7)));
        assert!(told.contains("switchpoints::marked`"), "{told}");
    });
}

#[test]
fn trait_methods_are_switchpoints_too() {
    on_a_hub("traits", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let told = message(|| assert_no_switchpoints(|| drop(stream.read(&mut [0]))));
        assert!(told.contains("::read`") && told.contains(file!()), "{told}");
        let reader: &mut dyn Read = &mut stream;
        let told = message(|| assert_no_switchpoints(|| drop(reader.read(&mut [0]))));
        assert!(told.contains("::read`"), "{told}");
        let told = message(|| assert_no_switchpoints(|| drop(listener.accept())));
        assert!(told.contains("accept`"), "{told}");
    });
}

#[test]
fn guards_nest_and_end_by_unwinding() {
    on_a_hub("nest", || {
        let outer = NoSwitchGuard::new();
        let inner = NoSwitchGuard::new();
        drop(outer);
        assert!(message(yield_now).contains("must not switch"));
        drop(inner);
        yield_now();
        let unwound =
            catch_unwind(|| assert_no_switchpoints(|| std::panic::resume_unwind(Box::new(()))));
        assert!(unwound.is_err());
        yield_now();
    });
}

#[test]
fn a_guard_binds_its_own_fiber_alone() {
    on_a_hub("per fiber", || {
        // Held over a switch: the guard is made by one fiber while the others run on.
        let guard = Rc::new(std::cell::RefCell::new(None));
        let holder = spawn({
            let guard = Rc::clone(&guard);
            move || {
                *guard.borrow_mut() = Some(NoSwitchGuard::new());
                message(yield_now)
            }
        });
        let other = spawn(|| {
            yield_now();
            1
        });
        assert_eq!(other.join().unwrap(), 1);
        assert!(holder.join().unwrap().contains("must not switch"));
        // Dropped by another fiber, after its own has ended.
        guard.borrow_mut().take();
        yield_now();
    });
}

#[test]
fn a_thread_without_a_hub_is_guarded_and_gets_none() {
    let _watchdog = crate::support::Watchdog::new("bare");
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    std::thread::spawn(move || {
        let before = descriptors();
        let told = message(|| assert_no_switchpoints(|| assert_eq!(marked(), 7)));
        assert!(told.contains("marked`"), "{told}");
        assert_eq!(marked(), 7);
        // Other tests open some meanwhile, but a hub here would be the thread's own: it would show as a running fiber.
        assert!(
            kapok::current().id().is_none(),
            "made a hub: {before} descriptors before, {} after",
            descriptors()
        );
    })
    .join()
    .unwrap();
}

#[test]
fn a_hub_made_under_a_guard_takes_it_over() {
    let _watchdog = crate::support::Watchdog::new("takeover");
    std::thread::spawn(|| {
        let guard = NoSwitchGuard::new();
        let fiber = spawn(|| 5);
        assert!(message(yield_now).contains("must not switch"));
        drop(guard);
        assert_eq!(fiber.join().unwrap(), 5);
    })
    .join()
    .unwrap();
}
