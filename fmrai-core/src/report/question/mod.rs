//! What can be asked of relations: declared by the analyzer that hands them back, answered by a host that knows none of them.

mod check;
mod declaration;
mod heading;
mod parameter;
mod section;
mod shown;

pub use check::{DeclarationError, Fault};
pub use declaration::Question;
pub use parameter::{Argument, Kind, Parameter};
pub use section::{Form, Section};
pub use shown::{Format, Shown};
