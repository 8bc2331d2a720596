//! Looking names up on the blocking pool, a limited number of them at once.
//!
//! A look-up is one call of `getaddrinfo`, which cannot be ended: with a name server that does not answer it takes as long as the
//! system lets it. So questions wait in a queue of their own, and at most [`LOOKUPS_MAX`] threads of the pool serve it. A question
//! whose asker has given up is taken out of the queue.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::fiber::slot::Wait;
use crate::hub::current::{self, ThreadRole};
use crate::task::{JoinError, Packet, submit};

/// Threads of the blocking pool, which has 128, that look names up: the rest is left to others when a name server is dead.
const LOOKUPS_MAX: usize = 32;

type Answer = io::Result<Vec<SocketAddr>>;

pub(super) struct Resolver {
    look_up: fn(&str, u16) -> Answer,
    queue: Mutex<Queue>,
}

struct Queue {
    threads: usize,
    questions: VecDeque<Arc<Question>>,
}

struct Question {
    host: String,
    port: u16,
    answer: Arc<Packet<Answer>>,
}

/// The system's resolver.
pub(super) static RESOLVER: Resolver = Resolver::new(getaddrinfo);

#[expect(clippy::disallowed_methods, reason = "on a pool thread")]
fn getaddrinfo(host: &str, port: u16) -> Answer {
    std::net::ToSocketAddrs::to_socket_addrs(&(host, port)).map(Iterator::collect)
}

impl Resolver {
    const fn new(look_up: fn(&str, u16) -> Answer) -> Self {
        Self {
            look_up,
            queue: Mutex::new(Queue {
                threads: 0,
                questions: VecDeque::new(),
            }),
        }
    }

    /// Waits for the answer, in a fiber or, without a hub, as a thread. On a thread of the pool it looks up right there.
    pub(super) fn resolve(&'static self, host: &str, port: u16, timeout: Duration) -> Answer {
        if current::role() == ThreadRole::BlockingPool {
            return (self.look_up)(host, port);
        }
        let too_late = || {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer for the name {host:?} within {timeout:?}"),
            )
        };
        if timeout.is_zero() {
            return Err(too_late());
        }
        let question = Arc::new(Question {
            host: host.to_owned(),
            port,
            answer: Packet::new(),
        });
        // Before it asks, so that whatever happens the question does not stay in the queue.
        let asked = Asked {
            resolver: self,
            question: &question,
        };
        self.ask(&question)?;
        let answer = question.answer.wait_timeout(Wait::Blocking, timeout);
        drop(asked);
        match answer {
            Some(Ok(answer)) => answer,
            Some(Err(JoinError::Panicked(panic))) => resume_unwind(panic.into_payload()),
            Some(Err(other)) => {
                unreachable!("a look-up returns or panics, it ends not with {other}")
            }
            None => Err(too_late()),
        }
    }

    /// Puts the question into the queue, and a thread to work if there may be one more.
    fn ask(&'static self, question: &Arc<Question>) -> io::Result<()> {
        let mut queue = self.queue();
        queue.questions.push_back(Arc::clone(question));
        if queue.threads == LOOKUPS_MAX {
            return Ok(());
        }
        queue.threads += 1;
        drop(queue);
        let submitted = submit(Box::new(|| self.work()));
        if submitted.is_err() {
            self.queue().threads -= 1;
        }
        submitted
    }

    /// Answers questions until there are none.
    fn work(&self) {
        loop {
            let mut queue = self.queue();
            let Some(question) = queue.questions.pop_front() else {
                queue.threads -= 1;
                return;
            };
            drop(queue);
            let look_up = || (self.look_up)(&question.host, question.port);
            let answer = catch_unwind(AssertUnwindSafe(look_up));
            (question.answer).complete(answer.map_err(JoinError::of_panic));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing under the lock panics half-way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its question back if nobody has taken it up.
struct Asked<'a> {
    resolver: &'a Resolver,
    question: &'a Arc<Question>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut queue = self.resolver.queue();
        (queue.questions).retain(|question| !Arc::ptr_eq(question, self.question));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::spawn;

    const LONG: Duration = Duration::from_secs(50);

    /// A name server that answers nobody until it is told to.
    struct Server {
        answers: Mutex<bool>,
        told: Condvar,
        asked: AtomicUsize,
        at_once: AtomicUsize,
        most_at_once: AtomicUsize,
    }

    static SERVER: Server = Server {
        answers: Mutex::new(false),
        told: Condvar::new(),
        asked: AtomicUsize::new(0),
        at_once: AtomicUsize::new(0),
        most_at_once: AtomicUsize::new(0),
    };
    static SLOW: Resolver = Resolver::new(ask_server);

    #[expect(clippy::disallowed_methods, reason = "on a pool thread")]
    fn ask_server(_: &str, port: u16) -> Answer {
        SERVER.asked.fetch_add(1, Ordering::SeqCst);
        let at_once = SERVER.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        SERVER.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let mut answers = SERVER.answers.lock().unwrap();
        while !*answers {
            answers = SERVER.told.wait(answers).unwrap();
        }
        drop(answers);
        SERVER.at_once.fetch_sub(1, Ordering::SeqCst);
        Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))])
    }

    #[test]
    fn a_dead_name_server_leaves_most_of_the_pool_to_others() {
        let short = Duration::from_millis(20);
        let start = Instant::now();
        let error = SLOW.resolve("plain-thread.test", 1, short).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("plain-thread.test"), "{error}");
        assert!(start.elapsed() >= short);

        let ask = |timeout| spawn(move || SLOW.resolve("fiber.test", 7, timeout));
        let given_up: Vec<_> = (0..200).map(|_| ask(short)).collect();
        for fiber in given_up {
            let error = fiber.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        let cancelled = ask(LONG);
        crate::yield_now();
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is_cancelled());
        assert!(SLOW.queue().questions.is_empty(), "nobody waits any more");
        assert_eq!(crate::unblock(|| 6 * 7).unwrap(), 42);

        let patient: Vec<_> = (0..100).map(|_| ask(LONG)).collect();
        crate::yield_now();
        *SERVER.answers.lock().unwrap() = true;
        SERVER.told.notify_all();
        for fiber in patient {
            let addresses = fiber.join().unwrap().unwrap();
            assert_eq!(addresses, [SocketAddr::from((Ipv4Addr::LOCALHOST, 7))]);
        }
        assert_eq!(SERVER.most_at_once.load(Ordering::SeqCst), LOOKUPS_MAX);
        // The first ones, which ran on unseen, and the last ones; not those that were given up in the queue.
        assert!(SERVER.asked.load(Ordering::SeqCst) <= LOOKUPS_MAX + 100);
    }
}
