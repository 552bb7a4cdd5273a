//! The feature `serde`: a lock is (de)serialized as the value behind it.

#![cfg(all(feature = "serde", not(zslock_loom)))]

use std::fmt;

use serde::de::IntoDeserializer;
use serde::de::value::Error;
use serde::{Deserialize, Serialize};
use zslock::{GatedZsLock, ZsLock};

/// serde can write plain values to a formatter.
struct Serialized<T>(T);

impl<T: Serialize> fmt::Display for Serialized<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

#[test]
fn a_lock_passes_its_value_through() {
    assert_eq!(Serialized(&ZsLock::new(7_u32)).to_string(), "7");
    assert_eq!(Serialized(&GatedZsLock::new(8_u32)).to_string(), "8");
    let seven: Result<_, Error> = ZsLock::<u32>::deserialize(7_u32.into_deserializer());
    let eight: Result<_, Error> = GatedZsLock::<u32>::deserialize(8_u32.into_deserializer());
    assert_eq!((*seven.unwrap().read(), *eight.unwrap().read()), (7, 8));
}
