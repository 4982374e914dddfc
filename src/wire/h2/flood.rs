//! Floods of frames that cost a server much and a client nothing, seen by the heads of the frames.
//!
//! Every kind of frame that asks for nothing useful has a budget of its own: a stock, which time
//! refills, and so does what the client gets in earnest. The frames of a block of fields are
//! bounded apart, by what the block may hold. Published as CVE-2019-9511 to -9518 (PING, PRIORITY,
//! SETTINGS, empty frames, windows of a byte), CVE-2023-44487 (rapid reset) and CVE-2024-27316
//! (CONTINUATION).
//! Invariants: each byte is looked at once, payloads not at all; nothing here grows; the verdict
//! does not depend on how the bytes were split.

/// What a connection is flooded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// RST_STREAM: requests that are taken back.
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
    /// So many more for each frame of answers.
    a_frame: u32,
    /// So many more for each request that was answered in full.
    an_answer: u32,
}

const fn budget(stock: u32, a_second: u32, a_frame: u32, an_answer: u32) -> Budget {
    Budget { stock, a_second, a_frame, an_answer }
}

/// The most requests that may be taken back at once: the stock of resets.
pub const RESETS: u32 = 200;

/// The budgets, in the order of [`Flood`]. Clients that measure a path send a PING for each frame
/// that they get; careless ones two WINDOW_UPDATEs, of stream and connection.
const BUDGETS: [Budget; 8] = [
    budget(RESETS, 10, 0, 1),
    budget(20, 1, 0, 0),
    budget(50, 2, 1, 1),
    budget(200, 10, 0, 2),
    budget(500, 50, 4, 4),
    budget(50, 1, 0, 0),
    budget(20, 1, 0, 0),
    budget(100, 10, 0, 2),
];

/// The bytes of a frame's head (RFC 9113, section 4.1).
const HEAD: usize = 9;
/// The largest frame that a client may send, since nobody told it of a larger one.
const FRAME: usize = 16 << 10;
/// The fewest CONTINUATIONs that a block may have: clients part blocks in odd ways.
const CONTINUATIONS: u32 = 4;

/// Looks at the frames of one connection as they come.
#[derive(Debug, Clone)]
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
    /// CONTINUATIONs of the block that has not ended.
    continuations: u32,
    most_continuations: u32,
}

impl Watch {
    /// Begins to look, at `now_ms`, behind the preface; a block may hold `max_block` bytes.
    pub fn new(now_ms: u64, max_block: usize) -> Watch {
        Watch {
            head: [0; HEAD],
            have: 0,
            payload: 0,
            left: BUDGETS.map(|budget| budget.stock),
            second: now_ms / 1000,
            continuations: 0,
            most_continuations: u32::try_from(max_block / FRAME)
                .unwrap_or(u32::MAX)
                .max(CONTINUATIONS),
        }
    }

    /// The client got `frames` of answers in earnest, and `answers` to their end.
    pub fn credit(&mut self, frames: u32, answers: u32) {
        for (left, budget) in self.left.iter_mut().zip(&BUDGETS) {
            let earned = frames.saturating_mul(budget.a_frame);
            let earned = earned.saturating_add(answers.saturating_mul(budget.an_answer));
            *left = left.saturating_add(earned).min(budget.stock);
        }
    }

    /// Looks at bytes that came; answers with what they are a flood of.
    pub fn see(&mut self, mut bytes: &[u8], now_ms: u64) -> Result<(), Flood> {
        let second = now_ms / 1000;
        let passed = u32::try_from(second.saturating_sub(self.second)).unwrap_or(u32::MAX);
        if passed > 0 {
            self.second = second;
            for (left, budget) in self.left.iter_mut().zip(&BUDGETS) {
                *left =
                    left.saturating_add(passed.saturating_mul(budget.a_second)).min(budget.stock);
            }
        }
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = bytes.len().min(self.payload as usize);
                self.payload -= skipped as u32;
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
                self.take_head()?;
            }
        }
        Ok(())
    }

    fn take_head(&mut self) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.head;
        self.payload = u32::from_be_bytes([0, a, b, c]);
        let empty = self.payload == 0;
        let flag = |bit: u8| flags & bit != 0;
        let flood = match kind {
            // END_STREAM makes something of it.
            0 if empty && !flag(0x1) => Flood::EmptyData,
            0 => return Ok(()),
            1 | 9 => {
                self.continuations = if kind == 1 { 0 } else { self.continuations + 1 };
                // END_HEADERS ends the block.
                if !flag(0x4) && self.continuations >= self.most_continuations {
                    return Err(Flood::Continuation);
                }
                if !empty {
                    return Ok(());
                }
                Flood::EmptyHeaders
            }
            2 => Flood::Priority,
            3 => Flood::Reset,
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
        watch.credit(1000, 0);
        assert_eq!(watch.clone().see(&reset, 999), Err(Flood::Reset));
        watch.credit(0, 1);
        assert_eq!(watch.see(&reset, 999), Ok(()));
        assert_eq!(watch.see(&reset, 999), Err(Flood::Reset));
        watch.credit(u32::MAX, u32::MAX);
        assert_eq!(watch.left, BUDGETS.map(|budget| budget.stock));
    }
}
