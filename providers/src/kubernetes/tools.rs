//! Other tools that manage objects: the marks by which they know theirs, and the names they write under.

use serde_json::Value as Json;

/// A tool.
struct Tool {
    name: &'static str,
    /// Labels and annotations that it puts on what it manages.
    marks: &'static [&'static str],
    /// The field managers that it writes as.
    managers: &'static [&'static str],
}

/// What helm 3 and 4, Argo CD 3, Flux 2, kapp and kubectl write.
const TOOLS: [Tool; 5] = [
    Tool {
        name: "helm",
        marks: &["meta.helm.sh/release-name"],
        managers: &["helm"],
    },
    Tool {
        name: "argocd",
        marks: &["argocd.argoproj.io/tracking-id"],
        managers: &["argocd-controller", "argocd-application-controller"],
    },
    Tool {
        name: "flux",
        marks: &[
            "kustomize.toolkit.fluxcd.io/name",
            "helm.toolkit.fluxcd.io/name",
        ],
        managers: &["kustomize-controller", "helm-controller"],
    },
    Tool {
        name: "kapp",
        marks: &["kapp.k14s.io/app"],
        managers: &["kapp", "kapp-server-side-fieldmanager"],
    },
    Tool {
        name: "kubectl",
        // `last-applied-configuration` says how, not for whom.
        marks: &[],
        managers: &[
            "kubectl",
            "kubectl-client-side-apply",
            "kubectl-create",
            "kubectl-edit",
            "kubectl-patch",
            "before-first-apply",
        ],
    },
];

/// The mark of another tool that an object carries: `meta.helm.sh/release-name=wp`.
pub(crate) fn mark(object: &Json) -> Option<String> {
    let metadata = &object["metadata"];
    let said = |key: &&str| {
        let places = [&metadata["annotations"][*key], &metadata["labels"][*key]];
        let value = places.into_iter().find_map(Json::as_str)?;
        Some(format!("{key}={value}"))
    };
    TOOLS.iter().flat_map(|t| t.marks).find_map(said)
}

/// The tool whose mark it is.
pub(crate) fn tool(mark: &str) -> Option<&'static str> {
    let key = mark.split_once('=').map_or(mark, |(key, _)| key);
    let found = TOOLS.iter().find(|t| t.marks.contains(&key));
    found.map(|t| t.name)
}

/// Whether an object that carries a mark, or none, is taken over by a spec that takes the place of these.
/// What carries none is nobody's but that of whoever made it by hand.
pub(crate) fn takes(mark: Option<&str>, take_from: &[String]) -> bool {
    let whose = match mark {
        Some(mark) => tool(mark),
        None => Some("kubectl"),
    };
    whose.is_some_and(|tool| take_from.iter().any(|name| name == tool))
}

/// Whether a spec takes the place of a field manager: it is named, or the tool that writes under this name is.
pub(crate) fn is_taken(manager: &str, take_from: &[String]) -> bool {
    let is_of = |name: &String| {
        let tool = TOOLS.iter().find(|t| t.name == name);
        name == manager || tool.is_some_and(|t| t.managers.contains(&manager))
    };
    take_from.iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_and_managers_lead_to_tools() {
        let helm = json!({"metadata": {"annotations": {"meta.helm.sh/release-name": "wp"}}});
        let mark = mark(&helm).unwrap();
        assert_eq!(mark, "meta.helm.sh/release-name=wp");
        assert_eq!(tool(&mark), Some("helm"));
        assert_eq!(tool("zonewright.dev/owner=x"), None);
        let from = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert!(takes(Some(&mark), &from(&["helm"])));
        assert!(!takes(Some(&mark), &from(&["kubectl"])));
        assert!(!takes(Some("zonewright.dev/owner=x"), &from(&["helm"])));
        assert!(takes(None, &from(&["kubectl"])));
        assert!(!takes(None, &from(&["helm"])));
        assert!(is_taken("argocd-controller", &from(&["argocd"])));
        assert!(is_taken("somebody", &from(&["somebody"])));
        assert!(!is_taken("helm", &from(&["argocd", "kubectl"])));
    }
}
