//! What a plan can name: each crate registers what it has, and a program offers all that it links.
//!
//! A kind of component (analyzers, sources of models, sources of data) has
//! - a trait that authors implement, and one below it without methods, which carries the name in a plan;
//! - a type for its entries, which `inventory` collects;
//! - a macro of its own around [`register!`](crate::register), where the name is written, once.
//!
//! ```
//! use fmrai_core::registry::{Entry, Named, Registered, Registry};
//!
//! /// What authors implement.
//! pub trait Greeting {
//!     fn text(&self) -> String;
//! }
//! /// What a plan holds: `{"type": "hello", "who": "world"}`.
//! #[typetag::serde(tag = "type")]
//! pub trait RegisteredGreeting: Greeting {}
//!
//! pub struct GreetingEntry(pub Entry);
//! impl Registered for GreetingEntry {
//!     const PLURAL: &'static str = "greetings";
//!     fn about(&self) -> &Entry {
//!         &self.0
//!     }
//! }
//! inventory::collect!(GreetingEntry);
//!
//! #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
//! struct Hello {
//!     who: String,
//! }
//! impl Greeting for Hello {
//!     fn text(&self) -> String {
//!         format!("Hello, {}!", self.who)
//!     }
//! }
//! fmrai_core::register!(Hello as RegisteredGreeting, GreetingEntry, name: "hello", summary: "says hello");
//!
//! # fn main() {
//! let registry = Registry::<GreetingEntry>::linked().unwrap();
//! assert_eq!(registry.get(Hello::NAME).unwrap().about().summary, "says hello");
//! let read: Box<dyn RegisteredGreeting> = serde_json::from_str(r#"{"type": "hello", "who": "world"}"#).unwrap();
//! assert_eq!(read.text(), "Hello, world!");
//! # }
//! ```

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

/// What is known of a component without building it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The `type` of its config in a plan.
    pub name: &'static str,
    /// One line that says what it answers, or reads.
    pub summary: &'static str,
    /// JSON Schema of its config, without the `type` field.
    pub schema: fn() -> Value,
    /// The crate it comes from, with version.
    pub origin: &'static str,
}

/// A kind of component that crates register.
pub trait Registered: inventory::Collect {
    /// What several of them are called in messages, e.g. `analyzers`.
    const PLURAL: &'static str;

    /// What is known of this one.
    fn about(&self) -> &Entry;
}

/// A config that was registered.
pub trait Named {
    /// The `type` of the config in a plan.
    const NAME: &'static str;
}

/// JSON Schema of a config type.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// Two components of one kind want the same name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two {plural} are called {name:?}: one from {first}, one from {second}")]
pub struct DuplicateName {
    plural: &'static str,
    name: String,
    first: String,
    second: String,
}

impl DuplicateName {
    /// Both components called `name`, by where they come from.
    #[must_use]
    pub fn of<T: Registered>(name: &str, [first, second]: [&str; 2]) -> Self {
        let [name, first, second] = [name, first, second].map(str::to_owned);
        Self { plural: T::PLURAL, name, first, second }
    }
}

/// Components of one kind by name, sorted.
pub struct Registry<T: 'static> {
    entries: BTreeMap<&'static str, &'static T>,
}

impl<T: Registered> Registry<T> {
    /// All that are linked into this program.
    ///
    /// # Errors
    /// [`DuplicateName`] names both origins of a name that is taken twice.
    pub fn linked() -> Result<Self, DuplicateName> {
        Self::of(inventory::iter::<T>)
    }

    fn of(entries: impl IntoIterator<Item = &'static T>) -> Result<Self, DuplicateName> {
        let mut sorted = BTreeMap::new();
        for entry in entries {
            let about = entry.about();
            if let Some(first) = sorted.insert(about.name, entry) {
                let mut origins = [first.about().origin, about.origin];
                origins.sort_unstable();
                return Err(DuplicateName::of::<T>(about.name, origins));
            }
        }
        Ok(Self { entries: sorted })
    }

    /// The component called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'static T> {
        self.entries.get(name).copied()
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &'static T> + '_ {
        self.entries.values().copied()
    }
}

/// Registers a config under a name: for plans, which hold it as the trait that stands behind `as`, and for the listing of
/// its kind, whose entry is made of an [`Entry`](crate::registry::Entry) by the function or tuple struct after that.
///
/// Kinds of components have macros of their own around this one, such as
/// [`register_analyzer!`](crate::register_analyzer). Expands to one `typetag` implementation, one of
/// [`Named`](crate::registry::Named), and one `inventory::submit!`.
#[macro_export]
macro_rules! register {
    ($config:ty as $held:path, $entry:expr, name: $name:literal, summary: $summary:literal $(,)?) => {
        const _: () = {
            use $crate::__private::typetag;

            #[typetag::serde(name = $name)]
            impl $held for $config {}

            impl $crate::registry::Named for $config {
                const NAME: &'static str = $name;
            }

            $crate::__private::inventory::submit! {
                $entry($crate::registry::Entry {
                    name: $name,
                    summary: $summary,
                    schema: $crate::registry::schema_of::<$config>,
                    origin: ::core::concat!(
                        ::core::env!("CARGO_PKG_NAME"), " ", ::core::env!("CARGO_PKG_VERSION")
                    ),
                })
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(Entry);

    impl Registered for Thing {
        const PLURAL: &'static str = "things";
        fn about(&self) -> &Entry {
            &self.0
        }
    }

    inventory::collect!(Thing);

    const fn thing(name: &'static str, origin: &'static str) -> Thing {
        Thing(Entry { name, summary: "", schema: || Value::Null, origin })
    }

    static ONE: Thing = thing("same", "crate b 1");
    static TWO: Thing = thing("same", "crate a 1");
    static THREE: Thing = thing("other", "crate a 1");

    #[test]
    fn a_name_taken_twice_names_both_origins() {
        let error = Registry::of([&ONE, &TWO]).err().unwrap();
        assert_eq!(
            error.to_string(),
            "two things are called \"same\": one from crate a 1, one from crate b 1"
        );
    }

    #[test]
    fn listing_is_sorted() {
        let registry = Registry::of([&ONE, &THREE]).unwrap();
        assert_eq!(registry.iter().map(|e| e.about().name).collect::<Vec<_>>(), ["other", "same"]);
        assert!(registry.get("same").is_some_and(|e| e.about().origin == "crate b 1"));
        assert!(registry.get("none").is_none());
    }
}
