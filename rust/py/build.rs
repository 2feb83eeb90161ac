//! Records what the extension was compiled for, so that `build_info` can tell.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = env::var("TARGET").expect("cargo sets TARGET for build scripts");
    println!("cargo:rustc-env=PACEWHEEL_TARGET={target}");
}
