//! One random history, told to the validator and to the oracle.

use std::sync::Arc;

use lockdep::{Attempt, HeldLock, LockClassKey, LockMap, Mode, OrderKey, nested};

use super::brute_force::Kind::{Reader, Upgrader};
use super::brute_force::{Oracle, kind};
use super::crew::Crew;
use super::support::reports;

/// xorshift64*: the same history for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const MODES: [Mode; 5] = [
    Mode::Exclusive,
    Mode::Shared,
    Mode::SharedRecursive,
    Mode::Upgradable,
    Mode::UpgradableRecursive,
];
const INSTANCES: usize = 3;
/// Subclasses in use: 0, and this less one.
const SUBCLASSES: usize = 2;
/// As many holds a thread.
const DEEPEST: usize = 4;

type Locks = Vec<[LockMap; INSTANCES]>;

/// What the key of a class declares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    Nothing,
    /// Nesting by number.
    Order,
    NoBlockingWriters,
}

fn by_number(held: OrderKey, wanted: OrderKey) -> std::cmp::Ordering {
    held.order.cmp(&wanted.order)
}

pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) declared: Declared,
    /// The number of each lock.
    pub(super) numbers: [u64; INSTANCES],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) class: usize,
    pub(super) instance: usize,
}

pub(super) struct Hold {
    pub(super) thread: usize,
    pub(super) lock: Lock,
    pub(super) subclass: usize,
    pub(super) mode: Mode,
    pub(super) token: Option<HeldLock>,
}

/// A class with a subclass, as the oracle numbers them.
pub(super) fn node(class: usize, subclass: usize) -> usize {
    class * SUBCLASSES + subclass
}

/// What came out of histories.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) missed: usize,
    pub(crate) false_: usize,
    pub(crate) unsafe_: u64,
    /// Waits inside holds of the same class that only its declaration allows:
    /// by order, as a reader without blocking writers, by subclass.
    pub(crate) ordered: u64,
    pub(crate) readers: u64,
    pub(crate) subclassed: u64,
    /// Histories of several threads.
    pub(crate) threaded: u64,
    /// Releases and downgrades by another thread than the hold's.
    pub(crate) elsewhere: u64,
}

/// A wait, as both sides are told of it.
pub(super) struct Wait {
    pub(super) thread: usize,
    pub(super) lock: Lock,
    pub(super) subclass: usize,
    pub(super) mode: Mode,
    /// The position of the hold that it upgrades.
    pub(super) upgrades: Option<usize>,
}

pub(crate) struct History<'a> {
    crew: &'a Crew,
    threads: usize,
    subclasses: usize,
    random: Random,
    /// The modes of this history; few modes make weak cycles likely.
    modes: Vec<Mode>,
    locks: Arc<Locks>,
    pub(super) classes: Vec<Class>,
    pub(super) holds: Vec<Hold>,
    pub(super) oracle: Oracle,
    pub(super) outcome: &'a mut Outcome,
}

