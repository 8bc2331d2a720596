//! The command line that the servers among the examples share: `[PORT|ADDRESS] [--hubs N]`.

use std::net::SocketAddr;

pub(crate) struct Arguments {
    pub(crate) address: SocketAddr,
    /// None for one a core.
    pub(crate) hubs: Option<usize>,
}

pub(crate) fn parse(default_address: &str) -> Result<Arguments, String> {
    parse_from(default_address, std::env::args().skip(1))
}

pub(crate) fn parse_from(
    default_address: &str,
    mut arguments: impl Iterator<Item = String>,
) -> Result<Arguments, String> {
    const USAGE: &str = "usage: [PORT|IP:PORT] [--hubs N]";
    let mut parsed = Arguments {
        address: default_address.parse().map_err(|_| USAGE)?,
        hubs: None,
    };
    while let Some(argument) = arguments.next() {
        if argument == "--hubs" {
            let count = arguments
                .next()
                .and_then(|count| count.parse().ok())
                .filter(|&count| count > 0);
            parsed.hubs =
                Some(count.ok_or_else(|| format!("--hubs wants a number above 0; {USAGE}"))?);
        } else if let Ok(port) = argument.parse() {
            parsed.address.set_port(port);
        } else {
            parsed.address = argument
                .parse()
                .map_err(|_| format!("{argument:?} is no port and no address; {USAGE}"))?;
        }
    }
    Ok(parsed)
}
