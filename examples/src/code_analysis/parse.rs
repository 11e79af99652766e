use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{AnalysisError, SourceFile};

/// A file and where its functions are: the first stage's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParsedFile {
    /// As in [`SourceFile`].
    pub path: String,
    /// All of its text, without a mark of the byte order, and with a first line `#!/usr/bin/…` made a comment.
    pub text: String,
    /// The functions in the order of the text. One that is written inside of another is a part of that one.
    pub functions: Vec<FunctionSpan>,
}

/// Where a function is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionSpan {
    /// `name`, or `Type::name`.
    pub name: String,
    /// The line of its `fn`, counted from 1.
    pub line: usize,
    /// Its bytes in the text: from its first word, without documentation and attributes, to its last brace.
    pub bytes: Range<usize>,
}

/// Splits a file into its functions.
///
/// # Errors
/// [`AnalysisError::NotRust`] if it does not parse.
pub fn parse(file: &SourceFile) -> Result<ParsedFile, AnalysisError> {
    let text = plain(&file.text);
    let syntax = syn::parse_file(&text).map_err(|error| AnalysisError::NotRust {
        path: file.path.clone(),
        line: error.span().start().line,
        message: error.to_string(),
    });
    let mut found = Functions::default();
    if let Ok(syntax) = &syntax {
        found.visit_file(syntax);
    }
    // Spans live in a table of the thread, which would grow with each file.
    proc_macro2::extra::invalidate_current_thread_spans();
    syntax?;
    Ok(ParsedFile { path: file.path.clone(), text, functions: found.functions })
}

/// The parser leaves such things out by itself, and then all places after them are wrong.
fn plain(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_shebang = text.starts_with("#!") && !text.starts_with("#![");
    if is_shebang { format!("//{}", &text[2..]) } else { text.to_owned() }
}

#[derive(Default)]
struct Functions {
    /// The type or trait around, if there is one.
    owner: Option<String>,
    functions: Vec<FunctionSpan>,
}

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{}", signature.ident),
            None => signature.ident.to_string(),
        };
        let bytes = signature.span().byte_range().start..block.span().byte_range().end;
        self.functions.push(FunctionSpan { name, line: signature.fn_token.span.start().line, bytes });
    }

    fn inside(&mut self, owner: String, visit: impl FnOnce(&mut Self)) {
        let outer = self.owner.replace(owner);
        visit(self);
        self.owner = outer;
    }
}

// Bodies are not visited: what is inside of a function is the function's.
impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.add(&function.sig, block);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let owner = match block.self_ty.as_ref() {
            syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
            _ => None,
        };
        self.inside(owner.unwrap_or_else(|| "impl".to_owned()), |this| visit::visit_item_impl(this, block));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.inside(item.ident.to_string(), |this| visit::visit_item_trait(this, item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(String, usize)> {
        let parsed = parse(&SourceFile::new("a.rs", text)).unwrap();
        parsed.functions.into_iter().map(|function| (function.name, function.line)).collect()
    }

    #[test]
    fn functions_are_found_wherever_they_are() {
        let text = "fn a() {}\nmod m {\n  impl<T> super::B<T> {\n    pub async fn c(&self) {}\n  }\n  \
            trait D { fn e(); fn f() {} }\n  impl D for [u8] { fn f() {} }\n}\n";
        let found = names(text);
        let expected = [("a", 1), ("B::c", 4), ("D::f", 6), ("impl::f", 7)];
        assert_eq!(found, expected.map(|(name, line)| (name.to_owned(), line)));
    }

    #[test]
    fn a_function_inside_of_another_is_a_part_of_it() {
        assert_eq!(names("fn a() { fn b() {} let c = || 1; }"), [("a".to_owned(), 1)]);
    }

    #[test]
    fn a_function_s_text_is_cut_out_by_bytes() {
        let text =
            "\u{feff}#!/usr/bin/env rust\n// größer\n/// Doc.\n#[inline]\npub fn ä() { \"ö\"; } fn b() {}";
        let parsed = parse(&SourceFile::new("a.rs", text)).unwrap();
        let cut: Vec<_> =
            parsed.functions.iter().map(|function| &parsed.text[function.bytes.clone()]).collect();
        assert_eq!(cut, ["fn ä() { \"ö\"; }", "fn b() {}"]);
        assert_eq!(parsed.functions[0].line, 5);
    }

    #[test]
    fn what_is_not_rust_is_an_error_with_its_line() {
        let error = parse(&SourceFile::new("a.rs", "fn a() {}\nfn b( {}\n")).unwrap_err();
        assert!(error.to_string().starts_with("a.rs:2: "), "{error}");
    }
}
