//! Writes a descriptor of Protocol Buffers as the `.proto` file that it stands for. Options of a user's own are left out:
//! they say nothing about data.

use std::fmt::Write;

use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileOptions,
    MethodDescriptorProto, ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
    field_options::JsType,
    file_options::OptimizeMode,
    method_options::IdempotencyLevel,
};

/// The text of `file`, or what in it cannot be written.
pub(super) fn print(file: &FileDescriptorProto) -> Result<String, &'static str> {
    let syntax = match file.syntax() {
        "" | "proto2" => "proto2",
        "proto3" => "proto3",
        _ => return Err("only proto2 and proto3 can be"),
    };
    let package = file.package().to_owned();
    let mut printer = Printer { out: String::new(), level: 0, proto3: syntax == "proto3" };
    printer.line(&format!("syntax = \"{syntax}\";"));
    if !package.is_empty() {
        printer.line(&format!("package {package};"));
    }
    for (index, dependency) in file.dependency.iter().enumerate() {
        let is_in = |list: &[i32]| list.iter().any(|at| usize::try_from(*at) == Ok(index));
        let public = if is_in(&file.public_dependency) { "public " } else { "" };
        printer.line(&format!("import {public}{};", quoted(dependency)));
    }
    if let Some(options) = &file.options {
        printer.file_options(options);
    }
    for message in &file.message_type {
        printer.message(message)?;
    }
    for each in &file.enum_type {
        printer.enumeration(each);
    }
    printer.extensions(&file.extension)?;
    for service in &file.service {
        printer.service(service);
    }
    Ok(printer.out)
}

struct Printer {
    out: String,
    level: usize,
    proto3: bool,
}

impl Printer {
    fn line(&mut self, text: &str) {
        for _ in 0..self.level {
            self.out.push_str("  ");
        }
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn open(&mut self, text: &str) {
        self.line(&format!("{text} {{"));
        self.level += 1;
    }

    fn close(&mut self) {
        self.level = self.level.saturating_sub(1);
        self.line("}");
    }

    fn file_options(&mut self, options: &FileOptions) {
        let texts = [
            ("java_package", &options.java_package),
            ("java_outer_classname", &options.java_outer_classname),
            ("go_package", &options.go_package),
            ("objc_class_prefix", &options.objc_class_prefix),
            ("csharp_namespace", &options.csharp_namespace),
            ("swift_prefix", &options.swift_prefix),
            ("php_class_prefix", &options.php_class_prefix),
            ("php_namespace", &options.php_namespace),
            ("php_metadata_namespace", &options.php_metadata_namespace),
            ("ruby_package", &options.ruby_package),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                self.line(&format!("option {name} = {};", quoted(value)));
            }
        }
        let switches = [
            ("java_multiple_files", options.java_multiple_files),
            ("java_string_check_utf8", options.java_string_check_utf8),
            ("cc_generic_services", options.cc_generic_services),
            ("java_generic_services", options.java_generic_services),
            ("py_generic_services", options.py_generic_services),
            ("php_generic_services", options.php_generic_services),
            ("cc_enable_arenas", options.cc_enable_arenas),
            ("deprecated", options.deprecated),
        ];
        for (name, value) in switches {
            if let Some(value) = value {
                self.line(&format!("option {name} = {value};"));
            }
        }
        let mode = options.optimize_for.and_then(|mode| OptimizeMode::try_from(mode).ok());
        if let Some(mode) = mode {
            self.line(&format!("option optimize_for = {};", mode.as_str_name()));
        }
    }

