//! Temporary.
#![allow(clippy::all, clippy::disallowed_methods, clippy::print_stdout)]
use executor::*;
use std::num::NonZeroUsize;
use std::time::Instant;
use testkit::blocks::{benchmark, GeneratedBlock};
use testkit::fixtures::{MAINNET_BLOCKS, json_files, unpack};
use testkit::mainnet::{MainnetBlock, chain, read_codes};

fn median(v: &mut Vec<f64>) -> f64 { v.sort_by(f64::total_cmp); if std::env::var("MIN").is_ok() { v[0] } else { v[v.len()/2] } }
fn cpu() -> f64 { let s = std::fs::read_to_string("/proc/self/stat").unwrap(); let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) * 10.0 }

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let which = args.get(1).cloned().unwrap_or("all".into());
    let runs: usize = args.get(2).and_then(|s| s.parse().ok()).unwrap_or(11);
    let blocks: Vec<(&str, Box<dyn Fn() -> GeneratedBlock>)> = vec![
        ("transfers", Box::new(|| benchmark::transfers(47_620))),
        ("erc20", Box::new(|| benchmark::erc20(33_628))),
        ("swaps", Box::new(|| benchmark::swaps_disjoint(8_000))),
        ("mixed", Box::new(|| benchmark::mixed(20_000))),
    ];
    for (name, make) in blocks {
        if which != "all" && which != name { continue; }
        let block = make();
        let seq_cache = CodeCache::default();
        let input = ExecutionInput { code_cache: Some(&seq_cache), ..block.input() };
        let list = execute_sequential(&input, &block.state).unwrap().access_list();
        let (e1, e2) = (Engine::new(NonZeroUsize::new(1).unwrap()).unwrap(), Engine::new(NonZeroUsize::new(2).unwrap()).unwrap());
        if let Ok(way) = std::env::var("WAY") {
            for _ in 0..runs { match way.as_str() {
                "seq" => drop(execute_sequential(&input, &block.state).unwrap()),
                "l1" => drop(e1.execute_listed(&input, &block.state, &list).unwrap()),
                "l2" => drop(e2.execute_listed(&input, &block.state, &list).unwrap()),
                _ => drop(e2.execute(&input, &block.state).unwrap()),
            } }
            continue;
        }
        let mut t = [Vec::new(), Vec::new(), Vec::new(), Vec::new()]; let mut c = [0.0; 4];
        for _ in 0..runs {
            let k = cpu(); let s = Instant::now(); let r = execute_sequential(&input, &block.state).unwrap(); t[0].push(s.elapsed().as_secs_f64()*1e3); c[0] += cpu() - k; drop(r);
            let k = cpu(); let s = Instant::now(); let r = e2.execute_listed(&input, &block.state, &list).unwrap(); t[1].push(s.elapsed().as_secs_f64()*1e3); c[1] += cpu() - k; 
            assert!(matches!(r, Listed::Executed(_))); drop(r);
            let k = cpu(); let s = Instant::now(); let r = e1.execute_listed(&input, &block.state, &list).unwrap(); t[2].push(s.elapsed().as_secs_f64()*1e3); c[2] += cpu() - k; drop(r);
            let k = cpu(); let s = Instant::now(); let r = e2.execute(&input, &block.state).unwrap(); t[3].push(s.elapsed().as_secs_f64()*1e3); c[3] += cpu() - k; drop(r);
        }
        let m: Vec<f64> = t.iter_mut().map(median).collect();
        println!("{name}: seq {:.1} listed2 {:.1} ({:.2}x) listed1 {:.1} ({:.2}x) first2 {:.1} ({:.2}x)", m[0], m[1], m[0]/m[1], m[2], m[0]/m[2], m[3], m[0]/m[3]);
        println!("   cpu per run: {:?} ideal {:.2}x", c.map(|c| (c / runs as f64).round()), 2.0 * c[0] / c[1]);
    }
    if which == "all" || which == "mainnet" {
        let folder = unpack(MAINNET_BLOCKS).unwrap();
        let codes = read_codes(&folder.join("codes.json")).unwrap();
        let chain = chain();
        let cache = CodeCache::default();
        let e2 = Engine::new(NonZeroUsize::new(2).unwrap()).unwrap();
        let mut sums = [0.0; 3];
        for path in json_files(&folder.join("blocks")) {
            let block = MainnetBlock::read(&path, &codes).unwrap();
            let input = ExecutionInput { code_cache: Some(&cache), ..block.input(&chain) };
            let r = execute_sequential(&input, block.state()).unwrap();
            let list = r.access_list();
            let mut t = [Vec::new(), Vec::new(), Vec::new()];
            for _ in 0..runs {
                let s = Instant::now(); let r = execute_sequential(&input, block.state()).unwrap(); t[0].push(s.elapsed().as_secs_f64()*1e3); drop(r);
                let s = Instant::now(); let r = e2.execute_listed(&input, block.state(), &list).unwrap(); t[1].push(s.elapsed().as_secs_f64()*1e3); drop(r);
                let s = Instant::now(); let r = e2.execute(&input, block.state()).unwrap(); t[2].push(s.elapsed().as_secs_f64()*1e3); drop(r);
            }
            let m: Vec<f64> = t.iter_mut().map(median).collect();
            if args.len() > 3 { println!("{} txs {} seq {:.2} listed {:.2} {:.2}x first {:.2} {:.2}x", block.height(), block.transactions().len(), m[0], m[1], m[0]/m[1], m[2], m[0]/m[2]); }
            for i in 0..3 { sums[i] += m[i]; }
        }
        println!("mainnet: seq {:.1} listed2 {:.1} ({:.2}x) first2 {:.1} ({:.2}x)", sums[0], sums[1], sums[0]/sums[1], sums[2], sums[0]/sums[2]);
    }
}
