//! What these tests share: certificates, and streams that are counted.

use std::io::{self, IoSlice, Read, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kapok::JoinHandle;
use kapok::net::{TcpListener, TcpStream};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls::{StreamOwned, SupportedProtocolVersion};

/// For what must end, and does so at once unless something is wrong.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Runs `test` on a hub, and no other test of this binary meanwhile: descriptors are counted in the whole process.
pub(crate) fn alone(name: &'static str, test: impl FnOnce() + Send + 'static) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    interop::on_a_hub(name, test);
}

/// Joins a fiber that must end soon.
pub(crate) fn join_soon<T: 'static>(name: &str, fiber: JoinHandle<T>) -> T {
    let joined = kapok::timeout(LONG, || fiber.join());
    joined
        .unwrap_or_else(|_| panic!("{name} hangs"))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// How both ends of a TLS connection are set up.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server: Arc<ServerConfig>,
}

/// A TLS connection's client end.
pub(crate) type TlsClient<S> = StreamOwned<ClientConnection, S>;
/// A TLS connection's server end.
pub(crate) type TlsServer<S> = StreamOwned<ServerConnection, S>;

impl Tls {
    /// With a new certificate, which the client trusts.
    pub(crate) fn new(version: &'static SupportedProtocolVersion) -> Self {
        let names = vec!["localhost".to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let certificate = certified.cert.der().clone();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self {
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }

    pub(crate) fn client_connection(&self) -> ClientConnection {
        let name = ServerName::try_from("localhost").unwrap();
        ClientConnection::new(Arc::clone(&self.client), name).unwrap()
    }

    pub(crate) fn server_connection(&self) -> ServerConnection {
        ServerConnection::new(Arc::clone(&self.server)).unwrap()
    }

    /// The client's end, after its handshake.
    pub(crate) fn connect<S: Read + Write>(&self, stream: S) -> io::Result<TlsClient<S>> {
        let mut tls = StreamOwned::new(self.client_connection(), stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(tls)
    }

    /// The server's end, after its handshake.
    pub(crate) fn accept<S: Read + Write>(&self, stream: S) -> io::Result<TlsServer<S>> {
        let mut tls = StreamOwned::new(self.server_connection(), stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(tls)
    }
}

/// A connection whose end is counted.
pub(crate) struct Counted {
    stream: TcpStream,
    _alive: Rc<()>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Makes streams, and says whether any is left.
pub(crate) struct Count {
    alive: Rc<()>,
    tls: Tls,
    descriptors: Vec<PathBuf>,
}

impl Count {
    /// Counts from here on: streams, descriptors, and the connections of `tls`.
    pub(crate) fn new(tls: &Tls) -> Self {
        Self {
            alive: Rc::new(()),
            tls: tls.clone(),
            descriptors: open_descriptors(),
        }
    }

    /// Both ends of a connection.
    pub(crate) fn pair(&self) -> (Counted, Counted) {
        let (client, server) = connected();
        let counted = |stream| Counted {
            stream,
            _alive: Rc::clone(&self.alive),
        };
        (counted(client), counted(server))
    }

    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(Rc::strong_count(&self.alive) - 1, 0, "streams are left");
        // Two are the test's and this one's.
        let connections = |count: usize| count - 2;
        let clients = connections(Arc::strong_count(&self.tls.client));
        let servers = connections(Arc::strong_count(&self.tls.server));
        assert_eq!((clients, servers), (0, 0), "TLS connections are left");
        let (before, now) = (&self.descriptors, open_descriptors());
        assert_eq!(before.len(), now.len(), "descriptors: {before:?}, {now:?}");
    }
}

/// Both ends of a connection over loopback.
pub(crate) fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        // Or each exchange waits for an acknowledgement, 40 ms.
        stream.set_nodelay(true).unwrap();
    }
    (client, server)
}

/// What each is, such as `socket:[1234]`; without the hub's own, which it makes when it first needs them.
fn open_descriptors() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    // The folder's own descriptor is closed again.
    let links = entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    links
        .filter(|link| !link.to_string_lossy().starts_with("anon_inode:"))
        .collect()
}
