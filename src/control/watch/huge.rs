//! Huge pages for memory that is in use nearly as a whole, as the table is.
//!
//! The look-up of a cold host waits for memory, a quarter less with huge pages than without
//! (`benches/lookup.rs`). An allocator that asks for them everywhere gets the table into them; but
//! then a connection that waits costs all that it has reserved, and not what it ever touched: over
//! HTTP/2 37.6 kB instead of 21.3 (`benches/versus`). So ours asks for none, and here the kernel is
//! told now and then which memory is dense.
//!
//! Invariants: a piece is joined only if [`DENSE`] of it is in use, so that at most the rest is
//! lost; what stands in memory stays as it is; where the machine is set to `never`, nothing is
//! joined; what the kernel does not join stays as it is until the next look. `unsafe`, because no
//! library offers this advice without: it changes by what pages memory is held, nothing else.
#![allow(unsafe_code)]

use std::{
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::FileExt,
};

/// How much of a piece is to be in use.
const DENSE: f64 = 7.0 / 8.0;
/// What the kernel says of huge pages (Documentation/admin-guide/mm/transhuge.rst).
const SETTING: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
const SIZE: &str = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
/// An entry of the page map: the bit that says that a page is there
/// (Documentation/admin-guide/mm/pagemap.rst).
const ENTRY: usize = size_of::<u64>();
const PRESENT: u64 = 1 << 63;

/// Joins the pieces of this process's memory that are dense; answers how many bytes those are that
/// the kernel took.
pub fn join() -> io::Result<usize> {
    if fs::read_to_string(SETTING)?.contains("[never]") {
        return Ok(0);
    }
    let size = fs::read_to_string(SIZE)?.trim().parse().map_err(io::Error::other)?;
    let mut joined = 0;
    for mapping in mappings(&fs::read_to_string("/proc/self/maps")?) {
        for run in dense(mapping, size)? {
            joined += if advise(&run).is_ok() { run.len() } else { 0 };
        }
    }
    Ok(joined)
}

/// The mappings of memory that is this process's own, and no file's (proc(5)).
fn mappings(maps: &str) -> impl Iterator<Item = Range<usize>> {
    maps.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let is_own = words.next()? == "rw-p" && words.nth(2)? == "0";
        let address = |text| usize::from_str_radix(text, 16).ok();
        is_own.then_some(address(from)?..address(to)?)
    })
}

/// The runs of dense pieces of `size` bytes in a mapping.
fn dense(mapping: Range<usize>, size: usize) -> io::Result<Vec<Range<usize>>> {
    let page = rustix::param::page_size();
    let pages = File::open("/proc/self/pagemap")?;
    let mut entries = vec![0; size / page * ENTRY];
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut start = mapping.start.next_multiple_of(size);
    while start + size <= mapping.end {
        pages.read_exact_at(&mut entries, (start / page * ENTRY) as u64)?;
        let (entries, _) = entries.as_chunks::<ENTRY>();
        let there = entries.iter().filter(|entry| u64::from_ne_bytes(**entry) & PRESENT != 0);
        let is_dense = there.count() as f64 >= entries.len() as f64 * DENSE;
        match runs.last_mut() {
            Some(run) if is_dense && run.end == start => run.end += size,
            _ if is_dense => runs.push(start..start + size),
            _ => {}
        }
        start += size;
    }
    Ok(runs)
}

/// Has the kernel hold this memory by huge pages, at once; a kernel before 6.1, when it finds time.
fn advise(run: &Range<usize>) -> io::Result<()> {
    let advise = |advice| {
        // SAFETY: both advices leave what stands in memory, whoever owns it, and also if it is
        // mapped anew meanwhile; the kernel checks the range.
        match unsafe { libc::madvise(run.start as *mut _, run.len(), advice) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    match advise(libc::MADV_COLLAPSE) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => advise(libc::MADV_HUGEPAGE),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 2 << 20;

    #[test]
    fn what_is_dense_is_found_and_joined_and_nothing_beside_it() {
        let page = rustix::param::page_size();
        let mut memory = vec![0u8; 5 * PIECE];
        let start = memory.as_ptr() as usize;
        let first = start.next_multiple_of(PIECE);
        // An allocator may well give out what was touched before: now nothing of it is there.
        let inner = start.next_multiple_of(page)..(start + memory.len()) / page * page;
        // SAFETY: whole pages of what is borrowed by nobody else, and they are zeros as before.
        let given = unsafe {
            let at = memory.as_mut_ptr().add(inner.start - start).cast();
            libc::madvise(at, inner.len(), libc::MADV_DONTNEED)
        };
        assert_eq!(given, 0);
        let of = |piece: usize| (first + piece * PIECE)..(first + (piece + 1) * PIECE);
        let mut touch = |piece: Range<usize>, each: usize| {
            memory[piece.start - start..piece.end - start].iter_mut().step_by(each).for_each(
                |byte| {
                    *byte = 7;
                },
            );
        };
        // A connection's buffers, a table, and again.
        touch(of(0), 4 * page);
        touch(of(1), page);
        touch(of(2), page);
        touch(of(3), 2 * page);
        let whole = of(1).start..of(2).end;
        let found = || dense(start..start + 5 * PIECE, PIECE).unwrap();
        assert_eq!(found(), std::slice::from_ref(&whole));
        if fs::read_to_string(SETTING).is_ok_and(|setting| !setting.contains("[never]")) {
            advise(&whole).unwrap();
            assert!(join().unwrap() >= whole.len());
        }
        assert_eq!(found(), std::slice::from_ref(&whole));
        let touched = memory.iter().filter(|byte| **byte == 7).count();
        assert_eq!(touched, PIECE / page * 11 / 4);
    }

    #[test]
    fn a_files_memory_and_what_is_not_written_to_are_passed_over() {
        let maps = "\
            55d0-55e0 r--p 00000000 fe:00 131 /usr/bin/x\n\
            55e0-55f0 rw-p 00001000 fe:00 131 /usr/bin/x\n\
            7f00-7f10 rw-p 00000000 00:00 0 \n\
            7f10-7f20 ---p 00000000 00:00 0 \n\
            7f20-7f30 rw-s 00000000 00:01 0 /dev/zero (deleted)\n\
            7f30-7f40 rw-p 00000000 00:00 0 [heap]\n";
        let found: Vec<_> = mappings(maps).collect();
        assert_eq!(found, [0x7f00..0x7f10, 0x7f30..0x7f40]);
    }
}
