//! What happens when a lock is about to be acquired.

use std::panic::Location;

use crate::block::{Block, Owner};
use crate::call::Call;
use crate::chain::{ChainId, Child, Link};
use crate::class::{Ids, NodeKey};
use crate::config;
use crate::context::{Wait, WaitType};
use crate::emit::{self, Unwind};
use crate::held::{Held, HeldLock, How, Slot};
use crate::map::LockMap;
use crate::mode::{Attempt, Request};
use crate::mutation;
use crate::observe;
use crate::release;
use crate::report::Report;
use crate::thread;
use crate::validate::{self, Wanted};

/// Validates an acquisition and puts it on this thread's stack.
#[inline]
#[track_caller]
pub(crate) fn acquire(map: &LockMap, call: Call) -> HeldLock {
    match config::mode() {
        config::VALIDATE => validate_or_known(map, call),
        config::OFF => HeldLock::UNTRACKED,
        _ => acquire_observed(map, call),
    }
}

/// The usual case first: a situation that this thread has seen before.
#[inline]
#[track_caller]
fn validate_or_known(map: &LockMap, call: Call) -> HeldLock {
    // SAFETY: the closure calls nothing but what works on its arguments.
    let known = unsafe {
        thread::calm(|block, owner| {
            let ids = map.known_ids()?;
            let Some(top) = owner.held.top() else {
                let chain = ChainId::first(ids.class, call.step());
                return push_known(map, call, ids, chain, Wait::SLEEP, block, owner);
            };
            let limit = top.how.limit_bits();
            if ids.waits.of(call).outer_bits() > limit && !call.tries() {
                return None;
            }
            let link = Link::acquire(top.chain, ids.class, call.step(), call.tries());
            let chain = owner.cache.get_simple(&link)?;
            push_known(map, call, ids, chain, limit, block, owner)
        })
    };
    match known {
        Some(held) => held,
        None => acquire_new(map, call),
    }
}

/// Puts an acquisition on the stack whose chain this thread has seen before.
/// `None`, for what only [`enter`] can do, changes nothing.
#[inline]
fn push_known(
    map: &LockMap,
    call: Call,
    ids: Ids,
    chain: ChainId,
    limit: u32,
    block: &Block,
    owner: &mut Owner,
) -> Option<HeldLock> {
    let at = owner.held.len();
    if at >= owner.held.capacity() || map.order != 0 {
        return None;
    }
    let token = owner.next_token();
    let inner = ids.waits.of(call).inner_bits();
    owner.held.push_slot(Slot {
        token,
        lock: ids.lock,
        address: map.address(),
        origin: map.origin,
        site: call.site,
        chain,
        how: How::new(ids.class, call, inner, limit.min(inner)),
    });
    block.publish_top(at, ids.lock);
    Some(HeldLock(token))
}

/// Like [`acquire_new`], and tells the observers.
#[cold]
#[inline(never)]
#[track_caller]
fn acquire_observed(map: &LockMap, call: Call) -> HeldLock {
    if !config::validates() {
        return HeldLock::UNTRACKED;
    }
    let held = acquire_new(map, call);
    if held != HeldLock::UNTRACKED && config::observes() {
        observe::wanted(map, &held, call.mode(), call.attempt(), call.site);
    }
    held
}

/// An acquisition for which something is special or new.
#[cold]
#[inline(never)]
#[track_caller]
fn acquire_new(map: &LockMap, call: Call) -> HeldLock {
    let entered = thread::with_tracked(|block, owner| {
        let mut reports = Vec::new();
        let held = enter(map, call, block, owner, &mut reports);
        (held, reports)
    });
    match entered {
        None => HeldLock::UNTRACKED,
        Some((held, reports)) if reports.is_empty() => held,
        Some((held, reports)) => deliver(map, held, reports),
    }
}

/// Delivers the reports about an acquisition; if that unwinds, the acquisition
/// did not happen.
#[cold]
#[track_caller]
fn deliver(map: &LockMap, held: HeldLock, reports: Vec<Report>) -> HeldLock {
    struct Undo<'a>(&'a LockMap, Option<HeldLock>);
    impl Drop for Undo<'_> {
        fn drop(&mut self) {
            if let Some(held) = self.1.take() {
                release::abandon(self.0, held, Location::caller());
            }
        }
    }
    let mut undo = Undo(map, Some(held));
    emit::deliver(reports, Unwind::Allowed);
    undo.1.take().unwrap_or(HeldLock::UNTRACKED)
}

