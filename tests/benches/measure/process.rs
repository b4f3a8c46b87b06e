//! What a bench measures of a process: CPU as the kernel accounts it, and memory.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn stat_fields(pid: &str, fields: [usize; 2]) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("procfs");
    let after = stat.rsplit_once(") ").expect("the command's name").1;
    let all: Vec<&str> = after.split(' ').collect();
    let ticks = fields.map(|i| all[i].parse::<u64>().expect("a number"));
    ticks.iter().sum::<u64>() as f64 / 100.0
}

/// CPU seconds of all children that were waited for (fields 16 and 17 of `/proc/self/stat`, in clock ticks of a
/// hundredth of a second).
fn children_cpu() -> f64 {
    stat_fields("self", [13, 14])
}

/// CPU seconds of this process so far.
#[allow(dead_code, reason = "not every bench measures itself")]
pub(crate) fn own_cpu() -> f64 {
    stat_fields("self", [11, 12])
}

/// CPU seconds of the children of some work.
pub(crate) fn cpu_of(run: impl FnOnce()) -> f64 {
    let before = children_cpu();
    run();
    children_cpu() - before
}

/// The most memory that a process ever held, in bytes; nothing of one that is over.
pub(crate) fn peak(pid: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Runs a command to its end and tells the most memory that was seen in it, in bytes: looked at every few
/// milliseconds.
#[allow(dead_code, reason = "not every bench measures commands")]
pub(crate) fn peak_of(command: &mut Command) -> u64 {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child: Child = quiet.spawn().expect("it starts");
    let pid = child.id().to_string();
    let mut most = 0;
    while child.try_wait().expect("it can be asked").is_none() {
        most = most.max(peak(&pid).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(3));
    }
    most
}

/// Notes a bound that does not hold.
pub(crate) fn check(failures: &mut Vec<String>, what: &str, got: f64, most: f64) {
    if got > most {
        failures.push(format!("{what}: {got} is more than {most}"));
    }
}
