//! Chapters: how to use the validator, what it can see, and how it works.

#[doc = include_str!("docs/reading_a_report.md")]
pub mod reading_a_report {}

#[doc = include_str!("docs/annotating.md")]
pub mod annotating {}

#[doc = include_str!("docs/classes.md")]
pub mod classes {}

#[doc = include_str!("docs/limits.md")]
pub mod limits {}

#[doc = include_str!("docs/comparison.md")]
pub mod comparison {}

#[doc = include_str!("docs/validator.md")]
pub mod validator {}

#[doc = include_str!("docs/mutants.md")]
pub mod mutants {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// A claim whose test is gone is a claim that nothing shows.
    #[test]
    fn the_tests_that_the_chapters_name_exist() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let comparison = include_str!("docs/comparison.md");
        let claims = comparison.split("What this crate claims").nth(1);
        let claims = claims.and_then(|rest| rest.split("What others do").next());
        let validator = include_str!("docs/validator.md");
        let invariants = validator.split("What the invariants rest on").nth(1);
        let promises = include_str!("../README.md")
            .split("What it promises")
            .nth(1);
        let promises = promises.and_then(|rest| rest.split("When not to").next());

        let mut named = 0;
        for section in [claims, invariants, promises] {
            let mut source = String::new();
            let rows = section.expect("the section is there").lines();
            let cells = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
            for name in cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
                if name.ends_with(".rs") {
                    source = fs::read_to_string(tests.join(name)).expect(name);
                } else if !name.ends_with('/') && name != "lockdep/tests" {
                    assert!(source.contains(&format!("fn {name}()")), "no test {name}");
                }
                named += 1;
            }
        }
        assert!(named > 40, "only {named} names were looked up");
    }
}
