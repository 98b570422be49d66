//! The documents that nobody has to hand in: Google's own, and those that Confluent's serializers assume.

use protox::file::{FileResolver, GoogleFileResolver};

/// What an import leads to that is not among the given documents.
#[derive(Debug)]
pub(super) enum WellKnown {
    Descriptor(Box<prost_reflect::prost_types::FileDescriptorProto>),
    Source(&'static str),
}

pub(super) fn find(path: &str) -> Option<WellKnown> {
    if let Some((_, source)) = SOURCES.iter().find(|(known, _)| *known == path) {
        return Some(WellKnown::Source(source));
    }
    let file = GoogleFileResolver::new().open_file(path).ok()?;
    Some(WellKnown::Descriptor(Box::new(file.into())))
}

/// Only what has to do with bytes: options that these documents declare are not read.
const SOURCES: [(&str, &str); 17] = [
    (
        "confluent/meta.proto",
        r#"syntax = "proto3"; package confluent;
        message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; repeated Rule rules = 4; }
        message Rule { string name = 1; string doc = 2; string expr = 3; string sql = 4; }"#,
    ),
    (
        "confluent/type/decimal.proto",
        r#"syntax = "proto3"; package confluent.type;
        message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"#,
    ),
    (
        "confluent/type/variant.proto",
        r#"syntax = "proto3"; package confluent.type;
        message Variant { bytes metadata = 1; bytes value = 2; }"#,
    ),
    (
        "confluent/types/decimal.proto",
        r#"syntax = "proto3"; import public "confluent/type/decimal.proto";"#,
    ),
    (
        "google/type/calendar_period.proto",
        r#"syntax = "proto3"; package google.type;
        enum CalendarPeriod { CALENDAR_PERIOD_UNSPECIFIED = 0; DAY = 1; WEEK = 2; FORTNIGHT = 3; MONTH = 4; QUARTER = 5;
          HALF = 6; YEAR = 7; }"#,
    ),
    (
        "google/type/color.proto",
        r#"syntax = "proto3"; package google.type; import "google/protobuf/wrappers.proto";
        message Color { float red = 1; float green = 2; float blue = 3; google.protobuf.FloatValue alpha = 4; }"#,
    ),
    (
        "google/type/date.proto",
        r#"syntax = "proto3"; package google.type;
        message Date { int32 year = 1; int32 month = 2; int32 day = 3; }"#,
    ),
    (
        "google/type/datetime.proto",
        r#"syntax = "proto3"; package google.type; import "google/protobuf/duration.proto";
        message DateTime { int32 year = 1; int32 month = 2; int32 day = 3; int32 hours = 4; int32 minutes = 5;
          int32 seconds = 6; int32 nanos = 7;
          oneof time_offset { google.protobuf.Duration utc_offset = 8; TimeZone time_zone = 9; } }
        message TimeZone { string id = 1; string version = 2; }"#,
    ),
    (
        "google/type/dayofweek.proto",
        r#"syntax = "proto3"; package google.type;
        enum DayOfWeek { DAY_OF_WEEK_UNSPECIFIED = 0; MONDAY = 1; TUESDAY = 2; WEDNESDAY = 3; THURSDAY = 4; FRIDAY = 5;
          SATURDAY = 6; SUNDAY = 7; }"#,
    ),
    (
        "google/type/expr.proto",
        r#"syntax = "proto3"; package google.type;
        message Expr { string expression = 1; string title = 2; string description = 3; string location = 4; }"#,
    ),
    (
        "google/type/fraction.proto",
        r#"syntax = "proto3"; package google.type;
        message Fraction { int64 numerator = 1; int64 denominator = 2; }"#,
    ),
    (
        "google/type/latlng.proto",
        r#"syntax = "proto3"; package google.type;
        message LatLng { double latitude = 1; double longitude = 2; }"#,
    ),
    (
        "google/type/money.proto",
        r#"syntax = "proto3"; package google.type;
        message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }"#,
    ),
    (
        "google/type/month.proto",
        r#"syntax = "proto3"; package google.type;
        enum Month { MONTH_UNSPECIFIED = 0; JANUARY = 1; FEBRUARY = 2; MARCH = 3; APRIL = 4; MAY = 5; JUNE = 6; JULY = 7;
          AUGUST = 8; SEPTEMBER = 9; OCTOBER = 10; NOVEMBER = 11; DECEMBER = 12; }"#,
    ),
    (
        "google/type/postal_address.proto",
        r#"syntax = "proto3"; package google.type;
        message PostalAddress { int32 revision = 1; string region_code = 2; string language_code = 3; string postal_code = 4;
          string sorting_code = 5; string administrative_area = 6; string locality = 7; string sublocality = 8;
          repeated string address_lines = 9; repeated string recipients = 10; string organization = 11; }"#,
    ),
    (
        "google/type/quaternion.proto",
        r#"syntax = "proto3"; package google.type;
        message Quaternion { double x = 1; double y = 2; double z = 3; double w = 4; }"#,
    ),
    (
        "google/type/timeofday.proto",
        r#"syntax = "proto3"; package google.type;
        message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }"#,
    ),
];

#[cfg(test)]
mod tests {
    use super::SOURCES;
    use crate::protobuf::schemas::parse;

    #[test]
    fn each_of_them_can_be_imported_and_all_together() {
        let mut all = String::new();
        for (path, _) in SOURCES {
            let import = format!("import \"{path}\";");
            assert_eq!(parse(&format!("{import} message M {{}}")).err(), None, "{path}");
            all.push_str(&import);
        }
        for name in [
            "any",
            "api",
            "descriptor",
            "duration",
            "empty",
            "field_mask",
            "source_context",
            "struct",
            "timestamp",
            "type",
            "wrappers",
            "compiler/plugin",
        ] {
            all.push_str(&format!("import \"google/protobuf/{name}.proto\";"));
        }
        let schema = parse(&format!("{all} message M {{}}")).unwrap();
        let names = ["confluent.type.Decimal", "google.type.Money", "google.protobuf.Struct"];
        assert!(names.iter().all(|name| schema.message_by_name(name).is_some()));
    }
}
