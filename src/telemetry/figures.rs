//! Series of what single apps and dynos did, written when the metrics are asked for.
//!
//! Invariants: who asks bounds how many there are; each family stands together, with its help text
//! and type, as Prometheus' text format wants it; labels are names that were checked when they were
//! pushed, and so need no escape.

use std::fmt::{Display, Write};

/// Upper bounds of the buckets, in seconds, as far as there is something to be told.
pub const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// How long something took, over all that it was counted for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Took {
    /// How many took so long or less, for each bound.
    pub within: [u64; SECONDS.len()],
    /// How many there were.
    pub count: u64,
    /// All of them together, in seconds.
    pub sum_s: f64,
}

/// A family: what is said of it, and the lines that it has so far.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    lines: String,
}

impl Family {
    fn line(&mut self, suffix: &str, labels: &str, value: impl Display) {
        writeln!(self.lines, "{}{suffix}{{{labels}}} {value}", self.name)
            .expect("a String takes all");
    }

    fn took(&mut self, labels: &str, took: &Took) {
        for (bound, count) in SECONDS.iter().zip(took.within) {
            self.line("_bucket", &format!("{labels},le=\"{bound}\""), count);
        }
        self.line("_bucket", &format!("{labels},le=\"+Inf\""), took.count);
        self.line("_sum", labels, took.sum_s);
        self.line("_count", labels, took.count);
    }
}

macro_rules! families {
    ($(#[doc = $help:literal] $field:ident: $kind:literal = $name:literal;)*) => {
        /// The families, each with the lines that it has so far.
        #[derive(Debug)]
        pub struct Families { $(#[doc = $help] $field: Family,)* }

        impl Default for Families {
            fn default() -> Self {
                Families { $($field: Family {
                    name: $name,
                    help: $help,
                    kind: $kind,
                    lines: String::new(),
                },)* }
            }
        }

        impl Families {
            /// The whole text; nothing of a family without series.
            pub fn text(self) -> String {
                let mut text = String::new();
                for Family { name, help, kind, lines } in [$(self.$field),*] {
                    if !lines.is_empty() {
                        let help = help.trim();
                        text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
                    }
                }
                text
            }
        }
    };
}

families! {
    /// Exchanges of an app that are in flight.
    app_in_flight: "gauge" = "hostler_app_in_flight";
    /// Exchanges of an app that ended with a fault, by code.
    app_faults: "counter" = "hostler_app_faults_total";
    /// Attempts on dynos of an app that failed and were followed by another.
    app_retries: "counter" = "hostler_app_retries_total";
    /// Requests that a dyno of an app was slow to answer and that went to a second one too.
    app_hedges: "counter" = "hostler_app_hedges_total";
    /// Of those the ones that the second one served.
    app_hedges_won: "counter" = "hostler_app_hedges_won_total";
    /// Seconds that exchanges of an app took, by part: total, queue, connect, dyno, client.
    app_seconds: "histogram" = "hostler_app_seconds";
    /// Exchanges of a dyno that are in flight.
    dyno_in_flight: "gauge" = "hostler_dyno_in_flight";
    /// Exchanges that ended on a dyno, by class of the status that the client was sent.
    dyno_exchanges: "counter" = "hostler_dyno_exchanges_total";
    /// Faults of attempts on a dyno, by code.
    dyno_faults: "counter" = "hostler_dyno_faults_total";
    /// Seconds that exchanges took that ended on a dyno.
    dyno_seconds: "histogram" = "hostler_dyno_seconds";
}

impl Families {
    /// Adds an app: in flight, retries, hedges and those that won, faults by code, and how long its
    /// parts took.
    pub fn app(
        &mut self,
        app: &str,
        in_flight: u32,
        (retries, [hedges, won]): (u64, [u64; 2]),
        faults: impl IntoIterator<Item = (&'static str, u64)>,
        parts: impl IntoIterator<Item = (&'static str, Took)>,
    ) {
        let of = format!("app=\"{app}\"");
        self.app_in_flight.line("", &of, in_flight);
        self.app_retries.line("", &of, retries);
        self.app_hedges.line("", &of, hedges);
        self.app_hedges_won.line("", &of, won);
        for (code, count) in faults {
            self.app_faults.line("", &format!("{of},code=\"{code}\""), count);
        }
        for (part, took) in parts {
            self.app_seconds.took(&format!("{of},part=\"{part}\""), &took);
        }
    }

    /// Adds a dyno: in flight, exchanges by class, faults by code, and how long they took.
    pub fn dyno(
        &mut self,
        (app, dyno): (&str, &str),
        in_flight: u32,
        statuses: impl IntoIterator<Item = (&'static str, u64)>,
        faults: impl IntoIterator<Item = (&'static str, u64)>,
        took: Took,
    ) {
        let of = format!("app=\"{app}\",dyno=\"{dyno}\"");
        self.dyno_in_flight.line("", &of, in_flight);
        for (class, count) in statuses.into_iter().filter(|(_, count)| *count > 0) {
            let labels = format!("{of},status=\"{class}\"");
            self.dyno_exchanges.line("", &labels, count);
        }
        for (code, count) in faults {
            self.dyno_faults.line("", &format!("{of},code=\"{code}\""), count);
        }
        self.dyno_seconds.took(&of, &took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_stands_together_with_its_help() {
        let mut within = [3; SECONDS.len()];
        within[0] = 1;
        let took = Took { within, count: 4, sum_s: 1.5 };
        let mut families = Families::default();
        for app in ["a", "b"] {
            families.app(app, 2, (1, [3, 2]), [("H12", 5)], [("total", took)]);
        }
        families.dyno(("a", "web.1"), 1, [("2xx", 4), ("3xx", 0)], [], took);
        let text = families.text();
        let begins = "# HELP hostler_app_in_flight Exchanges of an app that are in flight.\n\
                      # TYPE hostler_app_in_flight gauge\n\
                      hostler_app_in_flight{app=\"a\"} 2\n\
                      hostler_app_in_flight{app=\"b\"} 2\n\
                      # HELP hostler_app_faults_total ";
        assert!(text.starts_with(begins), "{text}");
        for wanted in [
            "hostler_app_faults_total{app=\"b\",code=\"H12\"} 5",
            "hostler_app_seconds_bucket{app=\"a\",part=\"total\",le=\"0.001\"} 1",
            "hostler_app_seconds_bucket{app=\"a\",part=\"total\",le=\"+Inf\"} 4",
            "hostler_app_seconds_sum{app=\"a\",part=\"total\"} 1.5",
            "hostler_dyno_exchanges_total{app=\"a\",dyno=\"web.1\",status=\"2xx\"} 4",
            "hostler_dyno_seconds_count{app=\"a\",dyno=\"web.1\"} 4",
        ] {
            assert!(text.lines().any(|line| line == wanted), "{wanted} in {text}");
        }
        assert!(!text.contains("dyno_faults") && !text.contains("3xx"), "{text}");
    }
}
