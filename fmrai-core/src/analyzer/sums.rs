//! What an analyzer absorbs where all of it is sums: stored, read and merged without a line for each of them.

use std::ops::Add;

use crate::analyzer::state::{State, StateError, StateNumber};

/// A part of a state that is a sum: a number, or a list of numbers of which two parts of the data have as many.
pub trait Summed: Sized {
    /// Puts it into a state under a name.
    ///
    /// # Errors
    /// [`StateError::Part`] for a count that is no `int64`.
    fn put(&self, name: &str, state: &mut State) -> Result<(), StateError>;

    /// Reads what [`put`](Self::put) has put there, of the same form as this one.
    ///
    /// # Errors
    /// [`StateError::Part`] where it is absent or has another form.
    fn read_like(&self, name: &str, state: &State) -> Result<Self, StateError>;

    /// Adds another one of the same form, number by number. Counts stay at their largest.
    fn add(&mut self, other: &Self);
}

/// A struct of sums, made by [`sums!`](crate::sums): what two parts of the data give, one after another, is what both give together.
pub trait Sums: Sized {
    /// The sums as the state of an analyzer: one tensor for each field, named like it.
    ///
    /// # Errors
    /// [`StateError::Part`] for a count that is no `int64`.
    fn state(&self, analyzer: &str, version: u32) -> Result<State, StateError>;

    /// Adds what such a state holds, or nothing of it if it has an error.
    ///
    /// # Errors
    /// [`StateError`] for the state of another analyzer or version, or of other sizes.
    fn merge(&mut self, state: &State, analyzer: &str, version: u32) -> Result<(), StateError>;

    /// Adds other sums of the same sizes, such as those of a batch.
    fn add(&mut self, other: &Self);
}

macro_rules! numbers {
    ($($number:ty: $add:expr),+ $(,)?) => {$(
        impl Summed for $number {
            fn put(&self, name: &str, state: &mut State) -> Result<(), StateError> {
                state.put_number(name, *self)
            }

            fn read_like(&self, name: &str, state: &State) -> Result<Self, StateError> {
                state.number(name)
            }

            fn add(&mut self, other: &Self) {
                let add: fn(Self, Self) -> Self = $add;
                *self = add(*self, *other);
            }
        }
    )+};
}

numbers!(f32: Add::add, f64: Add::add, i64: i64::saturating_add, u64: u64::saturating_add);

impl<T: StateNumber + Summed + Copy> Summed for Vec<T> {
    fn put(&self, name: &str, state: &mut State) -> Result<(), StateError> {
        state.put(name, [self.len()], self.clone())
    }

    fn read_like(&self, name: &str, state: &State) -> Result<Self, StateError> {
        state.get(name, &[self.len()])
    }

    fn add(&mut self, other: &Self) {
        self.iter_mut().zip(other).for_each(|(sum, more)| sum.add(more));
    }
}

/// A struct whose fields are sums over the data ([`Summed`](crate::analyzer::Summed)), with `state` and `merge`
/// ([`Sums`](crate::analyzer::Sums)) made of them. It derives `Debug`, `Clone` and `Default`.
///
/// ```
/// use fmrai_core::analyzer::Sums;
///
/// fmrai_core::sums! {
///     /// What is counted.
///     struct Peaks {
///         /// Sum over queries, by layer.
///         largest: Vec<f64>,
///         queries: u64,
///     }
/// }
///
/// let mut one = Peaks { largest: vec![0.5, 1.0], queries: 2 };
/// let other = Peaks { largest: vec![1.0, 0.25], queries: 3 };
/// one.merge(&other.state("peaks", 1)?, "peaks", 1)?;
/// assert_eq!((one.largest, one.queries), (vec![1.5, 1.25], 5));
/// # Ok::<(), fmrai_core::analyzer::StateError>(())
/// ```
#[macro_export]
macro_rules! sums {
    (
        $(#[$about:meta])*
        $seen:vis struct $name:ident {
            $($(#[$of_field:meta])* $field_seen:vis $field:ident: $kind:ty),+ $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default)]
        $seen struct $name {
            $($(#[$of_field])* $field_seen $field: $kind),+
        }

        impl $crate::analyzer::Sums for $name {
            fn state(
                &self,
                analyzer: &str,
                version: u32,
            ) -> ::std::result::Result<$crate::analyzer::State, $crate::analyzer::StateError> {
                let mut state = $crate::analyzer::State::new(analyzer, version, ::std::default::Default::default());
                $($crate::analyzer::Summed::put(&self.$field, stringify!($field), &mut state)?;)+
                ::std::result::Result::Ok(state)
            }

            fn merge(
                &mut self,
                state: &$crate::analyzer::State,
                analyzer: &str,
                version: u32,
            ) -> ::std::result::Result<(), $crate::analyzer::StateError> {
                state.expect(analyzer, version)?;
                let more = Self {
                    $($field: $crate::analyzer::Summed::read_like(&self.$field, stringify!($field), state)?),+
                };
                $crate::analyzer::Sums::add(self, &more);
                ::std::result::Result::Ok(())
            }

            fn add(&mut self, other: &Self) {
                $($crate::analyzer::Summed::add(&mut self.$field, &other.$field);)+
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::sums! {
        struct Seen {
            sums: Vec<f64>,
            counts: Vec<u64>,
            pub(crate) total: f64,
            texts: u64,
        }
    }

    fn seen(by: f64) -> Seen {
        Seen { sums: vec![by, 2.0 * by], counts: vec![1, 2, 3], total: by, texts: 7 }
    }

    #[test]
    fn every_field_is_stored_under_its_name_and_added() {
        let state = seen(1.5).state("seen", 3).unwrap();
        assert_eq!(state.tensors.keys().collect::<Vec<_>>(), ["counts", "sums", "texts", "total"]);
        let mut all = seen(1.0);
        all.merge(&state, "seen", 3).unwrap();
        assert_eq!((all.sums, all.counts), (vec![2.5, 5.0], vec![2, 4, 6]));
        assert_eq!((all.total, all.texts), (2.5, 14));
    }

    #[test]
    fn a_foreign_state_is_refused_and_changes_nothing() {
        let mut all = seen(1.0);
        let good = seen(2.0).state("seen", 3).unwrap();
        let mut longer = good.clone();
        longer.put("counts", [2], vec![1_u64, 2]).unwrap();
        let mut lacking = good.clone();
        lacking.tensors.remove("texts");
        for (state, name, version) in
            [(&good, "seen", 4), (&good, "other", 3), (&longer, "seen", 3), (&lacking, "seen", 3)]
        {
            assert!(all.merge(state, name, version).is_err());
        }
        assert_eq!((all.sums, all.texts), (vec![1.0, 2.0], 7));
    }

    #[test]
    fn counts_stay_at_their_largest() {
        let mut all = Seen { texts: u64::MAX, ..seen(1.0) };
        Sums::add(&mut all, &seen(1.0));
        assert_eq!(all.texts, u64::MAX);
    }
}
