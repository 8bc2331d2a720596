//! How many bytes of memory this process occupies: resident memory and page tables, as Linux tells them.

/// What is occupied now.
pub(crate) fn occupied() -> f64 {
    field("VmRSS:") + field("VmPTE:")
}

/// The highest resident memory so far, with today's page tables.
pub(crate) fn peak() -> f64 {
    field("VmHWM:") + field("VmPTE:")
}

fn field(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status
        .lines()
        .find(|line| line.starts_with(name))
        .expect("Linux has the field");
    let kilobytes = line
        .split_whitespace()
        .nth(1)
        .and_then(|number| number.parse::<f64>().ok());
    kilobytes.expect("the field is a number") * 1024.0
}
