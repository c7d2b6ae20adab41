//! A tiny gateway for tests of desk and judge: it mirrors the platform by listing it anew at every call and hands commands on at
//! once. It has its own table from wire to canonical, written from `docs/api.md`, and can be told to be wrong in one way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use gateway_simulator::clock::{api_time, is_date_only};
use gateway_simulator::digest;
use gateway_simulator::record::Order;
use serde_json::{Map, Value, json};

use crate::support::Peer;

/// In which way it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It does not look at the platform any more.
    Frozen,
    Field,
    Person,
    Digest,
    DateOnlyTime,
    MissingItem,
    ExtraItem,
    MissingOrder,
    ExtraOrder,
    SwallowedReply,
    AlteredReply,
    InFlight,
    Sum,
    OpenDeadLetter,
}

#[derive(Default)]
struct Inside {
    /// Orders by change: (number, answer).
    log: Vec<(String, Value)>,
    newest: HashMap<String, Value>,
    commands: HashMap<String, (Value, Value)>,
}

pub struct MiniGateway {
    peer: Peer,
    inside: Mutex<Inside>,
    refresh: tokio::sync::Mutex<()>,
    pub wrong: Mutex<Option<Wrong>>,
    pub gaps: Mutex<Vec<Value>>,
    /// What any order's timeline says of deliveries.
    pub deliveries: Mutex<Vec<Value>>,
    /// What an order of a number says only when it is asked for by itself.
    pub details: Mutex<HashMap<String, Value>>,
    /// The files that it gives out, by the name in their address.
    pub files: Mutex<HashMap<String, Vec<u8>>>,
}

const TOKEN: &str = "gateway-token";

