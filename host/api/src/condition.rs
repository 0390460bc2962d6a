//! The condition under which a candidate is promoted automatically: `disagreement < 0.1% and faults == 0 and cost < 1.2`.
//!
//! ```text
//! condition = part { "and" part }
//! part      = ( "disagreement" | "cost" | "faults" | "rows" | "dropped" ) ( "<" | "<=" | ">" | ">=" | "==" ) number [ "%" ]
//! ```

use std::fmt;
use std::str::FromStr;

use host_model::Comparison;

/// A condition, which holds if all of its parts do.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Vec<Part>);

/// One comparison with a number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    subject: Subject,
    operator: Operator,
    /// The number as written; a percentage is not divided yet.
    number: f64,
    percent: bool,
}

/// The figure that a part compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// The share of rows on which the two differ. The comparison must hold with 95 % confidence: `<` compares the upper bound of the
    /// interval, `>` the lower bound.
    Disagreement,
    /// The candidate's time divided by the live plugin's.
    Cost,
    /// Number of calls of the candidate that failed.
    Faults,
    /// Number of rows compared.
    Rows,
    /// Number of batches that the candidate did not see because it could not keep up.
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
}

/// A syntax error of a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at column {column}: {problem}")]
pub struct ConditionError {
    /// The column, from 1, in characters.
    pub column: usize,
    /// The problem, and a valid text.
    pub problem: String,
}

const SUBJECTS: [(&str, Subject); 5] = [
    ("disagreement", Subject::Disagreement),
    ("cost", Subject::Cost),
    ("faults", Subject::Faults),
    ("rows", Subject::Rows),
    ("dropped", Subject::Dropped),
];

/// The longer ones first: `<=` begins with `<`.
const OPERATORS: [(&str, Operator); 5] = [
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("==", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// Maximum bytes of a condition: each part takes about twenty.
const LONGEST: usize = 1024;

// === impl Condition ===

impl Condition {
    /// Whether it holds. Returns every part with its measured figure; otherwise the first part that does not hold, and why.
    ///
    /// # Errors
    /// The part that does not hold. If nothing was compared, none does.
    pub fn judge(&self, comparison: &Comparison) -> Result<String, String> {
        if comparison.rows == 0 {
            return Err("nothing was compared".into());
        }
        let judged: Result<Vec<String>, String> = self.0.iter().map(|part| part.judge(comparison)).collect();
        Ok(judged?.join(" and "))
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let mut reader = Reader { text, rest: text };
        if text.len() > LONGEST {
            return Err(reader.wrong(&format!("a condition has at most {LONGEST} bytes")));
        }
        let mut parts = Vec::new();
        loop {
            parts.push(reader.part()?);
            if reader.is_done() {
                return Ok(Self(parts));
            }
            if reader.word("and") {
                continue;
            }
            return Err(reader.wrong("`and` or the end is expected"));
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            write!(f, "{}{part}", if index == 0 { "" } else { " and " })?;
        }
        Ok(())
    }
}

// === impl Part ===

impl Part {
    fn judge(&self, comparison: &Comparison) -> Result<String, String> {
        let measured = self.subject.measured(self.operator, comparison);
        let wanted = if self.percent { self.number / 100.0 } else { self.number };
        let shown = Shown { value: measured, percent: self.percent || self.subject == Subject::Disagreement };
        let what = self.subject.bound(self.operator);
        let Self { operator, .. } = self;
        let number = Shown { value: wanted, percent: self.percent };
        match operator.holds(measured, wanted) {
            true => Ok(format!("{}{what} {shown} {operator} {number}", self.subject)),
            false => Err(format!("{}{what} {shown} is not {operator} {number}", self.subject)),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}{}", self.subject, self.operator, self.number, if self.percent { "%" } else { "" })
    }
}

/// A number in readable form.
struct Shown {
    value: f64,
    percent: bool,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.percent { self.value * 100.0 } else { self.value };
        let rounded = (value * 10_000.0).round() / 10_000.0;
        write!(f, "{rounded}{}", if self.percent { "%" } else { "" })
    }
}

// === impl Subject ===

impl Subject {
    /// Returns the figure to compare. For a share measured on a sample, the end of its interval that is harder to satisfy.
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^53")]
    fn measured(self, operator: Operator, comparison: &Comparison) -> f64 {
        let (low, high) = comparison.interval();
        match (self, operator) {
            (Self::Disagreement, Operator::Less | Operator::AtMost) => high,
            (Self::Disagreement, Operator::Greater | Operator::AtLeast) => low,
            (Self::Disagreement, Operator::Equal) => comparison.disagreement(),
            (Self::Cost, _) => comparison.cost,
            (Self::Faults, _) => comparison.faults as f64,
            (Self::Rows, _) => comparison.rows as f64,
            (Self::Dropped, _) => comparison.dropped as f64,
        }
    }

    const fn bound(self, operator: Operator) -> &'static str {
        match (self, operator) {
            (Self::Disagreement, Operator::Less | Operator::AtMost) => " of at most",
            (Self::Disagreement, Operator::Greater | Operator::AtLeast) => " of at least",
            _ => "",
        }
    }

    /// Whether it may be compared with a percentage.
    const fn is_ratio(self) -> bool {
        matches!(self, Self::Disagreement | Self::Cost)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SUBJECTS.iter().find(|(_, subject)| subject == self).map_or("", |(name, _)| name))
    }
}

