//! How much memory this process occupies.

use std::{fs, io};

/// Returns the bytes of resident memory together with those of the page tables.
///
/// Page tables belong to the price of a stack: a million stacks spread over the address space need gigabytes of them that
/// resident memory alone does not show.
///
/// # Errors
///
/// When `/proc/self/status` cannot be read or lacks the two figures, as on systems other than Linux.
pub fn occupied_bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok(field_bytes(&status, "VmRSS:")? + field_bytes(&status, "VmPTE:")?)
}

/// Returns the most bytes of resident memory so far, together with today's page tables: the kernel keeps no highest figure of
/// those, but gives none back before the memory they stand for is unmapped.
///
/// # Errors
///
/// As those of [`occupied_bytes`].
pub fn highest_bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok(field_bytes(&status, "VmHWM:")? + field_bytes(&status, "VmPTE:")?)
}

/// Reads a line such as `VmRSS:      1234 kB`.
fn field_bytes(status: &str, field: &str) -> io::Result<u64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|value| value.trim().strip_suffix(" kB"))
        .and_then(|kibibytes| kibibytes.parse::<u64>().ok())
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| io::Error::other(format!("no {field} in /proc/self/status")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_bytes() {
        let status = "Name:\tpeers\nVmRSS:\t    1234 kB\nVmPTE:\t 8 kB\n";
        assert_eq!(field_bytes(status, "VmRSS:").unwrap(), 1234 * 1024);
        assert_eq!(field_bytes(status, "VmPTE:").unwrap(), 8 * 1024);
        assert!(field_bytes(status, "VmSwap:").is_err());
    }
}
