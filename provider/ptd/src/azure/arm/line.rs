//! The line of those who wait for the same thing to be free: only the first of them looks and tries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Place = tokio::sync::Mutex<()>;

/// The lines, by what is waited for. Without them, all who wait would ask at the same moment, and all but one in vain: of writes the service
/// takes a few a minute only, refused ones included.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Arc<Mutex<HashMap<String, Weak<Place>>>>);

/// The first place in a line, kept until this is dropped.
pub(super) type First = OwnedMutexGuard<()>;

impl Lines {
    /// Completes at the head of the line for a resource.
    pub(super) async fn first(&self, id: &str) -> First {
        let place = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.retain(|_, place| place.strong_count() > 0);
            let key = id.to_ascii_lowercase();
            let known = lines.get(&key).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let place = Arc::new(Place::default());
                lines.insert(key, Arc::downgrade(&place));
                place
            })
        };
        place.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_for_each_thing() {
        let lines = Lines::default();
        let first = lines.first("/a").await;
        assert!(lines.first("/b").now_or_never().is_some());
        let mut second = Box::pin(lines.first("/A"));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert!(second.now_or_never().is_some());
        // Nothing is kept of lines that have gone.
        drop(lines.first("/c").await);
        let left = lines.0.lock().expect("a lock").len();
        assert_eq!(left, 1);
    }
}
