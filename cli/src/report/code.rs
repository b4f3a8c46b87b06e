//! The stable codes of errors outside the spec, each with a page for `zonewright explain`. Codes are
//! never reused. Those of the spec (`ZW1…`) are in `zones`, those of a plan's notes in `engine`.

use zonewright_engine::plan::build::PlanError;
use zonewright_engine::provider::ErrorClass;
use zonewright_engine::restore::Blocked;
use zonewright_state::{Class, StateError};

use crate::exit::Exit;

macro_rules! code_table {
    ($($variant:ident $id:literal $page:literal)*) => {
        /// What kind of error it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $id] $variant,)*
        }

        /// All codes in order.
        pub const ALL: &[Code] = &[$(Code::$variant),*];

        impl Code {
            /// The code as it is shown: `ZW5002`.
            pub fn id(self) -> &'static str {
                match self { $(Code::$variant => $id,)* }
            }

            /// The page that explains it.
            pub fn page(self) -> &'static str {
                match self { $(Code::$variant => $page,)* }
            }
        }
    };
}

code_table! {
Foreign "ZW3101"
"something with this name exists and is not ours\n\nThe vendor has an object with the name that the spec gives, without the mark that zonewright puts on what it makes. It is never taken over or changed by itself. Rename the resource in the spec, remove the other object, or take it under management with `zonewright import ADDRESS ID`; the error names both."
Protected "ZW3102"
"a protected resource would be deleted or replaced\n\nDatabases and buckets are protected unless the spec says otherwise; anything else is when it says so. Look at why the plan wants it gone. If that is meant, set `zonewright = { protect = false }` on it, apply that alone, and plan again."
ObservedMissing "ZW3103"
"an observed resource does not exist\n\n`observe = true` reads something that somebody else manages. It was not found by its name. Check the name and the region, or drop `observe` to have it made."
OutsideMissing "ZW3104"
"a reference leads out of the selected zones to something that is not made yet\n\nWith `--zone` only that zone is looked at; what it refers to elsewhere is taken from the state, and there is nothing. Apply the other zone first, or everything at once."
StillNeeded "ZW3105"
"something would be destroyed that another resource refers to\n\nThe reference would lead nowhere. Remove the one that refers first, or the reference in it."
Serving "ZW3106"
"the zone that serves cannot be destroyed\n\nUsers reach the platform through it (`[project] active`), or it is the edge. Make another zone active first; take single records out of the spec instead of destroying the edge."
NothingToReplace "ZW3107"
"what shall be replaced is not there\n\n`--replace` names a resource that is not among the selected ones of the spec, or that does not exist yet. `zonewright state list` names what exists."
PlanCycle "ZW3108"
"the steps of a plan wait for each other\n\nThe spec has no cycle, but what has to happen would have one. This is a contradiction in zonewright: please report it with the spec."
NoPlan "ZW3109"
"several things stand in the way of a plan\n\nEach is listed with its own code. All of them have to be settled; they were found in one go."
OutOfReach "ZW3110"
"an objective is out of reach, and objectives are strict\n\n`[objectives]` says how long a disaster may take (`rto`) and how much data it may cost (`rpo`), and `strict = true` that a plan which cannot keep to that is refused. The message has the figure that would be reached. ZW3020 and ZW3021 explain what it follows from; `zonewright plan -v` names the longest path. Choose another strategy or posture, or write down an objective that can be met."
Exposes "ZW3120"
"a zone that stands by would be reachable from outside\n\nExposure is a capability: the zone that serves has it, a standby has it only with `[zone] exposed = true`. Services of type LoadBalancer or NodePort, Services with external addresses, Ingress, Gateway and its routes, Traefik's IngressRoute, annotations for ExternalDNS, and DNS records that point at such an address are refused, also when a chart's rendering brings them. The Service decides, not its pods: an ingress controller at zero replicas still gets a public load balancer. Switch the resource with `zonewright = { enabled = \"${zone.exposed}\" }`, or overlay it in `[role.standby.…]`."
EmptyDatabase "ZW3121"
"a standby zone would get an empty database of its own\n\nContradiction X6. A zone that stands by has a replica of the primary's database, or none until a backup is restored. A cluster of its own is neither: it holds nothing, bills all the time, and is in the way of a restore under its name. Disable it in the standby."
NoDatabase "ZW3122"
"the zone that serves would have no database\n\nThe zone's recorded decision is `strategy = \"restore\"`: it has no database until a backup is restored. Making it the active zone restores nothing, so applying would put a zone without data in front of users."
FlipTooEarly "ZW3123"
"the edge would point at a zone that is not ready\n\nA shared record refers to the active zone, and only the edge is selected while what it refers to is recorded differently from what the spec says, for example as the reserved address of a standby. Apply the zone first, or everything at once: then the flip waits until the zone answers."
WrongCluster "ZW3124"
"the cluster that a zone's provider leads into is not the zone's own\n\nA cluster is told by the uid of its namespace `kube-system`. The first apply that opens a zone's cluster records it, and every later command compares. Another uid behind the same cluster id or kubeconfig, or one cluster behind two zones, means that something leads astray: a kubeconfig that was changed or copied, an endpoint that answers for another cluster. Nothing was sent. Look where the credentials lead: `kubectl get namespace kube-system -o jsonpath={.metadata.uid}` with each.\n\nA cluster that a plan replaces is no such case: it has another id, and its new uid is recorded. When somebody else replaced the cluster behind a kubeconfig, and that is meant, write the new uid into `[providers.kubernetes] identity`: what was recorded in the old cluster is gone then, and the next plan makes it anew. With `identity` the uid is checked from the first time on."
LiveWriter "ZW3125"
"a replica that was promoted would be deleted\n\nThe vendor says that it follows no other database any more: it is a writer, with data that exists nowhere else. The spec still treats it as a replica, which may be set to `protect = false` because a replica is only a copy, and dropped it, switched it off or changed what replaces it. A writer never goes that way. Keep it in the spec with `role = \"primary\"`. When its data is really not needed any more, apply `role = \"primary\"` and `zonewright = { protect = false }` first, so that the state knows what it is; then it can be dropped like any database."
Renamed "ZW3129"
"a resource of the spec is recorded under another address\n\nWhat has the name of a new resource is what the state knows under an address that left the spec: the declaration was renamed. Nothing is deleted and made again for that. Write `[[moved]]` with `from` and `to` into zonewright.toml; the next apply records it under its new address and renews its mark. If it really is to go, take the new declaration out, apply, and put it back."
MoveBlocked "ZW3130"
"what moved cannot be recorded under its new address\n\nSomething is recorded there already, or an operation on it has no known outcome. Take the entry of `[[moved]]` out and apply: that settles what is open. If both exist, they are two things: import or remove one of them first."
Kept "ZW3131"
"something that is to be kept would go all the same\n\n`zonewright = { keep = true }` leaves an object alone when it leaves the spec or its zone is destroyed. A replacement deletes the old object, and what lives in a cluster goes with the cluster: there is no way to keep it then. Set `keep = false` and apply that first."
WouldRefuse "ZW3132"
"the cluster would refuse an object\n\nWhile planning, every object that can be tried is sent to the API server as a dry-run: it checks it with all its rules and changes nothing. It would not take this one, so an apply would fail on it half way; nothing is applied at all until that is settled. The message is the server's, values of Secrets are left out of it. Correct the object where it is declared, or disable it. What the server cannot try (its namespace or its kind is made by the same plan, a webhook is down, the credentials may not write) is no error: the plan says `predicted` or `deferred` there, and why."
Immutable "ZW3133"
"a field would change that never does\n\nThe API server keeps some fields of an object as they were made: the selector of a Deployment, the claims of a StatefulSet, the role of a binding, the class of a volume. Another value is only had by deleting the object and making a new one, which stops its pods and may lose data, so it is not done unasked. Take the change back, give the object another name, or say that it may be replaced: `zonewright = { on_immutable = \"replace\" }` on the resource, or `--replace ADDRESS` once. A Job is always made anew. Namespaces, definitions of kinds, volumes, claims and Services of type LoadBalancer are replaced with `--replace` only: what goes with them does not come back."
Disputed "ZW3134"
"another field manager applies fields that the spec has\n\nThe API server keeps for each field who applies it. Somebody else applies these with other values, as argocd, flux or helm do, and would put them back at once if they were overwritten, so nothing is sent. Who is named decides: `zonewright = { yield = [\"spec.replicas\"] }` on the resource leaves the fields to the other one, `zonewright = { take_from = [\"NAME\"] }` takes them from the managers that it names. What somebody changed by hand (`kubectl edit`, `kubectl scale`) is no claim: it is drift, and the plan puts it right."
WideToken "ZW3127"
"the DNS provider's token opens more than it has to\n\nThe spec says `narrow = \"required\"` for the provider, and the token that the plan was made with sees domains in which the spec has no record: whoever gets hold of it can change those, too. Make a token with Zone Read and DNS Edit on the spec's domains alone, and give it to zonewright; the message names them. Nothing was sent. Without `narrow` this is a warning (ZW3033)."
MarkTaken "ZW3128"
"a new resource would carry the mark of another one\n\nWhat zonewright makes carries a mark that says under which address it was made, so that it is found when a reply gets lost. A resource that was moved (`state mv`, `[[moved]]`) carries the mark of its old address until an apply has renewed it. Before that nothing new is made under the old address: the two could not be told apart. Apply once without the new one."
General "ZW4001"
"the command could not do what was asked\n\nThe message says what was tried and what was in the way; nothing was changed."
Usage "ZW4002"
"the command line is not one that zonewright understands\n\n`zonewright COMMAND --help` shows the options of a command, with examples."
SecretUnset "ZW4003"
"a secret has no value\n\nThe spec names where it comes from: an environment variable, a file or a command. That gave nothing. Only the secrets that the selected zones use are read. Under `--sandbox`, secrets that are not set get a made-up value."
SecretShort "ZW4004"
"a secret is too short to be kept out of sight\n\nzonewright removes the values of secrets from everything that others say, for instance from a vendor's error message. A value of a few characters occurs in ordinary words too: removing it there would spoil the words and show where it occurs, and so what it is. Values below eight characters are therefore refused. They would be too weak as a password, too."
TooLittleRead "ZW4005"
"too little could be read for a plan\n\nNothing answered; or nothing is to be done as far as could be seen, but not everything could be read; or what the spec wants made, changed or removed could not be read. Such a plan has no digest to approve, is not saved and not applied. The objects of a cluster that cannot be reached do not count: they are left alone and named, so that a dead zone stops nothing elsewhere. Plan again when the other side answers, or plan what does not need it with `--zone`."
Refused "ZW4006"
"nobody approved\n\nA change needs a `yes` on a terminal, `--auto-approve`, or a saved plan that was reviewed. Nothing was sent."
StalePlan "ZW4007"
"the plan does not fit any more\n\nThe spec, the state, the world or the version of zonewright is not what the plan was made from, its file was changed, or its digest is not the one that was expected. Nothing was sent. Make a new one and look at it."
AppliedBefore "ZW4008"
"the plan was applied already\n\nThe log of the state says that a run with this very plan was begun. Serials count committed changes. `zonewright plan` shows whether anything is left to do, for instance after an interruption."
Interrupted "ZW4009"
"interrupted before anything was sent\n\nA signal came while the command was looking or asking. The state was let go; run the command again."
Sandbox "ZW4010"
"the sandbox cannot be used\n\nThe emulators of the vendors run as one server for each directory. `zonewright sandbox serve` runs it in the foreground, any command with `--sandbox` starts it when none runs, `zonewright sandbox stop` ends it. What it wrote is in `serve.log` beside its world."
SpecInvalid "ZW4011"
"the spec has mistakes\n\nEach is reported with its own code, file and place; `zonewright validate` shows the same."
Partial "ZW4012"
"a run ended early\n\nSome steps are done and recorded, others are not. The next apply goes on: what was announced is looked up, never repeated blindly."
InDoubt "ZW4013"
"it is not known whether something was done\n\nThe reply to a request was lost, and looking afterwards did not settle it. The log has the announcement; the next apply looks again. If it stays, look at the vendor for what the message names."
NothingRestored "ZW4020"
"nothing says what would be restored into the zone\n\n`restore plan` resolves the recorded decision `[database] strategy = \"restore\"` of a zone. `[database.restore] source` names the cluster whose backups are used; that cluster has to be applied, so that its id is recorded. A zone with a replica restores nothing: its data arrives all the time."
NoBackup "ZW4021"
"there is no such backup\n\nThe vendor makes the first backup some minutes after a database is ready and then one a day, and keeps them for some days. A backup is chosen by the timestamp that the vendor gives it; `restore plan` without `--backup` takes what the spec says, `--backup latest` the newest."
SourceGone "ZW4022"
"the database whose backups would be restored is gone\n\nA managed database takes its backups along when it is deleted. What is left is a dump that was put elsewhere. If the database was only replaced, apply its zone, so that the new one is recorded."
RestoreBlocked "ZW4023"
"the restore would be refused\n\nThe vendor restores into a new cluster: its name must be free and its size at least the source's. With `[objectives] strict = true`, a backup that is older than the RPO is refused, too."
NotRestored "ZW4024"
"the restored database does not exist\n\n`restore finish` works in the database that a restore made. It looks for the one that is recorded in the zone, else for the name that `restore plan` says. Restore a backup first; when the new cluster has another name, write it into `[database.restore] name`."
NotAWriter "ZW4025"
"the database must not be written to\n\nIt is read-only, or it follows another server: what is written there is refused, or breaks the replication. `restore finish` is for the server that a backup was restored into. Look whether the name or the id leads to the right one."
StepFailed "ZW4026"
"a step after a restore failed\n\nSteps run in their order, and the first that fails ends the run. A step is done when its check says 0 or false afterwards, and not before. Exit code 1 says that nothing was changed, 3 that the steps before it, or a part of it, are done, 8 that the connection broke and asking again did not settle it: look at the server whether the statement still runs. Then run it again; what was done already is not needed and not done again."
ChartSource "ZW4030"
"a chart cannot be had from its source\n\nThe repository or registry does not answer, refuses, does not have the version, or gives bytes with another digest than it promised. Nothing was written. Plan and apply need no source: they use what is vendored. For a source that needs a login, pull the archive by other means (`helm pull`) and name the file: `chart = \"vendor/web-1.2.3.tgz\"`."
ChartArchive "ZW4031"
"this is no chart that is taken\n\nAn archive is read in memory and refused when an entry leaves its directory, is a link or a device, is there twice, or when it unpacks to more than any chart has; and when there is no `Chart.yaml` with a name and a version. Nothing of it was written to disk."
HelmMissing "ZW4032"
"helm is needed for this, and is not there\n\nOnly `zonewright charts` runs helm, to render what is then vendored. It takes `helm` from the path, or the program that `ZONEWRIGHT_HELM` names; 3.14 or newer, 4 included. The version is a part of the lock, because another one may render something else."
ChartRender "ZW4033"
"helm does not render the chart\n\nThe message is helm's own: a value that the chart requires, a template with a mistake, a version of Kubernetes that it does not support, a dependency that is not in the archive. helm is run with the values of the spec, without cluster, network and environment."
ChartRandom "ZW4034"
"a chart renders differently each time\n\nIt makes passwords, certificates or dates while it is rendered, so that every rendering would change the cluster, and rotate what others rely on. Each place is named with the function that is likely to blame. Most charts take the value from outside: give it a Secret of `[kubernetes.secret.…]` (`existingSecret` and the like), a certificate of cert-manager, or a fixed value."
ChartHooks "ZW4035"
"a chart wants to run something around an installation\n\nHooks are Jobs that helm runs before or after an install, an upgrade, a removal or a roll-back. Here there are no releases: objects are planned and applied like all others, and removals and roll-backs are plans. Most charts do without by their values (webhook certificates from cert-manager, no start-up check); hooks that only test are always left out. When it is known that the rest works without them, `hooks = \"drop\"` leaves them out."
NoChart "ZW4036"
"there is no such chart\n\nThe names are those of the spec: `[kubernetes.chart.NAME]`. A chart that no zone has in any role or posture has no rendering."
Bug "ZW4070"
"a bug of zonewright\n\nSomething that cannot be was found. The state holds everything that was done. Please report it with the command and the version."
Locked "ZW5001"
"somebody else holds the state\n\nOne process at a time writes a zone's state. The error says who. `--lock-timeout 5m` waits.\n\nThe lock of a state in files goes when that process ends, however it ends; there is nothing to unlock by hand. In a store the log is the lock: a process that died on this host is followed at once, one elsewhere after it was silent for `[state] ttl` and a sixth. Who knows that it is dead need not wait: `zonewright state unlock --zone ZONE --epoch N --reason WHY`, with the number that the error shows. That is written into the log, with the reason; nothing is removed. A writer that lives after all loses its next write and stops."
StateDamaged "ZW5002"
"a file of the state does not hold what was written\n\nEvery file carries a checksum, and what does not match is never guessed at. What to do, in this order:\n1. If the file was edited or cut by hand, or by a merge, put the right one back.\n2. `zonewright state restore` goes on from the newest that is whole: the log up to the damage, the snapshot without its log, or an earlier snapshot (the last 50 are kept in `ZONE.history`). What it replaces is kept in `ZONE.aside-…`. It sends nothing.\n3. `zonewright plan`. What was made after the restored snapshot carries a mark and is adopted; what was deleted since is planned as it is now. Read it, then `zonewright apply`.\n`zonewright state history` lists the snapshots, `zonewright state restore --zone ZONE --serial N` takes one of them."
StateLost "ZW5003"
"state that existed is gone\n\nA file is missing or empty although another one, or this host's memory of the project (`.zonewright/seen.json`), knows better. It is never taken for a new project: that would make everything a second time. What to do, in this order:\n1. Put the directory back: it may have been moved, not mounted, not checked out. A backup will do, even an old one.\n2. `zonewright state restore` goes on from the newest snapshot that is left.\n3. When nothing is left, `zonewright state restore --empty` begins with nothing recorded, under the same lineage. `zonewright plan` then adopts everything that carries the project's mark. What was once replaced, or carries no mark, is reported with its id; take it over with `zonewright import`.\nIf the project was ended on purpose, remove `.zonewright/seen.json`."
StateRolledBack "ZW5004"
"the state is older than what this host has seen\n\nA backup was restored, or an old version checked out. Applying from it would be safe for what carries a mark, but may surprise. If the newer state exists somewhere, put it back. Otherwise `zonewright state restore` accepts the older one, notes that in the log, and the next plan shows what differs from the world."
StateWorld "ZW5005"
"the state belongs to another world\n\nThe live vendors and each sandbox have their own state, and they do not mix. Use the directory of the world that is meant, or drop or add `--sandbox`."
StateLineage "ZW5006"
"the file belongs to another project\n\nEvery project has a lineage of its own that is never reused. Put back the file of this project."
StateNewer "ZW5007"
"a newer zonewright wrote the file\n\nIt is left as it is. Use that version or a later one."
StateInsecure "ZW5008"
"the state's files are not safe to use\n\nLinks, files that others can write, and other owners are refused: whoever can change the state decides what zonewright does. The message has the command that mends it."
StateIllegal "ZW5009"
"an entry of the log was refused before it was written\n\nIt cannot follow what is recorded. This is a bug of zonewright; the state is as it was."
StateUnwritable "ZW5010"
"the state cannot be read or written\n\nThe disk is full, gone or read-only, or a right is missing. Nothing is sent that could not be recorded. Mend the disk, then apply again: what was announced is looked up, never repeated blindly."
StateTakenOver "ZW5011"
"another writer took the state over\n\nA state in a store has no lock beside its log: who writes has made the log's next object. A writer that was silent for longer than `[state] ttl` (paused, cut off, asleep) is taken for dead, and the next one goes on; so does the next after `state unlock`. Its own next write then comes too late and it stops at once. What it had sent is announced in the log and looked up by the run that took over; what came of it after that is kept on this host, and the next apply here says where."
StateUninitialised "ZW5012"
"there is no state where `[state]` says\n\nA store that holds nothing is either new or the wrong one, and planning against the wrong one would make everything a second time. `zonewright state init` finds out whether the store is fit to keep a state, and makes one. Check bucket, prefix or address first."
StateStore "ZW5013"
"the store of the state does not answer, or refuses\n\nThe message says which store, which object and why. Nothing that could not be announced in the log was sent. What came of requests that were under way when the store went away is kept in `.zonewright/rescue` and written to the log by the next apply on this host. Exit 9 when the credentials lack a right, else 1, or 3 when something was changed before."
StateUnfit "ZW5014"
"the store cannot keep a state\n\nEverything rests on one promise: of several writers that make the same object at once exactly one wins, and nothing replaces it. `zonewright state init` and `zonewright state doctor` try that with eight writers at once. Stores have been seen that ignore the condition, check it before they write, or keep a deleted object as a marker that is neither there nor gone; the message says which it is. Use another store or another product of the same vendor: nothing on our side can make up for it."
StateSealed "ZW5015"
"the state is sealed and cannot be opened\n\nThe object names the public keys that it is sealed for (`age1…`), and the error those whose private keys are here. Nothing was changed, and nothing is taken for empty. What to do:\n1. Without `[state.encryption]` in the spec: write it as the others who work on this state have it.\n2. With the key of somebody else: point `identity` to the right one. An identity file may hold several keys, one a line; keep an old one in it for as long as something is sealed for it (`zonewright state doctor` says what).\n3. Without a key: let who has one add yours to `recipients` and run `zonewright state rekey`.\nWhen every key is lost, so is what is sealed. What exists carries marks: a new state adopts it (`zonewright explain ZW5003`)."
StateUnsealed "ZW5016"
"a part of the state is in the clear where it must be sealed\n\nOnce something of a zone is sealed, all that comes after it is, and with `[state.encryption] require` everything that is read. So this object was written by somebody who does not seal: a run with an older spec, or somebody who may write to the store and wants you to read what they wrote. Find out which: `zonewright state history`, the versions of the bucket, who could write.\nIf it was a run of yours that wrote in the clear on purpose, set `seal = false` in `[state.encryption]`, read the plan, and seal again with `zonewright state rekey` once `seal` is gone. A state that was in the clear when `require` was set: take `require` out, run `zonewright state rekey`, and set it again."
StateKey "ZW5017"
"a key of the state cannot be used\n\n`[state.encryption] identity` gives an age identity: one or more lines that begin with `AGE-SECRET-KEY-`, or such a file behind a passphrase (`-----BEGIN AGE ENCRYPTED FILE-----`), which `passphrase` opens. At least one of its keys has to be among `recipients`, or a run could not read what it wrote. `zonewright state keygen` makes a key. The message says what is wrong, and never what the value is."
NotSent "ZW6001"
"a request could not be sent\n\nNo connection: the network, a proxy or the other side is down, or the address is wrong. Nothing was done by it. It was tried several times."
NotYet "ZW6002"
"the other side was not ready for it\n\nIt said that something else has to be there first, for longer than is usual. Apply again later; look at the vendor if it stays."
Transient "ZW6003"
"the other side failed\n\nIt answered with an error of its own, again and again. Apply again later."
RateLimited "ZW6004"
"the other side asks for fewer requests\n\nThe account's limit is used up and the pause it asks for is too long to wait. Apply again later, with a smaller `--parallelism`."
Ambiguous "ZW6005"
"a reply was lost\n\nThe request may have been carried out. What exists was looked for; what could not be settled is looked up by the next apply."
NotFound "ZW6006"
"what the request was about does not exist\n\nIt was removed meanwhile, or a name in the spec is wrong. Plan again."
Conflict "ZW6007"
"the world moved while the plan was applied\n\nWhat is there is not what the plan was made for, so nothing was sent to it. Plan again and look at the difference."
Invalid "ZW6008"
"the vendor refused a value\n\nThe message is the vendor's. Correct the spec and plan again; what is done already stays done."
Unauthorized "ZW6009"
"the credentials are wrong\n\nThe error names the secret and where it comes from. Check that it is set, not expired, and of the right account."
Denied "ZW6010"
"the credentials lack a right\n\nThe vendor knows them and refuses this request. Give the token the right for what the message names."
Unreachable "ZW6011"
"what it lives in cannot be reached\n\nA cluster does not answer. Its contents are left alone until it does; nothing of them is taken for absent."
Failed "ZW6012"
"the vendor says that it failed\n\nOr it did not become ready in time. What was made is recorded. A resource that never was ready is replaced by the next plan; one that was is left alone."
ProviderBug "ZW6013"
"a reply made no sense\n\nThe provider and the vendor's API do not agree. Please report it with the message and the version."
}

