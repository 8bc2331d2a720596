//! The server side: a fiber for each connection.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::http::config::Config;
use crate::http::error::{ConnectionEnd, ServeError};
use crate::http::wire::HeadCache;
use crate::net::{Connection, Listener, TcpListener, ToSocketAddrs};
use crate::{HubHandle, Hubs, HubsError, Running, is_cancel, switchpoint};

use link::{AnyConnection, Link};
use open::{Open, OpenConnections};

pub use handler::Handler;
pub use observer::{AccessLog, Answered, Observer};
pub use reader::BodyReader;
pub use upgraded::Upgraded;
pub use writer::BodyWriter;

mod body_state;
mod connection;
mod handler;
pub(super) mod incoming;
mod input;
mod link;
mod observer;
mod open;
mod output;
pub(super) mod reader;
#[cfg(test)]
pub(crate) mod testing;
pub(super) mod upgraded;
pub(super) mod writer;

/// Serves one connection until it ends.
///
/// Reads into one buffer, answers every request in it, and writes the answers with one call; earlier when they reach 64 KiB
/// or [`Config::pipelined_max`]. In steady state nothing is allocated except by the handler. Before the stream is dropped what the
/// peer still sends is read and thrown away for a bounded time, so that it gets the last answer.
///
/// # Errors
///
/// - [`ServeError::Read`]: reading failed. All requests read before were answered.
/// - [`ServeError::Write`]: writing failed. The handler ran for requests whose answers were lost.
/// - [`ServeError::Body`], [`ServeError::Unfinished`]: a response broke off.
///
/// After the last three the stream was [aborted](Connection::abort).
///
/// # Examples
///
/// ```no_run
/// use kapok::http::{Config, Request, serve_connection};
/// use kapok::net::TcpListener;
///
/// let (stream, _) = TcpListener::bind("127.0.0.1:8080")?.accept()?;
/// let app = |_: &mut Request<'_>| "Hello, World!";
/// serve_connection(stream, &Config::new(), &app)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[switchpoint(
    wakes = "the end of the connection",
    cancel = "the connection is dropped"
)]
pub fn serve_connection<C, H>(
    connection: C,
    config: &Config,
    handler: &H,
) -> Result<ConnectionEnd, ServeError>
where
    C: Connection,
    H: Handler + ?Sized,
{
    let open: Rc<Open<dyn AnyConnection>> = Rc::new(Open::new(connection));
    let link = Link {
        stream: &open.stream,
        peer: None,
        config,
        observer: None,
        is_stopping: &Cell::new(false),
        heads: &RefCell::new(HeadCache::new()),
        clock: link::rough_time,
    };
    connection::serve(Rc::clone(&open), link, handler)
}

/// An HTTP/1.1 server.
///
/// # Examples
///
/// A server on every core, until the process ends:
///
/// ```no_run
/// use kapok::Hubs;
/// use kapok::http::{Request, Response, Server};
///
/// fn app(request: &mut Request<'_>) -> Response {
///     match request.path() {
///         "/" => Response::text("Hello, World!"),
///         _ => Response::not_found(),
///     }
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let server = Server::new().start(Hubs::default(), "127.0.0.1:8080", || app)?;
///     Ok(server.join()?)
/// }
/// ```
#[derive(Clone)]
pub struct Server {
    config: Config,
    connections_max: usize,
    /// The runtime's default if there is none.
    stack_size: Option<usize>,
    stop_timeout: Duration,
    observer: Option<Arc<dyn Observer>>,
}

impl Server {
    /// A server with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self {
            config: Config::new(),
            connections_max: 65_536,
            stack_size: None,
            stop_timeout: Duration::from_secs(10),
            observer: None,
        }
    }

    /// Sets the limits of a connection.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Limits how many connections a hub serves at once; others wait in the system's queue until one ends.
    ///
    /// Default is 65,536 a hub; at least 1. Each costs a fiber and its buffers, of which an idle one keeps 4 KiB as a rule and some
    /// 50 KiB at most.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.connections_max = connections.max(1);
        self
    }

    /// Sets the size of the stack that the handler runs on, in bytes of address space; memory is used as far as the stack was used.
    ///
    /// Default and range are those of [`Builder::stack_size`](crate::Builder::stack_size). A handler that overflows its stack ends the
    /// process with a message: recursion that a client controls, as in a parser, needs a limit or a larger stack.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Limits how long [`serve`](Self::serve) waits for open requests when its listener was closed; they are cut then.
    ///
    /// Default is 10 s. When hubs stop the grace of that stop counts.
    #[must_use]
    pub fn stop_timeout(mut self, timeout: Duration) -> Self {
        self.stop_timeout = timeout;
        self
    }

    /// Sets who is told of connections and answers. Default is nobody.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Serves connections on this thread's hub, each in a fiber of its own, until the listener is closed or the hub stops.
    ///
    /// Then connections that wait for a request are ended, the others end with the answer they are at, and when all have ended, or
    /// after [`stop_timeout`](Self::stop_timeout), this returns. The handler is shared by all fibers of the hub and need not be
    /// `Send`. While there is no stack for one more fiber, new connections are closed without an answer, ten a second at most.
    ///
    /// # Errors
    ///
    /// If the listener is broken. What goes wrong with one connection ends that connection alone; an [`Observer`] is told.
    #[switchpoint(
        wakes = "a connection, a close, or the hub's stop",
        cancel = "open connections are served on"
    )]
    pub fn serve(
        &self,
        listener: impl Listener,
        handler: impl Handler + 'static,
    ) -> io::Result<()> {
        let shared = Rc::new(Shared {
            server: self.clone(),
            handler,
            open: OpenConnections::default(),
            heads: RefCell::new(HeadCache::new()),
        });
        let result = loop {
            let has_ended = || listener.has_ended();
            (shared.open).wait_until_below(self.connections_max, has_ended);
            let connection = match listener.accept() {
                Ok(connection) => connection,
                Err(error) if is_end(&error) => break Ok(is_stop(&error)),
                Err(error) => break Err(error),
            };
            // Here and not in the fiber, which begins later: it counts from now on.
            let entered = Entered::new(Rc::clone(&shared), Open::new(connection));
            let serve = move || entered.serve();
            let mut builder = crate::Builder::new();
            if let Some(bytes) = self.stack_size {
                builder = builder.stack_size(bytes);
            }
            if builder.spawn(serve).map(drop).is_err() {
                // No stack for one more: this connection was dropped with its closure. Others may end meanwhile.
                crate::sleep(RETRY_TIME);
            }
        };
        shared.open.stop();
        let timeout = match result {
            // The hub ends what is left when its grace is over.
            Ok(true) => Duration::MAX,
            _ => self.stop_timeout,
        };
        if !shared.open.wait_until_empty(timeout) {
            shared.open.abort();
        }
        result.map(drop)
    }

    /// Starts hubs that serve `address`; the kernel spreads the connections over them. `make` makes each hub's handler, on that
    /// hub: what it holds need not be `Send`.
    ///
    /// # Errors
    ///
    /// If the address is wrong or in use, or the system refuses threads or descriptors.
    #[switchpoint(
        wakes = "the resolver's answer, if the address is a name",
        cancel = "nothing is started"
    )]
    pub fn start<H, M>(
        self,
        hubs: Hubs,
        address: impl ToSocketAddrs,
        make: M,
    ) -> io::Result<RunningServer>
    where
        H: Handler + 'static,
        M: Fn() -> H + Send + Sync + 'static,
    {
        let listeners = TcpListener::bind_shared(address, hubs.count())?;
        let address = listeners[0].local_addr()?;
        let running =
            hubs.start_each(listeners, move |_, listener| self.serve(listener, make()))?;
        Ok(RunningServer { running, address })
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Server")
            .field("config", &self.config)
            .field("connections_max", &self.connections_max)
            .field("stop_timeout", &self.stop_timeout)
            .finish_non_exhaustive()
    }
}

