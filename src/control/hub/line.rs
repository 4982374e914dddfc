//! One line of a table that is uploaded: the header, or an object in its canonical form.
//!
//! What the form says is read by the same readers as the body of a push, so that a line and a push
//! can never differ in what they allow.
//! Invariants: a field that is not known is refused; every mistake of a line that can be told apart
//! is named; how a line is spelt (blanks, escapes, the order of its fields, a default that is
//! written out) does not matter.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{body, push::Mistake, settings::Settings};
use crate::route::{
    AppName, CertName, Certificate, Change, CoveredHost, Digest, DynoName, HostPattern, KeyKind,
    PathPrefix, PrivateKey, RouteKey, canonical::FORM,
};

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
    /// How many certificates.
    pub certs: Option<u64>,
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
        "cert" => fields.certificate(),
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

    /// What is public of a certificate: it is counted and digested, and changes none that stands.
    fn certificate(mut self) -> Result<Line, Vec<Mistake>> {
        let name = self.name("name", CertName::parse);
        let hosts = self.list("hosts", "a host", CoveredHost::parse);
        let [not_before_s, not_after_s] =
            ["not_before_s", "not_after_s"].map(|field| self.number(field));
        let unknown = "ecdsa-p256, ed25519, rsa-2048 or alike";
        let key_kind = self.name("key_kind", |text| KeyKind::parse(text).ok_or(unknown));
        let fingerprints = self.list("fingerprints", "64 hexadecimal digits", Digest::parse);
        for name in self.fields.keys() {
            let reason = "a certificate has no such field";
            self.mistakes.push(Mistake::malformed(name, reason));
        }
        if !self.mistakes.is_empty() {
            return Err(self.mistakes);
        }
        Ok(Line::Object(Change::PutCertificate(Arc::new(Certificate {
            name: named(name),
            hosts: hosts.into(),
            not_before_s,
            not_after_s,
            key_kind: named(key_kind),
            fingerprints: fingerprints.into(),
            chain: Arc::default(),
            key: PrivateKey::default(),
        }))))
    }

    /// Texts of one kind, at least one.
    fn list<T>(&mut self, field: &str, what: &str, parse: fn(&str) -> Option<T>) -> Vec<T> {
        let values = self.fields.remove(field);
        let values = values.as_ref().and_then(Value::as_array);
        let read = |value: &Value| value.as_str().and_then(parse);
        let read: Option<Vec<T>> = values.and_then(|values| values.iter().map(read).collect());
        read.filter(|read| !read.is_empty()).unwrap_or_else(|| {
            let reason = format!("it should be a list of at least one text, each {what}");
            self.mistakes.push(Mistake::malformed(field, reason));
            Vec::new()
        })
    }

    fn number(&mut self, field: &str) -> u64 {
        self.fields.remove(field).as_ref().and_then(Value::as_u64).unwrap_or_else(|| {
            self.mistakes.push(Mistake::malformed(field, "it should be a whole number"));
            0
        })
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
            let reason =
                format!("{kind:.40?} is none of: app, cert, dyno, route, and table on top");
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
            concat!(
                r#"{"v":1,"kind":"cert","name":"www","hosts":["a.test","*.a.test"],"#,
                r#""not_before_s":1,"not_after_s":2,"key_kind":"rsa-2048","fingerprints":["#,
                r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]}"#
            ),
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
            (r#"{"v":2,"kind":"token"}"#, &["v", "kind"]),
            (
                r#"{"v":1,"kind":"cert","name":"A","hosts":[],"not_before_s":-1,"key":1}"#,
                &[
                    "name",
                    "hosts",
                    "not_before_s",
                    "not_after_s",
                    "key_kind",
                    "fingerprints",
                    "key",
                ],
            ),
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
