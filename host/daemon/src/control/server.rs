//! The daemon's end of the control socket.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path as UrlPath, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use host_api::{Refusal, Refused, ShadowOf};
use host_plugin::limits::LARGEST_COMPONENT;
use hyper::body::Body as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::crowd::{Crowd, Patient, Seat};
use super::socket::{Peer, Socket};
use crate::daemon::Core;
use crate::error::lost;

type Answer = Result<Response, Denied>;

/// What is answered with a refusal.
struct Denied(Refusal);

/// Bytes a request may have: the largest component as base64, with room for its configuration.
const MAX_BODY: usize = LARGEST_COMPONENT / 3 * 4 + (2 << 20);
/// Time to send a request; the peer is on this machine.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a connection without a request under way to send the next one.
const IDLE_TIMEOUT: Duration = READ_TIMEOUT;
/// Time for the answers that are on their way when the host stops.
const LAST_ANSWERS: Duration = Duration::from_millis(200);
/// Changes that may be under way, each with a request of up to 48 MiB in memory: who asks and goes away leaves one behind.
pub(crate) const MAX_CHANGES: usize = 8;
/// Time to wait until another change may be begun: less than the client waits for its answer.
const TURN_TIMEOUT: Duration = Duration::from_secs(60);

/// Answers until `stop` turns true; then waits a little for the answers that are on their way.
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
                // Out of descriptors, most likely. Accepting again at once would spin.
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

/// Serves one connection: to its end, until it has to make room, or until the host stops.
async fn attend(stream: UnixStream, seat: Arc<Seat>, router: Router, mut stop: watch::Receiver<bool>) {
    let attended = Arc::clone(&seat);
    let service = TowerToHyperService::new(router);
    // One request after the other: hyper reads the next one when the answer before it is on its way.
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
            // Whoever does not take its answer by then gets none.
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

fn router(core: Arc<Core>) -> Router {
    Router::new()
        .route("/v1/status", get(|State(core): State<Arc<Core>>| async move { json(&core.status().await) }))
        .route("/v1/requests", get(requests))
        .route("/v1/plugins", get(|State(core): State<Arc<Core>>| async move { json(&core.plugins().await) }))
        .route("/v1/slots", get(|State(core): State<Arc<Core>>| async move { json(&core.slots()) }))
        .route("/v1/shadows", get(|State(core): State<Arc<Core>>| async move { json(&core.shadows()) }))
        .route("/v1/plugins/compare", get(compare_plugin))
        .route("/v1/repros", get(|State(core): State<Arc<Core>>| async move { json(&core.repros().await) }))
        .route("/v1/repros/{id}", get(repro))
        .route("/v1/probes", get(|State(core): State<Arc<Core>>| async move { json(&core.probes()) }))
        .route("/v1/plugins/load", post(load_plugin))
        .route("/v1/plugins/unload", post(unload_plugin))
        .route("/v1/plugins/rollback", post(rollback_plugin))
        .route("/v1/plugins/shadow", post(shadow_plugin))
        .route("/v1/plugins/promote", post(promote_plugin))
        .route("/v1/plugins/discard", post(discard_plugin))
        .route("/v1/probes/load", post(load_probe))
        .route("/v1/probes/unload", post(unload_probe))
        .route("/v1/stop", post(stop))
        .fallback(nothing_here)
        .method_not_allowed_fallback(nothing_here)
        .with_state(core)
}

async fn requests(State(core): State<Arc<Core>>) -> Answer {
    Ok(json(&core.requests().await?))
}

async fn load_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let (turn, asked) = order(&core, request).await?;
    carry_out(turn, async move { core.load_plugin(asked).await }).await
}

async fn unload_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let (turn, asked) = order(&core, request).await?;
    carry_out(turn, async move { core.unload_plugin(asked).await }).await
}

async fn rollback_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let (turn, asked) = order(&core, request).await?;
    carry_out(turn, async move { core.rollback_plugin(asked).await }).await
}

async fn shadow_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let (turn, asked) = order(&core, request).await?;
    carry_out(turn, async move { core.shadow_plugin(asked).await }).await
}

async fn promote_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let (turn, asked) = order(&core, request).await?;
    carry_out(turn, async move { core.promote_plugin(asked).await }).await
}

async fn discard_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let (turn, asked) = order(&core, request).await?;
    carry_out(turn, async move { core.discard_plugin(asked).await }).await
}

