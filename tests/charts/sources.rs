//! Repositories and registries on loopback, and what they do wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use zonewright_engine::canon::Digest;
use zonewright_tests::served::{Asked, Reply, Served};

use crate::lab::{CONFIG, Lab};

/// A table whose source is filled in once the server's address is known.
fn table(source: &str, version: &str) -> String {
    format!(
        "[kubernetes.chart.web]\n{source}\nversion = \"{version}\"\nnamespace = \"app\"\nvalues = {{ zone = \"${{zone.name}}\" }}\n"
    )
}

/// A project with an archive of the chart, not declared yet.
fn packed(version: &str) -> Option<(Lab, Vec<u8>)> {
    let lab = Lab::new("")?;
    lab.chart("elsewhere", "web", version, &[("config.yaml", CONFIG)]);
    let bytes = lab.packed("elsewhere");
    std::fs::remove_dir_all(lab.env.path().join("elsewhere")).unwrap();
    Some((lab, bytes))
}

fn declare(lab: &Lab, source: &str, version: &str) {
    let text = lab.read("zones/pz.toml");
    let before = text.split("[kubernetes.chart.web]").next().unwrap();
    lab.env.write(
        "zones/pz.toml",
        &format!("{before}{}", table(source, version)),
    );
}

fn index(bytes: &[u8], versions: &[&str]) -> String {
    let digest = Digest::of(bytes).hex();
    let mut out = "apiVersion: v1\nentries:\n  other: []\n  web:\n".to_owned();
    for version in versions {
        out.push_str(&format!("    - name: web\n      version: {version}\n      digest: {digest}\n      urls: [\"files/web-{version}.tgz\"]\n"));
    }
    out
}

/// `lock` of a chart from there ends with these words.
fn refused(lab: &Lab, source: &str, version: &str, words: &[&str]) {
    declare(lab, source, version);
    let output = lab.charts(1, &["lock"]);
    for words in words {
        assert!(output.stderr.contains(words), "{words}: {}", output.text());
    }
}

#[test]
fn a_repository_is_asked_once() {
    let Some((lab, bytes)) = packed("1.2.0") else {
        return;
    };
    let text = index(&bytes, &["1.2.0", "1.1.0", "0.9.0"]);
    let archive = bytes.clone();
    let server = Served::new(move |_, asked: &Asked| match asked.path.as_str() {
        "/charts/index.yaml" => Reply::new(200, text.clone()),
        // As release pages do: the bytes are somewhere else.
        "/charts/files/web-1.2.0.tgz" => Reply::new(302, "").header("location", "/blobs/1"),
        "/blobs/1" => Reply::new(200, archive.clone()),
        _ => Reply::new(404, ""),
    });
    let source = format!(
        "chart = \"web\"\nrepository = \"{}/charts\"",
        server.origin()
    );
    declare(&lab, &source, "v1.2.0");
    lab.charts(0, &["lock"]);
    assert_eq!(server.asked().len(), 3);
    assert_eq!(
        std::fs::read(lab.env.path().join("charts/web.tgz")).unwrap(),
        bytes
    );
    let lock = lab.read("charts.lock");
    assert!(
        lock.contains(&format!("digest = \"{}\"", Digest::of(&bytes))),
        "{lock}"
    );
    lab.charts(0, &["lock"]);
    lab.charts(0, &["lock", "--check"]);
    lab.charts(0, &["render", "web"]);
    lab.env.expect(0, &["plan"]);
    assert_eq!(
        server.asked().len(),
        3,
        "what is vendored was asked for again"
    );
    lab.charts(0, &["lock", "--update"]);
    assert_eq!(server.asked().len(), 6);

    // What the repository does not have is named, with what is near it; nothing is written.
    let before = lab.vendored();
    let near = "near it there are 1.2.0, 1.1.0, 0.9.0";
    refused(
        &lab,
        &source,
        "1.1.5",
        &["ZW4030", "no version 1.1.5 of `web`", near],
    );
    let misspelt = source.replace("\"web\"", "\"wob\"");
    refused(&lab, &misspelt, "1.2.0", &["has no chart `wob`"]);
    refused(&lab, &source, "0.9.0", &["404"]);
    refused(
        &lab,
        "chart = \"web\"",
        "1.2.0",
        &["nothing says where `web` is from"],
    );
    declare(&lab, &source, "1.2.0");
    let origin = server.origin().to_owned();
    drop(server);
    lab.charts(0, &["lock"]);
    let silent = format!("{} cannot be read", origin.trim_start_matches("http://"));
    refused(
        &lab,
        &source,
        "1.3.0",
        &[&silent, "what is vendored already is used"],
    );
    assert!(lab.vendored() == before, "something was written");
}

