//! Every rule of the wire, with its message.

use super::UnknownFields::{self, Allow, Reject};
use super::sample::Bytes;
use super::schemas::{EVENT, OLD, parse};
use super::{MessageId, ProtobufSchema};

pub(super) fn said(
    schema: &ProtobufSchema,
    id: MessageId,
    unknown: UnknownFields,
    datum: &[u8],
) -> String {
    let checked = schema.check(id, unknown, datum);
    let fault = schema.fault(id, unknown, datum);
    assert_eq!(fault, checked.as_ref().err().map(|error| error.fault));
    checked.err().map_or_else(|| "ok".to_owned(), |error| error.to_string())
}

/// Checks a table of data, under both policies where these make no difference.
fn table(schema: &ProtobufSchema, rows: &[(&[u8], &str)]) {
    for (datum, expected) in rows {
        assert_eq!(said(schema, schema.root(), Reject, datum), *expected, "{datum:02x?}");
        if !expected.contains("does not have") && !expected.contains("does not list") {
            assert_eq!(said(schema, schema.root(), Allow, datum), *expected, "{datum:02x?}");
        }
    }
}

const NEGATIVE: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];

fn with(tag: &[u8], value: &[u8]) -> Vec<u8> {
    [tag, value].concat()
}

#[test]
fn tags_and_lengths_are_what_the_encoding_allows() {
    let schema = parse(EVENT).unwrap();
    table(
        &schema,
        &[
            (&[], "ok"),
            (&[0x10, 1], "ok"),
            (&[0x90, 0x00, 1], "ok"),
            (&[0x90, 0x80, 0x80, 0x80, 0x00, 1], "ok"),
            (
                &[0x90, 0x80, 0x80, 0x80, 0x80, 0x00, 1],
                "shop.events.Event at byte 0: tag does not fit 32 bits",
            ),
            (
                &[0xf8, 0xff, 0xff, 0xff, 0x1f, 1],
                "shop.events.Event at byte 0: tag does not fit 32 bits",
            ),
            (&[0x90], "shop.events.Event at byte 0: tag is cut off by the end of the bytes"),
            (&[0x00, 1], "shop.events.Event at byte 0: field number 0"),
            (&[0x06, 1], "shop.events.Event at byte 0: field number 0"),
            (&[0x16, 1], "shop.events.Event at byte 0: wire type 6, which there is not"),
            (&[0x17, 1], "shop.events.Event at byte 0: wire type 7, which there is not"),
            (&[0x0a, 1], "id at byte 1: string length 1, 0 bytes left"),
            (&[0x0a, 0x81, 0x00, b'a'], "ok"),
            (
                &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f],
                "id at byte 1: string length above 65535, 0 bytes left",
            ),
            (
                &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x1f],
                "id at byte 1: string length does not fit 32 bits",
            ),
            (&[0x0a, 0xff], "id at byte 1: string length is cut off by the end of the bytes"),
            (&[0x10], "at at byte 1: int64 is cut off by the end of the bytes"),
            (
                &[0x5d, 1, 2, 3, 4],
                "d at byte 0: wire type 5 (32 bits), must be 1 (64 bits) for double",
            ),
            (&[0x59, 1, 2, 3, 4], "d at byte 1: double takes 8 bytes, 4 left"),
            (&[0x55, 1], "f at byte 1: float takes 4 bytes, 1 left"),
            (&[0x14], "shop.events.Event at byte 0: end of group 2, but no group is open"),
            (&[0x13, 0x14], "at at byte 0: wire type 3 (group), must be 0 (varint) for int64"),
        ],
    );
}

