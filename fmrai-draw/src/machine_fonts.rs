//! Fonts of this machine, for characters that the embedded one lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use ab_glyph::{Font, FontRef};
use resvg::usvg::fontdb::{Database, Source};

use crate::text::FILES;

/// The embedded font, and perhaps others behind it.
pub(crate) struct MachineFonts {
    pub(crate) all: Arc<Database>,
    /// Whether a font has a character, of those that were asked for: all files are looked through for an answer.
    known: Mutex<BTreeMap<char, bool>>,
}

impl MachineFonts {
    pub(crate) fn of(all: Database) -> Self {
        Self { all: Arc::new(all), known: Mutex::default() }
    }

    /// The embedded font alone.
    pub(crate) fn none() -> &'static Self {
        static FONTS: LazyLock<MachineFonts> = LazyLock::new(|| MachineFonts::of(embedded()));
        &FONTS
    }

    /// All that are installed here; looking for them takes a moment, so only who needs one asks.
    pub(crate) fn installed() -> &'static Self {
        static FONTS: LazyLock<MachineFonts> = LazyLock::new(|| {
            let mut all = embedded();
            all.load_system_fonts();
            MachineFonts::of(all)
        });
        &FONTS
    }

    /// Those of some characters that a font here has.
    pub(crate) fn have(&self, characters: &BTreeSet<char>) -> BTreeSet<char> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let asked: BTreeSet<char> = characters.iter().copied().filter(|c| !known.contains_key(c)).collect();
        if !asked.is_empty() {
            let found = self.look_for(&asked);
            known.extend(asked.into_iter().map(|c| (c, found.contains(&c))));
        }
        characters.iter().copied().filter(|c| known.get(c) == Some(&true)).collect()
    }

    fn look_for(&self, characters: &BTreeSet<char>) -> BTreeSet<char> {
        let mut found = BTreeSet::new();
        for face in self.all.faces() {
            if found.len() == characters.len() {
                break;
            }
            self.all.with_face_data(face.id, |file, index| {
                if let Ok(font) = FontRef::try_from_slice_and_index(file, index) {
                    found.extend(characters.iter().filter(|c| font.glyph_id(**c).0 != 0));
                }
            });
        }
        found
    }
}

fn embedded() -> Database {
    let mut fonts = Database::new();
    for file in FILES {
        fonts.load_font_source(Source::Binary(Arc::new(file)));
    }
    fonts
}
