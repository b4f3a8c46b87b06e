//! What the notes of a plan mean, by code.

/// The page of a code, if it is one of a plan's notes.
pub fn explain(code: &str) -> Option<&'static str> {
    PAGES
        .iter()
        .find(|(c, _)| *c == code)
        .map(|(_, page)| *page)
}

const PAGES: &[(&str, &str)] = &[
    (
        "ZW3001",
        "could not be read and is left alone\n\n\
         The other side did not answer, or not with what was asked for. What is recorded stays recorded, and nothing is done to it: \
         what cannot be seen is never taken for absent. Other resources go on. The next plan looks again.\n",
    ),
    (
        "ZW3002",
        "holds data, and the data goes with it\n\n\
         A resource that holds data (a database, a replica) is deleted or replaced. It was set to `protect = false`, otherwise there \
         would be no plan. Make sure that a backup exists and can be restored, or keep it.\n",
    ),
    (
        "ZW3003",
        "is deleted in the zone that serves\n\n\
         Users may notice: the resource belongs to the active zone or to the edge. Check that nothing that serves needs it.\n",
    ),
    (
        "ZW3004",
        "was compared with the state only, not looked at\n\n\
         `--refresh none` or `--refresh changed` left this resource out. What was changed outside is not seen. Applying looks at it \
         once more before the write and stops if it is not what was expected.\n",
    ),
    (
        "ZW3005",
        "is not well, and is left alone\n\n\
         The resource is as the spec says, but the vendor reports that it failed. zonewright never replaces by itself what was ready \
         once. Look at it at the vendor; `zonewright plan --replace ADDRESS` replaces it when that is what you want.\n",
    ),
    (
        "ZW3006",
        "what it holds outside its container may stay behind\n\n\
         A load balancer's Service or a claim on a volume is deleted by request before its cluster goes, so that nothing is left that \
         costs money. The cluster could not be read, so that cannot be done. Look for volumes and load balancers at the vendor \
         afterwards.\n",
    ),
    (
        "ZW3020",
        "the RPO is out of reach\n\n\
         Contradiction X1. `[objectives] rpo` allows less loss than the chosen way of getting the data to the zone can promise. A zone that restores gets \
         the newest backup, which can be as old as the pause between two backups: a day for DigitalOcean's managed databases. A zone with \
         a replica loses what replication lags behind, a minute before the alarm goes off. Choose `strategy = \"replica\"` in \
         `[database]`, or write down an objective that can be met. With `strict = true` this is an error (exit code 6).\n",
    ),
    (
        "ZW3021",
        "the RTO is out of reach\n\n\
         `[objectives] rto` allows less time than the zone needs from the declaration of a disaster until users are served: typical \
         durations along the longest path of what it lacks of the serving zone, its data included, and the TTL of the record that is \
         flipped. `zonewright plan -v` names the path. Keep the zone warmer, lower the TTL, or write down an objective that can be met. With \
         `strict = true` this is an error (exit code 6).\n",
    ),
    (
        "ZW3030",
        "the zone serves, and its database is still a read-replica\n\n\
         `[project] active` was changed, and the zone that serves now has a replica of the other zone's database. Swapping roles does \
         not promote it: writes would fail. A promotion is a failover with steps of its own (stop the old writer, catch up, promote). \
         Name the old zone again, or say that the replica is promoted: `role = \"primary\"` on it. `zonewright runbook --to ZONE` leads through all of it. `apply` refuses such a plan (exit code 6); `--accept ZW3030` \
         applies it all the same, for a site that is only read.\n",
    ),
    (
        "ZW3031",
        "users are led to data that is not what they left\n\n\
         `[project] active` was changed to a zone with a database of its own, and nothing says how it gets the data of the zone that \
         served until now. That is the way back after a failover: the old primary has what was true when it died. Decide in \
         `[database]` of its zone file how it gets the data, apply it while the other zone serves, and let it catch up. `apply` refuses \
         such a plan (exit code 6); `--accept ZW3031` applies it all the same.\n",
    ),
    (
        "ZW3032",
        "the zone stands by and is exposed\n\n\
         The spec says `exposed = true` for a zone that stands by, so nothing refuses what makes it reachable from outside (ZW3120). Whoever finds \
         the way in sees yesterday's data, and what is written there is lost when the database is promoted or restored. A load balancer bills \
         as well. Take `exposed = true` out of `[zone]` or `[role.standby.zone]`; if it is meant, nothing else is needed.\n",
    ),
    (
        "ZW3033",
        "the DNS provider's token sees more domains than the spec has records in\n\n\
         Whoever gets hold of the token can change those, too. Make one with Zone Read and DNS Edit on the spec's domains alone. With \
         `[providers.cloudflare] narrow = \"required\"` such a plan is refused (ZW3127). Which domains it sees is looked at with one request, \
         when something of the provider is read; a token without Zone Read is not asked. `verify` has the same of the token that is in the \
         cluster, with names.\n",
    ),
    (
        "ZW3010",
        "is a stand-in of the sandbox, not the real chart\n\n\
         The chart's rendering is not vendored in `charts/<zone>/<name>.yaml`, so the sandbox uses a compact stand-in of its own. Outside the \
         sandbox this is an error. Vendor the rendering to rehearse with the real objects.\n",
    ),
];
