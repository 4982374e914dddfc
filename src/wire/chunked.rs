//! The chunked coding (RFC 9112, section 7.1), read strictly and passed on in place.
//!
//! Invariants: a size has 1 to 16 hex digits; every line ends with CR LF; extensions are bounded
//! and cut out (they are for the next hop alone, and a second reader may see their end elsewhere);
//! the trailer section is held back until it is whole, then goes on without the fields that frame,
//! route or vouch; bytes behind the end are not touched.

use super::{
    framing::{Accepted, Coding, FramingError},
    head::{Fields, Finder, parse_trailers},
    name::Name,
};

/// The most hex digits of a chunk's size.
const MAX_SIZE_DIGITS: u8 = 16;
/// The most bytes of the extensions of all chunks of a body: they say nothing that is passed on,
/// and could otherwise keep a body from ever coming to its end.
const MAX_EXTENSIONS: u16 = 16 << 10;
/// The most bytes of a trailer section.
const MAX_TRAILER_SECTION: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the digits of a size.
    Size,
    /// In white space between a size and the `;` of its extension.
    Blank,
    /// In a chunk's extensions.
    Extension,
    /// Before the LF of a size line.
    SizeLf,
    /// In the data of a chunk.
    Data,
    /// Before the CR behind the data.
    DataCr,
    /// Before the LF behind the data.
    DataLf,
    /// In the trailer section.
    Trailers,
    /// Behind the end.
    Done,
}

/// Where in a chunked body the bytes have come to.
#[derive(Debug, Clone)]
pub struct Chunked {
    state: State,
    digits: u8,
    extensions: u16,
    /// The size as far as it is read, then the data still to come.
    left: u64,
    trailers: Finder,
    /// Names that the message's `Connection` keeps to this hop, trailers included (RFC 9110,
    /// section 7.6.1); hardly any message has such.
    kept_here: Option<Box<[Box<[u8]>]>>,
}

impl Default for Chunked {
    fn default() -> Self {
        Chunked {
            state: State::Size,
            digits: 0,
            extensions: 0,
            left: 0,
            trailers: Finder::default(),
            kept_here: None,
        }
    }
}

