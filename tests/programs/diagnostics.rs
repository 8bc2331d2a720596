//! Programs that are looked at while they run. `diagnostics CASE`; tests/runtime/diagnostics.rs reads what they are told.

use std::io::{self, Read};

use kapok::{Builder, Hubs, HubsConfig, diagnostics, park};

fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("quit") => quit(),
        other => panic!("no case {other:?}"),
    }
}

/// Runs until its input ends.
fn quit() -> io::Result<()> {
    diagnostics::install()?;
    diagnostics::install()?;
    let running = Hubs::new(HubsConfig::new().name("worker")).start_each(
        ["first", "second"],
        |_, name| {
            drop(Builder::new().name(name).spawn(park)?);
            Ok(())
        },
    )?;
    println!("ready");
    kapok::io::stdin().lock().read_to_end(&mut Vec::new())?;
    drop(running);
    println!("went on");
    Ok(())
}