/// A diff against another version gets that version, and writes nothing.
#[test]
fn a_newer_version_is_looked_at_before_it_is_locked() {
    let Some((lab, bytes)) = packed("1.0.0") else {
        return;
    };
    let template = CONFIG.replace("zone:", "place:");
    lab.chart("elsewhere", "web", "1.1.0", &[("config.yaml", &template)]);
    let newer = lab.packed("elsewhere");
    let text = format!(
        "{}{}",
        index(&bytes, &["1.0.0"]),
        index(&newer, &["1.1.0"]).split("  web:\n").nth(1).unwrap()
    );
    let server = Served::new(move |_, asked: &Asked| match asked.path.as_str() {
        "/index.yaml" => Reply::new(200, text.clone()),
        "/files/web-1.0.0.tgz" => Reply::new(200, bytes.clone()),
        "/files/web-1.1.0.tgz" => Reply::new(200, newer.clone()),
        _ => Reply::new(404, ""),
    });
    let source = format!("chart = \"web\"\nrepository = \"{}\"", server.origin());
    declare(&lab, &source, "1.0.0");
    lab.charts(0, &["lock"]);
    let before = lab.vendored();
    let diff = lab.charts(2, &["diff", "web", "web@1.1.0"]);
    for words in [
        "~ core/ConfigMap/-/web",
        "data.version: \"1.0.0\" -> \"1.1.0\"",
        "data.place: (unset) -> \"",
        "data.zone: \"",
        "1 object differ",
    ] {
        assert!(diff.stdout.contains(words), "{words}: {}", diff.text());
    }
    let json = lab
        .charts(2, &["diff", "web", "web@1.1.0", "--format", "json"])
        .json();
    assert_eq!(json["objects"][0]["change"], "changed");
    lab.charts(0, &["diff", "web", "web@1.0.0"]);
    assert!(lab.vendored() == before);
}

#[test]
fn an_archive_that_is_not_what_the_index_says_is_refused() {
    let Some((lab, bytes)) = packed("1.2.0") else {
        return;
    };
    let text = index(b"something else", &["1.2.0"]);
    let server = Served::new(move |_, asked: &Asked| match asked.path.as_str() {
        "/index.yaml" => Reply::new(200, text.clone()),
        _ => Reply::new(200, bytes.clone()),
    });
    let source = format!("chart = \"web\"\nrepository = \"{}\"", server.origin());
    declare(&lab, &source, "1.2.0");
    let refused = lab.charts(1, &["lock"]);
    assert!(
        refused.stderr.contains("is not what the index promises"),
        "{}",
        refused.text()
    );
    assert!(!lab.has("charts"));
    declare(
        &lab,
        "chart = \"web\"\nrepository = \"http://charts.example.org\"",
        "1.2.0",
    );
    let refused = lab.charts(1, &["lock"]);
    assert!(
        refused.stderr.contains("is not HTTPS"),
        "{}",
        refused.text()
    );
}

/// A registry with one chart that wants a token first, as public ones do; what it gives while it is spoilt
/// is another archive. Its manifest's digest comes with it.
fn registry(bytes: Vec<u8>, spoilt: Arc<AtomicBool>) -> (Served, Digest) {
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": Digest::of(b"{}"), "size": 2 },
        "layers": [{
            "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "digest": Digest::of(&bytes),
            "size": bytes.len(),
        }],
    })
    .to_string();
    let digest = Digest::of(manifest.as_bytes());
    let server = Served::new(move |origin, asked: &Asked| {
        let path = asked.path.as_str();
        if path.starts_with("/token?") {
            return Reply::new(200, "{\"token\":\"for-reading\"}");
        }
        if asked.header("authorization") != Some("Bearer for-reading") {
            let challenge = format!(
                "Bearer realm=\"{origin}/token\",service=\"lab\",scope=\"repository:lab/web:pull\""
            );
            return Reply::new(401, "").header("www-authenticate", &challenge);
        }
        match path.strip_prefix("/v2/lab/").unwrap_or_default() {
            "web/manifests/1.2.0" => Reply::new(200, manifest.clone()),
            rest if rest == format!("web/manifests/{digest}") => Reply::new(200, manifest.clone()),
            rest if rest.starts_with("web/blobs/") => match spoilt.load(Ordering::SeqCst) {
                true => Reply::new(200, "another archive"),
                false => Reply::new(200, bytes.clone()),
            },
            "web/tags/list" => Reply::new(200, "{\"tags\":[\"1.1.0\",\"1.2.0\"]}"),
            rest if rest.starts_with("image/") => Reply::new(200, "{\"layers\":[]}"),
            _ => Reply::new(404, ""),
        }
    });
    (server, digest)
}

