//! Spawning with a name or another stack size.

use std::io;
use std::sync::Arc;

use super::spawn::spawn_in;
use super::{JoinHandle, Scope, ScopedJoinHandle};
use crate::hub::Hub;

/// Makes fibers with a name, a stack size, or both, as [`std::thread::Builder`] makes threads.
///
/// # Examples
///
/// ```
/// let fiber = kapok::Builder::new()
///     .name("parser")
///     .stack_size(256 * 1024)
///     .spawn(|| kapok::current().name().map(str::to_owned))?;
/// assert_eq!(fiber.join().unwrap().as_deref(), Some("parser"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<Arc<str>>,
    stack_bytes: Option<usize>,
}

impl Builder {
    /// A builder for an unnamed fiber with the default stack.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the fiber, for reports and messages. Default is none. Costs two small allocations a fiber.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Gives the fiber a stack of at least `bytes`, its guard page included. Default is 128 KiB.
    ///
    /// Rounded up to a multiple of 64 KiB. It is address space: memory is used page by page as the stack grows. A hub knows
    /// up to 255 sizes, those of an earlier hub included whose memory it uses again.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_bytes = Some(bytes);
        self
    }

    /// Spawns the fiber on this thread's hub, as [`spawn`](crate::spawn()) does.
    ///
    /// # Errors
    ///
    /// If the system has no memory or guard pages for another stack, or gives this thread no hub.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let hub = Hub::try_make_for_this_thread()?;
        let handle = spawn_in(hub, self.stack_class(hub)?, f)?;
        if let Some(name) = self.name {
            handle.set_name(name);
        }
        Ok(handle)
    }

    /// Spawns the fiber in a scope, as [`Scope::spawn`] does.
    ///
    /// # Errors
    ///
    /// As [`Self::spawn`].
    ///
    /// # Examples
    ///
    /// ```
    /// let words = vec!["one".to_owned(), "two".to_owned()];
    /// kapok::scope(|scope| -> std::io::Result<()> {
    ///     let builder = kapok::Builder::new().name("counter");
    ///     let fiber = builder.spawn_scoped(scope, || words.len())?;
    ///     assert_eq!(fiber.fiber().name(), Some("counter"));
    ///     assert_eq!(fiber.join().unwrap(), 2);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        let hub = Hub::try_make_for_this_thread()?;
        let handle = scope.try_spawn(self.stack_class(hub)?, f)?;
        if let Some(name) = self.name {
            handle.inner().set_name(name);
        }
        Ok(handle)
    }

    fn stack_class(&self, hub: &Hub) -> io::Result<u8> {
        match self.stack_bytes {
            Some(bytes) => hub.stacks.class_for(bytes),
            None => Ok(0),
        }
    }
}
