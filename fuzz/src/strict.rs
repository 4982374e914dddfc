//! A strict reading of heads.
//!
//! Invariants: nothing here is shared with the router's own parser, the names that matter to a
//! proxy included: they are stated here once more, from the RFCs and the project's rules; slow and
//! plain, since it is what the other is judged by.

/// Headers for one hop alone (RFC 9110, section 7.6.1), without the one that frames.
pub const HOP_BY_HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade"];
/// Headers that the router writes, or that only it may write.
pub const VOUCHED: [&str; 8] = [
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-request-id",
    "x-request-start",
    "hostler-error",
    "x-client-cert-subject",
];
/// Headers that frame a message.
pub const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// Trailers that we do not pass on, besides those that frame, vouch or are for one hop alone.
pub const NOT_IN_TRAILERS: &[&str] = &[
    "accept",
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authenticate",
    "range",
    "retry-after",
    "set-cookie",
    "trailer",
    "vary",
    "warning",
    "www-authenticate",
    "x-forwarded-host",
    "x-real-ip",
];

/// A head as a strict reader reads it: its first line, and its fields with names in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub first: Vec<u8>,
    pub fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Reads a whole head, the empty line included; nothing if a byte of it breaks RFC 9112.
    pub fn read(head: &[u8]) -> Option<Head> {
        let head = head.strip_suffix(b"\r\n\r\n")?;
        let mut lines = lines(head)?.into_iter();
        let first = lines.next()?.to_vec();
        Some(Head { first, fields: lines.map(field).collect::<Option<_>>()? })
    }

    /// The three words of a request line.
    pub fn request_line(&self) -> Option<[&[u8]; 3]> {
        let words: Vec<&[u8]> = self.first.split(|b| *b == b' ').collect();
        let [method, target, version] = words.try_into().ok()?;
        let visible = |b: &u8| matches!(b, 0x21..=0x7e | 0x80..);
        let good = is_token(method) && !target.is_empty() && target.iter().all(visible);
        good.then_some([method, target, version])
    }

    /// The version, status and reason of a status line.
    pub fn status_line(&self) -> Option<(&[u8], u16, &[u8])> {
        let (version, rest) = self.first.split_at_checked(9)?;
        let (digits, reason) = rest.split_at_checked(3)?;
        let version = version.strip_suffix(b" ")?;
        let status = digits.iter().try_fold(0, |all, digit| {
            digit.is_ascii_digit().then(|| all * 10 + u16::from(digit - b'0'))
        })?;
        let reason = if reason.is_empty() { reason } else { reason.strip_prefix(b" ")? };
        Some((version, status, reason))
    }

    /// The values of a header, in order.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        let fields = self.fields.iter().filter(|(n, _)| n == name);
        fields.map(|(_, value)| value.as_slice()).collect()
    }

    /// The value of a header that is there once.
    pub fn only(&self, name: &str) -> Option<&[u8]> {
        match self.all(name).as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }

    /// What the `Connection` headers list, in lower case.
    pub fn connection(&self) -> Vec<String> {
        let values = self.all("connection").join(&b","[..]);
        let options = values.split(|b| *b == b',').map(|o| o.trim_ascii().to_ascii_lowercase());
        options.filter(|o| !o.is_empty()).map(|o| String::from_utf8_lossy(&o).into()).collect()
    }

    /// The fields that mean something beyond this hop, and are not the proxy's to write.
    pub fn end_to_end(&self, also_removed: &[&str]) -> Vec<(String, Vec<u8>)> {
        let mut named = self.connection();
        // An option that names no header: it says something of the connection alone.
        named.retain(|name| name != "close");
        let goes_on = |name: &str| {
            let known = HOP_BY_HOP.iter().chain(&FRAMING).chain(also_removed);
            !known.into_iter().any(|known| *known == name) && !named.iter().any(|n| n == name)
        };
        self.fields.iter().filter(|(name, _)| goes_on(name)).cloned().collect()
    }
}

/// The same name for servers that take `_` for `-`, of a header that frames, vouches or is for one
/// hop alone.
pub fn is_twin(name: &str) -> bool {
    let folded = name.replace('_', "-");
    let known = HOP_BY_HOP.iter().chain(&VOUCHED).chain(&FRAMING);
    name.contains('_') && known.into_iter().any(|known| *known == folded)
}

/// Lines that end with CR LF, the last one without its end; nothing if a CR or LF stands alone.
fn lines(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let Some(at) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) else {
            lines.push(rest);
            return Some(lines);
        };
        lines.push(&rest[..at]);
        rest = rest[at..].strip_prefix(b"\r\n")?;
    }
}

/// `name: value`, without the white space around the value.
pub fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let begin = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !blank(b)).map_or(begin, |at| at + 1);
    let value = &value[begin..end];
    let allowed = |b: &u8| matches!(b, b'\t' | 0x20..=0x7e | 0x80..);
    let good = is_token(name) && value.iter().all(allowed);
    good.then(|| (String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
}

fn is_token(word: &[u8]) -> bool {
    let tchar = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !word.is_empty() && word.iter().all(tchar)
}

/// How a body ends, as its receiver understands the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Nothing,
    Length(u64),
    Chunked,
    Close,
}

impl Head {
    /// How the body behind this head ends; nothing if two readers could disagree.
    pub fn ends(&self, without: Ends) -> Option<Ends> {
        match (self.all("content-length").as_slice(), self.all("transfer-encoding").as_slice()) {
            ([], []) => Some(without),
            ([length], []) => {
                let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
                let text = std::str::from_utf8(length).ok().filter(|_| digits)?;
                text.parse().ok().map(|n| if n == 0 { Ends::Nothing } else { Ends::Length(n) })
            }
            ([], [coding]) => coding.eq_ignore_ascii_case(b"chunked").then_some(Ends::Chunked),
            _ => None,
        }
    }
}