impl MiniGateway {
    pub async fn start(peer: Peer) -> (Arc<Self>, String, String) {
        let gateway = Arc::new(Self {
            peer,
            inside: Mutex::default(),
            refresh: tokio::sync::Mutex::default(),
            wrong: Mutex::default(),
            gaps: Mutex::default(),
            deliveries: Mutex::default(),
            details: Mutex::default(),
            files: Mutex::default(),
        });
        let app = Router::new()
            .route("/api/v1/orders", get(orders))
            .route("/api/v1/orders/{id}", get(order))
            .route("/api/v1/orders/{id}/timeline", get(timeline))
            .route("/api/v1/orders/{id}/commands", post(command))
            .route("/api/v1/commands/{id}", get(outcome))
            .route("/attachments/{name}", get(file))
            .route("/api/v1/flow", get(flow))
            .route("/api/v1/gaps", get(gaps))
            .route("/api/v1/dead-letters", get(dead_letters))
            .route(
                "/api/v1/reconcile",
                get(async || Json(json!({"manifest": {"calls": 3, "bytes": 99}, "channels": []}))),
            )
            .with_state(gateway.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (gateway, url, TOKEN.to_owned())
    }

    fn is(&self, wrong: Wrong) -> bool {
        *self.wrong.lock().expect("lock") == Some(wrong)
    }

    async fn refresh(&self) {
        let _one = self.refresh.lock().await;
        if self.is(Wrong::Frozen) {
            return;
        }
        let records = self.peer.listing(200).await;
        let mut inside = self.inside.lock().expect("lock");
        for record in records {
            let order: Order = serde_json::from_value(record).expect("record");
            let held = canonical(&order);
            if inside.newest.get(&order.order_no) != Some(&held) {
                inside.newest.insert(order.order_no.clone(), held.clone());
                inside.log.push((order.order_no, held));
            }
        }
    }
}

async fn timeline(State(gateway): Gateway) -> Json<Value> {
    Json(json!({"deliveries": *gateway.deliveries.lock().expect("lock")}))
}

type Gateway = State<Arc<MiniGateway>>;
type Parameters = Query<HashMap<String, String>>;

async fn orders(State(gateway): Gateway, Query(query): Parameters) -> Json<Value> {
    gateway.refresh().await;
    let inside = gateway.inside.lock().expect("lock");
    let after: usize = query.get("after").map_or(0, |after| after.parse().expect("cursor"));
    let limit: usize = query["limit"].parse().expect("limit");
    let mut page: Vec<Value> = inside.log.iter().skip(after).take(limit).map(|(_, order)| order.clone()).collect();
    let next = after + page.len();
    if query.contains_key("person") {
        spoil(&gateway, &mut page);
    } else {
        page.iter_mut().for_each(|order| drop(order.as_object_mut().expect("object").remove("persons")));
    }
    Json(json!({"orders": page, "next": next.to_string(), "more": next < inside.log.len()}))
}

/// Makes the answer wrong in the wanted way.
fn spoil(gateway: &MiniGateway, page: &mut Vec<Value>) {
    let Some(victim) = page.last().map(|order| order["numbers"][0]["number"].clone()) else { return };
    if gateway.is(Wrong::MissingOrder) {
        page.retain(|order| order["numbers"][0]["number"] != victim);
    }
    if gateway.is(Wrong::ExtraOrder) {
        let mut extra = page[0].clone();
        extra["numbers"][0]["number"] = json!("GHOST");
        page.push(extra);
    }
    for order in page.iter_mut().filter(|order| order["numbers"][0]["number"] == victim) {
        if gateway.is(Wrong::Field) {
            order["facets"][0]["fields"]["content"] = json!("别的");
        }
        if gateway.is(Wrong::Person) {
            order["persons"][0]["fields"]["requester_name"] = json!("别人");
        }
        if gateway.is(Wrong::Digest) {
            order["facets"][1]["digest"] = json!("00");
        }
        if gateway.is(Wrong::MissingItem) {
            order["facets"].as_array_mut().expect("facets").pop();
        }
        if gateway.is(Wrong::ExtraItem) {
            let mut extra = order["facets"][0].clone();
            extra["part"] = json!("c9");
            order["facets"].as_array_mut().expect("facets").push(extra);
        }
    }
    if gateway.is(Wrong::DateOnlyTime) {
        // A date alone turned into midnight.
        for facet in page.iter_mut().flat_map(|order| order["facets"].as_array_mut().expect("facets")) {
            if let Some(day) = facet["event_time"].as_str().filter(|time| is_date_only(time)).map(str::to_owned) {
                facet["event_time"] = json!(format!("{day}T00:00:00+08:00"));
            }
        }
    }
}

async fn order(State(gateway): Gateway, Path(id): Path<String>) -> Response {
    gateway.refresh().await;
    let inside = gateway.inside.lock().expect("lock");
    let number = id.trim_start_matches("id-");
    let Some(mut order) = inside.newest.get(number).cloned() else { return StatusCode::NOT_FOUND.into_response() };
    if let Some(Value::Object(details)) = gateway.details.lock().expect("lock").get(number).cloned() {
        order.as_object_mut().expect("an object").extend(details);
    }
    Json(order).into_response()
}

async fn file(State(gateway): Gateway, Path(name): Path<String>) -> Response {
    let files = gateway.files.lock().expect("lock");
    files.get(&name).map_or(StatusCode::GONE.into_response(), |bytes| bytes.clone().into_response())
}

async fn command(
    State(gateway): Gateway,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let body: Value = serde_json::from_slice(&body).expect("body");
    let key = headers["idempotency-key"].to_str().expect("key").to_owned();
    assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
    let accepted = (StatusCode::ACCEPTED, Json(json!({"command_id": key, "order_id": id})));
    if let Some((earlier, _)) = gateway.inside.lock().expect("lock").commands.get(&key) {
        assert_eq!(*earlier, body, "the same key always has the same body");
        return accepted;
    }
    let number = id.trim_start_matches("id-");
    let state = gateway.inside.lock().expect("lock").newest[number]["state"].as_str().expect("state").to_owned();
    let operation = body["operation"].as_str().expect("operation").to_owned();
    let allowed = match operation.as_str() {
        "sign" => state == "dispatched",
        "refuse" => state == "dispatched" || state == "signed",
        "reply" => state == "signed",
        _ => state == "replied",
    };
    if !allowed {
        return (StatusCode::CONFLICT, Json(json!({"code": "state_does_not_allow"})));
    }
    let at = body["at"].as_str().expect("at").replace('T', " ").replace("+08:00", "");
    let mut text = body["fields"]["reply_text"].as_str().unwrap_or_default().to_owned();
    if gateway.is(Wrong::AlteredReply) {
        text.push('。');
    }
    let wire = json!({
        "signTime": at, "refuseTime": at, "completeTime": at, "replyTime": at, "round": body["round"], "replyContent": text,
        "replyUnit": body["fields"]["reply_unit"], "reason": body["fields"]["event_text"], "operator": body["operator"],
    });
    let swallowed = operation == "reply" && gateway.is(Wrong::SwallowedReply);
    let code =
        if swallowed { 0 } else { gateway.peer.operate(number, &operation, &key.replace(':', "_"), wire).await.0 };
    let ended = if code == 0 { "acknowledged" } else { "rejected" };
    let outcome = json!({"id": key, "state": "applied", "deliveries": [{"state": ended}]});
    gateway.inside.lock().expect("lock").commands.insert(key, (body, outcome));
    accepted
}

async fn outcome(State(gateway): Gateway, Path(id): Path<String>) -> Json<Value> {
    Json(gateway.inside.lock().expect("lock").commands[&id].1.clone())
}

async fn flow(State(gateway): Gateway) -> Json<Value> {
    let row = |dataset: &str| {
        let captured = if gateway.is(Wrong::Sum) { 3 } else { 2 };
        json!({"channel": "municipal-12345", "dataset": dataset, "captured": captured, "duplicate": 1, "applied": 1, "dead_lettered": 0, "in_flight": 0})
    };
    let inbound: Vec<Value> = ["acceptance", "handling", "completion", "evaluation"].into_iter().map(row).collect();
    let in_flight = u8::from(gateway.is(Wrong::InFlight));
    let outbound = json!([{"channel": "municipal-12345", "dataset": "completion", "owed": 1 + in_flight, "delivered": 1, "acknowledged": 1,
        "superseded": 0, "rejected": 0, "dead_lettered": 0, "waived": 0, "in_flight": in_flight}]);
    Json(json!({"inbound": inbound, "outbound": outbound}))
}

async fn gaps(State(gateway): Gateway) -> Json<Value> {
    Json(json!({"gaps": gateway.gaps.lock().expect("lock").clone(), "more": false}))
}

async fn dead_letters(State(gateway): Gateway) -> Json<Value> {
    let letters = if gateway.is(Wrong::OpenDeadLetter) {
        json!([{"id": "1", "channel": "municipal-12345", "dataset": "unknown", "number": null, "state": "open"}])
    } else {
        json!([])
    };
    Json(json!({"dead_letters": letters, "more": false}))
}

fn canonical(order: &Order) -> Value {
    let digests: HashMap<(String, String), String> = digest::items(order)
        .into_iter()
        .map(|item| ((item.key.dataset.as_str().to_owned(), item.key.part), hex::encode(item.digest)))
        .collect();
    let day = &order.create_time[..10];
    let state = match order.state.as_str() {
        "10" => "accepted",
        "20" => "dispatched",
        "30" => "signed",
        "35" => "return_requested",
        "40" => "replied",
        "50" => "completed",
        "60" => "visited",
        "70" => "archived",
        "80" => "returned",
        _ => "withdrawn",
    };
    let kind = ["consultation", "help", "complaint", "report", "suggestion", "praise"];
    let kind = order
        .order_type
        .parse::<usize>()
        .ok()
        .and_then(|code| kind.get(code - 1))
        .map_or(format!("raw:{}", order.order_type), |word| (*word).to_owned());
    let flag = |text: &str| if text.is_empty() { Value::Null } else { json!(text == "1") };
    let word = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    let time = |text: &str| if text.is_empty() { Value::Null } else { json!(api_time(text)) };
    let facet = |dataset: &str, part: String, event_time: &str, fields: Value| {
        let digest = &digests[&(dataset.to_owned(), part.clone())];
        json!({"channel": "municipal-12345", "dataset": dataset, "part": part, "event_time": api_time(event_time), "digest": digest, "fields": present(fields)})
    };
    let mut facets = vec![
        facet(
            "acceptance",
            "c0".into(),
            &order.create_time,
            json!({
                "order_type": kind, "matter_category": word(&order.category), "title": word(&order.title), "content": word(&order.content),
                "intake_method": word(&order.source_type), "address": word(&order.address), "occurred_at": time(&order.occur_time),
                "urgency": match order.urgency.as_str() { "1" => "ordinary", "2" => "urgent", _ => "extra_urgent" },
                "is_secret": flag(&order.is_secret), "is_anonymous": flag(&order.is_anonymous), "accepted_at": time(&order.create_time),
            }),
        ),
        facet(
            "handling",
            "c0".into(),
            &order.create_time,
            json!({
                "state": state, "handling_unit": word(&order.unit), "deadline_at": time(&order.deadline), "round": order.round,
            }),
        ),
    ];
    facets.extend(order.completions.iter().map(|c| {
        facet("completion", format!("c{}", c.round), &c.reply_time, json!({
            "reply_text": word(&c.reply_content), "replied_at": time(&c.reply_time), "reply_unit": word(&c.reply_unit), "round": c.round,
        }))
    }));
    facets.extend(order.visits.iter().map(|v| {
        let satisfaction = match v.satisfaction.as_str() {
            "1" => "very_satisfied",
            "2" => "satisfied",
            "3" => "fairly_satisfied",
            "4" => "dissatisfied",
            "5" => "very_dissatisfied",
            _ => "not_rated",
        };
        facet(
            "evaluation",
            format!("c{}", v.visit_no),
            &v.visit_time,
            json!({
                "visit_number": v.visit_no, "visited_at": time(&v.visit_time), "visit_connected": flag(&v.connected),
                "satisfaction": satisfaction, "is_solved": flag(&v.is_solved), "visit_opinion": word(&v.opinion),
            }),
        )
    }));
    let events: Vec<Value> = order
        .events
        .iter()
        .map(|e| {
            let digest = &digests[&("handling".to_owned(), format!("e:{}", e.event_id))];
            json!({"channel": "municipal-12345", "dataset": "handling", "event_id": e.event_id, "kind": e.kind,
                "event_time": api_time(&e.time), "digest": digest, "fields": present(json!({"event_text": word(&e.text)}))})
        })
        .collect();
    let person = json!({"requester_name": word(&order.caller_name), "requester_phone": word(&order.caller_phone), "contact_phone": word(&order.contact_phone)});
    json!({
        "id": format!("id-{}", order.order_no), "state": state, "round": order.round, "facets": facets, "events": events,
        "numbers": [{"channel": "municipal-12345", "number": order.order_no, "day": day}],
        "persons": [{"channel": "municipal-12345", "dataset": "acceptance", "part": "c0", "fields": present(person)}],
    })
}

fn present(fields: Value) -> Value {
    let Value::Object(fields) = fields else { return fields };
    Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}
