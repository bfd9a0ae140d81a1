//! The pages in `docs/findings/` are those that the program's own texts make. After a change of these:
//! `RUNMINT_WRITE_PAGES=1 cargo test --test it pages`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use runmint::doctor::pages::pages;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/findings");

/// The files that are there.
fn files() -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(FOLDER).into_iter().flatten();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect()
}

#[test]
fn there_is_a_page_for_each_finding_and_for_nothing_else() {
    let wanted: BTreeMap<_, _> = pages().into_iter().collect();
    if std::env::var_os("RUNMINT_WRITE_PAGES").is_some() {
        std::fs::create_dir_all(FOLDER).unwrap();
        for name in files().keys().filter(|name| !wanted.contains_key(*name)) {
            std::fs::remove_file(Path::new(FOLDER).join(name)).unwrap();
        }
        for (name, text) in &wanted {
            std::fs::write(Path::new(FOLDER).join(name), text).unwrap();
        }
    }
    let found = files();
    let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<BTreeSet<_>>();
    let hint = "`RUNMINT_WRITE_PAGES=1 cargo test --test it pages` writes them";
    assert_eq!(names(&found), names(&wanted), "{hint}");
    for (name, text) in &wanted {
        assert_eq!(&found[name], text, "{name}: {hint}");
    }
}

#[test]
fn the_index_names_every_page() {
    let pages = pages();
    let (first, index) = &pages[0];
    assert_eq!(first, "README.md");
    for (name, text) in &pages[1..] {
        assert!(index.contains(&format!("]({name})")), "{name}");
        let title = name.trim_end_matches(".md");
        assert!(text.starts_with(&format!("# {title}\n")), "{name}");
        assert_eq!(
            text.matches('`').count() % 2,
            0,
            "{name}: a backtick is left over"
        );
    }
}
