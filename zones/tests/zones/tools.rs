//! What stands around loading: formatting, schema, reference, explanations, files on disk.

use serde_json::{Value as Json, json};
use zonewright_zones::{
    DiskFiles, FileError, Files, Rendered, codes, explain, fmt, json_schema, reference_markdown,
};

use crate::fixture::{files, load_text};
use crate::registry::registry;

#[test]
fn formatting() {
    let text = "\n\n# top\na=1   # one\n   b  =  [1,2 ,3]\n\n\n\nc={x=1,y = {z=2}}\n[x.y]\n  # inside\n  k='v'\n\
        long = [\n  1, # first\n  2,\n]\n\n\n\n# before\n[ z ]\nd.e = 1\n[[l]]\nq=1\n# end  \n\n";
    let expected = "# top\na = 1 # one\nb = [1, 2, 3]\n\nc = { x = 1, y = { z = 2 } }\n\n[x.y]\n# inside\nk = 'v'\n\
        long = [\n  1, # first\n  2,\n]\n\n# before\n[z]\nd.e = 1\n\n[[l]]\nq = 1\n# end\n";
    assert_eq!(fmt(text).unwrap(), expected);
    assert_eq!(fmt("").unwrap(), "");
    assert_eq!(fmt("a = ").unwrap_err().code.id(), "ZW1001");
}

fn toml_as_json(text: &str) -> Json {
    toml_edit_json(text.parse::<toml::Table>().unwrap())
}

fn toml_edit_json(table: toml::Table) -> Json {
    serde_json::to_value(table).unwrap()
}

#[test]
fn the_schema_fits_the_example_and_refuses_mistakes() {
    let schema = json_schema(&registry());
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let project = include_str!("../cases/wordpress.txt")
        .split_once("//= out")
        .unwrap()
        .0;
    for (path, text) in files(project).0 {
        if path.ends_with(".toml") {
            let mut json = toml_as_json(&text);
            if path == "zones/bz.toml" {
                json["database"]["date"] = json!("2026-11-01");
            }
            let found: Vec<String> = validator
                .iter_errors(&json)
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            assert_eq!(found, Vec::<String>::new(), "in {path}");
        }
    }
    let fits = |text: &str| validator.is_valid(&toml_as_json(text));
    assert!(fits("[cloudflare.dns_record.a]\nttl = \"${zone.ttl}\""));
    assert!(!fits("[cloudflare.dns_record.a]\nttl = \"soon\""));
    assert!(!fits("[cloudflare.dns_record.a]\nttll = 1"));
    assert!(!fits("[cloudflar]"));
}

/// What loading says of `[database]`, the schema says too, as far as one file can tell.
#[test]
fn the_schema_knows_the_database_decision() {
    let schema = json_schema(&registry());
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let fits = |case: &str| {
        let project = case.split_once("//= out").unwrap().0;
        let text = &files(project).0["zones/bz.toml"];
        validator.is_valid(&toml_as_json(text))
    };
    let good = [
        include_str!("../cases/database_restore.txt"),
        include_str!("../cases/database_restore_defaults.txt"),
        // These need more than the file, or than a schema can say.
        include_str!("../cases/database_restore_source_missing.txt"),
        include_str!("../cases/database_post_restore_twice.txt"),
    ];
    for case in good {
        assert!(fits(case), "{case}");
    }
    let bad = [
        include_str!("../cases/database_decision_not_whole.txt"),
        include_str!("../cases/database_decision_types.txt"),
        include_str!("../cases/database_restore_mistakes.txt"),
        include_str!("../cases/database_post_restore_mistakes.txt"),
        include_str!("../cases/database_post_restore_is_a_list.txt"),
    ];
    for case in bad {
        assert!(!fits(case), "{case}");
    }
    let step = |rest: &str| {
        let text = format!("[[database.post_restore]]\nname = \"a\"\n{rest}");
        validator.is_valid(&toml_as_json(&text))
    };
    assert!(step("check = \"c\"\nsql = \"s\""));
    assert!(step("check = \"c\"\njob = \"j.yaml\""));
    assert!(!step("check = \"c\"\nsql = \"s\"\njob = \"j.yaml\""));
    assert!(!step("check = \"c\""));
    assert!(!step("sql = \"s\""));
}

