//! Results in the order of what they were made from.

use std::collections::VecDeque;

use super::{Job, PoolClosed};
use crate::task::JoinError;

/// Submits items ahead of the results that are asked for: twice as many as run at a time, so that one slow job holds nobody up.
pub(super) struct Map<I, S, T> {
    items: I,
    submit: S,
    ahead: usize,
    jobs: VecDeque<Job<T>>,
    /// The pool takes no more jobs: an error is due after the results that are left.
    was_refused: bool,
    has_failed: bool,
}

impl<I, S, T> Map<I, S, T> {
    pub(super) fn new(items: I, size: usize, submit: S) -> Self {
        Self {
            items,
            submit,
            ahead: size.saturating_mul(2),
            jobs: VecDeque::new(),
            was_refused: false,
            has_failed: false,
        }
    }

    fn cancel(&mut self) {
        self.jobs.drain(..).for_each(|job| {
            job.cancel();
        });
    }
}

impl<I, S, T> Iterator for Map<I, S, T>
where
    I: Iterator,
    S: FnMut(I::Item) -> Result<Job<T>, PoolClosed>,
{
    type Item = Result<T, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.jobs.len() < self.ahead && !self.was_refused && !self.has_failed {
            let Some(item) = self.items.next() else {
                break;
            };
            match (self.submit)(item) {
                Ok(job) => self.jobs.push_back(job),
                Err(PoolClosed) => self.was_refused = true,
            }
        }
        // It stays among those that are cancelled if this wait is unwound.
        let result = match self.jobs.front_mut() {
            Some(job) => job.result(),
            None if self.was_refused && !self.has_failed => Err(JoinError::Cancelled),
            None => return None,
        };
        self.jobs.pop_front();
        if result.is_err() {
            self.has_failed = true;
            self.cancel();
        }
        Some(result)
    }
}

impl<I, S, T> Drop for Map<I, S, T> {
    fn drop(&mut self) {
        self.cancel();
    }
}
