//! Generated data, sound and damaged, beside prost-reflect's own decoder.

use super::UnknownFields::{Allow, Reject};
use super::sample::{Numbers, datum};
use super::schemas::{EVENT, OLD, parse, pool};
use super::{MessageId, ProtobufSchema};
use proptest::{collection::vec, prelude::*, sample::Index};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use std::sync::LazyLock;

/// A message, compiled by us and by prost-reflect.
struct Both {
    ours: ProtobufSchema,
    message: MessageId,
    theirs: MessageDescriptor,
}

static MESSAGES: LazyLock<Vec<Both>> = LazyLock::new(|| {
    let names = [(EVENT, "shop.events.Event"), (EVENT, "shop.events.Other"), (OLD, "old.Order")];
    let compile = |(schema, name)| {
        let ours = parse(schema).unwrap();
        let message = ours.message_by_name(name).unwrap();
        Both { ours, message, theirs: pool(schema).get_message_by_name(name).unwrap() }
    };
    names.into_iter().map(compile).collect()
});

/// Why we refuse what prost-reflect takes. It cuts numbers to their type, takes any number for true, does not ask for
/// required fields, reads tags and lengths of ten bytes, and an entry of a map whatever its wire type is.
const STRICTER: [&str; 5] = [
    "bool is neither 0 nor 1",
    "does not fit 32 bits",
    "required field is missing",
    "must be 2 (length-delimited) for message",
    // It keeps what it does not know, whatever it is.
    "end of group",
];
/// Why we refuse what we could take, too.
const BY_POLICY: [&str; 2] =
    ["which the message does not have", "number that the enum does not list"];

fn compare(both: &Both, datum: &[u8]) -> Result<(), TestCaseError> {
    let Both { ours, message, theirs } = both;
    let message = *message;
    let theirs = DynamicMessage::decode(theirs.clone(), datum);
    let (lenient, strict) = (ours.check(message, Allow, datum), ours.check(message, Reject, datum));
    for (unknown, checked) in [(Allow, &lenient), (Reject, &strict)] {
        let fault = ours.fault(message, unknown, datum);
        prop_assert_eq!(fault, checked.as_ref().err().map(|error| error.fault));
        if let Err(error) = checked {
            prop_assert_ne!(&error.detail, "no datum of the schema", "the walks disagree");
            prop_assert!(error.offset <= datum.len(), "{error}");
        }
    }
    prop_assert!(lenient.is_ok() || strict.is_err(), "{strict:?} {lenient:?}");
    if let (Err(error), Ok(_)) = (&lenient, &theirs) {
        let known = STRICTER.iter().any(|class| error.detail.contains(class));
        prop_assert!(known, "only prost-reflect takes it: {error}");
    }
    if let (Ok(()), Err(error)) = (&lenient, &theirs) {
        return Err(TestCaseError::fail(format!("only we take it: {error}")));
    }
    if let (Err(error), Ok(())) = (&strict, &lenient) {
        let known = BY_POLICY.iter().chain(["required field is missing"].iter());
        prop_assert!(known.clone().any(|class| error.detail.contains(class)), "{error}");
    }
    Ok(())
}

fn sample(choice: Index, seed: u64) -> (&'static Both, Vec<u8>) {
    let both = choice.get(&MESSAGES);
    (both, datum(&both.theirs, &mut Numbers::new(seed), 0))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn every_sound_datum_is_accepted(choice: Index, seed: u64) {
        let (both, datum) = sample(choice, seed);
        prop_assert_eq!(both.ours.check(both.message, Reject, &datum), Ok(()));
        compare(both, &datum)?;
    }

    #[test]
    fn damaged_data_get_the_verdict_of_prost_reflect_or_a_stricter_one_that_is_named(
        choice: Index,
        seed: u64,
        damages in vec((any::<u8>(), any::<Index>(), any::<u8>()), 1..4),
    ) {
        let (both, mut datum) = sample(choice, seed);
        for (what, at, byte) in damages {
            let at = at.index(datum.len() + 1);
            match what % 5 {
                0 => datum.truncate(at),
                1 => datum.insert(at, byte),
                _ if at == datum.len() => datum.push(byte),
                2 => datum[at] ^= 1 << (byte % 8),
                3 => drop(datum.remove(at)),
                _ => datum[at] = byte,
            }
        }
        compare(both, &datum)?;
    }

    #[test]
    fn arbitrary_bytes_get_the_same_verdicts(
        choice: Index,
        datum in vec(prop_oneof![0_u8..0x40, any::<u8>(), Just(0x80)], 0..60),
    ) {
        compare(choice.get(&MESSAGES), &datum)?;
    }
}