impl Chunked {
    /// A body whose message names these headers in `Connection`.
    pub fn without<'a>(names: impl Iterator<Item = &'a [u8]>) -> Chunked {
        let names: Box<[Box<[u8]>]> = names.map(Box::from).collect();
        Chunked { kept_here: Some(names).filter(|names| !names.is_empty()), ..Chunked::default() }
    }

    /// Is the body whole?
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// See [`super::framing::Body::opaque`].
    pub fn opaque(&self) -> u64 {
        if self.state == State::Data { self.left } else { 0 }
    }

    /// See [`super::framing::Body::pass`].
    pub fn pass(&mut self, count: u64) {
        self.left -= count;
        if self.left == 0 && self.state == State::Data {
            self.state = State::DataCr;
        }
    }

    /// See [`super::framing::Body::accept`].
    pub fn accept(
        &mut self,
        buffer: &mut Vec<u8>,
        from: usize,
        coding: Coding,
    ) -> Result<Accepted, FramingError> {
        // `read` runs ahead of `write` by what was cut out so far.
        let (mut read, mut write) = (from, from);
        let mut data = 0;
        let keep = coding == Coding::Keep;
        while read < buffer.len() && !matches!(self.state, State::Trailers | State::Done) {
            if self.state == State::Data {
                let here =
                    (buffer.len() - read).min(usize::try_from(self.left).unwrap_or(usize::MAX));
                if read != write {
                    buffer.copy_within(read..read + here, write);
                }
                read += here;
                write += here;
                data += here as u64;
                self.left -= here as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            let byte = buffer[read];
            let frames = self.step(byte)?;
            read += 1;
            if frames && keep {
                buffer[write] = byte;
                write += 1;
            }
        }
        if read != write {
            buffer.copy_within(read.., write);
            buffer.truncate(buffer.len() - (read - write));
        }
        if self.state == State::Trailers {
            write = self.accept_trailers(buffer, write, keep)?;
        }
        Ok(Accepted { ready: write, data })
    }

    /// Takes one byte of framing; answers whether it goes on.
    fn step(&mut self, byte: u8) -> Result<bool, FramingError> {
        match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => self.state = State::SizeLf,
            (State::Size, b';') if self.digits > 0 => self.begin_extension(),
            // "Bad" white space, which a recipient must read over (RFC 9112, 7.1.1).
            (State::Size, b' ' | b'\t') if self.digits > 0 => {
                self.begin_extension();
                self.state = State::Blank;
            }
            (State::Size, digit) => {
                let value = (digit as char).to_digit(16).ok_or(FramingError::Chunk)?;
                if self.digits == MAX_SIZE_DIGITS || self.left >> 59 != 0 {
                    return Err(FramingError::Chunk);
                }
                self.digits += 1;
                self.left = self.left << 4 | u64::from(value);
            }
            (State::Blank, b' ' | b'\t') => self.lengthen_extension()?,
            (State::Blank, b';') => self.state = State::Extension,
            (State::Extension, b'\r') => {
                self.state = State::SizeLf;
                return Ok(true);
            }
            (State::Extension, b'\t' | 0x20..=0x7e | 0x80..) => self.lengthen_extension()?,
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                self.state = if self.left == 0 { State::Trailers } else { State::Data };
            }
            (State::DataCr, b'\r') => self.state = State::DataLf,
            (State::DataLf, b'\n') => self.state = State::Size,
            _ => return Err(FramingError::Chunk),
        }
        Ok(!matches!(self.state, State::Blank | State::Extension))
    }

    fn begin_extension(&mut self) {
        self.state = State::Extension;
    }

    fn lengthen_extension(&mut self) -> Result<(), FramingError> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS { Err(FramingError::Chunk) } else { Ok(()) }
    }

    /// The trailer section begins at `from`: once it is whole, cuts out what does not go on.
    fn accept_trailers(
        &mut self,
        buffer: &mut Vec<u8>,
        from: usize,
        keep: bool,
    ) -> Result<usize, FramingError> {
        let found = self.trailers.find(&buffer[from..]).map_err(|_| FramingError::Trailer)?;
        let Some(len) = found else {
            let too_long = buffer.len() - from > MAX_TRAILER_SECTION;
            return if too_long { Err(FramingError::Trailer) } else { Ok(from) };
        };
        if len > MAX_TRAILER_SECTION {
            return Err(FramingError::Trailer);
        }
        self.state = State::Done;
        let section = &buffer[from..from + len];
        let mut passed = Vec::new();
        let mut fields = Fields::default();
        parse_trailers(section, &mut fields).map_err(|_| FramingError::Trailer)?;
        if keep {
            for field in fields.iter() {
                let name = field.name.of(section);
                if field.kind == Name::Other && !is_forbidden(name) && !self.keeps(name) {
                    passed.extend_from_slice(name);
                    passed.extend_from_slice(b": ");
                    passed.extend_from_slice(field.value.of(section));
                    passed.extend_from_slice(b"\r\n");
                }
            }
            passed.extend_from_slice(b"\r\n");
        }
        let end = from + passed.len();
        buffer.splice(from..from + len, passed);
        Ok(end)
    }
}

impl Chunked {
    fn keeps(&self, name: &[u8]) -> bool {
        self.kept_here.iter().flatten().any(|kept| kept.eq_ignore_ascii_case(name))
    }
}

/// Fields that no trailer section may hold, for a reader that takes them for headers would be
/// misled: what modifies or authenticates the request, controls the answer, or says what the
/// content is (RFC 9110, section 6.5.1); those that frame and route are no [`Name::Other`].
const FORBIDDEN: [&[u8]; 26] = [
    b"age",
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expires",
    b"forwarded",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"location",
    b"origin",
    b"pragma",
    b"proxy-authenticate",
    b"range",
    b"retry-after",
    b"trailer",
    b"vary",
    b"warning",
    b"www-authenticate",
    b"x-forwarded-host",
    b"x-real-ip",
];

