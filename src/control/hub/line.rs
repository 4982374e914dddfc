//! One line of a table that is uploaded: the header, or an object in its canonical form.
//!
//! What the form says is read by the same readers as the body of a push, so that a line and a push
//! can never differ in what they allow.
//! Invariants: a field that is not known is refused; every mistake of a line that can be told apart
//! is named; how a line is spelt (blanks, escapes, the order of its fields, a default that is
//! written out) does not matter.

use serde_json::{Map, Value};

use super::{body, push::Mistake, settings::Settings};
use crate::route::{AppName, Change, DynoName, HostPattern, PathPrefix, RouteKey, canonical::FORM};

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// What the table is to come to.
    Header(Header),
    /// One object of it.
    Object(Change),
}

/// What a table is to come to; where and when it stood is of no matter here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The digest of its objects, in hexadecimal.
    pub digest: Option<String>,
    /// How many apps it has.
    pub apps: Option<u64>,
    /// How many routes.
    pub routes: Option<u64>,
    /// How many dynos.
    pub dynos: Option<u64>,
}

/// Reads a line.
pub fn read(line: &[u8], settings: &Settings) -> Result<Line, Vec<Mistake>> {
    let not_json = |error| vec![Mistake::malformed("line", format!("not JSON: {error}"))];
    let Value::Object(fields) = serde_json::from_slice(line).map_err(not_json)? else {
        return Err(vec![Mistake::malformed("line", "a line is an object: {\"v\":1,\"kind\":…}")]);
    };
    let mut fields = Fields { fields, mistakes: Vec::new() };
    fields.version();
    let kind = fields.text("kind").unwrap_or_default();
    match kind.as_str() {
        "table" => fields.header(),
        "app" => fields.app(),
        "dyno" => fields.dyno(settings),
        "route" => fields.route(),
        _ => Err(fields.unknown(&kind)),
    }
}

/// The fields of a line, of which those that name its object are taken first; the others are what
/// a push has for its body.
struct Fields {
    fields: Map<String, Value>,
    mistakes: Vec<Mistake>,
}

impl Fields {
    fn version(&mut self) {
        let version = self.fields.remove("v");
        if version.as_ref().and_then(Value::as_u64) != Some(FORM.into()) {
            let reason = format!("the version of the form: this release reads \"v\":{FORM}");
            self.mistakes.push(Mistake::malformed("v", reason));
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let reason = match self.fields.remove(name) {
            Some(Value::String(text)) => return Some(text),
            Some(_) => "it should be a text",
            None => "it is missing",
        };
        self.mistakes.push(Mistake::malformed(name, reason));
        None
    }

    /// A text that names something.
    fn name<T, E: ToString>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(field)?;
        parse(&text).map_err(|error| self.mistakes.push(Mistake::malformed(field, error))).ok()
    }

    fn header(mut self) -> Result<Line, Vec<Mistake>> {
        let header = body::read_header(&self.rest());
        Ok(Line::Header(self.with(header)?))
    }

    fn app(mut self) -> Result<Line, Vec<Mistake>> {
        let name = self.name("name", AppName::parse);
        let settings = body::read_app(Some(&self.rest()));
        let settings = self.with(settings)?;
        Ok(Line::Object(Change::PutApp(named(name), settings)))
    }

    fn dyno(mut self, settings: &Settings) -> Result<Line, Vec<Mistake>> {
        let app = self.name("app", AppName::parse);
        let name = self.name("name", DynoName::parse);
        // One without a name is refused in any case: its other fields are judged all the same.
        let any = || DynoName::parse("a").expect("a letter is a name");
        let dyno = body::read_dyno(&name.unwrap_or_else(any), Some(&self.rest()), settings);
        let dyno = self.with(dyno)?;
        Ok(Line::Object(Change::PutDyno(named(app), dyno)))
    }

    fn route(mut self) -> Result<Line, Vec<Mistake>> {
        let app = self.name("app", AppName::parse);
        let host = self.name("host", HostPattern::parse);
        let path = match self.fields.contains_key("path") {
            true => self.name("path", PathPrefix::parse),
            false => Some(PathPrefix::ROOT),
        };
        let settings = body::read_route(Some(&self.rest()));
        let settings = self.with(settings)?;
        let key = RouteKey { host: named(host), path: named(path) };
        Ok(Line::Object(Change::PutRoute(key, named(app), settings)))
    }

