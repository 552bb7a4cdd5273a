//! The dependency graph as data, and its export.

use std::fmt::Write as _;

use crate::graph::peek;
use crate::report::Dependency;
use crate::thread;

/// The dependency graph at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Graph {
    /// The names of the classes in use (with `/n` for subclass n), all different:
    /// of two classes with one name the second is `name#2`.
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
            let _ = writeln!(dot, "  {};", dot_string(class));
        }
        for edge in &self.dependencies {
            let label = format!("{} -> {}", edge.held_mode, edge.wanted_mode);
            let (held, wanted) = (dot_string(&edge.held), dot_string(&edge.wanted));
            let label = dot_string(&label);
            let _ = writeln!(dot, "  {held} -> {wanted} [label={label}];");
        }
        dot.push_str("}\n");
        dot
    }

    /// As JSON: `{"classes": [..], "dependencies": [{..}, ..]}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let classes: Vec<_> = self
            .classes
            .iter()
            .map(|class| json_string(class))
            .collect();
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
            let fields = text.map(|(name, value)| format!("\"{name}\": {}", json_string(&value)));
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

/// A string as JSON reads it.
fn json_string(text: &str) -> String {
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
    use super::{dot_string, json_string};

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        let name = "a\"b\\c\nd";
        assert_eq!(json_string(name), r#""a\"b\\c\u000ad""#);
        assert_eq!(dot_string(name), r#""a\"b\\c d""#);
    }
}
