//! Floods of frames that cost a server much and a client nothing, seen by the heads of the frames.
//!
//! Every kind of frame that asks for nothing useful has a budget of its own: a stock, which time
//! refills, and so does what the client gets in earnest: bytes of answers, and pieces of them that
//! it left a window for as they were. The frames of a block of fields are bounded apart, by what
//! the block may hold. Published as CVE-2019-9511 to -9518 (PING, PRIORITY, SETTINGS, empty frames,
//! windows of a byte), CVE-2023-44487 (rapid reset) and CVE-2024-27316 (CONTINUATION).
//! Invariants: each byte is looked at once, payloads not at all; nothing here grows but with the
//! streams under way; the verdict does not depend on how the bytes were split.

/// What a connection is flooded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// RST_STREAM: requests that are taken back as soon as they are sent.
    Reset,
    /// SETTINGS, each of which is to be acknowledged.
    Settings,
    /// PING, each of which is to be answered.
    Ping,
    /// PRIORITY, which says nothing any more.
    Priority,
    /// WINDOW_UPDATE.
    WindowUpdate,
    /// DATA without any.
    EmptyData,
    /// HEADERS or CONTINUATION without any fields.
    EmptyHeaders,
    /// Frames of a kind that nobody knows.
    Unknown,
    /// CONTINUATION without an end.
    Continuation,
}

/// What a kind of frame has.
#[derive(Debug, Clone, Copy)]
struct Budget {
    /// So many at most, and at first.
    stock: u32,
    /// So many more each second.
    a_second: u32,
    /// So many more for each [`QUOTA`] of answers.
    a_quota: u32,
    /// So many more for each piece of an answer that the client had a window for.
    a_piece: u32,
    /// So many more for each request that was answered in full.
    an_answer: u32,
}

const fn budget(stock: u32, a_second: u32, a_quota: u32, a_piece: u32, an_answer: u32) -> Budget {
    Budget { stock, a_second, a_quota, a_piece, an_answer }
}

/// The most requests that may be taken back at once: the stock of resets.
pub const RESETS: u32 = 200;

/// The bytes of answers that refill a budget. Careless clients send two WINDOW_UPDATEs, of stream
/// and connection, for what they read at once, which is as little in some; those that measure a
/// path send a PING for each frame that they get.
const QUOTA: usize = 4 << 10;

/// The budgets, in the order of [`Flood`].
const BUDGETS: [Budget; 8] = [
    budget(RESETS, 10, 0, 0, 1),
    budget(20, 1, 0, 0, 0),
    budget(50, 2, 1, 1, 1),
    budget(200, 10, 0, 0, 2),
    budget(500, 50, 4, 4, 4),
    budget(50, 1, 0, 0, 0),
    budget(20, 1, 0, 0, 0),
    budget(100, 10, 0, 0, 2),
];

/// A stream of this age may be reset as any deadline that passes does: how many can be open at a
/// time bounds these.
const YOUNG_MS: u64 = 100;
/// DATA that is shorter costs more than its bytes until it is read: so much, less its length.
const SMALL: u32 = 256;
/// What small frames may cost before they are to be taken off their streams.
const TURN: u32 = 64 << 10;

/// The bytes of a frame's head (RFC 9113, section 4.1).
const HEAD: usize = 9;
/// The largest frame that a client may send, since nobody told it of a larger one.
const FRAME: usize = 16 << 10;
/// The fewest CONTINUATIONs that a block may have: clients part blocks in odd ways.
const CONTINUATIONS: u32 = 4;

/// Looks at the frames of one connection as they come.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    head: [u8; HEAD],
    /// How much of the next frame's head has come.
    have: u8,
    /// What is still to come of a frame's payload.
    payload: u32,
    /// What is left of each budget.
    left: [u32; BUDGETS.len()],
    /// The second up to which time has refilled them.
    second: u64,
    /// What was sent since the last [`QUOTA`] of answers, in bytes.
    sent: usize,
    /// The streams under way in the order of their numbers, and when they began.
    streams: Vec<(u32, u64)>,
    /// What small frames have cost in this turn.
    small: u32,
    /// Heads that have begun, as the first of which the client's SETTINGS count.
    heads: u32,
    /// Is one under way, up to its END_HEADERS?
    in_block: bool,
    /// CONTINUATIONs of the block that has not ended.
    continuations: u32,
    most_continuations: u32,
}

