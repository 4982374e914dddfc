//! Faults: every way in which an exchange can end other than with a dyno's whole answer.
//!
//! A fault answers questions, so that nobody matches on text: which code and status, whose fault,
//! how grave, does it count against the dyno. The H codes, their texts and statuses are those that
//! users of Heroku's router know; faults without an H code bear a stable lower-case name.
//! Invariant: [`Fault::ALL`] lists every fault once; codes are unique but for the causes of H11,
//! H25 and H26.

/// Whose doing a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The client sent something wrong, or left.
    Client,
    /// A dyno failed.
    Dyno,
    /// The app is in a state in which it serves nothing.
    App,
    /// The router cannot go on.
    Router,
}

/// How grave a fault is: `at=` in the log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Meant to be so.
    Info,
    /// The client's doing, nothing is broken.
    Warning,
    /// Somebody should look.
    Error,
}

impl Severity {
    /// The word of the log line.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

macro_rules! faults {
    ($(
        $(#[$doc:meta])*
        $name:ident $code:literal $status:literal $whose:ident $severity:ident $desc:literal;
    )*) => {
        /// Why an exchange ended without a dyno's whole answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Every fault.
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)*];

            /// The code: `H12`, or a lower-case name.
            pub fn code(self) -> &'static str {
                match self { $(Fault::$name => $code,)* }
            }

            /// The HTTP status that the client is answered with, as far as it can still be.
            pub fn status(self) -> u16 {
                match self { $(Fault::$name => $status,)* }
            }

            /// Whose doing it is.
            pub fn whose(self) -> Whose {
                match self { $(Fault::$name => Whose::$whose,)* }
            }

            /// How grave it is.
            pub fn severity(self) -> Severity {
                match self { $(Fault::$name => Severity::$severity,)* }
            }

            /// The text of the log line, and of the error answer.
            pub fn desc(self) -> &'static str {
                match self { $(Fault::$name => $desc,)* }
            }
        }
    };
}

