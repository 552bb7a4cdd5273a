//! What happens when a lock is about to be acquired.

use std::panic::Location;

use crate::block::{Block, Owner};
use crate::chain::{ChainId, Child, Link};
use crate::class::NodeKey;
use crate::config;
use crate::context::WaitType;
use crate::emit::{self, Unwind};
use crate::held::{Held, HeldLock};
use crate::map::LockMap;
use crate::mode::{Attempt, Mode, Request};
use crate::release;
use crate::report::Report;
use crate::thread;
use crate::validate::{self, Wanted};

/// What a lock says when it calls [`LockMap::acquire`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) mode: Mode,
    pub(crate) attempt: Attempt,
    /// Guards of this acquisition cannot leave their thread.
    pub(crate) stays: bool,
    /// Given when the lock is taken *again*; else [`nested`](crate::nested) decides.
    pub(crate) subclass: Option<u8>,
    pub(crate) site: &'static Location<'static>,
}

#[inline]
#[track_caller]
pub(crate) fn acquire(map: &LockMap, call: Call) -> HeldLock {
    if !config::validates() {
        return HeldLock::UNTRACKED;
    }
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
#[inline]
fn enter(
    map: &LockMap,
    call: Call,
    block: &Block,
    owner: &mut Owner,
    reports: &mut Vec<Report>,
) -> HeldLock {
    let Call { mode, attempt, .. } = call;
    let ids = map.ids();
    let token = owner.next_token(block);
    let node = NodeKey {
        class: ids.class,
        subclass: call.subclass.unwrap_or_else(|| owner.take_subclass(token)),
    };
    let (outer, inner) = map.wait_types(mode);
    let waits = attempt != Attempt::Try;
    let wanted = || Wanted::new(map, node, call);
    if waits && outer > limit(owner) {
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
    block.publish_top(owner.held.as_slice().len(), ids.lock);
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
        stays: call.stays,
        inner,
        limit: owner.held.top().map_or(inner, |top| inner.min(top.limit)),
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
            owner.cache.insert(link, nests)
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
    owner.held.top().map_or(scope, |top| top.limit.min(scope))
}

/// The call's mode is the one that the upgrade leads to.
#[track_caller]
pub(crate) fn upgrade(map: &LockMap, held: &mut HeldLock, call: Call) {
    if *held == HeldLock::UNTRACKED {
        return;
    }
    if call.attempt != Attempt::Try {
        let reports = thread::with_tracked(|_, owner| check_upgrade(map, held, call, owner));
        emit::deliver(reports.unwrap_or_default(), Unwind::Allowed);
    }
    release::set_mode(map, held, call.mode, call.stays);
}

fn check_upgrade(map: &LockMap, held: &HeldLock, call: Call, owner: &mut Owner) -> Vec<Report> {
    // `None`: the guard came from another thread, whose hold it is; this
    // thread waits all the same, holding what it holds.
    let at = owner.held.find(|own| own.token == held.0);
    let node = NodeKey {
        class: map.ids().class,
        subclass: at.map_or(0, |at| owner.held.as_slice()[at].node.subclass),
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
