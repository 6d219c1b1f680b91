//! A bench carries its whole name: `module::operation/key=value key=value`.
//!
//! Looked at: string literals and `format!` literals given to `bench_function`, `bench_with_input` and
//! `bench` in files of a `benches` folder, of a `bench` folder and in files named `bench.rs`.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, ExprMethodCall};

use crate::tidy::finding::Finding;
use crate::tidy::repository::Source;

const CALLS: &[&str] = &["bench_function", "bench_with_input", "bench"];

/// Bench names that break the pattern, and benches whose name cannot be read off the source.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let has_benches = ["/benches/", "/bench/"]
        .iter()
        .any(|part| source.path.contains(part));
    if !has_benches && !source.path.ends_with("/bench.rs") {
        return Vec::new();
    }
    let mut walk = Walk {
        path: &source.path,
        findings: Vec::new(),
    };
    walk.visit_file(&source.syntax);
    walk.findings
}

struct Walk<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn see(&mut self, function: &str, argument: &Expr) {
        if !CALLS.contains(&function) {
            return;
        }
        let wrong = match literal(argument) {
            None => "the bench's name is not a literal; write it out or use format!".to_owned(),
            Some(name) if !is_name(&name) => {
                format!("bench name {name:?} is not `module::operation/key=value`; rename it")
            }
            Some(_) => return,
        };
        self.findings
            .push(Finding::new(self.path, argument.span().start().line, wrong));
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if let Some(argument) = call.args.first() {
            self.see(&call.method.to_string(), argument);
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// The text of `"…"`, `format!("…", …)` or a reference to one of them.
fn literal(argument: &Expr) -> Option<String> {
    match argument {
        Expr::Reference(reference) => literal(&reference.expr),
        Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) => Some(text.value()),
        Expr::Macro(format) if format.mac.path.is_ident("format") => {
            let first = format.mac.tokens.clone().into_iter().next()?;
            syn::parse_str::<syn::LitStr>(&first.to_string())
                .ok()
                .map(|text| text.value())
        }
        _ => None,
    }
}

fn is_name(name: &str) -> bool {
    let Some((operation, parameters)) = name.split_once('/') else {
        return false;
    };
    operation.contains("::")
        && operation.split("::").all(is_word)
        && parameters.split(' ').all(|parameter| {
            let pair = parameter.split_once('=');
            pair.is_some_and(|(key, value)| {
                is_word(key) && !value.is_empty() && !value.contains('=')
            })
        })
}

fn is_word(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::{check, is_name};
    use crate::tidy::finding::{Finding, reports};
    use crate::tidy::repository::Source;

    fn check_call(path: &str, call: &str) -> Vec<Finding> {
        let text = format!("fn main(c: &mut Bench) {{\n    c.{call};\n}}");
        check(&Source::parse(path, &text).unwrap())
    }

    #[test]
    fn a_loose_bench_name_is_reported() {
        let path = "crates/executor/benches/transfers.rs";
        let loose = check_call(path, "bench_function(\"transfers\", run)");
        assert!(reports(
            &loose,
            &["transfers.rs:2: bench name \"transfers\""]
        ));
        let hidden = check_call(path, "bench_function(name, run)");
        assert!(reports(&hidden, &["not a literal"]));
        let formatted = check_call(path, "bench_function(&format!(\"executor/txs={n}\"), run)");
        assert!(reports(&formatted, &["executor/txs={n}"]));
        assert!(
            check_call(
                path,
                "bench_function(&format!(\"executor::transfers/txs={n}\"), run)"
            )
            .is_empty()
        );
        assert!(
            check_call(
                "crates/executor/src/executor.rs",
                "bench_function(\"x\", run)"
            )
            .is_empty()
        );
        assert_eq!(
            check_call("crates/node/src/bench.rs", "bench(\"x\", run)").len(),
            1
        );
    }

    #[test]
    fn the_pattern_is_exact() {
        assert!(is_name("executor::transfers/txs=10000 conflict=0.1"));
        for name in [
            "transfers/txs=1",
            "executor::transfers",
            "executor::transfers/txs",
            "Executor::T/txs=1",
            "a::b/c=",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