/// The manifest and the layer are both pinned by digest.
#[test]
fn a_registry_is_read_by_its_manifest() {
    let Some((lab, bytes)) = packed("1.2.0") else {
        return;
    };
    let spoilt = Arc::new(AtomicBool::new(false));
    let (server, digest) = registry(bytes, Arc::clone(&spoilt));
    let host = server.origin().trim_start_matches("http://").to_owned();
    let web = format!("chart = \"oci://{host}/lab/web\"");
    declare(&lab, &web, "1.2.0");
    lab.charts(0, &["lock"]);
    let lock = lab.read("charts.lock");
    assert!(lock.contains(&format!("manifest = \"{digest}\"")), "{lock}");
    assert!(!lock.contains("for-reading"));
    let asked = server.asked().len();
    lab.charts(0, &["lock", "--check"]);
    lab.charts(0, &["lock"]);
    assert_eq!(server.asked().len(), asked);
    lab.env.expect(0, &["apply", "--auto-approve"]);
    lab.env.assert_settled();

    let before = lab.vendored();
    spoilt.store(true, Ordering::SeqCst);
    let output = lab.charts(1, &["lock", "--update"]);
    let words = "gives another archive than the manifest says";
    assert!(output.stderr.contains(words), "{}", output.text());
    spoilt.store(false, Ordering::SeqCst);
    refused(&lab, &web, "1.3.0", &["near it there are 1.2.0, 1.1.0"]);
    let image = web.replace("lab/web", "lab/image");
    refused(&lab, &image, "1.2.0", &["it may be an image"]);
    let at = |digest: Digest| web.replace("lab/web", &format!("lab/web@{digest}"));
    refused(&lab, &at(Digest::of(b"x")), "1.2.0", &["ZW4030"]);
    assert!(lab.vendored() == before, "something was written");
    declare(&lab, &at(digest), "1.2.0");
    lab.charts(0, &["lock"]);
}

/// Archives that are no charts, or more than that: refused before anything is written.
#[test]
fn an_archive_that_is_no_chart_is_refused() {
    let Some(lab) = Lab::new(&Lab::web("vendor/web.tgz")) else {
        return;
    };
    lab.chart("made/web", "web", "1.0.0", &[("config.yaml", CONFIG)]);
    std::os::unix::fs::symlink(
        "/etc/passwd",
        lab.env.path().join("made/web/templates/link"),
    )
    .unwrap();
    std::fs::create_dir_all(lab.env.path().join("vendor")).unwrap();
    let pack = |args: &[&str]| {
        let status = std::process::Command::new("tar")
            .args(["-czf", "vendor/web.tgz"])
            .args(args)
            .current_dir(lab.env.path())
            .status();
        assert!(status.unwrap().success());
        let refused = lab.charts(1, &["lock"]);
        assert!(refused.stderr.contains("ZW4031"), "{}", refused.text());
        assert!(!lab.has("charts"), "something was written");
        refused.stderr
    };
    let said = pack(&["-C", "made", "web"]);
    assert!(said.contains("symbolic link"), "{said}");
    std::fs::remove_file(lab.env.path().join("made/web/templates/link")).unwrap();
    let said = pack(&[
        "-P",
        "--transform",
        "s,web/templates,web/../..,",
        "-C",
        "made",
        "web",
    ]);
    assert!(said.contains("leaves the chart's directory"), "{said}");
    let said = pack(&["-C", "made", "web/templates"]);
    assert!(said.contains("there is no Chart.yaml"), "{said}");
    lab.env.write("vendor/web.tgz", "not an archive");
    let refused = lab.charts(1, &["lock"]);
    assert!(
        refused.stderr.contains("no gzip-compressed tar archive"),
        "{}",
        refused.text()
    );
    lab.env
        .edit("zones/pz.toml", "vendor/web.tgz", "vendor/none.tgz");
    let refused = lab.charts(1, &["lock"]);
    assert!(
        refused.stderr.contains("`vendor/none.tgz` cannot be read"),
        "{}",
        refused.text()
    );
    lab.env
        .edit("zones/pz.toml", "vendor/none.tgz", "./../../etc");
    let refused = lab.charts(1, &["lock"]);
    assert!(
        refused.stderr.contains("leaves the project"),
        "{}",
        refused.text()
    );
}
