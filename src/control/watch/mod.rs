//! The watch over the process itself: memory, overload, workers that stand still.
//!
//! [`judge`] says what a look comes to, [`run`] looks. Invariants: looking costs the data plane a
//! few loads; whatever is found is said when it begins and when it ends, and stands in `/readyz`
//! and the metrics for as long as it lasts.

mod huge;
mod judge;
mod run;

pub use huge::join;
pub use judge::Bounds;
pub use run::{Watched, run};
