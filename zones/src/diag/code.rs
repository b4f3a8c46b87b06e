//! The stable codes of mistakes, each with a page that explains it.

use super::Severity;

macro_rules! code_table {
    ($($variant:ident $id:literal $severity:ident $title:literal $page:literal)*) => {
        /// A kind of mistake. Codes are never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        const ALL: &[Code] = &[$(Code::$variant),*];

        impl Code {
            /// The code as it is shown: `ZW1502`.
            pub fn id(self) -> &'static str {
                match self { $(Code::$variant => $id,)* }
            }

            /// One line about it.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// Whether it prevents a configuration.
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity,)* }
            }

            /// The page that explains it.
            pub fn page(self) -> &'static str {
                match self { $(Code::$variant => $page,)* }
            }
        }
    };
}

/// All codes in order.
pub fn codes() -> impl Iterator<Item = Code> {
    ALL.iter().copied()
}

/// The page that explains a code; any case.
pub(super) fn explain(code: &str) -> Option<&'static str> {
    codes()
        .find(|c| c.id().eq_ignore_ascii_case(code))
        .map(Code::page)
}

code_table! {
Syntax "ZW1001" Error "A file is not TOML."
"The file breaks a rule of TOML at the marked place. Strings need quotes, tables start with `[name]`, and every key stands once. The rest of the file was read as far as possible, so that other mistakes show at the same time."
NotUtf8 "ZW1002" Error "A file is not UTF-8."
"Spec files and manifests are UTF-8. The message gives the first byte that is not. Files saved as UTF-16 or Latin-1 must be converted, for example with `iconv -f latin1 -t utf-8`. A byte order mark is accepted."
ControlCharacter "ZW1003" Error "A text holds a control character."
"Texts may hold tabs and line ends, no other control characters: vendors refuse or mangle them, and terminals act on them."
BadNumber "ZW1004" Error "A number is not finite or too large."
"Neither JSON nor a vendor's API has NaN or infinity, and whole numbers have 64 bits. Quote the value if text is meant."
TooDeep "ZW1005" Error "A value nests too deeply."
"Lists and tables may nest 128 deep (80 in TOML). No vendor accepts more; a file that does is broken or hostile."
MissingFile "ZW1006" Error "A file that is named does not exist."
"The path is relative to the directory of `zonewright.toml`, also when a zone file or an overlay names it."
OutsideRoot "ZW1007" Error "A path leaves the project."
"Files are named relative to the project and stay in it: no absolute paths, no `..` beyond the root, no links that point out. A project must be the same on every machine."
TooLarge "ZW1008" Error "A file is too large."
"Input files have at most 8 MiB. Split a manifest into several, or declare a chart."
Unreadable "ZW1009" Error "A file cannot be read."
"The system refused to read the file, or it is no regular file. Check its permissions."
ActiveUnknown "ZW1101" Error "The active zone is no zone of the project."
"`[project] active` names the zone that serves. It must be one of `[project] zones`."
Reserved "ZW1102" Error "A name is reserved."
"`edge`, `active` and `standby` cannot be names of zones: references use them. `name`, `role`, `posture`, `database` and `media` are settings that zonewright sets itself."
ZoneFileMissing "ZW1103" Error "A zone has no file."
"Every zone in `[project] zones` has a file `zones/<name>.toml`. It may be nearly empty: `[zone]` with `extends` is enough."
ZoneFileUnlisted "ZW1104" Warning "A zone file belongs to no zone of the project."
"A file in `zones/` is not named in `[project] zones`, so nothing in it is read. Add the zone, or move the file away."
BackendUnsupported "ZW1105" Error "There is no such state backend."
"`[state] backend` is `file` (a snapshot and a journal in `[state] dir`), `s3` (objects in a bucket, `[state.s3]`), `postgres` (rows of a database, `[state.postgres]`) or `kubernetes` (Secrets of a cluster that the spec does not make, `[state.kubernetes]`)."
SecretSource "ZW1106" Error "A secret's source is not understood."
"A secret is declared with exactly one source: `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ cmd = [\"program\", \"argument\"] }`."
BadName "ZW1107" Error "A name has characters that names cannot have."
"Names of zones, resources and providers start with a letter and go on with up to 62 letters, digits, `_` or `-`."
StatePlace "ZW1108" Error "The state cannot be kept at this place."
"Stores are reached over TLS only, so an endpoint is `https://` and a host, without credentials in it. The prefix of keys has letters, digits, `-`, `_`, `.` and `/` between parts."
StateEncryption "ZW1109" Error "The state cannot be sealed like this."
"`[state.encryption]` lists in `recipients` the public age keys (`age1…`) of those who can open the state; they may be in version control. `identity` refers to a secret with the private key of at least one of them, `passphrase` to what protects it, if something does. `zonewright state keygen` makes a key. `seal = false` writes in the clear again and still opens what is sealed; `require = true` refuses what is in the clear."
UnknownTable "ZW1201" Error "There is no such table."
"The root file has `project`, `objectives`, `parity`, `observability`, `state`, `secret`, `providers` and `shared`; a zone file has `zone`, `database`, `media`, `providers`, `role`, `posture` and one table per provider."
UnknownKind "ZW1202" Error "There is no such kind of resource."
"Resources are declared as `[provider.kind.name]`. `zonewright schema` lists the kinds."
UnknownAttribute "ZW1203" Error "The kind has no such attribute."
"The attribute is not in the kind's schema. The reference of kinds lists attributes and types."
UnknownSetting "ZW1204" Error "The zone has no such setting."
"`${zone.x}` takes `x` from the `[zone]` table of the zone in which the text ends up, after inheritance and overlays. Settings that only one zone has must be given for the other too, or set in the base."
UnknownSecret "ZW1205" Error "The secret is not declared."
"`${secret.x}` takes a secret that `[secret]` in `zonewright.toml` declares."
UnknownZone "ZW1206" Error "There is no such zone."
"A pinned reference starts with a zone of the project, `edge`, `active` or `standby`."
MisspeltSetting "ZW1207" Error "A setting is nearly one that zonewright takes."
"Any name may be a setting of a zone, so a slip in one that zonewright takes (`observe`, `exposed`, `posture`, `extends`, `region`, `cidr`, `env`) would leave that one at its default: with `observ = true` a zone that shall only be looked at would be managed. Nothing refers to the name that is written. Correct it, or refer to it, `${zone.x}`, if it is a setting of your own."
UnusedSetting "ZW1208" Warning "Nothing refers to a setting."
"The setting stands in `[zone]` or in an overlay of it, and no `${zone.x}` in a spec file, a manifest or another file that the spec names takes it, also not in what is disabled. It has no effect: refer to it, correct its name, or take it out."
WrongType "ZW1301" Error "A value has the wrong type."
"The schema wants another type at this place. The message says what was wanted and what was found; a reference takes the type of what it names."
MissingAttribute "ZW1302" Error "A required attribute is missing."
"The kind cannot do without this attribute. It can also come from the base zone or an overlay."
BadCidr "ZW1303" Error "A network is not written as one."
"Networks are written as address and prefix length, with all host bits zero: `10.10.0.0/16`."
CidrOverlap "ZW1304" Error "The networks of two zones overlap."
"Zones must have networks that never overlap, or they cannot be peered and a failover has two meanings for one address. A zone that extends another must set its own `cidr`."
BadDuration "ZW1305" Error "A duration is not written as one."
"Durations are numbers with units: `90s`, `20m`, `1h 30m`. They are not negative."
UnknownName "ZW1306" Warning "The vendor is not known to have something of this name."
"Regions, sizes and versions are the vendor's, and it adds some: the list is from its OpenAPI document and may be older than what it offers. If the name is right, nothing else is needed; the vendor has the last word when the resource is made."
NotAName "ZW1307" Error "A text cannot be a name of the vendor's."
"Regions look like `sfo3`, sizes of machines like `s-2vcpu-4gb`, sizes of databases like `db-s-1vcpu-1gb`, versions of Kubernetes are `latest`, `1.34`, `1.34.1` or `1.34.1-do.2`. What looks otherwise would be refused when the resource is made, in the middle of an apply."
ReplicaTooSmall "ZW1308" Error "A replica is smaller than its source."
"The vendor refuses a replica with less memory or fewer processors than its source; on the day of a failover it would also have to carry the same load. Make `size` at least that of the source."
ReplicaBesideSource "ZW1309" Warning "A replica is in the region of its source."
"What takes the primary's region down takes the replica along, so the zone cannot take over. Put the replica into the region of the zone that it is for: `region = \"${zone.region}\"`."
ReplicaOpen "ZW1310" Warning "A replica can be reached from outside its zone."
"A replica holds all the data of its source. Without a firewall the vendor lets every address in that has a password, and a firewall that names addresses or another zone's cluster lets those in. Allow the cluster of its own zone alone: `clusters = [\"${digitalocean.kubernetes_cluster.main.id}\"]`."
RestoredTooSmall "ZW1311" Warning "A restore makes a smaller database than its source."
"A restored cluster has the disk, the memory and the processors of its own size. On a disk that is smaller than the source's the data may not fit, and that shows in the middle of a failover; what fits has to carry the primary's load. Make `[database.restore] size` at least that of the source, or leave it out: then it is the source's."
VendorRefuses "ZW1312" Error "The vendor would refuse this."
"Each attribute is right for itself, and together they break a rule of the vendor's that the spec alone decides: a pool of nodes with `min` above `max`, a proxied record with a TTL, a network that is too large. It would be found in the middle of an apply; the label says what the rule is."
FieldType "ZW1313" Error "A field of a Kubernetes object has the wrong type."
"The API server takes no text for a number or a boolean, and no number for text, and would refuse the object when it is sent. A text that is nothing but one reference takes the type of its value: `replicas: \"${zone.replicas}\"` is a number when the setting is one. Labels, annotations, environment variables and entries of ConfigMaps are text: quote `\"true\"` and `\"80\"`. Common fields of built-in kinds are checked; all others are the server's to judge."
ExtendsLoop "ZW1401" Error "Zones extend each other in a circle."
"A zone can extend another that extends a third, but the chain must end at a zone that extends none."
UnknownBase "ZW1402" Error "The base of a zone does not exist."
"`extends` names another zone of the project: a file in `zones/`."
NothingToUnset "ZW1403" Warning "There is nothing to unset."
"`unset` removes what was inherited. Nothing is inherited at this path, so the entry has no effect."
UnknownPosture "ZW1404" Error "There is no such posture."
"A zone that stands by is `off` (nothing of it exists but what costs nothing and recovery needs), `cold` (built, nothing that answers requests is running) or `warm` (running, not reachable from outside). `[zone] posture` chooses; `[posture.cold.…]` and the like are overlays."
DatabaseUndecided "ZW1405" Error "Nothing says how a standby zone gets its data."
"The zone stands by for one that has a database, so somebody has to decide how it gets the data when it takes over: `strategy = \"replica\"` keeps a read-replica (seconds of loss, bills all the time), `strategy = \"restore\"` has no database until activation and then restores a backup (loss as old as the backup). There is no default, because either choice costs something. `reason` and `date` are shown in the header of every plan."
DuplicateStep "ZW1406" Error "Two steps after a restore have one name."
"The steps of `[[database.post_restore]]` are told apart by their names: in runbooks, in the plan of a restore and in what is recorded of them. They run in the order in which they are written, so the name need not say it."
MediaMismatch "ZW1407" Error "The buckets of the zones do not fit together."
"`[media]` declares where uploads are. With `mode = \"single\"` one bucket is that of every zone, so all zones name the same. With `mode = \"replicated\"` each zone has its own, `by` says who copies that of the zone that serves into the others, and `max_lag` within which time; `verify` (`media`) looks whether the copy holds everything that is older. A zone that inherits a bucket's name in this mode would be a copy of itself: write `bucket = \"wp-${zone.name}-media\"`."
StandbyExposed "ZW1408" Warning "A zone that stands by is exposed."
"A standby is not reachable from outside unless `exposed = true` says so, in `[zone]` or in `[role.standby.zone]`. Then nothing refuses what exposes it (ZW3120): a load balancer that bills, a second way in with yesterday's data, and users who may write into a database that is about to be replaced. Take the line out. If it is meant, every plan of the zone names it (ZW3032)."
BadReference "ZW1501" Error "A reference is not written as one."
"References look like `${provider.kind.name.attribute}`, `${zone-name/provider.kind.name.attribute}`, `${zone.setting}` or `${secret.name}`. To write `${` itself, write `$${`."
Dangling "ZW1502" Error "A reference names a resource that is not declared."
"A reference without a zone is looked up in the zone in which the text ends up. Pin a zone to reach another one's resource: `${pz/…}`."
NoSuchOutput "ZW1503" Error "The resource has no such attribute or output."
"A reference names an attribute or an output of the kind; without a path it is the resource's id."
Disabled "ZW1504" Error "A reference names a disabled resource."
"The resource exists in the spec but `enabled` is false in this zone and role, so there is nothing to refer to. Disable the referrer too, or remove the reference with `unset`."
Cycle "ZW1505" Error "Resources wait for each other in a circle."
"Each resource of the circle needs another one first, by a reference, by `after`, or because its provider lives in it. Take one of the references out."
RelativeInEdge "ZW1506" Error "A shared resource refers to no zone."
"Shared resources belong to no zone, so their references must say which: `${active/…}`, `${standby/…}`, `${edge/…}` or a zone's name."
AmbiguousRole "ZW1507" Error "It is not clear which zone stands by."
"`standby/` needs exactly one zone besides the active one. Name the zone instead."
NeedsKey "ZW1508" Error "A reference does not say which object."
"The declaration brings several Kubernetes objects. Say which: `${kubernetes.chart.x[\"core/Service/namespace/name\"].status…}`."
NotText "ZW1509" Error "A list or table stands inside a text."
"Only scalars can be put into a text. A string that is nothing but one reference takes the whole value."
SettingLoop "ZW1510" Error "Settings of a zone refer to each other in a circle."
"A setting may use other settings of its zone, as long as no circle comes up."
NoInstance "ZW1601" Error "The provider is not configured."
"A resource needs its provider: `[providers.NAME]` in the zone's file, or in `zonewright.toml` for all zones."
BadContainer "ZW1602" Error "The provider's container is not a reference to one."
"A provider that lives in a resource names it by reference: `cluster = \"${digitalocean.kubernetes_cluster.main}\"`. For a cluster that exists already and belongs to somebody else, give `kubeconfig = \"${secret.NAME}\"` instead, not both."
BadMove "ZW1603" Error "An entry of `[[moved]]` or `[[forget]]` does not fit the spec."
"`[[moved]]` says that a resource has another name now: `from` is what it is recorded under and is not declared any more, `to` is declared, and both are of the same zone and kind. Without a key all objects of a chart or a manifest move. `[[forget]]` says that what left the spec is not to be deleted: its `address` is not declared any more. Once every state has been applied with them, both can be taken out."
BadIgnore "ZW1604" Error "An attribute cannot be ignored."
"`zonewright = { ignore = [\"size\"] }` leaves attributes to somebody else once the resource exists. What names the resource at the vendor has to be as the spec says, or the resource could not be found. `yield` gives fields of an object of a cluster up to another field manager, and `take_from` takes them from one; what is no such object has no field managers."
Yaml "ZW1701" Error "A file is not YAML."
"The file breaks a rule of YAML at the marked place. Keys stand once per mapping, indentation is spaces, and aliases are limited."
NotAnObject "ZW1702" Error "A document is no Kubernetes object."
"Every document has `apiVersion`, `kind` and `metadata.name`. Names must be known before anything is applied."
GenerateName "ZW1703" Error "An object has no fixed name."
"`generateName` makes a new object at every apply. Give it a `name`."
DuplicateObject "ZW1704" Error "One object is declared twice."
"Two declarations, or two documents, bring the same object of the same cluster. They would overwrite each other at every apply."
NoRendering "ZW1705" Error "A chart has no vendored rendering."
"Plans read rendered charts from the project, so that neither a plan nor a failover needs helm or a chart server. `zonewright charts lock` resolves the chart, vendors its archive, renders it for every zone, role and posture, and records all digests in `charts.lock`. Commit what it wrote. Without helm, the output of `helm template NAME CHART --version V -n NAMESPACE --include-crds --no-hooks` can be put into `charts/<zone>/<name>.yaml` by hand; nothing then proves that it fits (ZW1707)."
ManifestSource "ZW1706" Error "A manifest has no single source."
"A manifest has either `object = { … }` or `file = \"manifests/x.yaml\"`, and `template` and `with` go with `file`."
NotLocked "ZW1707" Warning "A chart's rendering is not locked."
"`charts/<zone>/<name>.yaml` is there, and `charts.lock` does not know the chart: nothing proves that the rendering was made from the version and the values of the spec, or that nobody edited it. `zonewright charts lock NAME` renders it anew and records the digests."
LockBroken "ZW1708" Error "The lock of the charts cannot be read."
"`charts.lock` is written by `zonewright charts lock` and never by hand. After a merge that left marks in it, take either side and lock again. A newer form needs the version of zonewright that wrote it."
ChartStale "ZW1709" Error "A chart is not as it was locked."
"The spec wants another source, version, namespace, version of Kubernetes or other values than the vendored rendering was made from, or the chart's own directory was edited since. A plan from the old rendering would not be what the spec says. `zonewright charts lock NAME` renders it anew; look at the change with `zonewright charts diff`, and commit the files. When only another role or posture of the zone is meant, the lock was made before that was possible: lock again."
VendoredEdited "ZW1710" Error "A vendored file is not what was locked."
"An archive or a rendering below `charts/` is missing, was edited, or was not committed together with `charts.lock`. Take the file of the commit that wrote the lock, or run `zonewright charts lock NAME`. Changes belong into the values of the spec or into the chart, where the next lock finds them again."
SecretLiteral "ZW1801" Error "A secret is written into the spec."
"Credentials are referred to, never written down: declare `[secret] name = { env = \"NAME\" }` and use `${secret.name}`. The spec is in version control; take the value for exposed and replace it."
IssuerMismatch "ZW1902" Warning "An issuer or its Secret is looked for under another name."
"Contradiction X2. cert-manager reads the Secrets of a ClusterIssuer in its own namespace (`--cluster-resource-namespace`), those of an Issuer in the Issuer's, and a Certificate or an annotation names an issuer exactly. A name, a namespace or a key that differs is never reported by the API server: the issuer stays not ready, and the certificate is missing on the day of the failover. Use one name, and put the Secret where it is read. `verify` proves it: `issuers` and `certificate`."
NetworkShared "ZW1903" Warning "A zone's network is not its own."
"Contradiction X3. A cluster or a database without `vpc` goes into the region's default network, a network without `ip_range` gets one from the vendor, and a network outside the zone's `cidr` is not covered by the check that zones do not overlap (ZW1304). Declare a network for each zone, `ip_range = \"${zone.cidr}\"`, and put the cluster and its databases into it. `verify` compares with what is live: `networks`."
DatabaseName "ZW1904" Warning "A program is told a database or user that the spec does not have."
"Contradiction X4. The name of the database, or of its user, is written twice and differs, so the program connects to nothing. Write it once, on the resource, and refer to it: `WORDPRESS_DB_NAME = \"${digitalocean.database.wp.name}\"`."
ComponentMissing "ZW1905" Warning "An object needs a component that the zone does not have."
"Contradiction X5. A ClusterIssuer needs cert-manager, a ServiceMonitor the Prometheus operator, an Ingress the class of a controller. The cluster is made by this spec, so what is in no declaration of the zone will not be there when the zone is made from nothing: the API server refuses the object, or nobody acts on it. Declare the component's chart in the same zone, or leave the object out. A cluster that is only observed, or opened with a kubeconfig, may have it already and is not judged."
RecordFixed "ZW1909" Warning "A DNS record does not follow what it names."
"Contradiction X9. Records of zones are not touched while traffic is moved, and yet the load balancer of a zone gets its address only when it is made. Both hold when each record refers: a zone's record to its load balancer, so that it follows in a step of its own before the flip, and the shared record to `${active/…}`, so that the flip changes that one record and nothing else. A fixed address, or a shared record that names one zone, breaks this."
ReplicasTwice "ZW1911" Warning "Two places say how many replicas a workload has."
"Contradiction X11. The documents scale to three at once, or to one and then up. In a spec one figure holds for each role and posture (`[zone] replicas` with overlays), `verify` checks that one, and through which numbers a workload gets there is a list of its own, the annotation `zonewright.dev/scale-through` (ZW1915). A HorizontalPodAutoscaler beside a figure above zero contradicts it: each apply sets the one, the autoscaler the other. Leave `replicas` out where the autoscaler is enabled; zero switches it off, which is what a cold zone wants."
TtlMismatch "ZW1912" Warning "The TTL of a record is not what will be in force, or too long."
"Contradiction X12. Cloudflare accepts 1 (automatic) and 60 to 86400 seconds, from 30 in zones with an Enterprise plan; a proxied record always has the automatic TTL, whatever is written. The shared record is cached for its TTL after a flip, so that is part of the RTO: more than half of `[objectives] rto` leaves too little for everything else (ZW3021 has the whole sum)."
FlipUnapproved "ZW1913" Warning "Something else would move the shared name."
"Contradiction X13. The flip is a human decision and the steps around it are automated: `[project] active` names the zone, a plan shows the one record that changes, and nothing is sent without an approval of that plan. ExternalDNS in a cluster that publishes the shared name would move traffic as soon as a zone is exposed, and two zones would fight over it. Have it write names of the zone only (`--domain-filter`, annotations), or leave the shared name to zonewright."
DatabaseUnverified "ZW1914" Warning "A program cannot tell the database from an impostor."
"Contradiction X14. TLS without a check of the server's certificate encrypts towards whoever answers. A workload that takes a password of the database also needs the authority (`ca`) of the very server that it connects to, and has to use it. WordPress cannot be told so by settings alone: it never names an authority to the driver. Mount the CA, set `SSL_CERT_FILE` to it (or bring a `db.php` that calls `mysqli_ssl_set`), and set `MYSQL_CLIENT_FLAGS` to `MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT`. `verify` proves what the server does: `database-tls` tries a wrong authority and a wrong name."
StagesUnclear "ZW1915" Warning "The stages of a workload are no rising numbers."
"Contradiction X11. `zonewright.dev/scale-through: \"1\"` on a Deployment or StatefulSet brings it up in stages: an apply asks for one replica, waits until it is ready, and asks for the declared number then. `\"1,3\"` has two stages before it. Numbers at or above `replicas` are left out, and a workload at zero does not start, so one annotation fits every role and posture. What is no list of rising numbers is ignored."
ImageFloating "ZW1916" Warning "A zone that stands by has an image of no fixed version."
"An image without a tag, or with `latest`, is whatever was published last when a pod starts. The zone that serves runs what was newest when its pods started; a zone that is brought up in a disaster gets another program, at the worst moment. Name the version, and best also the digest (`name:tag@sha256:…`), because a tag can be moved. `zonewright charts render NAME --images` lists the images of a chart with how firmly each is named."
}
