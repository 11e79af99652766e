use std::io::{self, Write};
use std::time::Duration;

/// Says something to whoever runs the tests. `println!` is kept back by the test runner when the test passes, and a
/// measured figure, or that a test was skipped, is for those whose tests pass.
pub fn report(line: &str) {
    // If nobody can be told, nobody is.
    let _ = writeln!(io::stderr(), "    {line}");
}

/// One thing that was measured again and again, and the bound that it has to keep.
#[derive(Debug)]
pub struct Figures {
    what: String,
    bound: Duration,
    all: Vec<Duration>,
}

impl Figures {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(what: &str, bound: Duration) -> Self {
        Self { what: what.to_owned(), bound, all: Vec::new() }
    }

    /// Takes one more.
    pub fn add(&mut self, took: Duration) {
        self.all.push(took);
    }

    /// Reports what was measured, and holds the worst of each to its bound.
    ///
    /// # Panics
    /// When all are reported: if one's worst is beyond its bound, or nothing was measured.
    pub fn hold(all: impl IntoIterator<Item = Self>) {
        let lines: Vec<_> = all.into_iter().map(Self::line).collect();
        lines.iter().for_each(|(line, _)| report(line));
        let broken: Vec<_> =
            lines.iter().filter(|(_, is_held)| !is_held).map(|(line, _)| line.as_str()).collect();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    /// What was measured, and whether the bound was kept.
    fn line(mut self) -> (String, bool) {
        self.all.sort();
        let Some(worst) = self.all.last() else { return (format!("{}: not measured", self.what), false) };
        let (count, bound) = (self.all.len(), self.bound);
        let (min, median) = (self.all[0], self.all[count / 2]);
        let [min, median, worst_ms] = [min, median, *worst].map(|took| took.as_millis());
        let line = format!(
            "{}: min {min}, median {median}, worst {worst_ms} ms of {count} (bound {bound:?})",
            self.what
        );
        (line, *worst <= bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "an answer: min 1, median 2, worst 4 ms of 3 (bound 3ms)")]
    fn the_worst_counts() {
        let mut figures = Figures::new("an answer", Duration::from_millis(3));
        for ms in [2, 4, 1] {
            figures.add(Duration::from_millis(ms));
        }
        Figures::hold([figures]);
    }
}