impl Watch {
    /// Begins to look, at `now_ms`, behind the preface; a block may hold `max_block` bytes.
    pub fn new(now_ms: u64, max_block: usize) -> Watch {
        Watch {
            left: BUDGETS.map(|budget| budget.stock),
            second: now_ms / 1000,
            most_continuations: u32::try_from(max_block / FRAME)
                .unwrap_or(u32::MAX)
                .max(CONTINUATIONS),
            ..Watch::default()
        }
    }

    fn refill(&mut self, earned: impl Fn(&Budget) -> u32) {
        for (left, budget) in self.left.iter_mut().zip(&BUDGETS) {
            *left = left.saturating_add(earned(budget)).min(budget.stock);
        }
    }

    /// The client was sent so many bytes, which are a piece of an answer as it came, or what it has
    /// a window for of a longer one.
    pub fn sent(&mut self, bytes: usize, is_piece: bool) {
        self.sent += bytes;
        let quotas = (self.sent / QUOTA) as u32;
        self.sent %= QUOTA;
        let pieces = u32::from(is_piece);
        self.refill(|budget| quotas * budget.a_quota + pieces * budget.a_piece);
    }

    /// An answer was sent to its end.
    pub fn answered(&mut self) {
        self.refill(|budget| budget.an_answer);
    }

    /// A stream begins, numbered higher than those before it.
    pub fn begin(&mut self, stream: u32, now_ms: u64) {
        self.streams.push((stream, now_ms));
    }

    /// A stream is over; answers when it began, if that is not known already.
    pub fn end(&mut self, stream: u32) -> Option<u64> {
        let at = self.streams.binary_search_by_key(&stream, |(stream, _)| *stream).ok()?;
        Some(self.streams.remove(at).1)
    }

    /// The number of the head that has begun and not ended. From the beginning one has: the
    /// SETTINGS that come first.
    pub fn head(&self) -> Option<u32> {
        let is_head = matches!(self.head[3], 1 | 9) && self.payload > 0;
        (self.heads == 0 || self.in_block || is_head).then_some(self.heads)
    }

    /// Is what was seen whole frames, and whole heads?
    pub fn is_between_frames(&self) -> bool {
        self.have == 0 && self.payload == 0 && self.head().is_none()
    }

    /// Did so many small frames come since that was last so that they should be taken off their
    /// streams before there are more?
    pub fn is_turn_over(&mut self) -> bool {
        self.small >= TURN && std::mem::take(&mut self.small) > 0
    }