    fn unknown(mut self, kind: &str) -> Vec<Mistake> {
        if self.mistakes.iter().all(|mistake| mistake.field != "kind") {
            let reason = format!("{kind:.40?} is none of: app, dyno, route, and table on top");
            self.mistakes.push(Mistake::malformed("kind", reason));
        }
        self.mistakes
    }

    fn rest(&mut self) -> Value {
        Value::Object(std::mem::take(&mut self.fields))
    }

    /// What was read, if there was no mistake before either.
    fn with<T>(&mut self, read: Result<T, Vec<Mistake>>) -> Result<T, Vec<Mistake>> {
        match read {
            Ok(read) if self.mistakes.is_empty() => Ok(read),
            Ok(_) => Err(std::mem::take(&mut self.mistakes)),
            Err(found) => Err([std::mem::take(&mut self.mistakes), found].concat()),
        }
    }
}

fn named<T>(name: Option<T>) -> T {
    name.expect("a name that is missing was noted as a mistake")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Object;

    fn fields(line: &str) -> Vec<String> {
        let mistakes = read(line.as_bytes(), &Settings::default()).unwrap_err();
        mistakes.into_iter().map(|mistake| mistake.field).collect()
    }

    #[test]
    fn a_canonical_line_is_read_as_what_it_was_written_of() {
        for line in [
            r#"{"v":1,"kind":"app","name":"blog"}"#,
            concat!(
                r#"{"v":1,"kind":"app","name":"blog","maintenance":true,"#,
                r#""settings":{"timeouts.idle":"1250ms"},"pages":{"error":{"text":"\"\u0001é"}}}"#
            ),
            r#"{"v":1,"kind":"dyno","app":"blog","name":"web.1","addr":"10.0.0.1:5000"}"#,
            concat!(
                r#"{"v":1,"kind":"dyno","app":"blog","name":"web.1","addr":"[fd00::1]:1","#,
                r#""release":"v12","weight":7,"state":"draining","ttl_s":30}"#
            ),
            r#"{"v":1,"kind":"route","app":"blog","host":"*.a.test","path":"/api"}"#,
            r#"{"v":1,"kind":"route","app":"blog","host":"a.test","protected":true}"#,
        ] {
            let Ok(Line::Object(change)) = read(line.as_bytes(), &Settings::default()) else {
                panic!("{line}");
            };
            assert_eq!(Object::put_by(&change).unwrap().line(), line);
        }
    }

    #[test]
    fn a_header_says_what_is_to_come() {
        let line = concat!(
            r#"{"v":1,"kind":"table","revision":4,"at_ms":9,"digest":"ab","#,
            r#""apps":1,"routes":2,"dynos":3}"#
        );
        let Ok(Line::Header(header)) = read(line.as_bytes(), &Settings::default()) else {
            panic!("{line}");
        };
        assert_eq!(header.digest.as_deref(), Some("ab"));
        assert_eq!((header.apps, header.routes, header.dynos), (Some(1), Some(2), Some(3)));
        assert_eq!(
            fields(r#"{"v":1,"kind":"table","apps":"x","dynos":-1,"digest":7}"#),
            ["digest", "apps", "dynos"]
        );
        assert_eq!(fields(r#"{"v":1,"kind":"table","hosts":1}"#), ["hosts"]);
    }

    #[test]
    fn every_mistake_of_a_line_is_named() {
        for (line, expected) in [
            ("", &["line"][..]),
            ("{", &["line"]),
            ("[]", &["line"]),
            ("{}", &["v", "kind"]),
            (r#"{"v":2,"kind":"cert"}"#, &["v", "kind"]),
            (r#"{"v":1,"kind":7}"#, &["kind"]),
            (r#"{"v":1,"kind":"app","name":"Blog","blank":1}"#, &["name", "blank"]),
            (r#"{"v":1,"kind":"app","name":"a","settings":{"x":1}}"#, &["settings.x"]),
            (r#"{"v":1,"kind":"dyno","addr":"x","weight":0}"#, &["app", "name", "addr", "weight"]),
            (r#"{"v":1,"kind":"dyno","app":"a","name":"b","addr":"169.254.0.1:1"}"#, &["addr"]),
            (
                r#"{"v":1,"kind":"route","app":1,"host":"a..b","path":"x"}"#,
                &["app", "host", "path"],
            ),
            (r#"{"v":1,"kind":"route","app":"a","host":"a.b","to":"x"}"#, &["to"]),
        ] {
            assert_eq!(fields(line), expected, "{line}");
        }
    }
}