#[test]
fn numbers_fit_their_types() {
    let schema = parse(EVENT).unwrap();
    let eleven = [&NEGATIVE[..9], &[0x81, 0x00]].concat();
    let above = [&NEGATIVE[..9], &[0x02]].concat();
    let most = [0xff, 0xff, 0xff, 0xff, 0x07];
    let unsigned = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let lowest = [0x80, 0x80, 0x80, 0x80, 0xf8, 0xff, 0xff, 0xff, 0xff, 0x01];
    let too_low = [0xff, 0xff, 0xff, 0xff, 0xf7, 0xff, 0xff, 0xff, 0xff, 0x01];
    table(
        &schema,
        &[
            (&with(&[0x10], &NEGATIVE), "ok"),
            (&with(&[0x10], &eleven), "at at byte 1: int64 does not fit 64 bits"),
            (&with(&[0x10], &above), "at at byte 1: int64 does not fit 64 bits"),
            (&[0x10, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], "ok"),
            (&with(&[0x18], &NEGATIVE), "ok"),
            (&with(&[0x18], &lowest), "ok"),
            (&with(&[0x18], &too_low), "count at byte 1: int32 does not fit 32 bits"),
            (&with(&[0x18], &most), "ok"),
            (&with(&[0x18], &unsigned), "count at byte 1: int32 does not fit 32 bits"),
            (&with(&[0x20], &NEGATIVE), "ok"),
            (&[0x20, 0x63], "ok"),
            (&with(&[0x20], &unsigned), "kind at byte 1: enum does not fit 32 bits"),
            (&with(&[0x28], &unsigned), "ok"),
            (&with(&[0x28], &NEGATIVE), "age at byte 1: uint32 does not fit 32 bits"),
            (&with(&[0x80, 0x01], &unsigned), "ok"),
            (&with(&[0x80, 0x01], &NEGATIVE), "z32 at byte 2: sint32 does not fit 32 bits"),
            (&with(&[0x88, 0x01], &NEGATIVE), "ok"),
            (&[0x40, 0], "ok"),
            (&[0x40, 1], "ok"),
            (&[0x40, 0x81, 0x00], "ok"),
            (&[0x40, 2], "active at byte 1: bool is neither 0 nor 1"),
            (&with(&[0x40], &NEGATIVE), "active at byte 1: bool is neither 0 nor 1"),
        ],
    );
}

#[test]
fn texts_are_utf8_in_both_syntaxes_and_bytes_are_anything() {
    let schema = parse(EVENT).unwrap();
    table(
        &schema,
        &[
            (&[0x0a, 2, 0xc3, 0xa9], "ok"),
            (&[0x0a, 2, b'a', 0xff], "id at byte 3: string is not valid UTF-8"),
            (&[0x4a, 2, b'a', 0xff], "ok"),
            (&[0x32, 1, b'a', 0x32, 1, 0xff], "tags[1] at byte 5: string is not valid UTF-8"),
            (
                &[0x3a, 0, 0x3a, 3, 0x0a, 1, 0xff],
                "attributes{entry 1}.key at byte 6: string is not valid UTF-8",
            ),
        ],
    );
    let old = parse("message M { optional string s = 1; }").unwrap();
    table(&old, &[(&[0x0a, 1, 0xff], "s at byte 2: string is not valid UTF-8")]);
}

#[test]
fn repeated_scalars_come_packed_or_one_by_one_and_others_do_not() {
    let schema = parse(EVENT).unwrap();
    let doubles = [&[0xfa, 0x01, 16][..], &[0; 16]].concat();
    let torn = [&[0xfa, 0x01, 15][..], &[0; 15]].concat();
    table(
        &schema,
        &[
            (&[0xf2, 0x01, 3, 1, 2, 3], "ok"),
            (&[0xf2, 0x01, 0], "ok"),
            (&[0xf0, 0x01, 1, 0xf0, 0x01, 2], "ok"),
            (&doubles, "ok"),
            (&torn, "doubles[1] at byte 11: double takes 8 bytes, 7 left"),
            (
                &[0xf0, 0x01, 1, 0xf2, 0x01, 3, 2, 0x80, 0x80],
                "numbers[2] at byte 7: int32 is cut off by the end of the bytes",
            ),
            (
                &[0xf2, 0x01, 1, 0x80, 0x10, 0],
                "numbers[0] at byte 3: int32 is cut off by the end of the message around it",
            ),
            (&[0xf2, 0x01, 4, 1], "numbers[0] at byte 2: packed int32 length 4, 1 byte left"),
            (
                &[0x12, 1, 1],
                "at at byte 0: wire type 2 (length-delimited), must be 0 (varint) for int64",
            ),
            (
                &[0x30, 1],
                "tags at byte 0: wire type 0 (varint), must be 2 (length-delimited) for string",
            ),
            (&[0x82, 0x02, 2, 1, 0x63], "ok"),
        ],
    );
}

