//! The path of an op: which object it names.
//!
//! `/apps/{app}`, `/apps/{app}/routes/{host}` with an optional `?path=/prefix`,
//! `/apps/{app}/dynos/{name}`, and `/certs/{name}`. Segments and the parameter are percent-decoded
//! once, after the path was split, so that an escaped slash is part of a name and never a border.
//! Invariant: a path of another shape is not found; one with names that nothing can have is
//! malformed, and every bad name of it is told.

use percent_encoding::percent_decode_str;

use super::push::Mistake;
use crate::{
    control::store::ObjectKey,
    route::{AppName, CertName, DynoName, HostPattern, PathPrefix, RouteKey},
};

const SHAPES: &str = "nothing is there: an op's path is /apps/APP, /apps/APP/routes/HOST with an \
                      optional ?path=/PREFIX, /apps/APP/dynos/NAME, or /certs/NAME";

/// What an op's path names: an object, and the app that it is to belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The app; none for a certificate, which is no app's.
    pub app: Option<AppName>,
    /// The object: the app itself, a dyno or a route of it, or a certificate.
    pub object: ObjectKey,
}

/// Reads an op's path.
pub fn parse(text: &str) -> Result<Named, Vec<Mistake>> {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let segments: Vec<&str> = path.split('/').collect();
    let (app, rest) = match segments.as_slice() {
        ["", "apps", app, rest @ ..] if !app.is_empty() => (*app, rest),
        ["", "certs", name] if !name.is_empty() => return certificate(name, query),
        _ => return Err(not_found()),
    };
    let mut mistakes = Vec::new();
    let app = noted(app_name(app), &mut mistakes);
    let object = match rest {
        [] => {
            mistakes.extend(no_parameters(query));
            app.clone().map(ObjectKey::App)
        }
        ["dynos", name] if !name.is_empty() => {
            mistakes.extend(no_parameters(query));
            let dyno = noted(dyno_name(name), &mut mistakes);
            app.clone().zip(dyno).map(|(app, dyno)| ObjectKey::Dyno(app, dyno))
        }
        ["routes", host] if !host.is_empty() => {
            let host = noted(host_pattern(host), &mut mistakes);
            let path = noted(path_prefix(query), &mut mistakes);
            host.zip(path).map(|(host, path)| ObjectKey::Route(RouteKey { host, path }))
        }
        _ => return Err(not_found()),
    };
    match app.zip(object) {
        Some((app, object)) if mistakes.is_empty() => Ok(Named { app: Some(app), object }),
        _ => Err(mistakes),
    }
}

fn certificate(name: &str, query: Option<&str>) -> Result<Named, Vec<Mistake>> {
    let mut mistakes = Vec::from_iter(no_parameters(query));
    match noted(cert_name(name), &mut mistakes) {
        Some(name) if mistakes.is_empty() => {
            Ok(Named { app: None, object: ObjectKey::Certificate(name) })
        }
        _ => Err(mistakes),
    }
}

/// The object that an op's path names, if it names one.
pub fn object_of(text: &str) -> Option<ObjectKey> {
    parse(text).ok().map(|named| named.object)
}

fn not_found() -> Vec<Mistake> {
    vec![Mistake::missing("path", SHAPES)]
}

fn noted<T>(read: Result<T, Mistake>, mistakes: &mut Vec<Mistake>) -> Option<T> {
    read.map_err(|mistake| mistakes.push(mistake)).ok()
}

fn decoded(field: &str, text: &str) -> Result<String, Mistake> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Mistake::malformed(field, "its escapes are not UTF-8"))
}

fn app_name(text: &str) -> Result<AppName, Mistake> {
    AppName::parse(&decoded("app", text)?).map_err(|error| Mistake::malformed("app", error))
}

fn cert_name(text: &str) -> Result<CertName, Mistake> {
    CertName::parse(&decoded("cert", text)?).map_err(|error| Mistake::malformed("cert", error))
}

fn dyno_name(text: &str) -> Result<DynoName, Mistake> {
    DynoName::parse(&decoded("dyno", text)?).map_err(|error| Mistake::malformed("dyno", error))
}

fn host_pattern(text: &str) -> Result<HostPattern, Mistake> {
    let text = decoded("host", text)?;
    HostPattern::parse(&text).map_err(|error| Mistake::malformed("host", error))
}

