//! How handshakes of TLS end, as they are counted.
//!
//! Invariants: every handshake of a client ends in one of these ways; a label is never text from
//! the network; each list has every one once, in the order of the enum.

/// How a handshake came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// In full.
    Full,
    /// With the ticket of a session before.
    Resumed,
}

impl Handshake {
    /// Both, with their labels.
    pub const ALL: [(Handshake, &'static str); 2] =
        [(Handshake::Full, "full"), (Handshake::Resumed, "resumed")];
}

/// Why a handshake did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// It took too long.
    TimeOut,
    /// It took its time while there were as many as there may be.
    Crowded,
    /// The client left.
    Gone,
    /// The client speaks HTTP without TLS.
    PlainHttp,
    /// The client speaks something else.
    NotTls,
    /// No version of TLS is spoken by both sides.
    Version,
    /// The client's certificate cannot be trusted, or is lacking.
    ClientCertificate,
    /// The client does not take the certificate of this side.
    Refused,
    /// Anything else that breaks the protocol.
    Protocol,
}

impl HandshakeFailure {
    /// All, with their labels.
    pub const ALL: [(HandshakeFailure, &'static str); 9] = [
        (HandshakeFailure::TimeOut, "time_out"),
        (HandshakeFailure::Crowded, "crowded"),
        (HandshakeFailure::Gone, "gone"),
        (HandshakeFailure::PlainHttp, "plain_http"),
        (HandshakeFailure::NotTls, "not_tls"),
        (HandshakeFailure::Version, "version"),
        (HandshakeFailure::ClientCertificate, "client_certificate"),
        (HandshakeFailure::Refused, "refused"),
        (HandshakeFailure::Protocol, "protocol"),
    ];

    /// Its label.
    pub fn label(self) -> &'static str {
        HandshakeFailure::ALL[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_stands_at_its_own_place() {
        for (place, (handshake, _)) in Handshake::ALL.into_iter().enumerate() {
            assert_eq!(handshake as usize, place);
        }
        for (place, (failure, label)) in HandshakeFailure::ALL.into_iter().enumerate() {
            assert_eq!((failure as usize, failure.label()), (place, label));
        }
    }
}
