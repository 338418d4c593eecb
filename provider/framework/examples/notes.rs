//! A complete provider: notes, kept as text files in a directory.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use pulumi_provider::{
    Context, Created, Error, Observed, Package, Prior, Provider, RemoteError, Resource, Secret,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::fs;

/// Where notes are kept.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Notes {
    /// An existing directory.
    #[schemars(extend("env" = ["NOTES_DIRECTORY"]))]
    directory: PathBuf,
}

impl Provider for Notes {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, Error> {
        Ok(config)
    }
}

/// A text file in the notes directory.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Note {
    /// The file's name.
    #[schemars(extend("replace" = true, "autoname" = true), regex(pattern = r"^[\w-]+(\.[\w-]+)*$"))]
    name: String,
    /// What the note says; nobody else needs to know.
    text: Secret<String>,
}

/// What is known of a note once it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Written {
    /// The size of the file in bytes.
    size: u32,
}

impl Note {
    async fn write(&self, cx: &Context<Notes>) -> Result<Written, Error> {
        cx.alive()?;
        let (path, text) = (cx.provider().directory.join(&self.name), self.text.expose());
        fs::write(&path, text)
            .await
            .map_err(|error| failed("write", &self.name, &error))?;
        Ok(Written {
            size: u32::try_from(text.len()).unwrap_or(u32::MAX),
        })
    }
}

fn failed(operation: &str, name: &str, error: &io::Error) -> Error {
    let (operation, subject) = (operation.to_owned(), format!("note {name}"));
    RemoteError {
        operation,
        subject,
        message: error.to_string(),
        ..RemoteError::default()
    }
    .into()
}

impl Resource for Note {
    type Provider = Notes;
    type Args = Self;
    type State = Written;

    const TOKEN: &'static str = "notes:index:Note";

    async fn create(cx: &Context<Notes>, args: Self) -> Result<Created<Written>, Error> {
        Ok(Created {
            state: args.write(cx).await?,
            id: args.name.clone(),
        })
    }

    async fn read(
        cx: &Context<Notes>,
        id: &str,
        _: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let text = match fs::read_to_string(cx.provider().directory.join(id)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| failed("read", id, &error))?,
        };
        let state = Written {
            size: u32::try_from(text.len()).unwrap_or(u32::MAX),
        };
        Ok(Some(Observed::new(
            Self {
                name: id.to_owned(),
                text: text.into(),
            },
            state,
        )))
    }

    async fn update(
        cx: &Context<Notes>,
        _: &str,
        _: Prior<Self>,
        args: Self,
    ) -> Result<Written, Error> {
        args.write(cx).await
    }

    async fn delete(cx: &Context<Notes>, id: &str, _: Prior<Self>) -> Result<(), Error> {
        match fs::remove_file(cx.provider().directory.join(id)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("delete", id, &error)),
            _ => Ok(()),
        }
    }
}

fn main() -> std::process::ExitCode {
    pulumi_provider::run(Package::<Notes>::new("notes", "0.1.0").resource::<Note>())
}
