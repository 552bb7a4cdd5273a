//! The dependency graph as data, and its export.

use std::fmt::Write as _;

use crate::graph::peek;
use crate::mode::HoldKind;
use crate::report::Dependency;
use crate::thread;

/// The dependency graph at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Graph {
    /// The names of the classes in use (with `/n` for subclass n), all different:
    /// of two classes with one name the second is `name#2`.
    pub classes: Vec<String>,
    /// What was seen: one entry for each pair of classes and each combination
    /// of how the earlier lock was held and what could block the later one.
    pub dependencies: Vec<Dependency>,
    /// The indices in `dependencies`, ascending, of those that are part of a
    /// cycle that can deadlock.
    pub unsafe_dependencies: Vec<usize>,
}

/// The dependency graph as it is now.
///
/// # Examples
///
/// ```
/// use lockdep::{Attempt, LockMap, Mode, lock_class_key};
///
/// let outer = LockMap::with_class(lock_class_key!("outer"));
/// let inner = LockMap::with_class(lock_class_key!("inner"));
/// let first = outer.acquire(Mode::Exclusive, Attempt::Block);
/// let second = inner.acquire(Mode::Exclusive, Attempt::Block);
/// inner.release(second);
/// outer.release(first);
/// assert!(lockdep::graph().to_dot().contains(r#""outer" -> "inner""#));
/// ```
#[must_use]
pub fn graph() -> Graph {
    thread::untracked(|| peek().snapshot())
}

impl Graph {
    /// In the language of Graphviz. What is part of a possible deadlock is red,
    /// what was held shared is dashed.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph lockdep {\n");
        for class in &self.classes {
            let _ = writeln!(dot, "  {};", dot_string(class));
        }
        for (at, edge) in self.dependencies.iter().enumerate() {
            let label = format!("{} -> {}", edge.held_mode, edge.wanted_mode);
            let (held, wanted) = (dot_string(&edge.held), dot_string(&edge.wanted));
            let label = dot_string(&label);
            let red = match self.unsafe_dependencies.binary_search(&at) {
                Ok(_) => ", color=red",
                Err(_) => "",
            };
            let dashed = match edge.held_mode.hold_kind() {
                HoldKind::Shared => ", style=dashed",
                _ => "",
            };
            let _ = writeln!(dot, "  {held} -> {wanted} [label={label}{red}{dashed}];");
        }
        dot.push_str("}\n");
        dot
    }
}

/// A string as DOT reads it: only the quote needs an escape; a backslash begins
/// one of its own, so it is doubled; control characters become spaces.
fn dot_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::dot_string;

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        let name = "a\"b\\c\nd";
        assert_eq!(dot_string(name), r#""a\"b\\c d""#);
    }
}
