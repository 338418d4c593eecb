//! The plugin process: arguments, port line, serving, and a bounded end.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use pulumi_proto::pulumirpc::resource_provider_server::ResourceProviderServer;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tracing_subscriber::EnvFilter;

use crate::calllog::{CALL_LOG_ENV, CallLog};
use crate::engine::{Engine, MAX_MESSAGE};
use crate::env::{Env, ProcessEnv};
use crate::package::Package;
use crate::redact::Scrubbed;
use crate::resource::Provider;
use crate::server::Server;

/// The engine sends SIGKILL five seconds after SIGINT.
const DRAIN: Duration = Duration::from_secs(4);

/// What the command line asks for. Engines may add flags: an unknown one is not an error.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    engine: Option<String>,
    verbosity: u8,
    schema: bool,
    version: bool,
}

impl Arguments {
    fn parse(args: impl Iterator<Item = String>) -> Self {
        let mut parsed = Self::default();
        let mut args = args.peekable();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "schema" => parsed.schema = true,
                "--version" => parsed.version = true,
                "--tracing" | "-tracing" => {
                    args.next();
                }
                flag if flag.starts_with('-') => {
                    let name = flag.trim_start_matches('-');
                    if let Some(level) = name.strip_prefix("v=").and_then(|l| l.parse().ok()) {
                        parsed.verbosity = level;
                    }
                }
                address => parsed.engine = Some(address.to_owned()),
            }
        }
        parsed
    }
}

/// Runs the provider as a plugin process and returns its exit code: everything `main` has to do.
///
/// Without an engine address it serves until it is attached to (`PULUMI_DEBUG_PROVIDERS`). `schema` prints the package
/// schema, `--version` the version.
#[must_use]
pub fn run<P: Provider>(package: Package<P>) -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    if arguments.version {
        return print(&package.version);
    }
    if arguments.schema {
        return match package.schema().map(|s| serde_json::to_string_pretty(&s)) {
            Ok(Ok(text)) => print(&text),
            Ok(Err(error)) => complain(&error.to_string()),
            Err(error) => complain(&error.to_string()),
        };
    }
    start_logging(arguments.verbosity);
    crate::redact::scrub_panics();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("no runtime: {error}")),
    };
    let result = runtime.block_on(serve(package, arguments.engine.as_deref()));
    // A request that will not end must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

/// Writes to standard output. Who reads only the beginning has what they want.
fn print(text: &str) -> ExitCode {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&error.to_string())
        }
        _ => ExitCode::SUCCESS,
    }
}

fn complain(problem: &str) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::FAILURE
}

fn start_logging(verbosity: u8) {
    let default = match verbosity {
        0..=2 => "warn",
        3..=6 => "info",
        7..=8 => "debug",
        _ => "trace",
    };
    // The transport's frames may carry what the log must not.
    let quiet = "h2=warn,hyper=warn,hyper_util=warn,tower=warn";
    let filter = EnvFilter::try_from_env("PULUMI_PROVIDER_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("{default},{quiet}")));
    let result = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(|| Scrubbed(std::io::stderr()))
        .try_init();
    if let Err(error) = result {
        eprintln!("logging stays as it is: {error}");
    }
}

async fn serve<P: Provider>(package: Package<P>, address: Option<&str>) -> Result<(), String> {
    let env = ProcessEnv;
    let log = match env.get(CALL_LOG_ENV) {
        Some(path) => CallLog::to_file(&path).map_err(|e| format!("{CALL_LOG_ENV}={path}: {e}"))?,
        None => CallLog::default(),
    };
    let engine = Engine::default();
    if let Some(address) = address {
        engine.connect(address);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|e| e.to_string())?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    {
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{port}")
            .and_then(|()| stdout.flush())
            .map_err(|e| e.to_string())?;
    }
    // Meanwhile the engine connects.
    let settled = package.settled().map_err(|e| e.to_string())?;
    let stop = CancellationToken::new();
    if let Some(address) = address {
        watch_input(stop.clone());
        tokio::spawn(watch_engine(address.to_owned(), stop.clone()));
    }
    tokio::spawn(watch_signals(stop.clone()));
    let service = ResourceProviderServer::new(Server::new(settled, Arc::new(env), engine, log))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let server = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(
            // The engine asks one thing after the other; without this an answer may wait 40 ms for an acknowledgement.
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stop.clone().cancelled_owned(),
        );
    tokio::select! {
        result = server => result.map_err(|e| e.to_string()),
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => Ok(()),
    }
}

async fn watch_signals(stop: CancellationToken) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            return;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    stop.cancel();
}

/// The engine holds our standard input open; its end is the engine's end. A thread, since a read cannot be cancelled.
fn watch_input(stop: CancellationToken) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        // Somebody who starts the plugin by hand may have no input at all; that says nothing about the engine.
        let pipe = std::fs::metadata("/dev/stdin")
            .is_ok_and(|m| m.file_type().is_fifo() || m.file_type().is_socket());
        if !pipe {
            return;
        }
    }
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut buffer = [0; 256];
        while let Ok(1..) = std::io::Read::read(&mut input, &mut buffer) {}
        stop.cancel();
    });
}

/// An engine that was there and is there no more has crashed. One that never answered may be a test without an engine.
async fn watch_engine(address: String, stop: CancellationToken) {
    let mut seen = false;
    let mut missing = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        match tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(&address)).await {
            Ok(Ok(_)) => {
                seen = true;
                missing = 0;
            }
            _ if seen => missing += 1,
            _ => {}
        }
        if missing >= 2 {
            tracing::warn!(%address, "the engine is gone");
            return stop.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Arguments {
        Arguments::parse(args.iter().map(ToString::to_string))
    }

    #[test]
    fn takes_the_address_and_tolerates_flags() {
        let given = parse(&[
            "--logtostderr",
            "-v=9",
            "--tracing",
            "x",
            "--new-flag",
            "127.0.0.1:5",
        ]);
        assert_eq!(given.engine.as_deref(), Some("127.0.0.1:5"));
        assert_eq!(given.verbosity, 9);
        assert_eq!(parse(&[]).engine, None);
    }
}
