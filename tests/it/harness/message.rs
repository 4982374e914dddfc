//! Heads and answers as the tests look at them.
//!
//! Invariant: this reads what a strict reader would and fails the test on anything else: the router
//! must not send what needs a kind reader.

use std::fmt;

/// A head: its first line and its headers, as they came.
#[derive(Clone)]
pub struct Head {
    /// Request line or status line.
    pub line: String,
    /// Names and values in order.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a whole head, its empty line included.
    pub fn parse(text: &[u8]) -> Head {
        let text = String::from_utf8_lossy(text);
        let mut lines =
            text.strip_suffix("\r\n\r\n").expect("a head ends in an empty line").split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("header {line:?}"));
            assert!(!name.contains([' ', '\t', '\n', '\r']), "header {line:?}");
            (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
        };
        Head { line, fields: lines.map(field).collect() }
    }

    /// The status of an answer's head.
    pub fn status(&self) -> u16 {
        let mut words = self.line.split(' ');
        assert_eq!(words.next(), Some("HTTP/1.1"), "{self:?}");
        words.next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{self:?}"))
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = |(field, _): &&(String, String)| field.eq_ignore_ascii_case(name);
        self.fields.iter().filter(named).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that is there once, or not at all.
    pub fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there {} times: {self:?}", all.len());
        all.first().copied()
    }

    /// Is the message's body chunked?
    pub fn is_chunked(&self) -> bool {
        self.get("transfer-encoding").is_some_and(|value| value == "chunked")
    }

    /// The length that the head states.
    pub fn length(&self) -> Option<usize> {
        self.get("content-length").map(|value| value.parse().unwrap())
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.line)?;
        self.fields.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))
    }
}

/// A whole message: an answer, or a request as a dyno sees it.
#[derive(Clone)]
pub struct Answer {
    /// Its head.
    pub head: Head,
    /// Its body without the framing.
    pub body: Vec<u8>,
    /// The trailer lines behind a chunked body.
    pub trailers: Vec<String>,
}

impl Answer {
    /// Its status.
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// Its body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of the router's fault; empty if a dyno answered.
    pub fn fault(&self) -> &str {
        self.head.get("hostler-error").unwrap_or_default()
    }

    /// Status and fault at once.
    pub fn verdict(&self) -> (u16, &str) {
        (self.status(), self.fault())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}\n{}", self.head, self.text())
    }
}
