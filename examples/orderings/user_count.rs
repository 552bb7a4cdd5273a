//! Why a count of users is not enough: migration must keep *new* maps out, not only see old ones.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicI32, Ordering::SeqCst};
use loom::thread;

use crate::explore::{Object, step};

const MIGRATING: i32 = -1;

struct Zspage {
    users: AtomicI32,
    object: Object,
}

fn model(map: fn(&Zspage), migrate: fn(&Zspage)) {
    let zspage = Arc::new(Zspage {
        users: AtomicI32::new(0),
        object: Object::new(),
    });
    let other = Arc::clone(&zspage);
    let migrator = thread::spawn(move || migrate(&other));
    map(&zspage);
    migrator.join().unwrap();
}

/// `users++; use; users--;` against `if (users == 0) migrate;`.
pub(crate) fn count_only() {
    model(
        |zspage| {
            zspage.users.fetch_add(1, SeqCst);
            step("reader", "users++");
            zspage.object.read();
            zspage.users.fetch_sub(1, SeqCst);
            step("reader", "users--");
        },
        |zspage| {
            if zspage.users.load(SeqCst) == 0 {
                step("migrator", "sees users == 0");
                zspage.object.migrate();
            }
        },
    );
}

/// The same count, but migration takes it from 0 to -1 in one step, and a map only adds to what is not negative.
pub(crate) fn with_a_writer() {
    model(
        |zspage| {
            let users = zspage.users.load(SeqCst);
            let mapped = users != MIGRATING
                && zspage
                    .users
                    .compare_exchange(users, users + 1, SeqCst, SeqCst)
                    .is_ok();
            if mapped {
                step("reader", "users++, as nobody migrates");
                zspage.object.read();
                zspage.users.fetch_sub(1, SeqCst);
                step("reader", "users--");
            }
        },
        |zspage| {
            let closed = zspage
                .users
                .compare_exchange(0, MIGRATING, SeqCst, SeqCst)
                .is_ok();
            if closed {
                step("migrator", "users: 0 -> migrating");
                zspage.object.migrate();
                zspage.users.store(0, SeqCst);
                step("migrator", "users: migrating -> 0");
            }
        },
    );
}
