//! `simulate operating-data`: the bureau's operating-data service (运营数据服务), as `docs/operating-data.md` describes it, with a book of cars of its own.
//!
//! The book is `DIR/cars.json`: at the first start the fleet that the scans of the same seed were made in, and then what the file says. What goes wrong is chosen question by question, by the
//! plan (each fault with its percent, drawn by the seed) or, over the control surface, for every question until it is taken back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::{SimClock, wire_time};
use crate::control::{authorized, control_token, listen};
use crate::error::SimError;
use crate::invent::car::{FLEET, car};
use crate::sign::{SignatureMethod, Signed, Signer};

/// A car of the book, with who drives it and where it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Car {
    /// Its plate, without a dot.
    pub plate_no: String,
    /// Code of its colour.
    pub plate_color: String,
    /// Whose it is.
    pub company_name: String,
    /// Who drives it.
    #[serde(default)]
    pub drivers: Vec<Driver>,
    /// Where it went.
    #[serde(default)]
    pub trips: Vec<Trip>,
}

/// A driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Driver {
    /// The permit number.
    pub driver_licence: String,
    /// The name.
    pub driver_name: String,
}

/// A trip; times as on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trip {
    /// When it began.
    pub trip_from: String,
    /// When it ended.
    pub trip_to: String,
    /// Who drove.
    pub driver_licence: String,
}

/// What can go wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum CarFault {
    /// It comes later than anybody waits.
    Slow,
    /// HTTP 503.
    Unavailable,
    /// HTTP 429 with `Retry-After: 1`.
    Throttled,
    /// HTTP 401: our signature is not believed.
    Refused,
    /// There is no such car, driver or trip.
    Unknown,
    /// The answer to somebody else's question.
    Other,
    /// Half a document.
    Torn,
}

impl CarFault {
    const ALL: [Self; 7] =
        [Self::Slow, Self::Unavailable, Self::Throttled, Self::Refused, Self::Unknown, Self::Other, Self::Torn];

    fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Other => "other",
            Self::Torn => "torn",
        }
    }
}

/// A fault with how many questions of a hundred it befalls, as `slow:10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarFaultShare(pub CarFault, pub u32);

impl std::str::FromStr for CarFaultShare {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, percent) = text.split_once(':').unwrap_or((text, "100"));
        let names = CarFault::ALL.map(CarFault::name).join(", ");
        let fault = CarFault::ALL.into_iter().find(|fault| fault.name() == name);
        let fault = fault.ok_or_else(|| format!("`{name}` is none of {names}"))?;
        let percent = percent.parse().ok().filter(|percent| *percent <= 100);
        Ok(Self(fault, percent.ok_or("a percent is a number from 0 to 100")?))
    }
}

/// How a service is started.
#[derive(Clone, Debug)]
pub struct OperatingDataOptions {
    /// Its directory: book, address, control token.
    pub dir: PathBuf,
    /// Listening address; port 0 takes a free one, or that of the run before.
    pub listen: String,
    /// Who may ask.
    pub app_id: String,
    /// How questions are signed.
    pub signature: SignatureMethod,
    /// The secret of it.
    pub api_secret: String,
    /// Seed of the book and of what goes wrong.
    pub seed: u64,
    /// Cars that are invented where there is no book.
    pub cars: usize,
    /// What goes wrong, and how often.
    pub faults: Vec<CarFaultShare>,
    /// How long a slow answer takes.
    pub slow: Duration,
    /// Its time.
    pub clock: SimClock,
}

impl OperatingDataOptions {
    /// A service without faults and with an invented book of the whole fleet.
    pub fn new(dir: impl Into<PathBuf>, api_secret: impl Into<String>) -> Self {
        Self {
            dir: dir.into(),
            listen: "127.0.0.1:0".to_owned(),
            app_id: "transport-bureau".to_owned(),
            signature: SignatureMethod::default(),
            api_secret: api_secret.into(),
            seed: 1,
            cars: FLEET,
            faults: Vec::new(),
            slow: Duration::from_secs(30),
            clock: SimClock::default(),
        }
    }
}

/// What a service was asked so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Questions {
    /// By what was asked: `vehicles`, `drivers`, `trips`.
    pub asked: BTreeMap<String, u64>,
    /// By what went wrong.
    pub faults: BTreeMap<&'static str, u64>,
    /// Whose signature was wrong.
    pub unsigned: u64,
}

struct Service {
    options: OperatingDataOptions,
    signer: Signer,
    token: String,
    state: Mutex<Book>,
}

struct Book {
    cars: BTreeMap<String, Car>,
    forced: Option<CarFault>,
    draw: ChaCha8Rng,
    questions: Questions,
}

/// A running service.
pub struct OperatingDataHandle {
    /// Where it listens.
    pub address: SocketAddr,
    /// Token of its control surface.
    pub token: String,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    service: Arc<Service>,
}

impl std::fmt::Debug for OperatingDataHandle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("OperatingDataHandle").field("address", &self.address).finish_non_exhaustive()
    }
}

