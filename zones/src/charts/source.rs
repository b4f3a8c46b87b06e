//! Where a chart is from.

/// A reference to a chart, by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// A repository of an OCI registry, without `oci://`, tag and digest.
    Oci(&'a str),
    /// A name in the index of a repository.
    Repository {
        /// The repository's address.
        url: &'a str,
        /// The name.
        name: &'a str,
    },
    /// The address of an archive.
    Url(&'a str),
    /// An archive in the project.
    Archive(&'a str),
    /// A directory in the project.
    Directory(&'a str),
    /// A name, and nothing says where it is looked up.
    Nowhere(&'a str),
}

impl<'a> Source<'a> {
    /// The source that a chart's `chart` and `repository` mean.
    pub fn of(chart: &'a str, repository: Option<&'a str>) -> Source<'a> {
        let is_url = |text: &str| text.starts_with("https://") || text.starts_with("http://");
        if let Some(rest) = chart.strip_prefix("oci://") {
            Source::Oci(rest.trim_end_matches('/'))
        } else if is_url(chart) {
            Source::Url(chart)
        } else if chart.ends_with(".tgz") || chart.ends_with(".tar.gz") {
            Source::Archive(chart)
        } else if chart.starts_with("./") {
            Source::Directory(chart)
        } else if let Some(url) = repository {
            Source::Repository { url, name: chart }
        } else {
            Source::Nowhere(chart)
        }
    }

    /// Whether it has versions to choose from.
    pub fn is_versioned(&self) -> bool {
        matches!(self, Source::Oci(_) | Source::Repository { .. })
    }
}
