//! The events of a running operation, from the file that it writes.

use std::path::Path;

use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::Error;
use crate::events::Event;

/// What fails when events cannot be read.
pub(super) const READING_EVENTS: &str = "reading the events of the operation";

/// Reads a growing file of events.
pub(super) struct Reader {
    file: File,
    /// A line that is not yet complete.
    rest: Vec<u8>,
}

impl Reader {
    pub(super) async fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).await;
        Ok(Self {
            file: file.map_err(Error::io(READING_EVENTS))?,
            rest: Vec::new(),
        })
    }

    /// Reads on from where it ended the last time.
    pub(super) async fn read(&mut self, tell: &mut impl FnMut(Event)) -> Result<(), Error> {
        let read = self.file.read_to_end(&mut self.rest).await;
        read.map_err(Error::io(READING_EVENTS))?;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            match serde_json::from_slice(line) {
                Ok(event) => tell(event),
                Err(error) => tracing::debug!(%error, "an event that cannot be read"),
            }
        }
        Ok(())
    }
}
