//! tokio-postgres over kapok's streams, against a PostgreSQL server of Debian's.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use interop::on_a_hub;
use kapok::block_on;
use kapok::future::Async;
use kapok::net::TcpStream;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, error::SqlState};

/// A server that ends when this is dropped, or this process is gone.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("postgres");
        // Another program may take the port in between.
        for _ in 0..5 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let mut process = Command::new(&script)
                .arg(port.to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = String::new();
            BufReader::new(process.stdout.take().unwrap())
                .read_line(&mut said)
                .unwrap();
            if said == "ready\n" {
                return Self { process, port };
            }
            process.wait().unwrap();
        }
        panic!("no PostgreSQL server starts; see above");
    }

    fn connect(port: u16) -> (Client, Connection<Async<TcpStream>, NoTlsStream>) {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut config = Config::new();
        config.user("interop").dbname("postgres");
        block_on(config.connect_raw(Async::new(stream), NoTls)).unwrap()
    }

    /// A client whose connection a fiber drives.
    fn client(port: u16) -> Client {
        let (client, connection) = Self::connect(port);
        drop(kapok::future::spawn(connection));
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[test]
fn postgres_serves_fibers() {
    let server = Server::start();
    let port = server.port;
    on_a_hub("fibers_share_a_connection", move || {
        fibers_share_a_connection(port)
    });
    on_a_hub("a_transaction_is_all_or_nothing", move || {
        a_transaction_is_all_or_nothing(port)
    });
    on_a_hub("notifications_arrive", move || notifications_arrive(port));
    on_a_hub("a_query_is_cut_off", move || a_query_is_cut_off(port));
}

fn fibers_share_a_connection(port: u16) {
    let client = Rc::new(Server::client(port));
    let fibers: Vec<_> = (0..100i32)
        .map(|number| {
            let client = Rc::clone(&client);
            kapok::spawn(move || {
                for turn in 0..5i32 {
                    let query = "SELECT $1::int4 * 1000 + $2::int4, repeat('x', 10000 + $1)";
                    let row = block_on(client.query_one(query, &[&number, &turn])).unwrap();
                    assert_eq!(row.get::<_, i32>(0), number * 1000 + turn);
                    assert_eq!(row.get::<_, &str>(1).len(), 10_000 + number as usize);
                }
            })
        })
        .collect();
    for fiber in fibers {
        fiber.join().unwrap();
    }
    // More than any buffer holds.
    let row = block_on(client.query_one("SELECT repeat('kapok', 2000000)", &[])).unwrap();
    assert_eq!(row.get::<_, &str>(0).len(), 10_000_000);
}

fn a_transaction_is_all_or_nothing(port: u16) {
    let (mut client, other) = (Server::client(port), Server::client(port));
    block_on(async {
        client
            .batch_execute("CREATE TABLE trees (name text)")
            .await?;
        let insert = "INSERT INTO trees VALUES ($1)";
        let transaction = client.transaction().await?;
        transaction.execute(insert, &[&"baobab"]).await?;
        transaction.rollback().await?;
        let transaction = client.transaction().await?;
        transaction.execute(insert, &[&"kapok"]).await?;
        assert_eq!(other.query("SELECT name FROM trees", &[]).await?.len(), 0);
        transaction.commit().await?;
        let rows = other.query("SELECT name FROM trees", &[]).await?;
        let names: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(names, ["kapok"]);
        Ok::<_, tokio_postgres::Error>(())
    })
    .unwrap();
}

fn notifications_arrive(port: u16) {
    let (listener, mut connection) = Server::connect(port);
    let (heard, listening) = (Rc::new(RefCell::new(Vec::new())), kapok::current());
    drop(kapok::spawn({
        let heard = Rc::clone(&heard);
        move || {
            while let Some(message) = block_on(poll_fn(|context| connection.poll_message(context)))
            {
                if let AsyncMessage::Notification(note) = message.unwrap() {
                    heard.borrow_mut().push(note.payload().to_owned());
                    listening.unpark();
                }
            }
        }
    }));
    block_on(listener.batch_execute("LISTEN news")).unwrap();
    let speaker = Server::client(port);
    for number in 0..3 {
        let notify = format!("NOTIFY news, 'number {number}'");
        block_on(speaker.batch_execute(&notify)).unwrap();
    }
    while heard.borrow().len() < 3 {
        kapok::park();
    }
    assert_eq!(*heard.borrow(), ["number 0", "number 1", "number 2"]);
}

fn a_query_is_cut_off(port: u16) {
    let client = Rc::new(Server::client(port));
    let sleeping = kapok::timeout(Duration::from_millis(50), || {
        block_on(client.batch_execute("SELECT pg_sleep(600)"))
    });
    assert!(matches!(sleeping, Err(kapok::TimedOut)));
    // The server does not know: what comes next on the connection waits for it, until it is told.
    let next = kapok::spawn({
        let client = Rc::clone(&client);
        move || block_on(client.query_one("SELECT 7", &[])).map(|row| row.get::<_, i32>(0))
    });
    let stream = Async::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    block_on(client.cancel_token().cancel_query_raw(stream, NoTls)).unwrap();
    assert_eq!(next.join().unwrap().unwrap(), 7);

    // The same to a query that somebody still waits for.
    let waiting = kapok::spawn({
        let client = Rc::clone(&client);
        move || block_on(client.batch_execute("SELECT pg_sleep(600)"))
    });
    let other = Server::client(port);
    let is_asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    while block_on(other.query_one(is_asleep, &[]))
        .unwrap()
        .get::<_, i64>(0)
        == 0
    {
        kapok::yield_now();
    }
    let stream = Async::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    block_on(client.cancel_token().cancel_query_raw(stream, NoTls)).unwrap();
    let error = waiting.join().unwrap().unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
}
