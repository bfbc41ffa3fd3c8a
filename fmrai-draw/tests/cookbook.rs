//! The page of figures (`docs/figures.md`) has the code of each kind as it is here, and the pictures that it makes. With the variable
//! `FMRAI_WRITE_PICTURES` the pictures are written.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::Path;

use fmrai_core::report::Figure;

macro_rules! kinds {
    ($($kind:ident: $file:literal),+ $(,)?) => {
        $(
            #[path = $file]
            mod $kind;
        )+

        const KINDS: &[(&str, &str, fn() -> Figure)] =
            &[$((stringify!($kind), include_str!($file), $kind::figure)),+];
    };
}

kinds! {
    lines: "cookbook/lines.rs",
    heat_map: "cookbook/heat_map.rs",
    scatter: "cookbook/scatter.rs",
    bars: "cookbook/bars.rs",
    box_plot: "cookbook/box_plot.rs",
    passages: "cookbook/passages.rs",
    network: "cookbook/network.rs",
}

#[test]
fn the_page_shows_the_code_of_each_kind_and_the_picture_that_it_makes() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = std::fs::read_to_string(docs.join("figures.md")).unwrap();
    for (kind, code, figure) in KINDS {
        assert!(page.contains(&format!("```rust\n{code}```\n")), "docs/figures.md has other code of {kind}");
        assert!(page.contains(&format!("(images/figures/{kind}.png)")), "docs/figures.md shows no {kind}");
        let picture = fmrai_draw::draw(&figure()).unwrap().png(1.5).unwrap();
        let file = docs.join(format!("images/figures/{kind}.png"));
        if std::env::var_os("FMRAI_WRITE_PICTURES").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &picture).unwrap();
        }
        assert!(
            std::fs::read(&file).unwrap() == picture,
            "{} is another picture: set FMRAI_WRITE_PICTURES",
            file.display()
        );
    }
}
