//! An app's own pages: from JSON, checked, and back.
//!
//! A page has a form for each kind of answer that a client may ask for. Invariants: a form is at
//! most [`MAX_PAGE`] bytes of text without NUL, and what is called JSON is JSON, so that whoever
//! answers with a page need not look at it; no page at all is `None`.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::own::{MAX_TOLD, Refused};
use crate::{
    api::{PageBody, PagesBody},
    route::{Page, Pages, settings::MAX_PAGE},
};

const PAGES: &str = "there are error and maintenance";
const FORMS: &str = "a page has html, json and text";

/// Reads an app's own pages.
///
/// # Errors
/// The mistakes in them, to a bound, each named by page and form.
pub fn read(pages: &Map<String, Value>) -> Result<Option<Arc<Pages>>, Vec<Refused>> {
    let mut read = Pages::default();
    let mut refused = Vec::new();
    for (name, page) in pages.iter().take(MAX_TOLD) {
        let place = match name.as_str() {
            "error" => &mut read.error,
            "maintenance" => &mut read.maintenance,
            _ => {
                refused.push((name.clone(), format!("no such page; {PAGES}")));
                continue;
            }
        };
        match page {
            Value::Object(forms) => refused.extend(read_page(name, forms, place)),
            _ => refused.push((name.clone(), format!("a page is an object; {FORMS}"))),
        }
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    Ok((read != Pages::default()).then(|| Arc::new(read)))
}

fn read_page(name: &str, forms: &Map<String, Value>, page: &mut Page) -> Vec<Refused> {
    let mut refused = Vec::new();
    for (form, text) in forms.iter().take(MAX_TOLD) {
        let place = match form.as_str() {
            "html" => &mut page.html,
            "json" => &mut page.json,
            "text" => &mut page.text,
            _ => {
                refused.push((format!("{name}.{form}"), format!("no such form; {FORMS}")));
                continue;
            }
        };
        match read_form(form, text) {
            Ok(text) => *place = Some(text),
            Err(reason) => refused.push((format!("{name}.{form}"), reason)),
        }
    }
    refused
}

fn read_form(form: &str, text: &Value) -> Result<Arc<str>, String> {
    let Value::String(text) = text else {
        return Err("write the page as a text, or leave it out for the router's own".into());
    };
    if text.len() > MAX_PAGE {
        let length = text.len();
        return Err(format!("it has {length} bytes; a form of a page has at most {MAX_PAGE}"));
    }
    if text.contains('\0') {
        return Err("it holds a NUL; take it out".into());
    }
    if form == "json"
        && let Err(error) = serde_json::from_str::<IgnoredAny>(text)
    {
        return Err(format!("its text is not JSON: {error}"));
    }
    Ok(text.as_str().into())
}

/// The pages as the push API says them: only the forms that the app has.
pub fn body(pages: Option<&Pages>) -> PagesBody {
    let text = |form: &Option<Arc<str>>| form.as_deref().map(str::to_owned);
    let page = |page: &Page| {
        let body =
            PageBody { html: text(&page.html), json: text(&page.json), text: text(&page.text) };
        (*page != Page::default()).then_some(body)
    };
    PagesBody {
        error: pages.and_then(|pages| page(&pages.error)),
        maintenance: pages.and_then(|pages| page(&pages.maintenance)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(pages: Value) -> Result<Option<Arc<Pages>>, Vec<Refused>> {
        let Value::Object(pages) = pages else { panic!("{pages}") };
        read(&pages)
    }

    #[test]
    fn every_form_of_every_page_reads_back() {
        let pages = json!({
            "error": { "html": "<h1>é</h1>", "json": "{\"a\":1}", "text": "a\r\nb\t" },
            "maintenance": { "html": "h", "json": "[]", "text": "" },
        });
        let read = of(pages.clone()).unwrap().unwrap();
        assert_eq!(serde_json::to_value(body(Some(&read))).unwrap(), pages);
        let one = of(json!({ "error": { "text": "sorry" } })).unwrap().unwrap();
        assert_eq!(one.error.text.as_deref(), Some("sorry"));
        let told = serde_json::to_value(body(Some(&one))).unwrap();
        assert_eq!(told, json!({ "error": { "text": "sorry" } }));
    }

    #[test]
    fn no_form_at_all_is_none() {
        for none in [json!({}), json!({ "error": {} }), json!({ "error": {}, "maintenance": {} })] {
            assert_eq!(of(none), Ok(None));
        }
        assert_eq!(body(None), PagesBody::default());
    }

    #[test]
    fn a_form_is_bounded_and_is_what_it_is_called() {
        let of_form = |form: &str, text: &str| of(json!({ "error": { form: text } }));
        for form in ["html", "text"] {
            assert!(of_form(form, &"x".repeat(MAX_PAGE)).is_ok());
            let refused = of_form(form, &"x".repeat(MAX_PAGE + 1)).unwrap_err();
            assert_eq!(refused[0].0, format!("error.{form}"));
            assert!(refused[0].1.contains("65537 bytes"), "{refused:?}");
        }
        // Bytes are counted, not characters.
        assert!(of_form("html", &"é".repeat(MAX_PAGE / 2 + 1)).is_err());
        let longest = format!("\"{}\"", "x".repeat(MAX_PAGE - 2));
        assert!(of_form("json", &longest).is_ok() && of_form("json", &(longest + " ")).is_err());
        for text in ["", "{", "{} {}", "nonsense", "{'a':1}", "[1,]"] {
            assert!(of_form("json", text).unwrap_err()[0].1.contains("not JSON"), "{text}");
        }
        assert!(of_form("json", &"[".repeat(MAX_PAGE)).is_err());
        assert!(of_form("text", "a\0b").unwrap_err()[0].1.contains("NUL"));
    }

    #[test]
    fn every_mistake_is_named_by_page_and_form() {
        let refused = of(json!({
            "error": { "html": 1, "json": "{", "xml": "<a/>" },
            "maintenance": "closed",
            "missing": {},
        }));
        let names: Vec<_> = refused.unwrap_err().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["error.html", "error.json", "error.xml", "maintenance", "missing"]);
        let many: Map<_, _> = (0..5000).map(|i| (format!("x{i}"), json!(1))).collect();
        assert_eq!(read(&many).unwrap_err().len(), MAX_TOLD);
    }
}
