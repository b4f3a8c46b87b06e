//! The account and what it can buy.

use serde_json::{Value, json};

use crate::call::{Call, Scene};
use crate::reply;

use super::{Answer, catalog, page};

pub(super) fn account(scene: &Scene<'_, '_>, _call: &Call) -> Answer {
    let id = &scene.identity.id;
    Ok(reply::json(
        200,
        &json!({"account": {
            "droplet_limit": 25, "floating_ip_limit": 5, "volume_limit": 100,
            "email": "sandbox@zonewright.dev", "name": "Sandbox", "uuid": id,
            "email_verified": true, "status": "active", "status_message": "",
            "team": {"name": "Sandbox", "uuid": format!("team-{id}")},
        }}),
    ))
}

pub(super) fn regions(call: &Call) -> Answer {
    let sizes: Vec<&str> = catalog::SIZES.iter().map(|size| size.slug).collect();
    let features = ["backups", "ipv6", "metadata", "storage"];
    let regions = catalog::REGIONS.map(|(slug, name, _)| {
        json!({"slug": slug, "name": name, "available": true, "features": features,
            "sizes": sizes})
    });
    page::list(call, "regions", regions.to_vec())
}

pub(super) fn sizes(call: &Call) -> Answer {
    let regions: Vec<&str> = catalog::REGIONS.iter().map(|(slug, ..)| *slug).collect();
    let show = |size: &catalog::Size| -> Value {
        let monthly = f64::from(size.price_monthly);
        json!({
            "slug": size.slug, "description": size.description, "available": true,
            "vcpus": size.vcpus, "memory": size.memory, "disk": size.disk,
            "transfer": f64::from(size.transfer), "price_monthly": monthly,
            // A month is billed as 672 hours at most; five digits are shown.
            "price_hourly": (monthly / 672.0 * 1e5).round() / 1e5,
            "regions": regions,
        })
    };
    page::list(call, "sizes", catalog::SIZES.iter().map(show).collect())
}
