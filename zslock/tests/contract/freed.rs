//! Rule 8, of the biased lock: who finds it free may free its memory, though a writer waited for the reader that left. Run under
//! valgrind or a sanitizer this sees a reader that touches the lock after its slot.

use std::mem::ManuallyDrop;
use std::sync::mpsc;
use std::thread;

use zslock::RawBiasedZsLock;
use zslock::lock_api::RawRwLock;

use crate::common::Raw;

#[test]
fn a_lock_is_freed_right_after_the_last_unlock() {
    const ROUNDS: usize = 200;
    let (to_reader, locks) = mpsc::sync_channel::<(usize, ManuallyDrop<_>)>(0);
    let reader = thread::spawn(move || {
        for (address, guard) in locks {
            let lock = std::ptr::with_exposed_provenance::<RawBiasedZsLock>(address);
            // SAFETY: the lock lives until its last reader has left, and the guard is of it.
            unsafe { (*lock).unlock_shared(ManuallyDrop::into_inner(guard)) };
        }
    });
    for round in 0..ROUNDS {
        let lock = Box::into_raw(Box::new(RawBiasedZsLock::new()));
        // SAFETY: freed below, by nobody else.
        let raw = unsafe { &*lock };
        raw.prepare();
        let guard = raw.lock_shared();
        to_reader
            .send((lock.expose_provenance(), ManuallyDrop::new(guard)))
            .expect("the reader is there");
        if round % 2 == 0 {
            let _held = raw.lock_exclusive();
        } else {
            while raw.try_lock_exclusive().is_none() {
                thread::yield_now();
            }
        }
        // SAFETY: from `Box::into_raw`; the reader, the only other one, has left.
        drop(unsafe { Box::from_raw(lock) });
    }
    drop(to_reader);
    reader.join().unwrap();
}
