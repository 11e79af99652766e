use std::cmp::Reverse;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FileMeasure, FunctionMeasure, Lines};

/// The whole tree in one table: the third stage's output. Its `Display` is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// How many files were measured.
    pub files: usize,
    /// All of their lines.
    pub lines: Lines,
    /// How many functions are in them.
    pub functions: usize,
    /// The longest functions, the longest first.
    pub longest: Vec<Offender>,
    /// The functions with the most ways through, the worst first.
    pub most_complex: Vec<Offender>,
}

/// A function, and where to find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offender {
    /// The file.
    pub path: String,
    /// Its figures.
    pub function: FunctionMeasure,
}

/// Adds up all files, and names the `top` worst functions of each sort. The order of the files makes no difference.
#[must_use]
pub fn report(files: &[FileMeasure], top: usize) -> Report {
    let mut lines = Lines::default();
    for file in files {
        lines += file.lines;
    }
    Report {
        files: files.len(),
        lines,
        functions: files.iter().map(|file| file.functions.len()).sum(),
        longest: worst(files, top, |function| function.lines),
        most_complex: worst(files, top, |function| function.complexity),
    }
}

fn worst(files: &[FileMeasure], top: usize, figure: impl Fn(&FunctionMeasure) -> usize) -> Vec<Offender> {
    let mut all: Vec<_> =
        files.iter().flat_map(|file| file.functions.iter().map(move |function| (file, function))).collect();
    all.sort_by_key(|(file, function)| (Reverse(figure(function)), &file.path, function.line));
    let worst = all.into_iter().take(top);
    worst.map(|(file, function)| Offender { path: file.path.clone(), function: function.clone() }).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lines { code, comment, blank } = self.lines;
        writeln!(f, "{:>9} files", self.files)?;
        writeln!(f, "{code:>9} lines of code, {comment} of comment, {blank} blank")?;
        writeln!(f, "{:>9} functions", self.functions)?;
        let row = |f: &mut fmt::Formatter<'_>, figure: usize, offender: &Offender| {
            let Offender { path, function } = offender;
            writeln!(f, "{figure:>9} {} ({path}:{})", function.name, function.line)
        };
        writeln!(f, "\n    lines of the longest functions")?;
        self.longest.iter().try_for_each(|offender| row(f, offender.function.lines, offender))?;
        writeln!(f, "\n ways through the most complex functions")?;
        self.most_complex.iter().try_for_each(|offender| row(f, offender.function.complexity, offender))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, code: usize, functions: &[(&str, usize, usize)]) -> FileMeasure {
        let function = |(at, (name, lines, complexity)): (usize, &(&str, usize, usize))| FunctionMeasure {
            name: (*name).to_owned(),
            line: at + 1,
            lines: *lines,
            complexity: *complexity,
        };
        let lines = Lines { code, comment: 1, blank: 2 };
        FileMeasure {
            path: path.to_owned(),
            lines,
            functions: functions.iter().enumerate().map(function).collect(),
        }
    }

    #[test]
    fn totals_are_sums_and_the_worst_come_first() {
        let files = [file("a.rs", 10, &[("f", 5, 1), ("g", 3, 9)]), file("b.rs", 20, &[("h", 5, 2)])];
        let seen = report(&files, 2);
        assert_eq!((seen.files, seen.functions), (2, 3));
        assert_eq!(seen.lines, Lines { code: 30, comment: 2, blank: 4 });
        let names = |list: &[Offender]| list.iter().map(|row| row.function.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&seen.longest), names(&seen.most_complex)),
            (vec!["f".to_owned(), "h".to_owned()], vec!["g".to_owned(), "h".to_owned()])
        );
    }

    #[test]
    fn the_order_in_which_files_arrive_makes_no_difference() {
        let mut files = [file("a.rs", 10, &[("f", 5, 1)]), file("b.rs", 20, &[("h", 5, 1)])];
        let first = report(&files, 1);
        files.reverse();
        assert_eq!(report(&files, 1), first);
    }

    #[test]
    fn people_read_a_table() {
        let table = report(&[file("a.rs", 10, &[("f", 5, 3)])], 1).to_string();
        let expected = concat!(
            "        1 files\n",
            "       10 lines of code, 1 of comment, 2 blank\n",
            "        1 functions\n",
            "\n    lines of the longest functions\n        5 f (a.rs:1)\n",
            "\n ways through the most complex functions\n        3 f (a.rs:1)\n",
        );
        assert_eq!(table, expected);
    }

    #[test]
    fn an_empty_tree_has_a_report_too() {
        let seen = report(&[], 10);
        assert_eq!((seen.files, seen.lines, seen.functions), (0, Lines::default(), 0));
    }
}
