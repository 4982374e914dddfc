//! Reads an event stream (WHATWG HTML, section 9.2.6) as its bytes come.
//!
//! Invariants: lines end with LF, CR or CRLF, wherever a piece ends; an event that was not ended by
//! an empty line is none; what an event may hold is bounded by [`MAX_EVENT`].

/// The longest event, and the longest line, in bytes.
pub const MAX_EVENT: usize = 8 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawEvent {
    /// Its name; `message` if it has none.
    pub name: String,
    /// Its lines of data, LF between them.
    pub data: String,
    /// The id that it bears itself.
    pub id: Option<String>,
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEvents {
    /// An event is too long.
    #[error("an event is longer than {MAX_EVENT} bytes")]
    TooLong,
    /// A line is no UTF-8.
    #[error("a line is no UTF-8")]
    NotText,
}

/// What came of a stream and makes no event yet.
#[derive(Debug, Default)]
pub struct Events {
    bytes: Vec<u8>,
    /// Before it `bytes` were read.
    at: usize,
    /// Up to there no line ends.
    seen: usize,
    begun: bool,
    after_cr: bool,
    event: RawEvent,
    has_data: bool,
    held: usize,
}

impl Events {
    /// Adds what came.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.at);
        self.seen -= self.at;
        self.at = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// The next event, if all of it came.
    pub fn read(&mut self) -> Result<Option<RawEvent>, BadEvents> {
        while let Some(line) = self.line()? {
            if let Some(event) = self.take(&line)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<String>, BadEvents> {
        if self.after_cr && self.seen < self.bytes.len() {
            self.after_cr = false;
            if self.bytes[self.seen] == b'\n' {
                self.seen += 1;
                self.at = self.seen;
            }
        }
        let Some(end) = memchr::memchr2(b'\n', b'\r', &self.bytes[self.seen..]) else {
            self.seen = self.bytes.len();
            let is_long = self.bytes.len() - self.at > MAX_EVENT;
            return if is_long { Err(BadEvents::TooLong) } else { Ok(None) };
        };
        let end = self.seen + end;
        let line = &self.bytes[self.at..end];
        let line = std::str::from_utf8(line).map_err(|_| BadEvents::NotText)?;
        let line = if self.begun { line } else { line.trim_start_matches('\u{feff}') }.to_owned();
        self.begun = true;
        self.after_cr = self.bytes[end] == b'\r';
        self.seen = end + 1;
        self.at = self.seen;
        Ok(Some(line))
    }

    /// Takes a line; answers the event that it ends.
    fn take(&mut self, line: &str) -> Result<Option<RawEvent>, BadEvents> {
        if line.is_empty() {
            self.held = 0;
            let mut event = std::mem::take(&mut self.event);
            if !std::mem::take(&mut self.has_data) {
                return Ok(None);
            }
            if event.name.is_empty() {
                event.name = "message".into();
            }
            return Ok(Some(event));
        }
        self.held += line.len();
        if self.held > MAX_EVENT {
            return Err(BadEvents::TooLong);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.into(),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.event.id = Some(value.into()),
            // A comment, how long to wait, or what nobody knows yet.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, size: usize) -> Vec<(String, String, Option<String>)> {
        let (mut events, mut all) = (Events::default(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            events.push(piece);
            while let Some(RawEvent { name, data, id }) = events.read().unwrap() {
                all.push((name, data, id));
            }
        }
        all
    }

    #[test]
    fn an_event_is_the_same_however_its_bytes_come() {
        let text = "\u{feff}: hello\nretry: 5\n\nevent: a\ndata: one\ndata:two\ndata\nid: 7\n\n\
                    data:  x\r\n\r\nevent: none\n\nid\rdata: é\r\rdata: not ended\nid: 9\n";
        for size in 1..text.len() {
            assert_eq!(
                all(text, size),
                [
                    ("a".into(), "one\ntwo\n".into(), Some("7".into())),
                    ("message".into(), " x".into(), None),
                    ("message".into(), "é".into(), Some(String::new())),
                ],
                "{size}"
            );
        }
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        let mut events = Events::default();
        events.push(b"data: \xff\n");
        assert_eq!(events.read(), Err(BadEvents::NotText));
        let mut events = Events::default();
        events.push(&vec![b'x'; MAX_EVENT + 1]);
        assert_eq!(events.read(), Err(BadEvents::TooLong));
        let mut events = Events::default();
        let line = format!("data: {}\n", "x".repeat(1 << 20));
        let pushed = (0..9).map(|_| {
            events.push(line.as_bytes());
            events.read()
        });
        assert_eq!(pushed.collect::<Vec<_>>().last(), Some(&Err(BadEvents::TooLong)));
    }
}
