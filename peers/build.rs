//! Links two copies of one function: alloy and ethrex each bring the same assembly of Keccak, by the authors of
//! OpenSSL, and both export its permutation as `KeccakF1600`. Only code of that assembly calls it, after which
//! either copy will do. Everything else that the two export has names of its own.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg=-Wl,--allow-multiple-definition");
}