/// The page of a code; any case.
pub fn explain(code: &str) -> Option<&'static str> {
    let mut all = ALL.iter();
    let found = all.find(|c| c.id().eq_ignore_ascii_case(code));
    found.map(|c| c.page())
}

impl Code {
    /// The code of an error that is known by its exit code only.
    pub(crate) fn of_exit(exit: Exit) -> Code {
        match exit {
            Exit::REFUSED => Code::Refused,
            Exit::STALE => Code::StalePlan,
            Exit::PARTIAL => Code::Partial,
            Exit::IN_DOUBT => Code::InDoubt,
            Exit::INTERRUPTED => Code::Interrupted,
            Exit::BUG => Code::Bug,
            _ => Code::General,
        }
    }
}

impl From<&ErrorClass> for Code {
    fn from(class: &ErrorClass) -> Code {
        match class {
            ErrorClass::NotSent => Code::NotSent,
            ErrorClass::NotYet { .. } => Code::NotYet,
            ErrorClass::Transient { .. } => Code::Transient,
            ErrorClass::RateLimited { .. } => Code::RateLimited,
            ErrorClass::Ambiguous => Code::Ambiguous,
            ErrorClass::NotFound => Code::NotFound,
            ErrorClass::Conflict => Code::Conflict,
            ErrorClass::Invalid => Code::Invalid,
            ErrorClass::Unauthorized => Code::Unauthorized,
            ErrorClass::Denied => Code::Denied,
            ErrorClass::WrongCluster => Code::WrongCluster,
            ErrorClass::Unreachable => Code::Unreachable,
            ErrorClass::Failed => Code::Failed,
            ErrorClass::Bug => Code::ProviderBug,
        }
    }
}