fn path_prefix(query: Option<&str>) -> Result<PathPrefix, Mistake> {
    let Some(query) = query else {
        return Ok(PathPrefix::ROOT);
    };
    let value = query.strip_prefix("path=").filter(|value| !value.contains('&'));
    let Some(value) = value else {
        let reason = "the one parameter of a route is path, once: ?path=/prefix";
        return Err(Mistake::malformed("path", reason));
    };
    PathPrefix::parse(&decoded("path", value)?).map_err(|error| Mistake::malformed("path", error))
}

fn no_parameters(query: Option<&str>) -> Option<Mistake> {
    query.map(|_| {
        Mistake::malformed(
            "path",
            "no parameter is known here; only routes have one: ?path=/prefix",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::hub::push::Grade;

    fn route(text: &str) -> String {
        match parse(text).unwrap().object {
            ObjectKey::Route(key) => key.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn mistakes(text: &str) -> Vec<(Grade, String)> {
        parse(text).unwrap_err().into_iter().map(|m| (m.grade, m.field)).collect()
    }

    #[test]
    fn the_four_shapes_name_their_objects() {
        let name = CertName::parse("www.a.test").unwrap();
        assert_eq!(parse("/certs/www.a.test").unwrap().object, ObjectKey::Certificate(name));
        let app = AppName::parse("blog").unwrap();
        assert_eq!(parse("/apps/blog").unwrap().object, ObjectKey::App(app.clone()));
        let dyno = DynoName::parse("web.1").unwrap();
        assert_eq!(parse("/apps/blog/dynos/web.1").unwrap().object, ObjectKey::Dyno(app, dyno));
        assert_eq!(route("/apps/blog/routes/www.a.test"), "www.a.test");
        assert_eq!(route("/apps/blog/routes/www.a.test?path=/api"), "www.a.test/api");
        assert_eq!(route("/apps/blog/routes/WWW.A.test.:8080"), "www.a.test");
    }

    #[test]
    fn segments_and_the_parameter_are_decoded_once() {
        assert_eq!(route("/apps/b%6Cog/routes/%2A.a.test?path=%2Fapi%2Fv1"), "*.a.test/api/v1");
        assert_eq!(route("/apps/blog/routes/a.test?path=/a%252Fb"), "a.test/a%2Fb");
        assert_eq!(route("/apps/blog/routes/a.test?path=/c++"), "a.test/c++");
    }

    #[test]
    fn other_shapes_are_not_found() {
        for text in [
            "",
            "/",
            "apps/blog",
            "/apps",
            "/apps/",
            "/apps//",
            "/apps/blog/",
            "//apps/blog",
            "/apps/blog//dynos/web.1",
            "/apps/blog/dynos",
            "/apps/blog/dynos/",
            "/apps/blog/dynos/web.1/",
            "/apps/blog/routes/a.test/",
            "/apps/blog/certs/x",
            "/v1/apps/blog",
            "/tokens",
            "/certs",
            "/certs/",
            "/certs/a/b",
        ] {
            assert_eq!(mistakes(text), [(Grade::Missing, "path".into())], "{text:?}");
        }
    }

    #[test]
    fn every_bad_name_is_told() {
        let bad = |fields: &[&str]| -> Vec<(Grade, String)> {
            fields.iter().map(|field| (Grade::Malformed, (*field).into())).collect()
        };
        assert_eq!(mistakes("/apps/Blog/dynos/-x"), bad(&["app", "dyno"]));
        assert_eq!(mistakes("/apps/9/routes/a..test?path=x"), bad(&["app", "host", "path"]));
        assert_eq!(mistakes("/apps/blog/routes/*.a..test"), bad(&["host"]));
        assert_eq!(mistakes("/apps/blog/dynos/a%2Fb"), bad(&["dyno"]));
        assert_eq!(mistakes("/apps/%ff"), bad(&["app"]));
        assert_eq!(mistakes("/certs/A?x=1"), bad(&["path", "cert"]));
    }

    #[test]
    fn other_parameters_are_refused() {
        for text in [
            "/apps/blog?path=/x",
            "/apps/blog/dynos/web.1?force=1",
            "/apps/blog/routes/a.test?wait=1",
            "/apps/blog/routes/a.test?path=/a&path=/b",
            "/apps/blog/routes/a.test?",
        ] {
            assert_eq!(mistakes(text), [(Grade::Malformed, "path".into())], "{text:?}");
        }
    }
}
