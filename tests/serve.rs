//! The example `serve`: many clients at once while it learns, and what it refuses.
#![cfg(feature = "publish")]

#[path = "../examples/serve/app.rs"]
mod app;
#[path = "../examples/serve/server.rs"]
mod server;

use app::{Answer, Lesson, Limits, Question, Refusal, service};
use deltarule::{Activation, Loss, Network, Optimizer, Predictor, Targets, Trainer};
use serde::Serialize;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const INPUTS: usize = 5;
const CLASSES: usize = 3;
/// Times are long, so that a slow machine fails no test by them.
const LIMITS: Limits = Limits {
    connections: 20,
    request: Duration::from_secs(60),
    connection: Duration::from_secs(600),
    body: 20_000,
    rows: 40,
    predictions: 8,
    batches: 4,
};

fn trainer() -> Trainer {
    let network = Network::builder(INPUTS)
        .dense_without_bias(32, Activation::Identity)
        .batch_norm()
        .activation(Activation::Tanh)
        .dropout(0.1)
        .dense(CLASSES, Activation::Identity)
        .build()
        .unwrap();
    let optimizer = Optimizer::adam(0.01);
    Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer).max_batch(64).build().unwrap()
}

/// When lessons are learned.
enum Learning {
    Meanwhile,
    Afterwards,
}

/// The service on a port of its own, for as long as `clients` runs. It is stopped gracefully then;
/// the last version's number is returned.
fn serve(limits: Limits, learning: Learning, clients: impl FnOnce(SocketAddr)) -> u64 {
    let (router, learner) = service(trainer(), limits).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = runtime.spawn(async move {
        let stopped = async { stopped.await.unwrap_or_default() };
        server::serve(listener, router, limits, stopped).await
    });
    std::thread::scope(|scope| {
        let (meanwhile, afterwards) = match learning {
            Learning::Meanwhile => (Some(scope.spawn(|| learner.run())), None),
            Learning::Afterwards => (None, Some(learner)),
        };
        clients(address);
        stop.send(()).unwrap();
        // Rather fail than hang: with the runtime go the connections, and then the learner.
        let limit = Duration::from_secs(60);
        let served = runtime.block_on(async { tokio::time::timeout(limit, serving).await });
        runtime.shutdown_background();
        served.expect("it does not stop").unwrap();
        match (meanwhile, afterwards) {
            (Some(learning), _) => learning.join().unwrap(),
            (None, learner) => learner.map_or(0, app::Learner::run),
        }
    })
}

/// A connection that is kept.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        // Rather fail than hang.
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(120))).unwrap();
        Self(BufReader::new(stream))
    }

    /// The status and the body of what is answered.
    fn request(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        self.send(&[head.as_bytes(), body].concat());
        self.answer()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    fn answer(&mut self) -> (u16, Vec<u8>) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, body)
    }

    /// Asks without reading, until neither side takes any more.
    fn stuff(&mut self) {
        let request = b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n".repeat(100);
        self.0.get_ref().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        while self.0.get_mut().write_all(&request).is_ok() {}
    }

    /// Whether the service closes the connection, with nothing more to say.
    fn was_dropped(mut self) -> bool {
        let mut rest = Vec::new();
        // With bytes that it has not read it resets the connection.
        let reset = |error: std::io::Error| error.kind() == ErrorKind::ConnectionReset;
        self.0.read_to_end(&mut rest).map_or_else(reset, |count| count == 0)
    }

    fn post(&mut self, path: &str, body: &impl Serialize) -> (u16, Vec<u8>) {
        self.request("POST", path, &serde_json::to_vec(body).unwrap())
    }

    fn get(&mut self, path: &str) -> (u16, String) {
        let (status, body) = self.request("GET", path, &[]);
        (status, String::from_utf8(body).unwrap())
    }
}

/// Rows that look random, the same ever after.
fn rows(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let number = |i: u64| ((i + seed * 7919) * 2_654_435_761 % 2003) as f32 / 1001.5 - 1.0;
    (0..count as u64)
        .map(|row| (0..INPUTS as u64).map(|column| number(row * 31 + column)).collect())
        .collect()
}

fn lesson(index: u64) -> Lesson {
    let rows = rows(1 + index as usize % 40, 1000 + index);
    let labels = rows.iter().map(|row| (row[0] > 0.0) as usize + (row[1] > 0.0) as usize);
    Lesson { labels: labels.collect(), rows }
}

