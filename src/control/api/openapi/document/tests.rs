//! The document against the table of paths and against itself.

use super::{super::schemas::reference, *};
use crate::control::api::paths::PATHS;

/// Every value of a field of that name, however deep.
fn all<'a>(value: &'a Value, field: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(field));
            map.values().for_each(|value| all(value, field, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(value, field, found)),
        _ => {}
    }
}

#[test]
fn what_is_described_is_what_is_served() {
    let described = |call: Call| (call.path, call.method.to_string());
    let mut described: Vec<_> = calls().into_iter().map(described).collect();
    let methods = |row: &'static crate::control::api::paths::Row| {
        row.needs.iter().map(|(method, _)| (row.path, method.to_string()))
    };
    let mut served: Vec<_> = PATHS.iter().flat_map(methods).collect();
    described.sort();
    served.sort();
    assert_eq!(described, served);
}

#[test]
fn every_reference_leads_to_something_and_everything_is_led_to() {
    let document = document();
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 100);
    for reference in &references {
        let path = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(path).is_some(), "{path}");
    }
    for kind in ["schemas", "responses", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let path = Value::from(format!("#/components/{kind}/{name}"));
            assert!(references.contains(&&path), "nothing leads to {path}");
        }
    }
}

#[test]
fn every_call_has_a_name_of_its_own_and_its_scope() {
    let document = document();
    let mut names = Vec::new();
    all(&document["paths"], "operationId", &mut names);
    let count = names.len();
    assert_eq!(count, calls().len());
    names.sort_by_key(|name| name.as_str());
    names.dedup();
    assert_eq!(names.len(), count);
    let put = &document["paths"]["/v1/apps/{app}"]["put"];
    assert_eq!(put["x-scope"], "push:{app}");
    assert_eq!(put["requestBody"]["content"]["application/json"]["schema"], reference("App"));
    assert_eq!(document["paths"]["/healthz"]["get"]["security"], json!([]));
}

#[test]
fn the_document_is_the_same_each_time() {
    assert_eq!(document().to_string(), document().to_string());
}
