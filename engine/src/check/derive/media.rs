//! The line about the media: from `[media]` and the zone's own credentials.

use super::{Check, Spec, WEEK, check, writing};
use crate::check::probe::{Entry, MediaProbe, MediaSource, Probe};
use crate::config::MediaMode;
use crate::expr::Expr;

impl Spec<'_> {
    pub(super) fn media(&self) -> Option<Check> {
        let media = self.inputs.config.zone(self.zone)?.media.as_ref()?;
        let source = self.copied();
        let title = match &source {
            None => "an object goes into the media bucket, comes back equal and is removed",
            Some(_) => {
                "the zone's media bucket works, and holds what the serving zone's has had for long enough"
            }
        };
        let probe = match self.credentials() {
            Some((key, secret)) => Probe::Media(MediaProbe {
                endpoint: media.endpoint.clone(),
                bucket: media.bucket.clone(),
                key,
                secret,
                source,
            }),
            None => Probe::Missing(
                "no Secret of the zone has entries that end with ACCESS_KEY_ID and SECRET_ACCESS_KEY"
                    .to_owned(),
            ),
        };
        Some(writing(check("media", title, &["BZ-23"], probe), WEEK))
    }

    /// The bucket that this zone's is a copy of: the one of the zone that serves.
    fn copied(&self) -> Option<MediaSource> {
        let config = &self.inputs.config;
        let own = config.zone(self.zone)?.media.as_ref()?;
        let MediaMode::Replicated { max_lag_s, .. } = &own.mode else {
            return None;
        };
        let source = config.zone(&config.active)?.media.as_ref()?;
        (*self.zone != config.active).then(|| MediaSource {
            endpoint: source.endpoint.clone(),
            bucket: source.bucket.clone(),
            max_lag_s: *max_lag_s,
        })
    }

    fn credentials(&self) -> Option<(Entry, Entry)> {
        let entries = self.entries();
        let find = |end: &str, not: &str| {
            let fits = |e: &&(Entry, &Expr)| e.0.key.ends_with(end) && !e.0.key.ends_with(not);
            entries.iter().find(fits).map(|(e, _)| e.clone())
        };
        let key = find("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")?;
        Some((key, find("SECRET_ACCESS_KEY", "ACCESS_KEY_ID")?))
    }
}