#[test]
fn fields_come_again_and_in_any_order() {
    let schema = parse(EVENT).unwrap();
    table(
        &schema,
        &[
            (&[0x10, 1, 0x0a, 0, 0x10, 2], "ok"),
            // Three of one oneof.
            (&[0x9a, 0x01, 1, b'n', 0xa2, 0x01, 0, 0xaa, 0x01, 0, 0x9a, 0x01, 0], "ok"),
            // Entries without value, without key, with neither, with two of each.
            (
                &[
                    0x3a, 3, 0x0a, 1, b'k', 0x3a, 3, 0x12, 1, b'v', 0x3a, 0, 0x3a, 6, 0x0a, 0,
                    0x12, 0, 0x0a, 0,
                ],
                "ok",
            ),
            (
                &[0x3a, 2, 0x18, 1],
                "attributes{entry 0} at byte 2: field number 3, which the message does not have",
            ),
        ],
    );
}

#[test]
fn unknown_fields_are_refused_or_passed_over_as_asked() {
    let schema = parse(EVENT).unwrap();
    let name = "shop.events.Event at byte 0: field number";
    let rows: [(&[u8], String, &str); 12] = [
        (&[0xb8, 0x01, 1], format!("{name} 23, which the message does not have"), "ok"),
        (
            &[0xb9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8],
            format!("{name} 23, which the message does not have"),
            "ok",
        ),
        (&[0xba, 0x01, 2, 0xff, 0xff], format!("{name} 23, which the message does not have"), "ok"),
        (
            &[0xbb, 0x01, 0x08, 1, 0xbc, 0x01],
            format!("{name} 23, which the message does not have"),
            "ok",
        ),
        (
            &[0xbb, 0x01, 0x13, 0x14, 0xbc, 0x01],
            format!("{name} 23, which the message does not have"),
            "ok",
        ),
        (&[0xbd, 0x01, 1, 2, 3, 4], format!("{name} 23, which the message does not have"), "ok"),
        (
            &[0xf8, 0xff, 0xff, 0xff, 0x0f, 1],
            format!("{name} above 65535, which the message does not have"),
            "ok",
        ),
        (
            &[0xbd, 0x01, 1, 2, 3],
            format!("{name} 23, which the message does not have"),
            "shop.events.Event at byte 2: unknown field takes 4 bytes, 3 left",
        ),
        (
            &[0xbb, 0x01, 0x14],
            format!("{name} 23, which the message does not have"),
            "shop.events.Event at byte 2: end of group 2, but group 23 is open",
        ),
        (
            &[0xbb, 0x01, 0x08, 1],
            format!("{name} 23, which the message does not have"),
            "shop.events.Event at byte 4: group is cut off by the end of the bytes",
        ),
        (
            &[0xbb, 0x01, 0x00, 1],
            format!("{name} 23, which the message does not have"),
            "shop.events.Event at byte 2: field number 0",
        ),
        (
            &[0xbb, 0x01, 0x0e, 1],
            format!("{name} 23, which the message does not have"),
            "shop.events.Event at byte 2: wire type 6, which there is not",
        ),
    ];
    for (datum, strict, lenient) in rows {
        assert_eq!(said(&schema, schema.root(), Reject, datum), strict, "{datum:02x?}");
        assert_eq!(said(&schema, schema.root(), Allow, datum), lenient, "{datum:02x?}");
    }
}

