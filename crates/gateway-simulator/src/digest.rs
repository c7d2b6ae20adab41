//! Items, digests and bucket sums by section 6 of the wire contract, computed from the wire record alone.
//!
//! Trade-off: nothing is shared with the gateway's implementation. Two implementations that agree on the golden vectors of
//! `tests/it/golden/digests.json` agree on the page; one shared implementation would only agree with itself.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::clock;
use crate::dress::{Dress, Of};
use crate::record::{Completion, Event, Order, Unit, Upstream, Visit};

/// A SHA-256.
pub type Digest = [u8; 32];

/// What part of an order's life an item speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dataset {
    /// 受理
    Acceptance,
    /// 流转
    Handling,
    /// 办结
    Completion,
    /// 回访评价
    Evaluation,
}

impl Dataset {
    /// All of them, in the order of an order's life.
    pub const ALL: [Self; 4] = [Self::Acceptance, Self::Handling, Self::Completion, Self::Evaluation];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acceptance => "acceptance",
            Self::Handling => "handling",
            Self::Completion => "completion",
            Self::Evaluation => "evaluation",
        }
    }

    /// The dataset of a wire word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dataset| dataset.as_str() == word)
    }
}

/// The name of one item: dataset, order number, day of creation, part.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ItemKey {
    /// The dataset.
    pub dataset: Dataset,
    /// Order number.
    pub number: String,
    /// Day of creation, `yyyy-MM-dd`.
    pub day: String,
    /// `c0`, `c<round>`, `c<visitNo>` or `e:<eventId>`.
    pub part: String,
}

impl ItemKey {
    /// The key's bytes: the four parts joined by 0x1F.
    pub fn bytes(&self) -> Vec<u8> {
        [self.dataset.as_str(), &self.number, &self.day, &self.part].join("\u{1f}").into_bytes()
    }
}

/// One item with its event time (wire form) and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub key: ItemKey,
    /// Its event time, as on the wire.
    pub event_time: String,
    /// SHA-256 of its normal form.
    pub digest: Digest,
}

/// Collects compared fields in the normal form, as they are on the wire: name 0x1F value 0x1E.
struct NormalForm {
    dress: Dress,
    of: Of,
    hash: Sha256,
}

impl NormalForm {
    fn new(dress: Dress, of: Of) -> Self {
        Self { dress, of, hash: Sha256::default() }
    }

    fn field(mut self, name: &str, value: &str) -> Self {
        self.hash.update(self.dress.name(self.of, name).as_bytes());
        self.hash.update([0x1f]);
        self.hash.update(self.dress.value(self.of, name, value).as_bytes());
        self.hash.update([0x1e]);
        self
    }

    fn digest(self) -> Digest {
        self.hash.finalize().into()
    }
}

fn acceptance_digest(dress: Dress, order: &Order) -> Digest {
    let form = NormalForm::new(dress, Of::Order)
        .field("orderType", &order.order_type)
        .field("category", &order.category)
        .field("title", &order.title)
        .field("content", &order.content)
        .field("sourceType", &order.source_type)
        .field("address", &order.address)
        .field("occurTime", &order.occur_time)
        .field("urgency", &order.urgency)
        .field("isSecret", &order.is_secret)
        .field("isAnonymous", &order.is_anonymous);
    of_front(form, order).digest()
}

/// What those compare besides where citizens write themselves: `docs/channels/taxi-qr.md` section 5, `docs/channels/web-12328.md` section 4. Their
/// orders are known by the code that was scanned, by their car and by their pictures, which no other has.
fn of_front(form: NormalForm, order: &Order) -> NormalForm {
    let form = if order.qr_code_id.is_empty() { form } else { form.field("qrCodeId", &order.qr_code_id) };
    let form = if order.plate_no.is_empty() {
        form
    } else {
        let form = form.field("plateNo", &order.plate_no).field("plateColor", "");
        let form = form.field("companyName", &order.company_name);
        ["tripFrom", "tripTo", "pickup", "dropoff"].into_iter().fold(form, |form, name| form.field(name, ""))
    };
    if order.pictures.is_empty() { form } else { form.field("pictures", &order.pictures) }
}

fn state_digest(dress: Dress, order: &Order) -> Digest {
    NormalForm::new(dress, Of::Order)
        .field("state", &order.state)
        .field("unit", &order.unit)
        .field("deadline", &order.deadline)
        .field("round", &order.round.to_string())
        .digest()
}

fn event_digest(dress: Dress, event: &Event) -> Digest {
    NormalForm::new(dress, Of::Event)
        .field("kind", &event.kind)
        .field("time", &event.time)
        .field("text", &event.text)
        .digest()
}

