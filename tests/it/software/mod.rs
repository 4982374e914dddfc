//! Real software on both ends: `tests/software/README.md` says what it is and what it does.

mod curl;
mod dyno;
mod pairs;
mod round;