    fn message(&mut self, message: &DescriptorProto) -> Result<(), &'static str> {
        self.open(&format!("message {}", message.name()));
        if let Some(options) = &message.options {
            let switches = [
                ("message_set_wire_format", options.message_set_wire_format),
                ("no_standard_descriptor_accessor", options.no_standard_descriptor_accessor),
                ("deprecated", options.deprecated),
            ];
            for (name, value) in switches {
                if let Some(value) = value {
                    self.line(&format!("option {name} = {value};"));
                }
            }
        }
        let mut oneof = None;
        for field in &message.field {
            let within = field.oneof_index.filter(|_| !field.proto3_optional());
            if within != oneof {
                if oneof.is_some() {
                    self.close();
                }
                if let Some(index) = within {
                    let declared =
                        usize::try_from(index).ok().and_then(|at| message.oneof_decl.get(at));
                    self.open(&format!("oneof {}", declared.ok_or("a field of no oneof")?.name()));
                }
                oneof = within;
            }
            match map_entry(message, field) {
                Some(entry) => self.map(field, entry)?,
                None => self.field(field, within.is_some())?,
            }
        }
        if oneof.is_some() {
            self.close();
        }
        for nested in message.nested_type.iter().filter(|nested| !is_map_entry(nested)) {
            self.message(nested)?;
        }
        for nested in &message.enum_type {
            self.enumeration(nested);
        }
        for range in &message.extension_range {
            self.line(&format!(
                "extensions {};",
                span(range.start(), range.end().saturating_sub(1), MAX_FIELD)
            ));
        }
        self.extensions(&message.extension)?;
        for range in &message.reserved_range {
            let end = range.end().saturating_sub(1);
            self.line(&format!("reserved {};", span(range.start(), end, MAX_FIELD)));
        }
        self.reserved_names(&message.reserved_name);
        self.close();
        Ok(())
    }

    fn map(
        &mut self,
        field: &FieldDescriptorProto,
        entry: &DescriptorProto,
    ) -> Result<(), &'static str> {
        let [key, value] = entry.field.as_slice() else {
            return Err("a map without key and value");
        };
        let (key, value) = (type_name(key)?, type_name(value)?);
        let options = options(field);
        self.line(&format!("map<{key}, {value}> {} = {}{options};", field.name(), field.number()));
        Ok(())
    }

    fn field(&mut self, field: &FieldDescriptorProto, in_oneof: bool) -> Result<(), &'static str> {
        let label = match field.label() {
            Label::Repeated => "repeated ",
            _ if in_oneof || self.proto3 && !field.proto3_optional() => "",
            Label::Required => "required ",
            Label::Optional => "optional ",
        };
        let (kind, options) = (type_name(field)?, options(field));
        self.line(&format!("{label}{kind} {} = {}{options};", field.name(), field.number()));
        Ok(())
    }

    fn extensions(&mut self, extensions: &[FieldDescriptorProto]) -> Result<(), &'static str> {
        for extension in extensions {
            self.open(&format!("extend {}", extension.extendee()));
            self.field(extension, false)?;
            self.close();
        }
        Ok(())
    }

    fn enumeration(&mut self, each: &EnumDescriptorProto) {
        self.open(&format!("enum {}", each.name()));
        if let Some(options) = &each.options {
            for (name, value) in
                [("allow_alias", options.allow_alias), ("deprecated", options.deprecated)]
            {
                if let Some(value) = value {
                    self.line(&format!("option {name} = {value};"));
                }
            }
        }
        for value in &each.value {
            let deprecated = value.options.as_ref().and_then(|options| options.deprecated);
            let options = deprecated.map(|it| format!(" [deprecated = {it}]")).unwrap_or_default();
            self.line(&format!("{} = {}{options};", value.name(), value.number()));
        }
        for range in &each.reserved_range {
            self.line(&format!("reserved {};", span(range.start(), range.end(), i32::MAX)));
        }
        self.reserved_names(&each.reserved_name);
        self.close();
    }

    fn reserved_names(&mut self, names: &[String]) {
        for name in names {
            self.line(&format!("reserved {};", quoted(name)));
        }
    }

    fn service(&mut self, service: &ServiceDescriptorProto) {
        self.open(&format!("service {}", service.name()));
        if let Some(value) = service.options.as_ref().and_then(|options| options.deprecated) {
            self.line(&format!("option deprecated = {value};"));
        }
        for method in &service.method {
            self.method(method);
        }
        self.close();
    }

    fn method(&mut self, method: &MethodDescriptorProto) {
        let stream = |it| if it { "stream " } else { "" };
        let (taken, given) = (stream(method.client_streaming()), stream(method.server_streaming()));
        let (name, input, output) = (method.name(), method.input_type(), method.output_type());
        let rpc = format!("rpc {name} ({taken}{input}) returns ({given}{output})");
        let Some(options) = &method.options else { return self.line(&format!("{rpc};")) };
        self.open(&rpc);
        if let Some(value) = options.deprecated {
            self.line(&format!("option deprecated = {value};"));
        }
        let level = options.idempotency_level.and_then(|it| IdempotencyLevel::try_from(it).ok());
        if let Some(level) = level {
            self.line(&format!("option idempotency_level = {};", level.as_str_name()));
        }
        self.close();
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

/// The entries of a map, which a descriptor writes as a message inside the one that has the map.
fn map_entry<'m>(
    message: &'m DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'m DescriptorProto> {
    let name = field.type_name().rsplit('.').next()?;
    let own = message.nested_type.iter().filter(|nested| is_map_entry(nested));
    own.into_iter()
        .find(|nested| nested.name() == name)
        .filter(|_| field.r#type() == Type::Message && field.label() == Label::Repeated)
}

fn type_name(field: &FieldDescriptorProto) -> Result<&str, &'static str> {
    Ok(match field.r#type() {
        Type::Bool => "bool",
        Type::Bytes => "bytes",
        Type::Double => "double",
        Type::Enum | Type::Message => field.type_name(),
        Type::Fixed32 => "fixed32",
        Type::Fixed64 => "fixed64",
        Type::Float => "float",
        Type::Group => return Err("groups are not supported"),
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
        Type::String => "string",
        Type::Uint32 => "uint32",
        Type::Uint64 => "uint64",
    })
}

