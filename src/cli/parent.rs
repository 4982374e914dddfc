//! Ending with the process that started this one, however that ends.
//!
//! The parent holds the other end of this process's standard input; the system closes it with the
//! parent, even if that is killed. Unlike Linux's signal for it, this does not depend on which of
//! the parent's threads ended, needs no unsafe code between fork and exec, and works on every Unix.

use std::{io, thread};

use rustix::process::{Signal, getpid, kill_process};

/// From now on, tells this process to end, as SIGTERM would, once its standard input closes.
pub(super) fn end_with_stdin() -> io::Result<()> {
    let wait = || {
        // What comes is not meant for us; an error is as much an end as the end itself.
        let _end_or_error = io::copy(&mut io::stdin().lock(), &mut io::sink());
        kill_process(getpid(), Signal::TERM).expect("a process may always signal itself");
    };
    thread::Builder::new().name("stdin".into()).spawn(wait).map(drop)
}