/// The two fields that an order must have.
const ORDER: [u8; 5] = [0x0a, 1, b'x', 0x18, 1];

#[test]
fn required_fields_are_there_in_every_message() {
    let schema = parse(OLD).unwrap();
    let order = |more: &[u8]| with(&ORDER, more);
    let inner = order(&[0x4a, 5, 0x0a, 1, b'x', 0x18, 1]);
    table(
        &schema,
        &[
            (&ORDER, "ok"),
            (&inner, "ok"),
            (&[], "id at byte 0: required field is missing"),
            (&[0x0a, 0], "kind at byte 2: required field is missing"),
            (&[0x18, 1], "id at byte 2: required field is missing"),
            (&order(&[0x4a, 0]), "order.id at byte 7: required field is missing"),
            (&order(&[0x42, 0]), "line.n at byte 7: required field is missing"),
            (&order(&[0x42, 2, 0x08, 1]), "ok"),
            // In parts: each of them must be whole.
            (&order(&[0x42, 2, 0x08, 1, 0x42, 0]), "line.n at byte 11: required field is missing"),
            (&order(&[0x33, 0x34]), "result.good at byte 6: required field is missing"),
            (&order(&[0x33, 0x08, 1, 0x34]), "ok"),
            (
                &order(&[0x3a, 3, 0x0a, 1, b'k']),
                "lines{entry 0}.value at byte 10: required field is missing",
            ),
            (&order(&[0x3a, 4, 0x12, 2, 0x08, 1]), "ok"),
            (
                &order(&[0x3a, 2, 0x12, 0]),
                "lines{entry 0}.value.n at byte 9: required field is missing",
            ),
        ],
    );
}

#[test]
fn many_required_fields_are_counted_as_few_are() {
    for count in [62, 63, 64, 65, 127, 128, 129, 4_095] {
        let fields = (1..=count).map(|n| format!("required bool f{n} = {n};"));
        let text = format!("message M {{ {} optional M m = 9999; }}", fields.collect::<String>());
        let schema = parse(&text).unwrap();
        let all = (1..=count).map(|number| Bytes::default().tag(number, 0).varint(1).0);
        let all: Vec<_> = all.collect();
        assert_eq!(said(&schema, schema.root(), Reject, &all.concat()), "ok", "{count}");
        for missing in [1, 2, 62, 63, 64, 65, 128, count].iter().filter(|it| **it <= count) {
            let mut some = all.clone();
            let gone = some.remove(usize::try_from(*missing).unwrap() - 1);
            let length = some.concat().len();
            let expected = format!("f{missing} at byte {length}: required field is missing");
            assert_eq!(said(&schema, schema.root(), Reject, &some.concat()), expected, "{count}");
            some.insert(0, gone);
            assert_eq!(said(&schema, schema.root(), Reject, &some.concat()), "ok", "{count}");
        }
    }
    let fields = (1..=4_096).map(|n| format!("required bool f{n} = {n};"));
    let text = format!("message M {{ {} }}", fields.collect::<String>());
    assert_eq!(parse(&text).unwrap_err(), "M: 4096 required fields, at most 4095 are taken");
}

