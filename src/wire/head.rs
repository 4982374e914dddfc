//! Finds a head's end as its bytes come, and parses the head once into offsets.
//!
//! Invariants: every line of a head ends with CR LF (a bare LF is refused as soon as it is seen,
//! a bare CR by the parser); offsets point into the bytes that were parsed and stay right when
//! those bytes are moved as a whole; nothing is copied.

use std::mem::MaybeUninit;

use super::name::Name;

/// The most headers a head may have, whatever the settings say: the parser's array on the stack.
pub const MAX_FIELDS: usize = 1000;

/// A run of bytes in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The run from `start`, `len` bytes long.
    pub fn new(start: usize, len: usize) -> Span {
        debug_assert!(start <= u32::MAX as usize && len <= u32::MAX as usize);
        Span { start: start as u32, len: len as u32 }
    }

    /// The bytes of the run in the buffer that it was made for.
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.start as usize..][..self.len as usize]
    }

    /// From where to where.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Has it no bytes?
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Where `part`, a slice of `whole`, lies in it.
    fn within(whole: &[u8], part: &[u8]) -> Span {
        Span::new(part.as_ptr() as usize - whole.as_ptr() as usize, part.len())
    }
}

/// One header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// What its name means.
    pub kind: Name,
    /// Its name as it came.
    pub name: Span,
    /// Its value without the white space around it.
    pub value: Span,
}

/// The header lines of a head; kept and filled anew, so that parsing allocates nothing.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<Field>);

impl Fields {
    /// Every line, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.0.iter()
    }

    /// The lines of one kind, in order.
    pub fn of_kind(&self, kind: Name) -> impl Iterator<Item = &Field> {
        self.0.iter().filter(move |field| field.kind == kind)
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why bytes are not a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It breaks the grammar of RFC 9112.
    #[error("malformed head")]
    Malformed,
    /// A line ends with a bare LF (RFC 9112, 2.2 lets us refuse it).
    #[error("a line ends with LF alone")]
    BareLf,
    /// The version is a version of HTTP, but neither 1.0 nor 1.1.
    #[error("HTTP version not supported")]
    Version,
    /// More than [`MAX_FIELDS`] headers.
    #[error("more than {MAX_FIELDS} headers")]
    TooManyFields,
}

/// Looks for the empty line that ends a head, each byte once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finder {
    /// Where the search goes on.
    scanned: usize,
    /// Where the line begins that the search is in.
    line: usize,
}

impl Finder {
    /// Looks at the bytes that came since the last call; `bytes` begins where it began then.
    /// Answers the length of the head, its empty line included.
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        while let Some(at) = memchr::memchr(b'\n', &bytes[self.scanned..]) {
            let lf = self.scanned + at;
            if lf == 0 || bytes[lf - 1] != b'\r' {
                return Err(HeadError::BareLf);
            }
            let empty = lf - 1 == self.line;
            self.scanned = lf + 1;
            self.line = lf + 1;
            if empty {
                return Ok(Some(lf + 1));
            }
        }
        self.scanned = bytes.len();
        Ok(None)
    }

    /// Has the first line ended yet?
    pub fn past_first_line(&self) -> bool {
        self.line > 0
    }
}

/// The first line of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLine {
    /// The method.
    pub method: Span,
    /// The target, as it came.
    pub target: Span,
    /// The minor version: 0 or 1.
    pub minor: u8,
    /// The length of the line without its end.
    pub len: usize,
}

/// The first line of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusLine {
    /// The status, 0 to 999.
    pub status: u16,
    /// The reason phrase, often empty.
    pub reason: Span,
    /// The minor version: 0 or 1.
    pub minor: u8,
    /// The length of the line without its end.
    pub len: usize,
}

/// Parses the head of a request, which [`Finder`] found to be whole.
pub fn parse_request(head: &[u8], fields: &mut Fields) -> Result<RequestLine, HeadError> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut headers) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Ok(_) => return Err(HeadError::Malformed),
        Err(error) => return Err(refine(error, head)),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(HeadError::Malformed);
    };
    collect(head, request.headers, fields)?;
    Ok(RequestLine {
        method: Span::within(head, method.as_bytes()),
        target: Span::within(head, target.as_bytes()),
        minor,
        len: first_line(head),
    })
}

/// Parses the head of an answer, which [`Finder`] found to be whole.
pub fn parse_response(head: &[u8], fields: &mut Fields) -> Result<StatusLine, HeadError> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut response, head, &mut headers) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Ok(_) => return Err(HeadError::Malformed),
        Err(error) => return Err(refine(error, head)),
    }
    let (Some(status), Some(minor)) = (response.code, response.version) else {
        return Err(HeadError::Malformed);
    };
    collect(head, response.headers, fields)?;
    // The reason is taken from the bytes: the parser gives an empty one for obs-text, which passes.
    let len = first_line(head);
    Ok(StatusLine { status, reason: Span::new(13.min(len), len.saturating_sub(13)), minor, len })
}