impl OperatingDataHandle {
    /// Base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A token that ends the service when cancelled.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Waits for its end; its port is free then.
    ///
    /// # Errors
    /// When it did not end by itself.
    pub async fn ended(self) -> Result<(), SimError> {
        self.task.await.map_err(|_| SimError::JournalClosed)
    }

    /// Puts a car into the book, or another in its place.
    pub fn put(&self, car: Car) {
        self.service.book().cars.insert(car.plate_no.clone(), car);
    }

    /// Lets this befall every question, until `None`.
    pub fn force(&self, fault: Option<CarFault>) {
        self.service.book().forced = fault;
    }

    /// What it was asked so far.
    pub fn questions(&self) -> Questions {
        self.service.book().questions.clone()
    }
}

impl Service {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a service and returns when it listens.
///
/// # Errors
/// When its directory, book or address can't be used.
pub async fn start_operating_data(options: OperatingDataOptions) -> Result<OperatingDataHandle, SimError> {
    std::fs::create_dir_all(&options.dir).map_err(SimError::file(&options.dir))?;
    let token = control_token(&options.dir)?;
    let (listener, address) = listen(&options.dir, &options.listen).await?;
    let draw = ChaCha8Rng::seed_from_u64(options.seed);
    let cars = book(&options)?;
    let service = Arc::new(Service {
        signer: Signer::new(options.app_id.clone(), options.signature, options.api_secret.clone()),
        token: token.clone(),
        state: Mutex::new(Book { cars, forced: None, draw, questions: Questions::default() }),
        options,
    });
    let control = Router::new()
        .route("/cars", get(list).post(put))
        .route("/fault", post(force))
        .route("/questions", get(questions))
        .route("/life", get(async || Json(json!({"stopped": true, "settled": true}))))
        .layer(middleware::from_fn_with_state(service.clone(), guard));
    let app = Router::new().nest("/sim", control).fallback(call).with_state(service.clone());
    let shutdown = CancellationToken::new();
    let ending = shutdown.clone();
    let task = tokio::spawn(async move {
        tokio::select! {
            // It ends only when it is told to.
            _ = std::future::IntoFuture::into_future(axum::serve(listener, app)) => {}
            () = ending.cancelled() => {}
        }
    });
    tracing::info!(%address, "the operating-data service listens");
    Ok(OperatingDataHandle { address, token, shutdown, task, service })
}

/// The book of the directory, invented where there is none.
fn book(options: &OperatingDataOptions) -> Result<BTreeMap<String, Car>, SimError> {
    let file = options.dir.join("cars.json");
    let damaged = |reason: String| SimError::Data { path: file.clone(), reason };
    let cars: Vec<Car> = match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let cars: Vec<Car> = (0..options.cars).map(|nth| car(options.seed, nth)).collect();
            let bytes = serde_json::to_vec_pretty(&cars).map_err(|error| damaged(error.to_string()))?;
            std::fs::write(&file, bytes).map_err(SimError::file(&file))?;
            cars
        }
        Err(error) => return Err(SimError::file(&file)(error)),
    };
    Ok(cars.into_iter().map(|car| (car.plate_no.clone(), car)).collect())
}

