//! Settings: as written in a file, the environment and flags, into what each part is told.
//!
//! Reading order: `keys` (every setting, declared once), `resolve` (sources to [`Settings`], pure),
//! `load` (reads the sources), `file`, `parse`, `mistake`; `template` writes `config/default.toml`.

mod file;
mod key;
pub mod keys;
pub mod load;
mod memory;
pub mod mistake;
pub mod parse;
mod ranges;
pub mod resolve;
pub mod settings;
mod template;
#[cfg(test)]
mod tests;

pub use load::{flags, flags_of, load};
pub use mistake::{Mistake, Mistakes, Source};
pub use resolve::{Machine, Sources, resolve};
pub use settings::{ApiSettings, Settings, Stated};
pub use template::default_toml;
