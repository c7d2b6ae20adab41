//! A store with orders that were forwarded to a province and acknowledged, three items of each.

use gateway_connector::wire::{Kind, ProfileSource, connect};
use gateway_connector::{Connector, Credentials, Secret};
use gateway_delivery::Origins;
use gateway_delivery::files::{BatchState, FILES_CHECKPOINT, FileExchange, FilesConfig, FilesDeps, FilesState, WHOLE};
use gateway_model::{
    AskBy, BookItem, ChannelId, Dataset, DeliveryId, DeliveryState, Digest, Fields, ItemKey, Moment, Operation,
    OrderId, OrderNumber, OrderState, Origin, Part, RawId, Receipt, ReceiptSource, SourceNumber, SystemClock,
    Timestamp, day_of,
};
use gateway_runtime::{Ran, Round, Task};
use gateway_store::{
    AttemptResult, AttemptStart, DeliveryStore, IngestRequest, IngestStore, IngestWrites, JobKind, JobStore,
    LeaseStore, NewDelivery, NewJob, NewRaw, RawMeta, SqliteOptions, SqliteStore, WorkOrderRow,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

pub const ORIGIN: Kind = Kind {
    name: "municipal-12345",
    default_profile: include_str!("../../../../connectors/municipal-12345/profiles/default.toml"),
};
pub const DESTINATION: Kind = Kind {
    name: "provincial-12328",
    default_profile: include_str!("../../../../connectors/provincial-12328/profiles/default.toml"),
};
/// Orders that are written together.
const BATCH: u64 = 500;

pub fn rate(rows: u64, began: Instant) -> f64 {
    rows as f64 / began.elapsed().as_secs_f64()
}

pub fn at(order: u64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + (order % 1_000_000) as i64).unwrap()
}

pub fn id(order: u64) -> OrderId {
    OrderId(uuid::Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + u128::from(order)))
}

fn channel(kind: Kind) -> ChannelId {
    ChannelId::new(kind.name).unwrap()
}

pub fn number(order: u64) -> OrderNumber {
    let number = SourceNumber::new(format!("GZ20260921{order:08}")).unwrap();
    OrderNumber { channel: channel(ORIGIN), number, day: day_of(at(order)) }
}

pub fn forwarded_number(order: u64) -> OrderNumber {
    let number = SourceNumber::new(format!("municipal-12345-20260921-GZ20260921{order:08}")).unwrap();
    OrderNumber { channel: channel(DESTINATION), number, day: day_of(at(order)) }
}

pub fn connector(kind: Kind) -> Arc<dyn Connector> {
    let secret = || Secret::new("a secret of the benchmark");
    let credentials = Credentials { app_id: "app".into(), request_secret: secret(), webhook_secrets: vec![secret()] };
    connect(kind, channel(kind), &ProfileSource::Default, "http://127.0.0.1:1", credentials, Arc::new(SystemClock))
        .unwrap()
}

/// The whole order as the city's platform tells it.
pub fn body(order: u64) -> String {
    let minute = order % 60;
    format!(
        r#"{{"orderNo":"GZ20260921{order:08}","createTime":"2026-09-21 09:{minute:02}:01","updateTime":"2026-09-23 10:{minute:02}:00","orderType":"03",
"category":"交通运输/出租车管理","title":"出租车绕路、多收费第{order}次","content":"来电人反映：在机场到达层乘坐出租车前往天河客运站，司机未按计价器指引路线行驶，绕行约七公里，多收费用三十二元，要求核实并退还多收部分。司机态度\"恶劣\"，拒绝提供发票。",
"sourceType":"phone","address":"白云机场T2航站楼到达层出租车候客区","occurTime":"2026-09-21 08:{minute:02}:00","urgency":"1","isSecret":"0","isAnonymous":"0","callerName":"王某某","callerPhone":"13800000000",
"contactPhone":"13800000000","state":"70","unit":"市交通运输局","deadline":"2026-10-12 23:59:59","round":0,"events":[],
"completions":[{{"round":0,"replyContent":"经核实，该车当日确有绕行，已责成企业退还多收车费，并按规定对驾驶员作停班学习处理，来电人表示认可。","replyTime":"2026-09-22 16:{minute:02}:00","replyUnit":"市交通运输局"}}],
"visits":[{{"visitNo":1,"round":0,"visitTime":"2026-09-23 09:{minute:02}:00","connected":"1","satisfaction":"1","isSolved":"1","opinion":"满意"}}]}}"#
    )
}

fn parts() -> [(Dataset, Part); 3] {
    [
        (Dataset::Acceptance, Part::Cycle(0)),
        (Dataset::Completion, Part::Cycle(0)),
        (Dataset::Evaluation, Part::Cycle(1)),
    ]
}

pub struct World {
    path: PathBuf,
    store: Arc<SqliteStore>,
}

impl World {
    pub async fn filled(place: &Path, rows: u64) -> Self {
        let path = place.join("store.db");
        let store = Arc::new(SqliteStore::open(SqliteOptions::at(path.clone())).await.unwrap());
        let world = Self { path, store };
        let mut row = 0;
        while row < rows {
            let until = (row + BATCH * 3).min(rows);
            world.fill(row, until).await;
            row = until;
        }
        world
    }

