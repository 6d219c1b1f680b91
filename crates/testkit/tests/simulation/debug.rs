//! Temporary.
use super::*;

#[test]
fn debug_seeds() {
    let text = std::fs::read_to_string("/tmp/debug-seeds").unwrap();
    let filter = std::fs::read_to_string("/tmp/debug-trace").unwrap_or("off".to_owned());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter.trim())
        .with_ansi(false)
        .without_time()
        .with_writer(std::io::stdout)
        .try_init();
    let words: Vec<&str> = text.split_whitespace().collect();
    for seed in words[0].parse().unwrap()..words[1].parse().unwrap() {
        for (name, run) in SCENARIOS {
            if words.len() > 2 && words[2] != name {
                continue;
            }
            let start = std::time::Instant::now();
            let out = std::panic::catch_unwind(|| run(seed));
            println!(
                "RESULT {name} seed={seed} {:?} {:?}",
                out.ok(),
                start.elapsed()
            );
        }
    }
}
