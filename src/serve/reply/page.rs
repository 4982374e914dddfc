//! What stands in an answer to a fault: a page of the app's own, or the router's.
//!
//! An app's maintenance page is for the maintenance mode, its error page for every other fault of
//! the app, a dyno or the router; what a client did wrong is the router's to say. A form that the
//! app did not push is the router's own: the client gets what it asked for.
//! Invariant: nothing that came with the request is repeated here, so nothing need be escaped.

use std::borrow::Cow;

use super::Format;
use crate::{
    error::{Fault, Whose},
    route::{Page, Pages},
};

/// The body for a fault, and its Content-Type.
pub fn of<'a>(
    fault: Fault,
    format: Format,
    pages: Option<&'a Pages>,
) -> (&'static str, Cow<'a, str>) {
    let own = pages.and_then(|pages| page(fault, pages)).and_then(|page| form(page, format));
    let content_type = match format {
        Format::Text => "text/plain; charset=utf-8",
        Format::Html => "text/html; charset=utf-8",
        Format::Json if own.is_some() => "application/json",
        Format::Json => "application/problem+json",
    };
    (content_type, own.map_or_else(|| Cow::Owned(router(fault, format)), Cow::Borrowed))
}

/// The app's page for a fault.
fn page(fault: Fault, pages: &Pages) -> Option<&Page> {
    match (fault, fault.whose()) {
        (Fault::Maintenance, _) => Some(&pages.maintenance),
        (_, Whose::Client) => None,
        (_, Whose::App | Whose::Dyno | Whose::Router) => Some(&pages.error),
    }
}

fn form(page: &Page, format: Format) -> Option<&str> {
    match format {
        Format::Text => page.text.as_deref(),
        Format::Html => page.html.as_deref(),
        Format::Json => page.json.as_deref(),
    }
}

