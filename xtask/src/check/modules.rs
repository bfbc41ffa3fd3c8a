//! The files of a crate as modules, and which file of it a path in the code means.
//!
//! Reads syntax alone: what a macro makes, and methods called on a value, are not seen.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree};

use super::tree::Tree;

/// Index of a module in [`Crate`]; 0 is the root.
type Module = usize;

/// How often a name may lead to another name: longer chains are taken for loops.
const LONGEST_CHAIN: usize = 16;

/// The modules of a crate, tests left out.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    modules: Vec<Scope>,
    uses: Vec<Use>,
}

/// What the names in a module mean.
#[derive(Debug, Default)]
struct Scope {
    file: String,
    parent: Option<Module>,
    children: BTreeMap<String, Module>,
    items: BTreeSet<String>,
    aliases: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// A path in the code, and where it stands.
#[derive(Debug)]
struct Use {
    module: Module,
    path: Vec<String>,
}

/// That one file takes a name from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    /// The file that names something.
    pub(crate) from: String,
    /// The file that defines it.
    pub(crate) to: String,
    /// What is named.
    pub(crate) name: String,
}

impl Crate {
    /// Reads the crate whose root is the file `root`, and every file that it names as a module.
    pub(crate) fn read(tree: &Tree, root: &str) -> Result<Self> {
        let mut this = Self::default();
        this.read_file(tree, root, None, "")?;
        Ok(this)
    }

    /// Which file takes which name from which other, sorted.
    pub(crate) fn edges(&self) -> BTreeSet<Edge> {
        let mut edges = BTreeSet::new();
        for used in &self.uses {
            let from = &self.modules[used.module].file;
            if let Some((to, name)) = self.resolve(used.module, &used.path, 0)
                && to != *from
            {
                edges.insert(Edge { from: from.clone(), to, name });
            }
        }
        edges
    }

    fn read_file(&mut self, tree: &Tree, file: &str, parent: Option<Module>, name: &str) -> Result<()> {
        let text = tree.text(file)?.with_context(|| format!("{file} is no text"))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("{file} is no Rust"))?;
        let module = self.add(file, parent, name);
        self.read_items(tree, module, &parsed.items, &folder_of(file, parent.is_none()))
    }

    fn add(&mut self, file: &str, parent: Option<Module>, name: &str) -> Module {
        let module = self.modules.len();
        self.modules.push(Scope { file: file.to_owned(), parent, ..Scope::default() });
        if let Some(parent) = parent {
            self.modules[parent].children.insert(name.to_owned(), module);
        }
        module
    }

    /// `folder` is where the files of modules that are declared here lie.
    fn read_items(&mut self, tree: &Tree, module: Module, items: &[Item], folder: &str) -> Result<()> {
        for item in items.iter().filter(|item| !attributes(item).iter().any(is_test)) {
            if let Item::Mod(inner) = item {
                let name = inner.ident.to_string();
                if let Some((_, items)) = &inner.content {
                    let file = self.modules[module].file.clone();
                    let child = self.add(&file, Some(module), &name);
                    self.read_items(tree, child, items, &format!("{folder}/{name}"))?;
                } else {
                    let places = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
                    let file = places.iter().find(|file| tree.has(file));
                    let file = file.with_context(|| format!("module {name} has no file in {folder}"))?;
                    self.read_file(tree, file, Some(module), &name)?;
                }
                continue;
            }
            if let Item::Use(item) = item {
                let handed_on = !matches!(item.vis, syn::Visibility::Inherited);
                self.read_use(module, &item.tree, &mut Vec::new(), handed_on);
                continue;
            }
            self.modules[module].items.extend(name_of(item));
            let mut found = Paths::default();
            found.visit_item(item);
            self.uses.extend(found.0.into_iter().map(|path| Use { module, path }));
        }
        Ok(())
    }

    /// What is handed on to others is not thereby used.
    fn read_use(&mut self, module: Module, tree: &UseTree, path: &mut Vec<String>, handed_on: bool) {
        let bring = |this: &mut Self, name: String, alias: String| {
            let mut whole = path.clone();
            if name != "self" {
                whole.push(name);
            }
            if !handed_on {
                this.uses.push(Use { module, path: whole.clone() });
            }
            this.modules[module].aliases.insert(alias, whole);
        };
        match tree {
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let last = path.last().cloned().unwrap_or_default();
                let alias = if name == "self" { last } else { name.clone() };
                bring(self, name, alias);
            }
            UseTree::Rename(rename) => bring(self, rename.ident.to_string(), rename.rename.to_string()),
            UseTree::Glob(_) => self.modules[module].globs.push(path.clone()),
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.read_use(module, &part.tree, path, handed_on);
                path.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.read_use(module, tree, path, handed_on);
                }
            }
        }
    }

    /// The file that defines what `path` means in `module`, and its name there; none for other crates, locals, and for a
    /// module by itself, which is no more than a way to what is in it.
    fn resolve(&self, module: Module, path: &[String], steps: usize) -> Option<(String, String)> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.descend(0, rest, steps),
            "self" => self.descend(module, rest, steps),
            "super" => self.descend(self.modules[module].parent?, rest, steps),
            _ => self.descend(module, path, steps),
        }
    }

    fn descend(&self, module: Module, path: &[String], steps: usize) -> Option<(String, String)> {
        let (name, rest) = path.split_first()?;
        let scope = &self.modules[module];
        if steps > LONGEST_CHAIN {
            return None;
        }
        if name == "super" {
            return self.descend(scope.parent?, rest, steps);
        }
        if let Some(child) = scope.children.get(name)
            && !rest.is_empty()
        {
            return self.descend(*child, rest, steps);
        }
        if scope.items.contains(name) {
            return Some((scope.file.clone(), name.clone()));
        }
        let through = |target: &[String]| {
            let whole: Vec<String> = target.iter().chain(rest).cloned().collect();
            // A name that means itself is one of another crate.
            (whole != path).then(|| self.resolve(module, &whole, steps + 1)).flatten()
        };
        if let Some(target) = scope.aliases.get(name) {
            return through(target);
        }
        scope.globs.iter().find_map(|glob| {
            let whole: Vec<String> = glob.iter().chain(path).cloned().collect();
            self.resolve(module, &whole, steps + 1)
        })
    }
}

