//! What an object is to the API: names of kinds, and where their collections are.
//!
//! The table of built-in kinds makes refreshing and writing them possible without discovery, even
//! for a cluster that is not there yet. Custom kinds come from discovery.

use std::fmt;

use zonewright_engine::address::Address;
use zonewright_engine::value::Value;

/// Where the objects of a kind live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    /// API group, empty for the core.
    pub(crate) group: String,
    /// Version to speak.
    pub(crate) version: String,
    /// Kind.
    pub(crate) kind: String,
    /// Name of the collection.
    pub(crate) plural: String,
    /// Whether objects are in a namespace.
    pub(crate) namespaced: bool,
}

impl Resource {
    /// The collection's path: of one namespace, or of all.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        let root = match self.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        match namespace {
            Some(namespace) if self.namespaced => {
                format!("{root}/namespaces/{namespace}/{}", self.plural)
            }
            _ => format!("{root}/{}", self.plural),
        }
    }

    /// The path of one object.
    pub(crate) fn object(&self, namespace: Option<&str>, name: &str) -> String {
        let namespace = self.namespaced.then(|| namespace.unwrap_or("default"));
        format!("{}/{name}", self.collection(namespace))
    }

    /// The `apiVersion` of its objects.
    pub(crate) fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }
}

/// The name of one object in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    /// API group, empty for the core.
    pub(crate) group: String,
    /// Version that was asked for.
    pub(crate) version: Option<String>,
    /// Kind.
    pub(crate) kind: String,
    /// Namespace, if one is named.
    pub(crate) namespace: Option<String>,
    /// Name.
    pub(crate) name: String,
}

impl Identity {
    /// Reads an object's name from the object, or else from the key of its address.
    pub(crate) fn of(object: Option<&Value>, address: &Address) -> Option<Identity> {
        object
            .and_then(Identity::of_object)
            .or_else(|| Identity::of_key(address.key.as_deref()?))
    }

    /// Reads an object's name.
    pub(crate) fn of_object(object: &Value) -> Option<Identity> {
        let api = object.get("apiVersion")?.as_str()?;
        let (group, version) = api.rsplit_once('/').unwrap_or(("", api));
        let metadata = object.get("metadata")?;
        let namespace = metadata.get("namespace").and_then(Value::as_str);
        Some(Identity {
            group: group.to_owned(),
            version: Some(version.to_owned()),
            kind: object.get("kind")?.as_str()?.to_owned(),
            namespace: namespace.filter(|n| !n.is_empty()).map(str::to_owned),
            name: metadata.get("name")?.as_str()?.to_owned(),
        })
    }

    /// Reads `<group or core>/<Kind>/<namespace or ->/<name>`.
    fn of_key(key: &str) -> Option<Identity> {
        let mut parts = key.splitn(4, '/');
        let (group, kind, namespace, name) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Identity {
            group: if group == "core" { "" } else { group }.to_owned(),
            version: None,
            kind: kind.to_owned(),
            namespace: (namespace != "-").then(|| namespace.to_owned()),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// A built-in kind, in the version asked for or else in the usual one.
pub(crate) fn built_in(group: &str, kind: &str, version: Option<&str>) -> Option<Resource> {
    let row = BUILT_IN.iter().find(|r| r.0 == group && r.2 == kind)?;
    Some(Resource {
        group: group.to_owned(),
        version: version.unwrap_or(row.1).to_owned(),
        kind: kind.to_owned(),
        plural: row.3.to_owned(),
        namespaced: row.4,
    })
}

/// Every kind that clusters serve without a definition.
pub(crate) fn all_built_in() -> Vec<Resource> {
    let all = BUILT_IN.iter();
    all.filter_map(|r| built_in(r.0, r.2, None)).collect()
}

/// Whether a group is one that every cluster serves.
pub(crate) fn is_built_in_group(group: &str) -> bool {
    BUILT_IN.iter().any(|r| r.0 == group)
}

/// Group, version, kind, plural, namespaced.
type Row = (&'static str, &'static str, &'static str, &'static str, bool);

#[rustfmt::skip]
const BUILT_IN: &[Row] = &[
    ("", "v1", "ConfigMap", "configmaps", true),
    ("", "v1", "Endpoints", "endpoints", true),
    ("", "v1", "Event", "events", true),
    ("", "v1", "LimitRange", "limitranges", true),
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "Node", "nodes", false),
    ("", "v1", "PersistentVolume", "persistentvolumes", false),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("", "v1", "Pod", "pods", true),
    ("", "v1", "PodTemplate", "podtemplates", true),
    ("", "v1", "ReplicationController", "replicationcontrollers", true),
    ("", "v1", "ResourceQuota", "resourcequotas", true),
    ("", "v1", "Secret", "secrets", true),
    ("", "v1", "Service", "services", true),
    ("", "v1", "ServiceAccount", "serviceaccounts", true),
    ("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", false),
    ("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", false),
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", false),
    ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("apiregistration.k8s.io", "v1", "APIService", "apiservices", false),
    ("apps", "v1", "ControllerRevision", "controllerrevisions", true),
    ("apps", "v1", "DaemonSet", "daemonsets", true),
    ("apps", "v1", "Deployment", "deployments", true),
    ("apps", "v1", "ReplicaSet", "replicasets", true),
    ("apps", "v1", "StatefulSet", "statefulsets", true),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
    ("batch", "v1", "CronJob", "cronjobs", true),
    ("batch", "v1", "Job", "jobs", true),
    ("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", false),
    ("coordination.k8s.io", "v1", "Lease", "leases", true),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true),
    ("events.k8s.io", "v1", "Event", "events", true),
    ("networking.k8s.io", "v1", "IPAddress", "ipaddresses", false),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", true),
    ("networking.k8s.io", "v1", "IngressClass", "ingressclasses", false),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true),
    ("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", false),
    ("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", false),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", true),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true),
    ("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false),
    ("storage.k8s.io", "v1", "CSIDriver", "csidrivers", false),
    ("storage.k8s.io", "v1", "CSINode", "csinodes", false),
    ("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities", true),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", false),
    ("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", false),
    ("storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", false),];
