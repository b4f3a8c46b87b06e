//! Archives that are charts, and those that pretend to be.

use std::error::Error;

use super::*;

fn chart(extra: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::from([(
        CHART_FILE.to_owned(),
        b"apiVersion: v2\nname: web\nversion: 1.2.3\n".to_vec(),
    )]);
    for (path, text) in extra {
        files.insert((*path).to_owned(), text.as_bytes().to_vec());
    }
    files
}

fn packed(files: BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    Archive::of_files(files, "web").unwrap().pack().unwrap()
}

/// An archive with one entry more than a chart has.
fn with_entry(path: &str, kind: EntryType, link: &str) -> Vec<u8> {
    let gzip = GzBuilder::new().write(Vec::new(), Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let chart = chart(&[]);
    let bytes = &chart[CHART_FILE];
    for (name, bytes) in [("web/Chart.yaml", &bytes[..]), (path, b"")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        if name == path {
            header.set_entry_type(kind);
            header.set_link_name(link).unwrap();
        }
        // The setter refuses what the test is about.
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn message(bytes: &[u8]) -> String {
    let error = Archive::read(bytes).unwrap_err();
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[test]
fn a_chart_comes_back_as_it_was_packed() {
    let files = chart(&[("templates/a.yaml", "a"), ("values.yaml", "{}")]);
    let bytes = packed(files.clone());
    let read = Archive::read(&bytes).unwrap();
    assert_eq!(
        (read.name.as_str(), read.version.as_str()),
        ("web", "1.2.3")
    );
    assert_eq!(read.files, files);
    assert_eq!(packed(files), bytes, "the same files, other bytes");
}

#[test]
fn charts_inside_are_found_however_they_are_kept() {
    let inner = chart(&[("charts/deep/Chart.yaml", "name: deep\nversion: 0.0.1\n")]);
    let mut files = chart(&[("charts/flat/Chart.yaml", "name: flat\nversion: 2.0.0\n")]);
    files.insert("charts/inner-1.2.3.tgz".to_owned(), packed(inner));
    let read = Archive::read(&packed(files)).unwrap();
    let mut found: Vec<String> = read
        .subcharts
        .iter()
        .map(|s| format!("{} {} {}", s.path, s.name, s.version))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "charts/flat flat 2.0.0",
            "charts/inner-1.2.3.tgz web 1.2.3",
            "charts/inner-1.2.3.tgz/charts/deep deep 0.0.1",
        ]
    );
}

#[test]
fn what_leaves_the_chart_is_refused() {
    let regular = EntryType::Regular;
    for (path, kind, words) in [
        ("web/../../etc/passwd", regular, "leaves the chart"),
        ("/etc/passwd", regular, "leaves the chart"),
        ("web/a\\b", regular, "leaves the chart"),
        ("web/link", EntryType::Symlink, "symbolic link"),
        ("web/link", EntryType::Link, "hard link"),
        ("web/null", EntryType::Char, "special file"),
        ("web/pipe", EntryType::Fifo, "special file"),
        ("other/a", regular, "below one directory"),
        ("alone", regular, "below one directory"),
        ("web/chart.yaml", regular, "twice"),
        ("web/Chart.yaml", regular, "twice"),
    ] {
        let text = message(&with_entry(path, kind, "/etc/passwd"));
        assert!(text.contains(words), "{path}: {text}");
    }
}

#[test]
fn what_is_no_chart_is_refused() {
    assert!(message(b"not gzip").contains("no gzip-compressed tar"));
    let mut cut = packed(chart(&[("a", "b")]));
    cut.truncate(cut.len() / 2);
    assert!(Archive::read(&cut).is_err());
    let mut files = chart(&[("values.yaml", "a: 1")]);
    files.remove(CHART_FILE);
    let text = Archive::of_files(files, "web").unwrap_err().to_string();
    assert_eq!(text, "there is no Chart.yaml in `web`");
    for (metadata, words) in [
        ("name: web\n", "version"),
        ("name: ../x\nversion: 1.0.0\n", "`name` has no usable value"),
        ("name: [", "Chart.yaml"),
    ] {
        let text = Archive::of_files(chart(&[(CHART_FILE, metadata)]), "web")
            .unwrap_err()
            .to_string();
        assert!(text.contains(words), "{text}");
    }
    let broken = chart(&[("charts/x/values.yaml", "a: 1")]);
    let error = Archive::of_files(broken, "web").unwrap_err();
    assert!(error.to_string().contains("charts/x"), "{error}");
}

#[test]
fn bombs_do_not_go_off() {
    let mut files = chart(&[]);
    files.insert("zero".to_owned(), vec![0; (MAX_UNPACKED + 1) as usize]);
    let bytes = Archive {
        name: "web".to_owned(),
        version: "1.2.3".to_owned(),
        is_library: false,
        files,
        subcharts: Vec::new(),
    }
    .pack()
    .unwrap();
    assert!((bytes.len() as u64) < MAX_FILE, "it is no bomb");
    assert!(message(&bytes).contains("64 MiB"));
    let large = vec![0; (MAX_FILE + 1) as usize];
    assert!(message(&large).contains("the limit is"));
}
