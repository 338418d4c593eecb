//! The `ResourceProvider` service.

mod config;
mod construct;
mod operations;
mod plan;
mod status;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::{FutureExt, Stream};
use pulumi_proto::pulumirpc as rpc;
use pulumi_proto::pulumirpc::resource_provider_server::ResourceProvider;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::calllog::{CallLog, Record};
use crate::check::{Autonaming, Checking};
use crate::engine::Engine;
use crate::env::Env;
use crate::error::Error;
use crate::package::Settled;
use crate::redact::Guard;
use crate::resource::Provider;
use crate::schema::ObjectSpec;
use crate::value::PropertyMap;

pub(crate) use status::to_status;

/// How many resources are worked on at once. The engine may be told to ask for a thousand at a time: those beyond this number
/// cost no more than their messages until it is their turn.
const MAX_OPERATIONS: usize = 128;

/// One running provider process.
pub(crate) struct Server<P: Provider> {
    shared: Arc<Shared<P>>,
}

pub(crate) struct Shared<P: Provider> {
    package: Settled<P>,
    env: Arc<dyn Env>,
    engine: Engine,
    /// The instance that was configured last. With a debugger attached one process serves several, and requests do
    /// not say which.
    provider: RwLock<Option<Arc<P>>>,
    cancel: Mutex<CancellationToken>,
    /// Keep the secrets of the configuration out of everything that is written.
    kept: Mutex<Vec<Guard>>,
    operations: Semaphore,
    attached: AtomicBool,
    log: CallLog,
}

impl<P: Provider> Clone for Server<P> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

/// What a handler works with once the message is decoded.
type Reply<T> = Result<Response<T>, Status>;

impl<P: Provider> Server<P> {
    pub(crate) fn new(
        package: Settled<P>,
        env: Arc<dyn Env>,
        engine: Engine,
        log: CallLog,
    ) -> Self {
        let log = log.hiding(package.secret_names());
        let shared = Shared {
            package,
            env,
            engine,
            provider: RwLock::default(),
            cancel: Mutex::default(),
            kept: Mutex::default(),
            operations: Semaphore::new(MAX_OPERATIONS),
            attached: AtomicBool::default(),
            log,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Runs a handler so that neither a panic nor a secret gets out, and logs the call.
    async fn handle<T, F>(&self, method: &'static str, request: &impl Record, work: F) -> Reply<T>
    where
        T: Record,
        F: Future<Output = Result<T, Status>>,
    {
        let entry = self.shared.log.begin(method, request);
        let result = AssertUnwindSafe(work).catch_unwind().await;
        let result = result.unwrap_or_else(|_| {
            let panic = crate::redact::caught_panic();
            Err(to_status(&Error::Bug(format!("{method}: {panic}"))))
        });
        self.shared.log.end(&entry, result.as_ref());
        result.map(Response::new)
    }

    /// Handles an operation on a resource when it is its turn. Its future is large, and made only then.
    async fn operate<T, W, F>(
        &self,
        method: &'static str,
        urn: &str,
        request: &impl Record,
        work: W,
    ) -> Reply<T>
    where
        T: Record,
        W: FnOnce() -> F + Send,
        F: Future<Output = Result<T, Status>> + Send,
    {
        let work = async {
            // Taken before the wait: where engines attach, a cancel leaves a fresh token behind.
            let cancel = self.shared.cancellation();
            let _turn = tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    let during = format!("{method} of {}, which had not begun", name_of(urn, ""));
                    return Err(to_status(&Error::Cancelled { during }));
                }
                // Nobody closes it, which is the only way to fail.
                turn = self.shared.operations.acquire() => turn.ok(),
            };
            Box::pin(work()).await
        };
        self.handle(method, request, work).await
    }
}

impl<P: Provider> Shared<P> {
    /// A check of these inputs of no particular resource.
    fn checking<'a>(&'a self, spec: &'a ObjectSpec, inputs: PropertyMap) -> Checking<'a> {
        Checking {
            types: &self.package.types,
            spec,
            env: self.env.as_ref(),
            olds: PropertyMap::new(),
            inputs,
            failures: Vec::new(),
            name: String::new(),
            urn: String::new(),
            run: self.engine.address(),
            warnings: Vec::new(),
            autonaming: Autonaming::Default,
            seed: Vec::new(),
        }
    }

