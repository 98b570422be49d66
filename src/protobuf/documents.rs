//! Documents → descriptors: parses what is imported, directly or not, each before those that import it.
//!
//! Imports are followed without recursion and flattened: each document then imports all that it can see, because the linker
//! neither follows chains of public imports to their end nor, where they cross, ends in this lifetime.

use super::bounds::{self, check_source, is_base64, no_editions};
use super::clean::Cleaner;
use super::well_known::{self, WellKnown};
use crate::{
    datum::{SchemaFault, cut},
    limits::SchemaLimits,
    text::shown,
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost_reflect::{prost::Message, prost_types::FileDescriptorProto};
use protox::file::File;
use std::collections::{BTreeMap, BTreeSet};

/// Descriptors of a document and of all that it imports.
pub(super) struct Loaded {
    /// Each behind those that it imports.
    pub(super) files: Vec<FileDescriptorProto>,
    /// What the document itself is called among them.
    pub(super) main: String,
}

/// Reads the document `text` and those of `references` that it needs.
pub(super) fn load(
    text: &str,
    references: &[(&str, &str)],
    limits: &SchemaLimits,
) -> Result<Loaded, SchemaFault> {
    bounds::check(text, references, limits)?;
    let mut given = BTreeMap::new();
    for (path, text) in references {
        if given.insert(*path, *text).is_some_and(|other| other != *text) {
            let path = shown(path.as_bytes());
            return Err(SchemaFault::new(format!("two references are called \"{path}\"")));
        }
    }
    // No import shall lead to the document itself.
    let mut main = "schema.proto".to_owned();
    while given.contains_key(&*main) {
        main.insert(0, '_');
    }
    let mut loader = Loader { given, limits, cleaner: Cleaner::new(limits), done: Vec::new() };
    loader.run(&main, text)?;
    loader.cleaner.finish()?;
    Ok(Loaded { files: flatten(loader.done), main })
}

struct Loader<'a> {
    given: BTreeMap<&'a str, &'a str>,
    limits: &'a SchemaLimits,
    cleaner: Cleaner<'a>,
    done: Vec<FileDescriptorProto>,
}

impl Loader<'_> {
    /// Follows imports depth first, with a stack of documents that are not done.
    fn run(&mut self, main: &str, text: &str) -> Result<(), SchemaFault> {
        let mut names = BTreeMap::from([(main.to_owned(), Progress::Open)]);
        let mut stack = vec![(self.read(main, text)?, 0_usize)];
        while let Some((file, next)) = stack.last_mut() {
            let Some(import) = file.dependency.get(*next).cloned() else {
                names.insert(file.name().to_owned(), Progress::Done);
                self.done.extend(stack.pop().map(|(file, _)| file));
                continue;
            };
            *next = next.saturating_add(1);
            match names.get(&import) {
                Some(Progress::Done) => {}
                Some(Progress::Open) => {
                    let import = shown(import.as_bytes());
                    return Err(SchemaFault::new(format!("\"{import}\" imports itself")));
                }
                None => {
                    let found = self.find(&import)?;
                    names.insert(import, Progress::Open);
                    stack.push((found, 0));
                }
            }
        }
        Ok(())
    }

    fn find(&mut self, import: &str) -> Result<FileDescriptorProto, SchemaFault> {
        let shown = shown(import.as_bytes());
        let read = match self.given.get(import).copied() {
            Some(text) => self.read(import, text),
            None => match well_known::find(import) {
                Some(WellKnown::Descriptor(file)) => self.cleaner.clean(*file, import),
                Some(WellKnown::Source(text)) => self.read(import, text),
                None => {
                    let detail = format!("import \"{shown}\" is not among the references");
                    return Err(SchemaFault::new(detail));
                }
            },
        };
        read.map_err(|fault| fault.within(&shown))
    }

    fn read(&mut self, name: &str, text: &str) -> Result<FileDescriptorProto, SchemaFault> {
        let file = if is_base64(text) { decode(text)? } else { self.parse(text)? };
        self.cleaner.clean(file, name)
    }

    fn parse(&self, text: &str) -> Result<FileDescriptorProto, SchemaFault> {
        check_source(text, self.limits)?;
        let parsed = File::from_source("schema", text);
        parsed.map(FileDescriptorProto::from).map_err(|error| {
            // This one of its texts has line and column.
            let detail = shown(format!("{error:?}").as_bytes());
            let detail = detail.strip_prefix("schema:").unwrap_or(&detail);
            SchemaFault::new(format!("no Protobuf source: {}", detail.trim_start()))
        })
    }
}

enum Progress {
    Open,
    Done,
}

/// A descriptor in base64. prost bounds how deeply it nests.
fn decode(text: &str) -> Result<FileDescriptorProto, SchemaFault> {
    let compact: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, config).decode(compact).map_err(|error| {
        SchemaFault::new(format!("neither Protobuf source nor base64: {error}"))
    })?;
    if empty_parts(&bytes) > MAX_EMPTY_PARTS {
        let detail = "base64, but no descriptor of a Protobuf document: too many empty parts";
        return Err(SchemaFault::new(detail.to_owned()));
    }
    let file = FileDescriptorProto::decode(&*bytes).map_err(|error| {
        let detail = shown(error.to_string().as_bytes());
        SchemaFault::new(format!("base64, but no descriptor of a Protobuf document: {detail}"))
    })?;
    match file.syntax() {
        "" | "proto2" | "proto3" => Ok(file),
        "editions" => Err(no_editions()),
        other => Err(SchemaFault::new(format!("unknown syntax \"{}\"", cut(other)))),
    }
}

/// Parts of a descriptor without a byte in them: two bytes make one, for which a decoder takes hundreds.
const MAX_EMPTY_PARTS: usize = 20_000;

/// How many there may be at most, counted without decoding.
fn empty_parts(bytes: &[u8]) -> usize {
    let empty = |part: &&[u8]| match part {
        [tag, 0, ..] | [tag, 0x80, 0, ..] => tag & 7 == 2,
        _ => false,
    };
    (0..bytes.len()).filter_map(|at| bytes.get(at..)).filter(empty).count()
}

/// Lets each document import all that it can see, and nothing publicly.
fn flatten(files: Vec<FileDescriptorProto>) -> Vec<FileDescriptorProto> {
    let mut exported: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut flat = Vec::with_capacity(files.len());
    for mut file in files {
        let mut seen = BTreeSet::new();
        let mut exports = BTreeSet::from([file.name().to_owned()]);
        for (index, import) in file.dependency.iter().enumerate() {
            let through = exported.get(import).into_iter().flatten();
            seen.extend(through.clone().cloned());
            if file.public_dependency.iter().any(|public| usize::try_from(*public) == Ok(index)) {
                exports.extend(through.cloned());
            }
        }
        exported.insert(file.name().to_owned(), exports);
        file.dependency = seen.into_iter().collect();
        (file.public_dependency, file.weak_dependency) = (Vec::new(), Vec::new());
        flat.push(file);
    }
    flat
}