async fn guard(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    if authorized(request.headers(), &service.token) {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

/// `GET /sim/cars`
async fn list(State(service): State<Arc<Service>>) -> Json<Value> {
    Json(json!({"cars": service.book().cars.values().collect::<Vec<_>>()}))
}

/// `POST /sim/cars`: one car.
async fn put(State(service): State<Arc<Service>>, Json(car): Json<Car>) -> Json<Value> {
    service.book().cars.insert(car.plate_no.clone(), car);
    Json(json!({"put": true}))
}

/// `POST /sim/fault`: `{"fault": "slow"}` for every question from now on, `{"fault": null}` for none.
async fn force(State(service): State<Arc<Service>>, Json(body): Json<Value>) -> Response {
    match serde_json::from_value::<Option<CarFault>>(body["fault"].clone()) {
        Ok(fault) => {
            service.book().forced = fault;
            Json(json!({"fault": fault})).into_response()
        }
        Err(_) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
    }
}

/// `GET /sim/questions`
async fn questions(State(service): State<Arc<Service>>) -> Json<Questions> {
    Json(service.book().questions.clone())
}

/// What befalls this question.
fn befalls(service: &Service) -> Option<CarFault> {
    let mut book = service.book();
    let drawn: Vec<_> =
        service.options.faults.iter().map(|share| (share.0, book.draw.random_range(0..100) < share.1)).collect();
    let fault = book.forced.or_else(|| drawn.into_iter().find(|(_, befalls)| *befalls).map(|(fault, _)| fault));
    if let Some(fault) = fault {
        *book.questions.faults.entry(fault.name()).or_default() += 1;
    }
    fault
}

async fn call(
    State(service): State<Arc<Service>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let message = Signed {
        method: method.as_str(),
        target,
        app_id: header("x-app-id"),
        timestamp: header("x-timestamp"),
        nonce: header("x-nonce"),
        sign: header("x-sign"),
        body: &body,
    };
    if !service.signer.verify(&message, service.options.clock.now_ms()) {
        service.book().questions.unsigned += 1;
        return said(StatusCode::OK, &json!({"code": 401, "message": "签名错误", "data": null}));
    }
    let Some(question) = Question::read(&method, uri.path(), uri.query().unwrap_or(""), &body) else {
        return said(StatusCode::NOT_FOUND, &json!({"code": 404, "message": "no such path", "data": null}));
    };
    *service.book().questions.asked.entry(question.name().to_owned()).or_default() += 1;
    let fault = befalls(&service);
    match fault {
        Some(CarFault::Slow) => tokio::time::sleep(service.options.slow).await,
        Some(CarFault::Unavailable) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(CarFault::Throttled) => {
            return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response();
        }
        Some(CarFault::Refused) => return StatusCode::UNAUTHORIZED.into_response(),
        _ => {}
    }
    let answer = match fault {
        Some(CarFault::Unknown) => None,
        Some(CarFault::Other) => Some(question.anothers()),
        _ => question.answer(&service.book().cars),
    };
    let body = match answer {
        Some(data) => json!({"code": 0, "message": "ok", "data": data}),
        None => json!({"code": 1002, "message": "查无记录", "data": null}),
    };
    if fault == Some(CarFault::Torn) {
        let text = body.to_string();
        let half: String = text.chars().take(text.chars().count() / 2).collect();
        return (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], half).into_response();
    }
    said(StatusCode::OK, &body)
}

fn said(status: StatusCode, body: &Value) -> Response {
    (status, Json(body.clone())).into_response()
}

/// What is asked.
enum Question {
    Vehicle { plate: String },
    Driver { licence: String },
    Trips { plate: String, from: String, to: String },
}

impl Question {
    fn read(method: &Method, path: &str, query: &str, body: &[u8]) -> Option<Self> {
        let address = reqwest::Url::parse(&format!("http://service/?{query}")).ok()?;
        let parameters: BTreeMap<String, String> = address.query_pairs().into_owned().collect();
        let parameter = |name: &str| parameters.get(name).cloned();
        match (method.as_str(), path) {
            ("GET", "/operating/vehicles") => Some(Self::Vehicle { plate: parameter("plateNo")? }),
            ("POST", "/operating/drivers") => {
                let body: Value = serde_json::from_slice(body).ok()?;
                Some(Self::Driver { licence: body["driverLicence"].as_str()?.to_owned() })
            }
            ("GET", "/operating/trips") => {
                Some(Self::Trips { plate: parameter("plateNo")?, from: parameter("from")?, to: parameter("to")? })
            }
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Vehicle { .. } => "vehicles",
            Self::Driver { .. } => "drivers",
            Self::Trips { .. } => "trips",
        }
    }

    fn answer(&self, cars: &BTreeMap<String, Car>) -> Option<Value> {
        match self {
            Self::Vehicle { plate } => cars.get(plate).map(|car| {
                json!({"plateNo": dotted(&car.plate_no), "plateColor": car.plate_color, "companyName": car.company_name})
            }),
            Self::Driver { licence } => {
                let drives = |car: &&Car| car.drivers.iter().any(|driver| driver.driver_licence == *licence);
                let car = cars.values().find(drives)?;
                let driver = car.drivers.iter().find(|driver| driver.driver_licence == *licence)?;
                Some(json!({
                    "driverLicence": licence, "driverName": driver.driver_name, "companyName": car.company_name,
                }))
            }
            Self::Trips { plate, from, to } => {
                let trips = cars.get(plate).map(|car| car.trips.as_slice()).unwrap_or_default();
                // The wire's times sort as texts.
                let within = trips.iter().filter(|trip| *from <= trip.trip_from && trip.trip_from <= *to);
                let rows: Vec<Value> = within
                    .map(|trip| {
                        json!({
                            "plateNo": dotted(plate), "tripFrom": trip.trip_from, "tripTo": trip.trip_to,
                            "driverLicence": trip.driver_licence,
                        })
                    })
                    .collect();
                Some(json!({"trips": rows}))
            }
        }
    }

    /// What somebody else asked for.
    fn anothers(&self) -> Value {
        let now = wire_time(crate::clock::now_ms());
        match self {
            Self::Vehicle { .. } => json!({"plateNo": "粤B·99999", "plateColor": "1", "companyName": "别家公司"}),
            Self::Driver { .. } => {
                json!({"driverLicence": "9999999999999999999", "driverName": "别人", "companyName": "别家公司"})
            }
            Self::Trips { .. } => json!({"trips": [
                {"plateNo": "粤B·99999", "tripFrom": now, "tripTo": now, "driverLicence": "9999999999999999999"}
            ]}),
        }
    }
}

/// A plate as people write it: 粤A·12345.
fn dotted(plate: &str) -> String {
    let mut signs = plate.chars();
    let head: String = signs.by_ref().take(2).collect();
    format!("{head}·{}", signs.as_str())
}
