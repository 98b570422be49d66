//! Bounds a parsed document by what it declares, and takes out of it what says nothing about bytes: options, services,
//! defaults, comments. What is left is what the linker reads.

use super::bounds::no_editions;
use crate::{
    datum::{SchemaFault, cut},
    limits::SchemaLimits,
};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, FieldDescriptorProto, FileDescriptorProto,
    MessageOptions, UninterpretedOption, field_descriptor_proto::Type,
};

/// Names that a package, or a type, is made of.
const MAX_SCOPES: usize = 64;
/// Numbers of one enum: the linker sorts them one by one.
const MAX_ENUM_NUMBERS: usize = 10_000;
/// Fields of a schema, times the ranges of numbers and names that one message reserves: the linker compares each with each.
const MAX_COMPARISONS: usize = 50_000_000;
/// Bytes of a full name that count as a node of their own.
const NAME_BYTES_OF_A_NODE: usize = 32;

/// Counts over all documents of a schema.
pub(super) struct Cleaner<'l> {
    limits: &'l SchemaLimits,
    types: usize,
    nodes: usize,
    fields: usize,
    most_ranges: usize,
}

type Cleaned<T = ()> = Result<T, SchemaFault>;

impl<'l> Cleaner<'l> {
    pub(super) const fn new(limits: &'l SchemaLimits) -> Self {
        Self { limits, types: 0, nodes: 0, fields: 0, most_ranges: 0 }
    }

    /// The document under the name that it is imported by.
    pub(super) fn clean(
        &mut self,
        file: FileDescriptorProto,
        name: &str,
    ) -> Cleaned<FileDescriptorProto> {
        let package = file.package().to_owned();
        if !package.is_empty() {
            package.split('.').try_for_each(check_name)?;
        }
        if package.split('.').count() > MAX_SCOPES {
            let detail = format!("package of more than {MAX_SCOPES} names");
            return Err(SchemaFault::new(detail));
        }
        if file.syntax() == "editions" {
            return Err(no_editions());
        }
        let scope = Scope { bytes: package.len(), depth: 0, proto2: file.syntax() != "proto3" };
        let messages = file.message_type.into_iter().map(|it| self.message(it, scope));
        let message_type = messages.collect::<Cleaned<_>>()?;
        let enums = file.enum_type.into_iter().map(|it| self.numbers(it, scope));
        let enum_type = enums.collect::<Cleaned<_>>()?;
        let extensions = file.extension.into_iter().map(|it| self.field(it, scope));
        let extension = extensions.collect::<Cleaned<_>>()?;
        Ok(FileDescriptorProto {
            name: Some(name.to_owned()),
            package: (!package.is_empty()).then_some(package),
            dependency: file.dependency,
            public_dependency: file.public_dependency,
            message_type,
            enum_type,
            extension,
            syntax: (!scope.proto2).then(|| "proto3".to_owned()),
            ..FileDescriptorProto::default()
        })
    }

    /// What can be said only about all documents together.
    pub(super) fn finish(&self) -> Cleaned {
        if self.fields.saturating_mul(self.most_ranges) > MAX_COMPARISONS {
            let (fields, ranges) = (self.fields, self.most_ranges);
            let detail =
                format!("{fields} fields and {ranges} reserved ranges are too many together");
            return Err(SchemaFault::new(detail));
        }
        Ok(())
    }

    /// Recursion is bounded by the limit on nesting.
    fn message(&mut self, message: DescriptorProto, outer: Scope) -> Cleaned<DescriptorProto> {
        let scope = outer.inside(message.name());
        self.named_type(message.name(), scope)?;
        if scope.depth > self.limits.max_depth {
            let most = self.limits.max_depth;
            return Err(SchemaFault::new(format!("messages nest more than {most} levels")));
        }
        let name = cut(message.name());
        self.inner(message, scope).map_err(|fault| fault.within(&name))
    }

    fn inner(&mut self, message: DescriptorProto, scope: Scope) -> Cleaned<DescriptorProto> {
        let options = message.options.unwrap_or_default();
        if options.message_set_wire_format()
            || sets(&options.uninterpreted_option, "message_set_wire_format")
        {
            return Err(SchemaFault::new("message sets are not supported".to_owned()));
        }
        let ranges = [
            message.extension_range.len(),
            message.reserved_range.len(),
            message.reserved_name.len(),
        ];
        let ranges = ranges.into_iter().fold(0, usize::saturating_add);
        self.most_ranges = self.most_ranges.max(ranges);
        self.nodes_of(ranges.saturating_add(message.oneof_decl.len()), scope)?;
        for oneof in &message.oneof_decl {
            check_name(oneof.name())?;
        }
        let fields = message.field.into_iter().map(|it| self.field(it, scope));
        let field = fields.collect::<Cleaned<_>>()?;
        let extensions = message.extension.into_iter().map(|it| self.field(it, scope));
        let extension = extensions.collect::<Cleaned<_>>()?;
        let nested = message.nested_type.into_iter().map(|it| self.message(it, scope));
        let nested_type = nested.collect::<Cleaned<_>>()?;
        let enums = message.enum_type.into_iter().map(|it| self.numbers(it, scope));
        let enum_type = enums.collect::<Cleaned<_>>()?;
        let map_entry = options.map_entry();
        let options = MessageOptions { map_entry: Some(true), ..MessageOptions::default() };
        let mut extension_range = message.extension_range;
        extension_range.iter_mut().for_each(|range| range.options = None);
        let mut oneof_decl = message.oneof_decl;
        oneof_decl.iter_mut().for_each(|oneof| oneof.options = None);
        Ok(DescriptorProto {
            name: message.name,
            field,
            extension,
            nested_type,
            enum_type,
            extension_range,
            oneof_decl,
            options: map_entry.then_some(options),
            reserved_range: message.reserved_range,
            reserved_name: message.reserved_name,
        })
    }

