//! What is written for which Accept.

use proptest::prelude::*;

use super::*;
use crate::wire::head::parse_request;

/// The form for these Accept lines.
fn of_lines(lines: &[&[u8]]) -> Format {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    for line in lines {
        head.extend([b"Accept: ", *line, b"\r\n"].concat());
    }
    head.extend_from_slice(b"\r\n");
    let mut fields = Fields::default();
    parse_request(&head, &mut fields).unwrap();
    Format::accepted(&head, &fields)
}

fn of(accept: &str) -> Format {
    of_lines(&[accept.as_bytes()])
}

#[track_caller]
fn all(expected: Format, accepts: &[&str]) {
    for accept in accepts {
        assert_eq!(of(accept), expected, "{accept:?}");
    }
}

#[test]
fn those_who_say_nothing_or_anything_get_text() {
    assert_eq!(of_lines(&[]), Format::Text);
    all(Format::Text, &["", "*/*", "text/*", "text/plain", "TEXT/Plain", ",, ,"]);
}

#[test]
fn what_browsers_and_libraries_send_gets_what_they_read() {
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
    all(Format::Html, &[browser, "text/html", "application/xhtml+xml, */*;q=0.1"]);
    all(
        Format::Json,
        &[
            "application/json",
            "application/json, text/plain, */*",
            "application/problem+json;q=0.9, text/html;q=0.1",
            "application/json, text/javascript, */*; q=0.01",
            "application/vnd.api+json; version=3",
            "application/*",
            "text/json",
            "image/png, application/json; charset=utf-8",
        ],
    );
}

#[test]
fn the_highest_weight_wins_and_among_equals_the_first() {
    all(Format::Html, &["text/plain;q=0.5, text/html", "text/plain;q=0.998,text/html;q=0.999"]);
    all(Format::Json, &["text/html;q=0.5,application/json;q=0.6,text/plain;q=0.1"]);
    all(Format::Html, &["text/html, application/json, text/plain", "text/html;q=1,text/plain"]);
    all(Format::Json, &["application/json;q=0.3, text/html;q=0.3", "application/*, text/*"]);
    all(Format::Text, &["text/plain;q=1.000, text/html;q=1.0", "*/*, text/html"]);
}

#[test]
fn the_most_specific_range_says_the_weight() {
    // The wildcard comes first and likes everything, yet says nothing of what is named.
    all(Format::Json, &["*/*, text/*;q=0.2, text/plain;q=0.3", "text/*;q=0.5, */*"]);
    all(Format::Html, &["text/*, text/plain;q=0.2", "text/plain;q=0.1, text/*;q=0.2"]);
    all(Format::Text, &["text/html;q=0.1, */*;q=0.2", "text/html;level=1;q=0, text/plain"]);
    // A parameter that we do not write narrows less than a name without one.
    all(Format::Text, &["text/html;level=1, text/html;q=0.2, text/plain;q=0.5"]);
    all(Format::Html, &["text/html;charset=\"UTF-8\";q=0.9, text/plain;q=0.5"]);
}

#[test]
fn a_weight_of_zero_excludes() {
    all(Format::Html, &["*/*, text/plain;q=0", "text/plain;q=0.0, text/*"]);
    all(Format::Json, &["*/*, text/*;q=0", "text/plain;q=0, text/html;q=0.000"]);
    all(Format::Text, &["*/*, text/html;q=0, application/*;q=0"]);
}

#[test]
fn where_nothing_will_do_the_first_that_is_not_excluded_does() {
    all(Format::Text, &["image/png", "*/*;q=0", "text/*;q=0, application/json;q=0"]);
    all(Format::Html, &["image/png, text/plain;q=0"]);
}

#[test]
fn several_lines_are_one_list() {
    assert_eq!(of_lines(&[b"text/html;q=0.4", b"application/json;q=0.5"]), Format::Json);
    assert_eq!(of_lines(&[b"application/json", b"", b"text/html"]), Format::Json);
    assert_eq!(
        of_lines(&[b"text/plain;q=0.5", b"text/plain;q=0", b"text/html;q=0.4"]),
        Format::Text
    );
}

#[test]
fn marks_within_quotes_part_nothing() {
    all(Format::Json, &["image/x;a=\",text/html,\", application/json"]);
    all(Format::Json, &["image/x;a=\"\\\",text/html,\";q=0.5, application/json"]);
    all(Format::Html, &["text/html;a=\";q=0\", text/plain;q=0.5"]);
}

#[test]
fn what_breaks_the_grammar_says_nothing() {
    for bad in [
        "text",
        "/",
        "text/",
        "/html",
        "*",
        "*/html",
        "text/html/x",
        "te xt/html",
        "text/html;q",
        "text/html;q=",
        "text/html;q=2",
        "text/html;q=1.001",
        "text/html;q=-1",
        "text/html;q=.5",
        "text/html;q=0.1234",
        "text/html;q=0,5",
        "text/html;q=1 0",
        "text/html;a",
        "text/html;q==1",
        "text/html;q=\u{e4}",
    ] {
        assert_eq!(of(&format!("{bad}, application/json;q=0.001")), Format::Json, "{bad:?}");
    }
    // A quote that never ends takes what follows with it.
    all(Format::Text, &["image/x;a=\", text/html"]);
}

#[test]
fn white_space_and_empty_parameters_do_not_matter() {
    all(
        Format::Html,
        &["text/html ; q=0.9 ,text/plain\t;q=0.8", "text/html;;q=0.9,text/plain;q=0.8"],
    );
}

proptest! {
    #[test]
    fn whatever_the_lines_are_there_is_a_form(
        lines in prop::collection::vec("[ -~\\t\u{80}-\u{ff}]{0,60}", 0..4)
    ) {
        of_lines(&lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn a_form_that_is_excluded_by_name_is_not_written_where_another_is_liked(
        weights in prop::array::uniform3(0u16..=10), others in "x[a-z]{1,4}/[a-z]{1,5}(;q=0)?"
    ) {
        let names = ["text/plain", "text/html", "application/json"];
        let weight = |w: u16| format!("q={}.{}", w / 10, w % 10);
        let ranges = names.iter().zip(weights).map(|(name, w)| format!("{name};{}", weight(w)));
        let accept = ranges.chain([others]).collect::<Vec<_>>().join(", ");
        let written = FORMATS.iter().position(|format| *format == of(&accept)).unwrap();
        // The first of the highest, by the rule and by a scan.
        let highest = *weights.iter().max().unwrap();
        let first = weights.iter().position(|w| *w == highest).unwrap();
        prop_assert_eq!(written, if highest == 0 { 0 } else { first }, "{}", accept);
    }
}
