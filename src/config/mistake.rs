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

/// `did you mean …?` for a name that nobody knows, if a known one is near.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    // The right word in the wrong group (`listen` for `http.listen`) is one step away.
    let distance = |known: &str| {
        let whole = edit_distance(name, known);
        if last(known) == last(name) { whole.min(1) } else { whole }
    };
    let bound = (name.chars().count() / 3).clamp(1, 4);
    let (steps, nearest) = known.map(|known| (distance(known), known)).min()?;
    (steps <= bound).then(|| format!("did you mean {nearest}?"))
}

/// How many characters must be put in, taken out, changed or swapped with their neighbour.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let changed = above[j] + usize::from(a[i] != b[j]);
            row[j + 1] = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let near = |name| did_you_mean(name, ["http.listen", "drain.deadline"].into_iter());
        assert_eq!(near("http.lisent").as_deref(), Some("did you mean http.listen?"));
        assert_eq!(near("listen").as_deref(), Some("did you mean http.listen?"));
        assert_eq!(near("colour"), None);
    }

    #[test]
    fn distances_count_single_edits() {
        for (a, b, steps) in [("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("a", "b", 1)] {
            assert_eq!(edit_distance(a, b), steps, "{a} {b}");
        }
    }

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
