//! Certificates that end soon are told in the log: at start, and once a day.
//!
//! Invariants: a look goes once through all certificates; of each kind [`MOST`] are named at a
//! time, those that end first; what is told is told again the next day, until it is renewed or
//! removed.

use std::time::{Duration, Instant};

use crate::route::{Certificate, Table};

/// How long before its end a certificate is told of, in seconds: 14 days.
const SOON_S: u64 = 14 * DAY_S;
const DAY_S: u64 = 24 * 3600;
/// How long lies between two looks.
const APART: Duration = Duration::from_secs(DAY_S);
/// The most certificates that one look names.
const MOST: usize = 20;

/// When certificates were looked at last.
#[derive(Default)]
pub(super) struct Ending {
    looked: Option<Instant>,
}

impl Ending {
    /// Tells of those that end soon, if the last look is a day ago.
    pub fn look(&mut self, table: &Table, now: Instant, now_ms: u64) {
        if self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < APART) {
            return;
        }
        self.looked = Some(now);
        let now_s = now_ms / 1000;
        let ending = ending(table, now_s);
        for certificate in ending.iter().take(MOST) {
            let (name, ends) = (&certificate.name, certificate.not_after_s);
            match ends.checked_sub(now_s) {
                Some(left) => tracing::warn!(%name, days = left / DAY_S,
                    "a certificate ends soon: PUT /v1/certs/{name} renews it"),
                None => tracing::error!(%name,
                    "a certificate has ended, and clients refuse it: PUT /v1/certs/{name}"),
            }
        }
        if ending.len() > MOST {
            let more = ending.len() - MOST;
            tracing::warn!(more, "more certificates end soon: GET /v1/certs lists them");
        }
    }
}

/// Those that end soon, or have, the first to end first.
fn ending(table: &Table, now_s: u64) -> Vec<&Certificate> {
    let soon = |of: &&Certificate| of.not_after_s < now_s.saturating_add(SOON_S);
    let mut ending: Vec<_> = table.certificates().map(|of| &**of).filter(soon).collect();
    ending.sort_unstable_by_key(|of| (of.not_after_s, &of.name));
    ending
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::route::{CertName, Change, CoveredHost, Digest, KeyKind, PrivateKey};

    #[test]
    fn those_that_end_within_14_days_are_told_the_first_first() {
        let mut table = Table::new(1);
        for (name, not_after_s) in [("late", 15), ("soon", 13), ("now", 0), ("c", 13)] {
            let certificate = Certificate {
                name: CertName::parse(name).unwrap(),
                hosts: [CoveredHost::parse("a.test").unwrap()].into(),
                not_before_s: 0,
                not_after_s: (100 + not_after_s) * DAY_S,
                key_kind: KeyKind::Ed25519,
                fingerprints: [Digest::of(name.as_bytes())].into(),
                chain: [name.as_bytes().into()].into(),
                key: PrivateKey::default(),
            };
            table.apply(&Change::PutCertificate(Arc::new(certificate))).unwrap();
        }
        let told = |day: u64| -> Vec<_> {
            ending(&table, day * DAY_S).iter().map(|of| of.name.to_string()).collect()
        };
        assert_eq!(told(100), ["now", "c", "soon"]);
        assert_eq!(told(86), [""; 0]);
        assert_eq!(told(102), ["now", "c", "soon", "late"]);
    }
}
