//! The dependency graph as data, and its export.

use std::fmt::Write as _;

use crate::graph::peek;
use crate::report::Dependency;
use crate::thread;

/// The dependency graph at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Graph {
    /// The names of the classes in use (with `/n` for subclass n).
    pub classes: Vec<String>,
    /// What was seen: one entry for each pair of classes and each combination
    /// of how the earlier lock was held and what could block the later one.
    pub dependencies: Vec<Dependency>,
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
    /// In the language of Graphviz.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph lockdep {\n");
        for class in &self.classes {
            let _ = writeln!(dot, "  {};", quoted(class));
        }
        for edge in &self.dependencies {
            let label = format!("{} -> {}", edge.held_mode, edge.wanted_mode);
            let (held, wanted) = (quoted(&edge.held), quoted(&edge.wanted));
            let _ = writeln!(dot, "  {held} -> {wanted} [label={}];", quoted(&label));
        }
        dot.push_str("}\n");
        dot
    }

    /// As JSON: `{"classes": [..], "dependencies": [{..}, ..]}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let classes: Vec<_> = self.classes.iter().map(|class| quoted(class)).collect();
        let dependencies = self.dependencies.iter().map(|edge| {
            let text = [
                ("held", edge.held.clone()),
                ("held_mode", edge.held_mode.to_string()),
                ("held_at", edge.held_at.to_string()),
                ("wanted", edge.wanted.clone()),
                ("wanted_mode", edge.wanted_mode.to_string()),
                ("wanted_at", edge.wanted_at.to_string()),
                ("thread", edge.thread.clone()),
            ];
            let fields = text.map(|(name, value)| format!("\"{name}\": {}", quoted(&value)));
            let flags = format!("\"upgrade\": {}, \"timed\": {}", edge.upgrade, edge.timed);
            format!("    {{{}, {flags}}}", fields.join(", "))
        });
        let dependencies: Vec<_> = dependencies.collect();
        format!(
            "{{\n  \"classes\": [{}],\n  \"dependencies\": [\n{}\n  ]\n}}\n",
            classes.join(", "),
            dependencies.join(",\n")
        )
    }
}

/// A string in double quotes, as both JSON and DOT read it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\u000ad""#);
    }
}