/// The router's own words.
fn router(fault: Fault, format: Format) -> String {
    let (code, desc, status, hint) = (fault.code(), fault.desc(), fault.status(), hint(fault));
    if fault == Fault::LastHop {
        return String::new();
    }
    match format {
        Format::Text => format!("{status} {desc} ({code})\n{hint}\n"),
        Format::Json => format!(
            "{{\"type\":\"about:blank\",\"title\":\"{desc}\",\"status\":{status},\
             \"detail\":\"{hint}\",\"code\":\"{code}\"}}\n"
        ),
        Format::Html => format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{desc}</title>\
             <style>body{{font:1.1em/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;\
             padding:0 1em;color:#333}}small{{color:#777}}</style></head>\
             <body><h1>{desc}</h1><p>{hint}</p><small>{status} &middot; {code}</small>\
             </body></html>\n"
        ),
    }
}

/// One sentence for whoever reads the answer. No quotes or markup: it goes into every format.
fn hint(fault: Fault) -> &'static str {
    match fault {
        Fault::UnknownHost => {
            "No app has this host. Check the address, or add the domain to an app."
        }
        Fault::Maintenance => "The app is being worked on and will be back soon.",
        Fault::BlankApp => "Nothing has been deployed to the app yet.",
        Fault::NoDynos => "The app runs no dynos. Start one to serve requests.",
        Fault::AppCrashed => "The app has crashed. Its logs say why.",
        Fault::BacklogTooDeep | Fault::BacklogTimeout => {
            "The app has as many requests in progress as it may. Try again in a while."
        }
        Fault::Paused => "The app is paused and will be back soon.",
        Fault::ConnectionLimit => {
            "The app has as many connections as it may. Try again in a while."
        }
        Fault::BootTimeout => "The app did not start in time.",
        Fault::RequestTimeout => "The app did not answer in time.",
        Fault::BadRequest | Fault::BadHeader => {
            "The request breaks the rules of HTTP and was not passed on."
        }
        Fault::BadExpect => "Only the expectation 100-continue is known here.",
        Fault::BadChunk => "The chunked body of the request is malformed.",
        Fault::Misdirected => "This connection is not for that host. Ask for it on one of its own.",
        Fault::HeadTimeout => "The head of the request did not arrive in time.",
        Fault::ClientTooSlow => "The body of the request came more slowly than it may.",
        Fault::ForbiddenClient => "The app does not take requests from your network.",
        Fault::RateLimited => "There were too many requests. Try again in a while.",
        Fault::TooManyConcurrent => {
            "There are too many requests at a time. Try again when others have ended."
        }
        Fault::Overloaded => "The router carries as much as it may. Try again in a while.",
        Fault::RequestLineTooLong => "The request line is longer than the limit.",
        Fault::HeadersTooLarge => "A header, or all of them together, are larger than the limit.",
        Fault::MethodNotAllowed => "CONNECT and TRACE are not forwarded.",
        Fault::MethodTooLong => "The name of the method is longer than the limit.",
        Fault::VersionNotSupported => "Speak HTTP/1.0 or HTTP/1.1.",
        Fault::Loop => "The request came through this router too often.",
        Fault::ForcedClose => "The router is being stopped. Try again.",
        Fault::BadResponse
        | Fault::OversizedHeader
        | Fault::OversizedCookie
        | Fault::OversizedStatusLine
        | Fault::InvalidContentLength => "The app sent an answer that cannot be passed on.",
        Fault::ClosedWithoutResponse
        | Fault::ServerInterrupted
        | Fault::IdleConnection
        | Fault::ConnectTimeout
        | Fault::ConnectRefused
        | Fault::DynoCertificate
        | Fault::AllQuarantined => "The app cannot be reached at the moment. Try again in a while.",
        Fault::Platform => "The router failed in a way of its own. Try again in a while.",
        // Nobody is there to read these.
        Fault::ClientInterrupted | Fault::StreamBroken | Fault::ClientIdle | Fault::SlowReader => {
            "The client has left."
        }
        Fault::HttpsRedirect => "The app is served over HTTPS alone. Ask there.",
        Fault::LastHop => "The request goes no further.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [Format; 3] = [Format::Text, Format::Html, Format::Json];

    fn whole() -> Pages {
        let page = |name: &str| Page {
            html: Some(format!("<p>{name}").into()),
            json: Some(format!("\"{name}\"").into()),
            text: Some(name.into()),
        };
        Pages { error: page("error"), maintenance: page("maintenance") }
    }

    #[test]
    fn each_fault_has_the_page_that_is_for_it() {
        let pages = whole();
        for fault in Fault::ALL {
            let expected = match fault {
                Fault::Maintenance => Some("maintenance"),
                fault if fault.whose() == Whose::Client => None,
                _ => Some("error"),
            };
            let (_, body) = of(*fault, Format::Text, Some(&pages));
            assert_eq!(matches!(body, Cow::Borrowed(_)).then_some(&*body), expected, "{fault:?}");
        }
        // What the words above come to for the faults that most apps meet.
        for (fault, expected) in [
            (Fault::BlankApp, "error"),
            (Fault::AppCrashed, "error"),
            (Fault::BadResponse, "error"),
            (Fault::Loop, "error"),
        ] {
            assert_eq!(of(fault, Format::Text, Some(&pages)).1, expected);
        }
        for fault in [Fault::BadChunk, Fault::BadHeader, Fault::MethodTooLong, Fault::UnknownHost] {
            assert_eq!(of(fault, Format::Text, Some(&pages)), of(fault, Format::Text, None));
        }
    }

    #[test]
    fn a_page_has_the_type_of_its_form() {
        let pages = whole();
        let of = |format| of(Fault::NoDynos, format, Some(&pages));
        assert_eq!(of(Format::Html), ("text/html; charset=utf-8", "<p>error".into()));
        assert_eq!(of(Format::Json), ("application/json", "\"error\"".into()));
        assert_eq!(of(Format::Text), ("text/plain; charset=utf-8", "error".into()));
    }

    #[test]
    fn a_form_that_was_not_pushed_is_the_routers() {
        let html = Page { html: Some("<p>".into()), ..Page::default() };
        let pages = Pages { error: html, maintenance: Page::default() };
        for (fault, format) in [
            (Fault::NoDynos, Format::Json),
            (Fault::NoDynos, Format::Text),
            (Fault::Maintenance, Format::Html),
        ] {
            assert_eq!(of(fault, format, Some(&pages)), of(fault, format, None));
        }
        assert_eq!(of(Fault::NoDynos, Format::Html, Some(&pages)).1, "<p>");
    }

    /// All that are told of as such.
    fn told() -> impl Iterator<Item = &'static Fault> {
        Fault::ALL.iter().filter(|fault| **fault != Fault::LastHop)
    }

    #[test]
    fn the_routers_own_json_is_a_problem() {
        for fault in told() {
            let (content_type, body) = of(*fault, Format::Json, None);
            assert_eq!(content_type, "application/problem+json");
            let json: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(json["status"], fault.status());
            assert_eq!(json["title"], fault.desc());
            assert_eq!(json["code"], fault.code());
        }
    }

    #[test]
    fn the_routers_words_need_no_escapes() {
        for fault in told() {
            for text in [hint(*fault), fault.desc(), fault.code()] {
                assert!(!text.contains(['"', '\\', '<', '>', '&', '\n']), "{text}");
                assert!(!text.is_empty() && text.is_ascii(), "{text}");
            }
            for format in FORMATS {
                assert!(of(*fault, format, None).1.contains(hint(*fault)));
            }
        }
    }
}