// === impl Operator ===

impl Operator {
    #[allow(clippy::float_cmp, reason = "equal is what was asked for; counts are whole")]
    fn holds(self, measured: f64, wanted: f64) -> bool {
        match self {
            Self::Less => measured < wanted,
            Self::AtMost => measured <= wanted,
            Self::Greater => measured > wanted,
            Self::AtLeast => measured >= wanted,
            Self::Equal => measured == wanted,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OPERATORS.iter().find(|(_, operator)| operator == self).map_or("", |(sign, _)| sign))
    }
}

/// A parser that reads a condition from the left.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

// === impl Reader ===

impl Reader<'_> {
    fn part(&mut self) -> Result<Part, ConditionError> {
        let subject = SUBJECTS.iter().find(|(name, _)| self.word(name)).map(|(_, subject)| *subject);
        let names = SUBJECTS.map(|(name, _)| name).join(", ");
        let subject = subject.ok_or_else(|| self.wrong(&format!("one of {names} is expected")))?;
        let operator = OPERATORS.iter().find(|(sign, _)| self.sign(sign)).map(|(_, operator)| *operator);
        let operator = operator.ok_or_else(|| self.wrong("one of <, <=, >, >=, == is expected"))?;
        self.skip();
        let end = self.rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        let number = digits.parse::<f64>().ok().filter(|number| number.is_finite() && digits.len() <= 32);
        let number = number.ok_or_else(|| self.wrong("a number such as 0.1 is expected"))?;
        self.rest = rest;
        self.skip();
        if self.rest.starts_with('%') && !subject.is_ratio() {
            return Err(self.wrong(&format!("`{subject}` is a count, not a share")));
        }
        Ok(Part { subject, operator, number, percent: self.sign("%") })
    }

    /// Consumes a word, if it is next and ends there.
    fn word(&mut self, word: &str) -> bool {
        self.skip();
        let after = self.rest.strip_prefix(word);
        let ends = |rest: &&str| !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        after.filter(ends).inspect(|rest| self.rest = rest).is_some()
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.skip();
        self.rest.strip_prefix(sign).inspect(|rest| self.rest = rest).is_some()
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn is_done(&mut self) -> bool {
        self.skip();
        self.rest.is_empty()
    }

    fn wrong(&self, problem: &str) -> ConditionError {
        let read = self.text.chars().count() - self.rest.chars().count();
        ConditionError { column: read + 1, problem: problem.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(rows: u64, differing: u64) -> Comparison {
        Comparison { rows, differing, cost: 1.1, ..Comparison::default() }
    }

    fn judge(condition: &str, comparison: &Comparison) -> Result<String, String> {
        condition.parse::<Condition>().unwrap().judge(comparison)
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in ["disagreement < 0.1% and faults == 0 and cost < 1.2", "rows >= 1000", "dropped <= 3 and cost > 90%"] {
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), text);
        }
        let tight = "disagreement<0.1%and faults==0".parse::<Condition>().unwrap();
        assert_eq!(tight.to_string(), "disagreement < 0.1% and faults == 0");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_column() {
        for (text, column, word) in [
            ("", 1, "disagreement, cost"),
            ("disagrement < 1%", 1, "disagreement"),
            ("cost 1.2", 6, "<="),
            ("cost < ", 8, "number"),
            ("cost < 1.2.3", 8, "number"),
            ("cost < -1", 8, "number"),
            ("faults < 1%", 11, "count"),
            ("cost < 1 or faults == 0", 10, "`and`"),
            ("cost < 1 and", 13, "disagreement"),
            ("costs < 1", 1, "disagreement"),
        ] {
            let error = text.parse::<Condition>().unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.problem.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_disagreement_is_below_a_number_only_when_it_is_so_with_confidence() {
        assert!(judge("disagreement < 0.1%", &comparison(1_000_000, 100)).is_ok());
        let few = judge("disagreement < 0.1%", &comparison(100, 0)).unwrap_err();
        assert_eq!(few, "disagreement of at most 3.6993% is not < 0.1%");
        assert!(judge("disagreement > 1%", &comparison(1_000, 11)).is_err(), "perhaps it is less");
        assert!(judge("disagreement > 1%", &comparison(1_000_000, 11_000)).is_ok());
    }

    #[test]
    fn all_parts_must_hold_and_the_first_that_does_not_is_told() {
        let held = judge("cost < 1.2 and faults == 0 and rows >= 7", &comparison(7, 0)).unwrap();
        assert_eq!(held, "cost 1.1 < 1.2 and faults 0 == 0 and rows 7 >= 7");
        assert_eq!(judge("faults == 0 and cost < 110%", &comparison(7, 0)).unwrap_err(), "cost 110% is not < 110%");
    }

    #[test]
    fn nothing_holds_of_what_was_not_compared() {
        assert_eq!(judge("faults == 0", &Comparison::default()).unwrap_err(), "nothing was compared");
    }
}
