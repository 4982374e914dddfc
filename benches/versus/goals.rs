//! What Hostler is to reach beside its rivals, as ratios within a run.
//!
//! Invariants: a goal is about the first figure of its scenario; the median decides, and a spread
//! that lies across the goal is told as such.

use crate::rival::Rival;
use crate::scenario::Scenario;

/// What Hostler's figure is to be.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// Less than so many times the rival's.
    Below(f64),
    /// No more than so many times the rival's.
    AtMost(f64),
    /// At least so many times the rival's.
    AtLeast(f64),
}

/// Bytes that an idle TLS connection may have.
pub const IDLE_TLS: f64 = 16_384.0;

const GOALS: &[(Scenario, Rival, Goal)] = &[
    (Scenario::Keepalive, Rival::Relay, Goal::AtMost(1.35)),
    (Scenario::H2, Rival::Nginx, Goal::Below(1.0)),
    (Scenario::H2, Rival::Envoy, Goal::Below(1.0)),
    (Scenario::H2, Rival::Haproxy, Goal::AtMost(1.1)),
    (Scenario::H2Tls, Rival::Nginx, Goal::Below(1.0)),
    (Scenario::H2Tls, Rival::Envoy, Goal::Below(1.0)),
    (Scenario::H2Tls, Rival::Haproxy, Goal::AtMost(1.1)),
    (Scenario::Handshake, Rival::Nginx, Goal::AtLeast(1.3)),
    (Scenario::Handshake, Rival::Haproxy, Goal::AtLeast(1.3)),
    (Scenario::Resume, Rival::Nginx, Goal::AtLeast(1.0)),
    (Scenario::Resume, Rival::Haproxy, Goal::AtLeast(1.0)),
    (Scenario::Big, Rival::Haproxy, Goal::AtLeast(1.8)),
    (Scenario::Upload, Rival::Haproxy, Goal::AtLeast(1.8)),
    (Scenario::TlsBig, Rival::Haproxy, Goal::AtLeast(1.0)),
    (Scenario::TlsUpload, Rival::Haproxy, Goal::AtLeast(1.0)),
    (Scenario::Uneven, Rival::Nginx, Goal::Below(1.0)),
    (Scenario::Uneven, Rival::Haproxy, Goal::Below(1.0)),
    (Scenario::Uneven, Rival::HaproxyRandom, Goal::Below(1.0)),
    (Scenario::H2Idle, Rival::Envoy, Goal::Below(1.0)),
    (Scenario::H2TlsIdle, Rival::Envoy, Goal::Below(1.0)),
];

/// The goal beside a rival, if there is one.
pub fn goal(scenario: Scenario, rival: Rival) -> Option<Goal> {
    let found = GOALS.iter().find(|goal| (goal.0, goal.1) == (scenario, rival));
    found.map(|(_, _, goal)| *goal)
}

impl Goal {
    /// The goal, and whether these ratios reach it.
    pub fn verdict(self, [min, median, max]: [f64; 3]) -> String {
        let (text, is_reached): (String, &dyn Fn(f64) -> bool) = match &self {
            Goal::Below(limit) => (format!("below {limit}"), &move |ratio| ratio < *limit),
            Goal::AtMost(limit) => (format!("at most {limit}"), &move |ratio| ratio <= *limit),
            Goal::AtLeast(limit) => (format!("at least {limit}"), &move |ratio| ratio >= *limit),
        };
        let word = match (is_reached(median), is_reached(min) && is_reached(max)) {
            (true, true) => "reached",
            (true, false) => "reached by the median, not by every round",
            (false, _) => "MISSED",
        };
        format!("goal {text}: {word}")
    }
}