#[test]
fn the_reference_names_every_attribute_and_output() {
    let text = reference_markdown(&registry());
    for kind in registry().kinds() {
        assert!(text.contains(&format!("### `{}`", kind.kind)));
        for name in kind
            .attrs
            .iter()
            .map(|a| a.name)
            .chain(kind.outputs.iter().map(|o| o.name))
        {
            assert!(text.contains(&format!("| `{name}` |")), "{name}");
        }
    }
    assert!(text.contains("| `node_pool.min` | integer | yes | in place | Fewest nodes. |"));
}

#[test]
fn every_code_has_its_own_id_and_a_page() {
    let mut ids: Vec<&str> = codes().map(|c| c.id()).collect();
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), codes().count());
    assert!(codes().all(|c| c.page().len() > 60));
    assert_eq!(
        explain("zw1502"),
        codes().find(|c| c.id() == "ZW1502").map(|c| c.page())
    );
    assert_eq!(explain("ZW9999"), None);
}

#[test]
fn the_record_of_a_diagnostic() {
    let loaded = load_text("//- zones/pz.toml\n[zone]\nü = 1\n[digitalocean.vpcs.main]\n");
    let record = serde_json::to_value(loaded.diagnostics[0].to_json()).unwrap();
    let place = &record["places"][0];
    assert_eq!(record["code"], "ZW1001");
    assert_eq!(record["severity"], "error");
    assert_eq!(place["file"], "zones/pz.toml");
    assert_eq!(place["start"]["line"], 2);
    let last = loaded.diagnostics.last().unwrap().to_json();
    assert_eq!(last.code, "ZW1202");
    assert_eq!(
        (last.places[0].start.line, last.places[0].start.column),
        (3, 15)
    );
    assert_eq!(last.places[0].snippet, "[digitalocean.vpcs.main]");
}

#[test]
fn facts_and_charts_are_there_in_spite_of_mistakes() {
    let loaded = load_text(
        "//- zonewright.toml\n[project]\nname = \"wp\"\nzones = [\"pz\"]\nactive = \"qz\"\n\
         [state]\ndir = \"st\"\ndigest_key = { env = \"KEY\" }\n[objectives]\nrto = \"30m\"\n\
         //- zones/pz.toml\n[kubernetes.chart.a]\nchart = \"oci://x\"\nversion = \"1\"\nnamespace = \"web\"\nvalues = { a = \"${zone.name}\" }\n",
    );
    assert!(loaded.config.is_none());
    let dir = zonewright_zones::Backend::File {
        dir: "st".to_owned(),
    };
    assert_eq!(loaded.facts.state.backend, dir);
    assert_eq!(loaded.facts.objectives.rto.map(|d| d.as_secs()), Some(1800));
    let chart = &loaded.charts[0];
    assert_eq!(
        (chart.rendered, &chart.values),
        (Rendered::Not, &json!({ "a": "pz" }))
    );
}

#[test]
fn files_on_disk_stay_in_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("project");
    std::fs::create_dir_all(root.join("zones")).unwrap();
    std::fs::write(root.join("zones/pz.toml"), "x").unwrap();
    std::fs::write(dir.path().join("secret"), "s").unwrap();
    let files = DiskFiles::new(&root);
    assert_eq!(files.read("zones/../zones/pz.toml").unwrap(), b"x");
    assert_eq!(files.list("zones").unwrap(), ["pz.toml"]);
    for path in ["../secret", "/etc/passwd", "zones/../../secret"] {
        assert!(
            matches!(files.read(path), Err(FileError::OutsideRoot)),
            "{path}"
        );
    }
    assert!(matches!(files.read("none"), Err(FileError::NotFound)));
    assert!(matches!(files.read("zones"), Err(FileError::NotAFile)));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.path().join("secret"), root.join("link")).unwrap();
        std::os::unix::fs::symlink("pz.toml", root.join("zones/own")).unwrap();
        assert!(matches!(files.read("link"), Err(FileError::OutsideRoot)));
        assert_eq!(files.read("zones/own").unwrap(), b"x");
    }
}
