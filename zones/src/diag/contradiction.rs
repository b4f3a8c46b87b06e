//! The contradictions that documents of such platforms are known to hold, X1 to X14, and what holds each
//! of them apart: a code, or that a spec has no way to say both.

/// The page of a contradiction: `X2`.
pub(super) fn explain(name: &str) -> Option<&'static str> {
    let found = PAGES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map(|(_, page)| *page)
}

const PAGES: [(&str, &str); 14] = [
    (
        "X1",
        "An RPO of minutes against a backup a day.\n\n\
     ZW3020 compares `[objectives] rpo` with what the way of getting the data can promise, in every plan; with `strict = true` it is an error \
     (ZW3110).",
    ),
    (
        "X2",
        "Two names and namespaces for one issuer and its Secret.\n\n\
     ZW1902. Names are written once, as fields of the spec, and the objects that look for them are compared with them.",
    ),
    (
        "X3",
        "A network for each zone against the region's shared one.\n\n\
     ZW1903, and ZW1304 for networks that overlap.",
    ),
    ("X4", "Two names for one database.\n\nZW1904."),
    (
        "X5",
        "Components that one document has and another lacks.\n\n\
     ZW1905. Every component is a declaration that can be left out; what needs it says so.",
    ),
    (
        "X6",
        "A database of its own in the zone that stands by, neither replica nor restored.\n\nZW3121 refuses it.",
    ),
    (
        "X7",
        "Served means 200, or 200 or 301, by whichever zone.\n\n\
     Held by construction: there is no setting for it. The RTO counts from the declaration of a disaster until the shared name answers with 200 \
     and leads to the zone that took over, and `plan -v` says so beside the figure. The generated probe takes 200 alone as success, after \
     redirects, and the DNS probe beside it wants the zone's own answer.",
    ),
    (
        "X8",
        "Two definitions of the RPO.\n\n\
     Held by construction: there is no setting for it. The RPO is the age of the newest data that survives: with a replica the lag at its \
     promotion, with a restore the age of the backup when the disaster is declared. Plans say which of the two a figure is.",
    ),
    (
        "X9",
        "Records of zones stay untouched, and follow a load balancer that is new.\n\n\
     ZW1909. A zone's record changes with the load balancer, in a step before the flip; the flip changes the shared record alone.",
    ),
    (
        "X10",
        "Errors at which somebody is called against errors at which a switch is given up.\n\n\
     Held by construction: `[observability]` has no thresholds. The numbers of the alerts are those of the checks (the lag is one figure for both), \
     and a switch is held by checks that pass or fail, not by an error ratio that could be mistaken for the alert's.",
    ),
    (
        "X11",
        "Three replicas at once, or one and then up.\n\n\
     ZW1911, and the staged list `zonewright.dev/scale-through` (ZW1915).",
    ),
    (
        "X12",
        "Three lower bounds of a TTL.\n\n\
     ZW1912; what no plan of the vendor allows is an error (ZW1301).",
    ),
    (
        "X13",
        "A flip by hand against automation.\n\n\
     ZW1913. `[project] active` names the zone, a plan shows what changes, and nothing is sent without an approval of that plan.",
    ),
    (
        "X14",
        "A verified database connection against an application that cannot express it.\n\nZW1914.",
    ),
];