#[test]
fn every_answer_is_that_of_one_version_while_it_learns() {
    const LESSONS: u64 = 120;
    const CLIENTS: u64 = 6;
    // What the service will publish: the same lessons in the same order give the same bits.
    let mut trainer = trainer();
    let mut versions: Vec<Predictor> = vec![trainer.network().freeze().unwrap()];
    for index in 0..LESSONS {
        let Lesson { rows, labels } = lesson(index);
        trainer.step(&rows.concat(), Targets::Classes(&labels)).unwrap();
        versions.push(trainer.network().freeze().unwrap());
    }
    let done = AtomicBool::new(false);
    let client = |address, seed| {
        let mut client = Client::new(address);
        let (mut seen, mut last) = (0, 0);
        let mut index = 0;
        while !done.load(Ordering::Relaxed) || last < LESSONS {
            index += 1;
            let rows = rows(1 + (index * 7 + seed) as usize % 40, index * CLIENTS + seed);
            let (status, body) = client.post("/predict", &Question { rows: rows.clone() });
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            let answer: Answer = serde_json::from_slice(&body).unwrap();
            let expected = versions[answer.version as usize].predict(&rows.concat()).unwrap();
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&answer.outputs.concat()), bits(&expected));
            assert!(answer.version >= last, "a version came back");
            seen += usize::from(answer.version != last);
            last = answer.version;
        }
        seen
    };
    let last = serve(LIMITS, Learning::Meanwhile, |address| {
        std::thread::scope(|scope| {
            let client = &client;
            let clients: Vec<_> =
                (0..CLIENTS).map(|seed| scope.spawn(move || client(address, seed))).collect();
            let mut teacher = Client::new(address);
            for index in 0..LESSONS {
                // Whoever is refused comes again.
                while teacher.post("/learn", &lesson(index)).0 == 429 {
                    std::thread::yield_now();
                }
            }
            done.store(true, Ordering::Relaxed);
            let seen: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
            assert!(seen > CLIENTS as usize, "{seen} changes of version were seen");
            let (status, text) = teacher.get("/metrics");
            assert_eq!(status, 200);
            for line in [
                format!("deltarule_version {LESSONS}"),
                format!("deltarule_lessons_total {LESSONS}"),
                "deltarule_failures_total 0".to_owned(),
            ] {
                assert!(text.lines().any(|found| found == line), "no {line} in {text}");
            }
            assert!(text.contains("deltarule_predict_seconds_bucket{le="), "{text}");
            assert!(text.contains("\ndeltarule_loss 0."), "{text}");
            assert_eq!(teacher.get("/healthz"), (200, "ok".to_owned()));
        });
    });
    assert_eq!(last, LESSONS);
}

