//! Is SQLite's log whole, as far as it was synced? SQLite itself takes the first frame that is not
//! right as the end of the log, so that one bad page would silently undo every write behind it.
//!
//! A crash leaves one transaction at most that was not synced. Two commits in a row behind a frame
//! that is not right say that this frame was synced before, and is damaged since.
//!
//! Invariants: nothing is written; memory is bounded by the largest page; a log that a crash left
//! is never taken as damaged, nor one that is written meanwhile: what is found is looked at twice.
//! The format is that of `https://sqlite.org/fileformat2.html#walformat`.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use super::{error::StoreError, files};

/// The log's mark; its last bit says in which order the bytes of a word are summed up.
const MARK: u32 = 0x377f_0682;
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The size of pages where the header does not say it.
const USUAL_PAGE: usize = 4096;
const LARGEST_PAGE: usize = 65_536;
/// Commits in a row that say that what is before them was synced.
const COMMITS: u32 = 2;

/// Fails if the log of a database is damaged in what was synced.
pub fn check(database: &Path) -> Result<(), StoreError> {
    let Some(log) = files::beside(database).next() else { return Ok(()) };
    let look = || {
        // One that cannot be opened is SQLite's to speak of.
        let Ok(file) = File::open(&log) else { return Ok(None) };
        damage(BufReader::new(file)).map_err(|error| StoreError::Doubtful {
            path: log.clone(),
            reason: format!("it cannot be read: {error}"),
        })
    };
    let found = look()?;
    match found {
        Some(frame) if look()? == found => {
            let reason = format!("frame {frame} of its log is damaged, and writes follow it");
            Err(StoreError::Damaged { path: database.to_owned(), reason })
        }
        _ => Ok(()),
    }
}

/// The number of the first frame that is damaged; 0 is the header.
fn damage(mut log: impl Read) -> io::Result<Option<u64>> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let sums = Sums { is_big_endian: word(&header, 0) & 1 == 1 };
    let page = word(&header, 8) as usize;
    let is_page = page.is_power_of_two() && (512..=LARGEST_PAGE).contains(&page);
    let sum = sums.add([0, 0], &header[..24]);
    let is_header = word(&header, 0) & !1 == MARK && is_page && sum == stored(&header, 24);
    let mut bad = (!is_header).then_some(0);
    let mut salts = is_header.then(|| stored(&header, 16));
    let mut frame = vec![0; FRAME_HEADER + if is_page { page } else { USUAL_PAGE }];
    // What the frame before says of itself, right or not: what is summed up goes on from there.
    let (mut before, mut number, mut commits) = (stored(&header, 24), 0, 0);
    while fill(&mut log, &mut frame)? {
        number += 1;
        let sum = sums.add(sums.add(before, &frame[..8]), &frame[FRAME_HEADER..]);
        before = stored(&frame, 16);
        // Without a header it is as good as any that the frames agree on.
        let is_ours = *salts.get_or_insert(stored(&frame, 8)) == stored(&frame, 8);
        if !is_ours || word(&frame, 0) == 0 || sum != before {
            bad.get_or_insert(number);
            commits = 0;
            continue;
        }
        commits += u32::from(word(&frame, 4) != 0);
        if bad.is_some() && commits >= COMMITS {
            return Ok(bad);
        }
    }
    Ok(None)
}

/// How a log is summed up.
struct Sums {
    is_big_endian: bool,
}

impl Sums {
    fn add(&self, [mut a, mut b]: [u32; 2], bytes: &[u8]) -> [u32; 2] {
        let word = |at: usize, bytes: &[u8]| {
            let word = word(bytes, at);
            if self.is_big_endian { word } else { word.swap_bytes() }
        };
        for pair in bytes.chunks_exact(8) {
            a = a.wrapping_add(word(0, pair)).wrapping_add(b);
            b = b.wrapping_add(word(4, pair)).wrapping_add(a);
        }
        [a, b]
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn stored(bytes: &[u8], at: usize) -> [u32; 2] {
    [word(bytes, at), word(bytes, at + 4)]
}

/// Reads as much as fits; false where the log ends before.
fn fill(log: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::{Connection, config::DbConfig};

    use super::*;

    const FRAME: usize = FRAME_HEADER + USUAL_PAGE;

    /// The log of so many transactions, each of one page and thus one frame.
    fn log(commits: u32) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        let database = Connection::open(&path).unwrap();
        database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        database.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        for i in 1..=commits {
            database.pragma_update(None, "user_version", i).unwrap();
        }
        let log = fs::read(dir.path().join("some.db-wal")).unwrap();
        assert_eq!(log.len(), HEADER + commits as usize * FRAME);
        log
    }

    fn found(log: &[u8]) -> Option<u64> {
        damage(log).unwrap()
    }

    #[test]
    fn a_whole_log_and_one_that_ends_anywhere_are_no_damage() {
        let log = log(5);
        for end in [0, 5, HEADER, HEADER + 7, HEADER + FRAME, log.len() - 1, log.len()] {
            assert_eq!(found(&log[..end]), None, "{end}");
        }
    }

    #[test]
    fn a_bad_frame_with_two_commits_behind_it_is_damage_wherever_it_is_bad() {
        for at in [0, 4, 9, 16, 23, 24, 2000, FRAME - 1] {
            for frame in 1..=5 {
                let mut log = log(7);
                log[HEADER + (frame - 1) * FRAME + at] ^= 0x40;
                // The sum of the next frame goes on from that of this one.
                let is_behind = if (16..24).contains(&at) { frame < 5 } else { true };
                assert_eq!(found(&log), is_behind.then_some(frame as u64), "{frame} at {at}");
            }
        }
    }

    #[test]
    fn a_torn_tail_is_no_damage_and_neither_is_what_looks_like_one() {
        for bad in [6, 7] {
            let mut log = log(7);
            log[HEADER + (bad - 1) * FRAME + 100..][..8].fill(0xa5);
            assert_eq!(found(&log), None, "{bad}");
        }
    }

    #[test]
    fn what_an_earlier_round_left_behind_is_no_damage() {
        let (mut now, before) = (log(2), log(9));
        now.extend_from_slice(&before[now.len()..]);
        assert_eq!(found(&now), None);
    }

    #[test]
    fn a_bad_header_with_commits_behind_it_is_damage() {
        for at in [0, 3, 10, 17, 25] {
            let mut log = log(4);
            log[at] ^= 0x10;
            assert_eq!(found(&log), Some(0), "{at}");
        }
        let mut torn = log(1);
        torn[17] ^= 0x10;
        assert_eq!(found(&torn), None);
    }
}
