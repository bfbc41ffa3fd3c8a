//! Plain text files: one text per line.

use super::batching::Singles;
use super::records::Lines;
use super::settings::text_source;
use super::{Batches, DataContext, DataError, DataSource};

text_source! {
    /// A plain text file in UTF-8, one text per line. Empty lines are left out and counted.
    pub struct TextLines {}
    reads: "texts", batch_size: 8, too_long: "are cut, and counted"
}

crate::register_data_source!(TextLines, name: "text", summary: "plain text in UTF-8, one text per line",
);

impl DataSource for TextLines {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        self.settings().open_texts(context, Singles, |path, file| Ok(Lines::new(path, file)))
    }
}