impl<'a> History<'a> {
    pub(crate) fn new(seed: u64, crew: &'a Crew, outcome: &'a mut Outcome) -> History<'a> {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let subclasses = random.pick(&[1, 1, SUBCLASSES]);
        let threads = random.pick(&[1, 1, 2, Crew::SIZE]);
        // The oracle's work grows fast with the nodes: classes times subclasses.
        let classes = 3 + random.below(if subclasses == 1 { 4 } else { 2 });
        let modes = (0..1 + random.below(4)).map(|_| random.pick(&MODES));
        let modes = modes.collect();
        let (mut locks, mut declarations) = (Vec::new(), Vec::new());
        for class in 0..classes {
            let name = &*format!("{seed}:{class}").leak();
            let declared = random.pick(&[
                Declared::Nothing,
                Declared::Nothing,
                Declared::Order,
                Declared::NoBlockingWriters,
            ]);
            let numbers = [(); INSTANCES].map(|()| random.below(INSTANCES) as u64);
            let key = LockClassKey::new(name);
            let key = &*Box::leak(Box::new(match declared {
                Declared::Nothing => key,
                Declared::Order => key.order_by(by_number),
                Declared::NoBlockingWriters => key.no_blocking_writers(),
            }));
            locks.push(numbers.map(|number| LockMap::with_class(key).with_order(number)));
            declarations.push(Class {
                name,
                declared,
                numbers,
            });
        }
        History {
            crew,
            threads,
            subclasses,
            random,
            modes,
            locks: Arc::new(locks),
            classes: declarations,
            holds: Vec::new(),
            oracle: Oracle::default(),
            outcome,
        }
    }

    pub(crate) fn run(mut self) {
        for _ in 0..12 + self.random.below(30) {
            match self.random.below(10) {
                0..=4 => self.acquire(),
                5 if !self.holds.is_empty() => self.convert(),
                6 if !self.holds.is_empty() => self.upgrade(),
                _ if !self.holds.is_empty() => self.release(),
                _ => {}
            }
        }
        while !self.holds.is_empty() {
            self.release();
        }
        self.outcome.unsafe_ += u64::from(self.oracle.unsafe_);
        self.outcome.threaded += u64::from(self.threads > 1);
    }

    /// Does something to a lock on one of the threads.
    fn on<R: Send + 'static>(
        &self,
        thread: usize,
        lock: Lock,
        f: impl FnOnce(&LockMap) -> R + Send + 'static,
    ) -> R {
        let locks = Arc::clone(&self.locks);
        self.crew
            .on(thread, move || f(&locks[lock.class][lock.instance]))
    }

    /// How many nodes the oracle may meet.
    pub(super) fn nodes(&self) -> usize {
        self.classes.len() * SUBCLASSES
    }

    /// The declaration says that no writer waits: then none does.
    pub(super) fn writers_try(&self, class: usize) -> bool {
        self.classes[class].declared == Declared::NoBlockingWriters
    }

    fn acquire(&mut self) {
        let lock = Lock {
            class: self.random.below(self.classes.len()),
            instance: self.random.below(INSTANCES),
        };
        let wait = Wait {
            thread: self.random.below(self.threads),
            lock,
            subclass: self.random.below(self.subclasses),
            mode: self.random.pick(&self.modes),
            upgrades: None,
        };
        let of_thread = |hold: &&Hold| hold.thread == wait.thread;
        if self.holds.iter().filter(of_thread).count() == DEEPEST {
            return;
        }
        let attempt = match self.random.below(6) {
            _ if wait.mode == Mode::Exclusive && self.writers_try(lock.class) => Attempt::Try,
            0 => Attempt::Try,
            1 => Attempt::Timed,
            _ => Attempt::Block,
        };
        if attempt == Attempt::Try && self.holds.iter().any(|hold| hold.lock == lock) {
            return; // Would fail, or be a read that any other history has too.
        }
        let (mode, subclass) = (wait.mode, wait.subclass);
        let (token, found) = self.on(wait.thread, lock, move |map| {
            let mut token = None;
            let found = reports(|| {
                let acquire = || map.acquire(mode, attempt);
                token = Some(match subclass {
                    0 => acquire(),
                    subclass => nested(subclass as u8, acquire),
                });
            });
            (token.expect("collect suspends the policy"), found)
        });
        let recursed = self.judge(&wait, attempt, &found);
        if recursed {
            // It would wait for itself.
            self.on(wait.thread, lock, move |map| map.abandon(token));
        } else {
            self.holds.push(Hold {
                thread: wait.thread,
                lock,
                subclass,
                mode,
                token: Some(token),
            });
        }
    }

    /// The thread that does something to a hold: most often its owner.
    fn hands(&mut self, at: usize) -> usize {
        let owner = self.holds[at].thread;
        let thread = match self.random.one_in(4) {
            true => self.random.below(self.threads),
            false => owner,
        };
        self.outcome.elsewhere += u64::from(thread != owner);
        thread
    }

    /// A downgrade of any kind.
    fn convert(&mut self) {
        let at = self.random.below(self.holds.len());
        let to = self.random.pick(&MODES[1..]);
        let from = kind(self.holds[at].mode);
        if from == Reader || from < kind(to) {
            return;
        }
        let thread = self.hands(at);
        self.with_token(thread, at, move |map, token| match to {
            Mode::Shared => map.downgrade(token),
            _ => map.set_mode(token, to),
        });
        self.holds[at].mode = to;
    }

    fn upgrade(&mut self) {
        let at = self.random.below(self.holds.len());
        let hold = &self.holds[at];
        if kind(hold.mode) != Upgrader {
            return;
        }
        let before = hold.mode;
        let wait = Wait {
            thread: hold.thread,
            lock: hold.lock,
            subclass: hold.subclass,
            mode: Mode::Exclusive,
            upgrades: Some(at),
        };
        let attempt = match self.writers_try(wait.lock.class) {
            true => Attempt::Try,
            false => self
                .random
                .pick(&[Attempt::Block, Attempt::Timed, Attempt::Try]),
        };
        let found = self.with_token(wait.thread, at, move |map, token| {
            reports(|| map.upgrade(token, attempt))
        });
        if self.judge(&wait, attempt, &found) {
            self.with_token(wait.thread, at, move |map, token| {
                map.set_mode(token, before);
            });
        } else {
            self.holds[at].mode = Mode::Exclusive;
        }
    }

    fn release(&mut self) {
        let at = self.random.below(self.holds.len());
        let thread = self.hands(at);
        let own = thread == self.holds[at].thread;
        let hold = self.holds.remove(at);
        let newer = |other: &Hold| other.lock == hold.lock && other.thread == hold.thread;
        let newest = !self.holds[at..].iter().any(newer);
        let token = hold.token.expect("it is held");
        let forced = own && newest && self.random.one_in(4);
        let found = self.on(thread, hold.lock, move |map| {
            reports(|| match forced {
                true => map.force_release(),
                false => map.release(token),
            })
        });
        self.outcome.false_ += found.len();
    }

    /// Does something to a hold, on any thread.
    fn with_token<R: Send + 'static>(
        &mut self,
        thread: usize,
        at: usize,
        f: impl FnOnce(&LockMap, &mut HeldLock) -> R + Send + 'static,
    ) -> R {
        let mut token = self.holds[at].token.take().expect("it is held");
        let (token, result) = self.on(thread, self.holds[at].lock, move |map| {
            let result = f(map, &mut token);
            (token, result)
        });
        self.holds[at].token = Some(token);
        result
    }
}