impl From<&Blocked> for Code {
    fn from(blocked: &Blocked) -> Code {
        match blocked {
            Blocked::Decision { .. } | Blocked::NoSource { .. } | Blocked::Unrecorded { .. } => {
                Code::NothingRestored
            }
            Blocked::NoBackup { .. } | Blocked::NotThatOne { .. } => Code::NoBackup,
            Blocked::Gone { .. } => Code::SourceGone,
            Blocked::NameTaken { .. } | Blocked::TooSmall { .. } | Blocked::Rpo { .. } => {
                Code::RestoreBlocked
            }
        }
    }
}

impl From<&PlanError> for Code {
    fn from(error: &PlanError) -> Code {
        match error {
            PlanError::Foreign { .. } => Code::Foreign,
            PlanError::MarkTaken { .. } => Code::MarkTaken,
            PlanError::Renamed { .. } => Code::Renamed,
            PlanError::MoveBlocked { .. } => Code::MoveBlocked,
            PlanError::Kept { .. } => Code::Kept,
            PlanError::Protected { .. } => Code::Protected,
            PlanError::LiveWriter { .. } => Code::LiveWriter,
            PlanError::WideToken { .. } => Code::WideToken,
            PlanError::ObservedMissing { .. } => Code::ObservedMissing,
            PlanError::OutsideMissing { .. } => Code::OutsideMissing,
            PlanError::StillNeeded { .. } => Code::StillNeeded,
            PlanError::Serving { .. } => Code::Serving,
            PlanError::NothingToReplace { .. } => Code::NothingToReplace,
            PlanError::Cycle { .. } => Code::PlanCycle,
            PlanError::Exposes { .. } => Code::Exposes,
            PlanError::Refused { .. } => Code::WouldRefuse,
            PlanError::Immutable { .. } => Code::Immutable,
            PlanError::Disputed { .. } => Code::Disputed,
            PlanError::EmptyDatabase { .. } => Code::EmptyDatabase,
            PlanError::NoDatabase { .. } => Code::NoDatabase,
            PlanError::FlipTooEarly { .. } => Code::FlipTooEarly,
            PlanError::Objective { .. } => Code::OutOfReach,
        }
    }
}

impl From<&StateError> for Code {
    fn from(error: &StateError) -> Code {
        match error {
            StateError::Locked { .. } => Code::Locked,
            StateError::Damaged { .. } => Code::StateDamaged,
            StateError::Lost { .. } => Code::StateLost,
            StateError::RolledBack { .. } => Code::StateRolledBack,
            StateError::World { .. } => Code::StateWorld,
            StateError::Lineage { .. } => Code::StateLineage,
            StateError::Newer { .. } => Code::StateNewer,
            StateError::Insecure(_) => Code::StateInsecure,
            StateError::Sealed { .. } => Code::StateSealed,
            StateError::Unsealed { .. } => Code::StateUnsealed,
            StateError::Fenced { .. } | StateError::Broken { .. } => Code::StateTakenOver,
            StateError::Uninitialised { .. } => Code::StateUninitialised,
            StateError::Store { .. } if error.class() == Class::Unfit => Code::StateUnfit,
            StateError::Store { .. } => Code::StateStore,
            StateError::Unsupported { .. } => Code::StateUnfit,
            StateError::Illegal { .. } | StateError::NotHeld { .. } => Code::StateIllegal,
            StateError::Poisoned { .. } | StateError::Io { .. } => Code::StateUnwritable,
        }
    }
}
