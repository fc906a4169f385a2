//! Writes the Prometheus text format. The whole of what we need of it is names, labels and numbers.

use std::fmt::{Display, Write};

use daytwo_query::Latencies;

/// Text under construction: a family, then its samples.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
    family: &'static str,
}

impl Exposition {
    /// Starts a family of values that only grow.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) {
        self.family(name, "counter", help);
    }

    /// Starts a family of values that come and go.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) {
        self.family(name, "gauge", help);
    }

    /// A family of times, in seconds.
    pub(super) fn histogram(&mut self, name: &str, help: &str, times: &Latencies) {
        self.append(format_args!("# HELP {name} {help}\n# TYPE {name} histogram\n"));
        for (bound, count) in times.within() {
            self.append(format_args!("{name}_bucket{{le=\"{}\"}} {count}\n", bound.as_secs_f64()));
        }
        self.append(format_args!("{name}_bucket{{le=\"+Inf\"}} {}\n", times.count));
        self.append(format_args!("{name}_sum {}\n{name}_count {}\n", seconds(times.ns_total), times.count));
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        self.append(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Adds a value to the current family.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.family);
        for (index, (name, text)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            self.append(format_args!("{opening}{name}=\"{}\"", escaped(text)));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.append(format_args!(" {value}\n"));
    }

    /// The finished text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn append(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        self.text.write_fmt(arguments).unwrap_or_default();
    }
}

/// Nanoseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "shown, not computed with; 2^53 ns are 104 days")]
pub(super) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a family without labels and one whose label holds every character that must be escaped.
    /// Guarantees: the text is what the format's specification asks for, so that no span attribute can forge a line.
    #[test]
    fn writes_the_text_format() {
        let mut out = Exposition::default();
        out.counter("spans_total", "Spans.");
        out.sample(&[], 7);
        out.gauge("state", "State.");
        out.sample(&[("a", "x\\y\"z\n"), ("b", "")], 0.5);
        let expected = "# HELP spans_total Spans.\n# TYPE spans_total counter\nspans_total 7\n\
                        # HELP state State.\n# TYPE state gauge\nstate{a=\"x\\\\y\\\"z\\n\",b=\"\"} 0.5\n";
        assert_eq!(out.finish(), expected);
    }
}
