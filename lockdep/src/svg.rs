//! The dependency graph as a picture, without Graphviz.

mod label;
mod layers;
mod picture;

use std::collections::BTreeMap;

use picture::Picture;

use crate::dot::Graph;
use crate::mode::HoldKind;

/// With more arrows than this, those that follow from others are left out.
const MANY_ARROWS: usize = 100;

/// All dependencies between one class and another: one arrow.
#[derive(Debug, Default)]
struct Arrow {
    /// Indices into the graph's dependencies.
    dependencies: Vec<usize>,
    /// One of them is part of a possible deadlock.
    bad: bool,
    /// The earlier lock was only held shared.
    shared: bool,
}

impl Graph {
    /// As a picture: a box for each class, an arrow from what was held down to
    /// what was waited for. What is part of a possible deadlock is red, what was
    /// held shared is dashed; the places in the source show where the pointer
    /// is. Light or dark, as the reader's system.
    ///
    /// Of more than a hundred arrows those that follow from others are left out,
    /// and the picture says so; [`to_dot`](Self::to_dot) and
    /// [`to_json`](Self::to_json) have everything.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(lockdep::graph().to_svg().starts_with("<svg"));
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        let (names, all) = self.arrows();
        let mut arrows = all;
        let total = arrows.len();
        if total > MANY_ARROWS {
            leave_out_implied(names.len(), &mut arrows);
        }
        Picture::new(self, &names, arrows, total).draw()
    }

    /// The classes, and the arrows between them by their indices.
    fn arrows(&self) -> (Vec<&str>, BTreeMap<(usize, usize), Arrow>) {
        let mut names: Vec<&str> = Vec::new();
        let mut index = BTreeMap::new();
        let mut number = |name| {
            *index.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            })
        };
        for class in &self.classes {
            number(class.as_str());
        }
        let mut arrows: BTreeMap<(usize, usize), Arrow> = BTreeMap::new();
        for (at, dependency) in self.dependencies.iter().enumerate() {
            let ends = (number(&dependency.held), number(&dependency.wanted));
            let shared = dependency.held_mode.hold_kind() == HoldKind::Shared;
            let arrow = arrows.entry(ends).or_insert(Arrow {
                shared,
                ..Arrow::default()
            });
            arrow.dependencies.push(at);
            arrow.shared &= shared;
            arrow.bad |= self.unsafe_dependencies.binary_search(&at).is_ok();
        }
        (names, arrows)
    }
}

/// Leaves out the arrows, but the bad ones, that a longer way of arrows implies.
fn leave_out_implied(classes: usize, arrows: &mut BTreeMap<(usize, usize), Arrow>) {
    let mut out = vec![Vec::new(); classes];
    for &(from, to) in arrows.keys() {
        out[from].push(to);
    }
    let mut implied = Vec::new();
    for from in 0..classes {
        // What is reached from here by more than one arrow. A class that leads
        // back here could imply itself away; such arrows stay.
        let mut far = vec![false; classes];
        let mut queue: Vec<usize> = out[from].clone();
        let mut met = vec![false; classes];
        while let Some(at) = queue.pop() {
            for &to in &out[at] {
                far[to] = true;
                if !std::mem::replace(&mut met[to], true) {
                    queue.push(to);
                }
            }
        }
        if !far[from] {
            implied.extend(
                out[from]
                    .iter()
                    .filter(|to| far[**to])
                    .map(|to| (from, *to)),
            );
        }
    }
    for ends in implied {
        if arrows.get(&ends).is_some_and(|arrow| !arrow.bad) {
            arrows.remove(&ends);
        }
    }
}
