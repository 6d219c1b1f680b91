//! The binary: everything is in the library, so that tests can call it.

/// Executing a block makes and drops many small things on every worker; with the system's allocator that
/// takes half as long again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    node::cli::main()
}
