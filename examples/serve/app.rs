//! The service: what it answers, and the thread that learns behind it.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use deltarule::{Predictor, Published, Targets, Trainer, Workspace};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What bounds the service's memory and time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at a time; further ones wait until one of them is closed.
    pub(crate) connections: u32,
    /// The time for a request's head, for its body and what is done with it, and after the end of
    /// a connection or of the service for what has begun: who takes longer is cut off.
    pub(crate) request: Duration,
    /// The age at which a connection is closed.
    pub(crate) connection: Duration,
    /// The bytes of a request's body.
    pub(crate) body: usize,
    /// The rows of a request.
    pub(crate) rows: usize,
    /// Predictions at a time; further ones are refused.
    pub(crate) predictions: usize,
    /// Batches that wait to be learned; further ones are refused.
    pub(crate) batches: usize,
}

/// Rows to predict.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) rows: Vec<Vec<f32>>,
}

/// The outputs of each row, all by one version of the network.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) version: u64,
    pub(crate) outputs: Vec<Vec<f32>>,
}

/// Rows to learn, and the class of each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Lesson {
    pub(crate) rows: Vec<Vec<f32>>,
    pub(crate) labels: Vec<usize>,
}

/// Why a request was refused.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: String,
}

/// A batch of rows that were checked.
struct Batch {
    x: Vec<f32>,
    labels: Vec<usize>,
}

/// What requests share with the thread that learns.
struct Model {
    published: Published<Predictor>,
    /// Whether that thread is there.
    learns: AtomicBool,
    metrics: Metrics,
}

/// What requests share.
struct Service {
    model: Arc<Model>,
    limits: Limits,
    inputs: usize,
    outputs: usize,
    /// Where lessons wait. It closes with the service, which ends the learner.
    lessons: SyncSender<Batch>,
    /// One for each prediction that may run at a time, which takes it and puts it back.
    workspaces: Mutex<Vec<Workspace>>,
}

/// The service of what `trainer` has learned, and the learner that goes on from there. The outputs
/// are the network's, before any softmax.
pub(crate) fn service(trainer: Trainer, limits: Limits) -> deltarule::Result<(Router, Learner)> {
    let network = trainer.network();
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let predictor = network.freeze()?;
    let workspaces: deltarule::Result<_> =
        (0..limits.predictions).map(|_| predictor.workspace()).collect();
    let model = Arc::new(Model {
        published: Published::new(predictor),
        learns: AtomicBool::new(true),
        metrics: Metrics::new(),
    });
    let (sender, lessons) = sync_channel(limits.batches);
    let service = Service {
        model: Arc::clone(&model),
        limits,
        inputs,
        outputs,
        lessons: sender,
        workspaces: Mutex::new(workspaces?),
    };
    let service = Arc::new(service);
    let router = Router::new()
        .route("/predict", post(predict))
        .route("/learn", post(learn))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(limits.body))
        .layer(from_fn_with_state(Arc::clone(&service), in_time))
        .with_state(service);
    Ok((router, Learner { trainer, lessons, model }))
}

/// What learns, on a thread of its own.
pub(crate) struct Learner {
    trainer: Trainer,
    lessons: Receiver<Batch>,
    model: Arc<Model>,
}

impl Learner {
    /// Learns each lesson in its turn and publishes what has become of the network, until the
    /// service is gone and no lesson is left. Returns the number of the last version.
    pub(crate) fn run(mut self) -> u64 {
        while let Ok(batch) = self.lessons.recv() {
            if let Err(error) = self.learn(&batch) {
                // The network is as it was before.
                self.model.metrics.failures.inc();
                eprintln!("a lesson was not learned: {error}");
            }
        }
        self.model.published.load().number()
    }

    fn learn(&mut self, batch: &Batch) -> deltarule::Result<()> {
        let score = self.trainer.step(&batch.x, Targets::Classes(&batch.labels))?;
        let number = self.model.published.publish(self.trainer.network().freeze()?);
        let metrics = &self.model.metrics;
        metrics.lessons.inc();
        metrics.loss.set(score.loss);
        metrics.version.set(number as i64);
        Ok(())
    }
}

impl Drop for Learner {
    fn drop(&mut self) {
        self.model.learns.store(false, Ordering::Relaxed);
    }
}

/// A refusal and its status.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        (status, Json(Refusal { error })).into_response()
    }
}

