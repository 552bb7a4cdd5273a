//! What happens when a lock is about to be acquired.

use std::panic::Location;

use crate::chain::{ChainId, Link};
use crate::config;
use crate::context::WaitType;
use crate::emit::{self, Unwind};
use crate::held::{Held, HeldLock};
use crate::map::LockMap;
use crate::mode::{Attempt, Mode, Request};
use crate::release;
use crate::report::Report;
use crate::thread::{self, Block, Owner};
use crate::validate::{self, Wanted};

#[inline]
#[track_caller]
pub(crate) fn acquire(map: &LockMap, mode: Mode, attempt: Attempt, stays: bool) -> HeldLock {
    if !config::validates() {
        return HeldLock::UNTRACKED;
    }
    let site = Location::caller();
    let entered = thread::with_tracked(|block, owner| {
        let subclass = owner.subclass.take().unwrap_or(0);
        let wanted = Wanted::new(map, subclass, mode, attempt, site);
        enter(map, &wanted, stays, block, owner)
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
                release::release(self.0, held, Location::caller());
            }
        }
    }
    let mut undo = Undo(map, Some(held));
    emit::deliver(reports, Unwind::Allowed);
    undo.1.take().unwrap_or(HeldLock::UNTRACKED)
}

/// Validates an acquisition and puts it on the stack.
#[inline]
fn enter(
    map: &LockMap,
    wanted: &Wanted,
    stays: bool,
    block: &Block,
    owner: &mut Owner,
) -> (HeldLock, Vec<Report>) {
    let mut reports = Vec::new();
    let (node, mode) = (wanted.node, wanted.mode);
    let chain = if wanted.attempt == Attempt::Try {
        match owner.held.top() {
            None => ChainId::single(node, mode),
            Some(top) => owner
                .cache
                .get_or_insert(Link::unchecked(top.chain, node, mode)),
        }
    } else {
        if wanted.outer > limit(owner) {
            validate::wait_context(owner, wanted, &mut reports);
        }
        match owner.held.top() {
            None => ChainId::single(node, mode),
            Some(top) => {
                let link = Link::checked(top.chain, node, mode);
                validated(owner, wanted, link, &mut reports)
            }
        }
    };
    let inner = map.wait_types(mode).1;
    let token = owner.next_token(block);
    owner.held.push(Held {
        token,
        lock: wanted.ids.lock,
        address: wanted.order.address,
        order: wanted.order.order,
        node,
        origin: wanted.origin,
        mode,
        attempt: wanted.attempt,
        site: wanted.site,
        stays,
        inner,
        limit: inner,
        chain,
    });
    block.publish_top(owner.held.as_slice().len() - 1, wanted.ids.lock);
    (HeldLock(token), reports)
}

/// The chain that `link` leads to, after validation unless this thread has seen
/// the same situation before.
#[inline]
fn validated(owner: &mut Owner, wanted: &Wanted, link: Link, reports: &mut Vec<Report>) -> ChainId {
    if let Some(child) = owner.cache.get(&link) {
        if child.nests {
            validate::recursion(owner, wanted, reports);
        }
        return child.chain;
    }
    let nests = wanted.nests(owner);
    if nests {
        validate::recursion(owner, wanted, reports);
    }
    validate::dependencies(owner, wanted, reports);
    owner.cache.insert(link, nests)
}

/// The longest wait that this thread's sections allow.
#[inline]
pub(crate) fn limit(owner: &Owner) -> WaitType {
    let scope = match owner.atomic {
        0 => WaitType::Sleep,
        _ => WaitType::Bounded,
    };
    owner.held.top().map_or(scope, |top| top.limit.min(scope))
}

#[track_caller]
pub(crate) fn upgrade(map: &LockMap, held: &mut HeldLock, attempt: Attempt, stays: bool) {
    if *held == HeldLock::UNTRACKED {
        return;
    }
    if attempt != Attempt::Try {
        let site = Location::caller();
        let reports =
            thread::with_tracked(|_, owner| check_upgrade(map, held, attempt, site, owner));
        emit::deliver(reports.unwrap_or_default(), Unwind::Allowed);
    }
    release::set_mode(map, held, Mode::Exclusive, stays);
}

fn check_upgrade(
    map: &LockMap,
    held: &HeldLock,
    attempt: Attempt,
    site: &'static Location<'static>,
    owner: &mut Owner,
) -> Vec<Report> {
    // `None`: the guard came from another thread, whose hold it is; this
    // thread waits all the same, holding what it holds.
    let at = owner.held.find(|own| own.token == held.0);
    let subclass = at.map_or(0, |at| owner.held.as_slice()[at].node.subclass);
    let mut wanted = Wanted::new(map, subclass, Mode::Exclusive, attempt, site);
    wanted.request = Request::Upgrade;
    wanted.upgrade = true;
    wanted.upgrades = at;
    let mut reports = Vec::new();
    if wanted.outer > limit_without(owner, at) {
        validate::wait_context(owner, &wanted, &mut reports);
    }
    if let Some(top) = owner.held.top() {
        let link = Link::upgrade(top.chain, wanted.node);
        validated(owner, &wanted, link, &mut reports);
    }
    reports
}

/// Like [`limit`], without the hold at `at`: an upgrade waits inside its own
/// section by nature.
fn limit_without(owner: &Owner, at: Option<usize>) -> WaitType {
    let holds = owner.held.as_slice().iter().enumerate();
    let inner = holds
        .filter(|(i, _)| Some(*i) != at)
        .map(|(_, held)| held.inner);
    let scope = match owner.atomic {
        0 => WaitType::Sleep,
        _ => WaitType::Bounded,
    };
    inner.min().map_or(scope, |inner| inner.min(scope))
}
