//! The block of a thread: what only the owner touches, what others see of it,
//! and what they leave for it.
//!
//! Blocks are never freed. Invariants:
//! * `owner` is touched only by the thread that has the block attached, inside
//!   [`thread::with`](crate::thread::with), which does not nest.
//! * a note is queued, or the hold it is about is on the stack or gone: never
//!   lost in between, because the owner acts on notes while it has `mail` locked.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::chain::ChainCache;
use crate::class::Serial;
use crate::context::WaitType;
use crate::held::{Held, HeldLock, HeldStack};
#[cfg(feature = "lock-api-04")]
use crate::mode::HoldKind;
use crate::mode::Mode;
use crate::mutation;
use crate::nested::Nesting;
use crate::report::Report;
#[cfg(feature = "lock-api-04")]
use crate::thread;

/// State that only the owning thread touches.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) held: HeldStack,
    pub(crate) cache: ChainCache,
    pub(crate) name: Arc<str>,
    /// The newest token: counts acquisitions, over all threads this block served.
    token: u64,
    /// The innermost open scope of [`nested`](crate::nested).
    pub(crate) nesting: Option<Nesting>,
    /// How many [`atomic`](crate::atomic) scopes are open.
    pub(crate) atomic: u32,
    /// One list for each open [`collect`](crate::collect).
    pub(crate) collectors: Vec<Vec<Report>>,
}

impl Owner {
    pub(crate) fn newest_token(&self) -> u64 {
        self.token
    }

    #[inline]
    pub(crate) fn next_token(&mut self) -> u64 {
        const COUNT: u64 = (1 << HeldLock::COUNT_BITS) - 1;
        self.token = self.token & !COUNT | (self.token + 1) & COUNT;
        self.token
    }

    /// The subclass of the acquisition `token`: that of an open scope, if this
    /// is the first one inside.
    #[inline]
    pub(crate) fn take_subclass(&mut self, token: u64) -> u8 {
        match &mut self.nesting {
            Some(scope) if scope.taken_by == Nesting::PENDING => {
                scope.taken_by = token;
                let ignored = mutation::is_broken(mutation::SUBCLASS_IGNORED);
                if ignored { 0 } else { scope.subclass }
            }
            _ => 0,
        }
    }

    /// The acquisition `token` failed: the next one is the scope's first.
    pub(crate) fn give_subclass_back(&mut self, token: u64) {
        if let Some(scope) = &mut self.nesting
            && scope.taken_by == token
        {
            scope.taken_by = Nesting::PENDING;
        }
    }
}

/// Something done to a hold by another thread than its owner.
#[derive(Debug)]
pub(crate) enum Note {
    Release(u64, Serial),
    /// The newest hold of this kind of a lock whose guards have no token.
    #[cfg(feature = "lock-api-04")]
    ReleaseNewest(Serial, HoldKind),
    /// All holds of a lock that was dropped.
    Freed(Serial),
    SetMode(u64, Mode, WaitType, bool),
}

#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) notes: Vec<Note>,
    /// Holds taken off the stack by [`detach`](crate::detach).
    pub(crate) detached: Vec<Held>,
    /// A thread has the block attached.
    pub(crate) live: bool,
    /// The newest token when it was attached: older ones are of holds that an
    /// earlier owner left behind when it ended.
    pub(crate) since: u64,
}

impl Mail {
    /// How many releases of `lock` the owner has not seen yet.
    fn releases_of(&self, lock: Serial) -> usize {
        let of_lock = |note: &&Note| match note {
            Note::Release(_, of) => *of == lock,
            #[cfg(feature = "lock-api-04")]
            Note::ReleaseNewest(of, _) => *of == lock,
            Note::Freed(_) | Note::SetMode(..) => false,
        };
        self.notes.iter().filter(of_lock).count()
    }

    /// Whether the thread that has the block attached gave this token out.
    pub(crate) fn is_of_this_owner(&self, token: u64) -> bool {
        let unmarked = |token: u64| HeldLock(token).unobserved();
        self.live && unmarked(token) > unmarked(self.since)
    }

    /// Adds a note. Only the last change of mode of a hold counts, and none once
    /// the hold has ended, so an owner that never looks has two notes for each
    /// of its holds at most, however long the guard is used elsewhere.
    fn add(&mut self, note: Note) {
        if let Note::Release(token, _) | Note::SetMode(token, ..) = note {
            let replaced = |old: &Note| matches!(old, Note::SetMode(of, ..) if *of == token);
            self.notes.retain(|old| !replaced(old));
        }
        self.notes.push(note);
    }
}

