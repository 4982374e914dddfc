//! Why connections of HTTP/2 are ended because of what their client does, as they are counted.
//!
//! Invariants: a label is never text from the network; the list has each kind once, in the order of
//! the enum.

/// What a client sent too much of, or took too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2Abuse {
    /// RST_STREAM.
    Reset,
    /// CONTINUATION.
    Continuation,
    /// SETTINGS.
    Settings,
    /// PING.
    Ping,
    /// PRIORITY.
    Priority,
    /// WINDOW_UPDATE.
    WindowUpdate,
    /// DATA without any.
    EmptyData,
    /// HEADERS without any.
    EmptyHeaders,
    /// Frames of unknown kinds.
    Unknown,
    /// What the protocol's own bounds end: heads far too large, malformed requests without end,
    /// data in crumbs.
    Excess,
    /// It does not take what is written.
    Stalled,
    /// A head that has begun does not end.
    SlowHead,
}

impl Http2Abuse {
    /// All, with their labels.
    pub const ALL: [(Http2Abuse, &'static str); 12] = [
        (Http2Abuse::Reset, "reset"),
        (Http2Abuse::Continuation, "continuation"),
        (Http2Abuse::Settings, "settings"),
        (Http2Abuse::Ping, "ping"),
        (Http2Abuse::Priority, "priority"),
        (Http2Abuse::WindowUpdate, "window_update"),
        (Http2Abuse::EmptyData, "empty_data"),
        (Http2Abuse::EmptyHeaders, "empty_headers"),
        (Http2Abuse::Unknown, "unknown"),
        (Http2Abuse::Excess, "excess"),
        (Http2Abuse::Stalled, "stalled"),
        (Http2Abuse::SlowHead, "slow_head"),
    ];

    /// Its label.
    pub fn label(self) -> &'static str {
        Http2Abuse::ALL[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_own_place() {
        for (place, (kind, label)) in Http2Abuse::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, kind.label()), (place, label));
        }
    }
}
