//! The table of a router as its lines say it, and its digest as the documentation has it.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::Router;

/// What `GET /v1/table` answers.
pub struct Lines {
    /// The first line.
    pub header: Value,
    lines: Vec<String>,
}

impl Lines {
    /// Reads them.
    pub fn of(router: &Router) -> Lines {
        let answer = router.call("GET", "/v1/table", None).answer;
        assert_eq!(answer.status(), 200);
        let text = answer.text();
        let mut lines = text.lines().map(String::from);
        let header = serde_json::from_str(&lines.next().unwrap()).unwrap();
        Lines { header, lines: lines.collect() }
    }

    /// The sum of the hashes of all lines, modulo 2^256.
    pub fn digest(&self) -> String {
        let mut sum = [0_u8; 32];
        for line in &self.lines {
            let mut carry = 0;
            for (byte, more) in sum.iter_mut().zip(Sha256::digest(line.as_bytes())).rev() {
                let total = u16::from(*byte) + u16::from(more) + carry;
                (*byte, carry) = (total as u8, total >> 8);
            }
        }
        sum.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What an app has: its dynos with their releases, and its routes.
    pub fn of_app(&self, app: &str) -> BTreeMap<String, String> {
        let lines = self.lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let own = lines.filter(|line| line["app"] == app);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let named = |line: Value| match line["kind"].as_str() {
            Some("dyno") => (format!("dynos/{}", text(&line["name"])), text(&line["release"])),
            _ => (format!("routes/{}", text(&line["host"])), String::new()),
        };
        own.map(named).collect()
    }
}
