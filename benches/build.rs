//! Tells the report which compiler made it.

use std::env;
use std::process::Command;

fn main() {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC for build scripts");
    let output = Command::new(rustc)
        .arg("--version")
        .output()
        .expect("the compiler that cargo uses runs");
    let version = String::from_utf8_lossy(&output.stdout);
    println!("cargo::rustc-env=BENCHES_RUSTC={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");
}