impl From<JsonRejection> for Refused {
    fn from(rejection: JsonRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl From<deltarule::Error> for Refused {
    fn from(error: deltarule::Error) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

impl Service {
    /// The rows one after the other.
    fn check(&self, rows: &[Vec<f32>]) -> Result<Vec<f32>, Refused> {
        let unprocessable = |error| Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, error));
        if rows.is_empty() || rows.len() > self.limits.rows {
            let most = self.limits.rows;
            return unprocessable(format!("{} rows, but 1 to {most} are taken", rows.len()));
        }
        for (index, row) in rows.iter().enumerate() {
            if row.len() != self.inputs {
                let (length, inputs) = (row.len(), self.inputs);
                return unprocessable(format!("row {index} has {length} numbers, not {inputs}"));
            }
        }
        Ok(rows.concat())
    }

    fn workspaces(&self) -> MutexGuard<'_, Vec<Workspace>> {
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses what takes too long, such as to wait for a body.
async fn in_time(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    timeout(service.limits.request, next.run(request)).await.map_err(|_| {
        service.model.metrics.late.inc();
        Refused(StatusCode::REQUEST_TIMEOUT, "the request took too long".to_owned())
    })
}

/// A prediction takes microseconds, and its rows are bounded: it runs where the request is handled.
async fn predict(
    State(service): State<Arc<Service>>,
    question: Result<Json<Question>, JsonRejection>,
) -> Result<Json<Answer>, Refused> {
    let start = Instant::now();
    let rows = question?.0.rows;
    let x = service.check(&rows)?;
    let metrics = &service.model.metrics;
    let Some(mut workspace) = service.workspaces().pop() else {
        metrics.refused.inc();
        let error = "too many predictions at a time".to_owned();
        return Err(Refused(StatusCode::SERVICE_UNAVAILABLE, error));
    };
    let mut outputs = vec![0.0; rows.len() * service.outputs];
    let version = service.model.published.load();
    let done = version.predict_into(&x, &mut outputs, &mut workspace);
    service.workspaces().push(workspace);
    done?;
    // JSON has no numbers for them.
    if outputs.iter().any(|output| !output.is_finite()) {
        let error = "an output is beyond the largest f32, or is none".to_owned();
        return Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, error));
    }
    let outputs = outputs.chunks(service.outputs).map(<[f32]>::to_vec).collect();
    metrics.latency.observe(start.elapsed().as_secs_f64());
    Ok(Json(Answer { version: version.number(), outputs }))
}

async fn learn(
    State(service): State<Arc<Service>>,
    lesson: Result<Json<Lesson>, JsonRejection>,
) -> Result<StatusCode, Refused> {
    let Lesson { rows, labels } = lesson?.0;
    let x = service.check(&rows)?;
    if labels.len() != rows.len() || labels.iter().any(|&label| label >= service.outputs) {
        let classes = service.outputs;
        let error = format!("each row needs a label, which is one of {classes} classes from 0");
        return Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, error));
    }
    let (status, error) = match service.lessons.try_send(Batch { x, labels }) {
        Ok(()) => return Ok(StatusCode::ACCEPTED),
        Err(TrySendError::Full(_)) => (StatusCode::TOO_MANY_REQUESTS, "too many lessons wait"),
        Err(TrySendError::Disconnected(_)) => (StatusCode::SERVICE_UNAVAILABLE, "nobody learns"),
    };
    service.model.metrics.refused.inc();
    Err(Refused(status, error.to_owned()))
}

async fn healthz(State(service): State<Arc<Service>>) -> (StatusCode, &'static str) {
    if service.model.learns.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "nobody learns")
    }
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    match encode(&mut text, &service.model.metrics.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, FORMAT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What `/metrics` tells.
struct Metrics {
    registry: Registry,
    latency: Histogram,
    lessons: Counter,
    failures: Counter,
    refused: Counter,
    late: Counter,
    version: Gauge,
    loss: Gauge<f64, AtomicU64>,
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("deltarule");
        // From 1 µs to half a second.
        let latency = Histogram::new(exponential_buckets(1e-6, 2.0, 20));
        let [lessons, failures, refused, late] = [(); 4].map(|()| Counter::default());
        let (version, loss) = (Gauge::default(), Gauge::<f64, AtomicU64>::default());
        registry.register("predict_seconds", "What predictions took", latency.clone());
        registry.register("lessons", "Batches that were learned", lessons.clone());
        registry.register("failures", "Batches that could not be learned", failures.clone());
        registry.register("refused", "Requests refused for too much at a time", refused.clone());
        registry.register("late", "Requests that took too long", late.clone());
        registry.register("version", "The version that answers", version.clone());
        registry.register("loss", "The loss of the last batch before it was learned", loss.clone());
        Self { registry, latency, lessons, failures, refused, late, version, loss }
    }
}