/// How many holds of a thread other threads can see (see `Block::published`).
const PUBLISHED: usize = 48;

// Alignment: what the owner reads at every operation shares a cache line with
// nothing that other blocks' owners write.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Block {
    pub(crate) index: u32,
    /// There are notes. Set under `mail`, cleared under `mail`.
    pub(crate) pending: AtomicBool,
    /// The locks of the oldest holds, so that who drops a lock can see that
    /// another thread holds it; 0 is none.
    published: [AtomicU64; PUBLISHED],
    mail: Mutex<Mail>,
    pub(crate) owner: UnsafeCell<Owner>,
}

// SAFETY: all fields but `owner` are `Sync`. `owner` is touched only by the one
// thread that has the block attached (first invariant of the module), and what
// is in it is `Send`: a later thread may own it, after the pool's mutex.
unsafe impl Sync for Block {}

/// All blocks by index, in chunks that double, so that they can be found
/// without a lock.
static TABLE: [OnceLock<Box<[OnceLock<&'static Block>]>>; 20] = [const { OnceLock::new() }; 20];
static BLOCKS: AtomicU32 = AtomicU32::new(0);

/// A block that no thread ever had. `None` when all indices are in use; then
/// the thread is not followed.
pub(crate) fn create() -> Option<&'static Block> {
    // Relaxed: only uniqueness matters; the block is published by its `OnceLock`.
    let index = BLOCKS.fetch_add(1, Ordering::Relaxed);
    if index >= HeldLock::MAX_BLOCKS {
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
        return None;
    }
    let block: &'static Block = Box::leak(Box::new(Block {
        index,
        pending: AtomicBool::new(false),
        published: [const { AtomicU64::new(0) }; PUBLISHED],
        mail: Mutex::new(Mail::default()),
        owner: UnsafeCell::new(Owner {
            held: HeldStack::default(),
            cache: ChainCache::new(),
            name: Arc::from(""),
            token: HeldLock::new(index, 0).0,
            nesting: None,
            atomic: 0,
            collectors: Vec::new(),
        }),
    }));
    let (chunk, at) = place(index);
    let chunk = TABLE[chunk].get_or_init(|| (0..1 << chunk).map(|_| OnceLock::new()).collect());
    let _ = chunk[at].set(block);
    Some(block)
}

/// The chunk and the place in it of the block with this index.
const fn place(index: u32) -> (usize, usize) {
    let chunk = (index + 1).ilog2();
    (chunk as usize, (index + 1 - (1 << chunk)) as usize)
}

pub(crate) fn by_index(index: u32) -> Option<&'static Block> {
    let (chunk, at) = place(index);
    TABLE.get(chunk)?.get()?.get(at)?.get().copied()
}