#[test]
fn what_is_too_much_or_wrong_is_refused() {
    serve(LIMITS, Learning::Meanwhile, |address| {
        let mut client = Client::new(address);
        let mut refused = |path: &str, body: &serde_json::Value| {
            let (status, body) = client.post(path, body);
            (status, serde_json::from_slice::<Refusal>(&body).unwrap().error)
        };
        let json = |text: &str| serde_json::from_str(text).unwrap();
        let (status, error) = refused("/predict", &json(r#"{"rows": []}"#));
        assert_eq!((status, error.as_str()), (422, "0 rows, but 1 to 40 are taken"));
        let (status, error) = refused("/predict", &json(r#"{"rows": [[1, 2, 3, 4, 5], [1]]}"#));
        assert_eq!((status, error.as_str()), (422, "row 1 has 1 numbers, not 5"));
        let (status, error) = refused("/predict", &json(r#"{"rows": [[1, 2, 3, 4, 1e40]]}"#));
        assert!(status == 400 && error.contains("number out of range"), "{error}");
        let many = serde_json::to_value(Question { rows: rows(41, 1) }).unwrap();
        assert_eq!(refused("/predict", &many).1, "41 rows, but 1 to 40 are taken");
        assert_eq!(refused("/predict", &json(r#"{"row": 1}"#)).0, 422);
        for labels in ["[3]", "[]", "[0, 1]"] {
            let lesson = format!(r#"{{"rows": [[1, 2, 3, 4, 5]], "labels": {labels}}}"#);
            let (status, error) = refused("/learn", &json(&lesson));
            let expected = "each row needs a label, which is one of 3 classes from 0";
            assert_eq!((status, error.as_str()), (422, expected), "{labels}");
        }
        assert_eq!(Client::new(address).request("POST", "/predict", b"{").0, 400);
        assert_eq!(Client::new(address).request("POST", "/learn", &[b' '; 20_001]).0, 413);
        assert_eq!(Client::new(address).get("/predict").0, 405);
    });
}

#[test]
fn too_much_at_a_time_is_refused_and_what_waits_is_learned() {
    let limits = Limits { predictions: 0, ..LIMITS };
    let learned = serve(limits, Learning::Afterwards, |address| {
        let mut client = Client::new(address);
        for index in 0..limits.batches as u64 {
            assert_eq!(client.post("/learn", &lesson(index)).0, 202);
        }
        assert_eq!(client.post("/learn", &lesson(9)).0, 429);
        assert_eq!(client.post("/predict", &Question { rows: rows(1, 1) }).0, 503);
        assert!(client.get("/metrics").1.contains("\ndeltarule_refused_total 2\n"));
    });
    assert_eq!(learned, limits.batches as u64);
}

/// The beginning of a request whose end does not come.
const HALF: &str = "POST /predict HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n";

#[test]
fn who_sends_too_slowly_is_dropped_and_others_are_served_meanwhile() {
    let limits = Limits { request: Duration::from_secs(1), ..LIMITS };
    serve(limits, Learning::Meanwhile, |address| {
        let [silent, mut head, mut body] = [(); 3].map(|()| Client::new(address));
        head.send(HALF.as_bytes());
        body.send(format!("{HALF}content-length: 100\r\n\r\n{{\"rows\": [[1").as_bytes());
        let question = Question { rows: rows(3, 1) };
        assert_eq!(Client::new(address).post("/predict", &question).0, 200);
        assert!(silent.was_dropped() && head.was_dropped());
        let (status, refusal) = body.answer();
        let error = serde_json::from_slice::<Refusal>(&refusal).unwrap().error;
        assert_eq!((status, error.as_str()), (408, "the request took too long"));
        assert!(body.was_dropped());
        let (_, text) = Client::new(address).get("/metrics");
        assert!(text.contains("\ndeltarule_late_total 1\n"), "{text}");
    });
}

#[test]
fn who_comes_to_a_full_service_waits_until_another_leaves() {
    let limits = Limits { connections: 2, ..LIMITS };
    serve(limits, Learning::Meanwhile, |address| {
        let mut first = [(); 2].map(|()| Client::new(address));
        for client in &mut first {
            assert_eq!(client.get("/healthz").0, 200);
        }
        let mut third = Client::new(address);
        third.send(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n");
        let wait = |client: &Client, time| client.0.get_ref().set_read_timeout(Some(time)).unwrap();
        wait(&third, Duration::from_millis(200));
        let error = third.0.fill_buf().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        let [leaving, mut staying] = first;
        drop(leaving);
        wait(&third, Duration::from_secs(120));
        assert_eq!(third.answer().0, 200);
        assert_eq!(staying.get("/healthz").0, 200);
    });
}

#[test]
fn who_never_reads_is_dropped_when_the_connection_is_old() {
    let time = Duration::from_secs(1);
    let limits = Limits { connections: 1, request: time, connection: time, ..LIMITS };
    serve(limits, Learning::Meanwhile, |address| {
        let mut greedy = Client::new(address);
        greedy.stuff();
        // There is one place, and the greedy client still holds its end of the connection.
        assert_eq!(Client::new(address).get("/healthz").0, 200);
        drop(greedy);
    });
}

#[test]
fn who_is_slow_does_not_keep_it_from_stopping() {
    let limits = Limits { request: Duration::from_secs(1), ..LIMITS };
    let mut slow = Vec::new();
    serve(limits, Learning::Meanwhile, |address| {
        slow = (0..5).map(|_| Client::new(address)).collect();
        slow[0].send(HALF.as_bytes());
        slow[1].send(format!("{HALF}content-length: 9\r\n\r\n").as_bytes());
        assert_eq!(slow[2].get("/healthz").0, 200);
        slow[3].stuff();
    });
    assert_eq!(slow.len(), 5);
}
