//! What happens when a hold ends or changes: release, change of mode, detach,
//! the end of the lock and the end of the thread. Nothing here unwinds, because
//! all of it may be called from a drop.

use std::panic::Location;
use std::sync::atomic::Ordering;

use crate::block::{self, Block, Mail, Note, Owner};
use crate::class::{Origin, Serial};
use crate::config;
use crate::emit::{self, Unwind};
use crate::graph;
use crate::held::{Held, HeldLock};
use crate::map::LockMap;
use crate::mode::Mode;
use crate::observe;
use crate::report::{HeldInfo, Report, ReportKind};
use crate::thread;

impl LockMap {
    /// This lock's serial; 0 when it was never acquired.
    #[inline]
    fn serial_now(&self) -> Serial {
        // Relaxed: a hold of this lock was given out after it was set.
        self.serial.load(Ordering::Relaxed)
    }
}

#[inline]
pub(crate) fn release(map: &LockMap, token: HeldLock, site: &'static Location<'static>) {
    if token != HeldLock::UNTRACKED {
        release_any_or_newest(map, token, site);
    }
}

/// Not inlined, as for an acquisition.
#[inline]
fn release_any_or_newest(map: &LockMap, token: HeldLock, site: &'static Location<'static>) {
    // SAFETY: the closure calls nothing but what works on its arguments.
    let newest = unsafe {
        thread::calm(|block, owner| {
            let top = owner.held.top()?;
            let is_it = top.token == token.0 && top.lock == map.serial_now();
            if !is_it || token.is_observed() || map.order != 0 {
                return None;
            }
            owner.held.pop();
            block.publish_top(owner.held.len(), 0);
            Some(())
        })
    };
    if newest.is_none() {
        release_any(map, token, site);
    }
}

/// Ends a hold that is not simply the newest of this thread.
#[cold]
#[inline(never)]
fn release_any(map: &LockMap, token: HeldLock, site: &'static Location<'static>) {
    if token.is_observed() {
        observe::released(map, &token, site);
    }
    end(map, token, site);
}

fn end(map: &LockMap, token: HeldLock, site: &'static Location<'static>) {
    let released = thread::with(|block, owner| {
        (block.index == token.block()).then(|| release_own(map, &token, site, block, owner))
    });
    match released.flatten() {
        Some(None) => {}
        Some(Some(report)) => emit::deliver(vec![*report], Unwind::Never),
        None => release_elsewhere(map, &token, site),
    }
}

/// Takes back an acquisition that failed.
#[cold]
pub(crate) fn abandon(map: &LockMap, token: HeldLock, site: &'static Location<'static>) {
    if token == HeldLock::UNTRACKED {
        return;
    }
    thread::with(|_, owner| owner.give_subclass_back(token.0));
    if token.is_observed() {
        observe::abandoned(map, &token);
    }
    end(map, token, site);
}

/// Ends a hold that this thread's block gave out. The report is boxed, so that
/// the usual case has nothing to move.
#[inline]
fn release_own(
    map: &LockMap,
    token: &HeldLock,
    site: &'static Location<'static>,
    block: &Block,
    owner: &mut Owner,
) -> Option<Box<Report>> {
    let Some(at) = owner.held.find(|held| held.token == token.0) else {
        // Detached; or the hold was forgotten: its lock was freed, or the block
        // has passed to another thread.
        let held = end_own_detached(map, block, |held| held.token == token.0)?;
        return foreign_token(map, &held, site, owner);
    };
    let report = foreign_token(map, &owner.held.get(at), site, owner);
    take(at, block, owner);
    report
}

#[cold]
fn foreign_token(
    map: &LockMap,
    held: &Held,
    site: &'static Location<'static>,
    owner: &Owner,
) -> Option<Box<Report>> {
    if held.lock == map.serial_now() {
        return None;
    }
    let held = HeldInfo::from(held);
    let detail = format!("a hold of {held} is released through another lock");
    let mut report = Report::new(ReportKind::BadUnlock, owner, site, detail);
    report.conflict = Some(held);
    Some(Box::new(report))
}

