//! CPU time of a process, as Linux tells it: what a figure of cost is made of.

use std::time::Duration;

/// CPU time that all threads of this process have used, to the clock tick (10 ms); zero where there is no `/proc`.
pub fn own() -> Duration {
    of_stat(&std::fs::read_to_string("/proc/self/stat").unwrap_or_default())
}

/// As [`own`], of the calling thread alone.
pub fn of_thread() -> Duration {
    of_stat(&std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default())
}

/// User and system time in a line of `/proc/PID/stat`: the 14th and 15th field, counted after the command name, which may hold
/// anything. Zero when they are not there.
pub fn of_stat(stat: &str) -> Duration {
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a line of /proc/PID/stat of a process whose name holds spaces and brackets.
    /// Guarantees: user and system time are found behind the name.
    #[test]
    fn cpu_time_is_read_behind_the_name() {
        let stat = "42 (day two) (x)) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 9 0 1 2 3";
        assert_eq!(
            of_stat(stat) * u32::try_from(rustix::param::clock_ticks_per_second()).unwrap(),
            Duration::from_secs(400)
        );
        assert_eq!(of_stat("nothing"), Duration::ZERO);
    }
}
