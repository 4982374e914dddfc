//! What both sides of a sequence are to send, drawn from a seed.
//!
//! Invariants: a plan says everything, down to the case of a name and the digits of a chunk's size,
//! so that the same seed sends the same bytes; every message is one that its receiver may send.

use fastrand::Rng;

/// Names and values, in order.
pub type Fields = Vec<(String, String)>;

/// One request and its answer.
#[derive(Debug)]
pub struct Exchange {
    pub request: Request,
    pub answer: Answer,
    /// The client sends the next request without waiting for this answer, where one may follow.
    pub pipelines: bool,
    /// Where no request may follow, the client sends one all the same.
    pub oversends: bool,
}

/// What a client sends.
#[derive(Debug)]
pub struct Request {
    pub method: &'static str,
    /// The target as the client writes it, and as it is in origin form.
    pub target: (String, String),
    pub minor: u8,
    pub fields: Fields,
    pub body: Body,
    pub pace: Pace,
}

/// When a client sends its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// With the head.
    AtOnce,
    /// Once it got a 100.
    Invited,
    /// All but its last byte, which the answer overtakes.
    Overtaken,
}

/// What a dyno sends.
#[derive(Debug)]
pub struct Answer {
    /// The heads before the final one: status and fields.
    pub interim: Vec<(u16, Fields)>,
    pub minor: u8,
    pub status: u16,
    pub reason: &'static str,
    pub fields: Fields,
    pub body: Body,
}

/// A body, and how it is framed.
#[derive(Debug)]
pub enum Body {
    /// There is none, and nothing is said of one.
    None,
    /// There is none, though the head describes one: of an answer to HEAD, a 304 or a 204.
    Described(&'static str, &'static str),
    Length(Vec<u8>),
    Chunked(Chunks),
    UntilClose(Vec<u8>),
}

/// A chunked body.
#[derive(Debug)]
pub struct Chunks {
    pub chunks: Vec<Chunk>,
    /// The extensions of the last chunk.
    pub extension: &'static str,
    pub trailers: Fields,
}

/// One chunk with its size as it is written.
#[derive(Debug)]
pub struct Chunk {
    pub size: String,
    pub extension: &'static str,
    pub data: Vec<u8>,
}

/// The most exchanges of a sequence.
const MOST_EXCHANGES: usize = 8;
/// The most bytes of most bodies.
const LONG_BODY: usize = 20_000;
/// The most bytes of any: less than what the sockets on its way hold unread, since both sides are
/// played in turn.
const LONGEST_BODY: usize = 300_000;
const EXTENSIONS: [&str; 4] = ["", ";a=b", ";q=\"x;y\";z", " ;late"];

/// The exchanges of one sequence.
pub fn sequence(random: &mut Rng, host: &str) -> Vec<Exchange> {
    (0..random.usize(1..=MOST_EXCHANGES)).map(|at| exchange(random, host, at)).collect()
}

fn exchange(random: &mut Rng, host: &str, at: usize) -> Exchange {
    let request = request(random, host, at);
    Exchange {
        answer: answer(random, &request),
        request,
        pipelines: random.bool(),
        oversends: random.u8(..) < 64,
    }
}

