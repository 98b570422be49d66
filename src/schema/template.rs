//! Where a server that is no registry keeps registered schemas: a path with a place for what a record names.

use std::fmt;

use super::RegistryKey;

/// A path below a base URL, query included, with one place in it: `/by-id/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    before: String,
    place: Place,
    after: String,
}

/// What is written into the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// 16 hexadecimal digits.
    Fingerprint,
    /// With hyphens.
    Guid,
    /// 32 hexadecimal digits without hyphens.
    GuidHex,
    Id,
}

const PLACES: [(&str, Place); 4] = [
    ("{fingerprint}", Place::Fingerprint),
    ("{guid}", Place::Guid),
    ("{guid_hex}", Place::GuidHex),
    ("{id}", Place::Id),
];

impl Template {
    /// Reads a path that begins with a slash and has exactly one of the places `{id}`, `{guid}` (with hyphens), `{guid_hex}`
    /// (32 digits) and `{fingerprint}` (16 digits).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (word, place) = PLACES.into_iter().find(|(word, _)| text.contains(word))?;
        let (before, after) = text.split_once(word)?;
        let plain = |part: &str| {
            part.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '{' | '}' | '#' | '\\'))
        };
        let sound = before.starts_with('/')
            && !before.starts_with("//")
            && plain(before)
            && plain(after)
            && !text.split(['/', '?']).any(|segment| matches!(segment, "." | ".."));
        sound.then(|| Self { before: before.to_owned(), place, after: after.to_owned() })
    }

    /// Whether it has a place for `key`.
    #[must_use]
    pub const fn fits(&self, key: &RegistryKey) -> bool {
        matches!(
            (self.place, key),
            (Place::Fingerprint, RegistryKey::Fingerprint(_))
                | (Place::Guid | Place::GuidHex, RegistryKey::Guid(_))
                | (Place::Id, RegistryKey::Id(_))
        )
    }

    /// The path of `key`, if it is of the kind that there is a place for.
    #[must_use]
    pub fn fill(&self, key: &RegistryKey) -> Option<String> {
        let what = match (self.place, key) {
            (Place::Fingerprint, RegistryKey::Fingerprint(fingerprint)) => {
                format!("{fingerprint:016x}")
            }
            (Place::Guid, RegistryKey::Guid(guid)) => guid.to_string(),
            (Place::GuidHex, RegistryKey::Guid(guid)) => guid.to_string().replace('-', ""),
            (Place::Id, RegistryKey::Id(id)) => id.0.to_string(),
            _ => return None,
        };
        Some(format!("{}{what}{}", self.before, self.after))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word =
            PLACES.iter().find(|(_, place)| *place == self.place).map_or("", |(word, _)| word);
        write!(f, "{}{word}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Guid, SchemaId};

    #[test]
    fn a_template_is_filled_with_what_it_has_a_place_for() {
        let guid = Guid::parse("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0").unwrap();
        let (guid, id, fingerprint) = (
            RegistryKey::Guid(guid),
            RegistryKey::Id(SchemaId(42)),
            RegistryKey::Fingerprint(0xa_bcde),
        );
        let table = [
            ("/by-id/{id}", &id, Some("/by-id/42")),
            ("/by-id/{id}", &guid, None),
            ("/g/{guid}.json", &guid, Some("/g/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0.json")),
            (
                "/$schemaGroups/getSchemaById/{guid_hex}?api-version=2023-07-01",
                &guid,
                Some(
                    "/$schemaGroups/getSchemaById/0f1e2d3c4b5a69788796a5b4c3d2e1f0?api-version=2023-07-01",
                ),
            ),
            ("/{fingerprint}", &fingerprint, Some("/00000000000abcde")),
            ("/{fingerprint}", &id, None),
        ];
        for (text, key, filled) in table {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.fill(key).as_deref(), filled, "{text}");
            assert_eq!(template.fits(key), filled.is_some(), "{text}");
            assert_eq!(template.to_string(), text);
        }
    }

    #[test]
    fn a_template_has_one_place_and_stays_below_its_url() {
        for text in [
            "",
            "/",
            "/schemas",
            "by-id/{id}",
            "//evil/{id}",
            "/{id}/{id}",
            "/{id}/{guid}",
            "/{name}/{id}",
            "/../{id}",
            "/./{id}",
            "/{id}#x",
            "/a b/{id}",
            "/\\{id}",
            "/ü/{id}",
        ] {
            assert_eq!(Template::parse(text), None, "{text}");
        }
    }
}
