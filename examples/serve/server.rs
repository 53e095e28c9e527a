//! The connections: how many there may be at a time, and how long each may take.

use crate::app::Limits;
use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// The most bytes that a connection keeps before they are read or sent, a request's head among
/// them.
const BUFFER: usize = 32 << 10;

/// Serves until `stop`, and then until every connection has its answer or its time is over.
///
/// Of more clients than [`Limits::connections`] at a time, those that come last wait to be accepted
/// until another leaves.
pub(crate) async fn serve(
    mut listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections as usize));
    let (running, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, Listener::accept(&mut listener).await.0)
        };
        let (place, stream) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let (router, stopped) = (router.clone(), stopped.clone());
        tokio::spawn(async move {
            converse(stream, router, limits, stopped).await;
            drop(place);
        });
    }
    drop((listener, running));
    // Who has all places is alone.
    let _ = places.acquire_many(limits.connections).await;
}

/// Answers one client until it leaves, is too slow, or has been there for long enough, or until
/// the service is to stop. The connection is closed between requests where the client lets that
/// be.
async fn converse(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    // Without it small answers may wait for one another; they are right all the same.
    let _ = stream.set_nodelay(true);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.request)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    // Whatever the error is, the client has it, or is gone.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(limits.connection) => {}
        // Nothing is ever sent: it ends when the sender is dropped.
        _ = stopped.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.request, connection).await;
}
