//! The `select!` macro. What it waits for and how is in `sync/select/mod.rs`.

/// Waits for the first of several things, and runs what belongs to it.
///
/// Each branch reads `pattern = branch => expression`, with a comma after it that a block may go without. The branch is one of
/// - `recv(&receiver)`: a message of a [`channel`](crate::sync::channel), as `Result<T, RecvError>`. So with `&mut receiver` of a
///   [`broadcast`](crate::sync::broadcast) or a [`oneshot`](crate::sync::oneshot), `&queue` of a [`Queue`](crate::sync::Queue), and
///   `&signals` of [`Signals`](crate::signal::Signals), which gives a `Signal`;
/// - `changed(&mut receiver)`: a new value of a [`watch`](crate::sync::watch);
/// - `send(&sender, &mut message)`: takes the message out of an `Option` and sends it; `Result<(), SendError<T>>`;
/// - `ready(&object)`: a [`Waitable`](crate::sync::Waitable) is ready: a join handle's fiber has ended, an event is set;
/// - `notified(&notify)`, `acquire(&semaphore)`: takes a notification, or a permit;
/// - `readable(&socket)`, `writable(&socket)`: an operation of a socket, a pipe or any [`Descriptor`](crate::io::Descriptor) would not block.
///   What a `BufReader` over it has in its buffer [is not seen](crate::io::readable);
/// - `after(duration)`, `at(instant)`: the time has come;
/// - an `Option` of these, which is never ready if it is `None`.
///
/// With `else => expression` at the end it does not wait: that runs if no branch is ready. If several are ready the first of them is taken, so
/// put what must not starve (a stop, a timeout) first. Only the branch that is taken has an effect; a message that was not sent is
/// still in its `Option`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use kapok::sync::{Event, channel};
///
/// let (sender, receiver) = channel::unbounded();
/// let stop = Event::new();
/// sender.send(1).unwrap();
///
/// let mut sum = 0;
/// loop {
///     kapok::select! {
///         () = ready(&stop) => break,
///         message = recv(&receiver) => sum += message.unwrap(),
///         () = after(Duration::from_millis(1)) => stop.set(),
///     }
/// }
/// assert_eq!(sum, 1);
/// ```
///
/// Without waiting, and with a branch that is there only sometimes:
///
/// ```
/// use kapok::sync::{channel, select};
///
/// let (sender, receiver) = channel::unbounded();
/// sender.send(1).unwrap();
/// let take = |is_open: bool| {
///     kapok::select! {
///         message = is_open.then(|| select::recv(&receiver)) => message.ok(),
///         else => None,
///     }
/// };
/// assert_eq!([take(false), take(true), take(true)], [None, Some(1), None]);
/// ```
///
/// # Source
///
/// Go's `select`, crossbeam-channel's and tokio's `select!`.
#[macro_export]
macro_rules! select {
    ($($arms:tt)+) => { $crate::__select!([] $($arms)+) };
}

/// Takes the arms one by one: only so can `else` be told from a pattern.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    ([$(($pattern:pat, $branch:expr, $then:expr))+]) => {{
        let outcome = {
            #[allow(unused_imports, reason = "names for the branches, of which not all are used")]
            use $crate::{
                io::{readable, writable},
                sync::select::{acquire, after, at, changed, notified, ready, recv, send},
            };
            let branches = $crate::__branches!($($branch),+);
            $crate::sync::select::select(&branches)
        };
        $crate::__outcome!(outcome; $($pattern => $then),+)
    }};
    ([$(($pattern:pat, $branch:expr, $then:expr))+] else => $otherwise:expr $(,)?) => {{
        let outcome = {
            #[allow(unused_imports, reason = "names for the branches, of which not all are used")]
            use $crate::{
                io::{readable, writable},
                sync::select::{acquire, after, at, changed, notified, ready, recv, send},
            };
            let branches = $crate::__branches!($($branch),+);
            $crate::sync::select::try_select(&branches)
        };
        match outcome {
            ::core::option::Option::Some(outcome) => {
                $crate::__outcome!(outcome; $($pattern => $then),+)
            }
            ::core::option::Option::None => $otherwise,
        }
    }};
    // After a block the comma may be left out, as in a `match`.
    ([$($arms:tt)*] $pattern:pat = $branch:expr => $then:block, $($rest:tt)*) => {
        $crate::__select!([$($arms)* ($pattern, $branch, $then)] $($rest)*)
    };
    ([$($arms:tt)*] $pattern:pat = $branch:expr => $then:block $($rest:tt)*) => {
        $crate::__select!([$($arms)* ($pattern, $branch, $then)] $($rest)*)
    };
    ([$($arms:tt)*] $pattern:pat = $branch:expr => $then:expr $(, $($rest:tt)*)?) => {
        $crate::__select!([$($arms)* ($pattern, $branch, $then)] $($($rest)*)?)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __branches {
    () => { () };
    ($branch:expr $(, $rest:expr)*) => { ($branch, $crate::__branches!($($rest),*)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __outcome {
    ($outcome:expr;) => { match $outcome {} };
    ($outcome:expr; $pattern:pat => $then:expr $(, $patterns:pat => $thens:expr)*) => {
        match $outcome {
            $crate::sync::select::Either::First($pattern) => $then,
            $crate::sync::select::Either::Rest(rest) => {
                $crate::__outcome!(rest; $($patterns => $thens),*)
            }
        }
    };
}