faults! {
    /// No dyno can be chosen, and one or more has crashed.
    AppCrashed "H10" 503 App Error "App crashed";
    /// The app, or its dynos, have as many exchanges as they may, and as many wait as may.
    BacklogTooDeep "H11" 503 App Error "Backlog too deep";
    /// The exchange waited for a place on a dyno as long as it may.
    BacklogTimeout "H11" 503 App Error "Backlog too deep";
    /// The dyno took the whole request and sent nothing within the time for a first byte.
    RequestTimeout "H12" 503 Dyno Error "Request timeout";
    /// The dyno closed before it sent a byte of its answer.
    ClosedWithoutResponse "H13" 503 Dyno Error "Connection closed without response";
    /// The app has no dynos, or all are draining.
    NoDynos "H14" 503 App Error "No web processes running";
    /// The dyno went silent in the middle of its answer.
    IdleConnection "H15" 503 Dyno Error "Idle connection";
    /// The dyno's answer is not HTTP.
    BadResponse "H17" 502 Dyno Error "Poorly formatted HTTP response";
    /// The dyno's connection broke in the middle of the exchange.
    ServerInterrupted "H18" 503 Dyno Error "Server Request Interrupted";
    /// Of the dynos that were tried the last did not take the connection in time.
    ConnectTimeout "H19" 503 Dyno Error "Backend connection timeout";
    /// No dyno could be chosen in time, and one or more is starting.
    BootTimeout "H20" 503 App Error "App boot timeout";
    /// Of the dynos that were tried the last refused the connection.
    ConnectRefused "H21" 503 Dyno Error "Backend connection refused";
    /// The app has as many client connections as it may.
    ConnectionLimit "H22" 503 App Error "Connection limit reached";
    /// The host is not one that the certificate of the connection covers.
    Misdirected "H31" 421 Client Error "Misdirected Request";
    /// The router was stopped in the middle of the exchange.
    ForcedClose "H24" 503 Router Error "Forced close";
    /// The dyno's answer has a header that is larger than the limit.
    OversizedHeader "H25" 502 Dyno Error "HTTP restriction: oversized header";
    /// The dyno's answer has a Set-Cookie line that is larger than the limit.
    OversizedCookie "H25" 502 Dyno Error "HTTP restriction: oversized cookie";
    /// The dyno's answer has a status line that is larger than the limit.
    OversizedStatusLine "H25" 502 Dyno Error "HTTP restriction: oversized status line";
    /// The dyno's answer has a Content-Length that cannot be trusted.
    InvalidContentLength "H25" 502 Dyno Error "HTTP restriction: invalid content length";
    /// The client asked for an expectation that nobody meets.
    BadExpect "H26" 417 Client Error "Request Error";
    /// The request is an app's, but its head breaks the rules of HTTP.
    BadHeader "H26" 400 Client Error "Request Error";
    /// The client's body breaks the chunked coding.
    BadChunk "H26" 400 Client Error "Request Error";
    /// The client left before the answer was whole.
    ClientInterrupted "H27" 499 Client Warning "Client Request Interrupted";
    /// The client went silent in the middle of its request.
    ClientIdle "H28" 499 Client Warning "Client Connection Idle";
    /// Of the dynos that were tried the last did not prove by TLS that it is the app's.
    DynoCertificate "dyno_certificate" 502 Dyno Error "Dyno not proven";
    /// The client's stream of HTTP/2 broke the rules of the protocol, or was reset because of them.
    StreamBroken "H33" 499 Client Warning "HTTP/2 Stream Broken";
    /// Every dyno that is up is in quarantine.
    AllQuarantined "H34" 503 Dyno Error "All up dynos are quarantined";
    /// The app's owner asked for the maintenance page.
    Maintenance "H80" 503 App Info "Maintenance mode";
    /// The app's owner has its requests wait, and this one waited as long as it may.
    Paused "H83" 503 App Info "Planned Service Degradation";
    /// Nothing was ever deployed to the app.
    BlankApp "H81" 502 App Info "Blank app";
    /// The router failed in a way of its own.
    Platform "H99" 503 Router Error "Platform error";
    /// The request breaks the rules of HTTP.
    BadRequest "bad_request" 400 Client Error "Bad request";
    /// The request may go no further and is answered here (RFC 9110, section 7.6.2).
    LastHop "last_hop" 200 Client Info "Answered by the router";
    /// The app is served over HTTPS alone.
    HttpsRedirect "https_redirect" 308 Client Info "Moved to HTTPS";
    /// The host is no route's.
    UnknownHost "unknown_host" 404 Client Error "No such app";
    /// The method is one that a router does not forward.
    MethodNotAllowed "method_not_allowed" 405 Client Error "Method not allowed";
    /// The method is longer than the limit.
    MethodTooLong "method_too_long" 501 Client Error "Method too long";
    /// The client sent its body more slowly than it may.
    ClientTooSlow "client_too_slow" 408 Client Warning "Client too slow";
    /// The app does not let clients of this network in.
    ForbiddenClient "forbidden_client" 403 Client Warning "Client not allowed";
    /// The client, or all of them, asked more often than the app lets them.
    RateLimited "rate_limited" 429 Client Warning "Too many requests";
    /// The client, or all of them, have as many exchanges as the app lets them have.
    TooManyConcurrent "too_many_concurrent" 429 Client Warning "Too many requests at a time";
    /// The client took its answer more slowly than it may.
    SlowReader "slow_reader" 499 Client Warning "Client reads too slowly";
    /// The head of the request did not come in time.
    HeadTimeout "head_timeout" 408 Client Warning "Request head timeout";
    /// The request line is longer than the limit.
    RequestLineTooLong "request_line_too_long" 414 Client Error "Request line too long";
    /// A header, or all of them, are larger than the limit.
    HeadersTooLarge "headers_too_large" 431 Client Error "Request header fields too large";
    /// The router carries as much as it may.
    Overloaded "overloaded" 503 Router Error "Router overloaded";
    /// The request came around to this router too often.
    Loop "loop" 508 Router Error "Loop detected";
    /// The version of HTTP is not spoken here.
    VersionNotSupported "version_not_supported" 505 Client Error "HTTP version not supported";
}

impl Fault {
    /// `cause="…"` of the log line, for the faults that share the code H26, and the one of H11 that
    /// Heroku's router does not have.
    pub fn cause(self) -> Option<&'static str> {
        match self {
            Fault::BacklogTimeout => Some("queue timeout"),
            Fault::BadExpect => Some("unsupported expect header value"),
            Fault::BadHeader => Some("bad header"),
            Fault::BadChunk => Some("bad chunk"),
            _ => None,
        }
    }

    /// `sock=` of the log line: whose connection broke.
    pub fn sock(self) -> Option<&'static str> {
        match self {
            Fault::ServerInterrupted => Some("backend"),
            Fault::ClientInterrupted | Fault::StreamBroken => Some("client"),
            _ => None,
        }
    }

    /// May the client's connection go on to its next request once this fault is answered? Not
    /// where the end of the request is in doubt, nor behind an answer that may have been meant
    /// to deceive.
    pub fn keeps_client(self) -> bool {
        match self.whose() {
            Whose::Client => matches!(
                self,
                Fault::UnknownHost
                    | Fault::LastHop
                    | Fault::Misdirected
                    | Fault::HttpsRedirect
                    | Fault::ForbiddenClient
                    | Fault::RateLimited
                    | Fault::TooManyConcurrent
            ),
            // A dyno that is not proven was asked nothing.
            Whose::Dyno => self.status() != 502 || self == Fault::DynoCertificate,
            // The connection itself is what there are too many of.
            Whose::App => self != Fault::ConnectionLimit,
            Whose::Router => true,
        }
    }

    /// Is the page that answers the fault counted in `bytes=`? Not where the dyno sent nothing that
    /// could be passed on: the figure is then what Heroku's router writes, 0.
    pub fn counts_page(self) -> bool {
        !matches!(self, Fault::RequestTimeout | Fault::ClosedWithoutResponse | Fault::BadResponse)
    }
}
