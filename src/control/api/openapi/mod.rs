//! `GET /v1/openapi.json`: the push API as an OpenAPI 3.1 document.
//!
//! Reading order: [`calls`] says of every call what it takes and answers, [`params`] what all of
//! a kind take; [`schemas`] makes the components out of the wire types, [`settings`] those of an
//! app's own settings; [`document`] puts all together.
//! Invariants: a call is described if and only if the table of paths has it (a test walks both);
//! the document is the same at every start.

mod calls;
mod document;
mod params;
mod schemas;
mod settings;

pub(super) use document::serve;
