//! The server side: a fiber for each connection.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::http::config::Config;
use crate::net::{Connection, Listener, TcpListener, ToSocketAddrs};
use crate::{HubHandle, Hubs, HubsError, Running, switchpoint};

pub use connection::{ConnectionEnd, Handler, serve_connection};

mod connection;
mod input;

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
#[derive(Debug, Clone, Default)]
pub struct Server {
    config: Config,
}

impl Server {
    /// A server with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A server with limits of its own.
    #[must_use]
    pub fn with_config(config: Config) -> Self {
        Self { config }
    }

    /// Serves connections on this thread's hub, each in a fiber of its own, until the listener is closed or the hub stops.
    ///
    /// Connections that are open then are not waited for. The handler is shared by all fibers of the hub and need not be
    /// `Send`. When it panics its connection ends, and no other. While there is no stack for one more fiber, new connections are
    /// closed without an answer, ten a second at most.
    ///
    /// # Errors
    ///
    /// If the listener is broken. What goes wrong with one connection ends that connection alone.
    #[switchpoint(
        wakes = "a connection, a close, or the hub's stop",
        cancel = "open connections are served on"
    )]
    pub fn serve(
        &self,
        listener: impl Listener,
        handler: impl Handler + 'static,
    ) -> io::Result<()> {
        let (config, handler) = (Rc::new(self.config.clone()), Rc::new(handler));
        loop {
            let connection = match listener.accept() {
                Ok(connection) => connection,
                Err(error) if is_end(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            let (config, handler) = (Rc::clone(&config), Rc::clone(&handler));
            let serve = move || serve_one(connection, &config, &*handler);
            if crate::Builder::new().spawn(serve).map(drop).is_err() {
                // No stack for one more: this connection was dropped with its closure. Others may end meanwhile.
                crate::sleep(RETRY_TIME);
            }
        }
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
        let listeners = Mutex::new(listeners);
        let running = hubs.start(move |_| {
            let listener = listeners
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let listener = listener.ok_or_else(|| io::Error::other("more hubs than listeners"))?;
            self.serve(listener, make())
        })?;
        Ok(RunningServer { running, address })
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

    /// Stops accepting. Connections have `grace` to end by themselves and are cut then. Returns at once.
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

fn serve_one(connection: impl Connection, config: &Config, handler: &impl Handler) {
    connection.limit_read(Some(config.idle_timeout));
    connection.limit_write(Some(config.write_timeout));
    let end = serve_connection(connection.shared(), config, handler, rough_time);
    // What the peer does wrong, and that it goes away, concerns this connection alone.
    if end.is_ok_and(|end| end.must_linger()) {
        linger(&connection);
    }
}

/// The time to a few milliseconds, which is enough for a `Date` and costs a fifth of the precise one.
#[cfg(target_os = "linux")]
fn rough_time() -> SystemTime {
    use rustix::time::{ClockId, clock_gettime};
    let now = Duration::try_from(clock_gettime(ClockId::RealtimeCoarse));
    SystemTime::UNIX_EPOCH + now.unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn rough_time() -> SystemTime {
    SystemTime::now()
}

/// Reads and discards what the peer still sends: closing a socket with unread input resets the connection, and the peer would
/// lose the last answer.
fn linger(connection: &impl Connection) {
    if connection.shutdown(Shutdown::Write).is_err() {
        return;
    }
    connection.set_read_deadline(Some(Instant::now() + LINGER_TIME));
    let mut discarded = 0;
    let mut buffer = [0; 2048];
    while let Ok(count @ 1..) = connection.shared().read(&mut buffer) {
        discarded += count;
        if discarded > LINGER_BYTES {
            break;
        }
    }
}

/// How long and how much a peer may go on sending after the last answer.
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;
