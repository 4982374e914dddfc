//! What can be wrong with settings, told so that the reader can mend it.
//!
//! Invariants: a mistake names its source, the key, what is wrong and what to do; all mistakes of a
//! start are told at once; the value of a secret is never in a message.

use std::fmt;

/// The most mistakes that are told; a file that is no settings file at all has thousands.
const MAX_TOLD: usize = 50;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody gave it.
    Default,
    /// A line of the file, from 1; 0 for the file as a whole.
    File(String, usize),
    /// A variable of the environment.
    Env(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(name, 0) => f.write_str(name),
            Source::File(name, line) => write!(f, "{name}, line {line}"),
            Source::Env(name) => f.write_str(name),
            Source::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where it stands.
    pub source: Source,
    /// The setting, as the file names it; empty if it is about none.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// All mistakes of the settings, at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "a mistake in the settings:")?,
            n => write!(f, "{n} mistakes in the settings:")?,
        }
        for mistake in self.0.iter().take(MAX_TOLD) {
            write!(f, "\n  {mistake}")?;
        }
        match self.0.len().saturating_sub(MAX_TOLD) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_full_of_mistakes_is_told_in_part() {
        let mistake = Mistake {
            source: Source::Env("HOSTLER_X".into()),
            key: String::new(),
            what: "wrong".into(),
            remedy: "mend it".into(),
        };
        let text = Mistakes(vec![mistake; MAX_TOLD + 2]).to_string();
        assert!(text.starts_with("52 mistakes in the settings:\n  HOSTLER_X: wrong; mend it\n"));
        assert!(text.ends_with("and 2 more"));
    }
}
