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
use hyper::body::Body as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};

use super::message::{Refusal, Refused, ShadowOf};
use super::socket::{Peer, Socket};
use crate::daemon::{Core, lost};

type Answer = Result<Response, Refusal>;

/// Bytes a request may have: a component of 32 MiB as base64, with room.
const MAX_BODY: usize = 48 << 20;
/// Time to send a request; the peer is on this machine.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at a time: enough for every script on a node, too few to exhaust descriptors.
const MAX_CONNECTIONS: usize = 64;

/// Answers until `stop` turns true; then waits for the answers that are on their way.
pub(crate) async fn serve(socket: Socket, core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let router = router(core);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
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
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let router = match Peer::of(&stream) {
            Ok(peer) if socket.admits(peer) => router.clone(),
            Ok(peer) => {
                tracing::warn!(?peer, "control socket: refused a peer");
                Router::new().fallback(strangers)
            }
            Err(_) => continue,
        };
        let mut stop = stop.clone();
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(READ_TIMEOUT)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                _ = stop.wait_for(|stop| *stop) => None,
            };
            let ended = match ended {
                Some(ended) => ended,
                None => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "control socket: connection ended");
            }
            drop(slot);
        });
    }
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(READ_TIMEOUT, slots.acquire_many(all)).await;
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
    let load = read(request).await?;
    carry_out(async move { core.load_plugin(load).await }).await
}

async fn unload_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let unload = read(request).await?;
    carry_out(async move { core.unload_plugin(unload).await }).await
}

async fn rollback_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let rollback = read(request).await?;
    carry_out(async move { core.rollback_plugin(rollback).await }).await
}

async fn shadow_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let shadow = read(request).await?;
    carry_out(async move { core.shadow_plugin(shadow).await }).await
}

async fn promote_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let shadow = read(request).await?;
    carry_out(async move { core.promote_plugin(shadow).await }).await
}

async fn discard_plugin(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let shadow = read(request).await?;
    carry_out(async move { core.discard_plugin(shadow).await }).await
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
    let load = read(request).await?;
    carry_out(async move { core.load_probe(load).await }).await
}

async fn unload_probe(State(core): State<Arc<Core>>, request: Request) -> Answer {
    let unload = read(request).await?;
    carry_out(async move { core.unload_probe(unload).await }).await
}

/// A change that was begun is finished, also if whoever asked for it has gone: a request that is dropped would leave the paths
/// with plugins that the slots know nothing of.
async fn carry_out<T: Serialize + Send + 'static>(change: impl Future<Output = Result<T, Refusal>> + Send + 'static) -> Answer {
    let changed = tokio::spawn(change).await.map_err(|error| lost(&error))?;
    Ok(json(&changed?))
}

async fn stop(State(core): State<Arc<Core>>) -> Answer {
    Ok(json(&core.stop(crate::status::Cause::Stop).await))
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = if self.step == "request" { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
        refuse(status, self)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_change_that_was_begun_is_finished_though_nobody_waits_for_it() {
        let (done, finished) = oneshot::channel();
        let change = async move {
            tokio::task::yield_now().await;
            done.send("everything").map_err(|_| Refusal::new("test", "nobody listens", ""))
        };
        {
            let mut request = Box::pin(carry_out(change));
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
