//! How a fact is written down: once, as a function of the case that it is handed; it becomes a
//! module with two tests, `fresh` and `kept`.
//!
//! ```ignore
//! behaviours! {
//!     fn what_is_so(x) { … }
//!     fn what_is_so_with_a_setting(x: Setup::router("http.via", "edge-1")) { … }
//! }
//! ```

macro_rules! behaviours {
    ($($(#[$meta:meta])* fn $name:ident($x:ident $(: $setup:expr)?) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "what one fact does not need another does")]
            use super::*;
            use $crate::behaviours::case::{Case, Kind, Setup};

            fn shown($x: &mut Case) $body

            fn setup() -> Setup {
                #[allow(unused_mut, unused_assignments, reason = "most have none of their own")]
                let mut setup = Setup::default();
                $(setup = $setup;)?
                setup
            }

            #[test]
            fn fresh() {
                shown(&mut Case::start(Kind::Fresh, &setup()));
            }

            #[test]
            fn kept() {
                shown(&mut Case::start(Kind::Kept, &setup()));
            }
        }
    )*};
}