/// The folder of the modules that `file` declares.
fn folder_of(file: &str, root: bool) -> String {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    if root || name == "mod.rs" {
        folder.to_owned()
    } else {
        format!("{folder}/{}", name.trim_end_matches(".rs"))
    }
}

/// Every path in code, macros included.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Paths {
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.take(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.take(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.scan(group.stream());
                    }
                }
            }
        }
        self.take(&mut path);
    }

    fn take(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.0.push(std::mem::take(path));
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.scan(called.tokens.clone());
        visit::visit_macro(self, called);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.scan(item.tree.to_token_stream()); // a `use` in a function: nearly always of a path without braces
    }
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        _ => return None,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, ...))]`.
fn is_test(attribute: &Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let Meta::List(list) = &attribute.meta else { return false };
    let words = list.tokens.to_string();
    list.path.is_ident("cfg")
        && !words.contains("not")
        && words.split(|c: char| !c.is_alphanumeric()).any(|w| w == "test")
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::tree;
    use super::*;

    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let (_folder, tree) = tree(files);
        let edges = Crate::read(&tree, "a/src/lib.rs").unwrap().edges();
        edges.iter().map(|e| format!("{} -> {}: {}", e.from, e.to, e.name).replace("a/src/", "")).collect()
    }

    #[test]
    fn a_name_is_followed_to_the_file_that_defines_it() {
        let found = edges(&[
            ("a/src/lib.rs", "mod one; mod two; pub use two::Deep;"),
            ("a/src/one.rs", "use crate::two::{Deep, deep as far}; fn f(_: Deep) { far::g() }"),
            ("a/src/two/mod.rs", "pub mod deep; pub use deep::Deep; pub use self::deep::Deep as Other;"),
            ("a/src/two/deep.rs", "pub struct Deep; pub fn g() {}"),
        ]);
        assert_eq!(found, ["one.rs -> two/deep.rs: Deep", "one.rs -> two/deep.rs: g"]);
    }

    #[test]
    fn paths_in_code_and_in_macros_count() {
        let found = edges(&[
            ("a/src/lib.rs", "mod one; mod two; fn root() {}"),
            ("a/src/one.rs", "fn f() { crate::two::g(); println!(\"{}\", super::root()); }"),
            ("a/src/two.rs", "use super::one::*; pub fn g() { f() }"),
        ]);
        let expected = ["one.rs -> lib.rs: root", "one.rs -> two.rs: g", "two.rs -> one.rs: f"];
        assert_eq!(found, expected);
    }

    #[test]
    fn tests_other_crates_and_modules_by_themselves_do_not_count() {
        let found = edges(&[
            ("a/src/lib.rs", "mod one; mod two;"),
            (
                "a/src/one.rs",
                "use crate::two; use std::fmt; use serde::Value; fn f(_: Value, _: fmt::Error) {}",
            ),
            (
                "a/src/two.rs",
                "pub fn g() {} #[cfg(test)] mod tests { use crate::one::f; } #[test] fn t() { crate::one::f() }",
            ),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn names_that_lead_to_themselves_end() {
        let found = edges(&[
            ("a/src/lib.rs", "mod one;"),
            ("a/src/one.rs", "use self::x as y; use self::y as x; fn f() { x::g() }"),
        ]);
        assert!(found.is_empty());
    }

    #[test]
    fn a_module_without_a_file_is_named() {
        let (_folder, tree) = tree(&[("a/src/lib.rs", "mod gone;")]);
        let error = Crate::read(&tree, "a/src/lib.rs").unwrap_err();
        assert_eq!(error.to_string(), "module gone has no file in a/src");
    }
}
