//! Chapters: for those who choose a pool, plug something into it, or read the code next. The
//! glossary, the lock order and the concurrency rules are on the [crate's front page](crate).

#[doc = include_str!("docs/choosing.md")]
pub mod choosing {}

#[doc = include_str!("docs/ownership.md")]
pub mod ownership {}

#[doc = include_str!("docs/life.md")]
pub mod life {}

#[doc = include_str!("docs/complexity.md")]
pub mod complexity {}

#[doc = include_str!("docs/limits.md")]
pub mod limits {}

#[doc = include_str!("docs/plugging_in.md")]
pub mod plugging_in {}

#[doc = include_str!("docs/comparison.md")]
pub mod comparison {}

#[doc = include_str!("docs/overhead.md")]
pub mod overhead {}

#[doc = include_str!("docs/proofs.md")]
pub mod proofs {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// A claim whose test is gone is a claim that nothing shows.
    #[test]
    fn the_tests_that_the_readme_names_exist() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let table = include_str!("../README.md")
            .split("What it promises")
            .nth(1);
        let table = table.and_then(|rest| rest.split("When not to").next());
        let cells = table.expect("the section is there").lines();
        let cells = cells.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
        let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let names: Vec<_> = names.filter(|name| name.ends_with(".rs")).collect();
        assert!(names.len() > 15, "{names:?}");
        let is_there = |name: &&str| tests.join(name).is_file();
        assert!(names.iter().all(is_there), "{names:?}");
    }

    /// The public methods of `Pool`, from the source.
    fn operations() -> Vec<String> {
        let mut operations = Vec::new();
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
            let path = file.unwrap().path();
            if !path.is_file() {
                continue;
            }
            let mut of_pool = false;
            for line in fs::read_to_string(path).unwrap().lines() {
                if line.starts_with("impl") {
                    of_pool = line.ends_with(" Pool<L, S> {") && !line.contains(" for ");
                }
                let method = line.strip_prefix("    pub fn ").filter(|_| of_pool);
                let name = method.and_then(|method| method.split(['(', '<']).next());
                operations.extend(name.map(str::to_owned));
            }
        }
        operations
    }

    #[test]
    fn the_cost_of_every_operation_is_stated() {
        let operations = operations();
        assert!(operations.len() > 20, "{operations:?}");
        let chapter = include_str!("docs/complexity.md");
        let is_missing = |name: &&String| !chapter.contains(&format!("(crate::Pool::{name})"));
        let missing: Vec<_> = operations.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
