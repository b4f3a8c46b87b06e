use proptest::prelude::*;

use super::*;

fn check_ref(text: &str, expect: &str) {
    let got = match RefText::parse(text) {
        Ok(parsed) => parsed.to_string(),
        Err(e) => format!("error at {}: {e}", e.at),
    };
    assert_eq!(got, expect, "{text}");
}

#[test]
fn references_print_as_they_parse() {
    for text in [
        "digitalocean.vpc.main",
        "digitalocean.vpc.main.id",
        "pz/digitalocean.vpc.main.id",
        "active/cloudflare.dns_record.zone.name",
        "zone.region",
        "zone.subnets[0]",
        "secret.do_token",
        r#"kubernetes.chart.traefik["core/Service/platform/traefik"].status.loadBalancer.ingress[0].ip"#,
        r#"kubernetes.manifest.wp.metadata.labels["a.b"]"#,
    ] {
        check_ref(text, text);
    }
}

#[test]
fn what_is_no_reference_says_where() {
    check_ref("", "error at 0: expected a name, found the end");
    check_ref("zone", "error at 4: expected `.name` after `zone`");
    check_ref("secret.a.b", "error at 6: a secret has no attributes");
    check_ref(
        "digitalocean.vpc",
        "error at 16: expected `provider.kind.name`, `zone.setting` or `secret.name`",
    );
    check_ref("a.b.c.d[x]", "error at 8: `x` is not a list position");
    check_ref("a.b.c d", "error at 5: unexpected ` `");
    check_ref("a.b.c[\"x", "error at 6: this `\"` is never closed");
}

fn segment() -> impl Strategy<Value = Segment> {
    prop_oneof![
        "[a-zA-Z][a-zA-Z0-9_-]{0,6}".prop_map(Segment::Key),
        "\\PC{1,8}".prop_map(Segment::Key),
        (0usize..50).prop_map(Segment::Index),
    ]
}

proptest! {
    #[test]
    fn paths_round_trip(segments in proptest::collection::vec(segment(), 0..5)) {
        let path: AttrPath = segments.into_iter().collect();
        prop_assert_eq!(path.to_string().parse::<AttrPath>().unwrap(), path);
    }

    #[test]
    fn addresses_round_trip(
        zone in "[a-z][a-z0-9]{0,5}", provider in "[a-z]{1,8}", kind in "[a-z][a-z_]{0,8}",
        name in "[a-z][a-z0-9_-]{0,8}", key in proptest::option::of("[a-z\"\\\\]{1,5}/\\PC{0,9}"),
    ) {
        let zone = if zone == "active" || zone == "standby" { "z".to_owned() } else { zone };
        let kind = format!("{provider}.{kind}").parse().unwrap();
        let address = Address::new(zone.parse().unwrap(), kind, name.parse().unwrap(), key);
        prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,30}") {
        let _ = RefText::parse(&text);
        let _ = text.parse::<Address>();
        let _ = text.parse::<AttrPath>();
    }
}
