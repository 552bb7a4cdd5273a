//! The picture of the lock-order graph.

mod support;

use lockdep::Mode::{Exclusive, SharedRecursive};
use lockdep::{Graph, LockClassKey, graph};
use support::{Lock, nest, nest_modes, reports};

/// What an XML document consists of, or why it is none: every tag is closed,
/// every attribute is quoted and met once, and text has no bare `<` or `&`.
fn parse(xml: &str) -> Result<Vec<Element>, String> {
    let mut open: Vec<Element> = Vec::new();
    let mut done = Vec::new();
    let mut rest = xml;
    while let Some((text, after)) = rest.split_once('<') {
        let text = unescape(text)?;
        match open.last_mut() {
            Some(element) => element.text.push_str(&text),
            None if text.trim().is_empty() => {}
            None => return Err(format!("text outside: {text}")),
        }
        let (tag, after) = after.split_once('>').ok_or("a tag without end")?;
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().filter(|element| element.name == name);
            done.push(element.ok_or(format!("</{name}> closes nothing"))?);
            continue;
        }
        let (tag, empty) = tag
            .strip_suffix('/')
            .map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let element = Element {
            name: name.to_owned(),
            attributes: parse_attributes(attributes)?,
            text: String::new(),
        };
        match empty {
            true => done.push(element),
            false => open.push(element),
        }
    }
    match (open.is_empty(), rest.trim()) {
        (true, "") => Ok(done),
        (true, text) => Err(format!("text at the end: {text}")),
        (false, _) => Err(format!("never closed: {open:?}")),
    }
}

#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
}

impl Element {
    fn attribute(&self, name: &str) -> &str {
        let known = self.attributes.iter().find(|(known, _)| known == name);
        known.map_or("", |(_, value)| value)
    }

    fn number(&self, name: &str) -> f64 {
        self.attribute(name).parse().expect("a number")
    }
}

fn parse_attributes(mut rest: &str) -> Result<Vec<(String, String)>, String> {
    let mut attributes: Vec<(String, String)> = Vec::new();
    while !rest.trim().is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or(format!("no value: {rest}"))?;
        let (value, after) = after.split_once('"').ok_or(format!("no end: {after}"))?;
        let name = name.trim().to_owned();
        if attributes.iter().any(|(known, _)| *known == name) {
            return Err(format!("twice: {name}"));
        }
        attributes.push((name, unescape(value)?));
        rest = after;
    }
    Ok(attributes)
}

fn unescape(text: &str) -> Result<String, String> {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').ok_or(format!("a bare &: {text}"))?;
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            other => return Err(format!("unknown: &{other};")),
        });
        plain.push_str(rest);
    }
    match plain
        .chars()
        .find(|c| c.is_control() && !matches!(c, '\n' | '\t'))
    {
        Some(c) => Err(format!("{c:?} is no character of XML")),
        None => Ok(plain),
    }
}

fn elements<'a>(all: &'a [Element], name: &str, class: &str) -> Vec<&'a Element> {
    let is = |e: &&Element| {
        e.name == name && (class.is_empty() || e.attribute("class").split(' ').any(|c| c == class))
    };
    all.iter().filter(is).collect()
}

/// A lock of a class of its own.
fn lock(name: &str) -> Lock {
    let name: &str = Box::leak(name.to_owned().into_boxed_str());
    Lock::of(Box::leak(Box::new(LockClassKey::new(name))))
}

/// The part of the graph that is about classes whose names begin so.
fn part(prefix: &str) -> Graph {
    let all = graph();
    let mut part = Graph::default();
    let ours = |name: &String| name.starts_with(prefix);
    part.classes = all.classes.iter().filter(|c| ours(c)).cloned().collect();
    for (at, dependency) in all.dependencies.iter().enumerate() {
        if ours(&dependency.held) && ours(&dependency.wanted) {
            if all.unsafe_dependencies.contains(&at) {
                part.unsafe_dependencies.push(part.dependencies.len());
            }
            part.dependencies.push(dependency.clone());
        }
    }
    part
}

