//! Where a question goes, and where its parameters stand.

use super::reader::Section;
use super::reading::read_path;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Where parameters stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterPlace {
    /// In the address.
    Query,
    /// In the body; dots in a name go deeper.
    Body,
}

/// One kind of question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// Where its parameters stand.
    pub place: ParameterPlace,
    /// What `{service}` is in envelope and headers.
    pub service: String,
    /// Parameters that are always the same.
    pub fixed: Vec<(String, String)>,
}

impl Endpoint {
    pub(super) fn read(section: &mut Section, default_method: &'static str) -> Option<Self> {
        let path = read_path(section, "path");
        let method = section.take_or("method", default_method.to_owned());
        let service = section.take_or("service", String::new());
        let fixed = section.take_or::<BTreeMap<String, String>>("fixed", BTreeMap::new());
        let place = section.take_optional::<ParameterPlace>("parameters");
        let method = method.and_then(|method| match method.as_str() {
            "GET" => Some("GET"),
            "POST" => Some("POST"),
            _ => {
                section.mistake("method", "must be GET or POST");
                None
            }
        });
        let by_method = if method == Some("POST") { ParameterPlace::Body } else { ParameterPlace::Query };
        let place = place.map(|place| place.unwrap_or(by_method));
        let bodiless = method == Some("GET") && place == Some(ParameterPlace::Body);
        section.check(!bodiless, "parameters", "a GET has no body");
        Some(Self {
            method: method?,
            path: path?,
            place: place?,
            service: service?,
            fixed: fixed?.into_iter().collect(),
        })
    }
}