fn completion_digest(dress: Dress, completion: &Completion) -> Digest {
    NormalForm::new(dress, Of::Completion)
        .field("round", &completion.round.to_string())
        .field("replyContent", &completion.reply_content)
        .field("replyTime", &completion.reply_time)
        .digest()
}

fn visit_digest(dress: Dress, visit: &Visit) -> Digest {
    NormalForm::new(dress, Of::Visit)
        .field("visitNo", &visit.visit_no.to_string())
        .field("round", &visit.round.to_string())
        .field("visitTime", &visit.visit_time)
        .field("connected", &visit.connected)
        .field("satisfaction", &visit.satisfaction)
        .field("isSolved", &visit.is_solved)
        .field("opinion", &visit.opinion)
        .digest()
}

fn unit_digest(unit: &Unit) -> Digest {
    NormalForm::new(Dress::Default, Of::Order)
        .field("unit", &unit.unit)
        .field("role", &unit.role)
        .field("state", &unit.state)
        .field("dispatchTime", &unit.dispatch_time)
        .digest()
}

fn upstream_digest(upstream: &Upstream) -> Digest {
    NormalForm::new(Dress::Default, Of::Order)
        .field("state", &upstream.state)
        .field("unit", &upstream.unit)
        .field("deadline", &upstream.deadline)
        .field("round", &upstream.round.to_string())
        .field("time", &upstream.time)
        .digest()
}

/// Every item of an order, in the default dress.
pub fn items(order: &Order) -> Vec<Item> {
    items_in(Dress::Default, order)
}

/// Every item of an order. Keys and event times are in the platform's own words in every dress, digests over what is on the wire.
pub fn items_in(dress: Dress, order: &Order) -> Vec<Item> {
    let day = clock::day_of(&order.create_time);
    let item = |dataset, part: String, event_time: &str, digest| Item {
        key: ItemKey { dataset, number: order.order_no.clone(), day: day.to_owned(), part },
        event_time: event_time.to_owned(),
        digest,
    };
    let mut all = vec![item(Dataset::Acceptance, "c0".to_owned(), &order.create_time, acceptance_digest(dress, order))];
    // Uploaded orders have no state before it was uploaded too.
    if !order.state.is_empty() {
        all.push(item(Dataset::Handling, "c0".to_owned(), &order.create_time, state_digest(dress, order)));
    }
    let event = |e: &Event| item(Dataset::Handling, format!("e:{}", e.event_id), &e.time, event_digest(dress, e));
    all.extend(order.events.iter().map(event));
    let completion =
        |c: &Completion| item(Dataset::Completion, format!("c{}", c.round), &c.reply_time, completion_digest(dress, c));
    all.extend(order.completions.iter().map(completion));
    let visit =
        |v: &Visit| item(Dataset::Evaluation, format!("c{}", v.visit_no), &v.visit_time, visit_digest(dress, v));
    all.extend(order.visits.iter().map(visit));
    // Of the bureau alone.
    let part = |id: &str| format!("e:{id}");
    all.extend(
        order.units.iter().map(|u| item(Dataset::Handling, part(&u.unit_task), &u.dispatch_time, unit_digest(u))),
    );
    all.extend(order.upstream.iter().map(|u| item(Dataset::Handling, part(&u.source), &u.time, upstream_digest(u))));
    all
}

/// An item's share of a bucket sum: SHA-256(key ‖ digest).
pub fn element(key: &ItemKey, digest: &Digest) -> Digest {
    let mut hash = Sha256::new();
    hash.update(key.bytes());
    hash.update(digest);
    hash.finalize().into()
}

/// Adds `element` to `sum` modulo 2^256, both big-endian.
pub fn add(sum: &mut Digest, element: &Digest) {
    let mut carry = false;
    for (place, part) in limbs(sum, element) {
        let (total, over) = read(place).overflowing_add(read(part));
        let (total, more) = total.overflowing_add(u64::from(carry));
        carry = over || more;
        place.copy_from_slice(&total.to_be_bytes());
    }
}

/// Takes `element` from `sum` modulo 2^256, both big-endian.
pub fn subtract(sum: &mut Digest, element: &Digest) {
    let mut borrow = false;
    for (place, part) in limbs(sum, element) {
        let (rest, under) = read(place).overflowing_sub(read(part));
        let (rest, more) = rest.overflowing_sub(u64::from(borrow));
        borrow = under || more;
        place.copy_from_slice(&rest.to_be_bytes());
    }
}

/// The eight-byte places of both numbers, the least significant first.
fn limbs<'a>(sum: &'a mut Digest, element: &'a Digest) -> impl Iterator<Item = (&'a mut [u8], &'a [u8])> {
    sum.chunks_exact_mut(8).rev().zip(element.chunks_exact(8).rev())
}

fn read(place: &[u8]) -> u64 {
    place.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
