//! The line about the media: from `[media]` and the zone's own credentials.

use super::{List, WEEK, check, writing};
use crate::check::{Check, Entry, MediaProbe, MediaSource, Probe};
use crate::config::{Media, MediaMode};
use crate::declared::{Declared, Source};

impl List<'_> {
    pub(super) fn media(&self) -> Check {
        let source = self.copied();
        let title = match &source {
            None => "an object goes into the media bucket, comes back equal and is removed",
            Some(_) => {
                "the zone's media bucket works, and holds what the serving zone's has had for long enough"
            }
        };
        let probe = match (declared(&self.zone), self.credentials()) {
            (Some(media), Some((key, secret))) => Probe::Media(MediaProbe {
                endpoint: media.endpoint.clone(),
                bucket: media.bucket.clone(),
                key,
                secret,
                source,
            }),
            (Some(_), None) => Probe::Missing(
                "no Secret of the zone has entries that end with ACCESS_KEY_ID and SECRET_ACCESS_KEY"
                    .to_owned(),
            ),
            (None, _) => self.absent("`[media]`", declared(&self.serving).is_some()),
        };
        writing(check("media", title, &["BZ-23"], probe), WEEK)
    }

    /// The bucket that this zone's is a copy of: the one of the zone that serves.
    fn copied(&self) -> Option<MediaSource> {
        let own = declared(&self.zone)?;
        let MediaMode::Replicated { max_lag_s, .. } = &own.mode else {
            return None;
        };
        let source = declared(&self.serving)?;
        self.zone.standby().then(|| MediaSource {
            endpoint: source.endpoint.clone(),
            bucket: source.bucket.clone(),
            max_lag_s: *max_lag_s,
        })
    }

    fn credentials(&self) -> Option<(Entry, Entry)> {
        let sources = self.zone.sources();
        let find = |end: &str, not: &str| {
            let fits = |s: &&Source<'_>| s.entry.key.ends_with(end) && !s.entry.key.ends_with(not);
            sources.iter().find(fits).map(|s| s.entry.clone())
        };
        let key = find("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")?;
        Some((key, find("SECRET_ACCESS_KEY", "ACCESS_KEY_ID")?))
    }
}

fn declared<'a>(zone: &Declared<'a>) -> Option<&'a Media> {
    zone.inputs.config.zone(zone.zone)?.media.as_ref()
}
