//! A provider process, and a fake engine for it to talk to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prost::Message;
use prost_types::{Struct, Value, value::Kind};
use pulumi_proto::google::rpc::Status as RichStatus;
use pulumi_proto::pulumirpc as rpc;
use pulumi_proto::pulumirpc::engine_server::{Engine, EngineServer};
use pulumi_proto::pulumirpc::resource_monitor_server::{ResourceMonitor, ResourceMonitorServer};
use pulumi_proto::pulumirpc::resource_provider_client::ResourceProviderClient;
use pulumi_provider::{PropertyMap, PropertyValue, wire};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

pub(crate) const LIMIT: usize = 400 << 20;

/// The binary of an example, built beside the test.
fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --examples`",
        path.display()
    );
    path
}

pub(crate) struct Plugin {
    pub(crate) process: Child,
    pub(crate) client: ResourceProviderClient<Channel>,
}

/// Starts an example and reads its port line.
pub(crate) async fn launch(name: &str, args: &[&str], env: &[(&str, &str)]) -> Plugin {
    let mut process = Command::new(example(name))
        .args(args)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    soon(stdout.read_line(&mut line)).await.unwrap();
    let port: u16 = line.trim().parse().expect("the first line is the port");
    let channel = Channel::from_shared(format!("http://127.0.0.1:{port}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let client = ResourceProviderClient::new(channel)
        .max_decoding_message_size(LIMIT)
        .max_encoding_message_size(LIMIT);
    Plugin { process, client }
}

/// The conformance provider after Handshake and Configure.
pub(crate) async fn lab(engine: &FakeEngine) -> Plugin {
    let mut lab = launch("conformance", &[&engine.address], &[]).await;
    lab.client
        .handshake(handshake(&engine.address))
        .await
        .unwrap();
    lab.configure().await;
    lab
}

impl Plugin {
    /// What begins a run.
    pub(crate) async fn configure(&mut self) {
        let args = properties([
            (
                "token",
                PropertyValue::from("token-of-the-lab").into_secret(),
            ),
            ("door", "front".into()),
        ]);
        let request = rpc::ConfigureRequest {
            args: Some(args),
            accept_secrets: true,
            accept_resources: true,
            ..rpc::ConfigureRequest::default()
        };
        self.client.configure(request).await.unwrap();
    }
}

pub(crate) fn handshake(engine: &str) -> rpc::ProviderHandshakeRequest {
    rpc::ProviderHandshakeRequest {
        engine_address: engine.to_owned(),
        configure_with_urn: true,
        invoke_with_preview: true,
        ..rpc::ProviderHandshakeRequest::default()
    }
}

/// What must happen within seconds.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work)
        .await
        .expect("it did not happen within 30 s")
}

pub(crate) fn urn(kind: &str, name: &str) -> String {
    format!("urn:pulumi:dev::app::lab:index:{kind}::{name}")
}

pub(crate) fn map(pairs: impl IntoIterator<Item = (&'static str, PropertyValue)>) -> PropertyMap {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

pub(crate) fn properties(pairs: impl IntoIterator<Item = (&'static str, PropertyValue)>) -> Struct {
    wire::encode(&map(pairs))
}

pub(crate) fn decoded(message: Option<&Struct>) -> PropertyMap {
    wire::decode(message).unwrap()
}

pub(crate) fn create(kind: &str, name: &str, inputs: Struct) -> rpc::CreateRequest {
    rpc::CreateRequest {
        urn: urn(kind, name),
        properties: Some(inputs),
        ..rpc::CreateRequest::default()
    }
}

/// The one detail of an error; the code inside must be the one outside.
pub(crate) fn detail<T: Message + Default>(status: &Status, name: &str) -> T {
    let rich = RichStatus::decode(status.details()).unwrap();
    assert_eq!(rich.code, status.code() as i32);
    assert_eq!(rich.details.len(), 1);
    assert!(
        rich.details[0]
            .type_url
            .ends_with(&format!("/pulumirpc.{name}"))
    );
    T::decode(rich.details[0].value.as_slice()).unwrap()
}

/// Every value sent must have a kind, or the engine dies of it.
pub(crate) fn assert_complete(message: &Struct) {
    fn complete(value: &Value) -> bool {
        match &value.kind {
            None => false,
            Some(Kind::ListValue(list)) => list.values.iter().all(complete),
            Some(Kind::StructValue(object)) => object.fields.values().all(complete),
            Some(_) => true,
        }
    }
    assert!(message.fields.values().all(complete), "{message:?}");
}

/// What the monitor was asked, in order.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Register(Box<rpc::RegisterResourceRequest>),
    Registered(String),
    Outputs(rpc::RegisterResourceOutputsRequest),
}

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) events: Vec<Event>,
    pub(crate) logs: Vec<rpc::LogRequest>,
    /// Names of children that fail.
    pub(crate) fail: BTreeSet<String>,
    /// How long registrations of these names take.
    pub(crate) slow: BTreeMap<String, Duration>,
    /// The monitor answers nothing but that it is shut down.
    pub(crate) gone: bool,
    pub(crate) preview: bool,
}

/// An engine and its monitor on one address.
pub(crate) struct FakeEngine {
    pub(crate) address: String,
    pub(crate) script: Arc<Mutex<Script>>,
}

#[derive(Clone)]
struct Service(Arc<Mutex<Script>>);

impl FakeEngine {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Arc::<Mutex<Script>>::default();
        let service = Service(script.clone());
        let server = tonic::transport::Server::builder()
            .add_service(EngineServer::new(service.clone()))
            .add_service(ResourceMonitorServer::new(service).max_decoding_message_size(LIMIT))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        Self { address, script }
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Script) -> T) -> T {
        look(&mut self.script.lock().unwrap())
    }

    /// The registrations, the component's first.
    pub(crate) fn registrations(&self) -> Vec<rpc::RegisterResourceRequest> {
        self.with(|script| {
            script
                .events
                .iter()
                .filter_map(|event| match event {
                    Event::Register(request) => Some((**request).clone()),
                    _ => None,
                })
                .collect()
        })
    }
}

type Reply<T> = Result<Response<T>, Status>;

fn unexpected<T>() -> Reply<T> {
    Err(Status::unimplemented("nobody should ask for this"))
}

#[tonic::async_trait]
impl Engine for Service {
    async fn log(&self, request: Request<rpc::LogRequest>) -> Reply<()> {
        self.0.lock().unwrap().logs.push(request.into_inner());
        Ok(Response::new(()))
    }

    async fn get_root_resource(
        &self,
        _: Request<rpc::GetRootResourceRequest>,
    ) -> Reply<rpc::GetRootResourceResponse> {
        unexpected()
    }

    async fn set_root_resource(
        &self,
        _: Request<rpc::SetRootResourceRequest>,
    ) -> Reply<rpc::SetRootResourceResponse> {
        unexpected()
    }

    async fn start_debugging(&self, _: Request<rpc::StartDebuggingRequest>) -> Reply<()> {
        unexpected()
    }

    async fn require_pulumi_version(
        &self,
        _: Request<rpc::RequirePulumiVersionRequest>,
    ) -> Reply<rpc::RequirePulumiVersionResponse> {
        unexpected()
    }
}

#[tonic::async_trait]
impl ResourceMonitor for Service {
    async fn register_resource(
        &self,
        request: Request<rpc::RegisterResourceRequest>,
    ) -> Reply<rpc::RegisterResourceResponse> {
        let request = request.into_inner();
        let (wait, fails, preview) = {
            let mut script = self.0.lock().unwrap();
            if script.gone {
                return Err(Status::new(Code::Unavailable, "resource monitor shut down"));
            }
            script
                .events
                .push(Event::Register(Box::new(request.clone())));
            (
                script.slow.get(&request.name).copied(),
                script.fail.contains(&request.name),
                script.preview,
            )
        };
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        let mut script = self.0.lock().unwrap();
        script.events.push(Event::Registered(request.name.clone()));
        let mut outputs = decoded(request.object.as_ref());
        let known = request.custom && !preview;
        if known {
            outputs.insert("place".into(), format!("shelf/{}", request.name).into());
        }
        Ok(Response::new(rpc::RegisterResourceResponse {
            urn: format!("urn:pulumi:dev::app::{}::{}", request.r#type, request.name),
            id: if known { request.name } else { String::new() },
            object: request.custom.then(|| wire::encode(&outputs)),
            result: if fails {
                rpc::Result::Fail
            } else {
                rpc::Result::Success
            }
            .into(),
            ..rpc::RegisterResourceResponse::default()
        }))
    }

    async fn register_resource_outputs(
        &self,
        request: Request<rpc::RegisterResourceOutputsRequest>,
    ) -> Reply<()> {
        let mut script = self.0.lock().unwrap();
        script.events.push(Event::Outputs(request.into_inner()));
        Ok(Response::new(()))
    }

    async fn supports_feature(
        &self,
        _: Request<rpc::SupportsFeatureRequest>,
    ) -> Reply<rpc::SupportsFeatureResponse> {
        unexpected()
    }

    async fn get_deployment_info(&self, _: Request<()>) -> Reply<rpc::DeploymentInfo> {
        unexpected()
    }

    async fn invoke(
        &self,
        _: Request<rpc::ResourceInvokeRequest>,
    ) -> Reply<rpc::ResourceInvokeResponse> {
        unexpected()
    }

    async fn call(&self, _: Request<rpc::ResourceCallRequest>) -> Reply<rpc::CallResponse> {
        unexpected()
    }

    async fn read_resource(
        &self,
        _: Request<rpc::ReadResourceRequest>,
    ) -> Reply<rpc::ReadResourceResponse> {
        unexpected()
    }

    async fn register_stack_transform(&self, _: Request<rpc::Callback>) -> Reply<()> {
        unexpected()
    }

    async fn register_stack_invoke_transform(&self, _: Request<rpc::Callback>) -> Reply<()> {
        unexpected()
    }

    async fn register_resource_hook(
        &self,
        _: Request<rpc::RegisterResourceHookRequest>,
    ) -> Reply<()> {
        unexpected()
    }

    async fn register_error_hook(&self, _: Request<rpc::RegisterErrorHookRequest>) -> Reply<()> {
        unexpected()
    }

    async fn register_package(
        &self,
        _: Request<rpc::RegisterPackageRequest>,
    ) -> Reply<rpc::RegisterPackageResponse> {
        unexpected()
    }

    async fn signal_and_wait_for_shutdown(&self, _: Request<()>) -> Reply<()> {
        unexpected()
    }
}
