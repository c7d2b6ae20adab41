//! Writing a request: parameters in the address or in the body, the body in its language, envelope and encoding.

use super::{charset, json, xml};
use crate::http::{HttpClient, HttpRequest};
use crate::profile::{Endpoint, ExchangeRule, Format, NumbersStyle, ParameterPlace};
use bytes::Bytes;
use gateway_model::SourceNumber;
use serde_json::{Map, Value};

/// A parameter of a question.
pub(super) type Parameter = (String, Value);

/// A parameter that is a text.
pub(super) fn text(name: &str, value: impl Into<String>) -> Parameter {
    (name.to_owned(), Value::String(value.into()))
}

/// A question.
pub(super) fn question(http: &HttpClient, endpoint: &Endpoint, parameters: Vec<Parameter>) -> HttpRequest {
    question_in(&http.profile().exchange, &http.credentials().app_id, endpoint, parameters)
}

/// A question, written as an exchange is.
pub(super) fn question_in(
    exchange: &ExchangeRule,
    app_id: &str,
    endpoint: &Endpoint,
    parameters: Vec<Parameter>,
) -> HttpRequest {
    let fixed = endpoint.fixed.iter().map(|(name, value)| text(name, value.clone()));
    let parameters: Vec<Parameter> = fixed.chain(parameters).collect();
    let mut request = match endpoint.place {
        ParameterPlace::Query => {
            let values = |(name, value): Parameter| match value {
                Value::Array(list) => list.into_iter().map(|value| (name.clone(), plain(value))).collect(),
                value => vec![(name, plain(value))],
            };
            HttpRequest::get(endpoint.path.clone(), parameters.into_iter().flat_map(values).collect())
        }
        ParameterPlace::Body => {
            let body = body_in(exchange, app_id, &endpoint.service, parameters);
            HttpRequest::post(endpoint.path.clone(), body)
        }
    };
    request.method = endpoint.method;
    request.headers = headers_in(exchange, app_id, &endpoint.service);
    request
}

fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The headers of every request.
pub(super) fn headers(http: &HttpClient, service: &str) -> Vec<(String, String)> {
    headers_in(&http.profile().exchange, &http.credentials().app_id, service)
}

fn headers_in(exchange: &ExchangeRule, app_id: &str, service: &str) -> Vec<(String, String)> {
    let filled = |(name, value): &(String, crate::profile::Template)| {
        (name.clone(), value.fill(service, app_id, "", str::to_owned))
    };
    exchange.headers.iter().map(filled).collect()
}

/// The numbers of a question by number.
pub(super) fn numbers(style: &NumbersStyle, numbers: &[SourceNumber]) -> Value {
    let texts = numbers.iter().map(SourceNumber::as_str);
    match style {
        NumbersStyle::List => Value::Array(texts.map(Value::from).collect()),
        NumbersStyle::Joined(separator) => Value::String(texts.collect::<Vec<_>>().join(separator)),
    }
}

/// A body: fields nested by the dots in their names, in envelope and encoding.
pub(super) fn body(http: &HttpClient, service: &str, fields: Vec<Parameter>) -> Bytes {
    body_in(&http.profile().exchange, &http.credentials().app_id, service, fields)
}

fn body_in(exchange: &ExchangeRule, app_id: &str, service: &str, fields: Vec<Parameter>) -> Bytes {
    let mut payload = Value::Object(Map::new());
    for (path, value) in fields {
        json::put(&mut payload, &path, if exchange.numbers_as_text { as_text(value) } else { value });
    }
    let payload = match exchange.format {
        Format::Json => payload.to_string(),
        Format::Xml => xml::write(&exchange.root, &payload),
    };
    let document = match &exchange.envelope {
        Some(envelope) => envelope.fill(service, app_id, &payload, |text| escape(exchange, text)),
        None => payload,
    };
    charset::encode(exchange.encoding, &document)
}

fn as_text(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(list) => Value::Array(list.into_iter().map(as_text).collect()),
        other => other,
    }
}

/// A text as it may stand between the quotes or tags of a template.
pub(super) fn escape(exchange: &ExchangeRule, text: &str) -> String {
    match exchange.format {
        Format::Json => {
            let quoted = Value::String(text.to_owned()).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
        Format::Xml => xml::escape(text),
    }
}
