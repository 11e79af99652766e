use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Local, PatGuard};

/// McCabe's number of a block: one, and one more for each place where it may go one of two ways.
///
/// Counted are `if`, `while` and `for`, each arm of a `match` after the first, each guard of an arm, `&&`, `||`, `?`
/// and `let … else`.
pub(super) fn complexity(block: &Block) -> usize {
    let mut decisions = Decisions(0);
    decisions.visit_block(block);
    1 + decisions.0
}

struct Decisions(usize);

impl<'ast> Visit<'ast> for Decisions {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        self.0 += match expr {
            Expr::If(_) | Expr::While(_) | Expr::ForLoop(_) | Expr::Try(_) => 1,
            Expr::Match(expr) => expr.arms.len().saturating_sub(1),
            Expr::Binary(expr) => usize::from(matches!(expr.op, BinOp::And(_) | BinOp::Or(_))),
            _ => 0,
        };
        visit::visit_expr(self, expr);
    }

    fn visit_pat_guard(&mut self, guard: &'ast PatGuard) {
        self.0 += 1;
        visit::visit_pat_guard(self, guard);
    }

    fn visit_local(&mut self, local: &'ast Local) {
        self.0 += usize::from(local.init.as_ref().is_some_and(|init| init.diverge.is_some()));
        visit::visit_local(self, local);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decision_counts_once() {
        for (body, expected) in [
            ("", 1),
            ("a();", 1),
            ("if a { b() } else { c() }", 2),
            ("if a { b() } else if c { d() } else { e() }", 3),
            ("if let Some(a) = b && c || d { e() }", 4),
            ("for a in b { while c { d() } }", 3),
            ("loop { break }", 1),
            ("match a { B => c(), D => e(), _ => f() }", 3),
            ("match a { B if c => d(), _ => e() }", 3),
            ("match a {}", 1),
            ("let Some(a) = b else { return };", 2),
            ("a()?.b()?;", 3),
            ("let a = |b| if b { c() } else { d() }; let e = || 1;", 2),
            ("let a = b | c;", 1),
            ("fn a() { if b { c() } }", 2),
        ] {
            let block = syn::parse_str(&format!("{{ {body} }}")).unwrap();
            assert_eq!(complexity(&block), expected, "{body}");
        }
    }
}
