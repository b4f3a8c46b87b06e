//! DigitalOcean's names for what it offers. What is known is a table of their OpenAPI document; more may
//! exist.

use zonewright_engine::schema::Names;

mod table;

/// Regions.
pub(super) static REGION: Names = Names {
    what: "region",
    fits: is_region,
    example: "sfo3",
    known: table::REGIONS,
    rank: |_| None,
};

/// Sizes of worker nodes.
pub(super) static MACHINE: Names = Names {
    what: "size of machines",
    fits: is_size,
    example: "s-2vcpu-4gb",
    known: table::MACHINES,
    rank: size,
};

/// Sizes of the nodes of managed MySQL.
pub(super) static DATABASE: Names = Names {
    what: "size of databases",
    fits: is_database_size,
    example: "db-s-1vcpu-1gb",
    known: table::DATABASES,
    rank: size,
};

/// Versions of MySQL; `8.4` is a version, and newer than what the document's example shows.
pub(super) static MYSQL: Names = Names {
    what: "version of MySQL",
    fits: is_dotted,
    example: "8",
    known: table::MYSQL,
    rank: |_| None,
};

/// Versions of Kubernetes come and go by the week, so nothing keeps a list of them.
pub(super) static KUBERNETES: Names = Names {
    what: "version of Kubernetes",
    fits: is_kubernetes,
    example: "1.34",
    known: &[],
    rank: |_| None,
};

/// `sfo3`; also in capitals, which the vendor takes.
fn is_region(text: &str) -> bool {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    letters == 3 && text.len() > 3 && text.bytes().skip(3).all(|b| b.is_ascii_digit())
}

/// Lower case words and numbers with dashes, at least two.
fn is_size(text: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
    };
    text.contains('-') && text.split('-').all(word)
}

/// A database has memory, and its size says how much.
fn is_database_size(text: &str) -> bool {
    is_size(text) && size(text).is_some()
}

fn is_dotted(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.split('.').count() <= 3 && text.split('.').all(number)
}

/// `latest`, `1.34`, `1.34.1` or `1.34.1-do.2`.
fn is_kubernetes(text: &str) -> bool {
    let (version, build) = match text.split_once("-do.") {
        Some((version, build)) => (version, Some(build)),
        None => (text, None),
    };
    let parts = version.split('.').count();
    let exact = build.is_none_or(|b| parts == 3 && is_dotted(b) && !b.contains('.'));
    text == "latest" || is_dotted(version) && parts >= 2 && exact
}

/// Memory in GB and processors: `db-s-2vcpu-4gb` is 4 and 2.
fn size(text: &str) -> Option<Vec<u64>> {
    let figure = |unit: &str| {
        let mut parts = text.split('-');
        parts.find_map(|part| part.strip_suffix(unit)?.parse::<u64>().ok())
    };
    Some(vec![figure("gb")?, figure("vcpu")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_fits() {
        for names in [&REGION, &MACHINE, &DATABASE, &MYSQL] {
            assert!((names.fits)(names.example), "{}", names.what);
            for name in names.known {
                assert!((names.fits)(name), "{name}");
            }
        }
        assert!(
            table::REGIONS.len() > 10 && table::MACHINES.len() > 50 && table::DATABASES.len() > 20
        );
    }

    #[test]
    fn what_cannot_be_a_name_does_not_fit() {
        for (names, bad) in [
            (&REGION, ["us-east-1", "sfo", "sfo3a"]),
            (&MACHINE, ["large", "s 2", "-2vcpu"]),
            (&DATABASE, ["db-large", "db", "1gb"]),
            (&MYSQL, ["eight", "8.", "8.0.35.1"]),
            (&KUBERNETES, ["1", "v1.34", "1.34-do.1"]),
        ] {
            for text in bad {
                assert!(!(names.fits)(text), "{text}");
            }
        }
        for text in ["latest", "1.34", "1.34.1", "1.34.1-do.2"] {
            assert!((KUBERNETES.fits)(text), "{text}");
        }
    }

    #[test]
    fn a_size_is_less_when_it_has_less_of_one_and_not_more_of_the_other() {
        let less = |a: &str, b: &str| DATABASE.is_less(a, b);
        assert!(less("db-s-1vcpu-1gb", "db-s-1vcpu-2gb"));
        assert!(less("db-s-2vcpu-4gb", "gd-4vcpu-16gb"));
        assert!(!less("db-s-2vcpu-4gb", "db-intel-2vcpu-4gb"));
        assert!(
            !less("db-s-6vcpu-16gb", "so1_5-2vcpu-16gb")
                || !less("so1_5-2vcpu-16gb", "db-s-6vcpu-16gb")
        );
        assert!(
            !less("so1_5-2vcpu-16gb", "db-s-4vcpu-8gb"),
            "more memory, fewer processors"
        );
        assert!(
            !less("c-2", "db-s-1vcpu-1gb"),
            "one without figures is not judged"
        );
    }
}