#[test]
fn every_class_and_every_dependency_is_there_and_what_can_deadlock_is_red() {
    let names = ["one/a <&>\"'", "one/b\u{1}\n", "one/c", "one/lone"];
    let locks: Vec<_> = names.iter().map(|name| lock(name)).collect();
    let [a, b, c, lone] = &locks[..] else {
        unreachable!()
    };
    nest(&[a, b]);
    nest_modes(b, SharedRecursive, c, Exclusive);
    lone.unlock(lone.lock());
    assert_eq!(reports(|| nest(&[b, a])).len(), 1);
    let graph = part("one/");
    assert_eq!(graph.dependencies.len(), 3);
    let svg = graph.to_svg();
    let all = parse(&svg).unwrap();
    assert_eq!(all.last().unwrap().name, "svg");
    let titles: Vec<_> = elements(&all, "title", "")
        .iter()
        .map(|e| e.text.clone())
        .collect();
    for name in names {
        let name = name.replace('\u{1}', "\u{fffd}");
        assert!(titles.contains(&name), "{name}: {titles:?}");
    }
    for dependency in &graph.dependencies {
        let title = dependency.to_string().replace('\u{1}', "\u{fffd}");
        assert!(
            title.matches("svg.rs:").count() == 2 && titles.contains(&title),
            "{title}"
        );
    }
    let drawn = |class| elements(&all, "path", class).len();
    // One of each kind is in the legend.
    assert_eq!(
        (drawn("bad"), drawn("shared"), drawn("edge")),
        (2 + 1, 1 + 1, 3 + 2)
    );
    assert_eq!(elements(&all, "rect", "bad").len(), 2);
}

#[test]
fn a_graph_is_always_drawn_in_the_same_way_and_boxes_do_not_overlap() {
    let locks: Vec<_> = (0..30).map(|at| lock(&format!("two/class_{at}"))).collect();
    for at in 1..30 {
        nest(&[&locks[at / 3], &locks[at]]);
        nest(&[&locks[at / 2], &locks[at]]);
    }
    let graph = part("two/");
    let svg = graph.to_svg();
    assert_eq!(svg, graph.clone().to_svg());
    let all = parse(&svg).unwrap();
    let boxes = elements(&all, "rect", "box");
    assert_eq!(boxes.len(), 30);
    let end = |e: &Element, at, length| e.number(at) + e.number(length);
    for (at, a) in boxes.iter().enumerate() {
        for b in &boxes[..at] {
            let apart = [("x", "width"), ("y", "height")]
                .iter()
                .any(|(from, length)| {
                    end(a, from, length) <= b.number(from) || end(b, from, length) <= a.number(from)
                });
            assert!(apart, "{a:?} {b:?}");
        }
    }
}

#[test]
fn of_very_many_arrows_those_that_follow_from_others_are_left_out_and_counted() {
    let locks: Vec<_> = (0..16).map(|at| lock(&format!("three/{at:02}"))).collect();
    nest(&locks.iter().collect::<Vec<_>>());
    let graph = part("three/");
    assert_eq!(graph.dependencies.len(), 16 * 15 / 2);
    let svg = graph.to_svg();
    let all = parse(&svg).unwrap();
    assert_eq!(elements(&all, "path", "edge").len(), 15 + 1);
    assert!(svg.contains("105 of 120 arrows follow from others and are not drawn."));
    assert_eq!(graph.to_dot().matches(" -> \"").count(), 120);
}

#[test]
fn nothing_and_names_that_no_list_has_are_drawn_too() {
    assert!(parse(&Graph::default().to_svg()).is_ok());
    let (a, b) = (lock("four/a"), lock("four/b"));
    nest(&[&a, &b]);
    let mut graph = part("four/");
    graph.classes.clear();
    graph.unsafe_dependencies.push(77);
    let all = parse(&graph.to_svg()).unwrap();
    assert_eq!(elements(&all, "rect", "box").len(), 2);
}

#[test]
fn the_parser_of_these_tests_sees_what_is_wrong() {
    for wrong in [
        "<a>",
        "<a></b>",
        "<a>&</a>",
        "<a b=c/>",
        "<a b=\"1\" b=\"2\"/>",
        "<a/>x",
        "<a>\u{1}</a>",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
