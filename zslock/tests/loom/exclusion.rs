//! Mutual exclusion, and what a try may see.

use loom::thread;

use crate::model::{Lock, Raw, check, for_every_lock, lock};

for_every_lock! {
    /// Rules out: two writers inside at once, and a write that the next writer does not see.
    fn two_writers_exclude_each_other<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let writer = thread::spawn(move || other.write().add(1));
            lock.write().add(1);
            writer.join().unwrap();
            assert_eq!(lock.write().get(), 2);
        });
    }

    /// Rules out: a reader beside a writer, and a reader that sees half of a write section.
    fn a_reader_excludes_a_writer<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let writer = thread::spawn(move || {
                let guard = other.write();
                guard.add(1);
                guard.add(1);
            });
            let seen = lock.read().get();
            assert!(seen == 0 || seen == 2, "half of a write section was seen");
            writer.join().unwrap();
            assert_eq!(lock.read().get(), 2);
        });
    }

    /// Rules out: a `try_write` that succeeds beside a reader, or that does not see what a reader's section ended with.
    /// Both outcomes of the try are reached.
    fn try_write_against_read<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let migrator = thread::spawn(move || {
                if let Some(guard) = other.try_write() {
                    guard.add(1);
                }
            });
            {
                let guard = lock.read();
                assert_eq!(guard.get(), guard.get(), "the data moved under a map");
            }
            migrator.join().unwrap();
        });
    }

    /// Rules out: a `try_read` that succeeds beside a writer.
    fn try_read_against_write<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let writer = thread::spawn(move || {
                let guard = other.write();
                guard.add(1);
                guard.add(1);
            });
            if let Some(guard) = lock.try_read() {
                let seen = guard.get();
                assert!(seen == 0 || seen == 2, "half of a write section was seen");
            }
            writer.join().unwrap();
        });
    }

    /// Rules out: readers that exclude one another, or lose a count between them: the last write would hang.
    fn readers_share<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let first = lock.read();
            let reader = thread::spawn(move || other.read().get());
            assert_eq!(reader.join().unwrap(), 0);
            assert_eq!(first.get(), 0);
            drop(first);
            lock.write().add(1);
        });
    }

    /// Rules out: a downgraded writer that lets another writer in between, or that new readers do not synchronise with.
    fn downgrade_keeps_writers_out<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let writer = thread::spawn(move || downgraded_reader_sees_its_own_write(&other));
            downgraded_reader_sees_its_own_write(&lock);
            writer.join().unwrap();
            assert_eq!(lock.read().get(), 2);
        });
    }
}

fn downgraded_reader_sees_its_own_write<R: Raw>(lock: &Lock<R>) {
    let guard = lock.write();
    guard.add(1);
    let written = guard.get();
    let guard = zslock::lock_api::RwLockWriteGuard::downgrade(guard);
    assert_eq!(guard.get(), written, "another writer came between");
}
