//! The figures of one store, and their way from the process that measures to the one that shows them.

use std::fmt;

/// Declares a struct of counts that is written and read as `name value` lines.
macro_rules! figures {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $name {
            $($(#[$field_doc])* pub(crate) $field: u64,)+
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{} {}", stringify!($field), self.$field)?;)+
                Ok(())
            }
        }

        impl $name {
            /// Reads what `Display` writes; `None` if a figure is missing or there is another one.
            pub(crate) fn parse(text: &str) -> Option<Self> {
                let mut lines = text.lines();
                let figures = $name {
                    $($field: {
                        let (name, value) = lines.next()?.split_once(' ')?;
                        if name != stringify!($field) {
                            return None;
                        }
                        value.parse().ok()?
                    },)+
                };
                lines.next().is_none().then_some(figures)
            }
        }
    };
}

figures! {
    /// What one process measured. Sizes are in bytes, times in microseconds.
    Measured {
        /// Pages and files read.
        pages,
        files,
        /// Pages stored after loading, those of them that are a word, those stored raw, and the bytes
        /// of all objects.
        stored,
        same_filled,
        raw,
        bytes,
        /// Resident size beyond that before the store was made.
        loaded,
        churned,
        removed,
        /// Pages and bytes of objects left at the end.
        left,
        left_bytes,
        /// Bytes of the pool's pages at the end, and of its metadata.
        pool_bytes,
        metadata_bytes,
        puts,
        gets,
        removes,
        /// Pages that came back wrong, or not, or although they had been removed.
        wrong,
        /// Pages refused because the store was full.
        refused,
        compactions,
        pages_gained,
        load_time,
        churn_time,
        remove_time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_survive_the_way_and_others_are_refused() {
        let figures = Measured {
            pages: 1,
            loaded: 123_456_789_012,
            wrong: 3,
            remove_time: 9,
            ..Measured::default()
        };
        let text = figures.to_string();
        assert_eq!(Measured::parse(&text), Some(figures));
        assert_eq!(Measured::parse(&format!("{text}more 1\n")), None);
        assert_eq!(Measured::parse(&text[..text.len() / 2]), None);
        assert_eq!(Measured::parse(&text.replace("wrong", "right")), None);
    }
}
