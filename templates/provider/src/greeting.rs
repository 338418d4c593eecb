//! A greeting, kept as a text file: replace it with what you manage.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use pulumi_provider::{Context, Created, Error, Observed, Prior, RemoteError, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::fs;

use crate::Configured;

/// A greeting that somebody will read.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Greeting {
    /// Whom it greets. Another name is another greeting. Default: derived from the resource's name.
    #[schemars(extend("replace" = true, "autoname" = true), regex(pattern = r"^[\w-]+$"))]
    pub name: String,
    /// What it says.
    pub text: String,
}

/// What is known once it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// The path of the file.
    pub path: String,
}

fn path(cx: &Context<Configured>, name: &str) -> PathBuf {
    PathBuf::from(&cx.provider().config.directory).join(name)
}

/// What users see: what was attempted, on what, and what came back.
fn failed(operation: &str, name: &str, error: &io::Error) -> Error {
    RemoteError {
        operation: operation.to_owned(),
        subject: format!("greeting {name}"),
        message: error.to_string(),
        ..RemoteError::default()
    }
    .into()
}

async fn write(cx: &Context<Configured>, args: &Greeting) -> Result<Written, Error> {
    let path = path(cx, &args.name);
    fs::write(&path, &args.text)
        .await
        .map_err(|error| failed("write", &args.name, &error))?;
    Ok(Written {
        path: path.display().to_string(),
    })
}

impl Resource for Greeting {
    type Provider = Configured;
    type Args = Self;
    type State = Written;
    const TOKEN: &'static str = "{{package}}:index:Greeting";

    async fn create(cx: &Context<Configured>, args: Self) -> Result<Created<Written>, Error> {
        let state = write(cx, &args).await?;
        Ok(Created {
            id: args.name,
            state,
        })
    }

    // Called by refresh and import; `None` when it is gone.
    async fn read(
        cx: &Context<Configured>,
        id: &str,
        _: Option<Prior<Self>>,
    ) -> Result<Option<Observed<Self>>, Error> {
        let path = path(cx, id);
        match fs::read_to_string(&path).await {
            Ok(text) => {
                let written = Written {
                    path: path.display().to_string(),
                };
                Ok(Some(Observed::new(
                    Self {
                        name: id.to_owned(),
                        text,
                    },
                    written,
                )))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", id, &error)),
        }
    }

    async fn update(
        cx: &Context<Configured>,
        _: &str,
        _: Prior<Self>,
        args: Self,
    ) -> Result<Written, Error> {
        write(cx, &args).await
    }

    async fn delete(cx: &Context<Configured>, id: &str, _: Prior<Self>) -> Result<(), Error> {
        match fs::remove_file(path(cx, id)).await {
            // It is gone: that is all that was asked for.
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("delete", id, &error)),
            _ => Ok(()),
        }
    }
}