fn options(field: &FieldDescriptorProto) -> String {
    let mut parts = Vec::new();
    if let Some(default) = &field.default_value {
        let default = match field.r#type() {
            Type::String => quoted(default),
            // A descriptor has it escaped already.
            Type::Bytes => format!("\"{default}\""),
            _ => default.clone(),
        };
        parts.push(format!("default = {default}"));
    }
    if let Some(name) = field.json_name.as_deref().filter(|name| *name != camel_case(field.name()))
    {
        parts.push(format!("json_name = {}", quoted(name)));
    }
    if let Some(options) = &field.options {
        let switches = [
            ("packed", options.packed),
            ("lazy", options.lazy),
            ("deprecated", options.deprecated),
        ];
        let switches = switches.into_iter().filter_map(|(name, value)| Some((name, value?)));
        parts.extend(switches.map(|(name, value)| format!("{name} = {value}")));
        let kind = options.jstype.and_then(|kind| JsType::try_from(kind).ok());
        parts.extend(kind.map(|kind| format!("jstype = {}", kind.as_str_name())));
    }
    if parts.is_empty() { String::new() } else { format!(" [{}]", parts.join(", ")) }
}

/// How JSON calls a field that says nothing of it.
fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for character in name.chars() {
        if character == '_' {
            raise = true;
        } else {
            out.push(if raise { character.to_ascii_uppercase() } else { character });
            raise = false;
        }
    }
    out
}

/// A range of numbers, both ends included.
fn span(start: i32, end: i32, most: i32) -> String {
    if start == end {
        start.to_string()
    } else if end >= most {
        format!("{start} to max")
    } else {
        format!("{start} to {end}")
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            control if control.is_ascii_control() => {
                let _ = write!(out, "\\{:03o}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

/// Largest number of a field.
const MAX_FIELD: i32 = 536_870_911;
