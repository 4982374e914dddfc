//! The components of the document: a schema for every wire type, by name.
//!
//! Requests and answers have generators of their own: what may be left out of the one is always
//! told in the other. Invariants: a name stands for one schema; a merge patch of `X` is `XPatch`:
//! nothing is required, and what may be left out may be null, which gives it back its default.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::settings;
use crate::api::schema::COMPONENTS;

/// Makes schemas and keeps those that have names.
pub(super) struct Schemas {
    sent: SchemaGenerator,
    told: SchemaGenerator,
    patches: Vec<String>,
}

impl Schemas {
    pub(super) fn new() -> Schemas {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        let (sent, told) = (settings().for_deserialize(), settings().for_serialize());
        let (sent, told) = (sent.into_generator(), told.into_generator());
        Schemas { sent, told, patches: Vec::new() }
    }

    /// The schema of what is sent.
    pub(super) fn sent(&mut self, make: fn(&mut SchemaGenerator) -> Schema) -> Value {
        make(&mut self.sent).to_value()
    }

    /// The schema of what is answered.
    pub(super) fn told(&mut self, make: fn(&mut SchemaGenerator) -> Schema) -> Value {
        make(&mut self.told).to_value()
    }

    /// The schema of a merge patch of what is sent.
    pub(super) fn patch(&mut self, make: fn(&mut SchemaGenerator) -> Schema) -> Value {
        let name = name_of(&self.sent(make)).expect("what is patched has a name").to_owned();
        self.patches.push(name.clone());
        reference(&format!("{name}Patch"))
    }

    /// Every component, by name.
    pub(super) fn finish(mut self) -> Map<String, Value> {
        let mut all = self.told.take_definitions(true);
        // What is told is told: its default would be that of a reader of older answers.
        all.values_mut().for_each(without_defaults);
        self.sent.definitions_mut().values_mut().for_each(without_default_of_required);
        // Of what is both sent and told, what may be sent is the wider.
        all.extend(self.sent.take_definitions(true));
        all.insert("Settings".into(), settings::schema());
        while let Some(name) = self.patches.pop() {
            let key = format!("{name}Patch");
            if !all.contains_key(&key) {
                let patch = patch_of(&all[&name], &mut self.patches);
                all.insert(key, patch);
            }
        }
        all
    }
}

fn without_default_of_required(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for name in required.iter().filter_map(Value::as_str) {
        schema["properties"][name].as_object_mut().map(|property| property.remove("default"));
    }
}

fn without_defaults(schema: &mut Value) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (_, property) in properties.into_iter().flatten() {
        property.as_object_mut().map(|property| property.remove("default"));
    }
}

/// A reference to a component.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{COMPONENTS}{name}") })
}

fn name_of(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(COMPONENTS)
}

/// A merge patch of an object; patches of what it refers to are wanted too.
fn patch_of(schema: &Value, wanted: &mut Vec<String>) -> Value {
    let mut patch = schema.clone();
    let required = patch.as_object_mut().and_then(|patch| patch.remove("required"));
    let is_required = |name: &String| {
        let names = required.as_ref().and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let properties = patch.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        property.as_object_mut().map(|property| property.remove("default"));
        if let Some(inner) = name_of(property) {
            wanted.push(inner.into());
            property["$ref"] = format!("{COMPONENTS}{inner}Patch").into();
        }
        if !is_required(name) {
            *property = json!({ "anyOf": [property.take(), { "type": "null" }] });
        }
    }
    patch
}
