//! What a visitor asked for: the rest of the path, and the fields of the query or of a form.
//!
//! Limits: [`FIELDS_MAX`] fields; a form's bytes are bounded before it comes here, a query's by the server.

use jsonrpsee::server::HttpRequest;
use std::collections::BTreeMap;

/// Fields of one query or form.
const FIELDS_MAX: usize = 128;

/// Why a request is not even looked at.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A page of another origin sent a form.
    #[error("forms are taken from this node's own pages only")]
    Foreign,
    /// Too long.
    #[error("the form is too large: max={} bytes", crate::config::FORM_BYTES_MAX)]
    TooLarge,
    /// It did not arrive in time.
    #[error("the form did not arrive in time")]
    Slow,
    /// Not a form.
    #[error("the form is not encoded as forms are")]
    Malformed,
    /// More fields than any page has.
    #[error("too many fields: max={FIELDS_MAX}")]
    TooManyFields,
}

impl Refusal {
    /// The HTTP status that says so.
    pub(super) const fn status(&self) -> u16 {
        match self {
            Self::Foreign => 403,
            Self::TooLarge => 413,
            Self::Slow => 408,
            Self::Malformed | Self::TooManyFields => 400,
        }
    }
}

/// One request for a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Visit {
    /// What follows the page's name in the path; empty for pages about nothing in particular.
    pub(super) argument: String,
    /// Whether only this machine reaches the node.
    pub(super) is_local: bool,
    /// Whether only a part of a page is wanted.
    pub(super) is_partial: bool,
    fields: BTreeMap<String, String>,
}

impl Visit {
    /// Reads an encoded query or form.
    pub(super) fn new(encoded: &str) -> Result<Self, Refusal> {
        let mut fields = BTreeMap::new();
        for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
            if fields.len() >= FIELDS_MAX {
                return Err(Refusal::TooManyFields);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (unescape(name), unescape(value)) else {
                return Err(Refusal::Malformed);
            };
            fields.insert(name, value);
        }
        Ok(Self {
            fields,
            ..Self::default()
        })
    }

    pub(super) fn at(self, argument: &str, is_local: bool) -> Self {
        Self {
            argument: unescape(argument).unwrap_or_default(),
            is_local,
            ..self
        }
    }

    pub(super) fn partial(self, is_partial: bool) -> Self {
        Self { is_partial, ..self }
    }

    /// A field without the spaces around it; empty if there is none.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str).trim()
    }

    /// A field that is a number, if it is one.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.field(name).parse().ok()
    }
}

/// The text that a percent-encoded one means; none if it is no text.
fn unescape(encoded: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let pair = [bytes.next()?, bytes.next()?];
                let digits = std::str::from_utf8(&pair).ok()?;
                decoded.push(u8::from_str_radix(digits, 16).ok()?);
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).ok()
}

/// Whether a form was sent by a page of this node, or by a tool: a browser names the origin of every form.
pub(super) fn is_own(request: &HttpRequest) -> bool {
    let header = |name| request.headers().get(name)?.to_str().ok();
    let Some(origin) = header("origin") else {
        return true;
    };
    let host = crate::front::host(request).unwrap_or_default();
    crate::front::is_same(origin, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let visit = Visit::new("q=+a%26b%3D%C3%A9+&empty&n=7").unwrap();
        assert_eq!(visit.field("q"), "a&b=é");
        assert_eq!(visit.field("empty"), "");
        assert_eq!(visit.number("n"), Some(7));
        assert_eq!(visit.number("q"), None);
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for bad in ["q=%", "q=%g0", "q=%ff", "%f=1"] {
            assert_eq!(Visit::new(bad).unwrap_err(), Refusal::Malformed, "{bad}");
        }
        let many: Vec<_> = (0..=FIELDS_MAX).map(|n| format!("f{n}=1")).collect();
        assert_eq!(
            Visit::new(&many.join("&")).unwrap_err(),
            Refusal::TooManyFields
        );
    }
}
