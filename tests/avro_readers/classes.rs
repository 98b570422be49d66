//! Where libraries read damaged Avro data differently than we do, and what of the specification decides each case.

/// A kind of damage that not everybody sees.
#[derive(Debug)]
pub(crate) struct Class {
    /// What it is.
    pub(crate) name: &'static str,
    /// What our message for it contains: all of one of these.
    pub(crate) said: &'static [&'static [&'static str]],
    /// Which libraries read some of these data.
    pub(crate) read_by: &'static [&'static str],
    /// Section and sentence of the specification of Avro 1.12.
    pub(crate) decided_by: &'static str,
}

/// All that we refuse and at least one library reads. The first that fits counts.
pub(crate) const CLASSES: [Class; 13] = [
    Class {
        name: "bytes left over",
        said: &[&["left over"]],
        read_by: &["apache-avro", "Java", "fastavro"],
        decided_by: "Records: “a record is encoded as just the concatenation of the encodings of its fields”. They leave the rest to the caller; in a record of Kafka there is nothing it could be",
    },
    Class {
        name: "number of more bytes than its value needs",
        said: &[&["takes more bytes than its value needs"]],
        read_by: &["apache-avro", "Java", "fastavro"],
        decided_by: "Primitive Types: “variable-length zig-zag coding”, with one encoding in the list of examples for each value. No writer makes another; bytes that do are of something else",
    },
    Class {
        name: "number beyond 64 bits",
        said: &[&["does not fit 64 bits"]],
        read_by: &["apache-avro", "Java", "fastavro"],
        decided_by: "Primitive Types: “long: 64-bit signed integer”. The bits beyond are lost to them, or make a number that no long holds",
    },
    Class {
        name: "int beyond 32 bits",
        said: &[&["int does not fit 32 bits"]],
        read_by: &["Java", "fastavro"],
        decided_by: "Primitive Types: “int: 32-bit signed integer”. Java drops the bits beyond, fastavro hands them on",
    },
    Class {
        name: "boolean byte other than 0 and 1",
        said: &[&["boolean byte"]],
        read_by: &["Java", "fastavro"],
        decided_by: "Primitive Types: “a single byte whose value is either 0 (false) or 1 (true)”. To Java 2 is false, to fastavro it is true",
    },
    Class {
        name: "text that is no UTF-8",
        said: &[&["is not valid UTF-8"]],
        read_by: &["Java"],
        decided_by: "Primitive Types: “that many bytes of UTF-8 encoded character data”. Java puts U+FFFD where it cannot read",
    },
    Class {
        name: "negative index of a union",
        said: &[&["union branch -"], &["union branch below -"]],
        read_by: &["fastavro"],
        decided_by: "Unions: “the zero-based position within the union”. Python counts negative indexes from the end",
    },
    Class {
        name: "negative index of an enum",
        said: &[&["enum index -"], &["enum index below -"]],
        read_by: &["fastavro"],
        decided_by: "Enums: “the zero-based position of the symbol in the schema”. Python counts negative indexes from the end",
    },
    Class {
        name: "block size that lies",
        said: &[&["block size", "its items take"], &["block length"]],
        read_by: &["apache-avro", "Java", "fastavro"],
        decided_by: "Arrays: “a long block size indicating the number of bytes in the block”. They do not look at it, and who skips by it gets lost",
    },
    Class {
        name: "block count of -2^63",
        said: &[&["block of above 65535 items"]],
        read_by: &["Java", "fastavro"],
        decided_by: "Arrays: “If a block's count is negative, its absolute value is used”, and this one's is no long. To them it is a block of nothing",
    },
    Class {
        name: "ends before a union",
        said: &[&["union branch is cut off"]],
        read_by: &["apache-avro"],
        decided_by: "Unions: “encoded by first writing an int value”. apache-avro takes the end for null",
    },
    Class {
        name: "ends before a boolean",
        said: &[&["boolean takes 1 byte"]],
        read_by: &["apache-avro"],
        decided_by: "Primitive Types: “written as a single byte”. apache-avro takes the end for null",
    },
    Class {
        name: "ends inside of a text",
        said: &[&["string length", "left"]],
        read_by: &["apache-avro"],
        decided_by: "Primitive Types: “followed by that many bytes”. apache-avro takes what is cut off for null",
    },
];

/// What we accept and a library refuses: it makes more of a value than the type that a logical type annotates.
#[derive(Debug)]
pub(crate) struct Stricter {
    /// What it makes of the value.
    pub(crate) name: &'static str,
    /// What its message contains: one of these.
    pub(crate) said: &'static [&'static str],
    /// Which libraries refuse some of these data.
    pub(crate) refused_by: &'static [&'static str],
}

/// All of these.
pub(crate) const STRICTER: [Stricter; 2] = [
    Stricter {
        name: "text of a `uuid` that is none",
        said: &["to UUID", "hexadecimal UUID", "int() with base 16"],
        refused_by: &["apache-avro", "fastavro"],
    },
    Stricter {
        name: "`time-millis` or `time-micros` beyond a day",
        said: &["hour must be in 0..23"],
        refused_by: &["fastavro"],
    },
];

/// Both tables as they stand in ARCHITECTURE.md.
pub(crate) fn tables() -> String {
    let mut tables = String::from(
        "| datum that is refused | read by | what the specification says |\n| --- | --- | --- |\n",
    );
    for Class { name, read_by, decided_by, .. } in CLASSES {
        tables += &format!("| {name} | {} | {decided_by}. |\n", read_by.join(", "));
    }
    tables += "\n| datum that is accepted | refused by | what the specification says |\n| --- | --- | --- |\n";
    for Stricter { name, refused_by, .. } in STRICTER {
        tables += &format!("| {name} | {} | {UNDERLYING}. |\n", refused_by.join(", "));
    }
    tables
}

const UNDERLYING: &str = "Logical Types: “values are encoded in exactly the same way as the equivalent Avro type that does not \
    have a logicalType attribute”";