fn request(random: &mut Rng, host: &str, at: usize) -> Request {
    let method = pick(random, &["GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "Frob"]);
    let minor = u8::from(random.u8(..) < 210);
    let origin = format!("/{at}/{}", pick(random, &["", "a%2Fb?c=d", "x?y=z&\"q\""]));
    let written = match random.u8(..4) {
        0 => format!("http://{host}{origin}"),
        _ => origin.clone(),
    };
    let body = match random.u8(..6) {
        0 | 1 => Body::None,
        2 | 3 => Body::Length(bytes(random)),
        _ if minor == 0 => Body::Length(bytes(random)),
        _ => Body::Chunked(chunks(random)),
    };
    let has_body = match &body {
        Body::Length(data) => !data.is_empty(),
        Body::Chunked(_) => true,
        _ => false,
    };
    let pace = match random.u8(..8) {
        0 if has_body && minor == 1 => Pace::Invited,
        1 if has_body => Pace::Overtaken,
        _ => Pace::AtOnce,
    };
    let mut fields = vec![("hOsT".to_owned(), host.to_owned())];
    fields.extend(common_fields(random, minor));
    for (name, value) in [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("x_request_id", "twin"),
        ("X-Request-Id", "0123456789-abcdef-0123"),
        ("X-Request-Start", "1"),
        ("TE", "trailers"),
        ("Accept", "*/*;q=0.5"),
        ("Via", "1.0 first"),
    ] {
        maybe(random, &mut fields, name, value);
    }
    match pace {
        Pace::Invited => fields.push(("Expect".into(), "100-continue".into())),
        // A 1.0 client's is ignored, and removed all the same.
        _ if minor == 0 => maybe(random, &mut fields, "Expect", "100-continue"),
        _ => {}
    }
    random.shuffle(&mut fields);
    Request { method, target: (written, origin), minor, fields, body, pace }
}

fn answer(random: &mut Rng, request: &Request) -> Answer {
    let minor = u8::from(random.u8(..) < 210);
    let (status, reason) = pick(
        random,
        &[(200, "OK"), (200, ""), (201, "Of its own"), (204, "No Content"), (304, "Same")],
    );
    let body = match random.u8(..4) {
        _ if request.method == "HEAD" || matches!(status, 204 | 304) => describe(random, minor),
        0 => Body::UntilClose(bytes(random)),
        1 if minor == 1 => Body::Chunked(chunks(random)),
        2 if minor == 1 => Body::Chunked(chunks(random)),
        _ => Body::Length(bytes(random)),
    };
    let mut interim = Vec::new();
    if minor == 1 {
        for _ in 0..random.usize(..4).saturating_sub(1) {
            let link = vec![("Link".to_owned(), "</a.css>; rel=preload".to_owned())];
            interim.push((pick(random, &[100, 102, 103, 103]), link));
        }
    }
    let mut fields = common_fields(random, minor);
    for (name, value) in [
        ("Server", "x/1"),
        ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("Set-Cookie", "a=b; Path=/"),
        ("set-cookie", "c=d"),
        ("Keep-Alive", "timeout=60"),
        ("Hostler-Error", "H99"),
        ("Via", "1.0 first"),
    ] {
        maybe(random, &mut fields, name, value);
    }
    random.shuffle(&mut fields);
    Answer { interim, minor, status, reason, fields, body }
}

fn describe(random: &mut Rng, minor: u8) -> Body {
    match random.u8(..4) {
        0 => Body::None,
        1 if minor == 1 => Body::Described("Transfer-Encoding", "chunked"),
        _ => Body::Described("Content-Length", "12345"),
    }
}

/// Headers that either side may send, the options of its connection among them.
fn common_fields(random: &mut Rng, minor: u8) -> Fields {
    let mut fields = Vec::new();
    for (name, value) in [
        ("X-Empty", ""),
        ("x-TWICE", "1"),
        ("X-Twice", "2 , 3"),
        ("Trailer", "X-Sum"),
        ("Proxy-Connection", "keep-alive"),
    ] {
        maybe(random, &mut fields, name, value);
    }
    let often_kept = if minor == 0 { 128 } else { 40 };
    if random.u8(..) < often_kept {
        fields.push(("Connection".into(), pick(random, &["keep-alive", "Keep-Alive , "]).into()));
    }
    if random.u8(..) < 30 {
        fields.push(("connection".into(), pick(random, &["close", "CLOSE", ",close,"]).into()));
    }
    if random.u8(..) < 40 {
        fields.push(("Connection".into(), "x-hop, X-Absent".into()));
        fields.push(("X-Hop".into(), "1".into()));
        fields.push(("x-hop".into(), "2".into()));
    }
    fields
}

fn chunks(random: &mut Rng) -> Chunks {
    let chunk = |random: &mut Rng| {
        let data = [vec![b'c'], bytes(random)].concat();
        let size = match random.u8(..3) {
            0 => format!("{:x}", data.len()),
            1 => format!("{:X}", data.len()),
            _ => format!("{:08x}", data.len()),
        };
        Chunk { size, extension: pick(random, &EXTENSIONS), data }
    };
    let mut trailers = Vec::new();
    for (name, value) in [
        ("X-Sum", "1"),
        ("x-SUM", ""),
        ("Content-Length", "7"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("x_request_id", "twin"),
        ("Host", "b.test"),
    ] {
        if random.u8(..) < 50 {
            trailers.push((name.to_owned(), value.to_owned()));
        }
    }
    Chunks {
        chunks: (0..random.usize(..4)).map(|_| chunk(random)).collect(),
        extension: pick(random, &EXTENSIONS),
        trailers,
    }
}

/// Bytes that could be taken for framing or for the next message.
fn bytes(random: &mut Rng) -> Vec<u8> {
    let len = match random.u8(..64) {
        0 => random.usize(..LONGEST_BODY),
        1..20 => 0,
        20..36 => random.usize(..8),
        36..50 => random.usize(..300),
        _ => random.usize(..LONG_BODY),
    };
    let part =
        pick(random, &["0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "x"]);
    part.bytes().cycle().take(len).collect()
}

fn maybe(random: &mut Rng, fields: &mut Fields, name: &str, value: &str) {
    if random.u8(..) < 50 {
        fields.push((name.into(), value.into()));
    }
}

fn pick<T: Copy>(random: &mut Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}

impl Request {
    /// The bytes: the head, and the body.
    pub fn wire(&self) -> (Vec<u8>, Vec<u8>) {
        let line = format!("{} {} HTTP/1.{}", self.method, self.target.0, self.minor);
        (head(&line, &self.fields, &self.body), self.body.wire())
    }
}

impl Answer {
    /// The bytes, the interim heads included.
    pub fn wire(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (status, fields) in &self.interim {
            out.extend(head(&format!("HTTP/1.1 {status} Interim"), fields, &Body::None));
        }
        let line = format!("HTTP/1.{} {} {}", self.minor, self.status, self.reason);
        out.extend(head(&line, &self.fields, &self.body));
        out.extend(self.body.wire());
        out
    }
}

fn head(line: &str, fields: &Fields, body: &Body) -> Vec<u8> {
    let mut out = format!("{line}\r\n");
    for (at, (name, value)) in fields.iter().enumerate() {
        // White space around a value is none of its own.
        let blanks = [" ", "", "\t ", " "][at % 4];
        out += &format!("{name}:{blanks}{value}{}\r\n", blanks.trim_start_matches(' '));
    }
    match body {
        Body::None | Body::UntilClose(_) => {}
        Body::Described(name, value) => out += &format!("{name}: {value}\r\n"),
        Body::Length(data) => out += &format!("Content-length: {}\r\n", data.len()),
        Body::Chunked(_) => out += "transfer-encoding: Chunked\r\n",
    }
    (out + "\r\n").into_bytes()
}

impl Body {
    fn wire(&self) -> Vec<u8> {
        match self {
            Body::None | Body::Described(..) => Vec::new(),
            Body::Length(data) | Body::UntilClose(data) => data.clone(),
            Body::Chunked(chunked) => {
                let mut out = Vec::new();
                for chunk in &chunked.chunks {
                    out.extend(format!("{}{}\r\n", chunk.size, chunk.extension).into_bytes());
                    out.extend_from_slice(&chunk.data);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend(format!("0{}\r\n", chunked.extension).into_bytes());
                for (name, value) in &chunked.trailers {
                    out.extend(format!("{name}:{value}\r\n").into_bytes());
                }
                out.extend_from_slice(b"\r\n");
                out
            }
        }
    }
}