async fn compare_plugin(State(core): State<Arc<Core>>, query: Result<Query<ShadowOf>, QueryRejection>) -> Answer {
    let cure = "name the slot: /v1/plugins/compare?slot=sampler";
    let Query(shadow) = query.map_err(|error| Refusal::new("request", error.to_string(), cure))?;
    Ok(json(&core.compare(&shadow)?))
}

async fn repro(State(core): State<Arc<Core>>, UrlPath(id): UrlPath<String>) -> Answer {
    Ok(json(&core.repro(id).await?))
}

async fn load_probe(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let (turn, asked) = order(&core, request).await?;
    carry_out(turn, async move { core.load_probe(asked).await }).await
}

async fn unload_probe(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let (turn, asked) = order(&core, request).await?;
    carry_out(turn, async move { core.unload_probe(asked).await }).await
}

/// What is to be changed, and leave to do it: only so many are read and carried out at a time, and none once the host stops.
async fn order<T: DeserializeOwned>(core: &Core, request: Request) -> Result<(OwnedSemaphorePermit, T), Refusal> {
    let mut end = core.ending.subscribe();
    let turn = tokio::select! {
        turn = Arc::clone(&core.orders).acquire_owned() => turn.ok(),
        _ = end.wait_for(Option::is_some) => None,
        () = tokio::time::sleep(TURN_TIMEOUT) => {
            let message = format!("{MAX_CHANGES} changes have been under way for {} s", TURN_TIMEOUT.as_secs());
            return Err(Refusal::new("busy", message, "ask again; `host status` shows what changed last"));
        }
    };
    core.goes_on()?;
    let turn = turn.ok_or_else(|| Refusal::new("internal", "nobody gives leave to change anything", "ask again"))?;
    Ok((turn, read(request).await?))
}

/// A change that was begun is finished, also if whoever asked for it has gone: a request that is dropped would leave the paths
/// with plugins that the slots know nothing of.
async fn carry_out<T: Serialize + Send + 'static>(
    turn: OwnedSemaphorePermit,
    change: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Answer {
    let carried_out = async move {
        let changed = change.await;
        drop(turn);
        changed
    };
    let changed = tokio::spawn(carried_out).await.map_err(|error| lost(&error))?;
    Ok(json(&changed?))
}

async fn stop(State(core): State<Arc<Core>>) -> Answer {
    Ok(json(&core.stop(host_api::Cause::Stop).await))
}

async fn nothing_here(request: Request) -> Response {
    let message = format!("there is no {} {}", request.method(), request.uri().path());
    refuse(
        StatusCode::NOT_FOUND,
        Refusal::new(
            "request",
            message,
            "GET /v1/status, /v1/requests, /v1/plugins, /v1/slots, /v1/shadows, /v1/repros, /v1/probes",
        ),
    )
}

async fn strangers() -> Response {
    let cure = "connect as the daemon's user, as root, or as a member of the socket's group";
    refuse(StatusCode::FORBIDDEN, Refusal::new("credentials", "you are none of those who may speak to this daemon", cure))
}

async fn read<T: DeserializeOwned>(request: Request<Body>) -> Result<T, Refusal> {
    let broken =
        |message: String| Refusal::new("request", message, "send a JSON body, as the documentation of the socket shows");
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

fn json(answer: &impl Serialize) -> Response {
    Json(answer).into_response()
}

fn refuse(status: StatusCode, refusal: Refusal) -> Response {
    (status, Json(Refused { error: refusal })).into_response()
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let status = if self.0.step == "request" { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
        refuse(status, self.0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{Semaphore, oneshot};

    use super::*;

    #[tokio::test]
    async fn a_change_that_was_begun_is_finished_though_nobody_waits_for_it() {
        let turn = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let (done, finished) = oneshot::channel();
        let change = async move {
            tokio::task::yield_now().await;
            done.send("everything").map_err(|_| Refusal::new("test", "nobody listens", ""))
        };
        {
            let mut request = Box::pin(carry_out(turn, change));
            tokio::select! {
                biased;
                _ = &mut request => panic!("it takes longer than that"),
                () = std::future::ready(()) => {}
            }
            // Here whoever asked hangs up.
        }
        assert_eq!(finished.await, Ok("everything"));
    }
}