    /// Looks at bytes that came; answers with what they are a flood of.
    pub fn see(&mut self, mut bytes: &[u8], now_ms: u64) -> Result<(), Flood> {
        let second = now_ms / 1000;
        let passed = u32::try_from(second.saturating_sub(self.second)).unwrap_or(u32::MAX);
        if passed > 0 {
            self.second = second;
            self.refill(|budget| passed.saturating_mul(budget.a_second));
        }
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = bytes.len().min(self.payload as usize);
                self.payload -= skipped as u32;
                self.settle();
                bytes = &bytes[skipped..];
                continue;
            }
            let have = usize::from(self.have);
            let taken = bytes.len().min(HEAD - have);
            self.head[have..have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken as u8;
            bytes = &bytes[taken..];
            if usize::from(self.have) == HEAD {
                self.have = 0;
                self.take_head(now_ms)?;
            }
        }
        Ok(())
    }

    /// The SETTINGS that come first are whole with their payload.
    fn settle(&mut self) {
        if self.payload == 0 {
            self.heads = self.heads.max(1);
        }
    }

    fn take_head(&mut self, now_ms: u64) -> Result<(), Flood> {
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        self.payload = u32::from_be_bytes([0, a, b, c]);
        let empty = self.payload == 0;
        let flag = |bit: u8| flags & bit != 0;
        self.settle();
        if matches!(kind, 1 | 9) {
            self.heads = self.heads.wrapping_add(u32::from(kind == 1)).max(1);
            // END_HEADERS ends the block.
            self.in_block = !flag(0x4);
        }
        let flood = match kind {
            // END_STREAM makes something of it.
            0 if empty && !flag(0x1) => Flood::EmptyData,
            0 => {
                self.small = self.small.saturating_add(SMALL.saturating_sub(self.payload));
                return Ok(());
            }
            1 | 9 => {
                self.continuations = if kind == 1 { 0 } else { self.continuations + 1 };
                if self.in_block && self.continuations >= self.most_continuations {
                    return Err(Flood::Continuation);
                }
                if !empty {
                    return Ok(());
                }
                Flood::EmptyHeaders
            }
            2 => Flood::Priority,
            3 => {
                let began = self.end(u32::from_be_bytes(stream) & (u32::MAX >> 1));
                if began.is_some_and(|began| now_ms.saturating_sub(began) >= YOUNG_MS) {
                    return Ok(());
                }
                Flood::Reset
            }
            // What acknowledges ours is no request.
            4 if flag(0x1) => return Ok(()),
            4 => Flood::Settings,
            6 => Flood::Ping,
            // PUSH_PROMISE, which a client may not send, and GOAWAY end the connection.
            5 | 7 => return Ok(()),
            8 => Flood::WindowUpdate,
            _ => Flood::Unknown,
        };
        let left = &mut self.left[flood as usize];
        *left = left.checked_sub(1).ok_or(flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let len = (payload.len() as u32).to_be_bytes();
        [&len[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// How many of the frame are taken before it is a flood.
    fn taken(frame: &[u8], at_once: usize) -> (usize, Option<Flood>) {
        let mut watch = Watch::new(0, 64 << 10);
        for count in 0..2000 {
            for part in frame.chunks(at_once) {
                if let Err(flood) = watch.see(part, 999) {
                    return (count, Some(flood));
                }
            }
        }
        (2000, None)
    }

    #[test]
    fn each_kind_has_its_budget_however_it_is_split() {
        for (kind, flags, payload, flood, stock) in [
            (0, 0, &b""[..], Flood::EmptyData, 50),
            (1, 4, b"", Flood::EmptyHeaders, 20),
            (2, 0, b"abcde", Flood::Priority, 200),
            (3, 0, b"abcd", Flood::Reset, 200),
            (4, 0, b"", Flood::Settings, 20),
            (6, 0, b"abcdefgh", Flood::Ping, 50),
            (6, 1, b"abcdefgh", Flood::Ping, 50),
            (8, 0, b"abcd", Flood::WindowUpdate, 500),
            (0x42, 0, b"a", Flood::Unknown, 100),
            (9, 0, b"a", Flood::Continuation, 3),
        ] {
            let frame = frame(kind, flags, payload);
            for at_once in [1, 2, 9, 10, 100] {
                assert_eq!(taken(&frame, at_once), (stock, Some(flood)), "{kind} {at_once}");
            }
        }
    }

    #[test]
    fn what_is_in_earnest_is_no_flood() {
        for (kind, flags, payload) in
            [(0, 1, &b""[..]), (0, 0, b"a"), (1, 4, b"a"), (4, 1, b""), (9, 4, b"a")]
        {
            // A block that ends is followed by others.
            let block = [frame(1, 0, b"a"), frame(kind, flags, payload)].concat();
            assert_eq!(taken(&block, 100).1, None, "{kind}");
        }
    }

    #[test]
    fn time_and_answers_refill_a_budget() {
        let reset = frame(3, 0, b"abcd");
        let mut watch = Watch::new(500, 64 << 10);
        for _ in 0..200 {
            watch.see(&reset, 500).unwrap();
        }
        assert_eq!(watch.clone().see(&reset, 999), Err(Flood::Reset));
        assert_eq!(watch.clone().see(&reset, 1000), Ok(()));
        watch.sent(1 << 20, true);
        assert_eq!(watch.clone().see(&reset, 999), Err(Flood::Reset));
        watch.answered();
        assert_eq!(watch.see(&reset, 999), Ok(()));
        assert_eq!(watch.see(&reset, 999), Err(Flood::Reset));
    }

    #[test]
    fn bytes_and_pieces_of_answers_earn_updates_and_no_byte_by_itself() {
        let (update, ping) = (frame(8, 0, b"abcd"), frame(6, 0, b"abcdefgh"));
        // One after which nothing is left of either.
        let mut spent = Watch::new(0, 64 << 10);
        spent.see(&update.repeat(500), 0).unwrap();
        spent.see(&ping.repeat(50), 0).unwrap();
        for (bytes, is_piece, updates, pings) in
            [(1, true, 4, 1), (1, false, 0, 0), (QUOTA - 1, false, 0, 0), (4 * QUOTA, false, 16, 4)]
        {
            let mut watch = spent.clone();
            watch.sent(bytes, is_piece);
            assert_eq!(watch.see(&update.repeat(updates), 0), Ok(()), "{bytes}");
            assert_eq!(watch.see(&update, 0), Err(Flood::WindowUpdate), "{bytes}");
            let mut watch = spent.clone();
            watch.sent(bytes, is_piece);
            assert_eq!(watch.see(&ping.repeat(pings), 0), Ok(()), "{bytes}");
            assert_eq!(watch.see(&ping, 0), Err(Flood::Ping), "{bytes}");
        }
        (0..QUOTA).for_each(|_| spent.sent(1, false));
        assert_eq!(spent.see(&update.repeat(4), 0), Ok(()));
    }

    #[test]
    fn a_reset_is_charged_where_its_stream_is_young_or_gone() {
        let reset = frame(3, 0, b"abcd");
        let mut spent = Watch::new(0, 64 << 10);
        spent.see(&reset.repeat(200), 0).unwrap();
        assert_eq!(spent.clone().see(&reset, 500), Err(Flood::Reset), "it is not known");
        spent.begin(1, 0);
        spent.begin(3, 0);
        assert_eq!(spent.clone().see(&reset, 99), Err(Flood::Reset));
        assert_eq!(spent.see(&reset, 100), Ok(()));
        assert_eq!((spent.end(1), spent.end(3)), (None, Some(0)));
        assert_eq!(spent.see(&reset, 500), Err(Flood::Reset), "it is gone");
    }

    #[test]
    fn a_head_is_under_way_until_its_last_byte() {
        let mut watch = Watch::new(0, 64 << 10);
        let mut heads = Vec::new();
        for part in [
            &[][..],
            &frame(4, 0, b"abcdef")[..14],
            b"f",
            &frame(1, 0, b"ab"),
            &frame(9, 4, b"cd")[..10],
            b"d",
            &frame(0, 0, b"data")[..10],
            b"ata",
            &frame(1, 5, b"ab")[..10],
            b"b",
        ] {
            watch.see(part, 0).unwrap();
            heads.push((watch.head(), watch.is_between_frames()));
        }
        let (between, within) = ((None, true), (None, false));
        let under_way = |head| (Some(head), false);
        let first = [under_way(0), under_way(0), between];
        let second = [under_way(2), under_way(2), between];
        let third = [within, between, under_way(3), between];
        assert_eq!(heads, [&first[..], &second, &third].concat());
    }

    #[test]
    fn small_frames_end_a_turn() {
        for (len, frames) in [(1, Some(258)), (128, Some(512)), (256, None), (1000, None)] {
            let mut watch = Watch::new(0, 64 << 10);
            let data = frame(0, 0, &[0; 1000][..len]);
            let over = (1..2000).find(|_| {
                watch.see(&data, 0).unwrap();
                watch.is_turn_over()
            });
            assert_eq!(over, frames, "{len}");
            assert!(!watch.is_turn_over(), "another has begun");
        }
    }
}
