//! What may happen to a pool, and how it may be built.

use proptest::prelude::*;
use zsalloc::ClassPolicy;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Insert(usize),
    Alloc(usize),
    Free(usize),
    FreeMany(Vec<usize>),
    Take(usize),
    Replace(usize, usize),
    Write(usize),
    CopyTo(usize, usize),
    Migrate(usize),
    Evacuate(usize),
    Compact,
    CompactPages(usize),
    CompactTime(u64),
    Trim,
    /// Maps an object until `Release`, or until the end.
    Hold(usize),
    Release(usize),
    /// Does the operations while an object is mapped.
    Under(usize, Vec<Op>),
    Foreign(usize),
    ThroughRaw(usize),
    /// Lets the allocation after so many more fail.
    Fail(u64),
}

/// Few classes, so that zspages fill; and now and then any length.
fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => (1_usize..=3).prop_map(|class| class * 96),
        2 => Just(1100_usize),
        1 => 1..=4096_usize,
    ]
}

fn one_op() -> impl Strategy<Value = Op> {
    let any = any::<usize>;
    prop_oneof![
        24 => len().prop_map(Op::Insert),
        4 => len().prop_map(Op::Alloc),
        14 => any().prop_map(Op::Free),
        1 => proptest::collection::vec(any(), 0..40).prop_map(Op::FreeMany),
        2 => any().prop_map(Op::Take),
        6 => (any(), len()).prop_map(|(victim, len)| Op::Replace(victim, len)),
        4 => any().prop_map(Op::Write),
        1 => (any(), 0..5000_usize).prop_map(|(victim, len)| Op::CopyTo(victim, len)),
        3 => any().prop_map(Op::Migrate),
        1 => any().prop_map(Op::Evacuate),
        1 => Just(Op::Compact),
        1 => (0..8_usize).prop_map(Op::CompactPages),
        1 => (0..50_u64).prop_map(Op::CompactTime),
        1 => Just(Op::Trim),
        3 => any().prop_map(Op::Hold),
        3 => any().prop_map(Op::Release),
        1 => any().prop_map(Op::Foreign),
        1 => any().prop_map(Op::ThroughRaw),
        2 => (0_u64..4).prop_map(Op::Fail),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let under = (any::<usize>(), proptest::collection::vec(one_op(), 1..10));
    prop_oneof![
        20 => one_op(),
        1 => under.prop_map(|(victim, ops)| Op::Under(victim, ops)),
    ]
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) classes: ClassPolicy,
    pub(crate) max_pages: usize,
    pub(crate) retain: usize,
    /// Automatic compaction.
    pub(crate) slack: Option<f32>,
    /// Objects at the beginning.
    pub(crate) objects: usize,
}

pub(crate) fn config() -> impl Strategy<Value = Config> {
    let classes = prop_oneof![
        (4_usize..=16).prop_map(|chain_size| ClassPolicy::Zsmalloc { chain_size }),
        (1_usize..=16).prop_map(|max_pages| ClassPolicy::Adaptive { max_pages }),
    ];
    let max_pages = prop_oneof![Just(usize::MAX), 20..60_usize];
    let retain = prop_oneof![Just(0), 1..20_usize];
    let slack = prop_oneof![Just(None), (0_f32..=0.3).prop_map(Some), Just(Some(0.0))];
    let objects = prop_oneof![0..10_usize, 0..500_usize];
    (classes, max_pages, retain, slack, objects).prop_map(
        |(classes, max_pages, retain, slack, objects)| Config {
            classes,
            max_pages,
            retain,
            slack,
            objects,
        },
    )
}