fn is_forbidden(name: &[u8]) -> bool {
    Name::is_underscore_twin(name) || FORBIDDEN.iter().any(|f| name.eq_ignore_ascii_case(f))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `wire` in pieces that end at `cuts`; answers what went on and what was left behind.
    fn feed(
        wire: &[u8],
        cuts: &[usize],
        coding: Coding,
    ) -> Result<(Vec<u8>, Vec<u8>, bool), FramingError> {
        let mut chunked = Chunked::default();
        let (mut buffer, mut ready) = (Vec::new(), 0);
        let mut begin = 0;
        for end in cuts.iter().copied().chain([wire.len()]) {
            buffer.extend_from_slice(&wire[begin..end]);
            begin = end;
            ready = chunked.accept(&mut buffer, ready, coding)?.ready;
        }
        Ok((buffer[..ready].to_vec(), buffer[ready..].to_vec(), chunked.is_done()))
    }

    /// The same verdict for every split in three.
    fn every_split(wire: &[u8], coding: Coding) -> Result<(Vec<u8>, Vec<u8>, bool), FramingError> {
        let whole = feed(wire, &[], coding);
        for a in 0..wire.len() {
            for b in a..wire.len() {
                assert_eq!(feed(wire, &[a, b], coding), whole, "split at {a} and {b}");
            }
        }
        whole
    }

    #[test]
    fn chunks_pass_as_they_came() {
        let wire = b"5\r\nhello\r\n00a\r\n0123456789\r\n0\r\n\r\nGET";
        let (sent, left, done) = every_split(wire, Coding::Keep).unwrap();
        assert_eq!(sent, &wire[..wire.len() - 3]);
        assert_eq!((left.as_slice(), done), (&b"GET"[..], true));
    }

    #[test]
    fn stripped_chunks_are_their_data() {
        let wire = b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\nrest";
        let (sent, left, _) = every_split(wire, Coding::Strip).unwrap();
        assert_eq!((sent.as_slice(), left.as_slice()), (&b"hello!"[..], &b"rest"[..]));
    }

    #[test]
    fn extensions_are_cut_out() {
        let wire = b"5;a=\"b;c\"\r\nhello\r\n0 ;x\r\n\r\n";
        let (sent, ..) = every_split(wire, Coding::Keep).unwrap();
        assert_eq!(sent, b"5\r\nhello\r\n0\r\n\r\n");
    }

    #[test]
    fn trailers_pass_without_those_that_frame_or_vouch() {
        let wire = b"0\r\nA: b\r\nContent-Length: 3\r\nX-Request-Id: z\r\nx_forwarded_for: 1\r\n\
            Host: h\r\nC:d\r\n\r\n";
        let (sent, _, done) = every_split(wire, Coding::Keep).unwrap();
        assert_eq!((sent.as_slice(), done), (&b"0\r\nA: b\r\nC: d\r\n\r\n"[..], true));
    }

    #[test]
    fn a_trailer_that_connection_names_ends_here() {
        let mut chunked = Chunked::without([&b"x-a"[..]].into_iter());
        let mut buffer = b"0\r\nX-A: 1\r\nX-B: 2\r\n\r\n".to_vec();
        let ready = chunked.accept(&mut buffer, 0, Coding::Keep).unwrap().ready;
        assert_eq!(&buffer[..ready], b"0\r\nX-B: 2\r\n\r\n");
    }

    #[test]
    fn what_breaks_the_coding_is_refused_at_any_split() {
        for bad in [
            &b"\r\n"[..],
            b";\r\n",
            b"g\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b" 5\r\n",
            b"5 \r\n",
            b"5\n",
            b"5\rx",
            b"5\r\nhelloX",
            b"5\r\nhello\n",
            b"5\r\nhello\rX",
            b"5;a\nb\r\n",
            b"5;a\rb\r\n",
            b"5;a\0\r\n",
            b"00000000000000001\r\n",
            b"ffffffffffffffff\r\n",
            b"0\r\nA : b\r\n\r\n",
            b"0\r\nA\r\n\r\n",
            b"0\r\nA: b\n\r\n",
            b"0\r\n A: b\r\n\r\n",
        ] {
            for coding in [Coding::Keep, Coding::Strip] {
                every_split(bad, coding).expect_err(&String::from_utf8_lossy(bad));
            }
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = [b"5;".as_slice(), &vec![b'a'; usize::from(MAX_EXTENSIONS) + 1]].concat();
        assert_eq!(feed(&long, &[], Coding::Keep), Err(FramingError::Chunk));
        let long = [b"0\r\nA: ".as_slice(), &vec![b'a'; MAX_TRAILER_SECTION]].concat();
        assert_eq!(feed(&long, &[], Coding::Keep), Err(FramingError::Trailer));
    }
}
