//! The current thread: its block, and whether it is followed.
//!
//! A hold belongs to the thread that acquired it. When its guard is released
//! elsewhere, the releasing thread leaves a note in the owner's block; the owner
//! acts on it before it next looks at its holds.
//!
//! Invariant: a block is in the pool or attached to one thread, never both.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::block::{self, Block, Mail, Owner, lock};
use crate::fork;

/// Blocks that no thread has attached.
static POOL: Mutex<Vec<&'static Block>> = Mutex::new(Vec::new());

struct Local {
    block: Cell<Option<&'static Block>>,
    /// Inside [`with`].
    busy: Cell<bool>,
    /// Inside [`untracked`], that many times.
    untracked: Cell<u32>,
    /// Open scopes of [`nested`](crate::nested) and [`atomic`](crate::atomic).
    scopes: Cell<u32>,
    /// The block was given back; later thread-local destructors may still lock.
    exited: Cell<bool>,
}

thread_local! {
    // No destructor, so that it works in every other thread-local destructor.
    static LOCAL: Local = const {
        Local {
            block: Cell::new(None),
            busy: Cell::new(false),
            untracked: Cell::new(0),
            scopes: Cell::new(0),
            exited: Cell::new(false),
        }
    };
    /// The block, while nothing in `LOCAL` is out of the ordinary: one load
    /// answers all of these questions at once.
    static CALM: Cell<Option<&'static Block>> = const { Cell::new(None) };
    static EXIT: Exit = const { Exit };
}

impl Local {
    /// Sets `CALM` after a change of this.
    fn settle(&self) {
        let special = self.busy.get() || self.untracked.get() != 0 || self.scopes.get() != 0;
        CALM.set(if special { None } else { self.block.get() });
    }

    fn change(&self, count: &Cell<u32>, by: i32) {
        count.set(count.get().wrapping_add_signed(by));
        self.settle();
    }
}

struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        crate::release::thread_exit();
    }
}

struct Reset<'a>(&'a Local);

impl Drop for Reset<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
        self.0.settle();
    }
}

