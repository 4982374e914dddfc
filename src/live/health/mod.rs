//! Which dynos are well, as far as the router can tell: what it saw of their exchanges and what
//! they said when asked.
//!
//! [`Health`] is a dyno's part, in its cell, of which choices and exchanges that went well look at
//! one word; [`AppHealth`] is what needs the app's other dynos: share limit, success rates, panic.
//! Verdicts are those of [`crate::balance::eject`] and [`crate::balance::warm`].
//!
//! Who is ejected or fails its checks is barred: none is picked while a fit dyno exists. If fewer
//! than `health.panic_share` are fit, the few would have to carry all, and a verdict on most of an
//! app is more likely wrong, or about what they share. In that panic these two bars are lifted for
//! the whole app, with half the weight: of two equally loaded the well one is picked. A failed
//! connect is a fact: quarantine stays, for no longer than a first one.

pub mod app;
pub mod dyno;
pub mod notes;
pub mod past;
pub mod rules;

pub use app::{AppHealth, Sight};
pub use dyno::{Health, Proof, Standing};
pub use notes::{Note, Notes};
pub use past::{Happened, What};
pub use rules::HealthRules;
