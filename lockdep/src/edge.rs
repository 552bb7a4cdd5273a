//! The edges of the dependency graph.
//!
//! An edge keeps one provenance for each [`Label`], that is for each combination
//! of how the earlier lock was held and what could block the later request; the
//! first occurrence is the one kept.

use std::backtrace::Backtrace;
use std::panic::Location;
use std::sync::Arc;

use crate::guard_set::GuardSet;
use crate::mode::{Label, Mode};

/// Where and how an edge was first seen, and what guarded it each time.
#[derive(Clone, Debug)]
pub(crate) struct Provenance {
    pub(crate) held_mode: Mode,
    pub(crate) held_at: &'static Location<'static>,
    pub(crate) wanted_mode: Mode,
    pub(crate) upgrade: bool,
    pub(crate) timed: bool,
    pub(crate) wanted_at: &'static Location<'static>,
    pub(crate) thread: Arc<str>,
    /// Symbols are looked up when it is shown.
    pub(crate) backtrace: Option<Arc<Backtrace>>,
    pub(crate) guards: GuardSet,
}

#[derive(Debug, Default)]
pub(crate) struct Edge {
    pub(crate) seen: Vec<(Label, Provenance)>,
}

impl Edge {
    pub(crate) fn provenance(&self, label: Label) -> Option<&Provenance> {
        let (_, provenance) = self.seen.iter().find(|(seen, _)| *seen == label)?;
        Some(provenance)
    }

    pub(crate) fn provenance_mut(&mut self, label: Label) -> Option<&mut Provenance> {
        let (_, provenance) = self.seen.iter_mut().find(|(seen, _)| *seen == label)?;
        Some(provenance)
    }
}
