//! The fuzz targets on stable: what they found stays mended, every seed is taken, and neither damaged seeds nor arbitrary
//! bytes break a promise.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail")]

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;
#[path = "fuzz/seeds.rs"]
mod seeds;
mod support;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use bodies::{ALL, Outcome, Target};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{TestCaseResult, TestRunner},
};

fn folder(kind: &str, target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target.name)
}

/// Runs a body and says on what it broke.
fn run(target: &Target, data: &[u8]) -> Result<Outcome, TestCaseError> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(data))).map_err(|panic| {
        let said = panic.downcast_ref::<String>().map_or("a promise is broken", |said| said);
        TestCaseError::fail(format!("{}: {said} on {}", target.name, data.escape_ascii()))
    })
}

#[test]
fn what_was_found_once_stays_mended() {
    for target in ALL {
        let Ok(found) = fs::read_dir(folder("regressions", &target)) else { continue };
        for found in found {
            let path = found.unwrap().path();
            run(&target, &fs::read(&path).unwrap()).unwrap();
        }
    }
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions"));
    for folder in folders.unwrap() {
        let name = folder.unwrap().file_name();
        assert!(ALL.iter().any(|target| *target.name == *name), "{name:?} is no target");
    }
}

#[test]
fn every_seed_is_what_it_claims_to_be() {
    for target in ALL {
        let seeds = seeds::of(target.name);
        assert!(seeds.len() > 5, "{} has {} seeds", target.name, seeds.len());
        for seed in seeds {
            let outcome = run(&target, &seed).unwrap();
            assert_eq!(outcome, Outcome::Taken, "{}: {}", target.name, seed.escape_ascii());
        }
    }
}

/// One thing that goes wrong on the way: what, where, and with which byte.
type Damage = (u8, Index, u8);

fn damaged(mut seed: Vec<u8>, damages: &[Damage], other: &[u8]) -> Vec<u8> {
    for (what, at, byte) in damages {
        let at = at.index(seed.len() + 1);
        match what % 6 {
            0 => seed.truncate(at),
            1 => seed.insert(at, *byte),
            2 => {
                let tail = other.get(at..).unwrap_or_default();
                seed.splice(at.., tail.iter().copied());
            }
            _ if at == seed.len() => seed.push(*byte),
            3 => seed[at] ^= 1 << (byte % 8),
            4 => drop(seed.remove(at)),
            _ => seed[at] = *byte,
        }
    }
    seed
}

fn hold<S: Strategy>(cases: u32, inputs: &S, test: impl Fn(S::Value) -> TestCaseResult) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    TestRunner::new(config).run(inputs, test).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn damaged_seeds_break_no_promise() {
    let damage = (any::<u8>(), any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(0x80)]);
    let inputs = (any::<Index>(), any::<Index>(), vec(damage, 1..5));
    for target in ALL {
        let seeds = seeds::of(target.name);
        hold(500, &inputs, |(seed, other, damages)| {
            let (seed, other): (&Vec<u8>, &Vec<u8>) = (seed.get(&seeds), other.get(&seeds));
            run(&target, &damaged(seed.clone(), &damages, other))?;
            Ok(())
        });
    }
}

/// The largest counts and lengths of the protocol, of records and of Avro, and their neighbours.
const LIES: [&[u8]; 6] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x04],
];

#[test]
fn counts_that_promise_gigabytes_are_believed_nowhere() {
    for target in ALL {
        for seed in seeds::of(target.name).iter().filter(|seed| seed.len() < 300) {
            for at in 0..seed.len() {
                for lie in LIES {
                    let mut lying = seed.clone();
                    lying.splice(at..seed.len().min(at + lie.len()), lie.iter().copied());
                    run(&target, &lying).unwrap();
                }
            }
        }
    }
}

#[test]
fn arbitrary_bytes_break_no_promise() {
    let small = prop_oneof![0_u8..6, any::<u8>(), Just(0x80), Just(0xff)];
    for target in ALL {
        hold(300, &vec(small.clone(), 0..200), |data| {
            run(&target, &data)?;
            Ok(())
        });
    }
}

/// `scripts/fuzz` begins with these.
#[test]
#[ignore = "writes fuzz/corpus"]
fn write_seeds() {
    for target in ALL {
        let folder = folder("corpus", &target);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds::of(target.name).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed).unwrap();
        }
    }
}
