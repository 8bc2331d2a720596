//! What `{:?}` shows.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use kapok::sync::{LazyLock, Mutex, OnceLock, RwLock};

use crate::support::on_a_hub;

/// Ours and std's, in one line and in several.
macro_rules! assert_same {
    ($ours:expr, $std:expr) => {{
        let (ours, std) = (&$ours, &$std);
        assert_eq!(format!("{ours:?}"), format!("{std:?}"));
        assert_eq!(format!("{ours:#?}"), format!("{std:#?}"));
    }};
}

fn panics_with<G>(guard: G) {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = guard;
        resume_unwind(Box::new("the test's panic"));
    }));
    assert!(panicked.is_err());
}

#[test]
fn a_lock_shows_its_value_or_that_it_is_held() {
    on_a_hub("locks shown", || {
        let (ours, std) = (Mutex::new("value"), std::sync::Mutex::new("value"));
        assert_same!(ours, std);
        let guards = (ours.lock().unwrap(), std.lock().unwrap());
        // std's has quotes around it, as if that were the value.
        let shown = format!("{ours:?}");
        assert_eq!(shown, "Mutex { data: <locked>, poisoned: false, .. }");
        assert_same!(guards.0, guards.1);
        drop(guards);
        panics_with(ours.lock().unwrap());
        panics_with(std.lock().unwrap());
        assert!(ours.is_poisoned());
        assert_same!(ours, std);

        let (ours, std) = (RwLock::new(Some(1)), std::sync::RwLock::new(Some(1)));
        assert_same!(ours, std);
        let guards = (ours.read().unwrap(), std.read().unwrap());
        assert_same!(ours, std);
        drop(guards);
        let guards = (ours.write().unwrap(), std.write().unwrap());
        let shown = format!("{ours:?}");
        assert_eq!(shown, "RwLock { data: <locked>, poisoned: false, .. }");
        assert_same!(guards.0, guards.1);
        drop(guards);
        panics_with(ours.write().unwrap());
        panics_with(std.write().unwrap());
        assert!(ours.is_poisoned());
        assert_same!(ours, std);
    });
}

#[test]
fn what_is_made_once_shows_its_value_or_that_there_is_none_as_std_does() {
    on_a_hub("values shown", || {
        assert_same!(OnceLock::<u8>::new(), std::sync::OnceLock::<u8>::new());
        assert_same!(OnceLock::from("x"), std::sync::OnceLock::from("x"));
        let ours: LazyLock<u8> = LazyLock::default();
        let std: std::sync::LazyLock<u8> = std::sync::LazyLock::default();
        assert_same!(ours, std);
        assert_eq!((*ours, *std), (0, 0));
        assert_same!(ours, std);
    });
}