/// Every block there is.
pub(crate) fn all() -> impl Iterator<Item = &'static Block> {
    // Relaxed: a block that is being made belongs to a thread whose holds the
    // caller cannot know about yet.
    (0..BLOCKS.load(Ordering::Relaxed)).filter_map(by_index)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Block {
    pub(crate) fn mail(&self) -> MutexGuard<'_, Mail> {
        lock(&self.mail)
    }

    /// Leaves a note for the owner, if there is one.
    pub(crate) fn leave(&self, mail: &mut Mail, note: Note) {
        if mail.live && !mutation::is_broken(mutation::RELEASE_NOTE_LOST) {
            mail.add(note);
            // Relaxed: see `thread::with`.
            self.pending.store(true, Ordering::Relaxed);
        }
    }

    #[cold]
    pub(crate) fn act_on_notes(&self, owner: &mut Owner) {
        let mut mail = self.mail();
        // Relaxed: under `mail`, like every store of it.
        self.pending.store(false, Ordering::Relaxed);
        let held = &mut owner.held;
        // The chains are named again once, from the lowest change upwards.
        let mut lowest = held.len();
        let mut take = |held: &mut HeldStack, is: &dyn Fn(&Held) -> bool| {
            let at = held.iter().rposition(|held| is(&held))?;
            lowest = lowest.min(at);
            held.take(at);
            Some(at)
        };
        for note in mail.notes.drain(..) {
            match note {
                Note::Release(token, _) => {
                    take(held, &|held| held.token == token);
                }
                #[cfg(feature = "lock-api-04")]
                Note::ReleaseNewest(lock, kind) => {
                    take(held, &|held| {
                        held.lock == lock && held.mode.hold_kind() == kind
                    });
                }
                Note::Freed(lock) => while take(held, &|held| held.lock == lock).is_some() {},
                Note::SetMode(token, mode, inner, stays) => {
                    if let Some(at) = held.find(|held| held.token == token) {
                        held.set_mode(at, mode, inner, stays, &mut owner.cache);
                    }
                }
            }
        }
        held.rebuild(lowest, &mut owner.cache);
        self.publish(held, 0);
    }

    /// Shows the holds from `from` upwards to other threads.
    #[inline]
    pub(crate) fn publish(&self, held: &HeldStack, from: usize) {
        for (at, slot) in self.published.iter().enumerate().skip(from) {
            let lock = if at < held.len() {
                held.get(at).lock
            } else {
                0
            };
            // Release: pairs with the Acquire in `shown`. When holds move down, who
            // sees a place overwritten also sees its hold in the place below.
            slot.store(lock, Ordering::Release);
        }
    }

    /// Shows that the hold at `at`, the newest, came or went.
    #[inline]
    pub(crate) fn publish_top(&self, at: usize, lock: Serial) {
        if let Some(slot) = self.published.get(at) {
            // Relaxed: who drops a lock has exclusive access to it, so every
            // acquisition and release of it happened before and is seen.
            slot.store(lock, Ordering::Relaxed);
        }
    }

    /// Takes the block from a thread that does not exist any more.
    pub(crate) fn give_up(&self, mail: &mut Mail) {
        mail.live = false;
        mail.notes.clear();
        mail.detached.clear();
        self.publish(&HeldStack::default(), 0);
    }

    /// Whether the owner may have a hold of `lock`: it shows one, or has more than
    /// it can show. Called under `mail`.
    pub(crate) fn may_hold(&self, lock: Serial) -> bool {
        // Relaxed: as in `publish_top`; the hold was given out before its token.
        let shown = self
            .published
            .each_ref()
            .map(|slot| slot.load(Ordering::Relaxed));
        shown.contains(&lock) || shown[PUBLISHED - 1] != 0
    }

    /// Whether the owner shows a hold of `lock` that nobody has released. Holds
    /// above the oldest `PUBLISHED` are not seen.
    pub(crate) fn holds(&self, lock: Serial) -> bool {
        self.shown(lock) > 0 && self.still_held(lock, &self.mail())
    }

    /// Ends the owner's newest hold of `lock` of this kind, if [`holds`](Self::holds).
    #[cfg(feature = "lock-api-04")]
    pub(crate) fn end_newest(&self, lock: Serial, kind: HoldKind) -> bool {
        if self.shown(lock) == 0 {
            return false;
        }
        // Not followed: a note may have to be allocated, and the allocator may lock.
        thread::untracked(|| {
            let mut mail = self.mail();
            let held = self.still_held(lock, &mail);
            if held {
                self.leave(&mut mail, Note::ReleaseNewest(lock, kind));
            }
            held
        })
    }

    /// Releases elsewhere may be on their way; once seen under `mail`, each has its
    /// note there or the owner has taken the hold off already.
    fn still_held(&self, lock: Serial, mail: &Mail) -> bool {
        self.shown(lock) > mail.releases_of(lock)
    }

    /// How many holds of `lock` the owner shows.
    fn shown(&self, lock: Serial) -> usize {
        // Acquire: pairs with the Release in `publish`. From the top, so that a hold on
        // its way down is met.
        let shows = |slot: &&AtomicU64| slot.load(Ordering::Acquire) == lock;
        self.published.iter().rev().filter(shows).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_about_a_hold_do_not_pile_up_and_the_last_one_counts() {
        let mut mail = Mail::default();
        for _ in 0..1000 {
            for token in [1, 2] {
                for mode in [Mode::Exclusive, Mode::Upgradable] {
                    mail.add(Note::SetMode(token, mode, WaitType::Sleep, false));
                }
            }
        }
        assert!(matches!(
            mail.notes[..],
            [
                Note::SetMode(1, Mode::Upgradable, ..),
                Note::SetMode(2, Mode::Upgradable, ..)
            ]
        ));
        mail.add(Note::Release(1, 7));
        assert!(matches!(
            mail.notes[..],
            [Note::SetMode(2, ..), Note::Release(1, 7)]
        ));
    }
}
