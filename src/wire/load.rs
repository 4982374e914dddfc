//! What a dyno says of its load beside an answer: the header `endpoint-load-metrics` of ORCA (xDS,
//! `OrcaLoadReport`; gRFC A51; Envoy's "ORCA load report"), as `TEXT` or as `JSON`.
//!
//! Of a report one figure is taken: `application_utilization`, or without it `cpu_utilization` (as
//! gRFC A58 has it). A load of 0 is one; but writers of protobuf's JSON may write 0 for what was
//! never set, so that beside a 0 of the first the second counts.
//! Invariants: a report that cannot be read is none; whatever a dyno writes, a figure is 0 to
//! [`MOST`].

use serde::Deserialize;

/// All of a dyno, in thousandths.
const WHOLE: f64 = 1000.0;
/// The most that is believed, in thousandths: what an app means by its utilization may be over 1.
pub const MOST: u16 = 10_000;

/// The two figures that may be taken.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    #[serde(alias = "applicationUtilization")]
    application_utilization: Option<f64>,
    #[serde(alias = "cpuUtilization")]
    cpu_utilization: Option<f64>,
}

/// How busy the dyno says it is, in thousandths.
pub fn read(value: &[u8]) -> Option<u16> {
    let value = std::str::from_utf8(value).ok()?.trim();
    let (form, rest) = value.split_once(' ').unwrap_or(("TEXT", value));
    let report = match form {
        "JSON" => serde_json::from_str(rest).ok()?,
        "TEXT" => text(rest)?,
        // Without a form it is a text, whose list has a blank.
        _ => text(value)?,
    };
    let Report { application_utilization, cpu_utilization } = report;
    let is_figure = |of: &f64| of.is_finite() && *of >= 0.0;
    let [first, second] = [application_utilization, cpu_utilization].map(|of| of.filter(is_figure));
    let figure = first.filter(|of| *of > 0.0).or(second).or(first)?;
    Some((figure * WHOLE).min(f64::from(MOST)) as u16)
}

/// `cpu_utilization=0.3, named_metrics.queue=5`
fn text(list: &str) -> Option<Report> {
    let mut report = Report::default();
    for pair in list.split(',') {
        let (name, figure) = pair.split_once(['=', ':'])?;
        let figure: f64 = figure.trim().parse().ok()?;
        match name.trim() {
            "application_utilization" => report.application_utilization = Some(figure),
            "cpu_utilization" => report.cpu_utilization = Some(figure),
            _ => {}
        }
    }
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for (value, load) in [
            ("TEXT cpu_utilization=0.3,mem_utilization=0.8", Some(300)),
            ("TEXT cpu_utilization=0.3, application_utilization = 0.75", Some(750)),
            ("TEXT cpu_utilization:0.3", Some(300)),
            ("cpu_utilization=0.25", Some(250)),
            ("cpu_utilization=0.25, rps=7", Some(250)),
            (r#"JSON {"cpu_utilization": 0.3, "named_metrics": {"q": 1}}"#, Some(300)),
            (r#"JSON {"cpuUtilization": 0.3, "applicationUtilization": 1.5}"#, Some(1500)),
            ("TEXT cpu_utilization=1e9", Some(MOST)),
            ("TEXT cpu_utilization=0", Some(0)),
            ("TEXT application_utilization=0.0", Some(0)),
            (r#"JSON {"cpuUtilization": 0, "memUtilization": 0.9}"#, Some(0)),
            ("TEXT application_utilization=0,cpu_utilization=0.5", Some(500)),
            ("TEXT application_utilization=-1,cpu_utilization=0", Some(0)),
        ] {
            assert_eq!(read(value.as_bytes()), load, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_report() {
        for value in [
            "",
            "TEXT",
            "TEXT cpu_utilization",
            "TEXT cpu_utilization=x",
            "TEXT cpu_utilization=NaN",
            "TEXT cpu_utilization=-1",
            "TEXT cpu_utilization=inf",
            "JSON {}",
            "TEXT mem_utilization=0.5",
            "JSON {",
            "JSON []7",
            r#"JSON {"cpu_utilization": "x"}"#,
            "BIN AAAA",
        ] {
            assert_eq!(read(value.as_bytes()), None, "{value}");
        }
        assert_eq!(read(b"TEXT cpu_utilization=\xff"), None);
    }
}