#[test]
fn closed_enums_take_the_numbers_that_they_list() {
    let schema = parse(OLD).unwrap();
    let order = |more: &[u8]| with(&ORDER, more);
    let below = [0x20, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let far = [0x20, 0xf0, 0xa2, 0x04];
    let rows: [(&[u8], &str, &str); 10] = [
        (&order(&below), "ok", "ok"),
        (&order(&far), "ok", "ok"),
        (&order(&[0x20, 3]), "ok", "ok"),
        (&order(&[0x20, 0]), "kinds[0] at byte 6: number that the enum does not list", "ok"),
        (
            &order(&[0x20, 1, 0x20, 4]),
            "kinds[1] at byte 8: number that the enum does not list",
            "ok",
        ),
        (&order(&[0x22, 2, 1, 4]), "kinds[1] at byte 8: number that the enum does not list", "ok"),
        (&order(&[0x2a, 2, 1, 2]), "ok", "ok"),
        (&order(&[0x28, 1]), "ok", "ok"),
        // Like an unknown field: it is no value.
        (
            &[0x0a, 0, 0x18, 9],
            "kind at byte 3: number that the enum does not list",
            "kind at byte 4: required field is missing",
        ),
        (&[0x0a, 0, 0x18, 9, 0x18, 1], "kind at byte 3: number that the enum does not list", "ok"),
    ];
    for (datum, strict, lenient) in rows {
        assert_eq!(said(&schema, schema.root(), Reject, datum), strict, "{datum:02x?}");
        assert_eq!(said(&schema, schema.root(), Allow, datum), lenient, "{datum:02x?}");
    }
}

#[test]
fn groups_match_and_extensions_are_fields() {
    let schema = parse(OLD).unwrap();
    let order = |more: &[u8]| with(&ORDER, more);
    table(
        &schema,
        &[
            (&order(&[0x33, 0x08, 1, 0x13, 0x08, 1, 0x14, 0x13, 0x14, 0x34]), "ok"),
            (
                &order(&[0x33, 0x08, 1, 0x13, 0x08, 0x14, 0x34]),
                "result.part[0] at byte 11: end of group 6, but group 2 is open",
            ),
            (
                &order(&[0x33, 0x08, 1]),
                "result at byte 8: group is cut off by the end of the bytes",
            ),
            (
                &order(&[0x33, 0x08, 1, 0x14]),
                "result at byte 8: end of group 2, but group 6 is open",
            ),
            (
                &order(&[0x32, 0]),
                "result at byte 5: wire type 2 (length-delimited), must be 3 (group) for group",
            ),
            (
                &order(&[0x43, 0x44]),
                "line at byte 5: wire type 3 (group), must be 2 (length-delimited) for message",
            ),
            (&order(&[0xa2, 0x06, 2, 0x08, 1]), "ok"),
            (&order(&[0xa2, 0x06, 0]), "[old.extra].n at byte 8: required field is missing"),
            (
                &order(&[0xa8, 0x06, 9]),
                "[old.extras][0] at byte 7: number that the enum does not list",
            ),
            // Declared for extensions of others.
            (&order(&[0xb0, 0x06, 9]), "ok"),
            (&order(&[0xb6, 0x06, 9]), "old.Order at byte 5: wire type 6, which there is not"),
            (
                &order(&[0xc0, 0x0c, 9]),
                "old.Order at byte 5: field number 200, which the message does not have",
            ),
        ],
    );
}

#[test]
fn a_datum_nests_a_hundred_levels() {
    let schema = parse(OLD).unwrap();
    let nest = |levels: usize| {
        (0..levels).fold(ORDER.to_vec(), |inner, _| Bytes(ORDER.to_vec()).tag(9, 2).sized(&inner).0)
    };
    assert_eq!(said(&schema, schema.root(), Reject, &nest(100)), "ok");
    let deep = said(&schema, schema.root(), Reject, &nest(101));
    assert!(deep.ends_with("nested deeper than 100 levels"), "{deep}");
    assert!(deep.starts_with("order.order.order."), "{deep}");
    let schema = parse(EVENT).unwrap();
    for levels in [100, 101] {
        let group = [vec![0xbb, 0x01], [0x13].repeat(levels - 1), [0x14].repeat(levels - 1)];
        let group = [group.concat(), vec![0xbc, 0x01]].concat();
        let deep = said(&schema, schema.root(), Allow, &group);
        assert_eq!(deep == "ok", levels == 100, "{deep}");
    }
}