/// Puts an acquisition on the stack; validated, unless this thread has seen the
/// same situation before.
fn enter(
    map: &LockMap,
    call: Call,
    block: &Block,
    owner: &mut Owner,
    reports: &mut Vec<Report>,
) -> HeldLock {
    let (mode, attempt) = (call.mode(), call.attempt());
    let fresh = map.known_ids().is_none();
    let ids = map.ids();
    if fresh
        && let Some((at, report)) =
            validate::reinitialised(owner, ids.lock, map.address(), call.site)
    {
        release::take(at, block, owner);
        reports.push(report);
    }
    let mut token = owner.next_token();
    if config::observes() {
        token = HeldLock(token).observed().0;
    }
    let node = NodeKey {
        class: ids.class,
        subclass: call
            .subclass()
            .unwrap_or_else(|| owner.take_subclass(token)),
    };
    let (outer, inner) = (ids.waits.of(call).outer(), ids.waits.of(call).inner());
    let waits = attempt != Attempt::Try
        && !(attempt == Attempt::Timed && mutation::is_broken(mutation::TIMED_IS_A_TRY));
    let wanted = || Wanted::new(map, node, call);
    if waits && outer > limit(owner) && !call.is_after_sleep() {
        validate::wait_context(owner, &wanted(), reports);
    }
    let chain = match owner.held.top() {
        None => ChainId::single(node, mode),
        Some(top) if waits => {
            let link = Link::checked(top.chain, node, mode);
            match owner.cache.get(&link) {
                Some(known) if !known.nests => known.chain,
                known => validated(owner, &wanted(), link, known, reports),
            }
        }
        Some(top) => {
            let link = Link::unchecked(top.chain, node, mode);
            owner.cache.get_or_insert(link)
        }
    };
    block.publish_top(owner.held.len(), ids.lock);
    owner.held.push(Held {
        token,
        lock: ids.lock,
        address: map.address(),
        order: map.order,
        node,
        origin: map.origin,
        mode,
        attempt,
        site: call.site,
        stays: call.stays(),
        inner,
        limit: owner
            .held
            .top()
            .filter(|_| !mutation::is_broken(mutation::OUTER_LIMIT_IGNORED))
            .map_or(inner, |top| inner.min(top.how.limit())),
        chain,
    });
    HeldLock(token)
}

/// The chain that `link` leads to, after what has to be validated each time (a
/// nesting inside one class) and, unless it is `known`, what only once.
#[cold]
fn validated(
    owner: &mut Owner,
    wanted: &Wanted,
    link: Link,
    known: Option<Child>,
    reports: &mut Vec<Report>,
) -> ChainId {
    let nests = wanted.nests(owner);
    if nests {
        validate::recursion(owner, wanted, reports);
    }
    match known {
        Some(child) => child.chain,
        None => {
            validate::dependencies(owner, wanted, reports);
            owner
                .cache
                .insert(link, nests && !mutation::is_broken(mutation::ORDER_CACHED))
        }
    }
}

/// The longest wait that this thread's sections allow.
#[inline]
pub(crate) fn limit(owner: &Owner) -> WaitType {
    let scope = match owner.atomic {
        0 => WaitType::Sleep,
        _ => WaitType::Bounded,
    };
    owner
        .held
        .top()
        .map_or(scope, |top| top.how.limit().min(scope))
}

/// The call's mode is the one that the upgrade leads to.
#[track_caller]
pub(crate) fn upgrade(map: &LockMap, held: &mut HeldLock, call: Call) {
    if *held == HeldLock::UNTRACKED {
        return;
    }
    if call.attempt() != Attempt::Try {
        let reports = thread::with_tracked(|_, owner| check_upgrade(map, held, call, owner));
        emit::deliver(reports.unwrap_or_default(), Unwind::Allowed);
    }
    release::set_mode(map, held, call.mode(), call.stays());
}

fn check_upgrade(map: &LockMap, held: &HeldLock, call: Call, owner: &mut Owner) -> Vec<Report> {
    // `None`: the guard came from another thread, whose hold it is; this
    // thread waits all the same, holding what it holds.
    let at = owner.held.find(|own| own.token == held.0);
    let node = NodeKey {
        class: map.ids().class,
        subclass: at.map_or(0, |at| owner.held.get(at).node.subclass),
    };
    let mut wanted = Wanted::new(map, node, call);
    wanted.request = Request::Upgrade;
    wanted.upgrade = true;
    wanted.upgrades = at;
    let mut reports = Vec::new();
    if wanted.outer > limit_without(owner, at) {
        validate::wait_context(owner, &wanted, &mut reports);
    }
    if let Some(top) = owner.held.top() {
        let link = Link::upgrade(top.chain, node);
        let known = owner.cache.get(&link);
        if known.is_none_or(|known| known.nests) {
            validated(owner, &wanted, link, known, &mut reports);
        }
    }
    reports
}

/// Like [`limit`], without the hold at `at`: an upgrade waits inside its own
/// section by nature.
fn limit_without(owner: &Owner, at: Option<usize>) -> WaitType {
    let holds = owner.held.iter().enumerate();
    let inner = holds
        .filter(|(i, _)| Some(*i) != at)
        .map(|(_, held)| held.inner);
    let scope = match owner.atomic {
        0 => WaitType::Sleep,
        _ => WaitType::Bounded,
    };
    inner.min().map_or(scope, |inner| inner.min(scope))
}