    fn field(
        &mut self,
        field: FieldDescriptorProto,
        outer: Scope,
    ) -> Cleaned<FieldDescriptorProto> {
        check_name(field.name())?;
        self.nodes_of(1, outer.inside(field.name()))?;
        self.fields = self.fields.saturating_add(1);
        let typed = match field.r#type {
            Some(number) => Type::try_from(number).is_ok(),
            None => field.type_name.is_some(),
        };
        if !typed {
            let name = cut(field.name());
            return Err(SchemaFault::new(format!("{name}: no type that there is")));
        }
        if field.type_name().split('.').count() > MAX_SCOPES.saturating_mul(2) {
            let name = cut(field.name());
            return Err(SchemaFault::new(format!("{name}: type of too many names")));
        }
        // proto2 allows two fields whose names are one in JSON, the linker does not.
        let json_name = outer.proto2.then(|| field.number().to_string());
        Ok(FieldDescriptorProto { options: None, default_value: None, json_name, ..field })
    }

    fn numbers(&mut self, it: EnumDescriptorProto, outer: Scope) -> Cleaned<EnumDescriptorProto> {
        let scope = outer.inside(it.name());
        self.named_type(it.name(), scope)?;
        let name = cut(it.name());
        if it.value.len() > MAX_ENUM_NUMBERS {
            let detail =
                format!("{} numbers, at most {MAX_ENUM_NUMBERS} are taken", it.value.len());
            return Err(SchemaFault::new(detail).within(&name));
        }
        self.nodes_of(it.value.len(), scope)?;
        let options = it.options.unwrap_or_default();
        let allow_alias =
            options.allow_alias() || sets(&options.uninterpreted_option, "allow_alias");
        let mut value = it.value;
        for value in &mut value {
            check_name(value.name()).map_err(|fault| fault.within(&name))?;
            value.options = None;
        }
        let options = EnumOptions { allow_alias: Some(true), ..EnumOptions::default() };
        Ok(EnumDescriptorProto {
            name: it.name,
            value,
            options: allow_alias.then_some(options),
            ..EnumDescriptorProto::default()
        })
    }

    fn named_type(&mut self, name: &str, scope: Scope) -> Cleaned {
        check_name(name)?;
        self.types = self.types.saturating_add(1);
        if self.types > self.limits.max_named_types {
            let most = self.limits.max_named_types;
            return Err(SchemaFault::new(format!("more than {most} messages and enums")));
        }
        self.nodes_of(1, scope)
    }

    /// Counts so many things whose full names begin with that of `scope`.
    fn nodes_of(&mut self, things: usize, scope: Scope) -> Cleaned {
        let each = 1_usize.saturating_add(scope.bytes / NAME_BYTES_OF_A_NODE);
        self.nodes = self.nodes.saturating_add(things.saturating_mul(each));
        if self.nodes > self.limits.max_nodes {
            let most = self.limits.max_nodes;
            let detail = format!("more than {most} types, fields, ranges and numbers");
            return Err(SchemaFault::new(detail));
        }
        Ok(())
    }
}

/// Where something is declared.
#[derive(Debug, Clone, Copy)]
struct Scope {
    /// Bytes of its full name.
    bytes: usize,
    depth: usize,
    proto2: bool,
}

impl Scope {
    const fn inside(self, name: &str) -> Self {
        let bytes = self.bytes.saturating_add(name.len()).saturating_add(1);
        Self { bytes, depth: self.depth.saturating_add(1), ..self }
    }
}

/// Names come from descriptors, too, where they could be anything.
fn check_name(name: &str) -> Cleaned {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(());
    }
    let name = crate::text::shown(name.as_bytes());
    Err(SchemaFault::new(format!("\"{name}\" is no name")))
}

/// Whether an option of source is set to true.
fn sets(options: &[UninterpretedOption], name: &str) -> bool {
    options.iter().any(|option| {
        let [part] = &option.name[..] else { return false };
        part.name_part == name && !part.is_extension && option.identifier_value() == "true"
    })
}
