//! The header names that the router must understand.
//!
//! A name is classified once, when the head is parsed, by its length and a comparison without case.
//! Invariant: [`Name::of`] is total; what it does not know is [`Name::Other`] and passes untouched.

/// A header that means something to the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Any other header.
    Other,
    /// `Host` (RFC 9110, 7.2).
    Host,
    /// `Connection` (RFC 9110, 7.6.1).
    Connection,
    /// `Content-Length` (RFC 9110, 8.6).
    ContentLength,
    /// `Transfer-Encoding` (RFC 9112, 6.1).
    TransferEncoding,
    /// `Keep-Alive` (RFC 2068, 19.7.1.1).
    KeepAlive,
    /// `Proxy-Connection` (RFC 9110, 7.6.1).
    ProxyConnection,
    /// `Proxy-Authorization` (RFC 9110, 11.7.2).
    ProxyAuthorization,
    /// `TE` (RFC 9110, 10.1.4).
    Te,
    /// `Upgrade` (RFC 9110, 7.8).
    Upgrade,
    /// `Expect` (RFC 9110, 10.1.1).
    Expect,
    /// `Max-Forwards` (RFC 9110, 7.6.2).
    MaxForwards,
    /// `Via` (RFC 9110, 7.6.3).
    Via,
    /// `Date` (RFC 9110, 6.6.1).
    Date,
    /// `Accept` (RFC 9110, 12.5.1).
    Accept,
    /// `Cookie` (RFC 6265, 4.2).
    Cookie,
    /// `Set-Cookie` (RFC 6265, 4.1).
    SetCookie,
    /// `X-Forwarded-For`.
    ForwardedFor,
    /// `X-Forwarded-Proto`.
    ForwardedProto,
    /// `X-Forwarded-Port`.
    ForwardedPort,
    /// `X-Request-Id`.
    RequestId,
    /// `X-Request-Start`.
    RequestStart,
    /// `Hostler-Error`.
    HostlerError,
    /// `X-Client-Cert-Subject`.
    ClientCertSubject,
    /// `Strict-Transport-Security` (RFC 6797, 6.1).
    StrictTransportSecurity,
    /// `Endpoint-Load-Metrics` (gRFC A51).
    LoadMetrics,
}

/// The longest of the names known here, in bytes.
const LONGEST: usize = 25;

impl Name {
    /// What a header's name means; case does not matter.
    pub fn of(name: &[u8]) -> Name {
        let candidates: &[(&str, Name)] = match name.len() {
            2 => &[("te", Name::Te)],
            3 => &[("via", Name::Via)],
            4 => &[("host", Name::Host), ("date", Name::Date)],
            6 => &[("accept", Name::Accept), ("cookie", Name::Cookie), ("expect", Name::Expect)],
            7 => &[("upgrade", Name::Upgrade)],
            10 => &[
                ("connection", Name::Connection),
                ("set-cookie", Name::SetCookie),
                ("keep-alive", Name::KeepAlive),
            ],
            12 => &[("x-request-id", Name::RequestId), ("max-forwards", Name::MaxForwards)],
            13 => &[("hostler-error", Name::HostlerError)],
            14 => &[("content-length", Name::ContentLength)],
            15 => {
                &[("x-forwarded-for", Name::ForwardedFor), ("x-request-start", Name::RequestStart)]
            }
            16 => &[
                ("x-forwarded-port", Name::ForwardedPort),
                ("proxy-connection", Name::ProxyConnection),
            ],
            17 => &[
                ("x-forwarded-proto", Name::ForwardedProto),
                ("transfer-encoding", Name::TransferEncoding),
            ],
            19 => &[("proxy-authorization", Name::ProxyAuthorization)],
            21 => &[
                ("x-client-cert-subject", Name::ClientCertSubject),
                ("endpoint-load-metrics", Name::LoadMetrics),
            ],
            25 => &[("strict-transport-security", Name::StrictTransportSecurity)],
            _ => &[],
        };
        candidates
            .iter()
            .find(|(text, _)| name.eq_ignore_ascii_case(text.as_bytes()))
            .map_or(Name::Other, |(_, known)| *known)
    }

    /// Is this name, with `_` read as `-`, one that the router sets or that frames a message?
    ///
    /// Many application servers (CGI, WSGI, Rack) fold `-` and `_` into one, so such a twin could
    /// stand in for the header that the router vouches for.
    pub fn is_underscore_twin(name: &[u8]) -> bool {
        if name.len() > LONGEST || !name.contains(&b'_') {
            return false;
        }
        let mut folded = [0u8; LONGEST];
        for (to, from) in folded.iter_mut().zip(name) {
            *to = if *from == b'_' { b'-' } else { *from };
        }
        let twin = Name::of(&folded[..name.len()]);
        twin.is_set_by_router() || twin.is_hop_by_hop() || matches!(twin, Name::ContentLength)
    }

    /// Does the router write this header itself on the way to a dyno?
    pub fn is_set_by_router(self) -> bool {
        matches!(
            self,
            Name::Via
                | Name::ForwardedFor
                | Name::ForwardedProto
                | Name::ForwardedPort
                | Name::RequestId
                | Name::RequestStart
                | Name::HostlerError
                | Name::ClientCertSubject
        )
    }

    /// May `Connection` not name this header? Removing it would change what the message means or
    /// undo what the router vouches for.
    pub fn is_essential(self) -> bool {
        self.is_set_by_router()
            || matches!(self, Name::Host | Name::ContentLength | Name::TransferEncoding)
    }

    /// Is this header meant for the next hop alone (RFC 9110, 7.6.1)?
    pub fn is_hop_by_hop(self) -> bool {
        self.is_of_connection() || self == Name::ProxyAuthorization
    }

    /// Does this header speak of the connection, which HTTP/2 does itself (RFC 9113, 8.2.2)?
    pub fn is_of_connection(self) -> bool {
        matches!(
            self,
            Name::Connection
                | Name::TransferEncoding
                | Name::KeepAlive
                | Name::ProxyConnection
                | Name::Te
                | Name::Upgrade
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter() {
        assert_eq!(Name::of(b"hOSt"), Name::Host);
        assert_eq!(Name::of(b"X-Forwarded-FOR"), Name::ForwardedFor);
        assert_eq!(Name::of(b"x-custom"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
    }

    #[test]
    fn an_underscore_twin_of_a_header_that_we_set_is_known() {
        assert!(Name::is_underscore_twin(b"X_Forwarded_For"));
        assert!(Name::is_underscore_twin(b"x-request_id"));
        assert!(Name::is_underscore_twin(b"Content_Length"));
        assert!(Name::is_underscore_twin(b"transfer_encoding"));
        assert!(!Name::is_underscore_twin(b"X-Forwarded-For"));
        assert!(!Name::is_underscore_twin(b"my_header"));
        assert!(!Name::is_underscore_twin(b"a_header_that_is_much_longer_than_any_known"));
    }
}