/// Parses a trailer section that [`Finder`] found to be whole.
pub fn parse_trailers(section: &[u8], fields: &mut Fields) -> Result<(), HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    match httparse::parse_headers(section, &mut headers) {
        Ok(httparse::Status::Complete((len, lines))) if len == section.len() => {
            collect(section, lines, fields)
        }
        Ok(_) => Err(HeadError::Malformed),
        Err(error) => Err(refine(error, section)),
    }
}

/// The most trailer lines of a body.
pub const MAX_TRAILERS: usize = 64;

fn collect(
    head: &[u8],
    headers: &[httparse::Header<'_>],
    fields: &mut Fields,
) -> Result<(), HeadError> {
    fields.0.clear();
    for header in headers {
        let name = header.name.as_bytes();
        // An empty name would point nowhere, and no header has one.
        if name.is_empty() {
            return Err(HeadError::Malformed);
        }
        fields.0.push(Field {
            kind: Name::of(name),
            name: Span::within(head, name),
            value: if header.value.is_empty() {
                Span::default()
            } else {
                Span::within(head, header.value)
            },
        });
    }
    Ok(())
}

fn first_line(head: &[u8]) -> usize {
    memchr::memchr(b'\r', head).unwrap_or(head.len())
}

fn refine(error: httparse::Error, head: &[u8]) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        httparse::Error::Version if names_another_version(head) => HeadError::Version,
        _ => HeadError::Malformed,
    }
}

/// Is the third and last word of the first line a well-formed version (RFC 9112, 2.3), so that
/// only its number is wrong?
fn names_another_version(head: &[u8]) -> bool {
    let mut words = head[..first_line(head)].split(|b| *b == b' ').skip(2);
    let (word, end) = (words.next().unwrap_or_default(), words.next());
    matches!(word, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if end.is_none() && major.is_ascii_digit() && minor.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &[u8]) -> Result<(RequestLine, Fields), HeadError> {
        let mut fields = Fields::default();
        parse_request(head, &mut fields).map(|line| (line, fields))
    }

    #[test]
    fn the_end_is_found_at_any_split() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
        for split in 0..head.len() {
            let mut finder = Finder::default();
            let early = finder.find(&head[..split]).unwrap();
            let end = early.or_else(|| finder.find(head).unwrap());
            assert_eq!(end, Some(27), "split at {split}");
        }
    }

    #[test]
    fn a_bare_lf_is_refused_as_soon_as_it_is_seen() {
        let mut finder = Finder::default();
        assert_eq!(finder.find(b"GET / HTTP/1.1\n"), Err(HeadError::BareLf));
        assert_eq!(Finder::default().find(b"\n"), Err(HeadError::BareLf));
    }

    #[test]
    fn a_request_is_offsets_into_its_bytes() {
        let head = b"GET /a?b HTTP/1.0\r\nHost:  x.test \r\nEmpty:\r\n\r\n";
        let (line, fields) = request(head).unwrap();
        assert_eq!(line.method.of(head), b"GET");
        assert_eq!(line.target.of(head), b"/a?b");
        assert_eq!((line.minor, line.len), (0, 17));
        let host = fields.of_kind(Name::Host).next().unwrap();
        assert_eq!(host.value.of(head), b"x.test");
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        for bad in [
            &b"GET  / HTTP/1.1\r\n\r\n"[..],
            b"GET / HTTP/1.1 \r\n\r\n",
            b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
            b"GET / HTTP/1.1\r\n A: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n",
            b"GET / HTTP/1.1\r\n: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"G(T / HTTP/1.1\r\n\r\n",
            b"GET / HTTX/1.1\r\n\r\n",
            b"GET / http/1.1\r\n\r\n",
            b"GET /\r\n\r\n",
        ] {
            assert!(
                matches!(request(bad), Err(HeadError::Malformed)),
                "{:?}",
                String::from_utf8_lossy(bad)
            );
        }
    }

    #[test]
    fn another_version_is_told_from_no_version() {
        for version in ["2.0", "0.9", "1.2", "3.0"] {
            let head = format!("GET / HTTP/{version}\r\n\r\n");
            assert!(matches!(request(head.as_bytes()), Err(HeadError::Version)), "{version}");
        }
        let four_words = request(b"GET /a b HTTP/1.1\r\n\r\n");
        assert!(matches!(four_words, Err(HeadError::Malformed)));
    }

    #[test]
    fn an_answer_may_lack_its_reason_or_have_an_odd_one() {
        let mut fields = Fields::default();
        for (head, reason) in [
            (&b"HTTP/1.1 200\r\n\r\n"[..], &b""[..]),
            (b"HTTP/1.1 200 \r\n\r\n", b""),
            (b"HTTP/1.1 666 Of \xe4 kind\r\n\r\n", b"Of \xe4 kind"),
        ] {
            let line = parse_response(head, &mut fields).unwrap();
            assert_eq!(line.reason.of(head), reason);
        }
    }
}
