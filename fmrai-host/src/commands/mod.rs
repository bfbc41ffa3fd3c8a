//! What `fmrai` can be told to do; one module for each command.

pub(crate) mod analyzers;
pub(crate) mod attend;
pub(crate) mod capture;
pub(crate) mod check;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod merge;
pub(crate) mod neuron;
pub(crate) mod plugin;
pub(crate) mod query;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod serve;
mod source;

pub(crate) use source::DataOptions;

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 text`, `2 texts`.
fn count(number: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped() {
        assert_eq!([1, 999, 1000, 1_234_567].map(super::grouped), ["1", "999", "1,000", "1,234,567"]);
        assert_eq!(super::count(1, "text"), "1 text");
        assert_eq!(super::count(1200, "text"), "1,200 texts");
    }
}