    fn provider(&self) -> Option<Arc<P>> {
        self.provider
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn configured(&self) -> Result<Arc<P>, Status> {
        self.provider()
            .ok_or_else(|| Status::failed_precondition("the provider is not configured yet"))
    }

    fn cancellation(&self) -> CancellationToken {
        self.cancel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Stops what runs now, and what the engine had already sent on its way: that must not keep the user waiting either.
    ///
    /// The next Configure begins a new run. A process that engines attach to serves several at once, and their calls do
    /// not say which they belong to: there, what comes later is served.
    fn cancel_running(&self) {
        let mut current = self.cancel.lock().unwrap_or_else(PoisonError::into_inner);
        current.cancel();
        if self.attached.load(Ordering::Relaxed) {
            *current = CancellationToken::new();
        }
    }

    /// A new run begins: the end of the one before is of no concern to it.
    fn begin_run(&self) {
        let mut current = self.cancel.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_cancelled() {
            *current = CancellationToken::new();
        }
    }
}

/// Decodes the properties of a request; their secrets stay redacted while the guard lives.
fn decode(message: Option<&prost_types::Struct>, guard: &mut Guard) -> Result<PropertyMap, Status> {
    let map = crate::wire::decode(message).map_err(|e| Status::invalid_argument(e.to_string()))?;
    guard.add_all(&map);
    Ok(map)
}

#[tonic::async_trait]
impl<P: Provider> ResourceProvider for Server<P> {
    async fn handshake(
        &self,
        request: Request<rpc::ProviderHandshakeRequest>,
    ) -> Reply<rpc::ProviderHandshakeResponse> {
        let request = request.into_inner();
        self.handle("Handshake", &request, async {
            if !request.engine_address.is_empty() {
                self.shared.engine.connect(&request.engine_address);
            }
            Ok(rpc::ProviderHandshakeResponse {
                accept_secrets: true,
                accept_resources: true,
                accept_outputs: true,
                supports_autonaming_configuration: true,
                accepts_byte_string: true,
            })
        })
        .await
    }

    async fn parameterize(
        &self,
        _: Request<rpc::ParameterizeRequest>,
    ) -> Reply<rpc::ParameterizeResponse> {
        Err(Status::unimplemented("this provider takes no parameters"))
    }

    async fn get_schema(
        &self,
        request: Request<rpc::GetSchemaRequest>,
    ) -> Reply<rpc::GetSchemaResponse> {
        let request = request.into_inner();
        self.handle("GetSchema", &request, async {
            if request.version != 0 {
                let text = format!(
                    "schema version {} is not supported, only 0",
                    request.version
                );
                return Err(Status::invalid_argument(text));
            }
            if !request.subpackage_name.is_empty() {
                let text = format!("there is no subpackage '{}'", request.subpackage_name);
                return Err(Status::invalid_argument(text));
            }
            let schema = serde_json::to_string(&self.shared.package.schema())
                .map_err(|error| Status::internal(error.to_string()))?;
            Ok(rpc::GetSchemaResponse { schema })
        })
        .await
    }

    async fn check_config(&self, request: Request<rpc::CheckRequest>) -> Reply<rpc::CheckResponse> {
        let request = request.into_inner();
        self.handle("CheckConfig", &request, async {
            self.check_config_(&request)
        })
        .await
    }

    async fn diff_config(&self, request: Request<rpc::DiffRequest>) -> Reply<rpc::DiffResponse> {
        let request = request.into_inner();
        self.handle("DiffConfig", &request, async {
            self.diff_config_(&request)
        })
        .await
    }

    async fn configure(
        &self,
        request: Request<rpc::ConfigureRequest>,
    ) -> Reply<rpc::ConfigureResponse> {
        let request = request.into_inner();
        self.shared.begin_run();
        self.handle("Configure", &request, async { self.configure_(&request) })
            .await
    }

    async fn invoke(&self, request: Request<rpc::InvokeRequest>) -> Reply<rpc::InvokeResponse> {
        let request = request.into_inner();
        self.handle("Invoke", &request, self.invoke_(&request))
            .await
    }

    async fn call(&self, request: Request<rpc::CallRequest>) -> Reply<rpc::CallResponse> {
        let request = request.into_inner();
        self.handle("Call", &request, self.call_(&request)).await
    }

    async fn check(&self, request: Request<rpc::CheckRequest>) -> Reply<rpc::CheckResponse> {
        let request = request.into_inner();
        self.handle("Check", &request, self.check_(&request)).await
    }

    async fn diff(&self, request: Request<rpc::DiffRequest>) -> Reply<rpc::DiffResponse> {
        let request = request.into_inner();
        self.handle("Diff", &request, async { self.diff_(&request) })
            .await
    }

    async fn create(&self, request: Request<rpc::CreateRequest>) -> Reply<rpc::CreateResponse> {
        let request = request.into_inner();
        self.operate("Create", &request.urn, &request, || self.create_(&request))
            .await
    }

    async fn read(&self, request: Request<rpc::ReadRequest>) -> Reply<rpc::ReadResponse> {
        let request = request.into_inner();
        self.operate("Read", &request.urn, &request, || self.read_(&request))
            .await
    }

    type ListStream = Pin<Box<dyn Stream<Item = Result<rpc::ListResponse, Status>> + Send>>;

    async fn list(&self, _: Request<rpc::ListRequest>) -> Reply<Self::ListStream> {
        Err(Status::unimplemented(
            "this provider does not list resources",
        ))
    }

    async fn update(&self, request: Request<rpc::UpdateRequest>) -> Reply<rpc::UpdateResponse> {
        let request = request.into_inner();
        self.operate("Update", &request.urn, &request, || self.update_(&request))
            .await
    }

    async fn delete(&self, request: Request<rpc::DeleteRequest>) -> Reply<()> {
        let request = request.into_inner();
        self.operate("Delete", &request.urn, &request, || self.delete_(&request))
            .await
    }

    async fn construct(
        &self,
        request: Request<rpc::ConstructRequest>,
    ) -> Reply<rpc::ConstructResponse> {
        let request = request.into_inner();
        // Boxed: the future of a construction is large, and most calls are none.
        let work = Box::pin(self.construct_(request.clone()));
        self.handle("Construct", &request, work).await
    }

    async fn cancel(&self, _: Request<()>) -> Reply<()> {
        self.handle("Cancel", &(), async {
            self.shared.cancel_running();
            Ok(())
        })
        .await
    }

    async fn get_plugin_info(&self, _: Request<()>) -> Reply<rpc::PluginInfo> {
        let version = self.shared.package.version.clone();
        self.handle("GetPluginInfo", &(), async {
            Ok(rpc::PluginInfo { version })
        })
        .await
    }

    async fn attach(&self, request: Request<rpc::PluginAttach>) -> Reply<()> {
        let request = request.into_inner();
        self.handle("Attach", &request, async {
            self.shared.attached.store(true, Ordering::Relaxed);
            self.shared.engine.connect(&request.address);
            Ok(())
        })
        .await
    }

    async fn get_mapping(
        &self,
        _: Request<rpc::GetMappingRequest>,
    ) -> Reply<rpc::GetMappingResponse> {
        Ok(Response::new(rpc::GetMappingResponse::default()))
    }

    async fn get_mappings(
        &self,
        _: Request<rpc::GetMappingsRequest>,
    ) -> Reply<rpc::GetMappingsResponse> {
        Ok(Response::new(rpc::GetMappingsResponse::default()))
    }
}

/// The type part of a URN, without the types of its parents: `urn:pulumi:stack::project::parent$type::name`.
pub(crate) fn type_of<'a>(urn: &'a str, given: &'a str) -> &'a str {
    if !given.is_empty() {
        return given;
    }
    let qualified = urn.split("::").nth(2).unwrap_or_default();
    qualified.rsplit('$').next().unwrap_or(qualified)
}

fn name_of<'a>(urn: &'a str, given: &'a str) -> &'a str {
    if !given.is_empty() {
        return given;
    }
    urn.splitn(4, "::").nth(3).unwrap_or_default()
}

/// The entry for a type, or the error that names it.
fn kind<'a, K>(kinds: &'a BTreeMap<String, K>, token: &str, what: &str) -> Result<&'a K, Status> {
    kinds.get(token).ok_or_else(|| {
        let near = crate::check::nearest(token, kinds.keys().map(String::as_str))
            .map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        Status::invalid_argument(format!("there is no {what} '{token}'{near}"))
    })
}
