//! What the vendor sells: regions, machine sizes with prices, versions. Shortened, as of late 2026.

/// A region: slug, name, third byte of its default VPC's `10.n.0.0/16`.
pub(super) const REGIONS: [(&str, &str, u8); 11] = [
    ("ams3", "Amsterdam 3", 131),
    ("blr1", "Bangalore 1", 132),
    ("fra1", "Frankfurt 1", 133),
    ("lon1", "London 1", 134),
    ("nyc1", "New York 1", 135),
    ("nyc3", "New York 3", 136),
    ("sfo2", "San Francisco 2", 138),
    ("sfo3", "San Francisco 3", 139),
    ("sgp1", "Singapore 1", 140),
    ("syd1", "Sydney 1", 141),
    ("tor1", "Toronto 1", 142),
];

/// A machine size.
pub(super) struct Size {
    pub(super) slug: &'static str,
    pub(super) description: &'static str,
    pub(super) vcpus: u32,
    pub(super) memory: u32,
    pub(super) disk: u32,
    pub(super) transfer: u32,
    pub(super) price_monthly: u32,
}

const fn size(
    slug: &'static str,
    description: &'static str,
    [vcpus, memory, disk, transfer, price_monthly]: [u32; 5],
) -> Size {
    Size {
        slug,
        description,
        vcpus,
        memory,
        disk,
        transfer,
        price_monthly,
    }
}

/// Machine sizes, from small to large.
pub(super) const SIZES: [Size; 14] = [
    size("s-1vcpu-1gb", "Basic", [1, 1024, 25, 1, 6]),
    size("s-1vcpu-2gb", "Basic", [1, 2048, 50, 2, 12]),
    size("s-2vcpu-2gb", "Basic", [2, 2048, 60, 3, 18]),
    size("s-2vcpu-4gb", "Basic", [2, 4096, 80, 4, 24]),
    size("s-4vcpu-8gb", "Basic", [4, 8192, 160, 5, 48]),
    size("s-8vcpu-16gb", "Basic", [8, 16384, 320, 6, 96]),
    size("c-2", "CPU-Optimized", [2, 4096, 25, 4, 42]),
    size("c-4", "CPU-Optimized", [4, 8192, 50, 5, 84]),
    size("g-2vcpu-8gb", "General Purpose", [2, 8192, 25, 4, 63]),
    size("g-4vcpu-16gb", "General Purpose", [4, 16384, 50, 5, 126]),
    size(
        "gd-2vcpu-8gb",
        "General Purpose — 2x SSD",
        [2, 8192, 50, 4, 68],
    ),
    size("m-2vcpu-16gb", "Memory-Optimized", [2, 16384, 50, 4, 84]),
    size("m-4vcpu-32gb", "Memory-Optimized", [4, 32768, 100, 6, 168]),
    size(
        "so-2vcpu-16gb",
        "Storage-Optimized",
        [2, 16384, 300, 4, 131],
    ),
];

/// A database size: slug, default storage in MiB. From small to large: a replica or a restored
/// cluster takes its source's size or a later one.
pub(super) const DATABASE_SIZES: [(&str, u64); 8] = [
    ("db-s-1vcpu-1gb", 10_240),
    ("db-s-1vcpu-2gb", 30_720),
    ("db-s-2vcpu-4gb", 61_440),
    ("gd-2vcpu-8gb", 61_440),
    ("db-s-4vcpu-8gb", 143_360),
    ("gd-4vcpu-16gb", 143_360),
    ("db-s-6vcpu-16gb", 296_960),
    ("db-s-8vcpu-32gb", 593_920),
];

/// The price of one node of a database a month, in dollars, where it is known.
pub(super) fn database_price(slug: &str) -> Option<f64> {
    Some(match slug {
        "db-s-1vcpu-1gb" => 15.15,
        "db-s-1vcpu-2gb" => 30.45,
        "db-s-2vcpu-4gb" => 60.90,
        _ => return None,
    })
}

/// A highly available control plane, a month.
pub(super) const HIGHLY_AVAILABLE: f64 = 40.0;
/// One node of a load balancer, a month.
pub(super) const LOAD_BALANCER: f64 = 12.0;
/// The object storage of an account that has a bucket, a month.
pub(super) const SPACES: f64 = 5.0;

/// Kubernetes versions, newest first.
pub(super) const KUBERNETES: [&str; 8] = [
    "1.36.1-do.0",
    "1.36.0-do.1",
    "1.35.2-do.1",
    "1.35.1-do.0",
    "1.34.1-do.3",
    "1.34.1-do.0",
    "1.33.4-do.0",
    "1.33.1-do.3",
];

/// MySQL versions that can be created.
pub(super) const MYSQL: [&str; 2] = ["8", "8.4"];

/// The newest creatable version that a slug, a minor (`1.34`) or `latest` names.
pub(super) fn resolve_version(wanted: &str, withdrawn: &[String]) -> Option<&'static str> {
    offered(withdrawn).find(|slug| {
        wanted == "latest"
            || *slug == wanted
            || slug
                .strip_prefix(wanted)
                .is_some_and(|rest| rest.starts_with('.') && wanted.contains('.'))
    })
}

/// The creatable versions, newest first.
pub(super) fn offered(withdrawn: &[String]) -> impl Iterator<Item = &'static str> {
    KUBERNETES
        .into_iter()
        .filter(move |slug| !withdrawn.iter().any(|gone| gone == slug))
}

/// Major, minor, patch and the vendor's own number, for comparing.
pub(super) fn version_parts(slug: &str) -> [u32; 4] {
    let mut parts = [0; 4];
    let numbers = slug.split(['.', '-']).filter_map(|p| p.parse().ok());
    for (part, number) in parts.iter_mut().zip(numbers) {
        *part = number;
    }
    parts
}

pub(super) fn is_region(slug: &str) -> bool {
    REGIONS.iter().any(|(known, ..)| *known == slug)
}

pub(super) fn is_size(slug: &str) -> bool {
    SIZES.iter().any(|size| size.slug == slug)
}

/// The place of a database size in the order of sizes.
pub(super) fn database_rank(slug: &str) -> Option<usize> {
    DATABASE_SIZES.iter().position(|(known, _)| *known == slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_resolve_to_the_newest_that_is_offered() {
        assert_eq!(resolve_version("latest", &[]), Some("1.36.1-do.0"));
        assert_eq!(resolve_version("1.34", &[]), Some("1.34.1-do.3"));
        assert_eq!(resolve_version("1.33.1-do.3", &[]), Some("1.33.1-do.3"));
        assert_eq!(resolve_version("1.3", &[]), None);
        assert_eq!(resolve_version("1", &[]), None);
        let withdrawn = ["1.34.1-do.3".to_owned()];
        assert_eq!(resolve_version("1.34", &withdrawn), Some("1.34.1-do.0"));
        let mut sorted = KUBERNETES;
        sorted.sort_by_key(|slug| std::cmp::Reverse(version_parts(slug)));
        assert_eq!(sorted, KUBERNETES);
    }
}
