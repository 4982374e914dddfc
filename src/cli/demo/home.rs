//! The data directory of the demo's router.
//!
//! Invariants: one that the demo made is its owner's alone and goes with the demo; one that was
//! given stays.

use std::{
    env, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Where the demo's router keeps its store and its token.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    is_ours: bool,
}

impl Home {
    /// The directory that was given, else a new one below the system's directory for such.
    pub(super) fn new(given: Option<PathBuf>) -> io::Result<Home> {
        if let Some(path) = given {
            return Ok(Home { path: std::path::absolute(path)?, is_ours: false });
        }
        let random = getrandom::u64().map_err(io::Error::other)?;
        let path = env::temp_dir().join(format!("hostler-demo-{random:016x}"));
        // It fails if the name is taken, so nobody can have put anything there.
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Home { path, is_ours: true })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Does it go with the demo?
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Removes it if the demo made it.
    pub(super) fn remove(self) -> io::Result<()> {
        if self.is_ours { fs::remove_dir_all(&self.path) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_that_was_made_is_private_and_goes() {
        let home = Home::new(None).unwrap();
        let path = home.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("admin.token"), "x").unwrap();
        home.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_was_given_stays() {
        let given = tempfile::tempdir().unwrap();
        let home = Home::new(Some(given.path().into())).unwrap();
        assert!(!home.is_ours());
        home.remove().unwrap();
        assert!(given.path().exists());
    }
}
