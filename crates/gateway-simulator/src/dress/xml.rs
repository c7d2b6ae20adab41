//! The little XML that dresses need: escaping, and the texts of flat documents.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::Event;

/// A text as it stands between tags, of which a reader gives the same back.
pub(super) fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).replace('\r', "&#13;")
}

/// `<name>text</name>`
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// The text of every element that has one, by its name. `None` where it is no XML.
pub(super) fn texts(document: &str) -> Option<HashMap<String, String>> {
    let mut reader = Reader::from_str(document);
    let (mut open, mut found): (Vec<String>, HashMap<String, String>) = (Vec::new(), HashMap::new());
    loop {
        let more = match reader.read_event().ok()? {
            Event::Start(start) => {
                open.push(start.local_name().into_inner().to_owned());
                continue;
            }
            Event::End(_) => {
                open.pop();
                continue;
            }
            Event::Text(text) => text.xml10_content().into_owned(),
            Event::CData(text) => text.xml10_content().into_owned(),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                Some(letter) => letter.to_string(),
                None => quick_xml::escape::resolve_predefined_entity(&reference.into_inner())?.to_owned(),
            },
            Event::DocType(_) => return None,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
            Event::Eof => return open.is_empty().then_some(found),
        };
        if let Some(name) = open.last() {
            found.entry(name.clone()).or_default().push_str(&more);
        }
    }
}
