//! The server of the control socket.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path as UrlPath, Query, Request, State};
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use host_api::{
    Cause, ComparePlugin, DiscardPlugin, Endpoint, GetPlugins, GetProbes, GetRepro, GetRepros, GetRequests, GetShadows,
    GetSlots, GetStatus, LoadPlugin, LoadProbe, PromotePlugin, Refusal, Refused, RollbackPlugin, ShadowPlugin, Step, Stop,
    UnloadPlugin, UnloadProbe,
};
use host_plugin::limits::LARGEST_COMPONENT;
use hyper::body::Body as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::crowd::{Crowd, Patient, Seat};
use super::socket::{Peer, Socket};
use crate::daemon::Core;
use crate::error::DaemonError;

type Answer = Result<Response, DaemonError>;

/// The endpoints with their handlers.
#[derive(Default)]
struct Routes {
    router: Router<Arc<Core>>,
    served: Vec<Served>,
}

/// One endpoint.
struct Served {
    method: Method,
    path: &'static str,
    /// Whether the path alone is a complete request.
    plain: bool,
}

/// Maximum bytes of a request: the largest component as base64, with room for its configuration.
const MAX_BODY: usize = LARGEST_COMPONENT / 3 * 4 + (2 << 20);
/// Maximum time to send a request; the peer is on this machine.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time between two requests of a connection.
const IDLE_TIMEOUT: Duration = READ_TIMEOUT;
/// Maximum time for answers in progress when the host stops.
const LAST_ANSWERS: Duration = Duration::from_millis(200);
/// Maximum number of changes in progress, each with a request of up to 48 MiB in memory: a client that disconnects leaves its change
/// running.
pub(crate) const MAX_CHANGES: usize = 8;
/// Maximum wait for a permit to begin a change: less than the client waits for its answer.
const TURN_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves until `stop` turns true; then waits briefly for answers in progress.
pub(crate) async fn serve(socket: Socket, core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let router = router(core);
    let crowd = Arc::new(Crowd::default());
    loop {
        let accepted = tokio::select! {
            accepted = socket.listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely there are no free descriptors. Accepting again at once would spin.
                tracing::warn!(%error, "control socket: accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let seat = tokio::select! {
            seat = crowd.enter() => seat,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let router = match Peer::of(&stream) {
            Ok(peer) if socket.admits(peer) => router.clone(),
            Ok(peer) => {
                tracing::warn!(?peer, "control socket: refused a peer");
                Router::new().fallback(strangers)
            }
            Err(_) => continue,
        };
        tokio::spawn(attend(stream, seat, router, stop.clone()));
    }
    let _ = tokio::time::timeout(2 * LAST_ANSWERS, crowd.gone()).await;
}

/// Serves one connection until it ends, has to make room, or the host stops.
async fn attend(stream: UnixStream, seat: Arc<Seat>, router: Router, mut stop: watch::Receiver<bool>) {
    let attended = Arc::clone(&seat);
    let service = TowerToHyperService::new(router);
    // One request after the other: hyper reads the next one when the answer before it is being sent.
    let service = hyper::service::service_fn(move |request| {
        let (seat, service) = (Arc::clone(&attended), service.clone());
        async move {
            let _busy = seat.busy();
            hyper::service::Service::call(&service, request).await
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(Patient::new(stream, Arc::clone(&seat))), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = leave(&seat, &mut stop) => {
            connection.as_mut().graceful_shutdown();
            // A client that has not read its answer by then does not get it.
            match tokio::time::timeout(LAST_ANSWERS, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("control socket: a peer that takes no answer was left"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "control socket: connection ended");
    }
}

/// Returns when a connection has to make room, or the host stops.
async fn leave(seat: &Seat, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = seat.out() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Returns every endpoint with its handler.
fn endpoints() -> Routes {
    Routes::default()
        .look::<GetStatus, _>(|core| async move { Ok(core.status().await) })
        .look::<GetRequests, _>(|core| async move { core.requests().await })
        .look::<GetPlugins, _>(|core| async move { Ok(core.plugins().await) })
        .look::<GetSlots, _>(|core| async move { Ok(core.slots()) })
        .look::<GetShadows, _>(|core| async move { Ok(core.shadows()) })
        .at::<ComparePlugin, _, _>(compare_plugin)
        .look::<GetRepros, _>(|core| async move { Ok(core.repros().await) })
        .at::<GetRepro, _, _>(repro)
        .look::<GetProbes, _>(|core| async move { Ok(core.probes()) })
        .change::<LoadPlugin, _>(|core, asked| async move { core.load_plugin(asked).await })
        .change::<UnloadPlugin, _>(|core, asked| async move { core.unload_plugin(asked).await })
        .change::<RollbackPlugin, _>(|core, asked| async move { core.rollback_plugin(asked).await })
        .change::<ShadowPlugin, _>(|core, asked| async move { core.shadow_plugin(asked).await })
        .change::<PromotePlugin, _>(|core, asked| async move { core.promote_plugin(asked).await })
        .change::<DiscardPlugin, _>(|core, asked| async move { core.discard_plugin(asked).await })
        .change::<LoadProbe, _>(|core, asked| async move { core.load_probe(asked).await })
        .change::<UnloadProbe, _>(|core, asked| async move { core.unload_probe(asked).await })
        .at::<Stop, _, _>(stop)
}

// === impl Routes ===

impl Routes {
    /// Adds a read-only endpoint without parameters, answered at once.
    fn look<E, F>(self, answer: impl Fn(Arc<Core>) -> F + Clone + Send + Sync + 'static) -> Self
    where
        E: Endpoint + Default,
        F: Future<Output = Result<E::Answer, DaemonError>> + Send + 'static,
    {
        let mut routes = self.at::<E, _, _>(move |State(core): State<Arc<Core>>| {
            let answered = answer(core);
            async move { told::<E>(answered.await) }
        });
        routes.served.iter_mut().filter(|served| served.path == E::PATH).for_each(|served| served.plain = true);
        routes
    }

    /// Adds an endpoint that changes the host. It answers when the change is done, which completes even if the client has gone.
    fn change<E, F>(self, change: impl Fn(Arc<Core>, E) -> F + Clone + Send + Sync + 'static) -> Self
    where
        E: Endpoint + Send + 'static,
        E::Answer: Send + 'static,
        F: Future<Output = Result<E::Answer, DaemonError>> + Send + 'static,
    {
        self.at::<E, _, _>(move |State(core): State<Arc<Core>>, request: Request| {
            let change = change.clone();
            async move {
                let (turn, asked) = order(&core, request).await?;
                told::<E>(carry_out(turn, change(core, asked)).await)
            }
        })
    }

    fn at<E: Endpoint, H: Handler<T, Arc<Core>>, T: 'static>(mut self, handler: H) -> Self {
        let method = if E::METHOD == Method::GET { get(handler) } else { post(handler) };
        self.router = self.router.route(E::PATH, method);
        self.served.push(Served { method: E::METHOD, path: E::PATH, plain: false });
        self
    }

    /// Lists the paths that need no parameters.
    fn there_is(&self) -> String {
        let plain: Vec<&str> = self
            .served
            .iter()
            .filter(|served| served.plain && served.method == Method::GET)
            .map(|served| served.path)
            .collect();
        format!("GET {}", plain.join(", "))
    }
}

fn router(core: Arc<Core>) -> Router {
    let endpoints = endpoints();
    let there_is = endpoints.there_is();
    let nothing_here = move |request: Request| std::future::ready(nothing_here(&request, there_is.clone()));
    endpoints.router.fallback(nothing_here.clone()).method_not_allowed_fallback(nothing_here).with_state(core)
}

fn told<E: Endpoint>(answer: Result<E::Answer, DaemonError>) -> Answer {
    Ok(Json(answer?).into_response())
}

async fn compare_plugin(State(core): State<Arc<Core>>, asked: Result<Query<ComparePlugin>, QueryRejection>) -> Answer {
    let cure = "name the slot: /v1/plugins/compare?slot=sampler";
    let Query(asked) = asked.map_err(|error| DaemonError::new(Step::Request, error.to_string(), cure))?;
    told::<ComparePlugin>(core.compare(&asked))
}

async fn repro(State(core): State<Arc<Core>>, UrlPath(asked): UrlPath<GetRepro>) -> Answer {
    told::<GetRepro>(core.repro(asked.id).await)
}

/// Not a `change`, which would be refused once the host ends: a repeated request gets the same answer.
async fn stop(State(core): State<Arc<Core>>) -> Answer {
    told::<Stop>(Ok(core.stop(Cause::Stop).await))
}

/// Reads the request of a change and takes a permit for it: the number in progress is limited, and none begins once the host stops.
async fn order<T: DeserializeOwned>(core: &Core, request: Request) -> Result<(OwnedSemaphorePermit, T), DaemonError> {
    let mut end = core.ending.subscribe();
    let turn = tokio::select! {
        turn = Arc::clone(&core.orders).acquire_owned() => turn.ok(),
        _ = end.wait_for(Option::is_some) => None,
        () = tokio::time::sleep(TURN_TIMEOUT) => {
            let message = format!("{MAX_CHANGES} changes have been under way for {} s", TURN_TIMEOUT.as_secs());
            return Err(DaemonError::new(Step::Busy, message, "ask again; `host status` shows what changed last"));
        }
    };
    core.goes_on()?;
    let turn = turn.ok_or_else(|| DaemonError::new(Step::Internal, "nobody gives leave to change anything", "ask again"))?;
    Ok((turn, read(request).await?))
}

/// Runs a change to its end, even if the client has disconnected: a dropped future would leave the paths with plugins that the slots do not
/// list.
async fn carry_out<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    change: impl Future<Output = Result<T, DaemonError>> + Send + 'static,
) -> Result<T, DaemonError> {
    let carried_out = async move {
        let changed = change.await;
        drop(turn);
        changed
    };
    tokio::spawn(carried_out).await?
}

fn nothing_here(request: &Request, there_is: String) -> Response {
    let message = format!("there is no {} {}", request.method(), request.uri().path());
    refuse(StatusCode::NOT_FOUND, Refusal::new(Step::Request, message, there_is))
}

async fn strangers() -> Response {
    let cure = "connect as the daemon's user, as root, or as a member of the socket's group";
    refuse(StatusCode::FORBIDDEN, Refusal::new(Step::Credentials, "you are none of those who may speak to this daemon", cure))
}

async fn read<T: DeserializeOwned>(request: Request<Body>) -> Result<T, DaemonError> {
    let broken = |message: String| {
        DaemonError::new(Step::Request, message, "send a JSON body, as the documentation of the socket shows")
    };
    let announced = request.body().size_hint().lower();
    if announced > MAX_BODY as u64 {
        return Err(broken(format!("a body of {announced} bytes is over {} MiB", MAX_BODY >> 20)));
    }
    let body = tokio::time::timeout(READ_TIMEOUT, to_bytes(request.into_body(), MAX_BODY))
        .await
        .map_err(|_| broken(format!("the body did not come within {} s", READ_TIMEOUT.as_secs())))?
        .map_err(|error| broken(format!("the body cannot be read, or is over {MAX_BODY} bytes: {error}")))?;
    serde_json::from_slice(&body).map_err(|error| broken(error.to_string()))
}

fn refuse(status: StatusCode, refusal: Refusal) -> Response {
    (status, Json(Refused { error: refusal })).into_response()
}

impl IntoResponse for DaemonError {
    fn into_response(self) -> Response {
        let status = match self.step() {
            Step::Request => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        refuse(status, self.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use host_api::ENDPOINTS;
    use tokio::sync::{Semaphore, oneshot};

    use super::*;

    #[tokio::test]
    async fn a_change_that_was_begun_is_finished_though_nobody_waits_for_it() {
        let turn = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let (done, finished) = oneshot::channel();
        let change = async move {
            tokio::task::yield_now().await;
            done.send("everything").map_err(|_| DaemonError::new(Step::Internal, "nobody listens", ""))
        };
        {
            let mut request = Box::pin(carry_out(turn, change));
            tokio::select! {
                biased;
                _ = &mut request => panic!("it takes longer than that"),
                () = std::future::ready(()) => {}
            }
            // The client disconnects here.
        }
        assert_eq!(finished.await, Ok("everything"));
    }

    #[test]
    fn every_endpoint_of_the_language_is_answered_and_no_other() {
        let endpoints = endpoints();
        let served: BTreeSet<_> = endpoints.served.iter().map(|served| (served.method.to_string(), served.path)).collect();
        let described = ENDPOINTS.iter().map(|of| (of.method.to_string(), of.path)).collect();
        assert_eq!(served, described);
    }

    #[test]
    fn who_asks_for_what_there_is_not_is_told_what_there_is() {
        let there_is = endpoints().there_is();
        assert_eq!(there_is, "GET /v1/status, /v1/requests, /v1/plugins, /v1/slots, /v1/shadows, /v1/repros, /v1/probes");
    }
}
