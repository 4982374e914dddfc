//! Reads the command and does it: the command line calls the push API, and is handed the one thing
//! that it cannot name, the wiring of the router.
//!
//! Invariant: nothing is done here.

/// Look-ups of cold hosts wait for memory: one of a million hosts took 95 ns with mimalloc and
/// 114 with the allocator of glibc, in runs minutes apart (`benches/lookup.rs`); an idle connection
/// took 1,049 bytes and 1,200 (`benches/versus`). Without its huge pages (`no_thp`), since what
/// waits would cost all that it reserved: an idle connection of HTTP/2 37.6 kB instead of 21.3. The
/// table gets them from [`hostler::control::watch`].
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hostler::cli::main(hostler::wiring::serve)
}
