//! Two threads at the same time, on one store or on one each.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use zsalloc::testbed::Store;

use super::corpus::Corpus;
use super::row::Mix;
use super::subject::delay_since;
use crate::load;
use crate::validator::launch::Window;
use crate::work::Dice;

/// The length of the objects of [`Mix::OneClass`].
const LENGTH: usize = 1000;

/// The operations between two looks at the flag.
const PASS: u64 = 64;

/// Half of the objects belong to each thread, stored by turns, so that in one store both have objects in all zspages.
pub(super) fn measure<S>(mix: Mix, stores: [&S; 2], corpus: &Corpus, length: Duration) -> Window
where
    S: Store + Sync,
    S::Key: Send,
{
    let one_class;
    let corpus = match mix {
        Mix::OneClass => {
            one_class = Corpus::of_length(LENGTH, corpus.len());
            &one_class
        }
        Mix::Reads | Mix::Churn => corpus,
    };
    let mut halves = [0, 1].map(|seed| Half {
        store: stores[seed],
        keys: Vec::with_capacity(corpus.len() / 2 + 1),
        dice: Dice::new(seed as u64),
    });
    for number in 0..corpus.len() {
        halves[number % 2].put(corpus, number);
    }
    let stop = AtomicBool::new(false);
    let start = Barrier::new(3);
    let windows: Vec<Window> = thread::scope(|scope| {
        let threads = halves.map(|mut half| {
            let (stop, start) = (&stop, &start);
            scope.spawn(move || {
                start.wait();
                let window = half.run(mix, corpus, stop);
                half.end(corpus);
                window
            })
        });
        start.wait();
        thread::sleep(length);
        stop.store(true, Relaxed);
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread of the window panicked"))
            .collect()
    });
    Window {
        operations: windows.iter().map(|window| window.operations).sum(),
        elapsed: windows.iter().map(|window| window.elapsed).sum(),
        delay: windows.iter().map(|window| window.delay).sum(),
    }
}

/// What one thread has.
struct Half<'s, S: Store> {
    store: &'s S,
    keys: Vec<(S::Key, usize)>,
    dice: Dice,
}

impl<S: Store> Half<'_, S> {
    fn put(&mut self, corpus: &Corpus, blob: usize) {
        let key = self.store.put(corpus.blob(blob)).expect("there is memory");
        self.keys.push((key, blob));
    }

    fn run(&mut self, mix: Mix, corpus: &Corpus, stop: &AtomicBool) -> Window {
        let (before, started) = (load::run_delay(), Instant::now());
        let mut operations = 0;
        while !stop.load(Relaxed) {
            for _ in 0..PASS {
                let number = self.dice.roll(self.keys.len() as u64) as usize;
                match mix {
                    Mix::Reads => self.store.get(&self.keys[number].0, |bytes| {
                        black_box(bytes);
                    }),
                    Mix::Churn | Mix::OneClass => {
                        self.store.del(self.keys.swap_remove(number).0);
                        let blob = self.dice.roll(corpus.len() as u64) as usize;
                        self.put(corpus, blob);
                    }
                }
            }
            operations += PASS;
        }
        Window {
            operations,
            elapsed: started.elapsed(),
            delay: delay_since(before),
        }
    }

    /// Checks every byte and frees everything.
    fn end(self, corpus: &Corpus) {
        for (key, blob) in self.keys {
            let same = self.store.get(&key, |bytes| bytes == corpus.blob(blob));
            assert!(same, "the store changed an object");
            self.store.del(key);
        }
    }
}
