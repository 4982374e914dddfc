//! The data and the trailers in the text of a chunked body that the engine wrote.
//!
//! The engine has judged the text, cut its extensions out, and hands over a trailer section whole.
//! Invariants: a text that is not so is refused, never guessed at; no byte is copied here.

use crate::wire::head::Finder;

/// What comes next in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Nothing but framing.
    Framing,
    /// Data; how much of it was taken is told by [`Chunks::take`].
    Data(&'a [u8]),
    /// The end of the body, and its trailer section with the empty line.
    End(&'a [u8]),
}

/// The text breaks the chunked coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunk")]
pub struct Malformed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the digits of a size.
    Size,
    /// In the data.
    Data,
    /// In the line end behind the data: so many bytes of it are to come.
    DataEnd(u8),
    /// Before the trailer section.
    Trailers,
}

/// Where in a chunked body the text has come to.
#[derive(Debug, Clone)]
pub struct Chunks {
    state: State,
    /// The size as far as it is read, then the data still to come.
    left: u64,
}

impl Default for Chunks {
    fn default() -> Self {
        Chunks { state: State::Size, left: 0 }
    }
}

/// What follows the data of the last chunk where no trailers do.
const PLAIN_END: &[u8] = b"\r\n0\r\n\r\n";

impl Chunks {
    /// Looks at the next bytes of the text, of which there are some: how many of them are gone with
    /// it, and what they are. Of data none is gone yet.
    pub fn next<'a>(&mut self, text: &'a [u8]) -> Result<(usize, Piece<'a>), Malformed> {
        match self.state {
            State::Data => {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                Ok((0, Piece::Data(&text[..text.len().min(left)])))
            }
            State::DataEnd(2) if text[0] == b'\r' => {
                self.state = State::DataEnd(1);
                Ok((1, Piece::Framing))
            }
            State::DataEnd(1) if text[0] == b'\n' => {
                self.state = State::Size;
                Ok((1, Piece::Framing))
            }
            State::DataEnd(_) => Err(Malformed),
            State::Size => Ok((self.size(text)?, Piece::Framing)),
            State::Trailers => {
                let len = Finder::default().find(text).ok().flatten().ok_or(Malformed)?;
                Ok((len, Piece::End(&text[..len])))
            }
        }
    }

    /// Takes `count` bytes of the data that is next.
    pub fn take(&mut self, count: usize) {
        debug_assert!(self.state == State::Data && count as u64 <= self.left);
        self.left -= count as u64;
        if self.left == 0 {
            self.state = State::DataEnd(2);
        }
    }

    /// Do these bytes, behind the data that is next, end the body without trailers? Answers how
    /// many they are.
    pub fn plain_end(behind: &[u8]) -> Option<usize> {
        behind.starts_with(PLAIN_END).then_some(PLAIN_END.len())
    }

    /// Reads digits of a size, to the end of their line if it is there.
    fn size(&mut self, text: &[u8]) -> Result<usize, Malformed> {
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'\r' => {}
                b'\n' => {
                    self.state = if self.left == 0 { State::Trailers } else { State::Data };
                    return Ok(at + 1);
                }
                digit => {
                    let value = (*digit as char).to_digit(16).ok_or(Malformed)?;
                    if self.left >> 60 != 0 {
                        return Err(Malformed);
                    }
                    self.left = self.left << 4 | u64::from(value);
                }
            }
        }
        Ok(text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text of which `at_once` bytes are seen at a time, but all of a trailer section.
    fn read(text: &[u8], at_once: usize) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
        let (mut chunks, mut data, mut at) = (Chunks::default(), Vec::new(), 0);
        while at < text.len() {
            let to = (at + at_once).min(text.len());
            let to = if chunks.state == State::Trailers { text.len() } else { to };
            let (gone, piece) = chunks.next(&text[at..to])?;
            at += gone;
            match piece {
                Piece::Framing => {}
                Piece::Data(some) => {
                    data.extend_from_slice(some);
                    chunks.take(some.len());
                    at += some.len();
                }
                Piece::End(section) => return Ok((data, section.to_vec())),
            }
        }
        Err(Malformed)
    }

    #[test]
    fn data_and_trailers_are_found_whatever_comes_at_once() {
        let text = b"5\r\nhello\r\n00a\r\n0123456789\r\n0\r\nA: b\r\n\r\n";
        for at_once in 1..=text.len() {
            let (data, section) = read(text, at_once).unwrap();
            assert_eq!(data, b"hello0123456789", "{at_once}");
            assert_eq!(section, b"A: b\r\n\r\n");
        }
    }

    #[test]
    fn what_breaks_the_coding_is_refused() {
        for text in [&b"g\r\n"[..], b"1\r\nab\r\n", b"1\r\na\n", b"fffffffffffffffff\r\n"] {
            read(text, text.len()).unwrap_err();
        }
    }

    #[test]
    fn an_end_without_trailers_is_seen_behind_the_data() {
        assert_eq!(Chunks::plain_end(b"\r\n0\r\n\r\nrest"), Some(7));
        assert_eq!(Chunks::plain_end(b"\r\n0\r\nA: b\r\n\r\n"), None);
        assert_eq!(Chunks::plain_end(b"\r\n1\r\n"), None);
    }
}
