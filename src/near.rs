//! The name that somebody meant who wrote one that nobody knows.
//!
//! Invariants: pure, imports nothing; a suggestion is given only where it is near enough not to
//! mislead.

/// The longest name that is looked at, in bytes: whoever sends a longer one did not mistype it.
const MAX_NAME: usize = 100;

/// `did you mean …?` for a name that nobody knows, if a known one is near.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    if name.len() > MAX_NAME {
        return None;
    }
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
        assert_eq!(near(&"http.listen".repeat(10)), None);
    }

    #[test]
    fn distances_count_single_edits() {
        for (a, b, steps) in [("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("a", "b", 1)] {
            assert_eq!(edit_distance(a, b), steps, "{a} {b}");
        }
    }
}