    /// These rows: each with a record of its own, acknowledged.
    async fn fill(&self, from: u64, until: u64) {
        let first = std::sync::Mutex::new(0);
        self.store
            .ingest(IngestRequest::default(), &|loaded| {
                *first.lock().unwrap() = loaded.next_delivery_id;
                let mut writes = IngestWrites::default();
                for row in from..until {
                    let (order, nth) = (row / 3, (row - from) as i64);
                    if row % 3 == 0 {
                        writes.orders.push(WorkOrderRow {
                            id: id(order),
                            seq: 1,
                            feed_seq: loaded.next_feed_seq + writes.orders.len() as u64,
                            created_at: at(order),
                            changed_at: at(order),
                            state: Some(OrderState::Archived),
                            round: 0,
                            fields: Fields::new(),
                            conflicts: Vec::new(),
                        });
                        writes.numbers.push((id(order), number(order)));
                        writes.numbers.push((id(order), forwarded_number(order)));
                    }
                    let raw_id = RawId(loaded.next_raw_id + nth);
                    writes.raws.push(NewRaw {
                        id: raw_id,
                        meta: RawMeta {
                            channel: channel(ORIGIN),
                            origin: Origin::Poll,
                            number: Some(number(order).number),
                            received_at: at(order),
                            read_at: at(order),
                            topic: "raw".into(),
                            partition: 0,
                            offset: row,
                        },
                        body: body(order).into_bytes(),
                        key_id: "plain".into(),
                    });
                    let (dataset, part) = parts()[(row % 3) as usize].clone();
                    writes.new_deliveries.push(NewDelivery {
                        id: DeliveryId(loaded.next_delivery_id + nth),
                        order_id: id(order),
                        destination: channel(DESTINATION),
                        from: channel(ORIGIN),
                        operation: Operation::Forward,
                        dataset,
                        part,
                        round: 0,
                        raw_id,
                        command_id: None,
                        created_at: at(order),
                    });
                }
                writes
            })
            .await
            .unwrap();
        let first = first.into_inner().unwrap();
        let delivery = |row: u64| DeliveryId(first + (row - from) as i64);
        let start = |row: u64| {
            let (dataset, part) = parts()[(row % 3) as usize].clone();
            let number = forwarded_number(row / 3);
            let key = ItemKey { dataset, number: number.number, day: number.day, part };
            let item = BookItem { key, event_time: Moment::At(at(row / 3)), digest: Digest([row as u8; 32]) };
            AttemptStart { id: delivery(row), item, projection_version: 1, ask_by: AskBy::Receipt, at: at(row / 3) }
        };
        let starts: Vec<_> = (from..until).map(start).collect();
        self.store.begin_attempts(&starts, None).await.unwrap();
        let receipt = |row: u64| Receipt {
            receipt_number: Some(format!("R{row}")),
            received_at: Some(at(row / 3)),
            source: ReceiptSource::Answer,
        };
        let result = |row: u64| AttemptResult {
            id: delivery(row),
            state: DeliveryState::Acknowledged,
            receipt: Some(receipt(row)),
            reason_code: None,
            reason: None,
            unanswered: false,
            next_attempt_at: at(row / 3),
            at: at(row / 3),
        };
        let results: Vec<_> = (from..until).map(result).collect();
        self.store.end_attempts(&results, None).await.unwrap();
    }

    pub fn megabytes(&self) -> u64 {
        std::fs::metadata(&self.path).unwrap().len() / 1_000_000
    }

    pub fn exchange(&self, config: FilesConfig) -> Exchange {
        let place = config.dir.clone();
        let deps = FilesDeps {
            channel: channel(DESTINATION),
            connector: connector(DESTINATION),
            deliveries: self.store.clone(),
            jobs: self.store.clone(),
            leases: self.store.clone(),
            clock: Arc::new(SystemClock),
            origins: Arc::new(Origins::new([(channel(ORIGIN), connector(ORIGIN))])),
        };
        Exchange { store: self.store.clone(), task: FileExchange::new(deps, "bench", config).unwrap(), place }
    }
}

pub struct Exchange {
    store: Arc<SqliteStore>,
    task: FileExchange,
    place: PathBuf,
}

impl Exchange {
    pub fn folder(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    /// Until there is nothing more to do.
    pub async fn rest(&mut self) {
        while self.task.run(&Round { stopping: CancellationToken::new() }).await.unwrap() == Ran::Busy {}
    }

    /// Writes a whole batch.
    pub async fn export(&mut self) -> BatchState {
        let job = NewJob {
            kind: JobKind::Export,
            channel: channel(DESTINATION),
            subject: WHOLE.to_owned(),
            reason: "asked".to_owned(),
            run_at: at(0),
        };
        self.store.enqueue(&[job]).await.unwrap();
        self.rest().await;
        let text = self.store.checkpoint(&channel(DESTINATION), FILES_CHECKPOINT).await.unwrap().unwrap();
        let mut state: FilesState = serde_json::from_str(&text).unwrap();
        let batch = state.batches.pop().unwrap();
        assert!(batch.left_out.is_empty(), "{:?}", batch.left_out);
        batch
    }
}
