//! Errors with their causes, for logs and people.

use std::error::Error;

/// An error with its causes in one line, each once: what the text says already is not said again.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Says {
        text: &'static str,
        source: Option<Box<Says>>,
    }

    #[test]
    fn each_cause_is_said_once() {
        let says = |text, source: Option<Says>| Says { text, source: source.map(Box::new) };
        let root = says("connection refused", None);
        let error = says("the peer can't be reached", Some(says("send: connection refused", Some(root))));
        assert_eq!(with_causes(&error), "the peer can't be reached: send: connection refused");
    }
}