/// A connection that is served or about to be, and counts as open until this is dropped.
struct Entered<H> {
    shared: Rc<Shared<H>>,
    connection: Rc<Open<dyn AnyConnection>>,
}

impl<H: Handler> Entered<H> {
    fn new(shared: Rc<Shared<H>>, connection: Open<impl Connection>) -> Self {
        let connection: Rc<Open<dyn AnyConnection>> = Rc::new(connection);
        shared.open.enter(&connection);
        Self { shared, connection }
    }

    fn serve(&self) {
        self.shared.serve(&self.connection);
    }
}

impl<H> Drop for Entered<H> {
    fn drop(&mut self) {
        self.shared.open.leave(&self.connection);
    }
}

/// What the fibers of a server share on one hub.
struct Shared<H> {
    server: Server,
    handler: H,
    open: OpenConnections,
    heads: RefCell<HeadCache>,
}

impl<H: Handler> Shared<H> {
    fn serve(&self, open: &Rc<Open<dyn AnyConnection>>) {
        let observer = self.server.observer.as_deref();
        let link = Link {
            stream: &open.stream,
            // Afterwards the system does not know it any more.
            peer: observer.and_then(|_| open.stream.peer()),
            config: &self.server.config,
            observer,
            is_stopping: &self.open.is_stopping,
            heads: &self.heads,
            clock: link::rough_time,
        };
        let Some(observer) = observer else {
            // What the peer does wrong, and that it goes away, concerns this connection alone.
            let _ = connection::serve(Rc::clone(open), link, &self.handler);
            return;
        };
        let peer = link.peer;
        observer.opened(peer);
        let serve = || connection::serve(Rc::clone(open), link, &self.handler);
        match catch_unwind(AssertUnwindSafe(serve)) {
            Ok(end) => observer.closed(peer, &end),
            // By a cancel, or by the protocol that the connection went on with.
            Err(payload) => {
                let end = match is_cancel(&*payload) {
                    true => ConnectionEnd::Cut,
                    false => ConnectionEnd::Panicked,
                };
                observer.closed(peer, &Ok(end));
                resume_unwind(payload);
            }
        }
    }
}

/// A server that runs on hubs of its own. Dropping it leaves it running.
#[derive(Debug)]
#[must_use = "without it the server can be neither stopped nor joined"]
pub struct RunningServer {
    running: Running,
    address: SocketAddr,
}

impl RunningServer {
    /// The address it serves, with the port that the system chose if it was 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The hubs, to spawn on.
    #[must_use]
    pub fn hubs(&self) -> Vec<HubHandle> {
        self.running.hubs()
    }

    /// What [`select!`](crate::select!) waits for: `ready(server.running())` when all hubs have ended.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Stops accepting. Connections that wait for a request are ended, the others have `grace` to answer the one they have and are cut
    /// then. Returns at once.
    pub fn stop(&self, grace: Duration) {
        self.running.stop(grace);
    }

    /// Waits until all hubs have ended.
    ///
    /// # Errors
    ///
    /// The first thing that went wrong on a hub.
    #[switchpoint(wakes = "the last hub's end", cancel = "the server runs on")]
    pub fn join(self) -> Result<(), HubsError> {
        self.running.join()
    }
}

/// How long to wait for a stack.
const RETRY_TIME: Duration = Duration::from_millis(100);

/// The listener was closed or the hub stops: no error of the server's.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotConnected | io::ErrorKind::ConnectionAborted
    )
}

/// Of the two the hub's stop.
fn is_stop(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
}
