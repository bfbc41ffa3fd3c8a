//! Arithmetic of sizes, with the semantics of Python: every result is the one that CPython gives, to the bit.

mod call;
mod function;
mod integers;
mod number;
mod order;
mod reals;
#[cfg(test)]
mod tests;

pub(super) use function::Function;
pub(super) use number::Number;
