//! Disks that are full or may not be written: the test's to make so, and to mend.
//!
//! Where the system lets a test mount, the data directory is a file system of its own, seen by the
//! router alone. Where it does not (a container without rights), the same is reached by other
//! means: a bound on the size of files, and permissions. Invariant: no test is left out.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use rustix::process::{Pid, Resource, Rlimit, geteuid, prlimit};

use super::{Router, router::serve};

/// The user without rights, as whom a router runs where permissions are to count.
const NOBODY: u32 = 65534;

/// How a test makes a disk what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By mounts that the router alone sees, and with a user's own namespace if need be.
    Mounts { own_users: bool },
    /// By a bound on the size of files, and by permissions.
    Bounds,
}

/// The best means that there are here.
pub fn means() -> Means {
    static MEANS: OnceLock<Means> = OnceLock::new();
    let can = |flags: &str| {
        let mount = "mount -t tmpfs -o size=1m hostler /tmp && mount -o remount,bind,ro /tmp";
        let tried = Command::new("unshare").args([flags, "sh", "-c", mount]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    *MEANS.get_or_init(|| match (can("-m"), can("-rm")) {
        (true, _) => Means::Mounts { own_users: false },
        (_, true) => Means::Mounts { own_users: true },
        _ => Means::Bounds,
    })
}

/// Starts a router on a small disk of its own, mounted at `dir`, by these means.
pub fn on_small_disk(dir: &Path, means: Means) -> SmallDisk {
    let script = match means {
        Means::Mounts { .. } => "mount -t tmpfs -o size=4m hostler \"$0\" && exec \"$@\"",
        // The kernel would end who writes too much.
        Means::Bounds => "trap '' XFSZ; exec \"$@\"",
    };
    let router = Router::by(under(means, script, dir));
    SmallDisk { router, dir: dir.to_owned(), means }
}

/// A router whose disk the test can fill.
pub struct SmallDisk {
    /// The router.
    pub router: Router,
    dir: PathBuf,
    means: Means,
}

impl SmallDisk {
    /// From now on nothing more fits.
    pub fn fill(&self) {
        match self.means {
            Means::Mounts { .. } => {
                let mut file = File::create(self.seen("filler")).unwrap();
                let error = loop {
                    if let Err(error) = file.write_all(&[0; 4096]) {
                        break error;
                    }
                };
                assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
            }
            Means::Bounds => {
                let length = |name: &str| {
                    self.dir.join(name).metadata().map_or(0, |metadata| metadata.len())
                };
                let longest = length("hostler.db-wal").max(length("hostler.db"));
                self.bound(Some(longest));
            }
        }
    }

    /// There is room again.
    pub fn free(&self) {
        match self.means {
            Means::Mounts { .. } => fs::remove_file(self.seen("filler")).unwrap(),
            Means::Bounds => self.bound(None),
        }
    }

    fn bound(&self, bytes: Option<u64>) {
        let pid = Pid::from_raw(self.router.pid() as i32);
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    /// A file of the data directory, as the router sees it.
    fn seen(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.router.pid()));
        root.join(self.dir.strip_prefix("/").unwrap()).join(name)
    }
}

/// A data directory that may not be written, though it was.
pub struct ReadOnly {
    dir: PathBuf,
    means: Means,
}

impl ReadOnly {
    /// Makes it so for the routers that are started on it.
    pub fn new(dir: &Path, means: Means) -> ReadOnly {
        if means == Means::Bounds {
            if geteuid().is_root() {
                let own = |path: &Path| chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
                own(dir);
                fs::read_dir(dir).unwrap().for_each(|entry| own(&entry.unwrap().path()));
            }
            permit(dir, 0o500, 0o400);
        }
        ReadOnly { dir: dir.to_owned(), means }
    }

    /// `hostler serve` on it.
    pub fn serve(&self) -> Command {
        let script = match self.means {
            Means::Mounts { .. } => {
                "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\""
            }
            Means::Bounds if geteuid().is_root() => {
                "exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\""
            }
            Means::Bounds => "exec \"$@\"",
        };
        under(self.means, script, &self.dir)
    }

    /// It may be written again, by that router.
    pub fn mend(&self, router: &Router) {
        let Means::Mounts { own_users } = self.means else {
            return permit(&self.dir, 0o700, 0o600);
        };
        let mut command = Command::new("nsenter");
        command.args(["-m", "-t", &router.pid().to_string()]);
        if own_users {
            command.args(["-U", "--preserve-credentials"]);
        }
        let remounted = command.args(["mount", "-o", "remount,bind,rw"]).arg(&self.dir).output();
        assert!(remounted.as_ref().unwrap().status.success(), "{remounted:?}");
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        // Otherwise nobody could remove it.
        if self.means == Means::Bounds {
            permit(&self.dir, 0o700, 0o600);
        }
    }
}

fn permit(dir: &Path, mode: u32, mode_of_files: u32) {
    fs::set_permissions(dir, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::set_permissions(entry.path(), Permissions::from_mode(mode_of_files)).unwrap();
        }
    }
    fs::set_permissions(dir, Permissions::from_mode(mode)).unwrap();
}

/// `hostler serve` behind a shell script, which is given the directory as `$0`.
fn under(means: Means, script: &str, dir: &Path) -> Command {
    let serve = serve(dir, &[]);
    let mut command = match means {
        Means::Mounts { own_users } => {
            let mut command = Command::new("unshare");
            command.args([if own_users { "-rm" } else { "-m" }, "sh"]);
            command
        }
        Means::Bounds => Command::new("sh"),
    };
    command.args(["-c", script]).arg(dir).arg(serve.get_program()).args(serve.get_args());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    use std::process::Stdio;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
