//! JSON, written by hand so that it needs no feature. With the feature `serde`,
//! `serde_json::to_string` gives the same text.

use std::fmt::Write as _;

use crate::dot::Graph;
use crate::lock_stat::{ContentionSite, LockStat, LockStatRow, Times};
use crate::mode::{Attempt, Mode};
use crate::report::{Acquisition, Dependency, HeldInfo, Report, ReportKind, SourceLocation};

impl Report {
    /// As JSON: an object with the fields of [`Report`]. A mode is its name in
    /// reports, a place is `file:line:column`, what there is none of is `null`.
    /// The feature `serde` gives the same.
    ///
    /// # Examples
    ///
    /// ```
    /// let ((), reports) = lockdep::collect(|| lockdep::atomic(lockdep::might_sleep));
    /// let json = reports[0].to_json();
    /// assert!(json.starts_with(r#"{"kind":"InvalidWaitContext","thread":"#));
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        text(self)
    }
}

impl Graph {
    /// As JSON: an object with the fields of [`Graph`], written as in
    /// [`Report::to_json`].
    #[must_use]
    pub fn to_json(&self) -> String {
        text(self)
    }
}

impl LockStat {
    /// As JSON: an object with the array `rows`, written as in
    /// [`Report::to_json`].
    #[must_use]
    pub fn to_json(&self) -> String {
        text(self)
    }
}

fn text(value: &impl Json) -> String {
    let mut out = String::new();
    value.write(&mut out);
    out
}

/// What can be written as JSON.
trait Json {
    fn write(&self, out: &mut String);
}

/// An object of all fields: one that is forgotten here does not compile.
macro_rules! object {
    ($type:ident { $first:ident $(, $field:ident)* $(,)? }) => {
        impl Json for $type {
            fn write(&self, out: &mut String) {
                let $type { $first $(, $field)* } = self;
                out.push_str(concat!("{\"", stringify!($first), "\":"));
                $first.write(out);
                $(
                    out.push_str(concat!(",\"", stringify!($field), "\":"));
                    $field.write(out);
                )*
                out.push('}');
            }
        }
    };
}

object!(Report {
    kind,
    thread,
    location,
    detail,
    acquisition,
    conflict,
    cycle,
    recovers,
    held,
    guard,
    backtrace,
});
object!(HeldInfo {
    class,
    mode,
    attempt,
    location,
    address
});
object!(Acquisition {
    class,
    mode,
    upgrade,
    attempt,
    location,
    address
});
object!(Dependency {
    held,
    held_mode,
    held_at,
    wanted,
    wanted_mode,
    upgrade,
    timed,
    wanted_at,
    thread,
    backtrace,
});
object!(Graph {
    classes,
    dependencies,
    unsafe_dependencies
});
object!(LockStat { rows });
object!(LockStatRow {
    class,
    mode,
    acquisitions,
    contentions,
    wait,
    hold,
    sites,
    contentions_elsewhere,
});
object!(Times {
    count,
    min_ns,
    max_ns,
    total_ns,
    histogram
});
object!(ContentionSite {
    location,
    contentions
});

impl Json for String {
    fn write(&self, out: &mut String) {
        out.push('"');
        for c in self.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

impl<T: Json> Json for Vec<T> {
    fn write(&self, out: &mut String) {
        out.push('[');
        for (at, element) in self.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            element.write(out);
        }
        out.push(']');
    }
}

impl<T: Json> Json for Option<T> {
    fn write(&self, out: &mut String) {
        match self {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }
}

/// What JSON writes as Rust does.
macro_rules! plain {
    ($($type:ty),*) => {
        $(
            impl Json for $type {
                fn write(&self, out: &mut String) {
                    let _ = write!(out, "{self}");
                }
            }
        )*
    };
}

plain!(bool, usize, u64);

impl Json for ReportKind {
    fn write(&self, out: &mut String) {
        let _ = write!(out, "\"{}\"", self.name());
    }
}

impl Json for Mode {
    fn write(&self, out: &mut String) {
        let _ = write!(out, "\"{}\"", self.name());
    }
}

impl Json for Attempt {
    fn write(&self, out: &mut String) {
        out.push_str(match self {
            Attempt::Block => "\"block\"",
            Attempt::Try => "\"try\"",
            Attempt::Timed => "\"timed\"",
        });
    }
}

impl Json for SourceLocation {
    fn write(&self, out: &mut String) {
        self.to_string().write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_name_cannot_break_out_of_its_quotes() {
        let name = "a\"b\\c\n\u{1}\u{7f}é".to_owned();
        assert_eq!(text(&name), "\"a\\\"b\\\\c\\n\\u0001\u{7f}é\"");
    }
}