/// Runs `f` on this thread's block, with all notes acted on. `None` when the
/// thread has none any more, or when called from inside `f` (an allocator that
/// locks, for one).
pub(crate) fn with<R>(f: impl FnOnce(&'static Block, &mut Owner) -> R) -> Option<R> {
    LOCAL.with(|local| {
        if local.busy.replace(true) {
            return None;
        }
        CALM.set(None);
        let _reset = Reset(local);
        let block = match local.block.get() {
            Some(block) => block,
            None => attach(local)?,
        };
        // SAFETY: this thread has the block attached, and `busy` was clear, so
        // no other reference to `owner` is live (first invariant of `block`).
        let owner = unsafe { &mut *block.owner.get() };
        // Relaxed: a release elsewhere that this thread can know about happened
        // before this load, so it is seen; the notes are read under `mail`.
        if block.pending.load(Ordering::Relaxed) {
            block.act_on_notes(owner);
        }
        Some(f(block, owner))
    })
}

/// Runs `f` on this thread's block if nothing at all is special about this
/// thread: it has a block, it is followed, no scope of [`nested`](crate::nested)
/// or [`atomic`](crate::atomic) is open, and no note waits for it. `None`
/// otherwise: then [`with`] sorts it out.
///
/// # Safety
///
/// `f` must not lead back into this module, as an allocation may; so it need not
/// be announced in `busy`.
#[inline]
pub(crate) unsafe fn calm<R>(f: impl FnOnce(&'static Block, &mut Owner) -> Option<R>) -> Option<R> {
    let block = CALM.get()?;
    // Relaxed: as in `with`.
    if block.pending.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: `CALM` is set while this thread has the block attached and is not
    // inside `with`, so no other reference to `owner` is live; the caller's `f`
    // makes none (first invariant of `block`).
    f(block, unsafe { &mut *block.owner.get() })
}

/// Notes that a scope opens (1) or closes (-1).
pub(crate) fn scope(by: i32) {
    LOCAL.with(|local| local.change(&local.scopes, by));
}

/// Like [`with`], but also `None` inside [`untracked`].
#[inline]
pub(crate) fn with_tracked<R>(f: impl FnOnce(&'static Block, &mut Owner) -> R) -> Option<R> {
    if is_untracked() {
        return None;
    }
    with(f)
}

/// Runs `f` while this thread's acquisitions are not followed.
pub(crate) fn untracked<R>(f: impl FnOnce() -> R) -> R {
    struct Less;
    impl Drop for Less {
        fn drop(&mut self) {
            LOCAL.with(|local| local.change(&local.untracked, -1));
        }
    }
    LOCAL.with(|local| local.change(&local.untracked, 1));
    let _less = Less;
    f()
}

/// Whether this thread is inside [`untracked`].
pub(crate) fn is_untracked() -> bool {
    LOCAL.with(|local| local.untracked.get() != 0)
}

#[cold]
fn attach(local: &Local) -> Option<&'static Block> {
    if local.exited.get() {
        return None;
    }
    fork::watch();
    let block = {
        // Held while a block is made, too, so that a fork finds either all of
        // it or nothing.
        let mut pool = lock(&POOL);
        pool.pop().or_else(block::create)?
    };
    // SAFETY: the block came out of the pool or is new, so no other thread has
    // it; `busy` is set, so this thread has no reference to it either.
    let owner = unsafe { &mut *block.owner.get() };
    owner.name = name_of_this_thread();
    let mut mail = block.mail();
    mail.live = true;
    mail.since = owner.newest_token();
    drop(mail);
    local.block.set(Some(block));
    // Registers the destructor. If that is too late, the block stays attached
    // to a thread that is about to end; it is lost and nothing else.
    let _ = EXIT.try_with(|_| ());
    Some(block)
}

fn name_of_this_thread() -> Arc<str> {
    // Relaxed: only a label.
    static UNNAMED: AtomicU32 = AtomicU32::new(1);
    match std::thread::current().name() {
        Some(name) => Arc::from(name),
        None => Arc::from(format!(
            "thread-{}",
            UNNAMED.fetch_add(1, Ordering::Relaxed)
        )),
    }
}

/// Takes the block off this thread, which is ending. What `f` leaves held is
/// forgotten; a later release of it is ignored.
pub(crate) fn detach_block(f: impl FnOnce(&Owner)) {
    let block = with(|block, owner| {
        f(owner);
        let mut mail = block.mail();
        owner.held.clear();
        owner.collectors.clear();
        owner.atomic = 0;
        owner.nesting = None;
        mail.notes.clear();
        mail.live = false;
        block.publish(&owner.held, 0);
        block
    });
    LOCAL.with(|local| {
        local.exited.set(true);
        local.block.set(None);
        local.settle();
    });
    if let Some(block) = block {
        lock(&POOL).push(block);
    }
}

/// The locks of this module and of all blocks, held; see [`fork`].
#[derive(Debug)]
pub(crate) struct Frozen {
    _pool: MutexGuard<'static, Vec<&'static Block>>,
    mails: Vec<(&'static Block, MutexGuard<'static, Mail>)>,
}

impl Frozen {
    pub(crate) fn new() -> Frozen {
        Frozen {
            _pool: lock(&POOL),
            mails: block::all().map(|block| (block, block.mail())).collect(),
        }
    }

    /// In the child of a fork: nobody owns the other threads' blocks any more.
    /// They are not used again, because a thread may have been in the middle of
    /// changing its own.
    pub(crate) fn give_up_other_threads(mut self) {
        let own = LOCAL.with(|local| Some(local.block.get()?.index));
        for (block, mail) in &mut self.mails {
            if Some(block.index) != own {
                block.give_up(mail);
            }
        }
    }
}