/// Takes a hold off this thread's stack.
pub(crate) fn take(at: usize, block: &Block, owner: &mut Owner) {
    owner.held.remove(at, &mut owner.cache);
    if at == owner.held.len() {
        block.publish_top(at, 0);
    } else {
        // Others look at what is shown under `mail`: not while it moves down.
        let _mail = block.mail();
        block.publish(&owner.held, at);
    }
}

/// Ends a hold of another thread.
#[cold]
fn release_elsewhere(map: &LockMap, token: &HeldLock, site: &'static Location<'static>) {
    let Some(block) = block::by_index(token.block()) else {
        return;
    };
    let lock = map.serial_now();
    // Not followed: a note may have to be allocated, and the allocator may lock.
    let foreign = thread::untracked(|| {
        let mut mail = block.mail();
        if let Some(held) = end_detached(map, &mut mail, |held| held.token == token.0) {
            return held.lock != lock;
        }
        if !mail.is_of_this_owner(token.0) {
            return false;
        }
        block.leave(&mut mail, Note::Release(token.0, lock));
        !block.may_hold(lock)
    });
    if foreign {
        let report = thread::with_tracked(|_, owner| {
            let detail = format!(
                "a hold that another thread acquired is released through {}, which is not \
                 the lock that it is a hold of",
                map.name()
            );
            Report::new(ReportKind::BadUnlock, owner, site, detail)
        });
        emit::deliver(report.into_iter().collect(), Unwind::Never);
    }
}

/// Ends a detached hold of this thread.
#[cold]
fn end_own_detached(map: &LockMap, block: &Block, is: impl Fn(&Held) -> bool) -> Option<Held> {
    end_detached(map, &mut block.mail(), is)
}

/// Ends a detached hold; which it was.
fn end_detached(map: &LockMap, mail: &mut Mail, is: impl Fn(&Held) -> bool) -> Option<Held> {
    let at = mail.detached.iter().rposition(is)?;
    let held = mail.detached.swap_remove(at);
    // A hold of another lock is not in this one's count.
    if held.lock == map.serial_now() {
        // Relaxed: only a count, changed under `mail`.
        map.detached.fetch_sub(1, Ordering::Relaxed);
    }
    Some(held)
}

#[cold]
pub(crate) fn force_release(map: &LockMap, site: &'static Location<'static>) {
    if !config::validates() {
        return;
    }
    let serial = map.serial_now();
    let ended = thread::with_tracked(|block, owner| {
        if let Some(at) = owner.held.find(|held| held.lock == serial && serial != 0) {
            let token = owner.held.get(at).token;
            take(at, block, owner);
            return Ok(HeldLock(token));
        }
        let detached = end_own_detached(map, block, |held| held.lock == serial);
        detached.map(|held| HeldLock(held.token)).ok_or_else(|| {
            let detail = format!(
                "{} is released, but this thread does not hold it",
                map.name()
            );
            Box::new(Report::new(ReportKind::BadUnlock, owner, site, detail))
        })
    });
    match ended {
        Some(Ok(held)) if held.is_observed() => observe::released(map, &held, site),
        Some(Err(report)) => emit::deliver(vec![*report], Unwind::Never),
        Some(Ok(_)) | None => {}
    }
}

#[inline]
pub(crate) fn set_mode(map: &LockMap, token: &mut HeldLock, mode: Mode, stays: bool) {
    if *token == HeldLock::UNTRACKED {
        return;
    }
    if token.is_observed() {
        observe::changed(map, token, mode);
    }
    let inner = map.ids().waits.get(mode).inner();
    let own = thread::with(|block, owner| {
        let at = (block.index == token.block())
            .then(|| owner.held.find(|held| held.token == token.0))??;
        owner
            .held
            .set_mode(at, mode, inner, stays, &mut owner.cache);
        Some(())
    });
    if own.flatten().is_some() {
        return;
    }
    let Some(block) = block::by_index(token.block()) else {
        return;
    };
    // Not followed: as in `release_elsewhere`.
    thread::untracked(|| {
        let mut mail = block.mail();
        let known = mail.is_of_this_owner(token.0);
        match mail.detached.iter_mut().find(|held| held.token == token.0) {
            Some(held) => held.mode = mode,
            None if !known => {}
            None => block.leave(&mut mail, Note::SetMode(token.0, mode, inner, stays)),
        }
    });
}

/// Where a hold of this thread was acquired, and in which subclass.
pub(crate) fn origin_of(token: &HeldLock) -> Option<(&'static Location<'static>, u8)> {
    let own = thread::with_tracked(|_, owner| {
        let at = owner.held.find(|held| held.token == token.0)?;
        let held = owner.held.get(at);
        Some((held.site, held.node.subclass))
    });
    own.flatten()
}

/// Whether a hold, of any thread, was detached.
pub(crate) fn is_detached(map: &LockMap, token: &HeldLock) -> bool {
    // Relaxed: who has the guard sees that it was detached.
    map.detached.load(Ordering::Relaxed) != 0
        && block::by_index(token.block()).is_some_and(|block| {
            let mail = block.mail();
            mail.detached.iter().any(|held| held.token == token.0)
        })
}

/// Takes this thread's newest hold of the lock off its stack, for a guard that
/// is sent away on purpose.
pub(crate) fn detach(map: &LockMap) {
    let serial = map.serial_now();
    if serial == 0 {
        return;
    }
    thread::with_tracked(|block, owner| {
        if let Some(at) = owner.held.find(|held| held.lock == serial) {
            block.mail().detached.push(owner.held.get(at));
            take(at, block, owner);
            // Relaxed: only a count; who is sent the guard sees it.
            map.detached.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// The lock ceases to exist.
pub(crate) fn destroy(map: &mut LockMap) {
    let serial = *map.serial.get_mut();
    if serial == 0 {
        return;
    }
    let site = Location::caller();
    let mut reports = Vec::new();
    thread::with(|block, owner| {
        while let Some(at) = owner.held.find(|held| held.lock == serial) {
            let held = owner.held.get(at);
            let detail = format!(
                "dropped while this thread holds it: {}",
                HeldInfo::from(&held)
            );
            let mut report = Report::new(ReportKind::HeldLockFreed, owner, held.site, detail);
            report.conflict = Some(HeldInfo::from(&held));
            reports.push(report);
            take(at, block, owner);
        }
        let elsewhere = held_elsewhere(block.index, serial);
        let detached = *map.detached.get_mut() != 0 && forget_detached(serial);
        if elsewhere || detached {
            let who = if elsewhere {
                "another thread holds it"
            } else {
                "a detached guard holds it"
            };
            let detail = format!("{} dropped while {who}", map.name());
            reports.push(Report::new(ReportKind::HeldLockFreed, owner, site, detail));
        }
    });
    if matches!(map.origin, Origin::Instance) && graph::may_know(serial) {
        thread::untracked(|| graph::lock().remove_class(serial));
    }
    if config::observes() {
        observe::destroyed(map, !reports.is_empty());
    }
    emit::deliver(reports, Unwind::Never);
}

/// Whether another thread shows a hold of the lock; then it is made to forget
/// it.
fn held_elsewhere(own: u32, lock: Serial) -> bool {
    let mut held = false;
    for block in block::all().filter(|block| block.index != own && block.holds(lock)) {
        block.leave(&mut block.mail(), Note::Freed(lock));
        held = true;
    }
    held
}

/// Forgets the detached holds of a lock that is gone.
fn forget_detached(lock: Serial) -> bool {
    let mut found = false;
    for block in block::all() {
        let detached = &mut block.mail().detached;
        let before = detached.len();
        detached.retain(|held| held.lock != lock);
        found |= detached.len() != before;
    }
    found
}

/// The thread ends. Guards that may be on another thread are no bug. The others
/// can be released only by thread-local variables that are dropped after the
/// validator's own: the order of these drops is not specified.
pub(crate) fn thread_exit() {
    let mut reports = Vec::new();
    thread::detach_block(|owner| {
        for held in owner.held.iter().filter(|held| held.stays) {
            let detail = format!(
                "the thread ends and still holds {}; unless a thread-local variable has the \
                 guard and is dropped later, nobody can release it",
                HeldInfo::from(&held)
            );
            let mut report = Report::new(ReportKind::HeldAtThreadExit, owner, held.site, detail);
            report.conflict = Some(HeldInfo::from(&held));
            reports.push(report);
        }
    });
    emit::deliver(reports, Unwind::Never);
}
